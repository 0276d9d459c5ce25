//! Carts: put into, taken out of, left behind, won back, bought.

use chrono::{SecondsFormat, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, App, Client, workspace};

const PATH: &str = "/v1/carts";

fn eur(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

fn line(name: &str, quantity: i32) -> Value {
    json!({ "name": name, "sku": name, "quantity": quantity, "unit_price": eur(1000) })
}

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

fn create(client: &Client, body: Value) -> Answer {
    client.post(PATH, body).expect(201)
}

/// A cart with one rope, last touched so many minutes ago.
fn idle(client: &Client, minutes: i64) -> String {
    let active_at = Utc::now() - TimeDelta::minutes(minutes);
    let body = json!({ "currency": "EUR", "email": "ada@shop.example.com",
                       "line_items": [line("rope", 1)], "active_at": active_at });
    create(client, body).id()
}

/// So many minutes ago: tests share the worker, which abandons what is older in every workspace.
fn ago(minutes: i64) -> String {
    let at = Utc::now() - TimeDelta::minutes(minutes);
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn log(client: &Client, id: &str) -> Vec<Value> {
    let list = client.get("/v1/touchpoints?limit=200").expect(200).json;
    let about = list["data"].as_array().expect("a list").iter().rev();
    about.filter(|row| row["subject"]["id"] == id).cloned().collect()
}

fn kinds(client: &Client, id: &str) -> Vec<String> {
    let mut kinds: Vec<String> = log(client, id)
        .iter()
        .map(|row| row["type"].as_str().expect("a type").to_owned())
        .collect();
    kinds.sort_unstable();
    kinds
}

/// Lets the worker look after idle carts, as it does every minute.
fn wait_for_worker() {
    let app = App::shared();
    let due = app.state.db.system(|pg| ecrm::carts::due(pg, Utc::now())).expect("due");
    for workspace in due {
        let session = app.state.db.system(|pg| ecrm::workspaces::own_session(pg, workspace));
        let session = session.expect("a session");
        let rest = |tx: &mut ecrm::db::Tx| ecrm::carts::rest(tx).map(ecrm::db::Outcome::Commit);
        while app.state.db.write(&session, &rest).expect("rested") {}
    }
}

#[test]
fn a_cart_keeps_every_field_it_was_given() {
    let client = workspace();
    let channel = client.post("/v1/channels", json!({ "type": "web", "name": "Shop" })).expect(201);
    let product = client.post("/v1/products", json!({ "name": "Rope", "sku": "rope" })).expect(201);
    let body = json!({
        "source": "shop", "currency": "EUR", "external_ids": [{ "source": "shop", "id": "c1" }],
        "email": "ada@shop.example.com", "status": "checkout",
        "line_items": [{ "external_id": "l1", "sku": "rope", "name": "Rope", "variant": "blue",
                         "quantity": 2, "unit_price": eur(1000) }],
        "channel_id": channel.id(), "recovery_url": "https://shop.example.com/cart/c1",
        "active_at": "2026-03-14T08:00:00Z", "source_updated_at": "2026-03-14T08:00:00Z",
    });
    let made = create(&client, body.clone());
    assert_eq!(made.headers["location"], at(&made.id()));
    for name in [
        "source",
        "currency",
        "external_ids",
        "email",
        "status",
        "channel_id",
        "recovery_url",
        "active_at",
        "source_updated_at",
    ] {
        assert_eq!(made.json[name], body[name], "{name}");
    }
    assert_eq!(made.json["total"], eur(2000));
    assert_eq!(made.json["line_items"][0]["total"], eur(2000));
    assert_eq!(made.json["line_items"][0]["product_id"], product.id());
    assert_eq!(made.json["checkout_at"], "2026-03-14T08:00:00Z");
    assert!(made.json["customer_id"].is_string());
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
    assert_eq!(kinds(&client, &made.id()), ["cart.item_added", "checkout.started"]);
    let added = &log(&client, &made.id())[0];
    assert_eq!((&added["value"], &added["properties"]["quantity"]), (&eur(2000), &json!(2)));
    assert_eq!(added["occurred_at"], "2026-03-14T08:00:00Z");
}

#[test]
fn a_field_of_a_cart_that_is_not_valid_is_named() {
    let client = workspace();
    let unknown = Uuid::new_v4();
    let with = |field: &str, value: Value| {
        let mut body = json!({ "currency": "EUR" });
        body[field] = value;
        body
    };
    let mut foreign = line("a", 1);
    foreign["unit_price"] = json!({ "amount": 1, "currency": "USD" });
    let mut missing = line("a", 1);
    missing["product_id"] = json!(unknown);
    let cases = [
        (json!({}), "required", "#/currency"),
        (with("status", json!("converted")), "invalid_type", "#/status"),
        (with("email", json!("ada")), "invalid_email", "#/email"),
        (with("channel_id", json!(unknown)), "not_found", "#/channel_id"),
        (with("customer", json!({ "id": unknown })), "not_found", "#/customer/id"),
        (with("recovery_url", json!("cart")), "invalid_url", "#/recovery_url"),
        (with("total", eur(-1)), "out_of_range", "#/total/amount"),
        (with("active_at", json!("2150-01-01T00:00:00Z")), "invalid_time", "#/active_at"),
        (
            with("line_items", json!([foreign])),
            "currency_mismatch",
            "#/line_items/0/unit_price/currency",
        ),
        (with("line_items", json!([missing])), "not_found", "#/line_items/0/product_id"),
        (with("line_items", json!([line("a", 0)])), "out_of_range", "#/line_items/0/quantity"),
    ];
    for (body, code, pointer) in cases {
        let refused = client.post(PATH, body).expect(422);
        assert_eq!(refused.fault(), (code, pointer), "{}", refused.text);
    }
    assert_eq!(client.get(PATH).expect(200).json["data"], json!([]));
}

#[test]
fn what_is_put_in_and_taken_out_is_told() {
    let client = workspace();
    let id = create(&client, json!({ "currency": "EUR" })).id();
    assert_eq!(kinds(&client, &id), ["cart.created"]);
    let lines = json!({ "line_items": [line("rope", 2), line("shoe", 1)] });
    client.patch(&at(&id), lines.clone()).expect(200);
    client.patch(&at(&id), json!({ "line_items": [line("rope", 1)] })).expect(200);
    let told: Vec<(String, Value, Value)> = log(&client, &id)
        .iter()
        .map(|row| {
            let properties = &row["properties"];
            (row["type"].to_string(), properties["sku"].clone(), properties["quantity"].clone())
        })
        .skip(1)
        .collect();
    let of = |kind: &str, sku: &str, n: i32| (format!("\"cart.{kind}\""), json!(sku), json!(n));
    let expected = [
        of("item_added", "rope", 2),
        of("item_added", "shoe", 1),
        of("item_removed", "rope", 1),
        of("item_removed", "shoe", 1),
    ];
    assert_eq!(told, expected);
    let same = client.patch(&at(&id), json!({ "line_items": [line("rope", 1)] })).expect(200);
    assert_eq!(same.json["version"], 3);
}

#[test]
fn a_browser_alone_is_no_customer() {
    let client = workspace();
    let body = json!({ "currency": "EUR", "customer": { "anonymous_id": "b-1" } });
    let made = create(&client, body).json;
    assert_eq!((&made["customer_id"], &made["anonymous_id"]), (&Value::Null, &json!("b-1")));
    let id = made["id"].as_str().expect("an id");
    let after = client.patch(&at(id), json!({ "email": "ada@shop.example.com" })).expect(200).json;
    assert!(after["customer_id"].is_string());
}

#[test]
fn a_cart_that_nobody_touches_for_an_hour_is_abandoned() {
    let client = workspace();
    let (left, fresh) = (idle(&client, 61), idle(&client, 58));
    let empty = create(
        &client,
        json!({ "currency": "EUR",
                                        "active_at": Utc::now() - TimeDelta::hours(3) }),
    )
    .id();
    wait_for_worker();
    let status = |id: &str| client.get(&at(id)).expect(200).json["status"].clone();
    assert_eq!(
        (status(&left), status(&fresh), status(&empty)),
        (json!("abandoned"), json!("active"), json!("active"))
    );
    assert_eq!(kinds(&client, &left), ["cart.abandoned", "cart.item_added"]);
    let abandoned = log(&client, &left).into_iter().find(|row| row["type"] == "cart.abandoned");
    assert_eq!(abandoned.expect("told")["value"], eur(1000));
    wait_for_worker();
    assert_eq!(kinds(&client, &left).len(), 2, "told once");
}

#[test]
fn who_comes_back_to_an_abandoned_cart_recovers_it() {
    let client = workspace();
    let id = idle(&client, 90);
    wait_for_worker();
    // A new picture of the same cart is not the customer coming back.
    let same = client.patch(&at(&id), json!({ "recovery_url": "https://shop.example.com/c" }));
    assert_eq!(same.expect(200).json["status"], "abandoned");
    let after = client.patch(&at(&id), json!({ "line_items": [line("rope", 2)] })).expect(200).json;
    assert_eq!(after["status"], "recovered");
    assert!(after["recovered_at"].is_string());
    assert!(kinds(&client, &id).contains(&"cart.recovered".to_owned()));
    let after = client.patch(&at(&id), json!({ "status": "checkout" })).expect(200).json;
    assert_eq!(after["status"], "checkout");
}

#[test]
fn a_cart_that_nobody_comes_back_to_expires() {
    let client = workspace();
    let id = idle(&client, 31 * 24 * 60);
    wait_for_worker();
    wait_for_worker();
    assert_eq!(client.get(&at(&id)).expect(200).json["status"], "expired");
    assert_eq!(kinds(&client, &id), ["cart.abandoned", "cart.expired", "cart.item_added"]);
    let refused = client.patch(&at(&id), json!({ "line_items": [] }));
    assert_eq!(refused.expect_code(409, "invalid_transition").json["allowed"], json!([]));
}

#[test]
fn an_order_converts_the_cart_it_was() {
    let client = workspace();
    let id = idle(&client, 90);
    wait_for_worker();
    let order = json!({ "currency": "EUR", "email": "ada@shop.example.com", "total": eur(1000),
                        "cart": { "id": id } });
    let order = client.post("/v1/orders", order).expect(201);
    assert_eq!(order.json["cart_id"], id);
    let cart = client.get(&at(&id)).expect(200).json;
    assert_eq!((&cart["status"], &cart["order_id"]), (&json!("converted"), &json!(order.id())));
    assert!(cart["recovered_at"].is_string(), "won back");
    let told = ["cart.abandoned", "cart.converted", "cart.item_added", "cart.recovered"];
    assert_eq!(kinds(&client, &id), told);
    // A cart that has become an order does not become another.
    let other = json!({ "currency": "EUR", "cart": { "id": id } });
    assert_eq!(client.post("/v1/orders", other).expect(201).json["cart_id"], Value::Null);
    let unknown =
        json!({ "currency": "EUR", "cart": { "external_id": { "source": "x", "id": "1" } } });
    assert_eq!(client.post("/v1/orders", unknown).expect(201).json["cart_id"], Value::Null);
    client.post(&format!("{}/convert", at(&id)), json!({})).expect_code(409, "invalid_transition");
}

#[test]
fn a_cart_is_converted_by_hand() {
    let client = workspace();
    let id = idle(&client, 1);
    let convert = format!("{}/convert", at(&id));
    let unknown = client.post(&convert, json!({ "order_id": Uuid::new_v4() })).expect(422);
    assert_eq!(unknown.fault(), ("not_found", "#/order_id"));
    let after = client.post(&convert, json!({})).expect(200).json;
    assert_eq!((&after["status"], &after["order_id"]), (&json!("converted"), &Value::Null));
}

#[test]
fn a_cart_is_recorded_or_changed_by_its_outside_id() {
    let client = workspace();
    let (first, second, third) = (ago(30), ago(20), ago(10));
    let path = format!("{PATH}/external/shop/c1");
    let body = json!({ "currency": "EUR", "line_items": [line("rope", 1)],
                       "source_updated_at": second });
    let made = client.put(&path, body).expect(201);
    let older = json!({ "line_items": [], "source_updated_at": first });
    assert_eq!(client.put(&path, older).expect(200).json, made.json);
    let newer = json!({ "line_items": [], "source_updated_at": third });
    let after = client.put(&path, newer).expect(200).json;
    assert_eq!((&after["total"], &after["active_at"]), (&eur(0), &json!(third)));
    client.send("PUT", &path, &[("If-None-Match", "*")], Some("{}")).expect(412);
    let refused = client.put(&path, json!({ "currency": "USD" })).expect(422);
    assert_eq!(refused.fault(), ("immutable", "#/currency"));
}

#[test]
fn carts_are_listed_by_whose_and_how_far_they_are() {
    let client = workspace();
    let (first, second) = (idle(&client, 90), idle(&client, 5));
    wait_for_worker();
    let ids = |query: &str| -> Vec<String> {
        let list = client.get(&format!("{PATH}?{query}")).expect(200).json;
        let rows = list["data"].as_array().expect("a list").iter();
        rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids("status=abandoned"), std::slice::from_ref(&first));
    assert_eq!(ids("sort=active_at"), [first.clone(), second.clone()]);
    assert_eq!(ids("source=api&sort=-active_at"), [second, first]);
    assert_eq!(ids(&format!("customer_id={}", Uuid::new_v4())), [""; 0]);
}

#[test]
fn a_cart_of_another_workspace_is_not_there() {
    let (mine, other) = (workspace(), workspace());
    let id = idle(&mine, 1);
    other.get(&at(&id)).expect(404);
    other.patch(&at(&id), json!({ "line_items": [] })).expect(404);
    other.post(&format!("{}/convert", at(&id)), json!({})).expect(404);
    let order = json!({ "currency": "EUR", "cart": { "id": id } });
    other.post("/v1/orders", order).expect(422);
}

#[test]
fn a_cart_that_comes_after_its_order_is_converted_at_once() {
    let client = workspace();
    let outside = json!({ "source": "shop", "id": "c1" });
    let order = json!({ "currency": "EUR", "total": eur(1000), "placed_at": "2026-03-14T09:00:00Z",
                        "cart": { "external_id": outside } });
    let order = client.post("/v1/orders", order).expect(201).id();
    let body = json!({ "currency": "EUR", "line_items": [line("rope", 1)],
                       "source_updated_at": "2026-03-14T08:00:00Z" });
    let cart = client.put(&format!("{PATH}/external/shop/c1"), body).expect(201).json;
    assert_eq!((&cart["status"], &cart["order_id"]), (&json!("converted"), &json!(order)));
    let after = client.get(&format!("/v1/orders/{order}")).expect(200).json;
    assert_eq!((&after["cart_id"], &after["version"]), (&cart["id"], &json!(2)));
    assert_eq!(kinds(&client, &order), ["order.placed", "order.updated"]);
    let id = cart["id"].as_str().expect("an id");
    wait_for_worker();
    assert_eq!(kinds(&client, id), ["cart.converted", "cart.item_added"]);
    // Another one is nobody's.
    let other = json!({ "currency": "EUR" });
    let other = client.put(&format!("{PATH}/external/shop/c2"), other).expect(201).json;
    assert_eq!(other["status"], "active");
}

/// Two transactions at the same time see neither cart nor order of the other.
#[test]
fn a_cart_is_not_abandoned_that_an_order_names() {
    let client = workspace();
    let (named, other) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let order = json!({ "currency": "EUR", "total": eur(1000),
                        "cart": { "external_id": { "source": "shop", "id": other } } });
    let order = client.post("/v1/orders", order).expect(201).id();
    let body = json!({ "currency": "EUR", "line_items": [line("rope", 1)],
                       "active_at": Utc::now() - TimeDelta::minutes(90) });
    let cart = client.put(&format!("{PATH}/external/shop/{named}"), body).expect(201).id();
    let late =
        format!("update external_ids set external_id = '{named}' where external_id = '{other}'");
    client.owner().batch_execute(&late).expect("named");
    wait_for_worker();
    let cart = client.get(&at(&cart)).expect(200).json;
    assert_eq!((&cart["status"], &cart["order_id"]), (&json!("converted"), &json!(order)));
    assert_eq!(cart["abandoned_at"], Value::Null);
}

#[test]
fn an_order_that_comes_after_its_completed_cart_is_named_by_it() {
    let client = workspace();
    let id = idle(&client, 1);
    client.post(&format!("{}/convert", at(&id)), json!({})).expect(200);
    let order = json!({ "currency": "EUR", "cart": { "id": id } });
    let order = client.post("/v1/orders", order).expect(201);
    assert_eq!(order.json["cart_id"], id);
    assert_eq!(client.get(&at(&id)).expect(200).json["order_id"], order.id());
}

#[test]
fn what_was_done_before_a_cart_was_abandoned_recovers_nothing() {
    let client = workspace();
    let id = idle(&client, 90);
    wait_for_worker();
    let late = json!({ "line_items": [line("rope", 2)],
                       "source_updated_at": Utc::now() - TimeDelta::minutes(40) });
    let after = client.patch(&at(&id), late).expect(200).json;
    assert_eq!(
        (&after["status"], &after["abandoned_at"], &after["recovered_at"]),
        (&json!("active"), &Value::Null, &Value::Null)
    );
    assert!(!kinds(&client, &id).contains(&"cart.recovered".to_owned()));
}

#[test]
fn what_was_done_long_before_a_cart_was_abandoned_abandons_it_no_second_time() {
    let client = workspace();
    let id = idle(&client, 90);
    wait_for_worker();
    for (minutes, status) in [(100, None), (80, Some("checkout"))] {
        let mut late = json!({ "line_items": [line("rope", minutes)], "source_updated_at": ago(minutes.into()) });
        if let Some(status) = status {
            late["status"] = json!(status);
        }
        let after = client.patch(&at(&id), late).expect(200).json;
        assert_eq!(after["status"], "abandoned", "{minutes}");
    }
    wait_for_worker();
    assert_eq!(kinds(&client, &id).iter().filter(|kind| *kind == "cart.abandoned").count(), 1);
}

#[test]
fn what_is_repeated_of_a_cart_that_is_over_changes_nothing() {
    let client = workspace();
    let path = format!("{PATH}/external/shop/c1");
    let body = json!({ "currency": "EUR", "line_items": [line("rope", 1)],
                       "source_updated_at": ago(20) });
    let id = client.put(&path, body.clone()).expect(201).id();
    let over = client.post(&format!("{}/convert", at(&id)), json!({})).expect(200).json;
    assert_eq!(client.put(&path, body).expect(200).json, over);
    let newer = json!({ "line_items": [], "source_updated_at": ago(10) });
    client.put(&path, newer).expect_code(409, "invalid_transition");
}

#[test]
fn an_address_that_runs_something_is_refused() {
    let client = workspace();
    for address in ["javascript:alert(1)", "data:text/html,x", "shop"] {
        let cart = json!({ "currency": "EUR", "recovery_url": address });
        let refused = client.post("/v1/carts", cart).expect(422);
        assert_eq!(refused.fault(), ("invalid_url", "#/recovery_url"), "{address}");
        let sent = json!({ "tracking_url": address });
        let order = json!({ "currency": "EUR", "fulfillments": [sent] });
        let refused = client.post("/v1/orders", order).expect(422);
        assert_eq!(refused.fault(), ("invalid_url", "#/fulfillments/0/tracking_url"), "{address}");
    }
}

#[test]
fn what_we_write_ourselves_is_no_source_of_others() {
    let client = workspace();
    for path in ["/v1/carts", "/v1/orders"] {
        let refused = client.post(path, json!({ "currency": "EUR", "source": "ecrm" })).expect(422);
        assert_eq!(refused.fault(), ("reserved_source", "#/source"), "{path}");
    }
}
