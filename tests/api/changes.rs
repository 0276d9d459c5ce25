//! The change feed: everything that happens, once, in an order that a late commit cannot break.

mod crowds;
mod order;
mod places;
mod streams;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, App, Client, workspace};

const PATH: &str = "/v1/changes";

/// A workspace of the shared service whose feed is brought forward in the background, as `ecrm serve`
/// does.
fn followed() -> Client {
    static FEED: LazyLock<()> = LazyLock::new(|| {
        ecrm::journal::live::start(App::shared().state.clone()).expect("a thread");
    });
    LazyLock::force(&FEED);
    workspace()
}

/// The cursor of now.
fn now(client: &Client) -> String {
    let answer = client.get(&format!("{PATH}?from=now")).expect(200);
    assert_eq!((&answer.json["data"], &answer.json["has_more"]), (&json!([]), &json!(false)));
    cursor(&answer)
}

fn cursor(answer: &Answer) -> String {
    answer.json["next_cursor"].as_str().expect("a cursor").to_owned()
}

fn after(client: &Client, cursor: &str, more: &str) -> Answer {
    client.get(&format!("{PATH}?cursor={cursor}{more}")).expect(200)
}

/// Everything from a cursor on to the end of the feed, and where that is.
fn all(client: &Client, mut at: String, more: &str) -> (Vec<Value>, String) {
    let mut found = Vec::new();
    loop {
        let answer = after(client, &at, more);
        found.extend(answer.json["data"].as_array().expect("events").clone());
        at = cursor(&answer);
        if answer.json["has_more"] == false {
            return (found, at);
        }
    }
}

/// Reports as many page views at once.
fn report_many(client: &Client, count: usize) {
    let item = |_| json!({ "type": "page.viewed" });
    let items: Vec<Value> = (0..count).map(item).collect();
    let answer = client.post("/v1/touchpoints/batch", json!({ "items": items })).expect(207);
    assert_eq!(answer.json["failed"], 0, "{}", answer.text);
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

fn create(client: &Client, name: &str) -> String {
    client.post("/v1/customers", json!({ "first_name": name })).expect(201).id()
}

fn report(client: &Client, kind: &str, occurred_at: &str) -> String {
    let body = json!({ "type": kind, "occurred_at": occurred_at });
    client.post("/v1/touchpoints", body).expect(201).id()
}

#[test]
fn what_was_acknowledged_is_in_the_feed_once() {
    let client = workspace();
    let begin = now(&client);
    let ada = create(&client, "Ada");
    client.patch(&format!("/v1/customers/{ada}"), json!({ "title": "Dr" })).expect(200);
    // Long ago, and told now.
    let viewed = report(&client, "product.viewed", "2021-05-01T10:00:00Z");

    let answer = after(&client, &begin, "");
    let events = answer.json["data"].as_array().expect("events").clone();
    assert_eq!(types(&events), ["customer.created", "customer.updated", "product.viewed"]);
    assert_eq!((&events[0]["customer_id"], &events[2]["id"]), (&json!(ada), &json!(viewed)));
    let shown = client.get(&format!("/v1/touchpoints/{viewed}")).expect(200);
    assert_eq!(events[2], shown.json);

    let end = cursor(&answer);
    assert_eq!(after(&client, &end, "").json["data"], json!([]));
    assert_eq!(after(&client, &begin, "").json["data"], json!(events), "asked again");
}

#[test]
fn a_batch_is_read_in_pages_that_join_without_a_seam() {
    let client = workspace();
    let begin = now(&client);
    let item = |n| json!({ "type": "page.viewed", "message_id": format!("m-{n}") });
    for batch in 0..3 {
        let items: Vec<Value> = (0..50).map(|n| item(batch * 50 + n)).collect();
        client.post("/v1/touchpoints/batch", json!({ "items": items })).expect(207);
        client.post("/v1/touchpoints/batch", json!({ "items": items })).expect(207);
    }
    for limit in [1, 7, 50, 64, 1000] {
        let (events, _) = all(&client, begin.clone(), &format!("&limit={limit}"));
        let ids: Vec<&str> = events.iter().filter_map(|it| it["message_id"].as_str()).collect();
        let expected: Vec<String> = (0..150).map(|n| format!("m-{n}")).collect();
        assert_eq!(ids, expected, "{limit} a page");
    }
}

#[test]
fn a_filter_shows_some_and_passes_all() {
    let client = workspace();
    let begin = now(&client);
    let (ada, bob) = (create(&client, "Ada"), create(&client, "Bob"));
    report(&client, "cart.updated", "2026-03-14T08:00:00Z");
    report(&client, "cart.item_added", "2026-03-14T08:00:01Z");

    let kinds = |more: &str| {
        let (events, end) = all(&client, begin.clone(), more);
        assert_eq!(after(&client, &end, "").json["data"], json!([]), "{more}");
        types(&events).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(kinds("&types=cart.*"), ["cart.updated", "cart.item_added"]);
    assert_eq!(kinds("&types=cart.updated,customer.created").len(), 3);
    assert_eq!(kinds("&types=customer.*&limit=1").len(), 2);
    assert_eq!(kinds(&format!("&customer_id={ada}")), ["customer.created"]);
    let none = format!("&customer_id={bob}&types=cart.*");
    assert!(kinds(&none).is_empty());
    assert!(kinds(&format!("&organization_id={ada}&conversation_id={ada}")).is_empty());
}

#[test]
fn a_reader_without_news_waits_for_them() {
    let client = followed();
    let begin = now(&client);
    let begun = Instant::now();
    assert_eq!(after(&client, &begin, "&wait=1").json["data"], json!([]));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());

    let writer = client.clone();
    let written = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        // What the filter hides wakes nobody for good.
        create(&writer, "Ada");
        std::thread::sleep(Duration::from_millis(300));
        report(&writer, "cart.updated", "2026-03-14T08:00:00Z");
        Instant::now()
    });
    let answer = after(&client, &begin, "&wait=30&types=cart.*");
    let late = written.join().expect("a writer").elapsed();
    assert_eq!(types(answer.json["data"].as_array().expect("events")), ["cart.updated"]);
    assert!(late < Duration::from_secs(2), "{late:?}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let client = workspace();
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("wait=31", "wait"),
        ("wait=-1", "wait"),
        ("types=Order.*", "types"),
        ("types=*.placed", "types"),
        ("from=yesterday", "from"),
        ("customer_id=ada", "customer_id"),
    ] {
        let refused = client.get(&format!("{PATH}?{query}")).expect_code(400, "invalid_parameter");
        assert_eq!(refused.json["errors"][0]["parameter"], name, "{query}");
    }
    client.with_scopes(&["customers:read"]).get(PATH).expect_code(403, "insufficient_scope");
}
