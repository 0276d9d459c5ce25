//! Test data lives beside live data and never meets it.

use serde_json::json;

use crate::customers::{PATH, at, create, holder, rows, unchanged, with_email};
use crate::harness::workspace;

#[test]
fn test_customers_are_apart_from_live_ones() {
    let live = workspace();
    let test = live.test_mode();
    let ours = with_email(&live, "ada@shop.example.com");
    let theirs = unchanged(&live, || with_email(&test, "ada@shop.example.com"));
    assert_ne!(ours, theirs);
    test.get(&at(&ours)).expect(404);
    live.get(&at(&theirs)).expect(404);
    assert_eq!(holder(&live, "ada@shop.example.com").expect(200).id(), ours);
    assert_eq!(holder(&test, "ada@shop.example.com").expect(200).id(), theirs);
    assert_eq!(rows(&live.get(PATH).expect(200)).len(), 1);
    assert_eq!(rows(&test.get(PATH).expect(200)).len(), 1);
    unchanged(&live, || {
        test.patch(&at(&ours), json!({ "first_name": "Eve" })).expect(404);
        test.delete(&at(&ours)).expect(404);
    });
    test.delete(&at(&theirs)).expect(204);
    live.get(&at(&ours)).expect(200);
}

#[test]
fn test_touchpoints_are_apart_from_live_ones() {
    let live = workspace();
    let test = live.test_mode();
    let body = json!({
        "type": "page.viewed", "source": "shop", "message_id": "1",
        "customer": { "email": "ada@shop.example.com" },
    });
    let path = "/v1/touchpoints?on_unknown_customer=create";
    let ours = live.post(path, body.clone()).expect(201);
    let theirs = unchanged(&live, || test.post(path, body)).expect(201);
    assert_ne!(ours.id(), theirs.id());
    assert!(!theirs.headers.contains_key("idempotent-replayed"));
    test.get(&format!("/v1/touchpoints/{}", ours.id())).expect(404);
    let to_live = json!({ "type": "page.viewed", "customer": { "id": ours.json["customer_id"] } });
    let refused = test.post("/v1/touchpoints", to_live).expect(422);
    assert_eq!(refused.fault(), ("not_found", "#/customer/id"));
}

#[test]
fn an_outside_id_means_one_customer_in_each_mode() {
    let live = workspace();
    let test = live.test_mode();
    let path = format!("{PATH}/external/shop/7");
    let ours = live.put(&path, json!({})).expect(201).id();
    let theirs = test.put(&path, json!({})).expect(201).id();
    assert_ne!(ours, theirs);
    assert_eq!(live.put(&path, json!({ "score": 1 })).expect(200).id(), ours);
    assert_eq!(test.get(&at(&theirs)).expect(200).json["score"], json!(null));
}

#[test]
fn attribute_definitions_of_one_mode_do_not_bind_the_other() {
    let live = workspace();
    let test = live.test_mode();
    let definition = json!({
        "resource": "customer", "key": "card", "name": "Card", "type": "number", "required": true,
    });
    test.post("/v1/attribute_definitions", definition).expect(201);
    create(&live, json!({ "attributes": { "card": "text" } }));
    test.post(PATH, json!({ "attributes": { "card": "text" } })).expect(422);
    assert!(rows(&live.get("/v1/attribute_definitions").expect(200)).is_empty());
}

#[test]
fn a_test_key_may_name_a_user_of_the_workspace_as_owner() {
    let live = workspace();
    let user = json!({ "email": "mira@shop.example.com", "name": "Mira", "role": "agent" });
    let mira = live.post("/v1/users", user).expect(201).id();
    let made = create(&live.test_mode(), json!({ "owner_id": mira }));
    assert_eq!(made.json["owner_id"], mira);
}
