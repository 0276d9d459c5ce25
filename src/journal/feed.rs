//! The log as a feed: in the order in which it became visible, without gaps and without repeats.
//!
//! Ids are times of what happened, so what is told late lies in the middle of the log; and of two
//! transactions the one that began first may end last. A reader that goes by ids, or by anything else
//! that is known before the commit, misses some. So [`super::append`] notes what it appended in the
//! outbox, and [`advance`] gives what it *sees* there the next sequences: one at a time for each
//! workspace, after the commit. What a reader has not seen then lies behind its cursor, always.
//! The order does not hang on transaction ids, which begin anew in a restored database.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::read;
use super::touchpoint::Touchpoint;
use crate::db::{Conn, Db, WorkspaceId};
use crate::error::{Code, Error, Result};
use crate::schema::{changes, feed_heads, outbox};

/// How many appends get their place at once.
const APPENDS_AT_ONCE: i64 = 500;
/// How many workspaces are looked after in one round.
const WORKSPACES_A_ROUND: i64 = 100;
/// How long the feed remembers; the log itself does not forget.
pub const REMEMBERED_FOR: TimeDelta = TimeDelta::days(30);
/// Rows of the feed that are removed at once.
const PRUNED_AT_ONCE: i64 = 5000;

/// A touchpoint and its place in the feed.
#[derive(Debug)]
pub struct Event {
    pub sequence: i64,
    pub touchpoint: Touchpoint,
}

/// A part of the feed.
#[derive(Debug, Default)]
pub struct Stretch {
    /// Without those that are gone from the log since.
    pub events: Vec<Event>,
    /// The last place that was looked at; where the next stretch begins.
    pub upto: i64,
}

/// The workspaces that have something without a place.
pub fn waiting(pg: &mut PgConnection) -> Result<Vec<WorkspaceId>> {
    let workspaces = outbox::table.select(outbox::workspace_id).distinct();
    Ok(workspaces.limit(WORKSPACES_A_ROUND).load(pg)?)
}

/// Gives everything that has none a place in the feed, in some of the workspaces where that is so.
pub fn advance_all(db: &Db) -> Result<()> {
    for workspace in db.system(waiting)? {
        advance(db, workspace)?;
    }
    Ok(())
}

/// Gives everything that is committed in a workspace its place in the feed.
pub fn advance(db: &Db, workspace: WorkspaceId) -> Result<()> {
    let is_waiting = |pg: &mut PgConnection| {
        let waiting = outbox::table.filter(outbox::workspace_id.eq(workspace));
        Ok(diesel::select(diesel::dsl::exists(waiting)).get_result::<bool>(pg)?)
    };
    while db.system(is_waiting)? {
        db.system_write(|pg| place(pg, workspace))?;
    }
    Ok(())
}

/// Windows sum over what is moved: the first sequence of each append follows from those before it.
const PLACE: &str = "
    with due as materialized (
        select id, touchpoint_ids, appended_at from outbox
         where workspace_id = $1 order by appended_at, id limit $4
    ), gone as (
        delete from outbox using due where outbox.workspace_id = $1 and outbox.id = due.id
    ), placed as (
        select touchpoint_ids,
               sum(cardinality(touchpoint_ids)) over (order by appended_at, id) as upto
          from due
    ), told as (
        insert into changes (workspace_id, sequence, touchpoint_ids, recorded_at)
        select $1, $2 + upto - cardinality(touchpoint_ids) + 1, touchpoint_ids, $3 from placed
    )
    update feed_heads set sequence = $2 + coalesce((select max(upto) from placed), 0)
     where workspace_id = $1";

/// The head is locked by a statement of its own, so that the next one sees what its last holder did.
fn place(pg: &mut PgConnection, workspace: WorkspaceId) -> Result<()> {
    let head = feed_heads::table.filter(feed_heads::workspace_id.eq(workspace));
    let lock = |pg: &mut PgConnection| {
        head.select(feed_heads::sequence).for_update().first::<i64>(pg).optional()
    };
    let sequence = match lock(pg)? {
        Some(sequence) => sequence,
        None => {
            diesel::insert_into(feed_heads::table)
                .values((feed_heads::workspace_id.eq(workspace), feed_heads::sequence.eq(0)))
                .on_conflict_do_nothing()
                .execute(pg)?;
            lock(pg)?.ok_or_else(|| Error::internal("a feed without its head"))?
        }
    };
    diesel::sql_query(PLACE)
        .bind::<SqlUuid, _>(workspace)
        .bind::<BigInt, _>(sequence)
        .bind::<Timestamptz, _>(Utc::now())
        .bind::<BigInt, _>(APPENDS_AT_ONCE)
        .execute(pg)?;
    Ok(())
}

/// The place of the last event.
pub fn head(conn: &mut Conn) -> Result<i64> {
    let head = feed_heads::table.filter(feed_heads::workspace_id.eq(conn.workspace));
    Ok(head.select(feed_heads::sequence).first(conn.pg).optional()?.unwrap_or(0))
}

#[derive(QueryableByName)]
struct Tip {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
}

/// The place that the last of what is committed has, or will have: where somebody begins who wants to
/// know what happens from now on, without bringing the feed forward. It may lie beyond the head.
pub fn tip(conn: &mut Conn) -> Result<i64> {
    let tip: Tip = diesel::sql_query(
        "select coalesce((select sequence from feed_heads where workspace_id = $1), 0)
              + coalesce((select sum(cardinality(touchpoint_ids)) from outbox
                           where workspace_id = $1), 0)::bigint as sequence",
    )
    .bind::<SqlUuid, _>(conn.workspace)
    .get_result(conn.pg)?;
    Ok(tip.sequence)
}

/// The places of the last events of several workspaces.
pub fn heads(pg: &mut PgConnection, of: &[WorkspaceId]) -> Result<HashMap<WorkspaceId, i64>> {
    let heads = feed_heads::table.filter(feed_heads::workspace_id.eq_any(of));
    let heads: Vec<(WorkspaceId, i64)> =
        heads.select((feed_heads::workspace_id, feed_heads::sequence)).load(pg)?;
    Ok(heads.into_iter().collect())
}

/// The place before the first event that is still remembered.
pub fn oldest(conn: &mut Conn) -> Result<i64> {
    let first = changes::table.filter(changes::workspace_id.eq(conn.workspace));
    let first: Option<i64> = first.select(diesel::dsl::min(changes::sequence)).first(conn.pg)?;
    match first {
        Some(first) => Ok(first - 1),
        None => head(conn),
    }
}

#[derive(QueryableByName)]
struct Placed {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The row in which a place lies may begin before it.
const PLACES: &str = "
    select c.sequence + k.n - 1 as sequence, k.id
      from changes c cross join lateral unnest(c.touchpoint_ids) with ordinality as k(id, n)
     where c.workspace_id = $1 and c.sequence <= $3
       and c.sequence >= coalesce((select max(sequence) from changes
                                    where workspace_id = $1 and sequence <= $2 + 1), 0)
       and c.sequence + k.n - 1 > $2 and c.sequence + k.n - 1 <= $3
     order by 1";

/// The events after a place, `limit` places on at most. 410 where some of them are no longer
/// remembered, 400 where the feed never was so far.
pub fn read(conn: &mut Conn, after: i64, limit: i64) -> Result<Stretch> {
    let places: Vec<Placed> = diesel::sql_query(PLACES)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<BigInt, _>(after)
        .bind::<BigInt, _>(after + limit)
        .load(conn.pg)?;
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        let head = head(conn)?;
        return match head.cmp(&after) {
            std::cmp::Ordering::Less => Err(Error::new(
                Code::INVALID_CURSOR,
                "the feed is not so far: was the database restored? Begin again with `from=snapshot`",
            )),
            std::cmp::Ordering::Equal => Ok(Stretch { events: Vec::new(), upto: after }),
            std::cmp::Ordering::Greater => read_again(conn, after, head),
        };
    };
    if first.sequence != after + 1 {
        return Err(expired());
    }
    let upto = last.sequence;
    let ids: Vec<Uuid> = places.iter().map(|place| place.id).collect();
    let mut found: HashMap<Uuid, Touchpoint> = read::find_many(conn, &ids)?.into_iter().collect();
    let event = |place: Placed| {
        let touchpoint = found.remove(&place.id)?;
        Some(Event { sequence: place.sequence, touchpoint })
    };
    Ok(Stretch { events: places.into_iter().filter_map(event).collect(), upto })
}

/// Nothing after a place that is not the last: pruned, unless the feed grew between two statements.
fn read_again(conn: &mut Conn, after: i64, head: i64) -> Result<Stretch> {
    if oldest(conn)? > after { Err(expired()) } else { read(conn, after, head - after) }
}

fn expired() -> Error {
    Error::new(
        Code::CURSOR_EXPIRED,
        "what followed is no longer remembered; begin again with `from=snapshot`",
    )
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// What has a place after the head that the snapshot began at, or none yet, comes with the feed.
const SNAPSHOT: &str = "
    with later as materialized (
        select unnest(touchpoint_ids) as id from changes where workspace_id = $1 and sequence > $2
        union all
        select unnest(touchpoint_ids) from outbox where workspace_id = $1
    )
    select t.id from touchpoints t
     where t.workspace_id = $1 and t.id > $3
       and not exists (select from later where later.id = t.id)
     order by t.id limit $4";

/// The log as it was when the feed was at `head`: what lies after the id `after`, the oldest first.
pub fn snapshot(conn: &mut Conn, head: i64, after: Uuid, limit: i64) -> Result<Vec<Touchpoint>> {
    let ids: Vec<Id> = diesel::sql_query(SNAPSHOT)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<BigInt, _>(head)
        .bind::<SqlUuid, _>(after)
        .bind::<BigInt, _>(limit)
        .load(conn.pg)?;
    let ids: Vec<Uuid> = ids.into_iter().map(|it| it.id).collect();
    let mut found: HashMap<Uuid, Touchpoint> = read::find_many(conn, &ids)?.into_iter().collect();
    Ok(ids.into_iter().filter_map(|id| found.remove(&id)).collect())
}

/// Forgets what became visible before `before`, in all workspaces. From the oldest on, for sequences
/// are in the order of time, and there is no index of times.
const PRUNE: &str = "
    with old as materialized (
        select sequence from changes
         where workspace_id = $1 and sequence in
               (select sequence from changes where workspace_id = $1 order by sequence limit $3)
           and recorded_at < $2
    )
    delete from changes using old where changes.workspace_id = $1 and changes.sequence = old.sequence";

pub fn prune(pg: &mut PgConnection, before: DateTime<Utc>) -> Result<()> {
    let workspaces: Vec<WorkspaceId> =
        feed_heads::table.select(feed_heads::workspace_id).load(pg)?;
    for workspace in workspaces {
        loop {
            let gone = diesel::sql_query(PRUNE)
                .bind::<SqlUuid, _>(workspace)
                .bind::<Timestamptz, _>(before)
                .bind::<BigInt, _>(PRUNED_AT_ONCE)
                .execute(pg)?;
            if gone == 0 {
                break;
            }
        }
    }
    Ok(())
}
