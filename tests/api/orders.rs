//! Orders: what customers bought, what was paid for it, what was sent and what came back.

mod figures;
mod money;
mod people;
mod refunds;
mod sources;
mod states;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, workspace};

const PATH: &str = "/v1/orders";

fn eur(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

fn line(name: &str, quantity: i32, price: i64) -> Value {
    json!({ "name": name, "sku": name, "external_id": name, "quantity": quantity,
            "unit_price": eur(price) })
}

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

/// An order over two ropes of 50.00 euros by `email`.
fn ropes(email: &str) -> Value {
    json!({ "currency": "EUR", "email": email, "line_items": [line("rope", 2, 5000)] })
}

fn create(client: &Client, body: Value) -> Answer {
    client.post(PATH, body).expect(201)
}

/// The touchpoints about an order, oldest first.
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

fn customer(client: &Client, id: &str) -> Value {
    client.get(&format!("/v1/customers/{id}")).expect(200).json
}

fn refused(answer: Answer, code: &str, pointer: &str) {
    let answer = answer.expect(422);
    assert_eq!(answer.fault(), (code, pointer), "{}", answer.text);
}

#[test]
fn an_order_keeps_every_field_it_was_given() {
    let client = workspace();
    let channel = client.post("/v1/channels", json!({ "type": "web", "name": "Shop" }));
    let body = json!({
        "source": "shop", "currency": "EUR", "number": "#1001",
        "external_ids": [{ "source": "shop", "id": "450789469" }],
        "email": "Ada@Shop.Example.com", "phone": "+43 664 1234567",
        "status": "open", "financial_status": "authorized", "fulfillment_status": "unfulfilled",
        "line_items": [
            { "external_id": "l1", "sku": "R1", "name": "Rope", "variant": "blue", "quantity": 2,
              "unit_price": eur(5000), "discount_total": eur(500), "tax_total": eur(1900),
              "total": eur(9500) },
            { "name": "Gift wrap", "quantity": 1, "unit_price": eur(300) },
        ],
        "subtotal": eur(9800), "discount_total": eur(800), "tax_total": eur(1800),
        "shipping_total": eur(500), "fee_total": eur(100), "total": eur(11_400),
        "channel_id": channel.expect(201).id(),
        "billing_address": { "first_name": "Ada", "last_name": "Lindqvist", "line1": "Bergstraße 12",
                             "city": "Innsbruck", "postal_code": "6020", "country": "AT",
                             "company": null, "phone": null, "line2": null, "region": null },
        "discount_codes": ["SPRING10"],
        "utm": { "source": "newsletter", "medium": "email", "campaign": "spring", "term": null,
                 "content": null },
        "note": "Ring twice", "placed_at": "2026-03-14T08:00:00Z",
        "source_updated_at": "2026-03-14T08:00:01Z",
        "attributes": { "gift": true }, "tags": ["gift"],
    });
    let made = create(&client, body.clone());
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(made.headers["etag"], "\"1\"");
    for (name, value) in body.as_object().expect("an object") {
        match name.as_str() {
            "line_items" => {}
            "email" => assert_eq!(made.json["email"], "ada@shop.example.com"),
            "phone" => assert_eq!(made.json["phone"], "+436641234567"),
            _ => assert_eq!(&made.json[name], value, "{name}"),
        }
    }
    let lines = &made.json["line_items"];
    assert_eq!(lines[0]["total"], eur(9500));
    assert_eq!((&lines[1]["total"], &lines[1]["discount_total"]), (&eur(300), &eur(0)));
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
    assert_eq!(kinds(&client, &made.id()), ["order.placed"]);
    let placed = &log(&client, &made.id())[0];
    assert_eq!(placed["occurred_at"], "2026-03-14T08:00:00Z");
    assert_eq!((&placed["direction"], &placed["value"]), (&json!("inbound"), &eur(11_400)));
    assert_eq!(placed["channel_id"], body["channel_id"]);
    assert_eq!(placed["properties"]["items_count"], 3);
    assert_eq!(placed["properties"]["line_items"][0]["sku"], "R1");
}

#[test]
fn a_patch_of_an_order_changes_what_it_names() {
    let client = workspace();
    let id = create(&client, ropes("ada@shop.example.com")).id();
    let patch = json!({ "note": "Ring", "tags": ["b"], "attributes": { "a": 1 } });
    let after = client.patch(&at(&id), patch).expect(200).json;
    assert_eq!((&after["note"], &after["version"]), (&json!("Ring"), &json!(2)));
    assert_eq!(after["total"], eur(10_000));
    let patch = json!({ "note": null, "attributes": { "a": null } });
    let after = client.patch(&at(&id), patch).expect(200).json;
    assert_eq!((&after["note"], &after["attributes"]), (&Value::Null, &json!({})));
    assert_eq!(kinds(&client, &id), ["order.placed", "order.updated", "order.updated"]);
    let told = log(&client, &id);
    let changes = &told.last().expect("a change")["properties"]["changes"];
    assert_eq!(changes["note"], json!({ "from": "Ring", "to": null }));
    // What changes nothing is no change.
    let same = client.patch(&at(&id), json!({ "tags": ["b"] })).expect(200).json;
    assert_eq!(same["version"], 3);
    client.send("PATCH", &at(&id), &[("If-Match", "\"1\"")], Some("{}")).expect(412);
    refused(client.patch(&at(&id), json!({ "currency": "USD" })), "immutable", "#/currency");
    refused(client.patch(&at(&id), json!({ "status": null })), "invalid_type", "#/status");
}

#[test]
fn a_field_of_an_order_that_is_not_valid_is_named() {
    let client = workspace();
    let unknown = Uuid::new_v4();
    let cases = [
        (json!({}), "required", "#/currency"),
        (json!({ "currency": "eur" }), "invalid_currency", "#/currency"),
        (json!({ "currency": "EUR", "email": "ada" }), "invalid_email", "#/email"),
        (json!({ "currency": "EUR", "status": "gone" }), "invalid_type", "#/status"),
        (json!({ "currency": "EUR", "channel_id": unknown }), "not_found", "#/channel_id"),
        (json!({ "currency": "EUR", "cart": { "id": unknown } }), "not_found", "#/cart/id"),
        (json!({ "currency": "EUR", "customer": { "id": unknown } }), "not_found", "#/customer/id"),
        (json!({ "currency": "EUR", "customer": {} }), "empty_reference", "#/customer"),
        (
            json!({ "currency": "EUR", "placed_at": "2150-01-01T00:00:00Z" }),
            "invalid_time",
            "#/placed_at",
        ),
        (
            json!({ "currency": "EUR", "paid_at": "1950-01-01T00:00:00Z" }),
            "invalid_time",
            "#/paid_at",
        ),
        (
            json!({ "currency": "EUR", "line_items": [{ "name": "a", "quantity": 0,
                                                     "unit_price": eur(1) }] }),
            "out_of_range",
            "#/line_items/0/quantity",
        ),
        (
            json!({ "currency": "EUR", "line_items": [{ "name": "a", "quantity": 1,
                 "unit_price": eur(1), "product_id": unknown }] }),
            "not_found",
            "#/line_items/0/product_id",
        ),
        (
            json!({ "currency": "EUR", "line_items": [line("a", 1, 1), line("a", 1, 1)] }),
            "already_exists",
            "#/line_items/1/external_id",
        ),
        (
            json!({ "currency": "EUR", "billing_address": { "country": "Austria" } }),
            "invalid_country",
            "#/billing_address/country",
        ),
    ];
    for (body, code, pointer) in cases {
        refused(client.post(PATH, body), code, pointer);
    }
    assert_eq!(client.get(PATH).expect(200).json["data"], json!([]));
    assert_eq!(client.get("/v1/customers").expect(200).json["data"], json!([]));
}

#[test]
fn the_lines_of_an_order_know_their_products() {
    let client = workspace();
    let product = |body: Value| client.post("/v1/products", body).expect(201).id();
    let by_id = product(json!({ "name": "A" }));
    let by_sku = product(json!({ "name": "B", "sku": "B1" }));
    let by_outside =
        product(json!({ "name": "C", "external_ids": [{ "source": "shop", "id": "c" }] }));
    let with = |more: Value| {
        let mut line = json!({ "name": "x", "quantity": 1, "unit_price": eur(100) });
        line.as_object_mut().expect("a line").extend(more.as_object().expect("more").clone());
        line
    };
    let lines = json!([
        with(json!({ "product_id": by_id })),
        with(json!({ "sku": "B1" })),
        with(json!({ "product_external_id": "c", "sku": "B1" })),
        with(json!({ "sku": "unknown", "product_external_id": "gone" }))
    ]);
    let made = create(&client, json!({ "source": "shop", "currency": "EUR", "line_items": lines }));
    let found: Vec<&Value> = (0..4).map(|at| &made.json["line_items"][at]["product_id"]).collect();
    assert_eq!(found, [&json!(by_id), &json!(by_sku), &json!(by_outside), &Value::Null]);
}

#[test]
fn lines_keep_their_ids_when_an_order_is_sent_again() {
    let client = workspace();
    let made = create(&client, ropes("ada@shop.example.com")).json;
    let id = made["id"].as_str().expect("an id");
    let lines = json!([line("shoe", 1, 100), line("rope", 3, 5000),
                       { "name": "wrap", "quantity": 1, "unit_price": eur(1) }]);
    let after = client.patch(&at(id), json!({ "line_items": lines })).expect(200).json;
    assert_eq!(after["line_items"][1]["id"], made["line_items"][0]["id"]);
    assert_eq!(after["subtotal"], eur(15_101));
    // One without an outside id is known by what it says.
    let again = client.patch(&at(id), json!({ "line_items": [lines[2]] })).expect(200).json;
    assert_eq!(again["line_items"][0]["id"], after["line_items"][2]["id"]);
}

#[test]
fn orders_are_listed_by_what_they_are() {
    let client = workspace();
    let order = |number: &str, more: Value| {
        let mut body = json!({ "currency": "EUR", "number": number,
                               "line_items": [line("rope", 1, 100)] });
        body.as_object_mut().expect("an order").extend(more.as_object().expect("more").clone());
        create(&client, body).json
    };
    let first = order(
        "A1",
        json!({ "email": "ada@shop.example.com", "source": "shopify",
                                    "placed_at": "2026-01-01T00:00:00Z" }),
    );
    order(
        "B2",
        json!({ "financial_status": "paid", "tags": ["gift"],
                        "placed_at": "2026-02-01T00:00:00Z" }),
    );
    order(
        "C3",
        json!({ "status": "cancelled", "fulfillment_status": "fulfilled",
                        "placed_at": "2025-12-01T00:00:00Z" }),
    );
    let numbers = |query: &str| -> Vec<String> {
        let list = client.get(&format!("{PATH}?{query}")).expect(200).json;
        let rows = list["data"].as_array().expect("a list").iter();
        rows.map(|row| row["number"].as_str().expect("a number").to_owned()).collect()
    };
    assert_eq!(numbers(""), ["C3", "B2", "A1"]);
    assert_eq!(numbers("sort=placed_at"), ["C3", "A1", "B2"]);
    assert_eq!(numbers("sort=-placed_at&limit=1"), ["B2"]);
    assert_eq!(numbers("source=shopify"), ["A1"]);
    assert_eq!(numbers(&format!("customer_id={}", first["customer_id"].as_str().unwrap())), ["A1"]);
    assert_eq!(numbers("financial_status=paid"), ["B2"]);
    assert_eq!(numbers("status=cancelled,open&sort=placed_at"), ["C3", "A1", "B2"]);
    assert_eq!(numbers("fulfillment_status=fulfilled"), ["C3"]);
    assert_eq!(numbers("tags=gift"), ["B2"]);
    assert_eq!(numbers("q=ada%40shop"), ["A1"]);
    assert_eq!(numbers("q=ROPE&sort=placed_at"), ["C3", "A1", "B2"]);
    assert_eq!(
        numbers("placed_at_gte=2026-01-01T00:00:00Z&placed_at_lt=2026-01-15T00:00:00Z"),
        ["A1"]
    );
    assert_eq!(numbers("updated_at_lt=2020-01-01T00:00:00Z"), [""; 0]);
}

#[test]
fn a_deleted_order_is_gone_until_it_is_restored() {
    let client = workspace();
    let mut body = ropes("ada@shop.example.com");
    body["external_ids"] = json!([{ "source": "shop", "id": "1" }]);
    let made = create(&client, body.clone()).json;
    let id = made["id"].as_str().expect("an id");
    client.delete(&at(id)).expect(204);
    client.get(&at(id)).expect(404);
    // Its outside id is free, and then taken.
    let other = create(&client, body).id();
    let restore = format!("{}/restore", at(id));
    let taken = client.post(&restore, json!({})).expect_code(409, "external_ids_taken");
    assert_eq!(taken.json["existing_id"], other);
    client.delete(&at(&other)).expect(204);
    let back = client.post(&restore, json!({})).expect(200).json;
    assert_eq!((&back["line_items"], &back["version"]), (&made["line_items"], &json!(3)));
    assert_eq!(kinds(&client, id), ["order.deleted", "order.placed", "order.restored"]);
}

#[test]
fn an_order_of_another_workspace_is_not_there() {
    let (mine, other) = (workspace(), workspace());
    let id = create(&mine, ropes("ada@shop.example.com")).id();
    other.get(&at(&id)).expect(404);
    other.patch(&at(&id), json!({ "note": "x" })).expect(404);
    other.post(&format!("{}/cancel", at(&id)), json!({})).expect(404);
    other.post(&format!("{}/refunds", at(&id)), json!({ "amount": eur(1) })).expect(404);
    other.post(&format!("{}/fulfillments", at(&id)), json!({})).expect(404);
    mine.test_mode().get(&at(&id)).expect(404);
}

#[test]
fn a_repeated_order_is_recorded_once() {
    let client = workspace();
    let key = [("Idempotency-Key", "o-1")];
    let body = ropes("ada@shop.example.com").to_string();
    let first = client.send("POST", PATH, &key, Some(&body)).expect(201);
    let again = client.send("POST", PATH, &key, Some(&body)).expect(201);
    assert_eq!(first.id(), again.id());
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let id = first.json["customer_id"].as_str().expect("a customer").to_owned();
    assert_eq!(customer(&client, &id)["stats"]["orders_count"], 1);
}
