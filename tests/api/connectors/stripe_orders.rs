//! Which orders Stripe's payments are for, and how much of them.

use serde_json::{Value, json};

use super::stripe::{charge, intent, ordered, send};
use super::{Shop, custom, eur, work};
use crate::harness::{App, Client};

fn set(mut object: Value, more: &Value) -> Value {
    object.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
    object
}

fn session(more: &Value) -> Value {
    let session = json!({ "id": "cs_1", "object": "checkout.session", "payment_intent": null,
                          "mode": "payment", "payment_status": "paid", "amount_total": 10_000,
                          "currency": "eur", "metadata": {} });
    set(session, more)
}

fn amounts(client: &Client, path: &str) -> (i64, i64, String) {
    let order = client.get(path).expect(200).json;
    let amount = |field: &str| order[field]["amount"].as_i64().expect("an amount");
    let word = order["financial_status"].as_str().expect("a word").to_owned();
    (amount("paid_total"), amount("refunded_total"), word)
}

#[test]
fn the_session_of_a_subscription_is_no_payment_beside_that_of_its_invoice() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    send(&shop, "evt_1", "payment_intent.succeeded", &intent(&json!({}))).expect(200);
    let subscription = session(&json!({ "mode": "subscription", "invoice": "in_1" }));
    let free = session(&json!({ "payment_status": "no_payment_required", "invoice": "in_2" }));
    let setup = session(&json!({ "mode": "setup", "payment_status": "no_payment_required" }));
    for (at, body) in [subscription, free, setup].iter().enumerate() {
        send(&shop, &format!("evt_s{at}"), "checkout.session.completed", body).expect(200);
    }
    work(&app);
    assert_eq!((shop.orders().len(), shop.events("status=ignored").len()), (1, 3));
}

#[test]
fn what_was_paid_beyond_the_total_is_given_back_first() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let mut number = 0;
    let mut tell = |kind: &str, object: &Value| {
        number += 1;
        send(&shop, &format!("evt_{number}"), kind, object).expect(200);
        work(&app);
        assert_eq!(shop.events("status=failed"), Vec::<Value>::new());
    };
    let (path, names) = ordered(&client, "twice");
    let first = charge("ch_1", "pi_1", 10_000, &names);
    let second = charge("ch_2", "pi_2", 10_000, &names);
    let back =
        |charge: &Value, amount: i64| set(charge.clone(), &json!({ "amount_refunded": amount }));
    tell("charge.succeeded", &first);
    tell("charge.succeeded", &second);
    tell("charge.refunded", &back(&second, 10_000));
    assert_eq!(amounts(&client, &path), (10_000, 0, "paid".into()));
    tell("charge.refunded", &back(&first, 2500));
    assert_eq!(amounts(&client, &path), (10_000, 2500, "partially_refunded".into()));
    // The refund of the second comes before anything of the first.
    let (path, names) = ordered(&client, "turned");
    let first = charge("ch_3", "pi_3", 10_000, &names);
    let second = charge("ch_4", "pi_4", 10_000, &names);
    tell("charge.refunded", &back(&second, 10_000));
    assert_eq!(amounts(&client, &path), (10_000, 10_000, "refunded".into()));
    tell("charge.succeeded", &first);
    assert_eq!(amounts(&client, &path), (10_000, 0, "paid".into()));
    assert_eq!(client.get(&format!("{path}/refunds")).expect(200).json["data"], json!([]));
    tell("charge.succeeded", &first);
    assert_eq!(amounts(&client, &path), (10_000, 0, "paid".into()));
    // Three of 40.00 for 100.00, and one of them back.
    let (path, names) = ordered(&client, "three");
    for at in 5..8 {
        tell("charge.succeeded", &charge(&format!("ch_{at}"), &format!("pi_{at}"), 4000, &names));
    }
    tell("charge.refunded", &back(&charge("ch_7", "pi_7", 4000, &names), 4000));
    assert_eq!(amounts(&client, &path), (10_000, 2000, "partially_refunded".into()));
}

#[test]
fn an_order_id_without_its_source_is_that_of_one_of_the_shops() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    Shop::of(&client, "woocommerce");
    let order = |source: &str, id: &str| {
        let body = json!({ "currency": "EUR", "total": eur(10_000) });
        let made = client.put(&format!("/v1/orders/external/{source}/{id}"), body).expect(201).id();
        format!("/v1/orders/{made}")
    };
    let mut number = 0;
    let mut pay = |kind: &str, object: &Value| {
        number += 1;
        let mut object = object.clone();
        let field = if kind.starts_with("checkout") { "payment_intent" } else { "id" };
        object[field] = json!(format!("pi_{number}"));
        send(&shop, &format!("evt_{number}"), kind, &object).expect(200);
        work(&app);
    };
    let paid = (10_000, 0, "paid".to_owned());
    let path = order("woocommerce", "3001");
    pay("payment_intent.succeeded", &intent(&json!({ "order_id": "3001" })));
    assert_eq!(amounts(&client, &path), paid, "{:?}", shop.events(""));
    // Several shops have such an order.
    Shop::of(&client, "medusa");
    let doubled = [order("woocommerce", "3002"), order("medusa", "3002")];
    pay("payment_intent.succeeded", &intent(&json!({ "order_id": "3002" })));
    let failed = shop.events("status=failed");
    assert_eq!(failed[0]["error"]["errors"][0]["code"], "ambiguous_reference", "{failed:?}");
    // The channel says whose they are, also of a system that is no shop here.
    let config = json!({ "config": { "order_source": "medusa" } });
    client.patch(&format!("/v1/channels/{}", shop.channel), config).expect(200);
    client.send("POST", &format!("/v1/connectors/{}/replay", shop.channel), &[], None).expect(202);
    work(&app);
    assert_eq!(amounts(&client, &doubled[1]), paid);
    assert_eq!(amounts(&client, &doubled[0]).0, 0);
    let config = json!({ "config": { "order_source": "erp" } });
    client.patch(&format!("/v1/channels/{}", shop.channel), config).expect(200);
    let path = order("erp", "7");
    pay("checkout.session.completed", &session(&json!({ "client_reference_id": "7" })));
    assert_eq!(amounts(&client, &path), paid);
}

#[test]
fn what_a_session_refers_to_is_an_order_where_it_surely_is_one() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    let (path, _) = ordered(&client, "7");
    let id = path.rsplit('/').next().expect("an id");
    let body = |intent: &str, reference: &str| {
        session(&json!({ "payment_intent": intent, "client_reference_id": reference }))
    };
    send(&shop, "evt_1", "checkout.session.completed", &body("pi_1", id)).expect(200);
    work(&app);
    assert_eq!(amounts(&client, &path).0, 10_000, "{:?}", shop.events(""));
    // It may be the number of a customer.
    send(&shop, "evt_2", "checkout.session.completed", &body("pi_2", "7")).expect(200);
    work(&app);
    assert_eq!(shop.orders().len(), 2, "{:?}", shop.events(""));
}

#[test]
fn stripe_counts_some_currencies_in_units_of_its_own() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "stripe");
    for (at, (currency, told, kept)) in
        [("isk", 50_000, 500), ("ugx", 50_000, 500), ("mga", 500, 50_000), ("jpy", 500, 500)]
            .into_iter()
            .enumerate()
    {
        let more = json!({ "id": format!("pi_{at}"), "currency": currency, "amount": told,
                           "amount_received": told });
        let body = set(intent(&json!({})), &more);
        send(&shop, &format!("evt_{at}"), "payment_intent.succeeded", &body).expect(200);
        work(&app);
        let made = shop.orders();
        let made = made.iter().find(|one| one["external_ids"][0]["id"] == format!("pi_{at}"));
        assert_eq!(made.expect("an order")["total"]["amount"], kept, "{currency}");
    }
}

#[test]
fn a_payment_waits_for_the_order_that_it_names_also_where_it_is_one_already() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let stripe = Shop::of(&client, "stripe");
    send(&stripe, "evt_1", "payment_intent.succeeded", &intent(&json!({}))).expect(200);
    work(&app);
    assert_eq!(stripe.orders().len(), 1, "of the payment alone");
    let named = session(&json!({ "payment_intent": "pi_1", "metadata": { "order_id": "1001" } }));
    send(&stripe, "evt_2", "checkout.session.completed", &named).expect(200);
    work(&app);
    assert_eq!(stripe.events("status=pending").len(), 1, "the shop is slower");
    assert_eq!(stripe.orders().len(), 1);
}

#[test]
fn a_shop_that_has_not_heard_of_a_payment_takes_none_away() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (shop, stripe) = (Shop::of(&client, "medusa"), Shop::of(&client, "stripe"));
    let mut minute = 0;
    let mut tell = |status: &str| {
        minute += 1;
        let order = json!({ "external_id": "7", "currency": "EUR", "total": eur(10_000),
                            "financial_status": status,
                            "source_updated_at": format!("2026-03-14T09:0{minute}:00Z") });
        custom::send(&shop, &format!("m-{minute}"), "order.updated", &order).expect(200);
        work(&app);
        shop.orders().pop().expect("an order")
    };
    tell("pending");
    let names = json!({ "order_id": "7" });
    send(&stripe, "evt_1", "payment_intent.succeeded", &intent(&names)).expect(200);
    work(&app);
    for word in ["pending", "paid"] {
        let order = tell(word);
        assert_eq!(
            (&order["financial_status"], &order["paid_total"]),
            (&json!("paid"), &eur(10_000)),
            "{word}"
        );
    }
    let told = client.get("/v1/touchpoints?type=order.paid").expect(200).json;
    assert_eq!(told["data"].as_array().map(Vec::len), Some(1));
}
