//! Money that goes back, and goods that come back.

use serde_json::{Value, json};

use super::{PATH, at, create, eur, kinds, log, refused, ropes};
use crate::harness::{Client, workspace};

/// A paid order, and the path of its refunds.
fn paid(client: &Client) -> (String, String) {
    let mut body = ropes("ada@shop.example.com");
    body["financial_status"] = json!("paid");
    body["fulfillment_status"] = json!("fulfilled");
    let id = create(client, body).id();
    let path = format!("{}/refunds", at(&id));
    (id, path)
}

#[test]
fn a_refund_keeps_what_it_was_given_and_changes_the_order() {
    let client = workspace();
    let (id, path) = paid(&client);
    let body = json!({ "external_id": "r1", "amount": eur(5000), "reason": "too short",
                       "is_return": true, "line_items": [{ "external_id": "rope", "quantity": 1 }],
                       "refunded_at": "2026-03-20T08:00:00Z" });
    let made = client.post(&path, body).expect(201);
    assert_eq!(made.headers["location"], format!("{path}/{}", made.id()));
    assert_eq!((&made.json["amount"], &made.json["reason"]), (&eur(5000), &json!("too short")));
    assert_eq!(made.json["line_items"][0]["sku"], "rope");
    assert_eq!(client.get(&format!("{path}/{}", made.id())).expect(200).json, made.json);
    let order = client.get(&at(&id)).expect(200).json;
    assert_eq!(order["financial_status"], "partially_refunded");
    assert_eq!(order["refunded_total"], eur(5000));
    assert_eq!(order["line_items"][0]["returned_quantity"], 1);
    assert_eq!(order["fulfillment_status"], "fulfilled");
    let told =
        ["order.fulfilled", "order.paid", "order.placed", "order.refunded", "order.returned"];
    assert_eq!(kinds(&client, &id), told);
    let refunded = log(&client, &id).into_iter().find(|row| row["type"] == "order.refunded");
    let refunded = refunded.expect("told");
    assert_eq!(
        (&refunded["value"], &refunded["occurred_at"]),
        (&eur(5000), &json!("2026-03-20T08:00:00Z"))
    );
    // The rest, without a return.
    client.post(&path, json!({ "amount": eur(5000) })).expect(201);
    let order = client.get(&at(&id)).expect(200).json;
    assert_eq!(
        (&order["financial_status"], &order["fulfillment_status"]),
        (&json!("refunded"), &json!("fulfilled"))
    );
    assert_eq!(client.get(&path).expect(200).json["data"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_an_order_that_is_refunded_implies_gives_way_to_what_its_source_tells() {
    let client = workspace();
    let (id, path) = paid(&client);
    client.patch(&at(&id), json!({ "financial_status": "refunded" })).expect(200);
    let known = client.get(&path).expect(200).json["data"][0].clone();
    assert_eq!(known["amount"], eur(10_000));
    let told = json!({ "external_id": "r1", "amount": eur(10_000), "reason": "too short" });
    let made = client.post(&path, told.clone()).expect(201);
    assert_eq!((&made.json["id"], &made.json["reason"]), (&known["id"], &json!("too short")));
    client.post(&path, told).expect(201);
    assert_eq!(client.get(&path).expect(200).json["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(client.get(&at(&id)).expect(200).json["refunded_total"], eur(10_000));
    assert_eq!(kinds(&client, &id).iter().filter(|kind| *kind == "order.refunded").count(), 1);
    // It is the source's word now, and whatever else is one more.
    let more = json!({ "external_id": "r2", "amount": eur(1) });
    refused(client.post(&path, more), "refund_exceeds_payment", "#/amount");
}

#[test]
fn refunds_are_at_most_what_was_paid() {
    let client = workspace();
    let (id, path) = paid(&client);
    let too_much = client.post(&path, json!({ "amount": eur(10_001) }));
    assert!(too_much.text.contains("100.00 EUR"));
    refused(too_much, "refund_exceeds_payment", "#/amount");
    client.post(&path, json!({ "amount": eur(9000) })).expect(201);
    refused(
        client.post(&path, json!({ "amount": eur(1001) })),
        "refund_exceeds_payment",
        "#/amount",
    );
    refused(
        client.patch(&at(&id), json!({ "paid_total": eur(8999) })),
        "refund_exceeds_payment",
        "#/paid_total",
    );
    let usd = json!({ "amount": { "amount": 1, "currency": "USD" } });
    refused(client.post(&path, usd), "currency_mismatch", "#/amount/currency");
    refused(client.post(&path, json!({ "amount": eur(-1) })), "out_of_range", "#/amount/amount");
    let unpaid = create(&client, ropes("ada@shop.example.com")).id();
    let path = format!("{}/refunds", at(&unpaid));
    refused(client.post(&path, json!({ "amount": eur(1) })), "refund_exceeds_payment", "#/amount");
    assert_eq!(client.get(&at(&id)).expect(200).json["refunded_total"], eur(9000));
}

#[test]
fn a_refund_is_entered_once() {
    let client = workspace();
    let (id, path) = paid(&client);
    let body = json!({ "external_id": "r1", "amount": eur(1000) });
    let first = client.post(&path, body.clone()).expect(201);
    let again = client.post(&path, body.clone()).expect(201);
    assert_eq!((again.id(), &*again.headers["idempotent-replayed"]), (first.id(), "true"));
    // Also where it comes with the order.
    let patch = json!({ "refunds": [body, { "external_id": "r2", "amount": eur(500) }] });
    let order = client.patch(&at(&id), patch.clone()).expect(200).json;
    assert_eq!(order["refunded_total"], eur(1500));
    let same = client.patch(&at(&id), patch).expect(200).json;
    assert_eq!(same["version"], order["version"]);
}

#[test]
fn goods_can_come_back_without_money_and_no_more_than_there_were() {
    let client = workspace();
    let (id, path) = paid(&client);
    let back = |quantity: i32| {
        json!({ "amount": eur(0), "is_return": true,
                "line_items": [{ "external_id": "rope", "quantity": quantity }] })
    };
    refused(client.post(&path, back(3)), "out_of_range", "#/line_items/0/quantity");
    client.post(&path, back(2)).expect(201);
    let order = client.get(&at(&id)).expect(200).json;
    assert_eq!(
        (&order["fulfillment_status"], &order["financial_status"]),
        (&json!("returned"), &json!("paid"))
    );
    assert_eq!(kinds(&client, &id).iter().filter(|kind| *kind == "order.returned").count(), 1);
}

#[test]
fn an_order_that_is_said_to_be_refunded_is_so_altogether() {
    let client = workspace();
    let (id, path) = paid(&client);
    client.post(&path, json!({ "amount": eur(4000) })).expect(201);
    let order = client.patch(&at(&id), json!({ "financial_status": "refunded" })).expect(200).json;
    assert_eq!(order["refunded_total"], eur(10_000));
    let amounts: Vec<Value> = client.get(&path).expect(200).json["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["amount"]["amount"].clone())
        .collect();
    assert_eq!(amounts, [json!(6000), json!(4000)]);
    let unsaid =
        json!({ "currency": "EUR", "total": eur(9), "financial_status": "partially_refunded" });
    refused(client.post(PATH, unsaid), "required", "#/refunds");
}

#[test]
fn a_line_that_was_cancelled_before_it_was_sent_does_not_come_back() {
    let client = workspace();
    let id = create(&client, ropes("ada@shop.example.com")).id();
    let body = json!({ "external_id": "r1", "amount": eur(0),
                       "line_items": [{ "external_id": "rope", "quantity": 1 }] });
    client.post(&format!("{}/refunds", at(&id)), body).expect(201);
    assert_eq!(kinds(&client, &id), ["order.placed", "order.updated"]);
    let told = log(&client, &id).pop().expect("a change");
    let changes = &told["properties"]["changes"];
    assert_eq!(changes["refunds"]["to"][0]["line_items"][0]["quantity"], 1, "{told}");
}
