//! Which products sell best, and which orders count for it.

use serde_json::{Value, json};

use crate::harness::{Client, workspace};

fn order(client: &Client, name: &str, sku: Option<&str>, cents: i64, status: &str) -> String {
    let item = json!({ "name": name, "sku": sku, "external_id": "line", "quantity": 2,
                       "unit_price": { "amount": cents, "currency": "EUR" } });
    let body = json!({ "currency": "EUR", "financial_status": status, "line_items": [item],
                       "fulfillment_status": "fulfilled" });
    client.post("/v1/orders", body).expect(201).id()
}

fn refund(client: &Client, order: &str, cents: i64, pieces: i64) {
    let mut body = json!({ "amount": { "amount": cents, "currency": "EUR" } });
    if pieces > 0 {
        body["is_return"] = json!(true);
        body["line_items"] = json!([{ "external_id": "line", "quantity": pieces }]);
    }
    client.post(&format!("/v1/orders/{order}/refunds"), body).expect(201);
}

/// Name, orders, pieces and revenue of each.
fn best(client: &Client) -> Value {
    let answer = client.get("/v1/analytics/products").expect(200).json;
    let rows = answer["products"].as_array().expect("a list").iter();
    rows.map(|row| json!([row["name"], row["orders"], row["quantity"], row["revenue"]["amount"]]))
        .collect()
}

#[test]
fn what_sells_best_was_paid_for_and_kept() {
    let client = workspace();
    order(&client, "rope", None, 1_000, "paid");
    for status in ["pending", "authorized", "voided"] {
        order(&client, "dream", None, 999_900, status);
    }
    let taken_back = order(&client, "tent", None, 50_000, "paid");
    refund(&client, &taken_back, 100_000, 2);
    let half_back = order(&client, "stove", None, 700, "paid");
    refund(&client, &half_back, 700, 1);
    let money_back = order(&client, "lamp", None, 900, "paid");
    refund(&client, &money_back, 1_800, 0);
    let sorry = order(&client, "boots", None, 600, "paid");
    refund(&client, &sorry, 100, 0);
    let expected = json!([["rope", 1, 2, 2_000], ["boots", 1, 2, 1_200], ["stove", 1, 1, 700]]);
    assert_eq!(best(&client), expected);
}

#[test]
fn lines_from_before_their_product_was_known_count_with_it() {
    let client = workspace();
    order(&client, "Rope", Some("rope-60"), 1_000, "paid");
    let product = json!({ "name": "Rope", "sku": "rope-60" });
    let product = client.post("/v1/products", product).expect(201).id();
    order(&client, "Rope", Some("rope-60"), 1_000, "paid");
    order(&client, "Rope", Some("rope-80"), 1_000, "paid");
    assert_eq!(best(&client), json!([["Rope", 2, 4, 4_000], ["Rope", 1, 2, 2_000]]));
    let rows = client.get("/v1/analytics/products").expect(200).json["products"].clone();
    assert_eq!((&rows[0]["product_id"], &rows[1]["product_id"]), (&json!(product), &Value::Null));
    // Another workspace's product of the same SKU is none of ours.
    let other = workspace();
    order(&other, "Rope", Some("rope-60"), 1_000, "paid");
    let rows = other.get("/v1/analytics/products").expect(200).json["products"].clone();
    assert_eq!(rows[0]["product_id"], Value::Null);
}
