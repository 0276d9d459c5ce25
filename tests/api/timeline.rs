//! What happened, newest first: with one customer, one organization, or everybody.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::customers::{at, create, rows, texts};
use crate::harness::{Client, workspace};

/// A customer with twelve touchpoints on two channels, sent in no order.
struct Story {
    client: Client,
    ada: String,
    web: String,
    phone: String,
}

fn tell() -> Story {
    let client = workspace();
    let ada = create(&client, json!({})).id();
    let channel = |kind: &str| {
        client.post("/v1/channels", json!({ "type": kind, "name": kind })).expect(201).id()
    };
    let (web, phone) = (channel("web"), channel("phone"));
    let items: Vec<Value> = (0..12)
        .map(|n| {
            let day = (n * 5) % 12 + 1;
            let is_call = n % 3 == 0;
            json!({
                "type": if is_call { "call.made" } else { "page.viewed" },
                "direction": if is_call { "outbound" } else { "inbound" },
                "channel": { "id": if is_call { &phone } else { &web } },
                "customer": { "id": ada },
                "source": if n % 2 == 0 { "shop" } else { "app" },
                "occurred_at": format!("2024-05-{day:02}T08:00:00Z"),
                "name": day.to_string(),
            })
        })
        .collect();
    let done = client.post("/v1/touchpoints/batch", json!({ "items": items })).expect(207);
    assert_eq!(done.json["failed"], 0, "{}", done.text);
    Story { client, ada, web, phone }
}

impl Story {
    fn path(&self, query: &str) -> String {
        format!("{}/timeline?{query}", at(&self.ada))
    }

    /// The days of the touchpoints shown; what we wrote ourselves has none.
    fn days(&self, query: &str) -> Vec<u32> {
        let shown = self.client.get(&self.path(query)).expect(200);
        texts(&shown, "name").iter().filter_map(|name| name.parse().ok()).collect()
    }
}

#[test]
fn a_timeline_begins_with_the_latest() {
    let story = tell();
    assert_eq!(story.days(""), (1..=12).rev().collect::<Vec<_>>());
    assert_eq!(story.days("sort=-occurred_at"), (1..=12).rev().collect::<Vec<_>>());
    assert_eq!(story.days("sort=occurred_at"), (1..=12).collect::<Vec<_>>());
    let all = story.client.get(&story.path("include_total=true")).expect(200);
    assert_eq!(all.json["total"], 13);
    assert_eq!(all.json["data"][0]["type"], "customer.created");
    assert!(rows(&all).iter().all(|row| row["customer_id"] == story.ada));
}

#[test]
fn a_timeline_is_narrowed_by_type_channel_direction_source_and_time() {
    let story = tell();
    let (web, phone) = (&story.web, &story.phone);
    let calls: &[u32] = &[10, 7, 4, 1];
    let views: &[u32] = &[12, 11, 9, 8, 6, 5, 3, 2];
    let cases = [
        ("type=call.made".to_owned(), calls),
        ("type=page.viewed".to_owned(), views),
        ("type=page.viewed,call.made&occurred_at_gte=2024-05-11T00:00:00Z".to_owned(), &[12, 11]),
        ("type=customer.created".to_owned(), &[]),
        (format!("channel_id={web}"), views),
        (format!("channel_id={phone}"), calls),
        (format!("channel_id={phone},{web}&occurred_at_lt=2024-05-03T00:00:00Z"), &[2, 1]),
        ("direction=outbound".to_owned(), calls),
        ("direction=inbound".to_owned(), views),
        ("direction=internal".to_owned(), &[]),
        ("source=shop&direction=outbound".to_owned(), &[7, 1]),
        ("source=shop,app&type=call.made".to_owned(), calls),
        ("occurred_at_gte=2024-05-11T08:00:00Z".to_owned(), &[12, 11]),
        ("occurred_at_gte=2024-05-11T08:00:00.000001Z".to_owned(), &[12]),
        ("occurred_at_lt=2024-05-02T08:00:00Z".to_owned(), &[1]),
        ("occurred_at_lt=2024-05-02T08:00:00.000001Z".to_owned(), &[2, 1]),
        (
            "occurred_at_gte=1950-01-01T00:00:00Z&occurred_at_lt=1960-01-01T00:00:00Z".to_owned(),
            &[],
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(story.days(&query), expected, "{query}");
    }
}

#[test]
fn a_timeline_has_pages() {
    let story = tell();
    for (query, limit) in [("", 5), ("&sort=occurred_at", 4), ("&type=page.viewed", 3), ("", 1)] {
        let whole = texts(&story.client.get(&story.path(&format!("limit=200{query}"))), "id");
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = story.path(&format!("limit={limit}{query}{cursor}"));
            let page = story.client.get(&path).expect(200);
            assert!(rows(&page).len() <= limit);
            ids.extend(texts(&page, "id"));
            let Some(next) = page.json["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(ids, whole, "{query} by {limit}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }
}

#[test]
fn a_cursor_belongs_to_one_timeline() {
    let story = tell();
    let page = story.client.get(&story.path("limit=1")).expect(200);
    let cursor = page.json["next_cursor"].as_str().expect("a cursor");
    let eve = create(&story.client, json!({})).id();
    for path in [
        format!("{}/timeline?limit=1&cursor={cursor}", at(&eve)),
        story.path(&format!("limit=1&type=call.made&cursor={cursor}")),
        story.path(&format!("limit=1&sort=occurred_at&cursor={cursor}")),
        format!("/v1/touchpoints?limit=1&cursor={cursor}"),
    ] {
        assert_eq!(story.client.get(&path).expect(400).code(), "invalid_cursor", "{path}");
    }
}

#[test]
fn a_timeline_names_the_parameter_that_is_wrong() {
    let story = tell();
    let cases = [
        ("direction=sideways", "direction", "invalid_parameter"),
        ("channel_id=web", "channel_id", "invalid_parameter"),
        ("occurred_at_gte=monday", "occurred_at_gte", "invalid_parameter"),
        ("sort=type", "sort", "invalid_parameter"),
        ("limit=0", "limit", "invalid_parameter"),
        ("after=2024-05-01", "after", "unknown_parameter"),
        ("customer_id=x", "customer_id", "unknown_parameter"),
    ];
    for (query, parameter, code) in cases {
        let refused = story.client.get(&story.path(query)).expect(400);
        assert_eq!(refused.code(), code, "{query}");
        assert_eq!(refused.json["errors"][0]["parameter"], parameter, "{query}");
    }
}

#[test]
fn a_timeline_of_nobody_is_not_found() {
    let story = tell();
    let nobody = Uuid::now_v7();
    story.client.get(&format!("/v1/customers/{nobody}/timeline")).expect(404);
    story.client.get(&format!("/v1/organizations/{nobody}/timeline")).expect(404);
    workspace().get(&story.path("")).expect(404);
    story.client.get("/v1/customers/ada/timeline").expect(404);
}

#[test]
fn an_organization_shows_what_concerns_it() {
    let story = tell();
    let client = &story.client;
    let shop = client.post("/v1/organizations", json!({ "name": "Bergsport" })).expect(201).id();
    let members = format!("/v1/organizations/{shop}/members/{}", story.ada);
    client.put(&members, json!({ "is_primary": true })).expect(200);
    for (customer, day) in [(json!({ "id": story.ada }), 1), (Value::Null, 2), (Value::Null, 3)] {
        let mut body = json!({
            "type": "visit.made", "occurred_at": format!("2024-06-0{day}T08:00:00Z"),
            "channel": { "id": story.web },
        });
        if customer.is_null() {
            body["organization"] = json!({ "id": shop });
        } else {
            body["customer"] = customer;
        }
        client.post("/v1/touchpoints", body).expect(201);
    }
    let timeline = |query: &str| {
        let path = format!("/v1/organizations/{shop}/timeline?{query}");
        texts(&client.get(&path).expect(200), "occurred_at")
    };
    let days = ["2024-06-03T08:00:00Z", "2024-06-02T08:00:00Z", "2024-06-01T08:00:00Z"];
    assert_eq!(timeline("type=visit.made"), days);
    assert_eq!(timeline("type=visit.made&limit=1&sort=occurred_at"), days[2..]);
    assert_eq!(timeline(&format!("channel_id={}", story.web)), days);
    assert_eq!(timeline("type=page.viewed"), Vec::<String>::new());
    assert_eq!(timeline("occurred_at_gte=2024-06-02T08:00:00Z&direction=inbound"), days[..2]);
}

#[test]
fn the_whole_log_is_narrowed_by_whom_it_is_about() {
    let story = tell();
    let client = &story.client;
    let visitor = json!({ "type": "page.viewed", "customer": { "anonymous_id": "a-1" } });
    let visitor = client.post("/v1/touchpoints", visitor).expect(201).id();
    let count = |query: &str| {
        let path = format!("/v1/touchpoints?limit=200&include_total=true&{query}");
        let list = client.get(&path).expect(200);
        assert_eq!(list.json["total"], rows(&list).len(), "{query}");
        rows(&list).len()
    };
    assert_eq!(count("source=shop,app,api"), 13);
    assert_eq!(count(&format!("customer_id={}", story.ada)), 13);
    assert_eq!(count(&format!("customer_id={}&type=call.made", story.ada)), 4);
    assert_eq!(count(&format!("customer_id={}", Uuid::now_v7())), 0);
    assert_eq!(count("type=channel.created"), 2);
    assert_eq!(count("source=ecrm&type=customer.created,channel.created"), 3);
    assert_eq!(count(&format!("channel_id={}", story.web)), 9);
    assert_eq!(count("organization_id=01890000-0000-7000-8000-000000000000"), 0);
    let path = "/v1/touchpoints?anonymous_id=a-1";
    assert_eq!(texts(&client.get(path).expect(200), "id"), [visitor]);
    let refused = client.get("/v1/touchpoints?customer_id=ada").expect(400);
    assert_eq!(refused.json["errors"][0]["parameter"], "customer_id");
}
