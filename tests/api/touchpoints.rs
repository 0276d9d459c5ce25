//! Touchpoints: taken in once, from whenever, for whomever, and counted right.

mod backfill;
mod batch;
mod people;
mod places;
mod refusals;
mod rollups;
mod together;

use serde_json::{Value, json};

use crate::harness::{Answer, Client, workspace};

const PATH: &str = "/v1/touchpoints";

fn send(client: &Client, body: Value) -> Answer {
    client.post(PATH, body)
}

/// Sends touchpoints whose senders become customers.
fn send_batch(client: &Client, items: &[Value]) -> Answer {
    let path = format!("{PATH}/batch?on_unknown_customer=create");
    client.post(&path, json!({ "items": items }))
}

/// Status and id of each result of a batch.
#[track_caller]
fn results(answer: &Answer) -> Vec<(i64, Option<&str>)> {
    let results = answer.json["results"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    for (position, result) in results.iter().enumerate() {
        assert_eq!(result["index"], position);
        assert_ne!(result["id"].is_null(), result["error"].is_null(), "{result}");
    }
    let failed = results.iter().filter(|result| !result["error"].is_null()).count();
    assert_eq!(answer.json["failed"], failed);
    results.iter().map(|r| (r["status"].as_i64().expect("a status"), r["id"].as_str())).collect()
}

#[track_caller]
fn statuses(answer: &Answer) -> Vec<i64> {
    results(answer).into_iter().map(|(status, _)| status).collect()
}

/// Code and pointer of the first fault of an item.
fn fault(answer: &Answer, item: usize) -> (&str, &str) {
    let first = &answer.json["results"][item]["error"]["errors"][0];
    (first["code"].as_str().unwrap_or_default(), first["pointer"].as_str().unwrap_or_default())
}

#[test]
fn a_touchpoint_keeps_every_field_it_was_given() {
    let client = workspace();
    let ada = crate::customers::create(&client, json!({})).id();
    let body = json!({
        "type": "product.viewed", "name": "Product Viewed", "direction": "inbound",
        "occurred_at": "2024-03-14T08:00:00.123456Z", "source": "shop", "message_id": "evt-1",
        "subject": { "type": "product", "id": "sku-4711" },
        "value": { "amount": 19_900, "currency": "EUR" },
        "content": {
            "subject": "Boots", "text": "Do they run small?", "html": "<p>Do they?</p>",
            "transcript": "Hm.", "language": "en",
        },
        "context": {
            "ip": "192.0.2.1", "user_agent": "Firefox", "locale": "de-AT",
            "timezone": "Europe/Vienna",
            "page": {
                "url": "https://shop.example.com/boots", "path": "/boots", "title": "Boots",
                "referrer": "https://search.example.com/",
            },
            "campaign": {
                "name": "spring", "source": "news", "medium": "email", "term": "t", "content": "c",
            },
            "device": { "type": "phone" }, "location": { "city": "Innsbruck" },
        },
        "properties": { "color": "red", "sizes": [42, 42.5], "deep": { "er": null } },
    });
    let mut given = body.clone();
    given["customer"] = json!({ "id": ada });
    let made = send(&client, given).expect(201);
    for (name, value) in body.as_object().expect("an object") {
        assert_eq!(&made.json[name], value, "{name}");
    }
    assert_eq!(
        (&made.json["customer_id"], &made.json["origin_customer_id"]),
        (&json!(ada), &json!(ada))
    );
    assert_eq!(made.json["actor"], json!({ "type": "customer", "id": ada }));
    assert_eq!(made.headers["location"], format!("{PATH}/{}", made.id()));
    assert_eq!(client.get(&made.headers["location"]).expect(200).json, made.json);
}

#[test]
fn a_touchpoint_needs_no_more_than_a_type() {
    let client = workspace();
    let made = send(&client, json!({ "type": "door.opened" })).expect(201).json;
    assert_eq!((&made["direction"], &made["source"]), (&json!("inbound"), &json!("api")));
    assert_eq!(made["occurred_at"], made["received_at"]);
    for absent in
        ["customer_id", "anonymous_id", "channel_id", "name", "message_id", "value", "content"]
    {
        assert_eq!(made[absent], Value::Null, "{absent}");
    }
    assert_eq!(made["properties"], json!({}));
}

#[test]
fn who_acted_follows_from_the_direction_unless_it_is_said() {
    let client = workspace();
    let ada = crate::customers::create(&client, json!({})).id();
    let actor = |more: Value| {
        let mut body = json!({ "type": "call.made", "customer": { "id": ada } });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        send(&client, body).expect(201).json["actor"].clone()
    };
    assert_eq!(actor(json!({})), json!({ "type": "customer", "id": ada }));
    assert_eq!(actor(json!({ "direction": "outbound" }))["type"], "integration");
    let system = json!({ "type": "system", "id": null });
    assert_eq!(actor(json!({ "direction": "outbound", "actor": system })), system);
}

#[test]
fn a_repeat_changes_nothing_and_answers_what_is_stored() {
    let client = workspace();
    let body = |name: &str| {
        json!({
            "type": "page.viewed", "source": "shop", "message_id": "1", "name": name,
        })
    };
    let first = send(&client, body("first")).expect(201);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again = crate::customers::unchanged(&client, || send(&client, body("second")));
    let again = again.expect(201);
    assert_eq!(again.json, first.json);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let mut other = body("other");
    other["source"] = json!("app");
    assert_ne!(send(&client, other).expect(201).id(), first.id());
    assert_ne!(send(&workspace(), body("other")).expect(201).id(), first.id());
    let unnamed = json!({ "type": "page.viewed" });
    assert_ne!(send(&client, unnamed.clone()).id(), send(&client, unnamed).id());
}

#[test]
fn a_repeat_that_names_somebody_else_makes_nobody() {
    let client = workspace();
    let path = format!("{PATH}?on_unknown_customer=create");
    let body = |email: &str| {
        json!({
            "type": "page.viewed", "message_id": "1", "customer": { "email": email },
        })
    };
    let first = client.post(&path, body("ada@shop.example.com")).expect(201);
    let again =
        crate::customers::unchanged(&client, || client.post(&path, body("eve@shop.example.com")));
    assert_eq!(again.expect(201).json, first.json);
}

#[test]
fn a_touchpoint_of_nobody_is_not_found() {
    let client = workspace();
    client.get(&format!("{PATH}/01890000-0000-7000-8000-000000000000")).expect(404);
    client.get(&format!("{PATH}/first")).expect(404);
    let made = send(&client, json!({ "type": "page.viewed" })).id();
    workspace().get(&format!("{PATH}/{made}")).expect(404);
}
