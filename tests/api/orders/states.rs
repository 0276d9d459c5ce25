//! How an order moves: what is allowed, what follows, and what the timeline says of it.

use serde_json::{Value, json};

use super::{PATH, at, create, eur, kinds, log, refused, ropes};
use crate::harness::{Client, workspace};

fn order(client: &Client) -> String {
    create(client, ropes("ada@shop.example.com")).id()
}

fn move_to(client: &Client, id: &str, field: &str, state: &str) -> Value {
    client.patch(&at(id), json!({ field: state })).expect(200).json
}

#[test]
fn payment_follows_from_figures_or_from_a_word() {
    let client = workspace();
    let id = order(&client);
    let half = client.patch(&at(&id), json!({ "paid_total": eur(4000) })).expect(200).json;
    assert_eq!(
        (&half["financial_status"], &half["paid_at"]),
        (&json!("partially_paid"), &Value::Null)
    );
    let paid = move_to(&client, &id, "financial_status", "paid");
    assert_eq!(paid["paid_total"], eur(10_000));
    assert!(paid["paid_at"].is_string());
    assert_eq!(kinds(&client, &id), ["order.paid", "order.placed", "order.updated"]);
    assert_eq!(log(&client, &id).last().expect("paid")["value"], eur(10_000));
    // A time says that it happened.
    let at_once = json!({ "currency": "EUR", "total": eur(5), "paid_at": "2026-03-14T08:00:00Z" });
    let made = create(&client, at_once).json;
    assert_eq!((&made["financial_status"], &made["paid_total"]), (&json!("paid"), &eur(5)));
    let unsaid =
        json!({ "currency": "EUR", "total": eur(5), "financial_status": "partially_paid" });
    refused(client.post(PATH, unsaid), "required", "#/paid_total");
}

#[test]
fn an_illegal_move_is_refused_with_those_that_are_legal() {
    let client = workspace();
    let illegal = |first: Value, then: Value, allowed: Value| {
        let id = order(&client);
        client.patch(&at(&id), first).expect(200);
        let before = client.get(&at(&id)).expect(200).json;
        let answer = client.patch(&at(&id), then).expect_code(409, "invalid_transition");
        assert_eq!(answer.json["allowed"], allowed, "{}", answer.text);
        assert_eq!(client.get(&at(&id)).expect(200).json, before);
    };
    illegal(json!({ "status": "cancelled" }), json!({ "status": "open" }), json!(["archived"]));
    illegal(
        json!({ "financial_status": "paid" }),
        json!({ "financial_status": "pending" }),
        json!(["partially_paid", "partially_refunded", "refunded"]),
    );
    illegal(
        json!({ "financial_status": "voided" }),
        json!({ "financial_status": "paid" }),
        json!([]),
    );
    illegal(
        json!({ "fulfillment_status": "fulfilled" }),
        json!({ "fulfillment_status": "unfulfilled" }),
        json!(["partial", "returned"]),
    );
}

#[test]
fn an_order_is_cancelled_once() {
    let client = workspace();
    let id = order(&client);
    let cancel = format!("{}/cancel", at(&id));
    let body = json!({ "cancel_reason": "out of stock", "cancelled_at": "2026-03-14T08:00:00Z" });
    let after = client.post(&cancel, body).expect(200).json;
    assert_eq!(
        (&after["status"], &after["financial_status"]),
        (&json!("cancelled"), &json!("voided"))
    );
    assert_eq!(after["cancelled_at"], "2026-03-14T08:00:00Z");
    assert_eq!(kinds(&client, &id), ["order.cancelled", "order.placed"]);
    client.post(&cancel, json!({})).expect_code(409, "invalid_transition");
    client
        .post(&format!("{}/fulfillments", at(&id)), json!({}))
        .expect_code(409, "invalid_transition");
    client.post(&cancel, json!({ "because": "x" })).expect(422);
}

#[test]
fn what_was_paid_for_a_cancelled_order_is_paid_back_by_refunds() {
    let client = workspace();
    let id = order(&client);
    move_to(&client, &id, "financial_status", "paid");
    let after = client.post(&format!("{}/cancel", at(&id)), json!({})).expect(200).json;
    assert_eq!(after["financial_status"], "paid");
    client.post(&format!("{}/refunds", at(&id)), json!({ "amount": eur(10_000) })).expect(201);
    assert_eq!(client.get(&at(&id)).expect(200).json["financial_status"], "refunded");
}

#[test]
fn fulfillments_make_an_order_partial_and_then_fulfilled() {
    let client = workspace();
    let id = order(&client);
    let path = format!("{}/fulfillments", at(&id));
    let one = json!({ "external_id": "f1", "line_items": [{ "external_id": "rope", "quantity": 1 }],
                      "tracking_company": "Post", "tracking_number": "1Z",
                      "tracking_url": "https://post.example.com/1Z",
                      "fulfilled_at": "2026-03-15T08:00:00Z" });
    let made = client.post(&path, one.clone()).expect(201);
    assert_eq!(made.headers["location"], format!("{path}/{}", made.id()));
    assert_eq!(made.json["line_items"][0]["quantity"], 1);
    assert_eq!(client.get(&format!("{path}/{}", made.id())).expect(200).json, made.json);
    let again = client.post(&path, one).expect(201);
    assert_eq!((again.id(), &*again.headers["idempotent-replayed"]), (made.id(), "true"));
    let after = client.get(&at(&id)).expect(200).json;
    assert_eq!(after["fulfillment_status"], "partial");
    assert_eq!(after["line_items"][0]["fulfilled_quantity"], 1);
    // Of each line at most what is left; nothing named is everything left.
    let two = json!({ "line_items": [{ "external_id": "rope", "quantity": 2 }] });
    refused(client.post(&path, two), "out_of_range", "#/line_items/0/quantity");
    let other = json!({ "line_items": [{ "external_id": "shoe", "quantity": 1 }] });
    refused(client.post(&path, other), "not_found", "#/line_items/0");
    client.post(&path, json!({})).expect(201);
    let after = client.get(&at(&id)).expect(200).json;
    assert_eq!(after["fulfillment_status"], "fulfilled");
    assert!(after["fulfilled_at"].is_string());
    refused(client.post(&path, json!({})), "nothing_left", "#");
    assert_eq!(kinds(&client, &id), ["order.fulfilled", "order.placed", "order.updated"]);
    assert_eq!(client.get(&path).expect(200).json["data"].as_array().map(Vec::len), Some(2));
}

#[test]
fn every_fulfilled_line_is_known_where_the_order_is_said_to_be_fulfilled() {
    let client = workspace();
    let id = order(&client);
    let after = move_to(&client, &id, "fulfillment_status", "fulfilled");
    assert_eq!(after["line_items"][0]["fulfilled_quantity"], 2);
    let after = move_to(&client, &id, "fulfillment_status", "returned");
    assert_eq!(after["line_items"][0]["returned_quantity"], 2);
}

/// A shop's own word may take anything back.
#[test]
fn a_state_that_was_left_takes_its_time_along() {
    use ecrm::db::{Outcome, Tx};
    use ecrm::external_ids::ExternalId;
    use ecrm::http::conditional::UNCONDITIONAL;
    use ecrm::orders::OrderPatch;
    use ecrm::sources::Told;
    let client = workspace();
    let tell = |body: Value| {
        let patch: OrderPatch = serde_json::from_value(body).expect("a patch");
        let app = crate::harness::App::shared();
        let session = app.session(&client, true);
        let reference = ExternalId { source: "shop".into(), id: "1".into() };
        let told = |tx: &mut Tx| {
            let saved = ecrm::orders::upsert(tx, &patch, &reference, UNCONDITIONAL, Told::ByShop)?;
            serde_json::to_value(saved.resource)
                .map_err(|error| ecrm::error::Error::internal(error.to_string()))
                .map(Outcome::Commit)
        };
        app.state.db.write(&session, &told).expect("told")
    };
    let at = |hour: u32| format!("2026-03-14T{hour:02}:00:00Z");
    let news = |hour: u32, status: &str, payment: &str, goods: &str| {
        tell(json!({ "currency": "EUR", "total": eur(100), "placed_at": at(1), "status": status,
                     "financial_status": payment, "fulfillment_status": goods,
                     "source_updated_at": at(hour) }))
    };
    let times = |order: &Value| {
        let time = |field: &str| order[field].clone();
        (time("cancelled_at"), time("paid_at"), time("fulfilled_at"))
    };
    let none = Value::Null;
    let failed = news(2, "cancelled", "voided", "unfulfilled");
    assert_eq!(times(&failed), (json!(at(2)), none.clone(), none.clone()));
    let resumed = news(3, "open", "paid", "fulfilled");
    assert_eq!(times(&resumed), (none.clone(), json!(at(3)), json!(at(3))));
    let waiting = news(4, "open", "pending", "unfulfilled");
    assert_eq!(times(&waiting), (none.clone(), none.clone(), none));
    let over = news(5, "cancelled", "paid", "fulfilled");
    assert_eq!(times(&over), (json!(at(5)), json!(at(5)), json!(at(5))));
    let id = over["id"].as_str().expect("an id");
    let told = log(&client, id);
    let cancelled = told.iter().filter(|row| row["type"] == "order.cancelled");
    let cancelled: Vec<&Value> = cancelled.map(|row| &row["occurred_at"]).collect();
    assert_eq!(cancelled, [&json!(at(2)), &json!(at(5))]);
}
