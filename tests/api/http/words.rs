//! What a caller reads who made one of the commonest mistakes.

use serde_json::{Value, json};

use crate::harness::workspace;

fn detail(json: &Value) -> &str {
    json["errors"][0]["detail"].as_str().unwrap_or_default()
}

#[test]
fn a_mistake_in_a_body_says_what_to_send() {
    let client = workspace();
    let time = "`placed_at` must be a time with its zone, such as `2026-11-01T12:00:00Z`";
    let money = "`total` must be an object such as `{\"amount\": 1999, \"currency\": \"EUR\"}`";
    let of_line = "`line_items/0/unit_price/amount` must be a whole number, not a fraction";
    let line = json!({ "name": "a", "quantity": 1,
                       "unit_price": { "amount": 1.5, "currency": "EUR" } });
    for (field, value, expected) in [
        ("placed_at", json!("2026-11-01"), time.to_owned()),
        ("placed_at", json!("2026-11-01T12:00:00"), time.to_owned()),
        ("placed_at", json!("2026-13-01T12:00:00Z"), time.to_owned()),
        ("placed_at", json!("01.11.2026"), time.to_owned()),
        ("placed_at", json!(1_700_000_000), time.to_owned()),
        ("total", json!("19.99"), format!("{money}, not a string")),
        ("total", json!(1999), format!("{money}, not a number")),
        ("line_items", json!([line]), of_line.to_owned()),
        ("tags", json!("a,b"), "`tags` must be an array, not a string".to_owned()),
        (
            "status",
            json!("shipped"),
            "`status` must be one of `open`, `completed`, `cancelled`, `archived`".to_owned(),
        ),
        (
            "channel_id",
            json!("abc"),
            "`channel_id` must be a UUID such as `0192f0c1-2a3b-7c4d-8e5f-60718293a4b5`".to_owned(),
        ),
    ] {
        let mut body = json!({ "currency": "EUR" });
        body[field] = value.clone();
        let refused = client.post("/v1/orders", body).expect(422);
        assert_eq!(detail(&refused.json), expected, "{value}");
    }
    let refused = client.post("/v1/orders", json!([])).expect(422);
    assert_eq!(detail(&refused.json), "the body must be an object, not an array");
    let replay = json!({ "from": "2026-11-01", "to": "2026-11-02T00:00:00Z" });
    let hook = json!({ "url": "https://shop.example.com/hook" });
    let id = client.post("/v1/webhook_endpoints", hook).expect(201).id();
    let refused = client.post(&format!("/v1/webhook_endpoints/{id}/replay"), replay).expect(422);
    assert!(detail(&refused.json).contains("must be a time"), "{}", refused.text);
}

#[test]
fn a_mistake_in_a_parameter_says_what_to_send() {
    let client = workspace();
    for (query, expected) in [
        (
            "orders?placed_at_gte=2026-11-01",
            "`placed_at_gte` must be a time with its zone, such as `2026-11-01T12:00:00Z`",
        ),
        (
            "orders?customer_id=abc",
            "`customer_id` must be a UUID such as `0192f0c1-2a3b-7c4d-8e5f-60718293a4b5`",
        ),
        (
            "touchpoints?type=order.*",
            "`type` must be whole words: `*` is known to the change feed and to webhooks alone",
        ),
        ("orders?limit=many", "`limit` must be a whole number"),
        ("orders?include_total=yes", "`include_total` must be `true` or `false`"),
        ("orders?status=foo", "`status` must be one of open, completed, cancelled, archived"),
        ("analytics/funnel?from=x&steps=a.b,c.d", "`from` must be a day such as `2026-11-01`"),
        ("customers/lookup", "`type` is required"),
    ] {
        let refused = client.get(&format!("/v1/{query}")).expect(400);
        assert_eq!(detail(&refused.json), expected, "{query}");
    }
}
