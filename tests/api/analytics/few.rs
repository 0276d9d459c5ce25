//! Figures at the edges: of one customer, of one instant, of more than there is room for.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::ask;
use crate::harness::{Client, workspace};

const MOST: i64 = 1_000_000_000_000_000;

fn order(client: &Client, at: DateTime<Utc>) {
    let body = json!({ "currency": "EUR", "email": "ada@shop.example.com", "placed_at": at,
                       "financial_status": "paid", "total": { "amount": 1000, "currency": "EUR" } });
    client.post("/v1/orders", body).expect(201);
}

fn visit(at: DateTime<Utc>, campaign: &str) -> Value {
    json!({ "type": "page.viewed", "occurred_at": at,
            "customer": { "email": "ada@shop.example.com" },
            "context": { "campaign": { "name": campaign } } })
}

fn send(client: &Client, items: Vec<Value>) {
    let path = "/v1/touchpoints/batch?on_unknown_customer=create";
    let answer = client.post(path, json!({ "items": items })).expect(207);
    assert_eq!(answer.json["failed"], 0, "{}", answer.text);
}

#[test]
fn the_only_buyer_of_a_shop_is_new_and_not_lost() {
    let client = workspace();
    order(&client, Utc::now());
    let buyer = client.get("/v1/analytics/rfm/customers").expect(200).json["data"][0].clone();
    assert_eq!((&buyer["segment"], &buyer["recency_score"]), (&json!("new_customers"), &json!(5)));
    let drawn = client.get("/v1/analytics/rfm/chart.svg").expect(200).text;
    assert!(drawn.contains("1 buyer, as of"), "{drawn}");
}

#[test]
fn an_order_of_tomorrow_is_in_no_month_yet() {
    let client = workspace();
    let today = Utc::now().date_naive();
    let tomorrow = (today + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
    order(&client, Utc::now() - TimeDelta::minutes(1));
    order(&client, tomorrow);
    let cohorts = client.get("/v1/analytics/cohorts?months=2").expect(200).json;
    let periods = cohorts["cohorts"].as_array().expect("a list").iter();
    let orders = periods.flat_map(|cohort| cohort["periods"].as_array().expect("a list").clone());
    let counted: i64 = orders.map(|period| period["orders"].as_i64().unwrap_or(0)).sum();
    // Past midnight it is an order of today.
    assert_eq!(counted, if Utc::now().date_naive() == today { 1 } else { 2 });
}

#[test]
fn what_led_to_an_order_came_before_it_to_the_microsecond() {
    let client = workspace();
    let second: DateTime<Utc> = "2026-03-10T12:00:00Z".parse().expect("a time");
    let at = |micros: i64| second + TimeDelta::microseconds(micros);
    send(
        &client,
        vec![visit(at(200), "before"), visit(at(800), "after"), visit(at(1_200), "late")],
    );
    for (placed, last) in [(400, "before"), (600, "before"), (801, "after")] {
        let client = &client;
        let other = client.get("/v1/orders").expect(200).json["data"][0]["id"].clone();
        if let Some(other) = other.as_str() {
            client.delete(&format!("/v1/orders/{other}")).expect(204);
        }
        order(client, at(placed));
        let path = "/v1/analytics/attribution?by=campaign&from=2026-03-01&to=2026-03-31";
        let credits = client.get(path).expect(200).json["credits"].clone();
        let all = credits.as_array().expect("a list").iter();
        let credited: Vec<_> =
            all.filter(|row| row["orders"].as_f64() > Some(0.0)).map(|row| &row["key"]).collect();
        assert_eq!(credited, [&json!(last)], "{placed}: {credits}");
    }
}

#[test]
fn who_gets_credit_beyond_the_first_200_is_counted() {
    let client = workspace();
    let placed = Utc::now() - TimeDelta::minutes(1);
    let before = placed - TimeDelta::hours(1);
    send(&client, (0..203).map(|number| visit(before, &format!("c{number}"))).collect());
    order(&client, placed);
    let path = "/v1/analytics/attribution?by=campaign&model=linear";
    let answer = client.get(path).expect(200).json;
    assert_eq!(answer["credit_count"], 203);
    assert_eq!(answer["credits"].as_array().map(Vec::len), Some(200));
    let path = "/v1/analytics/attribution/chart.svg?by=campaign&model=linear";
    let drawn = client.get(path).expect(200).text;
    assert!(drawn.contains(", the first 12 of 203 "), "{drawn}");
}

#[test]
fn no_touchpoint_is_worth_more_than_sums_can_hold() {
    let client = workspace();
    let worth = |amount: i64| {
        json!({ "type": "lead.won", "customer": { "anonymous_id": "a" },
                "value": { "amount": amount, "currency": "EUR" } })
    };
    for amount in [MOST + 1, -MOST - 1, i64::MAX, i64::MIN] {
        let refused = client.post("/v1/touchpoints", worth(amount)).expect(422);
        assert_eq!(refused.fault(), ("out_of_range", "#/value/amount"), "{}", refused.text);
    }
    // Ten thousand of the largest are more than 64 bits, and still a figure.
    for _ in 0..10 {
        send(&client, (0..1000).map(|_| worth(MOST)).collect());
    }
    let sum = json!({ "metric": "touchpoints", "measure": "sum" });
    assert_eq!(ask(&client, sum)["series"][0]["total"], i64::MAX);
    let average = json!({ "metric": "touchpoints", "measure": "avg" });
    assert_eq!(ask(&client, average)["series"][0]["total"], MOST);
    let drawn = "/v1/analytics/query/chart.svg?metric=touchpoints&measure=sum";
    client.get(drawn).expect(200);
    send(&client, vec![worth(-MOST), worth(0)]);
}
