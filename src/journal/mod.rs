//! The one log: everything that happened, appended once, with the figures that follow from it.
//!
//! Touchpoints sent by callers and the state changes of our own resources go through the same
//! [`append`]: deduplicated, stored and counted by one statement, in the caller's transaction. State
//! changes are entered into the transaction's [`Log`] and appended together, at the latest by its end.

mod append;
pub mod catalogue;
pub mod counts;
pub mod feed;
pub mod live;
mod log;
mod news;
pub mod read;
pub mod touchpoint;

use chrono::{DateTime, NaiveDate, TimeZone, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub use append::append;
pub use log::{Log, backfill, enter, flush};
pub use touchpoint::{Touchpoint, TouchpointActor};

use crate::db::{Tx, partitions};
use crate::error::{Error, FieldError, Result};
use crate::values::money::Money;

crate::text_enum! {
    /// Which way a touchpoint went, seen from the company.
    pub enum Direction {
        Inbound = "inbound",
        Outbound = "outbound",
        Internal = "internal",
    }
}

/// One thing that happened, ready to be stored.
#[derive(Debug, Clone)]
pub struct Entry {
    /// UUIDv7 whose time is the occurrence.
    pub id: Uuid,
    pub customer_id: Option<Uuid>,
    /// Whom it would belong to, had nobody been merged.
    pub origin_customer_id: Option<Uuid>,
    pub anonymous_id: Option<String>,
    pub organization_id: Option<Uuid>,
    pub channel_id: Option<Uuid>,
    pub direction: Direction,
    pub kind: String,
    pub name: Option<String>,
    pub source: String,
    pub message_id: Option<String>,
    pub subject: Option<Value>,
    pub actor: Value,
    pub value: Option<Money>,
    pub content: Option<Value>,
    pub context: Option<Value>,
    pub properties: Value,
}

/// A state change of one of our own resources.
pub struct Change<'a> {
    /// `noun.past_verb`, such as `customer.created`.
    pub kind: &'static str,
    pub customer_id: Option<Uuid>,
    pub organization_id: Option<Uuid>,
    pub channel_id: Option<Uuid>,
    /// What changed: type and id of the resource.
    pub subject: (&'a str, Uuid),
    pub properties: Value,
}

impl Change<'_> {
    /// What the log says of it.
    pub fn entry(self, id: Uuid, actor: Value) -> Entry {
        Entry {
            id,
            customer_id: self.customer_id,
            origin_customer_id: self.customer_id,
            anonymous_id: None,
            organization_id: self.organization_id,
            channel_id: self.channel_id,
            direction: Direction::Internal,
            kind: self.kind.into(),
            name: None,
            source: OWN_SOURCE.into(),
            message_id: None,
            subject: Some(json!({ "type": self.subject.0, "id": self.subject.1 })),
            actor,
            value: None,
            content: None,
            context: None,
            properties: self.properties,
        }
    }
}

/// The source of the touchpoints that we write ourselves.
pub const OWN_SOURCE: &str = "ecrm";

/// The first instant a touchpoint can have: its id counts milliseconds from here.
pub fn earliest() -> DateTime<Utc> {
    Utc.timestamp_opt(0, 0).single().expect("BUG: the epoch exists")
}

/// Writes the touchpoint of a state change, in the transaction of the change.
pub fn record(tx: &mut Tx, change: Change) -> Result<()> {
    record_all(tx, [change])
}

/// Writes the touchpoints of several state changes, in their order.
pub fn record_all<'a>(tx: &mut Tx, changes: impl IntoIterator<Item = Change<'a>>) -> Result<()> {
    let actor = actor(tx);
    let entries: Vec<Entry> =
        changes.into_iter().map(|change| change.entry(tx.new_id(), actor.clone())).collect();
    enter(tx, entries)
}

/// The one who acts in this transaction, as touchpoints name them.
pub fn actor(tx: &Tx) -> Value {
    json!({ "type": tx.session.actor.kind, "id": tx.session.actor.id })
}

/// Old and new values of the fields that differ, as `{"field": {"from": …, "to": …}}`.
pub fn differences(before: &Value, after: &Value) -> Map<String, Value> {
    const SILENT: [&str; 3] = ["version", "updated_at", "stats"];
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return Map::new();
    };
    let changed = after
        .iter()
        .filter(|(name, to)| !SILENT.contains(&name.as_str()) && before.get(*name) != Some(to));
    changed
        .map(|(name, to)| (name.clone(), json!({ "from": before.get(name), "to": to })))
        .collect()
}

/// 422 unless `at` can be the time of a touchpoint: from 1970 to a day ahead of us.
pub fn check_occurred_at(at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), FieldError> {
    if at < earliest() || at > now + chrono::TimeDelta::days(1) {
        let detail = "`occurred_at` must lie between 1970 and tomorrow";
        return Err(FieldError::at("#/occurred_at", "invalid_time", detail));
    }
    Ok(())
}

/// The time of something that is going to be told: what was said, or now; 422 at `pointer` where no
/// touchpoint can have it.
pub fn instant(
    said: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    pointer: &str,
) -> Result<DateTime<Utc>> {
    let Some(at) = said else { return Ok(now) };
    check_occurred_at(at, now).map_err(|mut fault| {
        let field = pointer.rsplit('/').next().unwrap_or_default();
        fault.detail = format!("`{field}` must lie between 1970 and tomorrow");
        fault.pointer = Some(pointer.to_owned());
        Error::invalid(vec![fault])
    })?;
    Ok(at)
}

/// Makes sure that something can be told of each of these times: for work that tells much, one thing
/// after the other, and would find out late which months have no partition yet.
pub fn expect(tx: &mut Tx, times: impl Iterator<Item = DateTime<Utc>>) -> Result<()> {
    let (known_months, now) = (tx.known_months, tx.now);
    let possible = times.filter(|at| check_occurred_at(*at, now).is_ok());
    partitions::require(tx.pg, known_months, possible.map(|at| at.date_naive()))
}

fn day(id: Uuid) -> NaiveDate {
    crate::db::id::instant(id).date_naive()
}
