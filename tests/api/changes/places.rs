//! Where a reader begins, and what a cursor is worth.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::RunQueryDsl;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PATH, after, all, create, cursor, now, report, types};
use crate::harness::{App, Client, workspace};

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["id"].as_str().expect("an id")).collect()
}

#[test]
fn a_snapshot_is_the_whole_log_and_then_the_feed_each_once() {
    let client = workspace();
    let before: Vec<String> = (1..=5)
        .map(|day| report(&client, "page.viewed", &format!("2026-03-0{day}T08:00:00Z")))
        .collect();
    let page = client.get(&format!("{PATH}?from=snapshot&types=page.*&limit=2")).expect(200);
    assert_eq!(page.json["has_more"], true);
    let mut seen = page.json["data"].as_array().expect("events").clone();
    // Told while the snapshot is read: before the place where it is, and after it.
    let early = report(&client, "page.viewed", "2026-03-01T09:00:00Z");
    let late = report(&client, "page.viewed", "2026-03-04T09:00:00Z");
    let (rest, end) = all(&client, cursor(&page), "&types=page.*&limit=2");
    seen.extend(rest);

    let expected: Vec<String> = before.into_iter().chain([early, late]).collect();
    assert_eq!(ids(&seen), expected);
    let new = report(&client, "page.viewed", "2026-03-01T10:00:00Z");
    assert_eq!(ids(&all(&client, end, "").0), [new]);
}

#[test]
fn a_snapshot_of_one_customer_or_organization_reads_no_more_than_that() {
    let client = workspace();
    let ada = create(&client, "Ada");
    let club = client.post("/v1/organizations", json!({ "name": "Club" })).expect(201).id();
    super::report_many(&client, 20);
    client.patch(&format!("/v1/customers/{ada}"), json!({ "title": "Dr" })).expect(200);
    client.patch(&format!("/v1/organizations/{club}"), json!({ "name": "Clubs" })).expect(200);
    for (whose, expected) in [
        (format!("customer_id={ada}"), ["customer.created", "customer.updated"]),
        (format!("organization_id={club}"), ["organization.created", "organization.updated"]),
    ] {
        let page = client.get(&format!("{PATH}?from=snapshot&limit=2&{whose}")).expect(200);
        let events = page.json["data"].as_array().expect("events").clone();
        assert_eq!(types(&events), expected, "{whose}");
        let (rest, _) = all(&client, cursor(&page), &format!("&limit=2&{whose}"));
        assert!(rest.is_empty(), "{rest:?}");
    }
}

#[test]
fn a_snapshot_takes_what_no_feed_remembers() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let ada = create(&client, "Ada");
    let begin = now(&client);
    create(&client, "Bob");
    now(&client);
    let forgotten = "delete from changes";
    diesel::sql_query(forgotten).execute(&mut app.owner()).expect("a feed that forgets");

    let gone = client.get(&format!("{PATH}?cursor={begin}")).expect_code(410, "cursor_expired");
    assert!(gone.text.contains("from=snapshot"));
    client.get(&format!("{PATH}/stream?cursor={begin}")).expect_code(410, "cursor_expired");
    let page = client.get(&format!("{PATH}?from=snapshot")).expect(200);
    let (events, end) = all(&client, cursor(&page), "");
    assert!(events.is_empty());
    let whose: Vec<&Value> =
        page.json["data"].as_array().expect("events").iter().map(|it| &it["customer_id"]).collect();
    assert!(whose.contains(&&json!(ada)) && whose.len() >= 2, "{whose:?}");

    let oldest = client.get(&format!("{PATH}?from=oldest")).expect(200);
    assert_eq!((&oldest.json["data"], cursor(&oldest)), (&json!([]), end));
    create(&client, "Cleo");
    create(&client, "Dora");
    let oldest = client.get(&format!("{PATH}?from=oldest&limit=1")).expect(200);
    assert_eq!(oldest.json["has_more"], true);
    let (rest, _) = all(&client, cursor(&oldest), "");
    assert_eq!(types(&rest), ["customer.created"]);
}

#[test]
fn the_feed_forgets_from_its_oldest_end() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let begin = now(&client);
    create(&client, "Ada");
    let middle = cursor(&after(&client, &begin, ""));
    create(&client, "Bob");
    after(&client, &middle, "");
    let old = "update changes set recorded_at = recorded_at - interval '31 days'
                where sequence < (select max(sequence) from changes)";
    diesel::sql_query(old).execute(&mut app.owner()).expect("time passes");
    let prune = |pg: &mut diesel::PgConnection| {
        ecrm::journal::feed::prune(pg, chrono::Utc::now() - chrono::TimeDelta::days(30))
    };
    app.state.db.system(prune).expect("pruned");

    client.get(&format!("{PATH}?cursor={begin}")).expect_code(410, "cursor_expired");
    assert_eq!(types(&all(&client, middle, "").0), ["customer.created"]);
}

#[test]
fn a_cursor_is_good_for_its_own_feed_and_no_other() {
    let (ours, theirs) = (workspace(), workspace());
    create(&ours, "Ada");
    let cursor = now(&ours);
    let refused = |client: &Client, cursor: &str| {
        client.get(&format!("{PATH}?cursor={cursor}")).expect_code(400, "invalid_cursor");
        let headers = [("Last-Event-ID", cursor)];
        let answer = client.send("GET", &format!("{PATH}/stream"), &headers, None);
        answer.expect_code(400, "invalid_cursor");
    };
    refused(&theirs, &cursor);
    refused(&ours.test_mode(), &cursor);
    refused(&ours, "not-a-cursor");
    refused(&ours, &Uuid::now_v7().to_string());
}

/// No feed gets so far, also by arithmetic.
#[test]
fn a_place_beyond_all_places_is_refused_as_any_other_that_is_not_there() {
    let client = workspace();
    create(&client, "Ada");
    let snapshot = client.get(&format!("{PATH}?from=snapshot&limit=1")).expect(200);
    for cursor in [now(&client), cursor(&snapshot)] {
        for place in [i64::MAX, i64::MAX - 1, i64::MAX - 100, 1 << 40] {
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).expect("base64");
            bytes[5..13].copy_from_slice(&place.to_be_bytes());
            let far = URL_SAFE_NO_PAD.encode(bytes);
            for path in [PATH.to_owned(), format!("{PATH}/stream")] {
                let refused = client.get(&format!("{path}?cursor={far}"));
                refused.expect_code(400, "invalid_cursor");
            }
        }
    }
}

#[test]
fn a_feed_that_was_put_back_says_so() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    create(&client, "Ada");
    let end = now(&client);
    let restored = "with gone as (delete from changes) update feed_heads set sequence = 0";
    diesel::sql_query(restored).execute(&mut app.owner()).expect("an older backup");
    let refused = client.get(&format!("{PATH}?cursor={end}")).expect_code(400, "invalid_cursor");
    assert!(refused.text.contains("restored"), "{}", refused.text);
}

#[test]
fn live_and_test_data_have_feeds_of_their_own() {
    let live = workspace();
    let test = live.test_mode();
    let (begin_live, begin_test) = (now(&live), now(&test));
    create(&live, "Ada");
    assert_eq!(all(&live, begin_live, "").0.len(), 1);
    assert!(all(&test, begin_test, "").0.is_empty());
}
