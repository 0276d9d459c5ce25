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
use diesel::sql_types::{BigInt, Bool, Nullable, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::read;
use super::touchpoint::Touchpoint;
use crate::db::{Conn, Db, Tx, WorkspaceId};
use crate::error::{Code, Error, Result};
use crate::schema::{changes, feed_heads, outbox};

/// How many appends get their place at once.
const APPENDS_AT_ONCE: i64 = 500;
/// How often that is done for one workspace before others have their turn.
const STEPS: usize = 20;
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
    /// Whether it was told only to be complete: webhooks are not sent for it.
    pub is_backfill: bool,
}

/// A part of the feed.
#[derive(Debug, Default)]
pub struct Stretch {
    /// Without those that are gone from the log since.
    pub events: Vec<Event>,
    /// The last place that was looked at; where the next stretch begins.
    pub upto: i64,
}

/// Workspaces that have something without a place: those from one on, in the order of their ids.
fn waiting(pg: &mut PgConnection, from: WorkspaceId) -> Result<Vec<WorkspaceId>> {
    let waiting = outbox::table.filter(outbox::workspace_id.ge(from));
    let workspaces = waiting.select(outbox::workspace_id).distinct().order(outbox::workspace_id);
    Ok(workspaces.limit(WORKSPACES_A_ROUND).load(pg)?)
}

/// Gives what has none a place in the feed, in some of the workspaces where that is so, from one on;
/// whose turn it is next.
pub fn advance_all(db: &Db, from: WorkspaceId) -> Result<WorkspaceId> {
    let workspaces = db.system(|pg| waiting(pg, from))?;
    for workspace in &workspaces {
        if let Err(error) = advance(db, *workspace) {
            leave_others_alone(*workspace, error)?;
        }
    }
    let is_last = workspaces.len() < usize::try_from(WORKSPACES_A_ROUND).unwrap_or(usize::MAX);
    let last = workspaces.last().filter(|_| !is_last);
    Ok(last.map_or(WorkspaceId::FIRST, |last| last.next()))
}

/// What is wrong in one workspace must not stop the others, unless it is the database that is away.
pub fn leave_others_alone(workspace: WorkspaceId, error: Error) -> Result<()> {
    match error {
        Error::Unavailable { code, .. } if code != Code::TIMEOUT => Err(error),
        _ => {
            log::warn!("the feed of workspace {workspace}: {error}");
            Ok(())
        }
    }
}

/// Gives what is committed in a workspace its place in the feed; whether all of it has one now. Of very
/// much, some is left for the next time.
pub fn advance(db: &Db, workspace: WorkspaceId) -> Result<bool> {
    let is_waiting = |pg: &mut PgConnection| {
        let waiting = outbox::table.filter(outbox::workspace_id.eq(workspace));
        Ok(diesel::select(diesel::dsl::exists(waiting)).get_result::<bool>(pg)?)
    };
    if !db.system(is_waiting)? {
        return Ok(true);
    }
    for _ in 0..STEPS {
        // Where there were fewer than are moved at once, that was all; what was committed since may
        // wait, or in a busy workspace this would never end.
        if db.system_write(|pg| place(pg, workspace))? < APPENDS_AT_ONCE {
            return Ok(true);
        }
    }
    Ok(false)
}

#[derive(QueryableByName)]
struct Moved {
    #[diesel(sql_type = BigInt)]
    appends: i64,
}

/// Windows sum over what is moved: the first sequence of each append follows from those before it.
const PLACE: &str = "
    with due as materialized (
        select id, touchpoint_ids, appended_at, is_backfill from outbox
         where workspace_id = $1 order by appended_at, id limit $4
    ), gone as (
        delete from outbox using due where outbox.workspace_id = $1 and outbox.id = due.id
    ), placed as (
        select touchpoint_ids, is_backfill,
               sum(cardinality(touchpoint_ids)) over (order by appended_at, id) as upto
          from due
    ), told as (
        insert into changes (workspace_id, sequence, touchpoint_ids, recorded_at, is_backfill)
        select $1, $2 + upto - cardinality(touchpoint_ids) + 1, touchpoint_ids, $3, is_backfill
          from placed
    )
    update feed_heads set sequence = $2 + coalesce((select max(upto) from placed), 0)
     where workspace_id = $1
    returning (select count(*) from due) as appends";

/// Gives some appends their places; how many. The head is locked by a statement of its own, so that the
/// next one sees what its last holder did.
fn place(pg: &mut PgConnection, workspace: WorkspaceId) -> Result<i64> {
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
    let moved: Moved = diesel::sql_query(PLACE)
        .bind::<SqlUuid, _>(workspace)
        .bind::<BigInt, _>(sequence)
        .bind::<Timestamptz, _>(Utc::now())
        .bind::<BigInt, _>(APPENDS_AT_ONCE)
        .get_result(pg)?;
    Ok(moved.appends)
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

/// The place that the last of what is committed will have, by how much of it waits; it lies beyond the head.
fn tip(conn: &mut Conn) -> Result<i64> {
    let tip: Tip = diesel::sql_query(
        "select coalesce((select sequence from feed_heads where workspace_id = $1), 0)
              + coalesce((select sum(cardinality(touchpoint_ids)) from outbox
                           where workspace_id = $1), 0)::bigint as sequence",
    )
    .bind::<SqlUuid, _>(conn.workspace)
    .get_result(conn.pg)?;
    Ok(tip.sequence)
}

/// The place that parts what is committed by now from all that will be: gives it its places here and now, so
/// that nothing that is still being written comes in between. Nobody else moves the feed on until the
/// transaction ends. Of very much some is left, and has its places reserved.
pub fn boundary(tx: &mut Tx) -> Result<i64> {
    let workspace = tx.workspace;
    for _ in 0..STEPS {
        if place(tx.pg, workspace)? < APPENDS_AT_ONCE {
            return head(tx);
        }
    }
    tip(tx)
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
    #[diesel(sql_type = Bool)]
    is_backfill: bool,
}

/// The row in which a place lies may begin before it.
const PLACES: &str = "
    select c.sequence + k.n - 1 as sequence, k.id, c.is_backfill
      from changes c cross join lateral unnest(c.touchpoint_ids) with ordinality as k(id, n)
     where c.workspace_id = $1 and c.sequence <= $3
       and c.sequence >= coalesce((select max(sequence) from changes
                                    where workspace_id = $1 and sequence <= $4), 0)
       and c.sequence + k.n - 1 > $2 and c.sequence + k.n - 1 <= $3
     order by 1";

/// The events after a place, `limit` places on at most. 410 where some of them are no longer
/// remembered, 400 where the feed never was so far.
pub fn read(conn: &mut Conn, after: i64, limit: i64) -> Result<Stretch> {
    let places: Vec<Placed> = diesel::sql_query(PLACES)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<BigInt, _>(after)
        .bind::<BigInt, _>(after.saturating_add(limit))
        .bind::<BigInt, _>(after.saturating_add(1))
        .load(conn.pg)?;
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        let head = head(conn)?;
        return match head.cmp(&after) {
            std::cmp::Ordering::Less => Err(too_far()),
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
        let Placed { sequence, is_backfill, .. } = place;
        Some(Event { sequence, touchpoint, is_backfill })
    };
    Ok(Stretch { events: places.into_iter().filter_map(event).collect(), upto })
}

/// Nothing after a place that is not the last: pruned, unless the feed grew between two statements.
fn read_again(conn: &mut Conn, after: i64, head: i64) -> Result<Stretch> {
    if oldest(conn)? > after { Err(expired()) } else { read(conn, after, head - after) }
}

fn too_far() -> Error {
    Error::new(
        Code::INVALID_CURSOR,
        "the feed is not so far: was the database restored? Begin again with `from=snapshot`",
    )
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

/// Whose part of the log is read: all of it, or that of a customer or an organization.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whose {
    pub customer: Option<Uuid>,
    pub organization: Option<Uuid>,
}

/// What has a place after the head that the snapshot began at, or none yet, comes with the feed. The
/// planner sees the values, and with them the index.
const SNAPSHOT: &str = "
    with later as materialized (
        select unnest(touchpoint_ids) as id from changes where workspace_id = $1 and sequence > $2
        union all
        select unnest(touchpoint_ids) from outbox where workspace_id = $1
    )
    select t.id from touchpoints t
     where t.workspace_id = $1 and t.id > $3
       and ($5 is null or t.customer_id = $5) and ($6 is null or t.organization_id = $6)
       and not exists (select from later where later.id = t.id)
     order by t.id limit $4";

/// The log as it was when the feed was at `head`: what lies after the id `after`, the oldest first. 400
/// where the feed never was so far.
pub fn snapshot(
    conn: &mut Conn,
    (head, after): (i64, Uuid),
    whose: Whose,
    limit: i64,
) -> Result<Vec<Touchpoint>> {
    if self::head(conn)? < head {
        return Err(too_far());
    }
    let ids: Vec<Id> = diesel::sql_query(SNAPSHOT)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<BigInt, _>(head)
        .bind::<SqlUuid, _>(after)
        .bind::<BigInt, _>(limit)
        .bind::<Nullable<SqlUuid>, _>(whose.customer)
        .bind::<Nullable<SqlUuid>, _>(whose.organization)
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
