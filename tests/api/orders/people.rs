//! Whose an order is.

use serde_json::{Value, json};

use super::{PATH, at, create, customer, eur, ropes};
use crate::harness::{App, Client, workspace};

fn customers(client: &Client) -> Vec<Value> {
    client.get("/v1/customers").expect(200).json["data"].as_array().expect("a list").clone()
}

#[test]
fn a_guest_becomes_a_customer_with_the_name_on_the_bill() {
    let client = workspace();
    let mut body = ropes("ada@shop.example.com");
    body["source"] = json!("shop");
    body["billing_address"] = json!({ "first_name": "Ada", "last_name": "Lindqvist" });
    let made = create(&client, body).json;
    let ada = customer(&client, made["customer_id"].as_str().expect("a customer"));
    assert_eq!((&ada["first_name"], &ada["last_name"]), (&json!("Ada"), &json!("Lindqvist")));
    assert_eq!((&ada["email"], &ada["source"]), (&json!("ada@shop.example.com"), &json!("shop")));
    // The same guest once more.
    let again = create(&client, ropes("ADA@shop.example.com")).json;
    assert_eq!(again["customer_id"], made["customer_id"]);
    assert_eq!(customers(&client).len(), 1);
}

#[test]
fn an_order_names_its_customer_in_any_way() {
    let client = workspace();
    let ada =
        client.post("/v1/customers", json!({ "email": "ada@shop.example.com" })).expect(201).id();
    let by = |customer: Value| {
        let body =
            json!({ "currency": "EUR", "customer": customer, "email": "gift@shop.example.com" });
        create(&client, body).json["customer_id"].clone()
    };
    // An id says it all: the email of a friend on the order is not Ada's.
    assert_eq!(by(json!({ "id": ada })), json!(ada));
    let friend = by(json!({ "email": "gift@shop.example.com" }));
    assert_ne!(friend, json!(ada));
    let outside = by(json!({ "external_id": { "source": "shop", "id": "7" } }));
    assert_eq!(outside, friend, "known by the email on the order");
    assert_eq!(by(json!({ "external_id": { "source": "shop", "id": "7" } })), friend);
}

#[test]
fn an_order_without_anybody_is_an_order_all_the_same() {
    let client = workspace();
    let made = create(&client, json!({ "currency": "EUR", "total": eur(100) })).json;
    assert_eq!(made["customer_id"], Value::Null);
    assert_eq!(customers(&client).len(), 0);
    // Who it was can be said later.
    let id = made["id"].as_str().expect("an id");
    let patch = json!({ "customer": { "email": "ada@shop.example.com" } });
    let after = client.patch(&at(id), patch).expect(200).json;
    let ada = customer(&client, after["customer_id"].as_str().expect("a customer"));
    assert_eq!(ada["stats"]["orders_count"], 1);
}

#[test]
fn many_orders_of_a_new_guest_at_once_make_one_customer() {
    let client = workspace();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| create(&client, ropes("ada@shop.example.com")));
        }
    });
    let all = customers(&client);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["stats"]["orders_count"], 8);
}

#[test]
fn who_was_erased_does_not_come_back_with_an_order() {
    let client = workspace();
    let mut body = ropes("ada@shop.example.com");
    body["note"] = json!("for Ada");
    body["billing_address"] = json!({ "first_name": "Ada" });
    let first = create(&client, body.clone()).json;
    let ada = first["customer_id"].as_str().expect("a customer");
    let asked = json!({ "customer_id": ada, "kind": "erasure", "is_verified": true });
    client.post("/v1/data_requests", asked).expect(201);
    let app = App::shared();
    while ecrm::worker::round(&app.state, uuid::Uuid::now_v7()).expect("a round") > 0 {}
    let kept = client.get(&at(first["id"].as_str().expect("an id"))).expect(200).json;
    assert_eq!((&kept["customer_id"], &kept["total"]), (&json!(ada), &eur(10_000)));
    for field in ["email", "note", "billing_address"] {
        assert_eq!(kept[field], Value::Null, "{field}");
    }
    let later = create(&client, body).json;
    for field in ["customer_id", "email", "note", "billing_address"] {
        assert_eq!(later[field], Value::Null, "{field}");
    }
    assert_eq!(later["total"], eur(10_000));
}

#[test]
fn what_a_customer_bought_moves_with_a_merge_and_back_again() {
    let client = workspace();
    let order = |email: &str, placed_at: &str| {
        let mut body = ropes(email);
        body["financial_status"] = json!("paid");
        body["placed_at"] = json!(placed_at);
        create(&client, body).json["customer_id"].as_str().expect("a customer").to_owned()
    };
    let ada = order("ada@shop.example.com", "2026-02-01T00:00:00Z");
    let other = order("other@shop.example.com", "2026-01-01T00:00:00Z");
    order("other@shop.example.com", "2026-03-01T00:00:00Z");
    let cart = json!({ "currency": "EUR", "customer": { "id": other } });
    let cart = client.post("/v1/carts", cart).expect(201).id();
    let (before, theirs) = (customer(&client, &ada), customer(&client, &other));
    let merged = client.post(&format!("/v1/customers/{ada}/merge"), json!({ "source_id": other }));
    let merge = merged.expect(200).json;
    let id = merge["merge_id"].as_str().expect("a merge");
    let moved = client.get(&format!("/v1/merges/{id}")).expect(200).json["moved"].clone();
    assert_eq!((&moved["orders"], &moved["carts"]), (&json!(2), &json!(1)));
    let both = customer(&client, &ada)["stats"].clone();
    assert_eq!((&both["orders_count"], &both["total_spent"]), (&json!(3), &eur(30_000)));
    assert_eq!(
        (&both["first_order_at"], &both["last_order_at"]),
        (&json!("2026-01-01T00:00:00Z"), &json!("2026-03-01T00:00:00Z"))
    );
    let list = client.get(&format!("{PATH}?customer_id={ada}")).expect(200).json;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        client.get(&format!("/v1/carts/{cart}")).expect(200).json["customer_id"],
        json!(ada)
    );
    // What comes in meanwhile for one of them goes back to them.
    order("other@shop.example.com", "2026-04-01T00:00:00Z");
    client.post(&format!("/v1/merges/{id}/revert"), json!({})).expect(200);
    assert_eq!(customer(&client, &ada)["stats"], before["stats"]);
    let after = customer(&client, &other)["stats"].clone();
    assert_eq!((&after["orders_count"], &after["total_spent"]), (&json!(3), &eur(30_000)));
    assert_eq!(after["first_order_at"], theirs["stats"]["first_order_at"]);
    assert_eq!(after["last_order_at"], "2026-04-01T00:00:00Z");
    assert_eq!(
        client.get(&format!("/v1/carts/{cart}")).expect(200).json["customer_id"],
        json!(other)
    );
}

#[test]
fn customers_see_their_own_orders_and_nobody_elses() {
    let client = workspace();
    let mut body = ropes("ada@shop.example.com");
    body["attributes"] = json!({ "margin": 3 });
    let made = create(&client, body).json;
    create(&client, ropes("other@shop.example.com"));
    let ada = made["customer_id"].as_str().expect("a customer");
    let token = client.post(&format!("/v1/customers/{ada}/tokens"), json!({})).expect(201).json;
    let me = client.with_token(token["token"].as_str().expect("a token"));
    let mine = me.get("/v1/me/orders").expect(200).json;
    assert_eq!(mine["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(mine["data"][0]["id"], made["id"]);
    assert_eq!(mine["data"][0].get("attributes"), None);
    me.get(PATH).expect(403);
}

/// What an order tells of is in the log already, and happened to nobody who was known.
#[test]
fn a_paid_order_makes_whoever_turns_out_to_have_placed_it_a_customer() {
    let client = workspace();
    let body = json!({ "currency": "EUR", "total": eur(100), "financial_status": "paid" });
    let id = create(&client, body).id();
    let email = json!({ "email": "ada@shop.example.com" });
    let after = client.patch(&at(&id), email).expect(200).json;
    let ada = after["customer_id"].as_str().expect("a customer").to_owned();
    assert_eq!(customer(&client, &ada)["lifecycle_stage"], "customer");
    let timeline = client.get(&format!("/v1/customers/{ada}/timeline")).expect(200).json;
    let told = timeline["data"].as_array().expect("a list").iter();
    let told: Vec<&Value> = told.filter(|row| row["subject"]["id"] == json!(id)).collect();
    assert_eq!(told.len(), 1, "{timeline}");
    assert_eq!(
        (&told[0]["type"], &told[0]["properties"]["changes"]["customer_id"]["to"]),
        (&json!("order.updated"), &json!(ada))
    );
    // One that is not paid for makes nobody a customer yet.
    let id = create(&client, json!({ "currency": "EUR", "total": eur(100) })).id();
    let email = json!({ "email": "eve@shop.example.com" });
    let after = client.patch(&at(&id), email).expect(200).json;
    let eve = customer(&client, after["customer_id"].as_str().expect("a customer"));
    assert_ne!(eve["lifecycle_stage"], "customer");
}
