//! Create or update by an outside id: the call that integrations may repeat as often as they like.

use serde_json::json;

use super::{PATH, at, create, holder, kinds, unchanged};
use crate::harness::{Answer, Client, workspace};

fn path(source: &str, id: &str) -> String {
    format!("{PATH}/external/{source}/{id}")
}

fn put_if(client: &Client, header: (&str, &str), body: &serde_json::Value) -> Answer {
    client.send("PUT", &path("shop", "7"), &[header], Some(&body.to_string()))
}

#[test]
fn the_first_upsert_creates_and_the_second_updates() {
    let client = workspace();
    let body = json!({ "email": "ada@shop.example.com", "first_name": "Ada" });
    let made = client.put(&path("shop", "7"), body).expect(201);
    assert_eq!(made.json["external_ids"], json!([{ "source": "shop", "id": "7" }]));
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(made.headers["etag"], "\"1\"");
    let after = client.put(&path("shop", "7"), json!({ "last_name": "L" })).expect(200);
    assert_eq!(after.id(), made.id());
    assert_eq!((&after.json["first_name"], &after.json["last_name"]), (&json!("Ada"), &json!("L")));
    assert_eq!(after.headers["etag"], "\"2\"");
    assert_eq!(kinds(&client, &made.id()), ["customer.created", "customer.updated"]);
}

#[test]
fn repeating_an_upsert_changes_nothing_more() {
    let client = workspace();
    let body = json!({ "email": "ada@shop.example.com", "tags": ["a"], "attributes": { "x": 1 } });
    let made = client.put(&path("shop", "7"), body.clone()).expect(201);
    let again = unchanged(&client, || client.put(&path("shop", "7"), body)).expect(200);
    assert_eq!(again.json, made.json);
}

#[test]
fn an_upsert_with_if_none_match_creates_only() {
    let client = workspace();
    let any = ("If-None-Match", "*");
    let made = put_if(&client, any, &json!({ "first_name": "Ada" })).expect(201);
    let refused =
        unchanged(&client, || put_if(&client, any, &json!({ "first_name": "Eve" }))).expect(412);
    assert_eq!(refused.code(), "precondition_failed");
    let refused = put_if(&client, ("If-None-Match", "\"1\""), &json!({})).expect(400);
    assert_eq!(refused.json["errors"][0]["parameter"], "If-None-Match");
    assert_eq!(client.get(&at(&made.id())).expect(200).json["first_name"], "Ada");
}

#[test]
fn an_upsert_with_if_match_updates_that_version_only() {
    let client = workspace();
    client.put(&path("shop", "7"), json!({ "first_name": "Ada" })).expect(201);
    put_if(&client, ("If-Match", "\"1\""), &json!({ "first_name": "Eve" })).expect(200);
    let stale = ("If-Match", "\"1\"");
    let refused =
        unchanged(&client, || put_if(&client, stale, &json!({ "first_name": "Kim" }))).expect(412);
    assert_eq!(refused.code(), "version_mismatch");
}

#[test]
fn many_upserts_at_once_make_one_customer() {
    let client = workspace();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let client = &client;
        let put = move |n: usize| {
            client.put(&path("shop", "7"), json!({ "attributes": { format!("k{n}"): n } }))
        };
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || put(n))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
    assert!(answers.iter().all(|answer| answer.id() == answers[0].id()));
    let after = client.get(&at(&answers[0].id())).expect(200).json;
    assert_eq!(after["attributes"].as_object().map(serde_json::Map::len), Some(8));
    assert_eq!(after["version"], 8);
    let all = client.get(&format!("{PATH}?include_total=true")).expect(200);
    assert_eq!(all.json["total"], 1);
}

#[test]
fn the_reference_in_the_path_is_one_of_the_customers() {
    let client = workspace();
    let body = json!({ "external_ids": [{ "source": "erp", "id": "K-1" }] });
    let made = client.put(&path("shop", "7"), body).expect(201);
    let both = json!([{ "source": "erp", "id": "K-1" }, { "source": "shop", "id": "7" }]);
    assert_eq!(made.json["external_ids"], both);
    let by_other = client.put(&path("erp", "K-1"), json!({ "first_name": "Ada" })).expect(200);
    assert_eq!(by_other.id(), made.id());
    assert_eq!(by_other.json["external_ids"], both);
    let fewer = client.put(&path("erp", "K-1"), json!({ "external_ids": [] })).expect(200);
    assert_eq!(fewer.json["external_ids"], json!([{ "source": "erp", "id": "K-1" }]));
}

#[test]
fn a_reference_may_hold_any_characters() {
    let client = workspace();
    let made = client.put(&path("my%20shop", "a%2Fb%3Fc%C3%A9"), json!({})).expect(201);
    let reference = json!([{ "source": "my shop", "id": "a/b?cé" }]);
    assert_eq!(made.json["external_ids"], reference);
    client.put(&path("my%20shop", "a%2Fb%3Fc%C3%A9"), json!({ "score": 1 })).expect(200);
    client.put(&path("my%20shop", "a%2Fb%3Fc%C3%89"), json!({})).expect(201);
}

#[test]
fn two_references_that_look_alike_when_joined_stay_apart() {
    let client = workspace();
    let one = client.put(&path("a:b", "c"), json!({ "first_name": "Ada" })).expect(201);
    let other = client.put(&path("a", "b:c"), json!({ "first_name": "Eve" })).expect(201);
    assert_ne!(one.id(), other.id());
}

#[test]
fn a_reference_of_the_wrong_size_is_refused() {
    let client = workspace();
    unchanged(&client, || {
        for path in [path(&"s".repeat(101), "7"), path("shop", &"7".repeat(256))] {
            client.put(&path, json!({})).expect(400);
        }
        assert_eq!(
            client.put(&path("shop", "%00"), json!({})).expect(422).code(),
            "validation_failed"
        );
    });
    client.put(&path(&"s".repeat(100), &"7".repeat(255)), json!({})).expect(201);
}

#[test]
fn an_upsert_is_refused_like_a_create_and_like_a_patch() {
    let client = workspace();
    let ada = create(&client, json!({ "email": "ada@shop.example.com" })).id();
    client.put(&path("shop", "7"), json!({ "email": "eve@shop.example.com" })).expect(201);
    for id in ["7", "8"] {
        let body = json!({ "email": "Ada@shop.example.com" });
        let refused = unchanged(&client, || client.put(&path("shop", id), body)).expect(409);
        assert_eq!(refused.fault(), ("already_exists", "#/email"));
        assert_eq!(refused.json["existing_id"], ada);
        let body = json!({ "birth_date": "yesterday" });
        let refused = unchanged(&client, || client.put(&path("shop", id), body)).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", "#/birth_date"));
    }
}

#[test]
fn the_reference_of_a_deleted_customer_is_free() {
    let client = workspace();
    let first =
        client.put(&path("shop", "7"), json!({ "email": "a@shop.example.com" })).expect(201);
    client.delete(&at(&first.id())).expect(204);
    let second =
        client.put(&path("shop", "7"), json!({ "email": "a@shop.example.com" })).expect(201);
    assert_ne!(first.id(), second.id());
    assert_eq!(holder(&client, "a@shop.example.com").expect(200).id(), second.id());
}

#[test]
fn null_in_an_upsert_that_creates_means_absent() {
    let client = workspace();
    let attributes = json!({ "a": null, "b": 1 });
    let body = json!({ "email": null, "first_name": null, "tags": null, "attributes": attributes });
    let made = client.put(&path("shop", "7"), body).expect(201);
    assert_eq!(made.json["attributes"], json!({ "b": 1 }));
    assert_eq!(made.json["tags"], json!([]));
}
