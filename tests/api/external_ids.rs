//! Records by what outside systems call them.

use serde_json::{Value, json};

use crate::harness::{Client, workspace};

fn resources() -> [(&'static str, Value); 6] {
    [
        ("customers", json!({ "first_name": "Ada" })),
        ("organizations", json!({ "name": "Gamsbote" })),
        ("channels", json!({ "name": "Shop", "type": "web" })),
        ("products", json!({ "name": "Rope" })),
        ("orders", json!({ "currency": "EUR" })),
        ("carts", json!({ "currency": "EUR" })),
    ]
}

fn put(client: &Client, path: &str, body: &Value, status: u16) -> crate::harness::Answer {
    client.send("PUT", path, &[], Some(&body.to_string())).expect(status)
}

#[test]
fn a_record_is_read_by_its_outside_id() {
    let (client, other) = (workspace(), workspace());
    for (resource, body) in resources() {
        let path = format!("/v1/{resource}/external/shop/a%2F1");
        client.get(&path).expect(404);
        let made = put(&client, &path, &body, 201);
        let read = client.get(&path).expect(200);
        assert_eq!(read.json, client.get(&format!("/v1/{resource}/{}", made.id())).json);
        assert!(read.headers.contains_key("etag"), "{resource}");
        client.get(&format!("/v1/{resource}/external/crm/a%2F1")).expect(404);
        other.get(&path).expect(404);
    }
}

#[test]
fn a_body_that_contradicts_its_path_is_refused() {
    let client = workspace();
    for (resource, body) in resources() {
        let path = format!("/v1/{resource}/external/shop/1");
        let mut other = body.clone();
        other["external_ids"] =
            json!([{ "source": "crm", "id": "1" }, { "source": "shop", "id": "2" }]);
        let refused = put(&client, &path, &other, 422);
        assert_eq!(refused.fault(), ("contradicts_path", "#/external_ids/1/id"), "{resource}");
        let mut same = body;
        same["external_ids"] = json!([{ "source": "shop", "id": "1" }]);
        put(&client, &path, &same, 201);
    }
}

#[test]
fn a_part_of_the_path_that_is_too_long_is_named() {
    let client = workspace();
    let (long, longer) = ("s".repeat(101), "s".repeat(256));
    for (resource, body) in resources() {
        for (path, name) in
            [(format!("{long}/1"), "source"), (format!("s/{longer}"), "external_id")]
        {
            let refused = put(&client, &format!("/v1/{resource}/external/{path}"), &body, 400);
            assert_eq!(refused.json["errors"][0]["parameter"], name, "{resource}");
        }
    }
}

#[test]
fn an_outside_id_that_is_taken_is_pointed_at() {
    let client = workspace();
    let ids = json!([{ "source": "crm", "id": "7" }, { "source": "shop", "id": "1" }]);
    for (resource, body) in resources().into_iter().filter(|(name, _)| *name != "customers") {
        put(&client, &format!("/v1/{resource}/external/shop/1"), &body, 201);
        let mut second = body;
        second["external_ids"] = ids.clone();
        let refused = client.post(&format!("/v1/{resource}"), second).expect(409);
        assert_eq!(refused.code(), "external_ids_taken");
        assert_eq!(refused.fault(), ("external_ids_taken", "#/external_ids/1"), "{resource}");
    }
}
