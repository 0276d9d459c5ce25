//! What orders add up to for their customers, after any change.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{PATH, at, create, customer, eur, ropes};
use crate::dice::Dice;
use crate::harness::{App, Client, workspace};

fn stats(client: &Client, id: &Value) -> Value {
    customer(client, id.as_str().expect("a customer"))["stats"].clone()
}

#[test]
fn the_first_paid_order_makes_a_customer_of_a_lead() {
    let client = workspace();
    let made = create(&client, ropes("ada@shop.example.com")).json;
    let id = made["customer_id"].as_str().expect("a customer");
    assert_ne!(customer(&client, id)["lifecycle_stage"], "customer");
    let order = at(made["id"].as_str().expect("an id"));
    client.patch(&order, json!({ "financial_status": "paid" })).expect(200);
    assert_eq!(customer(&client, id)["lifecycle_stage"], "customer");
    let history = client.get(&format!("/v1/customers/{id}/history?field=lifecycle_stage"));
    assert_eq!(history.expect(200).json["data"][0]["to"], "customer");
}

#[test]
fn figures_follow_orders_payments_refunds_cancellations_and_deletions() {
    let client = workspace();
    let first = create(&client, ropes("ada@shop.example.com")).json;
    let ada = &first["customer_id"];
    let figures = |orders: i64, spent: i64, average: Value| {
        let stats = stats(&client, ada);
        let found = (&stats["orders_count"], &stats["total_spent"], &stats["average_order_value"]);
        assert_eq!(found, (&json!(orders), &eur(spent), &average));
    };
    figures(1, 0, eur(0));
    let order = at(first["id"].as_str().expect("an id"));
    client.patch(&order, json!({ "financial_status": "paid" })).expect(200);
    figures(1, 10_000, eur(10_000));
    let mut body = ropes("ada@shop.example.com");
    body["financial_status"] = json!("paid");
    let second = at(&create(&client, body).id());
    client.post(&format!("{second}/refunds"), json!({ "amount": eur(2500) })).expect(201);
    figures(2, 17_500, eur(8750));
    client.post(&format!("{second}/cancel"), json!({})).expect(200);
    figures(1, 10_000, eur(10_000));
    client.delete(&order).expect(204);
    figures(0, 0, Value::Null);
    assert_eq!(stats(&client, ada)["first_order_at"], Value::Null);
    client.post(&format!("{order}/restore"), json!({})).expect(200);
    figures(1, 10_000, eur(10_000));
}

#[test]
fn orders_in_another_currency_count_and_do_not_add_up() {
    let client = workspace();
    let mut body = ropes("ada@shop.example.com");
    body["financial_status"] = json!("paid");
    let ada = create(&client, body).json["customer_id"].clone();
    let usd = json!({ "currency": "USD", "email": "ada@shop.example.com", "financial_status": "paid",
                      "total": { "amount": 99, "currency": "USD" } });
    create(&client, usd);
    let stats = stats(&client, &ada);
    assert_eq!((&stats["orders_count"], &stats["total_spent"]), (&json!(2), &eur(10_000)));
}

#[test]
fn with_another_currency_of_the_workspace_figures_are_counted_again() {
    let client = workspace();
    let order = |currency: &str, amount: i64| {
        let body = json!({ "currency": currency, "email": "ada@shop.example.com",
                           "financial_status": "paid",
                           "total": { "amount": amount, "currency": currency } });
        create(&client, body).json["customer_id"].clone()
    };
    let ada = order("EUR", 100);
    order("USD", 7);
    client.patch("/v1/workspace", json!({ "default_currency": "USD" })).expect(200);
    // Also before the worker has come to it.
    order("USD", 2);
    let usd = json!({ "amount": 9, "currency": "USD" });
    assert_eq!(stats(&client, &ada)["total_spent"], usd);
    client.patch("/v1/workspace", json!({ "default_currency": "EUR" })).expect(200);
    while ecrm::worker::round(&App::shared().state, Uuid::now_v7()).expect("a round") > 0 {}
    let after = stats(&client, &ada);
    assert_eq!((&after["total_spent"], &after["orders_count"]), (&eur(100), &json!(3)));
}

/// What the orders of a customer add up to, counted from the orders themselves.
fn recount(client: &Client, customer: &str) -> Value {
    let list = client.get(&format!("{PATH}?customer_id={customer}&limit=200")).expect(200).json;
    let orders = list["data"].as_array().expect("a list");
    let counted: Vec<&Value> =
        orders.iter().filter(|order| order["status"] != "cancelled").collect();
    let amount = |order: &Value, field: &str| order[field]["amount"].as_i64().expect("an amount");
    let spent: i64 = counted
        .iter()
        .map(|order| amount(order, "paid_total") - amount(order, "refunded_total"))
        .sum();
    let placed = || counted.iter().filter_map(|order| order["placed_at"].as_str());
    json!({ "orders_count": counted.len(), "spent": spent,
            "first": placed().min(), "last": placed().max() })
}

#[test]
fn after_any_changes_the_figures_equal_a_recount() {
    let client = workspace();
    let mut dice = Dice(20_261_127);
    let mut orders: Vec<String> = Vec::new();
    let emails = ["a@shop.example.com", "b@shop.example.com", "c@shop.example.com"];
    for round in 0..150 {
        let pick = dice.roll(8);
        if orders.is_empty() || pick == 0 {
            let mut body = ropes(emails[dice.roll(3)]);
            body["placed_at"] = json!(format!("2026-01-{:02}T00:00:00Z", 1 + dice.roll(28)));
            orders.push(at(&create(&client, body).id()));
            continue;
        }
        let order = orders[dice.roll(orders.len())].clone();
        let answer = match pick {
            1 => client.patch(&order, json!({ "financial_status": "paid" })),
            2 => client.post(&format!("{order}/refunds"), json!({ "amount": eur(700) })),
            3 => client.post(&format!("{order}/cancel"), json!({})),
            4 => client.delete(&order),
            5 => client.post(&format!("{order}/restore"), json!({})),
            6 => {
                let email = emails[dice.roll(3)];
                client.patch(&order, json!({ "customer": { "email": email } }))
            }
            _ => {
                let day = 1 + dice.roll(28);
                client.patch(&order, json!({ "placed_at": format!("2026-02-{day:02}T00:00:00Z") }))
            }
        };
        assert!(answer.status < 500, "{round}: {}", answer.text);
    }
    let all = client.get("/v1/customers").expect(200).json;
    let all = all["data"].as_array().expect("a list").clone();
    assert_eq!(all.len(), 3);
    for customer in all {
        let stats = &customer["stats"];
        let kept = json!({ "orders_count": stats["orders_count"],
                           "spent": stats["total_spent"]["amount"],
                           "first": stats["first_order_at"], "last": stats["last_order_at"] });
        assert_eq!(kept, recount(&client, customer["id"].as_str().expect("an id")));
    }
}
