//! Stripe's payment and charge events.

use chrono::Utc;
use serde_json::{Value, json};

use super::{SECRET, Shop, eur, mac, work};
use crate::harness::{Answer, App, Client, workspace};

fn signed(shop: &Shop, at: i64, body: &str) -> Answer {
    let tag = mac(SECRET.as_bytes(), format!("{at}.{body}").as_bytes());
    let tag = ecrm::crypto::hex(&tag);
    shop.send(&[("Stripe-Signature", &*format!("t={at},v0=00,v1=11,v1={tag}"))], body)
}

pub fn send(shop: &Shop, id: &str, kind: &str, object: &Value) -> Answer {
    let now = Utc::now().timestamp();
    let event = json!({ "id": id, "object": "event", "type": kind, "created": 1_773_475_200,
                        "data": { "object": object } });
    signed(shop, now, &event.to_string())
}

pub fn intent(metadata: &Value) -> Value {
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

pub fn charge(id: &str, intent: &str, amount: i64, more: &Value) -> Value {
    let mut charge = json!({ "id": id, "object": "charge", "payment_intent": intent, "amount": amount,
                             "amount_captured": amount, "captured": true, "amount_refunded": 0,
                             "currency": "eur" });
    charge.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    charge
}

/// An order of the shop that payments name.
pub fn ordered(client: &Client, id: &str) -> (String, Value) {
    let body = json!({ "currency": "EUR", "total": eur(10_000) });
    let made = client.put(&format!("/v1/orders/external/shop/{id}"), body).expect(201).id();
    (
        format!("/v1/orders/{made}"),
        json!({ "metadata": { "order_id": id, "order_source": "shop" } }),
    )
}

#[test]
fn what_is_authorized_is_paid_when_it_is_captured_and_never_when_it_expires() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let state = |path: &str| {
        let order = client.get(path).expect(200).json;
        (
            order["financial_status"].as_str().unwrap().to_owned(),
            order["paid_total"]["amount"].clone(),
        )
    };
    let words = |word: &str, paid: i64| (word.to_owned(), json!(paid));
    let held = json!({ "captured": false, "amount_captured": 0 });
    for (at, (end, after)) in
        [("charge.captured", words("paid", 10_000)), ("charge.expired", words("voided", 0))]
            .into_iter()
            .enumerate()
    {
        let (path, names) = ordered(&client, &format!("a{at}"));
        let (ch, pi) = (format!("ch_{at}"), format!("pi_{at}"));
        let mut first = charge(&ch, &pi, 10_000, &held);
        first.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
        send(&shop, &format!("evt_{at}_1"), "charge.succeeded", &first).expect(200);
        work(&app);
        assert_eq!(state(&path), words("authorized", 0), "{:?}", shop.events(""));
        let last = charge(&ch, &pi, 10_000, &json!({}));
        send(&shop, &format!("evt_{at}_2"), end, &last).expect(200);
        work(&app);
        assert_eq!(state(&path), after, "{end}: {:?}", shop.events(""));
    }
    // Some versions of the API call it a refund when an authorization is let go.
    let (path, names) = ordered(&client, "older");
    let mut hold = charge("ch_o", "pi_o", 10_000, &held);
    hold.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
    send(&shop, "evt_o_1", "charge.succeeded", &hold).expect(200);
    work(&app);
    hold["amount_refunded"] = json!(10_000);
    send(&shop, "evt_o_2", "charge.refunded", &hold).expect(200);
    work(&app);
    assert_eq!(state(&path), words("voided", 0), "{:?}", shop.events(""));
    // What nobody ordered is let go every day.
    send(&shop, "evt_x", "payment_intent.canceled", &intent(&json!({ "order_id": "none" })))
        .expect(200);
    work(&app);
    assert_eq!(shop.events("status=ignored").len(), 1);
}

#[test]
fn several_payments_of_one_order_add_up_and_each_counts_once() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let (path, names) = ordered(&client, "two");
    let mut number = 0;
    let mut tell = |kind: &str, object: &Value| {
        number += 1;
        send(&shop, &format!("evt_{number}"), kind, object).expect(200);
        work(&app);
        let order = client.get(&path).expect(200).json;
        let amount = |field: &str| order[field]["amount"].as_i64().unwrap();
        (
            order["financial_status"].as_str().unwrap().to_owned(),
            amount("paid_total"),
            amount("refunded_total"),
        )
    };
    let of = |word: &str, paid: i64, refunded: i64| (word.to_owned(), paid, refunded);
    let deposit = charge("ch_1", "pi_1", 4000, &names);
    let balance = charge("ch_2", "pi_2", 6000, &names);
    assert_eq!(tell("charge.succeeded", &deposit), of("partially_paid", 4000, 0));
    assert_eq!(tell("charge.succeeded", &deposit), of("partially_paid", 4000, 0));
    assert_eq!(tell("charge.succeeded", &balance), of("paid", 10_000, 0));
    let back = |mut charge: Value, amount: i64| {
        charge["amount_refunded"] = json!(amount);
        charge
    };
    let some = back(deposit.clone(), 2000);
    assert_eq!(tell("charge.refunded", &some), of("partially_refunded", 10_000, 2000));
    assert_eq!(tell("charge.refunded", &some), of("partially_refunded", 10_000, 2000));
    let more = back(balance, 3000);
    assert_eq!(tell("charge.refunded", &more), of("partially_refunded", 10_000, 5000));
    let rest = back(deposit, 4000);
    assert_eq!(tell("charge.refunded", &rest), of("partially_refunded", 10_000, 7000));
    let refunds = client.get(&format!("{path}/refunds")).expect(200).json;
    assert_eq!(refunds["data"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_refund_counts_once_also_when_the_shop_tells_it_after_the_provider() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let (path, names) = ordered(&client, "slow");
    let mut told = charge("ch_1", "pi_1", 10_000, &names);
    send(&shop, "evt_1", "charge.succeeded", &told).expect(200);
    told["amount_refunded"] = json!(5000);
    send(&shop, "evt_2", "charge.refunded", &told).expect(200);
    work(&app);
    let refunds = || -> Vec<Value> {
        let list = client.get(&format!("{path}/refunds")).expect(200).json;
        serde_json::from_value(list["data"].clone()).expect("a list")
    };
    let deduced = refunds().pop().expect("what the provider told");
    let news = |refunds: Value| {
        let body = json!({ "currency": "EUR", "total": eur(10_000), "refunds": refunds });
        let order = client.put("/v1/orders/external/shop/slow", body).expect(200).json;
        order["refunded_total"]["amount"].as_i64().expect("an amount")
    };
    let first = json!({ "external_id": "1", "amount": eur(2000), "reason": "a scratch" });
    let second = json!({ "external_id": "2", "amount": eur(3000) });
    let third = json!({ "external_id": "3", "amount": eur(500) });
    assert_eq!(news(json!([first])), 5000);
    assert_eq!(
        refunds().iter().map(|one| &one["amount"]["amount"]).collect::<Vec<_>>(),
        [2000, 3000]
    );
    assert_eq!(news(json!([first, second])), 5000);
    let both = refunds();
    assert_eq!(both.len(), 2);
    assert_eq!((&both[1]["id"], &both[1]["external_id"]), (&deduced["id"], &json!("2")));
    // What the provider has not told is more.
    assert_eq!(news(json!([first, second, third])), 5500);
    told["amount_refunded"] = json!(5500);
    send(&shop, "evt_3", "charge.refunded", &told).expect(200);
    work(&app);
    assert_eq!(refunds().len(), 3);
    let log = client.get("/v1/touchpoints?type=order.refunded,order.updated&sort=occurred_at");
    let log: Vec<Value> = serde_json::from_value(log.expect(200).json["data"].clone()).unwrap();
    let values = log.iter().filter_map(|one| one["value"]["amount"].as_i64());
    assert_eq!(values.collect::<Vec<_>>(), [5000, 500], "{log:?}");
    let change =
        log.iter().find_map(|one| one["properties"]["changes"]["refunds"]["to"].as_array());
    assert_eq!(change.expect("told")[0]["reason"], "a scratch");
}

#[test]
fn what_was_not_captured_was_not_paid_back() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let (path, names) = ordered(&client, "part");
    let mut some = charge("ch_1", "pi_1", 10_000, &names);
    (some["amount_captured"], some["amount_refunded"]) = (json!(6000), json!(4000));
    send(&shop, "evt_1", "charge.captured", &some).expect(200);
    send(&shop, "evt_2", "charge.refunded", &some).expect(200);
    work(&app);
    let order = client.get(&path).expect(200).json;
    assert_eq!((&order["paid_total"], &order["refunded_total"]), (&eur(6000), &eur(0)));
}

#[test]
fn a_payment_in_another_currency_pays_nothing_and_is_seen() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let (path, mut yen) = ordered(&client, "yen");
    yen["currency"] = json!("jpy");
    send(&shop, "evt_1", "charge.succeeded", &charge("ch_1", "pi_1", 10_000, &yen)).expect(200);
    work(&app);
    assert_eq!(client.get(&path).expect(200).json["paid_total"], eur(0));
    let failed = shop.events("status=failed");
    assert_eq!(failed[0]["error"]["errors"][0]["code"], "currency_mismatch", "{failed:?}");
}

#[test]
fn a_payment_finds_its_order_also_when_that_is_named_later() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let (path, names) = ordered(&client, "later");
    // The intent knows nothing of the order; the session that it belongs to does.
    send(&shop, "evt_1", "payment_intent.succeeded", &intent(&json!({}))).expect(200);
    work(&app);
    assert_eq!(shop.orders().len(), 2);
    let mut session = json!({ "id": "cs_1", "object": "checkout.session", "payment_intent": "pi_1",
                              "payment_status": "paid", "amount_total": 10_000, "currency": "eur" });
    session.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
    send(&shop, "evt_2", "checkout.session.completed", &session).expect(200);
    work(&app);
    assert_eq!(shop.events("status=failed"), Vec::<Value>::new());
    assert_eq!(shop.orders().len(), 1);
    let order = client.get(&path).expect(200).json;
    assert_eq!((&order["financial_status"], &order["paid_total"]), (&json!("paid"), &eur(10_000)));
    assert_eq!(order["external_ids"][1], json!({ "source": "stripe", "id": "pi_1" }));
    // Another payment takes the place of its id; what comes of the first one finds the order all the same.
    session["payment_intent"] = json!("pi_2");
    send(&shop, "evt_3", "checkout.session.completed", &session).expect(200);
    work(&app);
    let mut back = charge("ch_1", "pi_1", 10_000, &json!({}));
    send(&shop, "evt_4", "charge.succeeded", &back).expect(200);
    back["amount_refunded"] = json!(10_000);
    send(&shop, "evt_5", "charge.refunded", &back).expect(200);
    let more = json!({ "amount_refunded": 500 });
    send(&shop, "evt_6", "charge.refunded", &charge("ch_2", "pi_2", 10_000, &more)).expect(200);
    work(&app);
    assert_eq!(shop.events("status=failed"), Vec::<Value>::new());
    assert_eq!(shop.orders().len(), 1);
    assert_eq!(client.get(&path).expect(200).json["refunded_total"], eur(500));
}
