//! Questions about what customers did: from the counters where they know it, else from the log.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{field, finds};
use crate::customers::create;
use crate::harness::{Client, workspace};

fn days_ago(days: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(days)
}

fn bought(client: &Client, customer: &str, days: i64, amount: i64, properties: Value) {
    let body = json!({
        "type": "order.placed", "customer": { "id": customer }, "occurred_at": days_ago(days),
        "value": { "amount": amount, "currency": "EUR" }, "properties": properties,
        "source": "shop", "direction": if amount > 2000 { "inbound" } else { "internal" },
    });
    client.post("/v1/touchpoints", body).expect(201);
}

/// Ada buys often, Eve bought once long ago, Kim never.
fn people(client: &Client) {
    let id = |name: &str| create(client, json!({ "first_name": name })).id();
    let (ada, eve, _kim) = (id("Ada"), id("Eve"), id("Kim"));
    bought(client, &ada, 200, 1000, json!({ "coupon": "SPRING" }));
    bought(client, &ada, 10, 9900, json!({ "items": 3 }));
    bought(client, &ada, 5, 2500, json!({ "items": 1 }));
    bought(client, &eve, 300, 20_000, json!({ "coupon": "SPRING", "items": 3 }));
    let theirs = workspace();
    let other = create(&theirs, json!({ "first_name": "Other" })).id();
    bought(&theirs, &other, 1, 1, json!({}));
}

fn did(more: Value) -> Value {
    let mut did = json!({ "type": "order.placed" });
    for (name, value) in more.as_object().expect("an object") {
        did[name] = value.clone();
    }
    json!({ "did": did })
}

#[test]
fn how_often_somebody_did_something_is_known() {
    let client = workspace();
    people(&client);
    finds(
        &client,
        &[
            (did(json!({})), &["Ada", "Eve"]),
            (did(json!({ "at_least": 2 })), &["Ada"]),
            (did(json!({ "at_least": 4 })), &[]),
            (did(json!({ "at_least": 1, "at_most": 1 })), &["Eve"]),
            (did(json!({ "at_most": 0 })), &["Kim"]),
            (did(json!({ "at_most": 1 })), &["Eve", "Kim"]),
            (did(json!({ "at_least": 0, "at_most": 1 })), &["Eve", "Kim"]),
            (json!({ "not": did(json!({})) }), &["Kim"]),
            (json!({ "did": { "type": "page.viewed" } }), &[]),
            (json!({ "did": { "type": "page.viewed", "at_most": 0 } }), &["Ada", "Eve", "Kim"]),
            (
                json!({ "did": { "type": "customer.created", "at_least": 1 } }),
                &["Ada", "Eve", "Kim"],
            ),
        ],
    );
}

#[test]
fn when_somebody_did_something_is_known() {
    let client = workspace();
    people(&client);
    finds(
        &client,
        &[
            (did(json!({ "within": "P30D" })), &["Ada"]),
            (did(json!({ "within": "P250D" })), &["Ada"]),
            (did(json!({ "within": "P1Y" })), &["Ada", "Eve"]),
            (did(json!({ "within": "P30D", "at_least": 2 })), &["Ada"]),
            (did(json!({ "within": "P30D", "at_least": 3 })), &[]),
            (did(json!({ "within": "P250D", "at_least": 3 })), &["Ada"]),
            (did(json!({ "within": "P30D", "at_most": 0 })), &["Eve", "Kim"]),
            (did(json!({ "within": "P7D", "at_least": 1, "at_most": 1 })), &["Ada"]),
            (did(json!({ "within": "PT12H" })), &[]),
        ],
    );
}

#[test]
fn what_it_was_that_somebody_did_is_known() {
    let client = workspace();
    people(&client);
    let which = |predicate: Value| did(json!({ "where": predicate }));
    let spring = field("properties.coupon", "eq", "SPRING");
    let large = field("value.amount", "gte", 5000);
    finds(
        &client,
        &[
            (which(spring.clone()), &["Ada", "Eve"]),
            (which(large.clone()), &["Ada", "Eve"]),
            (which(json!({ "all": [spring, large] })), &["Eve"]),
            (which(field("properties.items", "gt", 2)), &["Ada", "Eve"]),
            (which(field("direction", "eq", "internal")), &["Ada"]),
            (which(field("source", "ne", "shop")), &[]),
            (which(field("value.currency", "eq", "EUR")), &["Ada", "Eve"]),
            (did(json!({ "where": large, "within": "P30D" })), &["Ada"]),
            (did(json!({ "where": large, "at_most": 0 })), &["Kim"]),
            (did(json!({ "where": large, "at_least": 2 })), &[]),
            (did(json!({ "where": { "not": large }, "at_least": 2 })), &["Ada"]),
            (which(field("occurred_at", "lt", json!(days_ago(250)))), &["Eve"]),
            (
                json!({ "all": [which(spring), { "not": did(json!({ "within": "P30D" })) }] }),
                &["Eve"],
            ),
        ],
    );
}

#[test]
fn figures_are_asked_like_fields() {
    let client = workspace();
    people(&client);
    finds(
        &client,
        &[
            (field("stats.touchpoints_count", "gte", 1), &["Ada", "Eve"]),
            (field("stats.touchpoints_count", "eq", 1), &["Eve"]),
            (field("stats.touchpoints_count", "between", json!([2, 3])), &["Ada"]),
            (field("stats.last_seen_at", "within", "P30D"), &["Ada"]),
            (field("stats.first_seen_at", "lt", json!(days_ago(100))), &["Eve"]),
            (json!({ "field": "stats.last_contacted_at", "op": "exists" }), &[]),
        ],
    );
}
