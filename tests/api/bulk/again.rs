//! Our own exports, taken in again: nothing changes where they are from, and elsewhere they make the
//! same records.

use serde_json::{Value, json};

use super::exports::{export, file};
use super::{counts, import, refusals, workspace};
use crate::harness::Client;

fn list(client: &Client, resource: &str) -> Vec<Value> {
    let sort = if resource == "touchpoints" { "occurred_at" } else { "created_at" };
    let list = client.get(&format!("/v1/{resource}?sort={sort}&limit=200")).expect(200).json;
    list["data"].as_array().expect("a list").clone()
}

/// A workspace with everything that is hard to write down.
fn stocked() -> Client {
    let client = workspace();
    let definition =
        json!({ "resource": "customer", "key": "size", "name": "S", "type": "number" });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let ann = json!({ "email": "ann@shop.example.com", "phone": "+436641234567", "first_name": "=Ann",
        "last_name": "'=1", "birth_date": "1990-05-31", "tags": ["a, b", "c"],
        "external_ids": [{ "source": "shop", "id": "17" }, { "source": "erp", "id": "4" }],
        "addresses": [{ "type": "home", "city": "Imst" }, { "type": "home", "city": "Wels" }],
        "acquisition": { "utm_source": "mail" }, "preferences": { "topics": ["x"] },
        "attributes": { "size": 42.5, "note": "@x" } });
    client.post("/v1/customers", ann).expect(201);
    client.post("/v1/customers", json!({ "first_name": "Nobody" })).expect(201);
    let alpen = json!({ "name": "Alpen", "domains": ["alpen.example.com"],
                        "annual_revenue": { "amount": 1050, "currency": "USD" } });
    client.post("/v1/organizations", alpen).expect(201);
    let rope = json!({ "name": "Rope", "sku": "R", "price": { "amount": 1990, "currency": "USD" },
                       "attributes": { "length": 60 } });
    let rope = client.post("/v1/products", rope).expect(201).id();
    let money = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    let order = json!({ "currency": "EUR", "number": "#1", "email": "ann@shop.example.com",
        "external_ids": [{ "source": "shop", "id": "1" }], "shipping_total": money(490),
        "line_items": [{ "name": "Rope", "sku": "R", "product_id": rope, "quantity": 2,
                         "unit_price": money(1000), "discount_total": money(1) }],
        "financial_status": "paid", "billing_address": { "city": "Imst" },
        "placed_at": "2026-03-01T10:00:00Z", "utm": { "source": "mail" } });
    client.post("/v1/orders", order).expect(201);
    let guest = json!({ "currency": "EUR", "total": money(100), "financial_status": "paid",
                        "refunds": [{ "amount": money(30), "external_id": "r1" }] });
    client.post("/v1/orders", guest).expect(201);
    let seen = json!({ "type": "product.viewed", "customer": { "email": "ann@shop.example.com" },
                       "properties": { "a": 1 }, "value": money(5) });
    client.post("/v1/touchpoints", seen).expect(201);
    client
}

const RESOURCES: [&str; 5] = ["customers", "organizations", "products", "orders", "touchpoints"];

#[test]
fn an_export_taken_in_again_changes_nothing() {
    let client = stocked();
    for resource in RESOURCES {
        for format in ["ndjson", "csv"] {
            let text =
                file(&client, &export(&client, json!({ "resource": resource, "format": format })));
            let before = list(&client, resource);
            for policy in ["skip", "update"] {
                let new = json!({ "resource": resource, "format": format, "on_duplicate": policy });
                let done = import(&client, new, &text);
                let skipped = i64::try_from(before.len()).expect("few");
                let told = refusals(&client, &done);
                assert_eq!(
                    counts(&done),
                    [0, 0, skipped, 0],
                    "{resource} {format} {policy} {told:?}"
                );
            }
            assert_eq!(list(&client, resource), before, "{resource} {format}");
        }
    }
}

/// What a record is, without what every workspace has of its own.
fn essence(mut record: Value) -> Value {
    let own = ["id", "created_at", "updated_at", "version", "customer_id", "stats", "received_at"];
    own.iter().for_each(|name| record[*name] = Value::Null);
    for line in record["line_items"].as_array_mut().into_iter().flatten() {
        (line["id"], line["product_id"]) = (Value::Null, Value::Null);
    }
    record
}

#[test]
fn an_export_makes_the_same_records_elsewhere() {
    let client = stocked();
    for format in ["ndjson", "csv"] {
        let other = workspace();
        let definition =
            json!({ "resource": "customer", "key": "size", "name": "S", "type": "number" });
        other.post("/v1/attribute_definitions", definition).expect(201);
        for resource in ["customers", "organizations", "products", "orders"] {
            let text =
                file(&client, &export(&client, json!({ "resource": resource, "format": format })));
            let new = json!({ "resource": resource, "format": format });
            let done = import(&other, new, &text);
            let told = refusals(&other, &done);
            let here: Vec<Value> = list(&client, resource).into_iter().map(essence).collect();
            let there: Vec<Value> = list(&other, resource).into_iter().map(essence).collect();
            assert_eq!(here, there, "{resource} {format} {told:?}");
        }
    }
}

#[test]
fn amounts_are_decimals_in_a_spreadsheet() {
    let client = stocked();
    let columns = json!(["name", "price", "price.currency"]);
    let new = json!({ "resource": "products", "format": "csv", "columns": columns });
    let text = file(&client, &export(&client, new));
    assert_eq!(text, "name,price,price.currency\r\nRope,19.90,USD\r\n");
    let new = json!({ "resource": "organizations", "format": "csv",
                      "columns": ["annual_revenue", "annual_revenue.currency"] });
    let text = file(&client, &export(&client, new));
    assert_eq!(text, "annual_revenue,annual_revenue.currency\r\n10.50,USD\r\n");
}

/// Some columns of an export, changed in a spreadsheet.
#[test]
fn rows_are_known_by_their_id() {
    let client = stocked();
    let id = list(&client, "customers")[1]["id"].as_str().expect("an id").to_owned();
    let file = format!("id,first_name\n{id},Somebody\n");
    let new = json!({ "resource": "customers", "format": "csv", "on_duplicate": "update",
                      "mapping": { "id": "id", "first_name": "first_name" } });
    assert_eq!(counts(&import(&client, new.clone(), &file)), [0, 1, 0, 0]);
    assert_eq!(list(&client, "customers")[1]["first_name"], "Somebody");
    let stranger = workspace();
    assert_eq!(
        counts(&import(&stranger, new.clone(), &file)),
        [1, 0, 0, 0],
        "it is nobody's there"
    );
    let done = import(&client, new, "id,first_name\n4711,X\n");
    let refused = &refusals(&client, &done)[0];
    assert_eq!([&*refused[1], &*refused[2]], ["id", "invalid_id"]);
    assert_eq!(list(&client, "customers")[1]["first_name"], "Somebody");
}
