//! The parameters of the list, one by one and together.

use serde_json::{Value, json};

use crate::customers::{PATH, at, create, rows, texts};
use crate::harness::{Client, workspace};

/// The first names on the list, in alphabetical order.
#[track_caller]
fn listed(client: &Client, query: &str) -> Vec<String> {
    let mut names = texts(&client.get(&format!("{PATH}?{query}")).expect(200), "first_name");
    names.sort();
    names
}

/// Ada and Eve, who differ in everything, and Kim of whom nothing is known.
fn people(client: &Client) -> Value {
    let mira = json!({ "email": "mira@shop.example.com", "name": "Mira", "role": "agent" });
    let mira = client.post("/v1/users", mira).expect(201).id();
    let ada = create(
        client,
        json!({
            "first_name": "Ada", "last_name": "Lindqvist", "email": "ada@shop.example.com",
            "phone": "+436641234567", "lifecycle_stage": "customer", "tags": ["club", "vip"],
            "source": "shop", "external_ids": [{ "source": "erp", "id": "K-4711" }],
            "owner_id": mira, "display_name": "100% Ada_L",
        }),
    );
    create(
        client,
        json!({
            "first_name": "Eve", "email": "eve@other.example.com", "status": "blocked",
            "lifecycle_stage": "lead", "tags": ["club"], "source": "fair",
        }),
    );
    create(client, json!({ "first_name": "Kim", "lifecycle_stage": "visitor" }));
    json!({ "ada": ada.id(), "mira": mira })
}

#[test]
fn every_filter_narrows_the_list() {
    let client = workspace();
    let ids = people(&client);
    let owned = format!("owner_id={}", ids["mira"].as_str().expect("an id"));
    let cases: [(&str, &[&str]); 17] = [
        ("", &["Ada", "Eve", "Kim"]),
        ("email=ADA@shop.example.com", &["Ada"]),
        ("email=ada@shop.example", &[]),
        ("lifecycle_stage=customer", &["Ada"]),
        ("lifecycle_stage=customer,lead", &["Ada", "Eve"]),
        ("lifecycle_stage=customer&lifecycle_stage=visitor", &["Ada", "Kim"]),
        ("lifecycle_stage=evangelist", &[]),
        ("status=active", &["Ada", "Kim"]),
        ("status=blocked,inactive", &["Eve"]),
        ("tags=vip", &["Ada"]),
        ("tags=vip,club", &["Ada", "Eve"]),
        ("tags=Club", &[]),
        ("source=fair", &["Eve"]),
        ("source=fair,shop", &["Ada", "Eve"]),
        (&owned, &["Ada"]),
        ("owner_id=01890000-0000-7000-8000-000000000000", &[]),
        ("tags=club&status=active&lifecycle_stage=customer", &["Ada"]),
    ];
    for (query, expected) in cases {
        assert_eq!(listed(&client, query), expected, "{query}");
    }
}

#[test]
fn free_text_finds_part_of_a_name_an_address_or_an_outside_id() {
    let client = workspace();
    people(&client);
    let cases: [(&str, &[&str]); 12] = [
        ("ada", &["Ada"]),
        ("LINDQ", &["Ada"]),
        ("indqvis", &["Ada"]),
        ("ada%20lind", &["Ada"]),
        ("shop.example", &["Ada"]),
        ("6641234", &["Ada"]),
        ("k-4711", &["Ada"]),
        ("example.com", &["Ada", "Eve"]),
        ("100%25", &["Ada"]),
        ("%25", &["Ada"]),
        ("ada_", &["Ada"]),
        ("eve_", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(listed(&client, &format!("q={text}")), expected, "{text}");
    }
    assert_eq!(listed(&client, "q=e&tags=vip"), ["Ada"]);
}

#[test]
fn free_text_follows_every_change() {
    let client = workspace();
    let ids = people(&client);
    let ada = ids["ada"].as_str().expect("an id");
    client.patch(&at(ada), json!({ "last_name": "Órlaith", "external_ids": [] })).expect(200);
    assert!(listed(&client, "q=lindqvist").is_empty());
    assert!(listed(&client, "q=k-4711").is_empty());
    assert_eq!(listed(&client, "q=%C3%B3rla"), ["Ada"]);
    assert_eq!(listed(&client, "q=O%CC%81RLA"), ["Ada"]);
}

#[test]
fn times_are_compared_to_the_microsecond() {
    let client = workspace();
    let made: Vec<Value> = ["Ada", "Eve", "Kim"]
        .iter()
        .map(|name| create(&client, json!({ "first_name": name })).json)
        .collect();
    let time = |of: usize| made[of]["created_at"].as_str().expect("a time").to_owned();
    for field in ["created_at", "updated_at"] {
        let from = format!("{field}_gte={}", time(1));
        assert_eq!(listed(&client, &from), ["Eve", "Kim"], "{field}");
        let until = format!("{field}_lt={}", time(1));
        assert_eq!(listed(&client, &until), ["Ada"], "{field}");
        assert_eq!(listed(&client, &format!("{from}&{field}_lt={}", time(2))), ["Eve"]);
    }
    let ada = made[0]["id"].as_str().expect("an id");
    client.patch(&at(ada), json!({ "score": 1 })).expect(200);
    assert_eq!(listed(&client, &format!("updated_at_gte={}", time(2))), ["Ada", "Kim"]);
}

#[test]
fn customers_are_found_by_when_they_were_last_seen() {
    let client = workspace();
    for (name, day) in [("Ada", "2024-05-01"), ("Eve", "2024-05-02")] {
        let id = create(&client, json!({ "first_name": name })).id();
        let at = format!("{day}T08:00:00.000001Z");
        let seen = json!({ "type": "page.viewed", "customer": { "id": id }, "occurred_at": at });
        client.post("/v1/touchpoints", seen).expect(201);
    }
    create(&client, json!({ "first_name": "Kim" }));
    let day = "2024-05-02T08:00:00.000001Z";
    assert_eq!(listed(&client, &format!("last_seen_at_gte={day}")), ["Eve"]);
    assert_eq!(listed(&client, &format!("last_seen_at_lt={day}")), ["Ada"]);
    assert_eq!(listed(&client, "last_seen_at_gte=2024-05-01T10:00:00%2B02:00"), ["Ada", "Eve"]);
}

#[test]
fn the_total_counts_what_the_filters_let_through() {
    let client = workspace();
    people(&client);
    let page = |query: &str| client.get(&format!("{PATH}?limit=1&{query}")).expect(200);
    let filtered = page("include_total=true&tags=club");
    assert_eq!((rows(&filtered).len(), &filtered.json["total"]), (1, &json!(2)));
    assert_eq!(filtered.json["has_more"], true);
    assert_eq!(page("").json["total"], Value::Null);
    assert_eq!(page("include_total=false").json["total"], Value::Null);
}

#[test]
fn a_parameter_that_is_wrong_is_named() {
    let client = workspace();
    let cases = [
        ("limit=0", "limit", "invalid_parameter"),
        ("limit=-5", "limit", "invalid_parameter"),
        ("limit=201", "limit", "invalid_parameter"),
        ("limit=99999999999999999999", "limit", "invalid_parameter"),
        ("limit=many", "limit", "invalid_parameter"),
        ("sort=salary", "sort", "invalid_parameter"),
        ("sort=--score", "sort", "invalid_parameter"),
        ("status=gone", "status", "invalid_parameter"),
        ("lifecycle_stage=lead,loyal", "lifecycle_stage", "invalid_parameter"),
        ("owner_id=mira", "owner_id", "invalid_parameter"),
        ("created_at_gte=yesterday", "created_at_gte", "invalid_parameter"),
        ("include_total=perhaps", "include_total", "invalid_parameter"),
        ("offset=10", "offset", "unknown_parameter"),
        ("Tags=club", "Tags", "unknown_parameter"),
        ("dry_run=true", "dry_run", "unknown_parameter"),
    ];
    for (query, parameter, code) in cases {
        let refused = client.get(&format!("{PATH}?{query}")).expect(400);
        assert_eq!(refused.code(), code, "{query}");
        assert_eq!(refused.json["errors"][0]["parameter"], parameter, "{query}");
    }
    client.get(&format!("{PATH}?email=%ff")).expect(400);
}
