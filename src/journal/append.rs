//! The statement that stores and counts touchpoints: one round trip for one or for a thousand.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::{Direction, Entry, catalogue, counts, day};
use crate::db::{Tx, WorkspaceId, partitions};
use crate::error::Result;

/// Stores what waits in the transaction's log and then `entries`, and counts all of them; returns the ids
/// that were new. An entry whose (`source`, `message_id`) is stored already, or stands earlier in
/// `entries`, changes nothing.
pub fn append(tx: &mut Tx, entries: &[Entry]) -> Result<HashSet<Uuid>> {
    // Out of the transaction meanwhile, which the statement needs whole.
    let mut log = std::mem::take(tx.log);
    let told: Vec<&Entry> = log.waiting().iter().chain(entries).collect();
    let stored = store(tx, &told, log.is_backfill());
    if stored.is_ok() {
        log.mark_stored();
    }
    *tx.log = log;
    stored
}

fn store(tx: &mut Tx, entries: &[&Entry], is_backfill: bool) -> Result<HashSet<Uuid>> {
    if entries.is_empty() {
        return Ok(HashSet::new());
    }
    debug_assert!(
        entries.iter().all(|e| catalogue::fits(e)),
        "not as the catalogue says: {entries:?}"
    );
    let known_months = tx.known_months;
    partitions::require(tx.pg, known_months, entries.iter().map(|entry| day(entry.id)))?;
    let append = (tx.new_id(), is_backfill);
    let statement = Append::new(tx.workspace, tx.now, append, entries);
    Ok(statement.load::<Uuid>(tx.pg)?.into_iter().collect())
}

/// Columns of the entries, as arrays: the statement's text is the same for any number of rows, so
/// Postgres plans it once per connection.
struct Append<'a> {
    workspace: WorkspaceId,
    now: DateTime<Utc>,
    append: Uuid,
    is_backfill: bool,
    id: Vec<Uuid>,
    at: Vec<DateTime<Utc>>,
    quarter: Vec<DateTime<Utc>>,
    customer_id: Vec<Option<Uuid>>,
    origin_customer_id: Vec<Option<Uuid>>,
    anonymous_id: Vec<Option<&'a str>>,
    organization_id: Vec<Option<Uuid>>,
    channel_id: Vec<Option<Uuid>>,
    direction: Vec<Direction>,
    kind: Vec<&'a str>,
    name: Vec<Option<&'a str>>,
    source: Vec<&'a str>,
    message_id: Vec<Option<&'a str>>,
    subject: Vec<Option<&'a Value>>,
    actor: Vec<&'a Value>,
    value_amount: Vec<Option<i64>>,
    value_currency: Vec<Option<&'a str>>,
    content: Vec<Option<&'a Value>>,
    context: Vec<Option<&'a Value>>,
    properties: Vec<&'a Value>,
}

impl<'a> Append<'a> {
    fn new(
        workspace: WorkspaceId,
        now: DateTime<Utc>,
        (append, is_backfill): (Uuid, bool),
        entries: &[&'a Entry],
    ) -> Self {
        fn column<'a, T>(entries: &[&'a Entry], of: impl Fn(&'a Entry) -> T) -> Vec<T> {
            entries.iter().copied().map(of).collect()
        }
        Self {
            workspace,
            now,
            append,
            is_backfill,
            id: column(entries, |e| e.id),
            at: column(entries, |e| crate::db::id::instant(e.id)),
            quarter: column(entries, |e| counts::quarter(e.id)),
            customer_id: column(entries, |e| e.customer_id),
            origin_customer_id: column(entries, |e| e.origin_customer_id),
            anonymous_id: column(entries, |e| e.anonymous_id.as_deref()),
            organization_id: column(entries, |e| e.organization_id),
            channel_id: column(entries, |e| e.channel_id),
            direction: column(entries, |e| e.direction),
            kind: column(entries, |e| e.kind.as_str()),
            name: column(entries, |e| e.name.as_deref()),
            source: column(entries, |e| e.source.as_str()),
            message_id: column(entries, |e| e.message_id.as_deref()),
            subject: column(entries, |e| e.subject.as_ref()),
            actor: column(entries, |e| &e.actor),
            value_amount: column(entries, |e| e.value.as_ref().map(|value| value.amount)),
            value_currency: column(entries, |e| e.value.as_ref().map(|v| v.currency.as_str())),
            content: column(entries, |e| e.content.as_ref()),
            context: column(entries, |e| e.context.as_ref()),
            properties: column(entries, |e| &e.properties),
        }
    }
}

/// Over how many rows a busy counter is spread. A connection keeps to one of them: a transaction that
/// appends a thousand times would else lock all rows of a counter, and hold up everybody else.
const SLOT: &str = "(pg_backend_pid() % 64)::smallint";

/// After the arrays: keys first, then what they let through, then the figures over just that.
/// Upserts run in key order, so two batches never wait for each other crosswise.
const STORE: &str = "
    as t(id, at, quarter, customer_id, origin_customer_id, anonymous_id, organization_id, channel_id,
         direction, type, name, source, message_id, subject, actor, value_amount, value_currency,
         content, context, properties, position)
), keyed as (
    insert into touchpoint_keys (workspace_id, source, message_id, touchpoint_id, created_at)
    select scope.workspace_id, source, message_id, id, scope.now
      from incoming, scope where message_id is not null
     order by source, message_id, position
    on conflict do nothing returning touchpoint_id
), fresh as (
    select * from incoming
     where message_id is null or id in (select touchpoint_id from keyed)
), activity as (
    insert into customer_activity as a (workspace_id, customer_id, type, n, first_at, last_at)
    select scope.workspace_id, customer_id, type, count(*), min(at), max(at)
      from fresh, scope where customer_id is not null
     group by scope.workspace_id, customer_id, type order by customer_id, type
    on conflict (workspace_id, customer_id, type) do update
       set n = a.n + excluded.n, first_at = least(a.first_at, excluded.first_at),
           last_at = greatest(a.last_at, excluded.last_at)
), stats as (
    insert into customer_stats as s
      (workspace_id, customer_id, touchpoints_count, first_seen_at, last_seen_at, last_contacted_at)
    select scope.workspace_id, customer_id, count(*),
           min(at) filter (where direction = 'inbound'),
           max(at) filter (where direction = 'inbound'),
           max(at) filter (where direction = 'outbound')
      from fresh, scope where customer_id is not null and direction <> 'internal'
     group by scope.workspace_id, customer_id order by customer_id
    on conflict (workspace_id, customer_id) do update
       set touchpoints_count = s.touchpoints_count + excluded.touchpoints_count,
           first_seen_at = least(s.first_seen_at, excluded.first_seen_at),
           last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
           last_contacted_at = greatest(s.last_contacted_at, excluded.last_contacted_at)
), counted as (
    insert into touchpoint_counts as c (workspace_id, at, channel_id, type, slot, n)
    select scope.workspace_id, quarter, coalesce(channel_id, '00000000-0000-0000-0000-000000000000'),
           type, scope.slot, count(*)
      from fresh, scope
     group by scope.workspace_id, quarter, 3, type, scope.slot order by quarter, 3, type
    on conflict (workspace_id, at, channel_id, type, slot) do update set n = c.n + excluded.n
), told as (
    insert into outbox (workspace_id, id, touchpoint_ids, appended_at, is_backfill)
    select scope.workspace_id, scope.append, array_agg(id order by position), clock_timestamp(),
           scope.is_backfill
      from fresh, scope group by scope.workspace_id, scope.append, scope.is_backfill
)
insert into touchpoints
  (workspace_id, id, customer_id, origin_customer_id, anonymous_id, organization_id, channel_id,
   direction, type, name, received_at, source, message_id, subject, actor, value_amount,
   value_currency, content, context, properties)
select scope.workspace_id, id, customer_id, origin_customer_id, anonymous_id, organization_id, channel_id,
       direction, type, name, scope.now, source, message_id, subject, actor, value_amount,
       value_currency, content, context, properties
  from fresh, scope
returning id";

impl QueryFragment<Pg> for Append<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("with scope as (select ");
        out.push_bind_param::<SqlUuid, _>(&self.workspace)?;
        out.push_sql("::uuid as workspace_id, ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql("::timestamptz as now, ");
        out.push_bind_param::<SqlUuid, _>(&self.append)?;
        out.push_sql("::uuid as append, ");
        out.push_bind_param::<Bool, _>(&self.is_backfill)?;
        out.push_sql("::boolean as is_backfill, ");
        out.push_sql(SLOT);
        out.push_sql(" as slot), incoming as (select * from unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.id)?;
        out.push_sql("::uuid[], ");
        out.push_bind_param::<Array<Timestamptz>, _>(&self.at)?;
        out.push_sql("::timestamptz[], ");
        out.push_bind_param::<Array<Timestamptz>, _>(&self.quarter)?;
        out.push_sql("::timestamptz[], ");
        out.push_bind_param::<Array<Nullable<SqlUuid>>, _>(&self.customer_id)?;
        out.push_sql("::uuid[], ");
        out.push_bind_param::<Array<Nullable<SqlUuid>>, _>(&self.origin_customer_id)?;
        out.push_sql("::uuid[], ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.anonymous_id)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Nullable<SqlUuid>>, _>(&self.organization_id)?;
        out.push_sql("::uuid[], ");
        out.push_bind_param::<Array<Nullable<SqlUuid>>, _>(&self.channel_id)?;
        out.push_sql("::uuid[], ");
        out.push_bind_param::<Array<Text>, _>(&self.direction)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Text>, _>(&self.kind)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.name)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Text>, _>(&self.source)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.message_id)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Nullable<Jsonb>>, _>(&self.subject)?;
        out.push_sql("::jsonb[], ");
        out.push_bind_param::<Array<Jsonb>, _>(&self.actor)?;
        out.push_sql("::jsonb[], ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.value_amount)?;
        out.push_sql("::bigint[], ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.value_currency)?;
        out.push_sql("::text[], ");
        out.push_bind_param::<Array<Nullable<Jsonb>>, _>(&self.content)?;
        out.push_sql("::jsonb[], ");
        out.push_bind_param::<Array<Nullable<Jsonb>>, _>(&self.context)?;
        out.push_sql("::jsonb[], ");
        out.push_bind_param::<Array<Jsonb>, _>(&self.properties)?;
        out.push_sql("::jsonb[]) with ordinality ");
        out.push_sql(STORE);
        Ok(())
    }
}

impl QueryId for Append<'_> {
    type QueryId = Append<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Append<'_> {
    type SqlType = SqlUuid;
}

impl RunQueryDsl<PgConnection> for Append<'_> {}
