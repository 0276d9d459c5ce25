//! Deleting a customer for now, and bringing it back.

use serde_json::{Value, json};

use super::{PATH, at, create, holder, kinds, rows, touchpoints, unchanged, with_email};
use crate::harness::workspace;

fn restore_path(id: &str) -> String {
    format!("{}/restore", at(id))
}

#[test]
fn a_deleted_customer_is_nowhere_to_be_seen() {
    let client = workspace();
    let ada = create(&client, super::create::everything_without_owner()).id();
    assert_eq!(client.delete(&at(&ada)).expect(204).text, "");
    for path in
        ["", "/timeline", "/identities", "/profile", "/history?field=email", "/organizations"]
    {
        client.get(&format!("{}{path}", at(&ada))).expect(404);
    }
    client.patch(&at(&ada), json!({ "first_name": "Eve" })).expect(404);
    client
        .put(&format!("{}/lifecycle_stage", at(&ada)), json!({ "lifecycle_stage": "lead" }))
        .expect(404);
    client
        .post(&format!("{}/identities", at(&ada)), json!({ "type": "cookie", "value": "c" }))
        .expect(404);
    client.delete(&at(&ada)).expect(404);
    holder(&client, "ada@shop.example.com").expect(404);
    assert!(rows(&client.get(PATH).expect(200)).is_empty());
    assert!(rows(&client.post(&format!("{PATH}/search"), json!({})).expect(200)).is_empty());
    let to_deleted = json!({ "type": "page.viewed", "customer": { "id": ada } });
    let refused = unchanged(&client, || client.post("/v1/touchpoints", to_deleted)).expect(422);
    assert_eq!(refused.fault(), ("not_found", "#/customer/id"));
}

#[test]
fn a_restored_customer_is_what_it_was() {
    let client = workspace();
    let mut body = super::create::everything_without_owner();
    body["identities"] = json!([{ "type": "user_id", "value": "u-1" }]);
    let before = create(&client, body);
    let path = format!("{}/identities", at(&before.id()));
    let identities = client.get(&path).expect(200).json;
    client.delete(&at(&before.id())).expect(204);
    let after = client.post(&restore_path(&before.id()), json!({})).expect(200);
    let mut expected = before.json.clone();
    expected["version"] = json!(3);
    expected["updated_at"] = after.json["updated_at"].clone();
    assert_eq!(after.json, expected);
    assert_eq!(after.headers["etag"], "\"3\"");
    assert_eq!(client.get(&path).expect(200).json, identities);
    assert_eq!(holder(&client, "ada@shop.example.com").expect(200).id(), before.id());
    let expected = ["customer.created", "customer.deleted", "customer.restored"];
    assert_eq!(kinds(&client, &before.id()), expected);
}

#[test]
fn a_deleted_customer_gives_its_identities_up_until_it_is_restored() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    client.delete(&at(&ada)).expect(204);
    let heir = with_email(&client, "Ada@shop.example.com");
    let refused = unchanged(&client, || client.post(&restore_path(&ada), json!({}))).expect(409);
    assert_eq!(refused.code(), "identities_value_taken");
    assert_eq!(refused.json["existing_id"], heir);
    client.patch(&at(&heir), json!({ "email": null })).expect(200);
    let restored = client.post(&restore_path(&ada), json!({})).expect(200);
    assert_eq!(restored.json["email"], "ada@shop.example.com");
    assert_eq!(holder(&client, "ada@shop.example.com").expect(200).id(), ada);
}

#[test]
fn what_a_customer_gave_up_itself_does_not_come_back() {
    let client = workspace();
    let ada = with_email(&client, "old@shop.example.com");
    client.patch(&at(&ada), json!({ "email": "new@shop.example.com" })).expect(200);
    for _ in 0..2 {
        client.delete(&at(&ada)).expect(204);
        client.post(&restore_path(&ada), json!({})).expect(200);
    }
    holder(&client, "old@shop.example.com").expect(404);
    assert_eq!(holder(&client, "new@shop.example.com").expect(200).id(), ada);
}

#[test]
fn restoring_what_is_not_deleted_changes_nothing() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let answer = unchanged(&client, || client.post(&restore_path(&ada), json!({}))).expect(200);
    assert_eq!(answer.json["version"], 1);
}

#[test]
fn a_delete_of_an_older_version_is_refused() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    client.patch(&at(&ada), json!({ "first_name": "Ada" })).expect(200);
    let delete = |tag: &str| client.send("DELETE", &at(&ada), &[("If-Match", tag)], None);
    let refused = unchanged(&client, || delete("\"1\"")).expect(412);
    assert_eq!(refused.code(), "version_mismatch");
    delete("\"2\"").expect(204);
}

#[test]
fn many_who_delete_the_same_customer_delete_it_once() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let delete = || client.delete(&at(&ada)).status;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(delete)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 7);
    assert_eq!(touchpoints(&client), 2);
}

#[test]
fn what_happened_with_a_deleted_customer_is_still_known() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let body = json!({ "type": "page.viewed", "customer": { "id": ada } });
    let seen = client.post("/v1/touchpoints", body).expect(201);
    client.delete(&at(&ada)).expect(204);
    client.get(&format!("/v1/touchpoints/{}", seen.id())).expect(200);
    client.post(&restore_path(&ada), json!({})).expect(200);
    let stats = client.get(&at(&ada)).expect(200).json["stats"].clone();
    assert_eq!(stats["touchpoints_count"], 1);
    assert_eq!(stats["last_contacted_at"], Value::Null);
}
