//! Stripe's payment and charge events.

use chrono::Utc;
use serde_json::{Value, json};

use super::{SECRET, Shop, eur, mac, work};
use crate::harness::{Answer, App, workspace};

fn signed(shop: &Shop, at: i64, body: &str) -> Answer {
    let tag = mac(SECRET.as_bytes(), format!("{at}.{body}").as_bytes());
    let tag = ecrm::crypto::hex(&tag);
    shop.send(&[("Stripe-Signature", &*format!("t={at},v0=00,v1=11,v1={tag}"))], body)
}

fn send(shop: &Shop, id: &str, kind: &str, object: &Value) -> Answer {
    let now = Utc::now().timestamp();
    let event = json!({ "id": id, "object": "event", "type": kind, "created": 1_773_475_200,
                        "data": { "object": object } });
    signed(shop, now, &event.to_string())
}

fn intent(metadata: &Value) -> Value {
    json!({ "id": "pi_1", "object": "payment_intent", "amount": 10_000, "amount_received": 10_000,
            "currency": "eur", "status": "succeeded", "receipt_email": "ada@shop.example.com",
            "created": 1_773_475_200, "metadata": metadata })
}

#[test]
fn a_signature_of_stripe_has_a_time_that_is_not_long_ago() {
    let client = workspace();
    let shop = Shop::of(&client, "stripe");
    let (now, body) = (Utc::now().timestamp(), r#"{"id":"evt_1","type":"x"}"#);
    signed(&shop, now, body).expect(200);
    signed(&shop, now - 600, body).expect_code(401, "invalid_signature");
    signed(&shop, now + 600, body).expect_code(401, "invalid_signature");
}

#[test]
fn a_payment_pays_the_order_that_it_names() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let body = json!({ "currency": "EUR", "total": eur(10_000) });
    let order = client.put("/v1/orders/external/shop/77", body).expect(201).id();
    let names = json!({ "order_id": "77", "order_source": "shop" });
    send(&shop, "evt_1", "payment_intent.succeeded", &intent(&names)).expect(200);
    work(&app);
    let path = format!("/v1/orders/{order}");
    let paid = client.get(&path).expect(200).json;
    assert_eq!(
        (&paid["financial_status"], &paid["paid_at"]),
        (&json!("paid"), &json!("2026-03-14T08:00:00Z")),
        "{:?}",
        shop.events("")
    );
    // The charge says so once more, and then what was paid back, in all.
    let charge = |refunded: i64| {
        json!({ "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount": 10_000,
                "amount_refunded": refunded, "currency": "eur" })
    };
    send(&shop, "evt_2", "charge.succeeded", &charge(0)).expect(200);
    send(&shop, "evt_3", "charge.refunded", &charge(2500)).expect(200);
    work(&app);
    send(&shop, "evt_4", "charge.refunded", &charge(10_000)).expect(200);
    work(&app);
    let refunded = client.get(&path).expect(200).json;
    assert_eq!(
        (&refunded["financial_status"], &refunded["refunded_total"]),
        (&json!("refunded"), &eur(10_000)),
        "{:?}",
        shop.events("")
    );
    let refunds = client.get(&format!("{path}/refunds")).expect(200).json;
    assert_eq!(refunds["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(shop.orders().len(), 1);
}

#[test]
fn a_payment_waits_for_its_order_and_one_that_names_none_is_one() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let early = intent(&json!({ "order_id": "later", "order_source": "shop" }));
    send(&shop, "evt_1", "payment_intent.succeeded", &early).expect(200);
    work(&app);
    assert_eq!((shop.orders().len(), shop.events("status=pending").len()), (0, 1));
    send(&shop, "evt_2", "payment_intent.succeeded", &intent(&json!({}))).expect(200);
    send(&shop, "evt_3", "customer.created", &json!({ "id": "cus_1" })).expect(200);
    work(&app);
    let made = shop.orders().pop().unwrap_or_else(|| panic!("{:?}", shop.events("")));
    assert_eq!((&made["total"], &made["financial_status"]), (&eur(10_000), &json!("paid")));
    assert_eq!(
        (&made["email"], &made["source"]),
        (&json!("ada@shop.example.com"), &json!("stripe"))
    );
    assert_eq!(shop.events("status=ignored").len(), 1);
}
