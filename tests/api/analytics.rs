//! Figures over orders and touchpoints, and the charts of them.

mod charts;
mod checked;
mod few;
mod goods;
mod shop;

use serde_json::{Value, json};

use crate::harness::{Client, workspace};

/// Every chart with the parameters it needs.
const CHARTS: [&str; 8] = [
    "/v1/analytics/query/chart.svg?metric=orders",
    "/v1/analytics/orders/chart.svg",
    "/v1/analytics/products/chart.svg",
    "/v1/analytics/rfm/chart.svg",
    "/v1/analytics/clv/chart.svg",
    "/v1/analytics/cohorts/chart.svg",
    "/v1/analytics/funnel/chart.svg?steps=page.viewed,order.placed",
    "/v1/analytics/attribution/chart.svg",
];

fn refused(client: &Client, path: &str, parameter: &str) {
    let answer = client.get(&format!("/v1/analytics/{path}")).expect(400);
    let fault = &answer.json["errors"][0];
    assert_eq!(fault["parameter"], parameter, "{path}: {}", answer.text);
}

fn ask(client: &Client, body: Value) -> Value {
    client.post("/v1/analytics/query", body).expect(200).json
}

#[test]
fn where_nothing_has_happened_every_figure_is_nothing() {
    let client = workspace();
    let rfm = client.get("/v1/analytics/rfm").expect(200).json;
    assert_eq!((&rfm["customers"], &rfm["segments"][0]["share"]), (&json!(0), &json!(0.0)));
    let clv = client.get("/v1/analytics/clv").expect(200).json;
    assert_eq!((&clv["customers"], &clv["deciles"]), (&json!(0), &json!([])));
    let orders = client.get("/v1/analytics/orders").expect(200).json;
    assert_eq!(orders["average_days_between_orders"], Value::Null);
    assert_eq!(client.get("/v1/analytics/attribution").expect(200).json["credits"], json!([]));
    for chart in CHARTS {
        let drawn = client.get(chart).expect(200).text;
        assert!(drawn.contains("Nothing to show yet"), "{chart}: {drawn}");
    }
}

#[test]
fn a_chart_is_an_image_with_title_and_unit_for_light_and_dark_pages() {
    let shop = shop::Shop::open(7, 12);
    for chart in CHARTS {
        let drawn = shop.client.get(chart).expect(200);
        assert_eq!(drawn.headers["content-type"], "image/svg+xml", "{chart}");
        assert!(drawn.headers["content-security-policy"].starts_with("default-src 'none'"));
        assert!(drawn.text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{chart}");
        assert!(drawn.text.contains("\n<title>") && drawn.text.ends_with("</svg>\n"));
        assert!(!drawn.text.contains("var(") && !drawn.text.contains(" id="), "{chart}");
        assert!(!drawn.text.contains("NaN") && !drawn.text.contains("inf"), "{chart}");
        assert!(!drawn.text.contains("Nothing to show"), "{chart}");
        assert!(drawn.text.contains("prefers-color-scheme: dark"), "{chart}");
        let join = if chart.contains('?') { '&' } else { '?' };
        let dark = shop.client.get(&format!("{chart}{join}theme=dark")).expect(200);
        assert!(!dark.text.contains("prefers-color-scheme"), "{chart}");
        assert!(dark.text.contains("fill=\"#151a21\""), "{chart}");
    }
}

#[test]
fn an_image_shows_a_token_in_its_address_and_never_a_key() {
    let client = workspace();
    let key = client.token.clone().expect("a key");
    let token = crate::sessions::token_of(&client, &key);
    let nobody = Client { token: None, ..client };
    for chart in CHARTS {
        let join = if chart.contains('?') { '&' } else { '?' };
        let path = |token: &str| format!("{chart}{join}access_token={token}");
        nobody.get(&path(&token)).expect(200);
        nobody.get(&path(&key)).expect_code(401, "unauthorized");
    }
    let figures = format!("/v1/analytics/rfm?access_token={token}");
    nobody.get(&figures).expect_code(401, "unauthorized");
}

#[test]
fn a_name_in_a_chart_is_text_and_nothing_else() {
    let client = workspace();
    let item = json!({ "name": "<script>alert(1)</script> & more", "quantity": 1,
                       "unit_price": { "amount": 500, "currency": "EUR" } });
    let order = json!({ "currency": "EUR", "financial_status": "paid", "line_items": [item] });
    client.post("/v1/orders", order).expect(201);
    let drawn = client.get("/v1/analytics/products/chart.svg").expect(200).text;
    assert!(drawn.contains("&lt;script&gt;") && !drawn.contains("<script"), "{drawn}");
}

#[test]
fn what_cannot_be_answered_names_its_parameter() {
    let client = workspace();
    for path in ["orders", "products", "attribution", "orders/chart.svg"] {
        refused(&client, &format!("{path}?from=2026-02-01&to=2026-01-01"), "from");
        refused(&client, &format!("{path}?from=2020-01-01&to=2026-01-01"), "from");
        refused(&client, &format!("{path}?to=2300-01-01"), "to");
    }
    refused(&client, "orders?interval=hour&from=2026-01-01&to=2026-12-31", "interval");
    refused(&client, "orders?interval=minute", "interval");
    refused(&client, "products?limit=0", "limit");
    refused(&client, "products/chart.svg?limit=101", "limit");
    refused(&client, "cohorts?months=0", "months");
    refused(&client, "cohorts/chart.svg?months=37", "months");
    refused(&client, "funnel?steps=page.viewed", "steps");
    refused(&client, "funnel", "steps");
    refused(&client, "funnel/chart.svg?steps=a.b,c.d&within_days=0", "within_days");
    refused(&client, "attribution?lookback_days=366", "lookback_days");
    refused(&client, "attribution?model=best", "model");
    refused(&client, "attribution/chart.svg?by=weather", "by");
    refused(&client, "rfm/chart.svg?theme=pink", "theme");
    refused(&client, "rfm/customers?segment=friends", "segment");
    refused(&client, "query/chart.svg?metric=orders&group_by=type", "group_by");
    refused(&client, "query/chart.svg?metric=orders&types=a.b", "types");
    refused(&client, "query/chart.svg", "metric");
    let nowhere = uuid::Uuid::now_v7();
    refused(
        &client,
        &format!("query/chart.svg?metric=orders&channel_ids={nowhere}"),
        "channel_ids",
    );
    refused(&client, "orders/chart.svg?measure=repeat_rate", "measure");
    refused(&client, "cohorts/chart.svg?measure=orders", "measure");
}

#[test]
fn a_query_that_fits_nothing_names_its_field() {
    let client = workspace();
    let cases = [
        (
            json!({ "metric": "orders", "channel_ids": [uuid::Uuid::now_v7()] }),
            "not_found",
            "#/channel_ids/0",
        ),
        (json!({ "metric": "orders", "group_by": ["type"] }), "not_for_this_metric", "#/group_by"),
        (
            json!({ "metric": "touchpoints", "group_by": ["source"] }),
            "not_for_this_metric",
            "#/group_by",
        ),
        (json!({ "metric": "orders", "types": ["a.b"] }), "not_for_this_metric", "#/types"),
        (
            json!({ "metric": "orders", "from": "2026-02-01", "to": "2026-01-01" }),
            "out_of_range",
            "#/from",
        ),
        (
            json!({ "metric": "orders", "interval": "hour", "from": "2025-01-01", "to": "2025-12-31" }),
            "out_of_range",
            "#/interval",
        ),
    ];
    for (body, code, pointer) in cases {
        let answer = client.post("/v1/analytics/query", body).expect(422);
        assert_eq!(answer.fault(), (code, pointer), "{}", answer.text);
    }
}

#[test]
fn days_are_those_of_the_workspace() {
    let client = workspace();
    client.patch("/v1/workspace", json!({ "timezone": "Asia/Kathmandu" })).expect(200);
    // 18:14 and 18:15 in UTC: a minute before midnight in Nepal, and midnight.
    for at in ["2026-03-01T18:14:59Z", "2026-03-01T18:15:00Z"] {
        let order = json!({ "currency": "EUR", "placed_at": at });
        client.post("/v1/orders", order).expect(201);
        client
            .post(
                "/v1/touchpoints",
                json!({ "type": "page.viewed", "direction": "inbound",
            "customer": { "anonymous_id": "a" }, "occurred_at": at }),
            )
            .expect(201);
    }
    for metric in ["orders", "touchpoints"] {
        for measure in ["count", "sum"] {
            let body = json!({ "metric": metric, "measure": measure, "from": "2026-03-01",
                               "to": "2026-03-02" });
            let points = ask(&client, body)["series"][0]["points"].clone();
            let starts = [&points[0]["start"], &points[1]["start"]];
            assert_eq!(starts, ["2026-02-28T18:15:00Z", "2026-03-01T18:15:00Z"]);
            if measure == "count" && metric == "orders" {
                assert_eq!([&points[0]["value"], &points[1]["value"]], [&json!(1), &json!(1)]);
            }
        }
    }
    let viewed = json!({ "metric": "touchpoints", "types": ["page.viewed"], "from": "2026-03-01",
                         "to": "2026-03-02" });
    let points = ask(&client, viewed)["series"][0]["points"].clone();
    assert_eq!([&points[0]["value"], &points[1]["value"]], [&json!(1), &json!(1)]);
}

#[test]
fn cancelled_and_deleted_orders_and_other_currencies_add_nothing() {
    let client = workspace();
    let order = |currency: &str| {
        let total = json!({ "amount": 1000, "currency": currency });
        let body = json!({ "currency": currency, "email": "ada@shop.example.com", "total": total,
                           "financial_status": "paid" });
        client.post("/v1/orders", body).expect(201).id()
    };
    let (_, cancelled, deleted) = (order("EUR"), order("EUR"), order("EUR"));
    order("USD");
    client.post(&format!("/v1/orders/{cancelled}/cancel"), json!({})).expect(200);
    client.delete(&format!("/v1/orders/{deleted}")).expect(204);
    let figures = client.get("/v1/analytics/orders").expect(200).json;
    assert_eq!((&figures["orders"], &figures["revenue"]["amount"]), (&json!(2), &json!(1000)));
    assert_eq!(figures["average_order_value"]["amount"], 1000);
    let sum = json!({ "metric": "orders", "measure": "avg" });
    assert_eq!(ask(&client, sum)["series"][0]["total"], 1000);
}

#[test]
fn buyers_are_listed_page_by_page_and_by_segment() {
    let shop = shop::Shop::open(3, 25);
    let list = |query: &str| {
        shop.client.get(&format!("/v1/analytics/rfm/customers?{query}")).expect(200).json
    };
    let all = list("limit=200&include_total=true");
    assert_eq!(all["total"], 25);
    let ids = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().expect("a list").iter();
        rows.map(|row| row["customer_id"].as_str().expect("an id").to_owned()).collect()
    };
    for (sort, reversed) in [("-customer_id", false), ("customer_id", true)] {
        let (mut walked, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = list(&format!("limit=4&sort={sort}{cursor}"));
            walked.extend(ids(&page));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let mut expected = ids(&all);
        if reversed {
            expected.reverse();
        }
        assert_eq!(walked, expected);
    }
    let rows = all["data"].as_array().expect("a list");
    let lost: Vec<_> = rows.iter().filter(|row| row["segment"] == "lost").collect();
    assert_eq!(list("segment=lost&limit=200")["data"], json!(lost));
}
