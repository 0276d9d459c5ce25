//! The canonical body, for every other shop.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde_json::{Value, json};

use super::{SECRET, Shop, eur, mac, work};
use crate::harness::{Answer, App};

pub fn send(shop: &Shop, id: &str, kind: &str, data: &Value) -> Answer {
    let at = Utc::now().timestamp().to_string();
    let body =
        json!({ "type": kind, "timestamp": "2026-03-14T08:00:00Z", "data": data }).to_string();
    let tag = STANDARD.encode(mac(SECRET.as_bytes(), format!("{id}.{at}.{body}").as_bytes()));
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", &*at),
        ("webhook-signature", &*format!("v1,{tag}")),
    ];
    shop.send(&headers, &body)
}

#[test]
fn the_canonical_body_says_what_our_own_api_takes() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "medusa");
    send(&shop, "m-1", "product.created", &json!({ "external_id": "p1", "name": "Rope" }))
        .expect(200);
    let bob = json!({ "external_id": "c1", "email": "bob@shop.example.com", "first_name": "Bob",
                      "marketing_consent": "granted", "consented_at": "2026-03-01T00:00:00Z" });
    send(&shop, "m-2", "customer.created", &bob).expect(200);
    let cart =
        json!({ "external_id": "cart1", "currency": "EUR", "email": "bob@shop.example.com" });
    send(&shop, "m-3", "cart.updated", &cart).expect(200);
    work(&app);
    let order = json!({ "external_id": "o1", "currency": "EUR", "email": "bob@shop.example.com",
        "financial_status": "paid", "cart": { "external_id": { "source": "medusa", "id": "cart1" } },
        "line_items": [{ "product_external_id": "p1", "name": "Rope", "quantity": 1,
                         "unit_price": eur(5000) }] });
    send(&shop, "m-4", "order.placed", &order).expect(200);
    work(&app);
    let refund = json!({ "order_external_id": "o1", "external_id": "r1", "amount": eur(500) });
    send(&shop, "m-5", "refund.created", &refund).expect(200);
    work(&app);
    assert_eq!(shop.events("status=processed").len(), 5, "{:?}", shop.events(""));
    let made = shop.orders().pop().expect("an order");
    assert_eq!((&made["source"], &made["refunded_total"]), (&json!("medusa"), &eur(500)));
    let product = client.get("/v1/products").expect(200).json["data"][0]["id"].clone();
    assert_eq!(made["line_items"][0]["product_id"], product);
    let cart = client.get("/v1/carts").expect(200).json["data"][0].clone();
    assert_eq!(
        (&cart["status"], &cart["customer_id"]),
        (&json!("converted"), &made["customer_id"])
    );
    send(&shop, "m-6", "order.deleted", &json!({ "external_id": "o1" })).expect(200);
    work(&app);
    assert_eq!(shop.orders().len(), 0);
}

#[test]
fn what_is_wrong_with_a_canonical_body_is_said_where_it_is() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "saleor");
    let fault = |id: &str, kind: &str, data: Value| {
        send(&shop, id, kind, &data).expect(200);
        work(&app);
        let failed = shop.events("status=failed").remove(0);
        let error = &failed["error"]["errors"][0];
        (error["code"].as_str().unwrap().to_owned(), error["pointer"].as_str().unwrap().to_owned())
    };
    let is = |code: &str, pointer: &str| (code.to_owned(), pointer.to_owned());
    assert_eq!(
        fault("1", "order.placed", json!({ "currency": "EUR" })),
        is("required", "#/data/external_id")
    );
    assert_eq!(
        fault("2", "order.placed", json!({ "external_id": "1", "currrency": "EUR" })),
        is("unknown_field", "#/data/currrency")
    );
    assert_eq!(
        fault("3", "order.placed", json!({ "external_id": "1", "currency": "EUR", "email": "x" })),
        is("invalid_email", "#/data/email")
    );
    assert_eq!(
        fault("4", "refund.created", json!({ "amount": eur(1) })),
        is("required", "#/data/order_external_id")
    );
}

#[test]
fn the_type_says_what_the_order_leaves_out() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "medusa");
    let order = json!({ "external_id": "o1", "currency": "EUR", "total": eur(5000) });
    let mut number = 0;
    let mut tell = |kind: &str| {
        number += 1;
        send(&shop, &format!("m-{number}"), kind, &order).expect(200);
        work(&app);
        let made = shop.orders().pop().expect("an order");
        ["status", "financial_status", "fulfillment_status"].map(|word| made[word].clone())
    };
    assert_eq!(tell("order.placed"), ["open", "pending", "unfulfilled"]);
    assert_eq!(tell("order.paid"), ["open", "paid", "unfulfilled"]);
    assert_eq!(tell("order.fulfilled"), ["open", "paid", "fulfilled"]);
    assert_eq!(tell("order.completed"), ["completed", "paid", "fulfilled"]);
    assert_eq!(tell("order.canceled"), ["cancelled", "paid", "fulfilled"]);
}

#[test]
fn a_refund_is_believed_up_to_what_was_ordered_and_raised_by_a_later_word() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "medusa");
    let order = json!({ "external_id": "o1", "currency": "EUR", "total": eur(3500) });
    send(&shop, "m-1", "order.placed", &order).expect(200);
    work(&app);
    let mut number = 1;
    let mut refund = |id: &str, amount: i64| {
        number += 1;
        let body = json!({ "order_external_id": "o1", "external_id": id, "amount": eur(amount) });
        send(&shop, &format!("m-{number}"), "refund.created", &body).expect(200);
        work(&app);
        let made = shop.orders().pop().expect("an order");
        (made["paid_total"]["amount"].clone(), made["refunded_total"]["amount"].clone())
    };
    let of = |paid: i64, refunded: i64| (json!(paid), json!(refunded));
    assert_eq!(refund("r0", 999_900), of(0, 0));
    let failed = shop.events("status=failed");
    assert_eq!(failed[0]["error"]["errors"][0]["code"], "refund_exceeds_payment", "{failed:?}");
    // Nobody had told the payment.
    assert_eq!(refund("r1", 1000), of(1000, 1000));
    assert_eq!(refund("r1", 1500), of(1500, 1500));
    assert_eq!(refund("r1", 1200), of(1500, 1500));
    assert_eq!(refund("r2", 2000), of(3500, 3500));
    assert_eq!(refund("r2", 2001), of(3500, 3500));
    assert_eq!(refund("r3", 1), of(3500, 3500));
    assert_eq!(shop.events("status=failed").len(), 3);
    let log = client.get("/v1/touchpoints?type=order.refunded&sort=occurred_at").expect(200).json;
    let values = log["data"].as_array().expect("a list").iter();
    let mut values: Vec<_> = values.map(|one| one["value"]["amount"].as_i64()).collect();
    values.sort_unstable();
    assert_eq!(values, [Some(500), Some(1000), Some(2000)]);
}

#[test]
fn a_customer_of_the_canonical_body_has_a_language() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "medusa");
    let bob = json!({ "external_id": "c1", "email": "bob@shop.example.com", "locale": "de-at" });
    send(&shop, "m-1", "customer.created", &bob).expect(200);
    let order = json!({ "external_id": "o1", "currency": "EUR", "email": "bob@shop.example.com",
                        "billing_address": { "first_name": "Bob", "last_name": "Norman" } });
    send(&shop, "m-2", "order.placed", &order).expect(200);
    work(&app);
    let bob = client.get("/v1/customers").expect(200).json["data"][0].clone();
    assert_eq!(
        (&bob["locale"], &bob["last_name"], &bob["addresses"]),
        (&json!("de-AT"), &json!("Norman"), &json!([]))
    );
}
