//! Pages and their cursors.

use serde_json::{Value, json};

use crate::harness::{Answer, App, Client, workspace};

const PATH: &str = "/v1/customers";

fn filled(client: &Client, customers: usize) {
    for i in 0..customers {
        let tag = if i % 2 == 0 { "even" } else { "odd" };
        client.post(PATH, json!({ "last_name": format!("L{i}"), "tags": [tag] })).expect(201);
    }
}

fn cursor(page: &Answer) -> String {
    page.json["next_cursor"].as_str().expect("a next page").to_owned()
}

fn page(client: &Client, query: &str) -> Answer {
    client.get(&format!("{PATH}?{query}"))
}

fn invalid(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.code()), (400, "invalid_cursor"), "{what}: {}", answer.text);
}

/// A7
#[test]
fn a_page_has_from_1_to_200_items() {
    let client = workspace();
    filled(&client, 3);
    for (limit, items) in [("1", 1), ("2", 2), ("200", 3), ("003", 3)] {
        let page = page(&client, &format!("limit={limit}")).expect(200);
        assert_eq!(page.json["data"].as_array().map(Vec::len), Some(items), "{limit}");
        assert_eq!(page.json["has_more"], items < 3);
        assert_eq!(page.json["next_cursor"].is_null(), items == 3);
    }
    for limit in ["0", "-1", "201", "2147483648", "99999999999999999999", "ten", "1;2"] {
        let refused = page(&client, &format!("limit={limit}"));
        assert_eq!((refused.status, refused.code()), (400, "invalid_parameter"), "`{limit}`");
        assert_eq!(refused.json["errors"][0]["parameter"], "limit");
    }
}

#[test]
fn the_pages_of_a_list_are_the_list() {
    let client = workspace();
    filled(&client, 7);
    for sort in ["", "&sort=last_name", "&sort=-last_name,created_at", "&sort=-updated_at"] {
        let whole = page(&client, &format!("limit=200{sort}")).expect(200);
        let mut query = format!("limit=2{sort}");
        let mut joined = Vec::new();
        loop {
            let part = page(&client, &query).expect(200);
            joined.extend(part.json["data"].as_array().expect("a page").clone());
            if part.json["has_more"] == false {
                break;
            }
            query = format!("limit=2{sort}&cursor={}", cursor(&part));
        }
        assert_eq!(Value::Array(joined), whole.json["data"], "{sort}");
    }
}

/// A7
#[test]
fn a_cursor_that_was_tampered_with_is_refused() {
    let client = workspace();
    filled(&client, 3);
    let good = cursor(&page(&client, "limit=1").expect(200));
    page(&client, &format!("limit=1&cursor={good}")).expect(200);
    for at in 0..good.len() {
        let mut letters: Vec<char> = good.chars().collect();
        letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
        let tampered: String = letters.into_iter().collect();
        let answer = page(&client, &format!("limit=1&cursor={tampered}"));
        // The last letter may carry bits that mean nothing.
        if at + 1 < good.len() || answer.status != 200 {
            invalid(&answer, &tampered);
        }
    }
    let one = page(&client, "limit=1").expect(200).json["data"][0]["id"].clone();
    let offset = one.as_str().expect("an id").to_owned();
    for forged in [&good[..good.len() - 1], &good[1..], "", "0", "AAAA", "null", "%22", &offset] {
        invalid(&page(&client, &format!("limit=1&cursor={forged}")), forged);
    }
}

/// A7
#[test]
fn a_cursor_belongs_to_its_list_its_sort_and_its_filters() {
    let client = workspace();
    filled(&client, 6);
    let good = cursor(&page(&client, "limit=1&tags=even").expect(200));
    page(&client, &format!("limit=2&tags=even&cursor={good}")).expect(200);
    for other in
        ["limit=1", "limit=1&tags=odd", "limit=1&tags=even&sort=last_name", "limit=1&tags=even&q=L"]
    {
        invalid(&page(&client, &format!("{other}&cursor={good}")), other);
    }
    for list in ["/v1/organizations", "/v1/channels", "/v1/touchpoints", "/v1/api_keys"] {
        invalid(&client.get(&format!("{list}?limit=1&cursor={good}")), list);
    }
}

/// A7
#[test]
fn a_cursor_of_another_workspace_is_refused() {
    let (client, stranger) = (workspace(), workspace());
    filled(&client, 2);
    filled(&stranger, 2);
    let theirs = cursor(&page(&stranger, "limit=1").expect(200));
    invalid(&page(&client, &format!("limit=1&cursor={theirs}")), "a foreign cursor");
    let test = client.test_mode();
    let live = cursor(&page(&client, "limit=1").expect(200));
    invalid(&page(&test, &format!("limit=1&cursor={live}")), "a cursor of live data");
    // Another key of the same workspace may go on.
    let colleague = client.with_token(&App::shared().key(&client, &["*"], true));
    page(&colleague, &format!("limit=1&cursor={live}")).expect(200);
}

#[test]
fn a_sort_by_what_cannot_be_sorted_by_is_refused() {
    let client = workspace();
    for sort in ["nonsense", "-", "id;drop", "attributes", "email%20desc", "--created_at", "*"] {
        let refused = page(&client, &format!("sort={sort}"));
        assert_eq!((refused.status, refused.code()), (400, "invalid_parameter"), "{sort}");
        assert_eq!(refused.json["errors"][0]["parameter"], "sort", "{sort}");
    }
}

#[test]
fn a_total_is_counted_when_asked_for() {
    let client = workspace();
    filled(&client, 5);
    assert_eq!(page(&client, "limit=1").expect(200).json["total"], Value::Null);
    let counted = page(&client, "limit=1&include_total=true&tags=even").expect(200);
    assert_eq!(counted.json["total"], 3);
}

#[test]
fn the_next_page_is_also_a_link() {
    let client = workspace();
    filled(&client, 2);
    let first = page(&client, "limit=1&tags=even,odd").expect(200);
    let link = first.headers.get("link").expect("a Link header");
    let target = link.strip_prefix('<').and_then(|rest| rest.split_once(">; rel=\"next\""));
    let (path, _) = target.expect("a link to the next page");
    let path = path.trim_start_matches(&App::shared().state.config.public_url);
    let second = client.get(path).expect(200);
    assert_eq!(second.json["has_more"], false);
    assert_ne!(second.json["data"], first.json["data"]);
    assert!(!second.headers.contains_key("link"));
}
