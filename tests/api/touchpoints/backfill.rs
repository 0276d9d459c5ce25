//! The past: every date since 1970 has its place.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;
use serde_json::{Value, json};

use super::{PATH, fault, send, statuses};
use crate::customers::texts;
use crate::harness::{App, workspace};

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn partitions(app: &App) -> i64 {
    let sql = "select count(*) as n from pg_inherits where inhparent = 'touchpoints'::regclass";
    diesel::sql_query(sql).get_result::<Count>(&mut app.owner()).expect("a count").n
}

fn seen(at: impl Into<Value>) -> Value {
    json!({ "type": "page.viewed", "occurred_at": at.into() })
}

/// The first day of every month from 1970 to last month.
fn months() -> Vec<NaiveDate> {
    let today = Utc::now().date_naive();
    let all = (1970..=today.year())
        .flat_map(|year| (1..=12).filter_map(move |month| NaiveDate::from_ymd_opt(year, month, 1)));
    all.filter(|first| *first + TimeDelta::days(31) < today).collect()
}

#[test]
fn every_month_since_1970_gets_its_partition() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let months = months();
    let before = partitions(&app);
    let items: Vec<Value> = months.iter().map(|first| seen(format!("{first}T00:00:00Z"))).collect();
    for (sent, batch) in items.chunks(100).enumerate() {
        let done = client.post(&format!("{PATH}/batch"), json!({ "items": batch })).expect(207);
        assert!(statuses(&done).iter().all(|status| *status == 201), "{sent}: {}", done.text);
    }
    let made = i64::try_from(months.len()).expect("a number");
    assert!((made - 1..=made).contains(&(partitions(&app) - before)));
    let first = client.get(&format!("{PATH}?sort=occurred_at&limit=2")).expect(200);
    assert_eq!(texts(&first, "occurred_at"), ["1970-01-01T00:00:00Z", "1970-02-01T00:00:00Z"]);
    let all =
        client.get(&format!("{PATH}?limit=1&include_total=true&type=page.viewed")).expect(200);
    assert_eq!(all.json["total"], made);
}

#[test]
fn many_who_need_the_same_new_month_all_get_it() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let client = &client;
            scope.spawn(move || {
                let items: Vec<Value> = (1..=6)
                    .map(|month| seen(format!("1999-{month:02}-0{}T00:00:00Z", n + 1)))
                    .collect();
                let body = json!({ "items": items });
                let done = client.post(&format!("{PATH}/batch"), body).expect(207);
                assert_eq!(statuses(&done), [201; 6]);
            });
        }
    });
    let all =
        client.get(&format!("{PATH}?limit=1&include_total=true&type=page.viewed")).expect(200);
    assert_eq!(all.json["total"], 48);
}

#[test]
fn a_month_ends_where_the_next_begins() {
    let client = workspace();
    let times = [
        "2023-12-31T23:59:59.999999Z",
        "2024-01-01T00:00:00Z",
        "2024-02-29T23:59:59.999Z",
        "2024-03-01T00:00:00.000001Z",
    ];
    for time in times {
        let made = send(&client, seen(time)).expect(201);
        assert_eq!(made.json["occurred_at"], time);
    }
    let shown = client.get(&format!("{PATH}?sort=occurred_at&type=page.viewed")).expect(200);
    assert_eq!(texts(&shown, "occurred_at"), times);
    let east = send(&client, seen("2024-01-01T01:30:00+02:00")).expect(201);
    assert_eq!(east.json["occurred_at"], "2023-12-31T23:30:00Z");
}

#[test]
fn a_dry_run_in_a_new_month_misleads_nobody_after_it() {
    let client = workspace();
    let path = format!("{PATH}?dry_run=true");
    client.post(&path, seen("1977-07-07T00:00:00Z")).expect(201);
    client.post(&path, seen("1977-07-07T00:00:00Z")).expect(201);
    send(&client, seen("1977-07-08T00:00:00Z")).expect(201);
    send(&client, seen("1977-07-09T00:00:00Z")).expect(201);
    assert_eq!(crate::customers::touchpoints(&client), 2);
}

#[test]
fn the_future_begins_tomorrow() {
    let client = workspace();
    let later = |by: TimeDelta| -> DateTime<Utc> { Utc::now() + by };
    send(&client, seen(json!(later(TimeDelta::hours(23))))).expect(201);
    let beyond = later(TimeDelta::hours(25));
    let refused = send(&client, seen(json!(beyond))).expect(422);
    assert_eq!(refused.fault(), ("invalid_time", "#/occurred_at"));
    let items = [seen("2024-01-01T00:00:00Z"), seen(json!(beyond)), seen("1969-12-31T23:59:59Z")];
    let done = client.post(&format!("{PATH}/batch"), json!({ "items": items })).expect(207);
    assert_eq!(statuses(&done), [201, 422, 422]);
    assert_eq!(fault(&done, 2), ("invalid_time", "#/occurred_at"));
}

#[test]
fn the_past_moves_the_first_and_not_the_last_time_somebody_was_seen() {
    let client = workspace();
    let ada = crate::customers::create(&client, json!({})).id();
    for day in ["2024-05-01", "2021-05-01", "2022-05-01"] {
        let mut body = seen(format!("{day}T08:00:00Z"));
        body["customer"] = json!({ "id": ada });
        send(&client, body).expect(201);
    }
    let stats = client.get(&crate::customers::at(&ada)).expect(200).json["stats"].clone();
    assert_eq!(stats["first_seen_at"], "2021-05-01T08:00:00Z");
    assert_eq!(stats["last_seen_at"], "2024-05-01T08:00:00Z");
    assert_eq!(stats["last_contacted_at"], Value::Null);
    let mut call = json!({ "type": "call.made", "direction": "outbound" });
    call["customer"] = json!({ "id": ada });
    call["occurred_at"] = json!("2020-01-01T00:00:00Z");
    send(&client, call).expect(201);
    let stats = client.get(&crate::customers::at(&ada)).expect(200).json["stats"].clone();
    assert_eq!(stats["last_contacted_at"], "2020-01-01T00:00:00Z");
    assert_eq!(stats["first_seen_at"], "2021-05-01T08:00:00Z");
    assert_eq!(stats["touchpoints_count"], 4);
}
