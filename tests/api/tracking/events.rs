//! What happened: names, times, circumstances, repeats.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{count, ignored, public, sent, touchpoint};
use crate::harness::workspace;

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no time: {value}"))
}

#[test]
fn an_event_has_our_type_and_keeps_its_name() {
    let client = workspace();
    let sender = public(&client);
    for (event, kind) in [
        ("Product Viewed", "product.viewed"),
        ("view_item", "product.viewed"),
        ("Products Searched", "product.searched"),
        ("Email Opened", "message.opened"),
        ("Signed Up", "user.signed_up"),
        ("Video Playback Started", "video_playback.started"),
        ("Customer Deleted", "event_customer.deleted"),
        ("購入", "event.tracked"),
    ] {
        let result = sent(&sender, "/v1/track", json!({ "userId": "u1", "event": event }));
        let told = touchpoint(&client, &result);
        assert_eq!((&told["type"], &told["name"]), (&json!(kind), &json!(event)));
        assert_eq!(told["direction"], "inbound");
    }
}

#[test]
fn an_event_is_worth_what_it_says_in_whole_units() {
    let client = workspace();
    let sender = public(&client);
    let value = |event: &str, properties: Value| {
        let body = json!({ "userId": "u1", "event": event, "properties": properties });
        touchpoint(&client, &sent(&sender, "/v1/track", body))["value"].clone()
    };
    let euros = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    let price = json!({ "price": 19.99, "quantity": 2, "currency": "eur" });
    assert_eq!(value("Product Added", price), euros(3998));
    assert_eq!(value("Lead Won", json!({ "value": "12.5", "currency": "EUR" })), euros(1250));
    let yen = json!({ "revenue": 1200, "currency": "JPY" });
    assert_eq!(value("Ticket Sold", yen), json!({ "amount": 1200, "currency": "JPY" }));
    assert_eq!(value("Door Opened", json!({ "value": "much" })), Value::Null);
    // More than sums can hold is said to be left out.
    for much in [json!("92233720368547758.07"), json!(1e14)] {
        let body =
            json!({ "userId": "u1", "event": "Lead Won", "properties": { "revenue": much } });
        let told = sent(&sender, "/v1/track", body);
        assert_eq!(told["ignored"][0]["code"], "out_of_range", "{told}");
        assert_eq!(touchpoint(&client, &told)["value"], Value::Null);
    }
    // Without a currency it is in that of the workspace.
    let of_workspace = client.get("/v1/workspace").expect(200).json["default_currency"].clone();
    assert_eq!(value("Lead Won", json!({ "value": 3 }))["currency"], of_workspace);
}

#[test]
fn a_page_and_its_circumstances_are_kept() {
    let client = workspace();
    let body = json!({
        "anonymousId": "a1", "name": "Boots", "category": "Shoes",
        "properties": { "path": "/boots", "url": "https://shop.example.com/boots" },
        "context": {
            "ip": "192.0.2.1", "userAgent": "Firefox", "locale": "de-AT", "timezone": "Europe/Vienna",
            "page": { "path": "/boots", "referrer": "https://search.example.com/" },
            "campaign": { "name": "spring", "source": "news" }, "library": { "name": "analytics.js" },
        },
    });
    let told = touchpoint(&client, &sent(&public(&client), "/v1/page", body.clone()));
    let context = &told["context"];
    assert_eq!((&told["type"], &told["name"]), (&json!("page.viewed"), &json!("Boots")));
    assert_eq!(told["properties"]["category"], "Shoes");
    assert_eq!(context["page"]["referrer"], "https://search.example.com/");
    assert_eq!((&context["user_agent"], &context["ip"]), (&json!("Firefox"), &json!("192.0.2.1")));
    assert_eq!(context["campaign"]["source"], "news");
    assert_eq!(context["device"]["library"]["name"], "analytics.js");
    // A server has no page around it.
    let mut from_server = body;
    from_server["context"] = json!({});
    let told = touchpoint(&client, &sent(&client, "/v1/page", from_server));
    assert_eq!(told["context"]["page"]["url"], "https://shop.example.com/boots");
}

#[test]
fn a_clock_that_is_wrong_is_set_right() {
    let client = workspace();
    let sender = public(&client);
    let now = Utc::now();
    let wrong = now - TimeDelta::days(400);
    for name in ["timestamp", "originalTimestamp"] {
        let mut body = json!({ "userId": "u1", "event": "Door Opened", "sentAt": wrong });
        body[name] = json!(wrong - TimeDelta::minutes(10));
        let told = touchpoint(&client, &sent(&sender, "/v1/track", body));
        let off = (time(&told["occurred_at"]) - (now - TimeDelta::minutes(10))).abs();
        assert!(off < TimeDelta::seconds(20), "{name}: off by {off}");
    }
    // The clock of a batch is that of each of its calls.
    let event =
        json!({ "type": "track", "userId": "u1", "event": "Door Closed", "timestamp": wrong });
    let answer = sender.post("/v1/batch", json!({ "batch": [event], "sentAt": wrong })).expect(200);
    let told = touchpoint(&client, &answer.json["results"][0]);
    assert!((time(&told["occurred_at"]) - now).abs() < TimeDelta::seconds(20));
}

#[test]
fn a_time_without_a_clock_is_believed_and_none_is_in_the_future() {
    let client = workspace();
    let sender = public(&client);
    let occurred = |more: Value| {
        let mut body = json!({ "userId": "u1", "event": "Door Opened" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("more").clone());
        let result = sent(&sender, "/v1/track", body);
        let left_out = ignored(&result).len();
        (time(&touchpoint(&client, &result)["occurred_at"]), left_out)
    };
    let past: DateTime<Utc> = "2024-03-14T08:00:00Z".parse().expect("a time");
    assert_eq!(occurred(json!({ "timestamp": "2024-03-14T09:00:00+01:00" })), (past, 0));
    assert_eq!(occurred(json!({ "timestamp": "2024-03-14T08:00:00.000000" })), (past, 0));
    let is_now = |at: DateTime<Utc>| (Utc::now() - at).abs() < TimeDelta::seconds(20);
    let (at, left_out) = occurred(json!({ "timestamp": "2199-01-01T00:00:00Z" }));
    assert!(is_now(at) && left_out == 0, "{at}");
    for unread in
        [json!("yesterday"), json!(true), json!({ "at": 1 }), json!(20_260_314), json!(-1)]
    {
        let (at, left_out) = occurred(json!({ "timestamp": unread }));
        assert!(is_now(at) && left_out == 1, "{unread}: {at}");
    }
    // Some count seconds or milliseconds.
    for said in [
        json!(1_710_403_200),
        json!(1_710_403_200_000_i64),
        json!("1710403200"),
        json!(1_710_403_200.0),
    ] {
        assert_eq!(occurred(json!({ "timestamp": said })), (past, 0), "{said}");
    }
    let (at, left_out) =
        occurred(json!({ "timestamp": 1_710_403_200.5, "properties": { "n": u64::MAX } }));
    assert_eq!((at, left_out), (past + TimeDelta::milliseconds(500), 0));
}

#[test]
fn a_repeat_changes_nothing_whatever_it_says_by_now() {
    let client = workspace();
    let sender = public(&client);
    let call =
        |name: &str| json!({ "userId": "u1", "messageId": "m1", "traits": { "firstName": name } });
    let first = sent(&sender, "/v1/identify", call("Ada"));
    let repeat = sent(&sender, "/v1/identify", call("Bob"));
    assert_eq!((&repeat["status"], &repeat["id"]), (&json!(200), &first["id"]));
    assert_eq!(super::customer(&client, "user_id", "u1")["first_name"], "Ada");
    let twice =
        json!({ "type": "track", "userId": "u1", "messageId": "m2", "event": "Door Opened" });
    let answer = sender.post("/v1/batch", json!({ "batch": [twice, twice] })).expect(200);
    assert_eq!(answer.json["results"][0]["id"], answer.json["results"][1]["id"]);
    assert_eq!(answer.json["results"][1]["status"], 200);
    assert_eq!(count(&client, "door.opened"), 1);
}

#[test]
fn calls_that_come_at_once_are_all_taken_in() {
    let client = workspace();
    let sender = public(&client);
    let threads: Vec<_> = (0..16)
        .map(|n| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for m in 0..5 {
                    let body = json!({ "anonymousId": format!("a{}", n % 4), "event": "Door Opened",
                                       "messageId": format!("{n}-{m}") });
                    sender.post("/v1/t", body).expect(200);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(count(&client, "door.opened"), 80);
}
