//! Reading the log: always one workspace, newest first, a page at a time.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::Direction;
use super::touchpoint::{Touchpoint, TouchpointRow};
use crate::db::ids::IdRange;
use crate::db::json::RawJson;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, WorkspaceId, id};
use crate::error::Result;
use crate::http::List;
use crate::http::page::Slice;
use crate::schema::touchpoints;

/// Ids are times: sorting by id is sorting by occurrence.
pub const SORT: &[SortKey] =
    &[SortKey { name: "occurred_at", column: "touchpoints.id", kind: SortKind::Id }];

#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    touchpoints::table.filter(touchpoints::workspace_id.eq(workspace))
}

/// A question to the log that is still being put together.
pub type Question = IntoBoxed<'static, of, Pg>;

/// Everything in a workspace's log.
pub fn all(workspace: WorkspaceId) -> Question {
    of(workspace).into_boxed()
}

/// How many touchpoints a question finds.
pub fn count(conn: &mut Conn, question: Question, ids: IdRange) -> Result<i64> {
    let question = question.filter(ids.holds("touchpoints.id"));
    Ok(question.count().get_result(conn.pg)?)
}

/// Some touchpoints that a question finds, the oldest first.
pub fn oldest(
    conn: &mut Conn,
    question: Question,
    ids: IdRange,
    limit: i64,
) -> Result<Vec<Touchpoint>> {
    let question = question.filter(ids.holds("touchpoints.id"));
    let question = question.order(touchpoints::id).limit(limit);
    let rows: Vec<TouchpointRow> = question.select(TouchpointRow::as_select()).load(conn.pg)?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// What happened with one customer.
pub fn of_customer(workspace: WorkspaceId, customer: Uuid) -> Question {
    all(workspace).filter(touchpoints::customer_id.eq(customer))
}

/// What was told of one customer and one thing under one type.
pub fn about(workspace: WorkspaceId, customer: Uuid, kind: &'static str, thing: Value) -> Question {
    let of_kind = of_customer(workspace, customer).filter(touchpoints::type_.eq(kind));
    of_kind.filter(touchpoints::subject.eq(thing))
}

/// The same as [`of_customer`] without what the company noted for itself.
pub fn seen_by_customer(workspace: WorkspaceId, customer: Uuid) -> Question {
    of_customer(workspace, customer).filter(touchpoints::direction.ne(Direction::Internal))
}

/// What happened with one organization.
pub fn of_organization(workspace: WorkspaceId, organization: Uuid) -> Question {
    all(workspace).filter(touchpoints::organization_id.eq(organization))
}

/// The types of touchpoints that say what changed in a customer.
pub const CHANGES: [&str; 8] = [
    "customer.updated",
    "customer.lifecycle_stage_changed",
    "customer.merged",
    "customer.merge_reverted",
    "customer.restricted",
    "customer.restriction_lifted",
    "identity.added",
    "identity.removed",
];

/// All that says how a customer came to be as it is.
const STATES: [&str; 11] = [
    "customer.created",
    "customer.updated",
    "customer.lifecycle_stage_changed",
    "customer.merged",
    "customer.merge_reverted",
    "customer.deleted",
    "customer.restored",
    "customer.restricted",
    "customer.restriction_lifted",
    "identity.added",
    "identity.removed",
];

/// How many changes are read at once.
pub const CHANGES_A_PAGE: usize = 1000;

/// A change of one customer.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = touchpoints)]
pub struct Changed {
    pub id: Uuid,
    #[diesel(column_name = type_)]
    pub kind: String,
    pub properties: RawJson,
}

/// What was told of a customer itself and of nobody merged into it, wherever it lies now.
fn told_of((holders, customer): (&[Uuid], Uuid), workspace: WorkspaceId) -> Question {
    all(workspace)
        .filter(touchpoints::customer_id.eq_any(holders.to_vec()))
        .filter(touchpoints::origin_customer_id.eq(customer))
        .filter(touchpoints::type_.eq_any(STATES))
}

/// A page of what changed in a customer after `at` and before the touchpoint `before`, the newest
/// first.
pub fn changes_after(
    conn: &mut Conn,
    whose: (&[Uuid], Uuid),
    at: DateTime<Utc>,
    before: Option<Uuid>,
) -> Result<Vec<Changed>> {
    let mut question = told_of(whose, conn.workspace).filter(touchpoints::id.ge(next(at)));
    if let Some(before) = before {
        question = question.filter(touchpoints::id.lt(before));
    }
    let newest = question.order(touchpoints::id.desc()).limit(CHANGES_A_PAGE as i64);
    Ok(newest.select(Changed::as_select()).load(conn.pg)?)
}

/// The last change of a customer at or before `at`.
pub fn last_change(
    conn: &mut Conn,
    whose: (&[Uuid], Uuid),
    at: DateTime<Utc>,
) -> Result<Option<Uuid>> {
    let earlier = told_of(whose, conn.workspace).filter(touchpoints::id.lt(next(at)));
    let last = earlier.order(touchpoints::id.desc()).select(touchpoints::id);
    Ok(last.first(conn.pg).optional()?)
}

/// The smallest id of what happened after `at`.
fn next(at: DateTime<Utc>) -> Uuid {
    id::floor(at + TimeDelta::microseconds(1))
}

/// The recorded changes of one field of a customer.
pub fn changes_of(workspace: WorkspaceId, customer: Uuid, field: &str) -> Question {
    of_customer(workspace, customer)
        .filter(touchpoints::type_.eq_any(CHANGES))
        .filter(touchpoints::properties.retrieve_as_object("changes").has_key(field.to_owned()))
}

/// The number of answers, where the caller asked for it, and one page of them.
pub fn list(
    conn: &mut Conn,
    slice: &Slice,
    question: impl Fn() -> Question,
) -> Result<List<Touchpoint>> {
    let total = slice.total(|| question().count().get_result(conn.pg))?;
    let rows = page(conn, slice, question())?;
    slice.list(rows, total)
}

/// One page and the row after it, to know whether there is more.
pub fn page(conn: &mut Conn, slice: &Slice, question: Question) -> Result<Vec<Touchpoint>> {
    let rows: Vec<TouchpointRow> = question
        .filter(slice.after.clone())
        .order(slice.order.clone())
        .limit(slice.fetch())
        .select(TouchpointRow::as_select())
        .load(conn.pg)?;
    Ok(rows.into_iter().map(Touchpoint::from).collect())
}

/// The latest few.
pub fn latest(conn: &mut Conn, question: Question, limit: i64) -> Result<Vec<Touchpoint>> {
    let rows: Vec<TouchpointRow> = question
        .order(touchpoints::id.desc())
        .limit(limit)
        .select(TouchpointRow::as_select())
        .load(conn.pg)?;
    Ok(rows.into_iter().map(Touchpoint::from).collect())
}

/// One touchpoint, or 404.
pub fn find(conn: &mut Conn, id: Uuid) -> Result<Touchpoint> {
    let row: TouchpointRow = of(conn.workspace)
        .filter(touchpoints::id.eq(id))
        .select(TouchpointRow::as_select())
        .first(conn.pg)?;
    Ok(row.into())
}

/// Those of several touchpoints that are there, by id.
pub fn find_many(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<(Uuid, Touchpoint)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<TouchpointRow> = of(conn.workspace)
        .filter(touchpoints::id.eq_any(ids))
        .select(TouchpointRow::as_select())
        .load(conn.pg)?;
    let found = rows.into_iter().map(Touchpoint::from);
    Ok(found.map(|touchpoint| (touchpoint.id, touchpoint)).collect())
}
