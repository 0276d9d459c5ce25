//! Batches of every resource: what is wrong with one item stays with that item.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, workspace};

/// Each batch, with an item that is taken and the name of a field of it that is a text.
fn batches() -> [(&'static str, Value, &'static str); 6] {
    let money = json!({ "amount": 100, "currency": "EUR" });
    let line = json!({ "name": "Rope", "quantity": 1, "unit_price": money });
    [
        ("/v1/customers/batch", json!({ "first_name": "Ada" }), "first_name"),
        ("/v1/products/batch", json!({ "name": "Rope" }), "name"),
        ("/v1/orders/batch", json!({ "currency": "EUR", "line_items": [line] }), "currency"),
        ("/v1/channels/batch", json!({ "type": "email", "name": "Letter" }), "name"),
        ("/v1/organizations/batch", json!({ "name": "Gamsbote" }), "name"),
        ("/v1/touchpoints/batch", json!({ "type": "page.viewed" }), "type"),
    ]
}

fn with(item: &Value, name: &str, value: Value) -> Value {
    let mut item = item.clone();
    item[name] = value;
    item
}

fn fates(answer: &Answer) -> Vec<(i64, &str, &str)> {
    let results = answer.json["results"].as_array().expect("results").iter();
    let fate = |result: &'_ Value| result["status"].as_i64().expect("a status");
    results
        .map(|r| {
            let fault = &r["error"]["errors"][0];
            let text = |name: &str| fault[name].as_str().unwrap_or_default();
            (fate(r), text("code"), text("pointer"))
        })
        .collect()
}

fn count(client: &Client, path: &str) -> Value {
    let list = path.trim_end_matches("/batch");
    client.get(&format!("{list}?include_total=true&limit=200")).expect(200).json["data"]
        .as_array()
        .map(|rows| rows.iter().filter(|row| row["source"] != "ecrm").count())
        .into()
}

#[test]
fn an_item_that_cannot_be_read_leaves_the_others_alone() {
    for (path, good, text) in batches() {
        let client = workspace();
        let items = json!([
            good,
            with(&good, "statuss", json!("x")),
            with(&good, text, json!({})),
            7,
            with(&good, text, json!("a\u{0}b")),
            good,
        ]);
        let answer = client.post(path, json!({ "items": items })).expect(207);
        let pointer = format!("#/{text}");
        let expected = [
            (201, "", ""),
            (422, "unknown_field", "#/statuss"),
            (422, "invalid_type", pointer.as_str()),
            (422, "invalid_type", "#"),
            (422, "nul_character", pointer.as_str()),
            (201, "", ""),
        ];
        assert_eq!(fates(&answer), expected, "{path}");
        assert_eq!(answer.json["failed"], 4, "{path}");
        assert_eq!(count(&client, path), 2, "{path}");
    }
}

#[test]
fn a_word_that_is_none_and_a_field_that_is_missing_stay_with_their_item() {
    let client = workspace();
    let items = json!([
        { "currency": "EUR" }, { "currency": "EUR", "status": "shipped" }, { "number": "1" },
    ]);
    let answer = client.post("/v1/orders/batch", json!({ "items": items })).expect(207);
    let expected =
        [(201, "", ""), (422, "invalid_type", "#/status"), (422, "required", "#/currency")];
    assert_eq!(fates(&answer), expected);
}

#[test]
fn an_atomic_batch_is_refused_with_its_unreadable_item_and_stores_nothing() {
    for (path, good, text) in batches().into_iter().filter(|(path, ..)| !path.contains("touch")) {
        let client = workspace();
        let items = json!({ "items": [good, with(&good, text, json!(1))] });
        let refused = client.post(&format!("{path}?atomic=true"), items).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", format!("#/items/1/{text}").as_str()));
        assert_eq!(count(&client, path), 0, "{path}");
    }
}

#[test]
fn a_key_that_stands_twice_in_an_item_refuses_that_item() {
    let client = workspace();
    let body = r#"{"items": [{"first_name": "Ada"}, {"first_name": "Ada", "first_name": "Eva"}]}"#;
    let answer = client.send("POST", "/v1/customers/batch", &[], Some(body)).expect(207);
    let statuses: Vec<i64> = fates(&answer).iter().map(|fate| fate.0).collect();
    assert_eq!(statuses, [201, 400]);
}

#[test]
fn what_is_no_batch_is_refused_as_a_whole() {
    let client = workspace();
    for (path, good, _) in batches() {
        for (body, expected) in [
            (json!({}), ("required", "#/items")),
            (json!({ "items": [] }), ("invalid_length", "#/items")),
            (json!({ "items": "x" }), ("invalid_type", "#/items")),
            (json!({ "items": [good], "item": 1 }), ("unknown_field", "#/item")),
            (json!([good]), ("invalid_type", "#")),
        ] {
            let refused = client.post(path, body.clone()).expect(422);
            assert_eq!(refused.fault(), expected, "{path}: {body}");
        }
        client.send("POST", path, &[], Some(r#"{"items": [{}, {]}"#)).expect(400);
        assert_eq!(count(&client, path), 0, "{path}");
    }
}
