//! Holds what was acknowledged against what is stored, and the figures against a recount.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use ecrm::db::id::instant;

use super::writer::Acknowledged;
use crate::postgres::texts;

/// What is wrong, were it ever so little.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    /// Stored, though nobody sent it.
    pub foreign: Vec<String>,
}

impl Faults {
    fn compare(&mut self, acknowledged: &[String], stored: Vec<String>) {
        let mut seen = BTreeSet::new();
        for mark in stored {
            if !seen.insert(mark.clone()) {
                self.doubled.push(mark);
            }
        }
        let wanted: BTreeSet<_> = acknowledged.iter().cloned().collect();
        self.lost.extend(wanted.difference(&seen).cloned());
        self.foreign.extend(seen.difference(&wanted).cloned());
    }
}

pub fn audit(pg: &mut PgConnection, all: &Acknowledged) -> Faults {
    let mut faults = Faults::default();
    faults.compare(&all.customers, texts(pg, "select last_name from customers"));
    let marks = "select properties->>'mark' from touchpoints where properties ? 'mark'";
    faults.compare(&all.touchpoints, texts(pg, marks));
    let titles: Vec<String> = all.patches.iter().map(|(title, _)| title.clone()).collect();
    faults.compare(&titles, texts(pg, &changes("title")));
    let made = "select 'made ' || customer_id from touchpoints where type = 'customer.created'";
    let ids = "select 'made ' || id from customers";
    faults.compare(&texts(pg, ids), texts(pg, made));
    assert_eq!(versions(pg), expected_versions(all), "every patch counts once");
    faults
}

/// The values that a field was changed to, as the log tells it.
fn changes(field: &str) -> String {
    format!(
        "select properties->'changes'->'{field}'->>'to' from touchpoints
          where type = 'customer.updated'"
    )
}

fn versions(pg: &mut PgConnection) -> BTreeMap<String, usize> {
    let rows = texts(pg, "select id || ' ' || version from customers where version > 1");
    let parsed = rows.iter().filter_map(|row| row.split_once(' '));
    parsed.map(|(id, version)| (id.to_owned(), version.parse().unwrap())).collect()
}

fn expected_versions(all: &Acknowledged) -> BTreeMap<String, usize> {
    let mut expected = BTreeMap::new();
    for (_, person) in &all.patches {
        *expected.entry(person.clone()).or_insert(1) += 1;
    }
    expected
}

/// A row of the log, as far as the figures depend on it.
struct Raw {
    at: DateTime<Utc>,
    customer: Option<String>,
    channel: String,
    kind: String,
    direction: String,
}

fn log(pg: &mut PgConnection) -> Vec<Raw> {
    let sql = "select concat_ws(' ', id, coalesce(customer_id::text, '-'),
                 coalesce(channel_id, '00000000-0000-0000-0000-000000000000'), type, direction)
                 from touchpoints";
    let parse = |line: String| {
        let fields: Vec<&str> = line.split(' ').collect();
        Raw {
            at: instant(fields[0].parse().expect("an id")),
            customer: Some(fields[1].to_owned()).filter(|id| id != "-"),
            channel: fields[2].to_owned(),
            kind: fields[3].to_owned(),
            direction: fields[4].to_owned(),
        }
    };
    texts(pg, sql).into_iter().map(parse).collect()
}

/// Every rollup equals a recount of the raw rows.
pub fn figures_agree(pg: &mut PgConnection) {
    let log = log(pg);
    assert!(log.len() > 1000, "only {} rows", log.len());
    for (stored, counted) in [
        (COUNTS, recounted(&log)),
        (ACTIVITY, counted_activity(&log)),
        (STATS, counted_stats(&log)),
    ] {
        let stored: BTreeSet<String> = texts(pg, stored).into_iter().collect();
        let wrong: Vec<_> = stored.symmetric_difference(&counted).take(10).collect();
        assert!(wrong.is_empty(), "{} rows, and differ: {wrong:#?}", counted.len());
    }
}

const COUNTS: &str =
    "select concat_ws(' ', extract(epoch from at)::bigint, channel_id, type, sum(n))
    from touchpoint_counts group by at, channel_id, type";

fn recounted(log: &[Raw]) -> BTreeSet<String> {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for Raw { at, channel, kind, .. } in log {
        *found.entry(format!("{} {channel} {kind}", at.timestamp() / 900 * 900)).or_default() += 1;
    }
    found.into_iter().map(|(key, n)| format!("{key} {n}")).collect()
}

const ACTIVITY: &str = "select concat_ws(' ', customer_id, type, n,
    (extract(epoch from first_at) * 1000000)::bigint,
    (extract(epoch from last_at) * 1000000)::bigint) from customer_activity";

fn counted_activity(log: &[Raw]) -> BTreeSet<String> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for Raw { at, customer, kind, .. } in log {
        if let Some(customer) = customer {
            found.entry(format!("{customer} {kind}")).or_default().push(at.timestamp_micros());
        }
    }
    let line = |(key, times): (String, Vec<i64>)| {
        let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        format!("{key} {} {first} {last}", times.len())
    };
    found.into_iter().map(line).collect()
}

const STATS: &str = "select concat_ws(' ', customer_id, touchpoints_count,
    coalesce((extract(epoch from first_seen_at) * 1000000)::bigint, 0),
    coalesce((extract(epoch from last_seen_at) * 1000000)::bigint, 0),
    coalesce((extract(epoch from last_contacted_at) * 1000000)::bigint, 0)) from customer_stats
    where touchpoints_count > 0";

fn counted_stats(log: &[Raw]) -> BTreeSet<String> {
    // Touchpoints, then first and last seen and last contacted; 0 is never.
    let mut found: BTreeMap<&str, [i64; 4]> = BTreeMap::new();
    // What the log tells of our own changes is no touch.
    for Raw { at, customer, direction, .. } in log.iter().filter(|row| row.direction != "internal")
    {
        let Some(customer) = customer else { continue };
        let stats = found.entry(customer).or_default();
        let at = at.timestamp_micros();
        stats[0] += 1;
        if direction == "inbound" {
            stats[1] = if stats[1] == 0 { at } else { stats[1].min(at) };
            stats[2] = stats[2].max(at);
        }
        if direction == "outbound" {
            stats[3] = stats[3].max(at);
        }
    }
    let line = |(customer, [n, first, last, contacted]): (&str, [i64; 4])| {
        format!("{customer} {n} {first} {last} {contacted}")
    };
    found.into_iter().map(line).collect()
}
