//! Doing and undoing a merge: one transaction for everything but long timelines.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Jsonb as SqlJsonb, Nullable, Uuid as SqlUuid};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::fields::{self, Changes, MergeSides, Undone};
use super::registry::{PARTS, Part};
use super::rows::{Move, PORTION};
use super::{Merge, MergeCause, MergeStatus, MovedRecords, former_status};
use crate::app::App;
use crate::audit;
use crate::customers::requests::CustomerPatch;
use crate::customers::types::{CustomerFields, CustomerStatus};
use crate::customers::update::{mirror, to_json};
use crate::customers::{Customer, customer_change, of};
use crate::db::json::Jsonb;
use crate::db::{Conn, Outcome, Session, Tx};
use crate::error::{Error, OnConstraint, Result};
use crate::http::IfMatch;
use crate::jobs::{self, Job, NewJob, Priority};
use crate::journal::{self, record};
use crate::schema::{customers, merges};

/// A transaction that found the source before it was merged, and writes to it after, has ended by
/// then: no statement takes more than 5 s, no caller is waited for more than 10.
const STRAGGLERS_AFTER: TimeDelta = TimeDelta::seconds(20);

/// Merges `source` into `survivor`; returns the merge's id.
pub fn merge(
    tx: &mut Tx,
    survivor: Uuid,
    source: Uuid,
    chosen: &MergeSides,
    cause: MergeCause,
) -> Result<Uuid> {
    let (survivor, source) = lock_both(tx, survivor, source)?;
    // What was told of the source just now is moved like all the rest.
    journal::flush(tx)?;
    let (before, other) = (to_json(&survivor)?, to_json(&source)?);
    let changes = fields::decide(&before, &other, chosen);
    change_fields(tx, survivor.id, fields::applied(&before, &changes))?;
    let merge = insert(tx, &survivor, &source, cause, &changes)?;
    point_to(tx, source.id, Some(survivor.id), CustomerStatus::Merged)?;
    let moved = join(tx, &merge)?;
    let mut told = changes;
    told.extend(mirror(tx, &survivor)?);
    let properties = json!({ "source_id": source.id, "merge_id": merge.id, "changes": told });
    record(tx, customer_change("customer.merged", survivor.id, properties))?;
    audit::created(tx, "customer.merged", survivor.id, &ids(&merge))?;
    move_rows(tx, &merge, moved)?;
    Ok(merge.id)
}

/// What the audit log says about a merge: nothing that an erasure would have to look for.
fn ids(merge: &Merge) -> Value {
    json!({ "merge_id": merge.id, "source_id": merge.source_id, "cause": merge.cause })
}

/// Both customers, locked in the order of their ids, so that two merges cannot wait crosswise.
fn lock_both(
    tx: &mut Tx,
    survivor: Uuid,
    source: Uuid,
) -> Result<(CustomerFields, CustomerFields)> {
    if survivor == source {
        let detail = "a customer cannot be merged into itself";
        return Err(Error::field("#/source_id", "same_customer", detail));
    }
    let unknown = |error| match error {
        Error::Problem(rejection) if rejection.status == 404 => {
            let detail = "there is no such customer in this workspace";
            Error::field("#/source_id", "not_found", detail)
        }
        other => other,
    };
    Customer::lock_any(tx, &[survivor, source])?;
    let survivor = Customer::lock(tx, survivor)?;
    Ok((survivor, Customer::lock(tx, source).map_err(unknown)?))
}

/// Sets fields of a customer that came from a customer.
fn change_fields(tx: &mut Tx, id: Uuid, values: Map<String, Value>) -> Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let attributes = values.get("attributes").cloned();
    let broken = |error: serde_json::Error| Error::internal(error.to_string());
    let patch: CustomerPatch = serde_json::from_value(Value::Object(values)).map_err(broken)?;
    diesel::update(of(tx.workspace).filter(customers::id.eq(id)))
        .set((
            &patch,
            attributes.map(|attributes| customers::attributes.eq(Jsonb(attributes))),
            customers::version.eq(customers::version + 1),
            customers::updated_at.eq(tx.now),
        ))
        .execute(tx.pg)?;
    Ok(())
}

fn insert(
    tx: &mut Tx,
    survivor: &CustomerFields,
    source: &CustomerFields,
    cause: MergeCause,
    changes: &Changes,
) -> Result<Merge> {
    use merges as m;
    let id = tx.new_id();
    let kept = keep(tx, survivor.id, source)?;
    let actor = journal::actor(tx);
    diesel::insert_into(m::table)
        .values((
            m::workspace_id.eq(tx.workspace),
            m::id.eq(id),
            m::customer_id.eq(survivor.id),
            m::source_id.eq(source.id),
            m::status.eq(MergeStatus::Running),
            m::cause.eq(cause),
            m::fields.eq(Jsonb(changes.clone())),
            m::moved.eq(Jsonb(MovedRecords::default())),
            m::kept.eq(Jsonb(kept)),
            m::actor.eq(actor),
            m::version.eq(1_i64),
            m::created_at.eq(tx.now),
            m::updated_at.eq(tx.now),
        ))
        .returning(Merge::as_returning())
        .get_result(tx.pg)
        .on_constraint("merges_source_taken", || Error::Retry("merged at the same time".into()))
        .on_constraint("merges_customer_exists", Error::not_found)
        .on_constraint("merges_source_exists", Error::not_found)
}

/// What no row will remember: the status, and by table.
fn keep(tx: &mut Tx, survivor: Uuid, source: &CustomerFields) -> Result<Value> {
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = SqlJsonb)]
        value: Value,
    }
    let mut kept = Map::from_iter([("status".to_owned(), json!(source.status))]);
    for Part { table, keep, .. } in PARTS {
        let Some(question) = keep else { continue };
        let found: Option<Kept> = diesel::sql_query(*question)
            .bind::<SqlUuid, _>(tx.workspace)
            .bind::<SqlUuid, _>(source.id)
            .bind::<SqlUuid, _>(survivor)
            .get_result(tx.pg)
            .optional()?;
        kept.insert((*table).to_owned(), found.map_or(Value::Null, |kept| kept.value));
    }
    Ok(Value::Object(kept))
}

/// Makes a customer lead to another, or be one of its own again.
fn point_to(tx: &mut Tx, id: Uuid, survivor: Option<Uuid>, status: CustomerStatus) -> Result<()> {
    let target = customers::table
        .filter(customers::workspace_id.eq(tx.workspace))
        .filter(customers::id.eq(id));
    diesel::update(target)
        .set((
            customers::merged_into_id.eq(survivor),
            customers::status.eq(status),
            customers::version.eq(customers::version + 1),
            customers::updated_at.eq(tx.now),
        ))
        .execute(tx.pg)
        .on_constraint("customers_merged_into_exists", Error::not_found)?;
    Ok(())
}

/// Moves everything but touchpoints.
fn join(tx: &mut Tx, merge: &Merge) -> Result<MovedRecords> {
    let mut counts = Map::new();
    for Part { table, join, .. } in PARTS {
        let moved = diesel::sql_query(*join)
            .bind::<SqlUuid, _>(tx.workspace)
            .bind::<SqlUuid, _>(merge.source_id)
            .bind::<SqlUuid, _>(merge.customer_id)
            .execute(tx.pg)?;
        counts.insert((*table).to_owned(), json!(moved));
    }
    counts.insert("touchpoints".into(), json!(0));
    counts.insert("touchpoints_total".into(), json!(forth(merge).count(tx)?));
    serde_json::from_value(Value::Object(counts))
        .map_err(|error| Error::internal(error.to_string()))
}

fn forth(merge: &Merge) -> Move {
    Move { from: merge.source_id, to: merge.customer_id, origins: None }
}

fn homewards(merge: &Merge, origins: Vec<Uuid>) -> Move {
    Move { from: merge.customer_id, to: merge.source_id, origins: Some(origins) }
}

/// Moves touchpoints now where there are few, else in the background.
fn move_rows(tx: &mut Tx, merge: &Merge, moved: MovedRecords) -> Result<()> {
    let is_small = moved.touchpoints_total < PORTION;
    merge.advance(tx, MergeStatus::Running, &moved)?;
    enqueue(tx, merge.id, "sweep", tx.now + STRAGGLERS_AFTER)?;
    if is_small { step(tx, merge.id).map(drop) } else { enqueue(tx, merge.id, "move", tx.now) }
}

fn enqueue(tx: &mut Tx, merge: Uuid, purpose: &str, run_at: DateTime<Utc>) -> Result<()> {
    let job = NewJob {
        queue: "merges",
        priority: Priority::Normal,
        kind: "customers.merge",
        payload: json!({ "merge_id": merge }),
        run_at,
        unique_key: Some(format!("merge:{merge}:{purpose}")),
    };
    let (workspace, now) = (tx.workspace, tx.now);
    jobs::enqueue(tx.pg, workspace, &job, now).map(drop)
}

/// Undoes a merge.
pub fn revert(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<()> {
    let merge = Merge::lock(tx, id)?;
    if_match.check(merge.version)?;
    match merge.status {
        MergeStatus::Reverted | MergeStatus::Reverting => return Ok(()),
        MergeStatus::Running => {
            let detail = "the merge is still running; undo it when it is `completed`";
            return Err(Error::transition(detail, &[]));
        }
        MergeStatus::Completed => {}
    }
    let survivor = Customer::lock(tx, merge.customer_id)?;
    let origins = tree(tx, merge.source_id)?;
    let status = former_status(tx, merge.source_id)?;
    point_to(tx, merge.source_id, None, status)?;
    let source = Customer::lock(tx, merge.source_id)?;
    undo(tx, &merge, &origins)?;
    let now = to_json(&survivor)?;
    let Undone { back, changed_since } = fields::undone(&now, &merge.fields.parse()?);
    change_fields(tx, survivor.id, fields::applied(&now, &back))?;
    pass_on(tx, &merge, &changed_since)?;
    let found = mirror(tx, &source)?;
    let mut told = back;
    told.extend(mirror(tx, &survivor)?);
    note_revert(tx, &merge, told, found)?;
    audit::created(tx, "customer.merge_reverted", survivor.id, &ids(&merge))?;
    let total = homewards(&merge, origins).count(tx)?;
    let moved = MovedRecords { touchpoints: 0, touchpoints_total: total, ..merge.moved()? };
    merge.advance(tx, MergeStatus::Reverting, &moved)?;
    if total < PORTION { step(tx, id).map(drop) } else { enqueue(tx, id, "revert", tx.now) }
}

/// A field that a later merge changed goes on to what it was before this one, when that is undone.
fn pass_on(tx: &mut Tx, merge: &Merge, changed_since: &Changes) -> Result<()> {
    if changed_since.is_empty() {
        return Ok(());
    }
    let later: Vec<Merge> = merges::table
        .filter(merges::workspace_id.eq(tx.workspace))
        .filter(merges::customer_id.eq(merge.customer_id))
        .filter(merges::id.gt(merge.id))
        .filter(merges::reverted_at.is_null())
        .order(merges::id)
        .select(Merge::as_select())
        .for_update()
        .load(tx.pg)?;
    let mut open = changed_since.clone();
    for other in later {
        let mut fields: Changes = other.fields.parse()?;
        let before = open.len();
        open.retain(|field, change| match fields.get_mut(field) {
            Some(later) if later["from"] == change["to"] => {
                later["from"] = change["from"].clone();
                false
            }
            _ => true,
        });
        if open.len() < before {
            diesel::update(merges::table)
                .filter(merges::workspace_id.eq(tx.workspace))
                .filter(merges::id.eq(other.id))
                .set((merges::fields.eq(Jsonb(fields)), merges::version.eq(merges::version + 1)))
                .execute(tx.pg)?;
        }
    }
    Ok(())
}

/// What changed in the survivor, and in the customer that is found again.
fn note_revert(tx: &mut Tx, merge: &Merge, changes: Changes, found: Changes) -> Result<()> {
    let properties =
        |changes| json!({ "source_id": merge.source_id, "merge_id": merge.id, "changes": changes });
    let survivor =
        customer_change("customer.merge_reverted", merge.customer_id, properties(json!(changes)));
    let source =
        customer_change("customer.merge_reverted", merge.source_id, properties(json!(found)));
    journal::record_all(tx, [survivor, source])
}

/// Whether rows of one of these customers are on their way back to another one.
pub fn is_being_undone(tx: &mut Tx, customers: &[Uuid]) -> Result<bool> {
    let undone = merges::table
        .filter(merges::workspace_id.eq(tx.workspace))
        .filter(merges::customer_id.eq_any(customers))
        .filter(merges::status.eq(MergeStatus::Reverting));
    Ok(diesel::select(diesel::dsl::exists(undone)).get_result(tx.pg)?)
}

/// A customer, and then everybody who was merged into it and still is.
pub fn tree(conn: &mut Conn, root: Uuid) -> Result<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Node {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let nodes: Vec<Node> = diesel::sql_query(
        "with recursive tree(id) as (
             select $2
             union
             select c.id from customers c join tree on c.merged_into_id = tree.id
              where c.workspace_id = $1
         )
         select id from tree",
    )
    .bind::<SqlUuid, _>(conn.workspace)
    .bind::<SqlUuid, _>(root)
    .load(conn.pg)?;
    Ok(nodes.into_iter().map(|node| node.id).collect())
}

fn undo(tx: &mut Tx, merge: &Merge, origins: &[Uuid]) -> Result<()> {
    let kept: Jsonb<Value> = merges::table
        .filter(merges::workspace_id.eq(tx.workspace))
        .filter(merges::id.eq(merge.id))
        .select(merges::kept)
        .first(tx.pg)?;
    for Part { table, undo, .. } in PARTS {
        diesel::sql_query(*undo)
            .bind::<SqlUuid, _>(tx.workspace)
            .bind::<SqlUuid, _>(merge.source_id)
            .bind::<SqlUuid, _>(merge.customer_id)
            .bind::<Array<SqlUuid>, _>(origins)
            .bind::<Nullable<SqlJsonb>, _>(kept.0.get(*table))
            .execute(tx.pg)?;
    }
    Ok(())
}

/// Moves one portion of touchpoints; true when it was the last.
fn step(tx: &mut Tx, id: Uuid) -> Result<bool> {
    let merge = Merge::lock(tx, id)?;
    let (rows, done) = match merge.status {
        MergeStatus::Running => (forth(&merge), MergeStatus::Completed),
        MergeStatus::Reverting => {
            let origins = tree(tx, merge.source_id)?;
            (homewards(&merge, origins), MergeStatus::Reverted)
        }
        MergeStatus::Completed => return sweep(tx, &merge).map(|()| true),
        MergeStatus::Reverted => return Ok(true),
    };
    let portion = rows.step(tx)?;
    let is_last = portion < PORTION;
    if is_last {
        rows.settle(tx)?;
    }
    let before = merge.moved()?;
    let moved = MovedRecords { touchpoints: before.touchpoints + portion, ..before };
    merge.advance(tx, if is_last { done } else { merge.status }, &moved)?;
    Ok(is_last)
}

/// Moves what came to the source while it was being merged.
fn sweep(tx: &mut Tx, merge: &Merge) -> Result<()> {
    let late = join(tx, merge)?;
    let touchpoints = forth(merge).step(tx)?;
    if late.identities > 0 {
        mirror_late(tx, merge.customer_id)?;
    }
    let records = late.identities + late.memberships + late.consents + late.orders + late.carts;
    if records + touchpoints > 0 {
        forth(merge).settle(tx)?;
        let before = merge.moved()?;
        let moved = MovedRecords {
            identities: before.identities + late.identities,
            memberships: before.memberships + late.memberships,
            consents: before.consents + late.consents,
            orders: before.orders + late.orders,
            carts: before.carts + late.carts,
            touchpoints: before.touchpoints + touchpoints,
            touchpoints_total: before.touchpoints_total + touchpoints,
            ..before
        };
        merge.advance(tx, MergeStatus::Completed, &moved)?;
    }
    Ok(())
}

/// Marks that came late change what the survivor is known by.
fn mirror_late(tx: &mut Tx, survivor: Uuid) -> Result<()> {
    let before = Customer::lock_fields(tx, survivor)?;
    let changes = mirror(tx, &before)?;
    if changes.is_empty() {
        return Ok(());
    }
    record(tx, customer_change("customer.updated", survivor, json!({ "changes": changes })))
}

/// The job that moves long timelines, a portion in each transaction. Run again after a crash, it goes
/// on where it was.
pub fn work(app: &App, session: &Session, job: &Job) -> Result<()> {
    let merge = job.id_of("merge_id")?;
    // Each portion is a transaction of its own, well below what a statement may take.
    while !app.db.write(session, &|tx| step(tx, merge).map(Outcome::Commit))? {}
    Ok(())
}
