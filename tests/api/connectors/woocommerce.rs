//! WooCommerce's own bodies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{SECRET, Shop, eur, mac, work};
use crate::harness::{Answer, App, workspace};

/// An order as the REST API of WooCommerce documents it.
fn order() -> Value {
    json!({
        "id": 727, "number": "727", "status": "processing", "currency": "EUR",
        "prices_include_tax": false, "customer_id": 12,
        "date_created_gmt": "2026-03-22T19:28:02", "date_modified_gmt": "2026-03-22T19:28:08",
        "date_paid_gmt": "2026-03-22T19:28:08", "date_completed_gmt": null,
        "discount_total": "1.00", "shipping_total": "10.00", "total_tax": "1.35", "total": "37.35",
        "customer_note": "",
        "billing": { "first_name": "Johanna", "last_name": "Doe", "company": "", "address_1": "Market 969",
            "address_2": "", "city": "Graz", "state": "6", "postcode": "8010", "country": "AT",
            "email": "johanna.doe@mail.example.com", "phone": "0664 1234567" },
        "shipping": { "first_name": "Johanna", "last_name": "Doe", "address_1": "Market 969" },
        "line_items": [
            { "id": 315, "name": "Woo Single #1", "product_id": 93, "variation_id": 0, "quantity": 3,
              "subtotal": "7.00", "total": "6.00", "total_tax": "0.45", "sku": "", "price": 2 },
            { "id": 316, "name": "Ship Your Idea", "product_id": 22, "variation_id": 23, "quantity": 1,
              "subtotal": "20.00", "total": "20.00", "total_tax": "0.75", "sku": "Bar3", "price": 20 } ],
        "fee_lines": [], "coupon_lines": [{ "code": "one-off" }], "refunds": [],
    })
}

fn send(shop: &Shop, topic: &str, delivery: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let tag = STANDARD.encode(mac(SECRET.as_bytes(), body.as_bytes()));
    let headers = [
        ("X-WC-Webhook-Topic", topic),
        ("X-WC-Webhook-Delivery-ID", delivery),
        ("X-WC-Webhook-Signature", &*tag),
    ];
    shop.send(&headers, &body)
}

#[test]
fn the_ping_of_a_new_webhook_is_answered_and_carries_nothing() {
    let client = workspace();
    let shop = Shop::of(&client, "woocommerce");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = shop.send(&form, "webhook_id=7").expect(200).json;
    assert_eq!(answer, json!({ "received": true, "event_id": null }));
    shop.send(&form, "other=7").expect_code(401, "invalid_signature");
    assert_eq!(shop.events("").len(), 0);
}

#[test]
fn an_order_of_woocommerce_is_an_order_of_ours() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "woocommerce");
    send(&shop, "order.created", "d-1", &order()).expect(200);
    work(&app);
    let made = shop.orders().pop().unwrap_or_else(|| panic!("{:?}", shop.events("")));
    assert_eq!((&made["total"], &made["subtotal"]), (&eur(3735), &eur(2600)));
    assert_eq!((&made["tax_total"], &made["shipping_total"]), (&eur(135), &eur(1000)));
    // 7.00 for three is 2.34 each and a discount that makes up for it.
    let line = &made["line_items"][0];
    assert_eq!(
        (&line["unit_price"], &line["discount_total"], &line["total"]),
        (&eur(234), &eur(102), &eur(600))
    );
    assert_eq!(
        (&made["financial_status"], &made["paid_at"]),
        (&json!("paid"), &json!("2026-03-22T19:28:08Z"))
    );
    assert_eq!(
        (&made["phone"], &made["discount_codes"]),
        (&json!("+436641234567"), &json!(["one-off"]))
    );
    let id = made["customer_id"].as_str().expect("a customer");
    let johanna = client.get(&format!("/v1/customers/{id}")).expect(200).json;
    assert_eq!(
        (&johanna["first_name"], &johanna["external_ids"][0]["id"]),
        (&json!("Johanna"), &json!("12"))
    );
}

#[test]
fn an_order_of_woocommerce_goes_through_its_states() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "woocommerce");
    let mut number = 0;
    let mut news = |status: &str, more: Value| {
        number += 1;
        let mut body = order();
        body["status"] = json!(status);
        body["date_modified_gmt"] = json!(format!("2026-03-23T00:00:{number:02}"));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        send(&shop, "order.updated", &format!("d-{number}"), &body).expect(200);
        work(&app);
        let made = shop.orders().pop().unwrap_or_else(|| panic!("{:?}", shop.events("")));
        let word = |field: &str| made[field].as_str().unwrap().to_owned();
        (word("status"), word("financial_status"), word("fulfillment_status"))
    };
    let words = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let unpaid = json!({ "date_paid_gmt": null });
    assert_eq!(news("on-hold", unpaid), words("open", "pending", "unfulfilled"));
    assert_eq!(news("processing", json!({})), words("open", "paid", "unfulfilled"));
    assert_eq!(
        news("completed", json!({ "date_completed_gmt": "2026-03-24T00:00:00" })),
        words("completed", "paid", "fulfilled")
    );
    let refunds = json!({ "refunds": [{ "id": 726, "reason": "late", "total": "-10.00" }] });
    assert_eq!(news("completed", refunds), words("completed", "partially_refunded", "fulfilled"));
    assert_eq!(news("refunded", json!({})), words("completed", "refunded", "unfulfilled"));
    let draft = json!({ "id": 9, "status": "checkout-draft", "currency": "EUR" });
    send(&shop, "order.updated", "draft", &draft).expect(200);
    send(&shop, "order.deleted", "gone", &json!({ "id": 727 })).expect(200);
    work(&app);
    assert_eq!((shop.orders().len(), shop.events("status=ignored").len()), (0, 1));
}
