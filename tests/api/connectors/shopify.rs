//! Shopify's own bodies.

use serde_json::{Value, json};

use super::{Shop, eur, work};
use crate::harness::{App, workspace};

/// An order as Shopify's Admin REST API documents it.
pub fn order() -> Value {
    serde_json::from_str(include_str!("shopify_order.json")).expect("an order")
}

pub fn changed(mut body: Value, with: &Value) -> Value {
    let members = with.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(members);
    body
}

#[test]
fn an_order_of_shopify_is_an_order_of_ours() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    shop.shopify("orders/create", "d-1", &order()).expect(200);
    work(&app);
    let made = shop.orders().pop().unwrap_or_else(|| panic!("{:?}", shop.events("")));
    assert_eq!((&made["number"], &made["source"]), (&json!("#1001"), &json!("shopify")));
    assert_eq!(made["external_ids"], json!([{ "source": "shopify", "id": "450789469" }]));
    assert_eq!((&made["total"], &made["subtotal"]), (&eur(40_994), &eur(39_994)));
    assert_eq!((&made["shipping_total"], &made["discount_total"]), (&eur(1000), &eur(0)));
    assert_eq!((&made["tax_total"], &made["is_tax_included"]), (&eur(1194), &json!(true)));
    assert_eq!((&made["fee_total"], &made["paid_total"]), (&eur(0), &eur(40_994)));
    assert_eq!((&made["status"], &made["financial_status"]), (&json!("open"), &json!("paid")));
    assert_eq!(made["line_items"].as_array().map(Vec::len), Some(3));
    assert_eq!(made["line_items"][0]["discount_total"], eur(334));
    assert_eq!(made["placed_at"], "2026-01-10T16:00:00Z");
    assert_eq!(made["utm"]["campaign"], "spring");
    assert_eq!(made["tags"], json!(["imported", "vip"]));
    assert_eq!(made["discount_codes"], json!(["TENOFF"]));
    assert_eq!(
        (&made["billing_address"]["region"], &made["billing_address"]["line2"]),
        (&json!("KY"), &Value::Null)
    );
    assert_eq!(made["channel_id"], shop.channel);
    let id = made["customer_id"].as_str().expect("a customer");
    let bob = client.get(&format!("/v1/customers/{id}")).expect(200).json;
    assert_eq!(
        (&bob["first_name"], &bob["email"]),
        (&json!("Bob"), &json!("bob.norman@mail.example.com"))
    );
    assert_eq!(bob["external_ids"], json!([{ "source": "shopify", "id": "207119551" }]));
    assert_eq!(bob["lifecycle_stage"], "customer");
    let consents = client.get(&format!("/v1/customers/{id}/consents")).expect(200).json;
    assert_eq!(consents["data"][0]["state"], "granted");
    assert_eq!(consents["data"][0]["granted_at"], "2025-06-13T15:57:11Z");
}

#[test]
fn updates_and_refunds_of_shopify_may_come_in_any_order() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let refund = json!({ "id": 509_562_969, "order_id": 450_789_469, "note": "wrong color",
        "created_at": "2026-01-12T11:00:00-05:00",
        "transactions": [{ "kind": "refund", "status": "success", "amount": "195.66", "currency": "EUR" },
                         { "kind": "refund", "status": "failure", "amount": "1.00" }],
        "refund_line_items": [{ "line_item_id": 466_157_049, "quantity": 1, "restock_type": "return" }] });
    let refunded = changed(
        order(),
        &json!({ "financial_status": "partially_refunded",
        "updated_at": "2026-01-12T11:00:00-05:00", "refunds": [refund],
        "fulfillment_status": "fulfilled",
        "fulfillments": [{ "id": 255_858_046, "status": "success", "tracking_number": "1Z",
            "tracking_company": "Post", "tracking_url": "https://post.example.com/1Z",
            "created_at": "2026-01-11T11:00:00-05:00",
            "line_items": [{ "id": 466_157_049, "quantity": 1 }] }] }),
    );
    // The refund comes before its order, and the update before the creation.
    shop.shopify("refunds/create", "d-0", &refund).expect(200);
    work(&app);
    assert_eq!(shop.events("status=pending").len(), 1, "{:?}", shop.events(""));
    shop.shopify("orders/updated", "d-2", &refunded).expect(200);
    shop.shopify("orders/create", "d-1", &order()).expect(200);
    work(&app);
    let hurry = "update jobs set run_at = '2020-01-01' where state = 'queued'";
    diesel::connection::SimpleConnection::batch_execute(&mut app.owner(), hurry).expect("hurry");
    work(&app);
    assert_eq!(shop.events("status=processed").len(), 3, "{:?}", shop.events(""));
    let made = shop.orders().pop().expect("an order");
    assert_eq!(
        (&made["financial_status"], &made["refunded_total"]),
        (&json!("partially_refunded"), &eur(19_566))
    );
    assert_eq!(made["fulfillment_status"], "fulfilled");
    assert_eq!(made["line_items"][0]["returned_quantity"], 1);
    let path = format!("/v1/orders/{}", made["id"].as_str().expect("an id"));
    let refunds = client.get(&format!("{path}/refunds")).expect(200).json;
    assert_eq!(refunds["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(refunds["data"][0]["reason"], "wrong color");
    let sent = client.get(&format!("{path}/fulfillments")).expect(200).json;
    assert_eq!(sent["data"][0]["tracking_number"], "1Z");
}

#[test]
fn a_shop_says_how_its_own_order_is() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let cancelled = json!({ "cancelled_at": "2026-01-11T11:00:00-05:00", "cancel_reason": "customer",
                            "financial_status": "voided", "updated_at": "2026-01-11T11:00:00-05:00" });
    shop.shopify("orders/cancelled", "d-1", &changed(order(), &cancelled)).expect(200);
    work(&app);
    let made = shop.orders().pop().expect("an order");
    assert_eq!(
        (&made["status"], &made["financial_status"]),
        (&json!("cancelled"), &json!("voided"))
    );
    // No caller could: the shop has opened it again.
    let again = json!({ "updated_at": "2026-01-12T11:00:00-05:00" });
    shop.shopify("orders/updated", "d-2", &changed(order(), &again)).expect(200);
    work(&app);
    let made = shop.orders().pop().expect("an order");
    assert_eq!((&made["status"], &made["financial_status"]), (&json!("open"), &json!("paid")));
    shop.shopify("orders/delete", "d-3", &json!({ "id": 450_789_469 })).expect(200);
    work(&app);
    assert_eq!(shop.orders().len(), 0);
}

#[test]
fn customers_and_checkouts_of_shopify_are_taken_in() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let bob = order()["customer"].clone();
    shop.shopify("customers/create", "d-1", &bob).expect(200);
    let checkout = json!({ "token": "bd5a8aa1ecd019dd3520ff791ee3a24c", "currency": "EUR",
        "email": "bob.norman@mail.example.com", "total_price": "199.00",
        "abandoned_checkout_url": "https://shop.example.com/checkouts/x/recover",
        "updated_at": chrono::Utc::now(), "completed_at": null,
        "line_items": [{ "key": "k1", "quantity": 1, "title": "IPod", "price": "199.00", "sku": "I" }] });
    shop.shopify("checkouts/create", "d-2", &checkout).expect(200);
    work(&app);
    let carts = client.get("/v1/carts").expect(200).json;
    let cart = &carts["data"][0];
    assert_eq!((&cart["status"], &cart["total"]), (&json!("checkout"), &eur(19_900)));
    shop.shopify("orders/create", "d-3", &order()).expect(200);
    work(&app);
    let cart = client.get(&format!("/v1/carts/{}", cart["id"].as_str().unwrap())).expect(200).json;
    assert_eq!(
        (&cart["status"], &cart["order_id"]),
        (&json!("converted"), &shop.orders()[0]["id"])
    );
    let changed = changed(
        bob,
        &json!({ "last_name": "Newman",
        "email_marketing_consent": { "state": "unsubscribed",
                                     "consent_updated_at": "2026-02-01T00:00:00Z" } }),
    );
    shop.shopify("customers/update", "d-4", &changed).expect(200);
    work(&app);
    let all = client.get("/v1/customers").expect(200).json;
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
    let (id, name) = (all["data"][0]["id"].as_str().unwrap(), &all["data"][0]["last_name"]);
    assert_eq!(name, "Newman");
    let consents = client.get(&format!("/v1/customers/{id}/consents")).expect(200).json;
    assert_eq!(consents["data"][0]["state"], "withdrawn");
}

#[test]
fn two_customers_of_a_shop_stay_two_whatever_address_they_share() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let person = |id: u64, email: &str, at: &str| {
        json!({ "id": id, "email": email, "first_name": "Ada", "last_name": "Lindqvist",
                "updated_at": format!("2026-02-{at}T00:00:00Z") })
    };
    let whose = |id: u64| {
        let query = format!("/v1/customers/lookup?type=external&source=shopify&value={id}");
        client.get(&query).expect(200).json
    };
    shop.shopify("customers/create", "d-1", &person(1, "old@shop.example.com", "01")).expect(200);
    work(&app);
    shop.shopify("customers/update", "d-2", &person(1, "new@shop.example.com", "02")).expect(200);
    work(&app);
    assert_eq!(whose(1)["email"], "new@shop.example.com", "where the shop writes to now");
    // Older news change nothing.
    shop.shopify("customers/update", "d-3", &person(1, "old@shop.example.com", "01")).expect(200);
    shop.shopify("customers/create", "d-4", &person(2, "old@shop.example.com", "03")).expect(200);
    work(&app);
    assert_eq!(whose(1)["email"], "new@shop.example.com");
    assert_ne!(whose(1)["id"], whose(2)["id"]);
    let asked = client.get("/v1/merge_candidates").expect(200).json;
    assert_eq!(
        asked["data"].as_array().map(Vec::len),
        Some(1),
        "somebody may say that they are one"
    );
    let who = json!({ "customer": { "id": 2, "email": "old@shop.example.com" } });
    shop.shopify("customers/redact", "d-5", &who).expect(200);
    work(&app);
    assert_eq!(whose(1)["email"], "new@shop.example.com");
}

#[test]
fn the_privacy_topics_of_shopify_begin_what_they_ask_for() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    shop.shopify("orders/create", "d-1", &order()).expect(200);
    work(&app);
    let who = json!({ "shop_domain": "x.example.com", "orders_requested": [450_789_469],
                      "customer": { "id": 207_119_551, "email": "bob.norman@mail.example.com" } });
    shop.shopify("customers/data_request", "d-2", &who).expect(200);
    work(&app);
    let asked = client.get("/v1/data_requests").expect(200).json;
    assert_eq!(
        (&asked["data"][0]["kind"], &asked["data"][0]["status"]),
        (&json!("access"), &json!("completed"))
    );
    shop.shopify("customers/redact", "d-3", &who).expect(200);
    work(&app);
    let kept = shop.orders().pop().expect("an order");
    assert_eq!((&kept["email"], &kept["total"]), (&Value::Null, &eur(40_994)));
    // Somebody nobody knows any more.
    shop.shopify("customers/redact", "d-4", &who).expect(200);
    work(&app);
    assert_eq!(shop.events("status=ignored").len(), 1);
    shop.shopify("shop/redact", "d-5", &json!({ "shop_id": 1 })).expect(200);
    work(&app);
    let channel = client.get(&format!("/v1/channels/{}", shop.channel)).expect(200).json;
    assert_eq!(channel["status"], "paused");
}

#[test]
fn a_shop_is_caught_up_with_page_by_page() {
    let client = workspace();
    let shop = Shop::of(&client, "shopify");
    let import = format!("/v1/connectors/{}/import", shop.channel);
    let other = changed(order(), &json!({ "id": 7, "name": "#7" }));
    let items = json!({ "topic": "orders/updated", "items": [order(), other, { "id": 8 }] });
    let answer = client.post(&import, items.clone()).expect(207).json;
    let statuses: Vec<_> = (0..3).map(|n| answer["results"][n]["status"].as_i64()).collect();
    assert_eq!(statuses, [Some(201), Some(201), Some(422)]);
    let again = client.post(&import, items).expect(207).json;
    assert_eq!(again["results"][0]["status"], 200);
    assert_eq!(shop.orders().len(), 2);
    assert_eq!(shop.orders()[0]["version"], 1);
    let none = json!({ "topic": "orders/updated", "items": [] });
    assert_eq!(client.post(&import, none).expect(422).fault(), ("invalid_length", "#/items"));
    let unused = json!({ "topic": "themes/publish", "items": [{ "id": 1 }] });
    let answer = client.post(&import, unused).expect(207).json;
    assert_eq!(answer["results"][0]["error"]["errors"][0]["code"], "ignored");
}

#[test]
fn two_shops_of_one_provider_have_their_own_names() {
    let client = workspace();
    let import = |channel: &str| {
        let items = json!({ "topic": "orders/updated", "items": [order()] });
        client.post(&format!("/v1/connectors/{channel}/import"), items).expect(207);
    };
    let (first, second) = (Shop::of(&client, "shopify"), Shop::of(&client, "shopify"));
    let patch = json!({ "config": { "source": "shopify-us" } });
    client.patch(&format!("/v1/channels/{}", second.channel), patch).expect(200);
    import(&first.channel);
    import(&second.channel);
    let sources: Vec<Value> = first.orders().iter().map(|order| order["source"].clone()).collect();
    assert_eq!(sources, [json!("shopify-us"), json!("shopify")]);
    let list = client.get("/v1/orders?source=shopify").expect(200).json;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn only_what_a_caller_may_write_is_imported() {
    let client = workspace();
    let shop = Shop::of(&client, "shopify");
    let import = format!("/v1/connectors/{}/import", shop.channel);
    let body = |topic: &str, item: Value| json!({ "topic": topic, "items": [item] });
    let bob = order()["customer"].clone();
    client.post(&import, body("customers/update", bob.clone())).expect(207);
    let who = json!({ "customer": { "id": 207_119_551, "email": "bob.norman@mail.example.com" } });
    for (topic, item) in [
        ("customers/redact", who.clone()),
        ("customers/data_request", who),
        ("shop/redact", json!({ "shop_id": 1 })),
        ("app/uninstalled", json!({ "id": 1 })),
    ] {
        let answer = client.post(&import, body(topic, item)).expect(207).json;
        let error = &answer["results"][0]["error"]["errors"][0];
        assert_eq!(error["code"], "ignored", "{topic}: {answer}");
    }
    assert_eq!(client.get("/v1/data_requests").expect(200).json["data"], json!([]));
    let channel = client.get(&format!("/v1/channels/{}", shop.channel)).expect(200).json;
    assert_eq!(channel["status"], "active");
    let clerk = client.with_scopes(&["orders:write"]);
    let eve = json!({ "id": 9, "email": "eve@mail.example.com",
                      "email_marketing_consent": { "state": "subscribed" } });
    let willing = json!({ "id": 8, "email": "eve@mail.example.com", "phone": null, "customer": eve,
                          "cancelled_at": null });
    let willing = changed(order(), &willing);
    let consents = || {
        let id = client.get("/v1/orders").expect(200).json["data"][0]["customer_id"].clone();
        let path = format!("/v1/customers/{}/consents", id.as_str().expect("a customer"));
        client.get(&path).expect(200).json["data"].as_array().map(Vec::len)
    };
    clerk.post(&import, body("orders/updated", willing.clone())).expect(207);
    assert_eq!(consents(), Some(0), "`consents:write` is another right");
    client.post(&import, body("orders/updated", willing)).expect(207);
    assert_eq!(consents(), Some(1));
    for topic in ["customers/update", "checkouts/update", "product.updated"] {
        clerk.post(&import, body(topic, bob.clone())).expect_code(403, "insufficient_scope");
    }
}

#[test]
fn amounts_beyond_all_measure_are_refused_and_seen() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let mut huge = order();
    huge["line_items"][0]["price"] = json!("90000000000000000");
    huge["line_items"][0]["quantity"] = json!(2_000_000_000);
    huge["total_price"] = json!("99999999999999999999999999");
    let mut many = order();
    let discount = json!({ "amount": "9000000000000000" });
    many["line_items"][0]["tax_lines"] =
        json!(vec![json!({ "price": "9000000000000000" }); 20_000]);
    many["line_items"][0]["discount_allocations"] = json!(vec![discount; 5000]);
    for (at, body) in [huge, many].iter().enumerate() {
        shop.shopify("orders/create", &format!("d-{at}"), body).expect(200);
    }
    work(&app);
    let failed = shop.events("status=failed");
    assert_eq!(failed.len(), 2, "{:?}", shop.events(""));
    assert_eq!((shop.orders().len(), &failed[0]["attempts"]), (0, &json!(1)));
}

#[test]
fn of_two_bodies_of_one_second_the_later_one_says_more() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let pending = changed(order(), &json!({ "financial_status": "pending" }));
    shop.shopify("orders/paid", "d-1", &order()).expect(200);
    work(&app);
    shop.shopify("orders/create", "d-2", &pending).expect(200);
    work(&app);
    let made = shop.orders().pop().expect("an order");
    assert_eq!((&made["financial_status"], &made["paid_total"]), (&json!("paid"), &made["total"]));
}

#[test]
fn what_the_company_says_of_a_customer_stays_beside_what_the_shop_says() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let bob = |at: &str, tags: &str| {
        let more = json!({ "tags": tags, "updated_at": at });
        changed(order()["customer"].clone(), &more)
    };
    shop.shopify("customers/create", "d-1", &bob("2026-02-01T00:00:00Z", "loyal")).expect(200);
    work(&app);
    let id = client.get("/v1/customers").expect(200).json["data"][0]["id"].clone();
    let path = format!("/v1/customers/{}", id.as_str().unwrap());
    client.patch(&path, json!({ "tags": ["loyal", "climber"] })).expect(200);
    shop.shopify("customers/update", "d-2", &bob("2026-02-02T00:00:00Z", "loyal, vip")).expect(200);
    work(&app);
    let tags = client.get(&path).expect(200).json["tags"].clone();
    assert_eq!(tags, json!(["loyal", "climber", "vip"]));
}

#[test]
fn topics_that_tell_nothing_new_are_ignored() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let edit = json!({ "order_edit": { "id": 1, "order_id": 450_789_469 } });
    shop.shopify("orders/edited", "d-1", &edit).expect(200);
    shop.shopify("checkouts/delete", "d-2", &json!({ "id": 7 })).expect(200);
    work(&app);
    assert_eq!(shop.events("status=ignored").len(), 2, "{:?}", shop.events(""));
}

#[test]
fn a_checkout_that_comes_after_its_order_is_converted_at_once() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    shop.shopify("orders/create", "d-1", &order()).expect(200);
    work(&app);
    let token = order()["checkout_token"].clone();
    let checkout = json!({ "id": 1, "token": token, "currency": "EUR", "total_price": "199.00",
        "updated_at": "2026-01-10T15:59:00Z",
        "line_items": [{ "key": "k1", "quantity": 1, "title": "IPod", "price": "199.00" }] });
    shop.shopify("checkouts/update", "d-2", &checkout).expect(200);
    work(&app);
    let cart = client.get("/v1/carts").expect(200).json["data"][0].clone();
    let order = shop.orders().pop().expect("an order");
    assert_eq!((&cart["status"], &cart["order_id"]), (&json!("converted"), &order["id"]));
    assert_eq!((&order["cart_id"], &cart["converted_at"]), (&cart["id"], &order["placed_at"]));
    assert_eq!(shop.events("status=failed"), Vec::<Value>::new());
}

#[test]
fn a_shipment_that_was_cancelled_is_taken_off() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let shop = Shop::of(&client, "shopify");
    let tell = |delivery: &str, day: u32, state: Value, sent: Value| {
        let news = json!({ "updated_at": format!("2026-02-{day:02}T08:00:00Z"),
                           "fulfillment_status": state, "fulfillments": sent });
        shop.shopify("orders/updated", delivery, &changed(order(), &news)).expect(200);
        work(&app);
        shop.orders().pop().expect("an order")
    };
    let sent = |id: u32, status: &str| {
        let lines = order()["line_items"].clone();
        json!({ "id": id, "status": status, "created_at": format!("2026-02-{id:02}T07:00:00Z"),
                "line_items": lines })
    };
    let first = tell("d-1", 1, json!("fulfilled"), json!([sent(1, "success")]));
    assert_eq!(first["fulfilled_at"], "2026-02-01T07:00:00Z");
    let none = tell("d-2", 2, Value::Null, json!([sent(1, "cancelled")]));
    assert_eq!(
        (&none["fulfillment_status"], &none["fulfilled_at"]),
        (&json!("unfulfilled"), &Value::Null)
    );
    assert_eq!(none["line_items"][0]["fulfilled_quantity"], 0);
    let path = format!("/v1/orders/{}/fulfillments", none["id"].as_str().expect("an id"));
    assert_eq!(client.get(&path).expect(200).json["data"], json!([]));
    let both = json!([sent(1, "cancelled"), sent(3, "success")]);
    let again = tell("d-3", 3, json!("fulfilled"), both);
    assert_eq!(again["fulfilled_at"], "2026-02-03T07:00:00Z");
    assert_eq!(client.get(&path).expect(200).json["data"][0]["external_id"], "3");
}
