//! Pages: every customer once, whatever the order.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::search;
use crate::customers::{PATH, create, rows, texts};
use crate::harness::{Answer, Client, workspace};

const COUNT: usize = 130;

const ORDERS: [&str; 20] = [
    "",
    "created_at",
    "-created_at",
    "updated_at",
    "-updated_at",
    "first_name",
    "-first_name",
    "last_name",
    "-last_name",
    "email",
    "-email",
    "score",
    "-score",
    "score,first_name",
    "-score,first_name",
    "first_name,-last_name,score",
    "-last_name,-score,created_at",
    "last_name,-created_at",
    "-updated_at,email",
    "score,-score",
];

/// Customers with many equal and many absent values.
fn crowd(client: &Client) {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).expect("a letter"));
    let items: Vec<Value> = (0..COUNT)
        .map(|n| {
            json!({
                "first_name": (n % 5 > 0).then(|| letter(n / 13).to_string()),
                "last_name": (n % 3 > 0).then(|| ["berg", "lind", "", "Åse"][n % 4]),
                "email": (n % 2 > 0).then(|| format!("{}{n}@shop.example.com", letter(n * 7))),
                "score": (n % 4 > 0).then_some(n % 6),
                "tags": if n % 10 == 0 { vec!["tenth"] } else { vec![] },
            })
        })
        .collect();
    for half in items.chunks(65) {
        let done = client.post(&format!("{PATH}/batch"), json!({ "items": half })).expect(207);
        assert_eq!(done.json["failed"], 0, "{}", done.text);
    }
}

/// The ids of all pages, in order.
fn walk(ask: impl Fn(Option<&str>) -> Answer) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = ask(cursor.as_deref()).expect(200);
        ids.extend(texts(&page, "id"));
        cursor = page.json["next_cursor"].as_str().map(str::to_owned);
        assert_eq!(page.json["has_more"], cursor.is_some());
        if cursor.is_none() {
            return ids;
        }
        assert!(ids.len() <= COUNT, "the list has no end");
    }
}

fn pages(client: &Client, query: &str) -> Vec<String> {
    walk(|cursor| {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        client.get(&format!("{PATH}?{query}{cursor}"))
    })
}

#[test]
fn every_order_shows_everybody_once_page_by_page() {
    let client = workspace();
    crowd(&client);
    for order in ORDERS {
        let query = if order.is_empty() { String::new() } else { format!("&sort={order}") };
        let whole = pages(&client, &format!("limit=200{query}"));
        assert_eq!(whole.iter().collect::<HashSet<_>>().len(), COUNT, "{order}");
        for limit in [1, 17, 65, 130] {
            if limit > 1 || order.contains(',') {
                let limited = format!("limit={limit}{query}");
                assert_eq!(pages(&client, &limited), whole, "{order} by {limit}");
            }
        }
    }
}

#[test]
fn the_search_pages_in_every_order_too() {
    let client = workspace();
    crowd(&client);
    for order in ORDERS {
        let sort: Vec<&str> = order.split(',').filter(|key| !key.is_empty()).collect();
        let ask = |cursor: Option<&str>| {
            search(&client, json!({ "sort": sort, "limit": 47, "cursor": cursor }))
        };
        let ids = walk(ask);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), COUNT, "{order}");
        let query = if order.is_empty() { String::new() } else { format!("&sort={order}") };
        assert_eq!(ids, pages(&client, &format!("limit=200{query}")), "{order}");
    }
}

#[test]
fn orders_mean_what_they_say() {
    let client = workspace();
    for (name, score) in [("b", json!(2)), ("a", json!(2)), ("c", json!(null)), ("d", json!(-5))] {
        create(&client, json!({ "first_name": name, "score": score }));
    }
    create(&client, json!({ "score": 2_147_483_647 }));
    let names =
        |sort: &str| texts(&client.get(&format!("{PATH}?sort={sort}")).expect(200), "first_name");
    assert_eq!(names("created_at"), ["b", "a", "c", "d", ""]);
    assert_eq!(names("-created_at"), ["", "d", "c", "a", "b"]);
    assert_eq!(names("first_name"), ["", "a", "b", "c", "d"]);
    assert_eq!(names("-first_name"), ["d", "c", "b", "a", ""]);
    assert_eq!(names("score"), ["c", "d", "b", "a", ""]);
    assert_eq!(names("-score"), ["", "a", "b", "d", "c"]);
    assert_eq!(names("score,first_name"), ["c", "d", "a", "b", ""]);
    assert_eq!(names("-score,-first_name"), ["", "b", "a", "d", "c"]);
}

#[test]
fn filters_hold_on_every_page() {
    let client = workspace();
    crowd(&client);
    let tenths = pages(&client, "tags=tenth&limit=4&sort=-email");
    assert_eq!(tenths.iter().collect::<HashSet<_>>().len(), COUNT / 10);
    let counted = client.get(&format!("{PATH}?tags=tenth&limit=4&include_total=true")).expect(200);
    assert_eq!((rows(&counted).len(), &counted.json["total"]), (4, &json!(COUNT / 10)));
}

#[test]
fn somebody_who_comes_in_while_others_page_disturbs_nobody() {
    let client = workspace();
    crowd(&client);
    let mut is_first = true;
    let mut ids = Vec::new();
    let mut cursor = String::new();
    while is_first || !cursor.is_empty() {
        let page = client.get(&format!("{PATH}?limit=50{cursor}")).expect(200);
        ids.extend(texts(&page, "id"));
        let next = page.json["next_cursor"].as_str();
        cursor = next.map(|next| format!("&cursor={next}")).unwrap_or_default();
        create(&client, json!({}));
        is_first = false;
    }
    assert_eq!(ids.len(), COUNT);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), COUNT);
}

#[test]
fn a_page_links_to_the_next() {
    let client = workspace();
    for _ in 0..3 {
        create(&client, json!({ "tags": ["a b"] }));
    }
    let first = client.get(&format!("{PATH}?limit=2&tags=a%20b")).expect(200);
    let link = first.headers.get("link").expect("a link");
    let target = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
    let target = target.unwrap_or_else(|| panic!("{link}"));
    let path = &target[target.find("/v1").expect("a path")..];
    let last = client.get(path).expect(200);
    assert_eq!(rows(&last).len(), 1);
    assert!(!last.headers.contains_key("link"));
}

#[test]
fn a_cursor_belongs_to_its_list_alone() {
    let client = workspace();
    for _ in 0..3 {
        create(&client, json!({ "tags": ["a"] }));
    }
    let page = client.get(&format!("{PATH}?limit=1&tags=a&sort=score")).expect(200);
    let cursor = page.json["next_cursor"].as_str().expect("a cursor").to_owned();
    client.get(&format!("{PATH}?limit=2&tags=a&sort=score&cursor={cursor}")).expect(200);
    let elsewhere = [
        format!("{PATH}?limit=1&tags=a&sort=-score&cursor={cursor}"),
        format!("{PATH}?limit=1&tags=b&sort=score&cursor={cursor}"),
        format!("{PATH}?limit=1&sort=score&cursor={cursor}"),
        format!("{PATH}?limit=1&tags=a&sort=score&cursor={cursor}x"),
        format!("{PATH}?limit=1&tags=a&sort=score&cursor={}", cursor.to_lowercase()),
        format!("{PATH}?limit=1&tags=a&sort=score&cursor=x"),
        format!("{PATH}?limit=1&tags=a&sort=score&cursor="),
        format!("/v1/touchpoints?cursor={cursor}"),
    ];
    for path in elsewhere {
        assert_eq!(client.get(&path).expect(400).code(), "invalid_cursor", "{path}");
    }
    let theirs = workspace().get(&format!("{PATH}?limit=1&tags=a&sort=score&cursor={cursor}"));
    assert_eq!(theirs.expect(400).code(), "invalid_cursor");
}
