//! Up to a thousand customers in one call, each on its own or all together.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{PATH, at, create, holder, rows, touchpoints, unchanged};
use crate::harness::{Answer, Client, workspace};

fn send(client: &Client, items: Value) -> Answer {
    client.post(&format!("{PATH}/batch"), json!({ "items": items }))
}

fn send_atomic(client: &Client, items: Value) -> Answer {
    client.post(&format!("{PATH}/batch?atomic=true"), json!({ "items": items }))
}

fn statuses(answer: &Answer) -> Vec<i64> {
    let results = answer.json["results"].as_array().expect("results");
    for (position, result) in results.iter().enumerate() {
        assert_eq!(result["index"], position);
        assert_ne!(result["id"].is_null(), result["error"].is_null(), "{result}");
    }
    results.iter().map(|result| result["status"].as_i64().expect("a status")).collect()
}

fn fault(answer: &Answer, item: usize) -> (&str, &str) {
    let first = &answer.json["results"][item]["error"]["errors"][0];
    (first["code"].as_str().unwrap_or_default(), first["pointer"].as_str().unwrap_or_default())
}

#[test]
fn each_item_is_made_or_refused_on_its_own() {
    let client = workspace();
    let known = create(&client, json!({ "email": "known@shop.example.com" })).id();
    let items = json!([
        { "email": "ada@shop.example.com", "first_name": "Ada" },
        { "email": "nope" },
        { "email": "Known@shop.example.com" },
        { "email": "ADA@shop.example.com" },
        { "owner_id": Uuid::now_v7() },
        {},
        { "addresses": [{ "type": "home", "country": "at" }] },
    ]);
    let done = send(&client, items).expect(207);
    assert_eq!(statuses(&done), [201, 422, 409, 409, 422, 201, 422]);
    assert_eq!(done.json["failed"], 5);
    assert_eq!(fault(&done, 1), ("invalid_email", "#/email"));
    assert_eq!(fault(&done, 2), ("already_exists", "#/email"));
    assert_eq!(done.json["results"][2]["error"]["existing_id"], known);
    let ada = done.json["results"][0]["id"].as_str().expect("an id");
    assert_eq!(done.json["results"][3]["error"]["existing_id"], ada);
    assert_eq!(fault(&done, 4), ("not_found", "#/owner_id"));
    assert_eq!(fault(&done, 6), ("invalid_country", "#/addresses/0/country"));
    assert_eq!(client.get(&at(ada)).expect(200).json["first_name"], "Ada");
    let all = client.get(&format!("{PATH}?include_total=true")).expect(200);
    assert_eq!(all.json["total"], 3);
    assert_eq!(touchpoints(&client), 3);
}

#[test]
fn an_atomic_batch_is_made_whole_or_not_at_all() {
    let client = workspace();
    let known = create(&client, json!({ "email": "known@shop.example.com" })).id();
    let good = |email: &str| json!({ "email": email });
    let taken = json!([
        good("a@shop.example.com"),
        good("b@shop.example.com"),
        good("known@shop.example.com")
    ]);
    let refused = unchanged(&client, || send_atomic(&client, taken)).expect(409);
    assert_eq!(refused.code(), "identities_value_taken");
    assert_eq!(refused.fault(), ("already_exists", "#/items/2/email"));
    assert_eq!(refused.json["existing_id"], known);
    let invalid = json!([good("a@shop.example.com"), { "currency": "eur" }, { "email": "x" }]);
    let refused = unchanged(&client, || send_atomic(&client, invalid)).expect(422);
    assert_eq!(refused.fault(), ("invalid_currency", "#/items/1/currency"));
    let twice = json!([good("a@shop.example.com"), good("A@shop.example.com")]);
    let refused = unchanged(&client, || send_atomic(&client, twice)).expect(409);
    assert_eq!(refused.fault(), ("already_exists", "#/items/1/email"));
    let done = send_atomic(&client, json!([good("a@shop.example.com"), {}])).expect(207);
    assert_eq!(statuses(&done), [201, 201]);
    holder(&client, "a@shop.example.com").expect(200);
}

#[test]
fn a_batch_has_1_to_1000_items() {
    let client = workspace();
    let items = |n: usize| Value::Array(vec![json!({}); n]);
    unchanged(&client, || {
        for wrong in [items(0), items(1001)] {
            let refused = send(&client, wrong).expect(422);
            assert_eq!(refused.fault(), ("invalid_length", "#/items"));
        }
        let refused = client.post(&format!("{PATH}/batch"), json!({})).expect(422);
        assert_eq!(refused.fault(), ("required", "#/items"));
        let refused = send(&client, json!({})).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", "#/items"));
        client.post(&format!("{PATH}/batch?atomic=maybe"), json!({ "items": [{}] })).expect(400);
    });
    let done = send(&client, items(1000)).expect(207);
    assert_eq!((statuses(&done).len(), &done.json["failed"]), (1000, &json!(0)));
    assert_eq!(touchpoints(&client), 1000);
}

#[test]
fn an_item_of_the_wrong_shape_refuses_an_atomic_batch_and_is_named() {
    let client = workspace();
    unchanged(&client, || {
        let refused = send_atomic(&client, json!([{}, { "nope": 1 }])).expect(422);
        assert_eq!(refused.fault(), ("unknown_field", "#/items/1/nope"));
        let refused = send_atomic(&client, json!([{}, {}, { "email": 12345 }])).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", "#/items/2/email"));
        let refused = send_atomic(&client, json!([{}, { "first_name": "\u{0}" }])).expect(422);
        assert_eq!(refused.fault(), ("nul_character", "#/items/1/first_name"));
    });
}

#[test]
fn every_kind_of_identity_is_unique_within_a_batch() {
    let client = workspace();
    let items = json!([
        { "phone": "+436641234567" },
        { "identities": [{ "type": "phone", "value": "+43 664 1234567" }] },
        { "external_ids": [{ "source": "shop", "id": "1" }] },
        { "external_ids": [{ "source": "shop", "id": "1" }] },
        { "external_ids": [{ "source": "erp", "id": "1" }] },
        { "identities": [{ "type": "user_id", "value": "u" }] },
        { "identities": [{ "type": "user_id", "value": "u" }], "first_name": "Ada" },
        { "identities": [{ "type": "cookie", "value": "u" }] },
    ]);
    let done = send(&client, items).expect(207);
    assert_eq!(statuses(&done), [201, 409, 201, 409, 201, 201, 409, 201]);
    assert_eq!(fault(&done, 1), ("already_exists", "#/identities/0/value"));
    assert_eq!(fault(&done, 3), ("already_exists", "#/external_ids/0"));
    assert_eq!(fault(&done, 6), ("already_exists", "#/identities/0/value"));
}

#[test]
fn an_item_that_was_refused_takes_nothing_from_those_after_it() {
    let client = workspace();
    let number = json!({
        "resource": "customer", "key": "card", "name": "Card", "type": "string", "unique": true,
    });
    client.post("/v1/attribute_definitions", number).expect(201);
    create(&client, json!({ "attributes": { "card": "1" } }));
    let items = json!([
        { "email": "ada@shop.example.com", "attributes": { "card": "1" } },
        { "email": "ada@shop.example.com", "attributes": { "card": "2" } },
    ]);
    let done = send(&client, items).expect(207);
    assert_eq!(statuses(&done), [409, 201]);
    assert_eq!(rows(&client.get(PATH)).len(), 2);
}
