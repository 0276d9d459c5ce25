//! WooCommerce's own bodies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use ecrm::schema::changes;
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
    assert_eq!(news("refunded", json!({})), words("completed", "refunded", "fulfilled"));
    // The money went back before the shop says that none came.
    let unpaid = json!({ "date_paid_gmt": null });
    assert_eq!(news("on-hold", unpaid), words("open", "refunded", "unfulfilled"));
    let draft = json!({ "id": 9, "status": "checkout-draft", "currency": "EUR" });
    send(&shop, "order.updated", "draft", &draft).expect(200);
    send(&shop, "order.deleted", "gone", &json!({ "id": 727 })).expect(200);
    work(&app);
    assert_eq!((shop.orders().len(), shop.events("status=ignored").len()), (0, 1));
}

#[test]
fn what_is_paid_on_delivery_is_not_paid_yet() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "woocommerce");
    let mut cash = order();
    (cash["date_paid_gmt"], cash["payment_method"]) = (Value::Null, json!("cod"));
    send(&shop, "order.created", "d-1", &cash).expect(200);
    work(&app);
    let made = shop.orders().pop().expect("an order");
    assert_eq!((&made["financial_status"], &made["paid_at"]), (&json!("pending"), &Value::Null));
}

#[test]
fn two_messages_of_one_second_share_an_id_and_are_both_kept() {
    let client = workspace();
    let shop = Shop::of(&client, "woocommerce");
    let mut other = order();
    (other["id"], other["number"]) = (json!(728), json!("728"));
    for body in [order(), other, order()] {
        send(&shop, "order.updated", "d-1", &body).expect(200);
    }
    assert_eq!(shop.events("").len(), 2);
}

#[test]
fn a_deleted_order_comes_back_by_newer_news_alone() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "woocommerce");
    let tell = |topic: &str, delivery: &str, body: &Value| {
        send(&shop, topic, delivery, body).expect(200);
        work(&app);
        let orders = shop.orders();
        orders.first().map(|order| order["id"].as_str().unwrap().to_owned())
    };
    let made = tell("order.created", "d-1", &order()).expect("an order");
    assert_eq!(tell("order.deleted", "d-2", &json!({ "id": 727 })), None);
    // It was on its way while the order was deleted.
    let mut late = order();
    late["date_modified_gmt"] = json!("2026-03-22T20:00:00");
    assert_eq!(tell("order.updated", "d-3", &late), None);
    assert_eq!(tell("order.restored", "d-4", &order()), Some(made.clone()));
    assert_eq!(tell("order.deleted", "d-5", &json!({ "id": 727 })), None);
    late["date_modified_gmt"] = json!(chrono::Utc::now() + chrono::TimeDelta::minutes(1));
    assert_eq!(tell("order.updated", "d-6", &late), Some(made));
    assert_eq!(shop.events("status=failed"), Vec::<Value>::new());
}

#[test]
fn a_customer_of_woocommerce_is_one_of_ours() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "woocommerce");
    let johanna = |last_name: &str, at: &str| {
        json!({ "id": 12, "email": "johanna.doe@mail.example.com", "first_name": "Johanna",
                "last_name": last_name, "date_modified_gmt": at,
                "billing": { "phone": "0664 1234567", "country": "AT" } })
    };
    send(&shop, "customer.created", "d-1", &johanna("Doe", "2026-03-01T08:00:00")).expect(200);
    work(&app);
    send(&shop, "customer.updated", "d-2", &johanna("Roe", "2026-03-02T08:00:00")).expect(200);
    send(&shop, "customer.deleted", "d-3", &json!({ "id": 12 })).expect(200);
    work(&app);
    // What comes late, or once more, takes nothing back.
    send(&shop, "customer.updated", "d-4", &johanna("Doe", "2026-03-01T09:00:00")).expect(200);
    work(&app);
    let all = client.get("/v1/customers").expect(200).json;
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
    let known = &all["data"][0];
    assert_eq!(
        (&known["last_name"], &known["phone"], &known["external_ids"][0]["id"]),
        (&json!("Roe"), &json!("+436641234567"), &json!("12"))
    );
    assert_eq!(shop.events("status=ignored").len(), 2);
}

#[test]
fn what_nobody_dates_happened_when_the_shop_told_it() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "woocommerce");
    let told = |status: &str, at: &str| {
        let mut body = order();
        (body["status"], body["date_modified_gmt"]) = (json!(status), json!(at));
        body["date_created_gmt"] = json!("2023-01-01T00:00:00");
        body["date_paid_gmt"] = json!("2023-01-01T00:00:00");
        body["refunds"] = json!([{ "id": 726, "reason": "late", "total": "-10.00" }]);
        body
    };
    let import = |body: Value| {
        let page = json!({ "topic": "order.updated", "items": [body], "backfill": true });
        let path = format!("/v1/connectors/{}/import", shop.channel);
        let done = client.post(&path, page).expect(207).json;
        assert_eq!(done["failed"], 0, "{done}");
    };
    import(told("processing", "2023-02-01T00:00:00"));
    import(told("cancelled", "2023-03-01T00:00:00"));
    assert_eq!(shop.orders()[0]["cancelled_at"], "2023-03-01T00:00:00Z");
    let log = client.get("/v1/touchpoints?limit=200").expect(200).json;
    let at = |kind: &str| {
        let found = log["data"].as_array().unwrap().iter().find(|row| row["type"] == kind);
        found.unwrap_or_else(|| panic!("{kind} is not in {log}"))["occurred_at"].clone()
    };
    assert_eq!(at("order.refunded"), "2023-02-01T00:00:00Z");
    assert_eq!(at("order.cancelled"), "2023-03-01T00:00:00Z");
    client.get("/v1/changes?from=oldest").expect(200);
    let history = changes::table.filter(changes::workspace_id.eq(client.workspace_id));
    let history = history.filter(changes::is_backfill).count();
    assert_eq!(history.get_result::<i64>(&mut client.owner()).expect("a count"), 2);
}
