//! Moving touchpoints from one customer to another, in portions, with the figures that count them.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Uuid as SqlUuid};
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;

/// How many touchpoints one statement moves.
pub const PORTION: i64 = 2_000;

/// Which touchpoints change hands.
#[derive(Debug, Clone)]
pub struct Move {
    pub from: Uuid,
    pub to: Uuid,
    /// Only those that first belonged to one of these; all where there are none.
    pub origins: Option<Vec<Uuid>>,
}

/// Rows, then the figures of both customers by what those rows add up to: figures and log agree
/// after every portion, and touchpoints that come in meanwhile are counted by their own statement.
/// What is moved is a range and no join: a join is planned by how many rows the customer is believed
/// to have, which right after a merge is far from true.
const STEP: &str = "
with portion as materialized (
    select id from touchpoints
     where workspace_id = $1 and customer_id = $2 and ($4 is null or origin_customer_id = any($4))
     order by id limit $5 for update
), moved as (
    update touchpoints t set customer_id = $3
     where t.workspace_id = $1 and t.customer_id = $2
       and ($4 is null or t.origin_customer_id = any($4))
       and t.id between (select id from portion order by id limit 1)
                    and (select id from portion order by id desc limit 1)
    returning t.id, t.type, t.direction
), timed as (
    select type, direction,
           uuid_v7_time(id) as at
      from moved
), by_type as (
    select type, count(*) as n, min(at) as first_at, max(at) as last_at from timed group by type
), seen as (
    select count(*) as n,
           min(at) filter (where direction = 'inbound') as first_seen_at,
           max(at) filter (where direction = 'inbound') as last_seen_at,
           max(at) filter (where direction = 'outbound') as last_contacted_at
      from timed where direction <> 'internal'
), less as (
    update customer_activity a set n = a.n - by_type.n
      from by_type
     where a.workspace_id = $1 and a.customer_id = $2 and a.type = by_type.type
), more as (
    insert into customer_activity as a (workspace_id, customer_id, type, n, first_at, last_at)
    select $1, $3, type, n, first_at, last_at from by_type order by type
    on conflict (workspace_id, customer_id, type) do update
       set n = a.n + excluded.n, first_at = least(a.first_at, excluded.first_at),
           last_at = greatest(a.last_at, excluded.last_at)
), stats_less as (
    update customer_stats s set touchpoints_count = s.touchpoints_count - seen.n
      from seen
     where s.workspace_id = $1 and s.customer_id = $2
), stats_more as (
    insert into customer_stats as s
      (workspace_id, customer_id, touchpoints_count, first_seen_at, last_seen_at, last_contacted_at)
    select $1, $3, n, first_seen_at, last_seen_at, last_contacted_at from seen where n > 0
    on conflict (workspace_id, customer_id) do update
       set touchpoints_count = s.touchpoints_count + excluded.touchpoints_count,
           first_seen_at = least(s.first_seen_at, excluded.first_seen_at),
           last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
           last_contacted_at = greatest(s.last_contacted_at, excluded.last_contacted_at)
)
select count(*) as n from moved";

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Move {
    /// Moves one portion; returns how many rows that were, fewer than [`PORTION`] at the end.
    pub fn step(&self, tx: &mut Tx) -> Result<i64> {
        let moved: Count = diesel::sql_query(STEP)
            .bind::<SqlUuid, _>(tx.workspace)
            .bind::<SqlUuid, _>(self.from)
            .bind::<SqlUuid, _>(self.to)
            .bind::<Nullable<Array<SqlUuid>>, _>(&self.origins)
            .bind::<BigInt, _>(PORTION)
            .get_result(tx.pg)?;
        Ok(moved.n)
    }

    /// How many there are to move.
    pub fn count(&self, tx: &mut Tx) -> Result<i64> {
        let all: Count = diesel::sql_query(
            "select count(*) as n from touchpoints
              where workspace_id = $1 and customer_id = $2
                and ($3 is null or origin_customer_id = any($3))",
        )
        .bind::<SqlUuid, _>(tx.workspace)
        .bind::<SqlUuid, _>(self.from)
        .bind::<Nullable<Array<SqlUuid>>, _>(&self.origins)
        .get_result(tx.pg)?;
        Ok(all.n)
    }

    /// After the last portion: the first and last times of the one who gave rows away, which no sum
    /// tells. Its counters are locked before the log is read, so that what comes in meanwhile is
    /// either seen here or added after.
    pub fn settle(&self, tx: &mut Tx) -> Result<()> {
        for statement in SETTLE {
            diesel::sql_query(*statement)
                .bind::<SqlUuid, _>(tx.workspace)
                .bind::<SqlUuid, _>(self.from)
                .execute(tx.pg)?;
        }
        Ok(())
    }
}

const SETTLE: &[&str] = &[
    "select from customer_activity where workspace_id = $1 and customer_id = $2 for update",
    "select from customer_stats where workspace_id = $1 and customer_id = $2 for update",
    "delete from customer_activity where workspace_id = $1 and customer_id = $2 and n = 0",
    "with timed as (
         select type, direction,
                uuid_v7_time(id) as at
           from touchpoints where workspace_id = $1 and customer_id = $2
     ), by_type as (
         select type, min(at) as first_at, max(at) as last_at from timed group by type
     ), activity as (
         update customer_activity a set first_at = by_type.first_at, last_at = by_type.last_at
           from by_type
          where a.workspace_id = $1 and a.customer_id = $2 and a.type = by_type.type
     ), seen as (
         select min(at) filter (where direction = 'inbound') as first_seen_at,
                max(at) filter (where direction = 'inbound') as last_seen_at,
                max(at) filter (where direction = 'outbound') as last_contacted_at
           from timed
     )
     update customer_stats s
        set first_seen_at = seen.first_seen_at, last_seen_at = seen.last_seen_at,
            last_contacted_at = seen.last_contacted_at
       from seen
      where s.workspace_id = $1 and s.customer_id = $2",
];
