//! The figures equal a recount, whatever came in, however often, from however many senders.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use ecrm::db::id::instant;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{send_batch, statuses};
use crate::customers::create;
use crate::harness::{App, Client, workspace};

/// A small generator: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn event(random: &mut Random, ids: &[String], channels: &[String]) -> Value {
    let customer = match random.below(5) {
        0 => Value::Null,
        1 => json!({ "anonymous_id": format!("a-{}", random.below(10)) }),
        2 => json!({ "id": ids[usize::try_from(random.below(5)).expect("an index")] }),
        _ => json!({ "email": format!("p{}@shop.example.com", random.below(20)) }),
    };
    let kinds = ["page.viewed", "order.placed", "call.made", "mail.sent"];
    let directions = ["inbound", "outbound", "internal"];
    let pick = |random: &mut Random, of: usize| {
        usize::try_from(random.below(of as u64)).expect("an index")
    };
    let mut body = json!({
        "type": kinds[pick(random, 4)],
        "direction": directions[pick(random, 3)],
        "source": "load",
        "message_id": random.below(1500).to_string(),
        "occurred_at": format!(
            "2024-{:02}-{:02}T{:02}:00:00.{:06}Z",
            random.below(3) + 1, random.below(28) + 1, random.below(24), random.below(1_000_000)
        ),
    });
    if !customer.is_null() {
        body["customer"] = customer;
    }
    if random.below(3) > 0 {
        body["channel"] = json!({ "id": channels[pick(random, 2)] });
    }
    body
}

#[derive(diesel::QueryableByName)]
struct Raw {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    customer_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    channel_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    direction: String,
}

#[derive(Debug, PartialEq, diesel::QueryableByName)]
struct Activity {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = Timestamptz)]
    first_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    last_at: DateTime<Utc>,
}

#[derive(Debug, PartialEq, Default, diesel::QueryableByName)]
struct Stats {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = BigInt)]
    touchpoints_count: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    first_seen_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_seen_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_contacted_at: Option<DateTime<Utc>>,
}

#[derive(Debug, PartialEq, diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    channel_id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

fn load<T>(client: &Client, sql: &str) -> Vec<T>
where
    T: diesel::QueryableByName<diesel::pg::Pg> + 'static,
{
    let query = diesel::sql_query(sql).bind::<SqlUuid, _>(client.workspace_id);
    query.load(&mut App::shared().owner()).expect("rows")
}

fn stored_activity(client: &Client) -> Vec<Activity> {
    let sql = "select customer_id, type as kind, n, first_at, last_at from customer_activity
                where workspace_id = $1 order by customer_id, type collate \"C\"";
    load(client, sql)
}

fn stored_stats(client: &Client) -> Vec<Stats> {
    let sql =
        "select customer_id, touchpoints_count, first_seen_at, last_seen_at, last_contacted_at
                 from customer_stats where workspace_id = $1 order by customer_id";
    load(client, sql)
}

fn stored_counts(client: &Client) -> Vec<Count> {
    let sql = "select at, channel_id, type as kind, sum(n)::bigint as n from touchpoint_counts
                where workspace_id = $1 group by 1, 2, 3 order by 1, 2, type collate \"C\"";
    load(client, sql)
}

fn counted_activity(log: &[Raw]) -> Vec<Activity> {
    let mut found: BTreeMap<(Uuid, &str), Vec<DateTime<Utc>>> = BTreeMap::new();
    for row in log {
        if let Some(customer) = row.customer_id {
            found.entry((customer, &row.kind)).or_default().push(instant(row.id));
        }
    }
    let activity = |((customer_id, kind), times): ((Uuid, &str), Vec<DateTime<Utc>>)| Activity {
        customer_id,
        kind: kind.to_owned(),
        n: i64::try_from(times.len()).expect("a number"),
        first_at: *times.iter().min().expect("a time"),
        last_at: *times.iter().max().expect("a time"),
    };
    found.into_iter().map(activity).collect()
}

fn counted_stats(log: &[Raw]) -> Vec<Stats> {
    let mut found: BTreeMap<Uuid, Stats> = BTreeMap::new();
    // The log's own entries tell nothing of how customer and company met.
    for row in log.iter().filter(|row| row.direction != "internal") {
        let Some(customer_id) = row.customer_id else { continue };
        let at = Some(instant(row.id));
        let stats = found.entry(customer_id).or_default();
        stats.customer_id = customer_id;
        stats.touchpoints_count += 1;
        if row.direction == "inbound" {
            stats.first_seen_at = [stats.first_seen_at, at].into_iter().flatten().min();
            stats.last_seen_at = stats.last_seen_at.max(at);
        }
        if row.direction == "outbound" {
            stats.last_contacted_at = stats.last_contacted_at.max(at);
        }
    }
    found.into_values().collect()
}

fn recounted(log: &[Raw]) -> Vec<Count> {
    let mut found: BTreeMap<(DateTime<Utc>, Uuid, &str), i64> = BTreeMap::new();
    for row in log {
        let at = instant(row.id).duration_trunc(TimeDelta::minutes(15)).expect("a time");
        *found.entry((at, row.channel_id.unwrap_or_default(), &row.kind)).or_default() += 1;
    }
    let count = |((at, channel_id, kind), n): ((DateTime<Utc>, Uuid, &str), i64)| Count {
        at,
        channel_id,
        kind: kind.to_owned(),
        n,
    };
    found.into_iter().map(count).collect()
}

/// How many different messages the senders send between them.
fn distinct_messages(senders: u64, each: usize) -> u64 {
    let (ids, channels) = (vec![String::new(); 5], vec![String::new(); 2]);
    let mut messages = HashSet::new();
    for sender in 0..senders {
        let mut random = Random(sender);
        messages.extend(
            (0..each).map(|_| event(&mut random, &ids, &channels)["message_id"].to_string()),
        );
    }
    messages.len() as u64
}

fn assert_counted_right(client: &Client) {
    let log: Vec<Raw> = load(
        client,
        "select id, customer_id, channel_id, type as kind, direction from touchpoints
          where workspace_id = $1",
    );
    assert_eq!(stored_activity(client), counted_activity(&log));
    assert_eq!(stored_stats(client), counted_stats(&log));
    assert_eq!(stored_counts(client), recounted(&log));
}

#[test]
fn after_a_load_with_repeats_every_figure_equals_a_recount() {
    let client = workspace();
    let ids: Vec<String> = (0..5).map(|_| create(&client, json!({})).id()).collect();
    let channels: Vec<String> = ["Web", "Shop"]
        .iter()
        .map(|name| {
            client.post("/v1/channels", json!({ "type": "web", "name": name })).expect(201).id()
        })
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (client, ids, channels) = (&client, &ids, &channels);
            scope.spawn(move || {
                let mut random = Random(thread);
                for _ in 0..20 {
                    let items: Vec<Value> =
                        (0..25).map(|_| event(&mut random, ids, channels)).collect();
                    let done = send_batch(client, &items).expect(207);
                    let statuses = statuses(&done);
                    assert!(statuses.iter().all(|s| matches!(s, 200 | 201)), "{}", done.text);
                }
            });
        }
    });
    assert_counted_right(&client);
    let sent = client.get("/v1/touchpoints?source=load&limit=1&include_total=true").expect(200);
    let sent = sent.json["total"].as_u64().expect("a total");
    assert_eq!(sent, distinct_messages(4, 500));
    assert!(sent < 1500);
}

#[test]
fn changes_of_our_own_resources_are_counted_as_activity_alone() {
    let client = workspace();
    let ada = create(&client, json!({ "email": "ada@shop.example.com" })).id();
    let path = crate::customers::at(&ada);
    client.patch(&path, json!({ "score": 1 })).expect(200);
    client
        .put(&format!("{path}/lifecycle_stage"), json!({ "lifecycle_stage": "customer" }))
        .expect(200);
    client
        .post(&format!("{path}/identities"), json!({ "type": "cookie", "value": "c" }))
        .expect(200);
    client.delete(&path).expect(204);
    client.post(&format!("{path}/restore"), json!({})).expect(200);
    assert_counted_right(&client);
}
