//! Undoing an import, the last row first: what it made is deleted, what it changed is as before. What
//! somebody has touched since stays, and is named.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Uuid as SqlUuid};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::errors::{self, RowError};
use super::imports::{self, ImportSettings};
use super::row::{BulkResource, JobStatus, Row, of};
use super::run::STRETCH;
use crate::app::App;
use crate::audit;
use crate::customers::{Customer, CustomerPatch};
use crate::db::{Outcome, Session, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::http::IfMatch;
use crate::http::json::from_value;
use crate::jobs::Job;
use crate::journal;
use crate::orders::{self, Order};
use crate::organizations::{self, Organization, OrganizationPatch};
use crate::products::{self, Product, ProductPatch};
use crate::schema::{bulk_jobs, import_changes};

/// Changes undone with one transaction.
const CHANGES: i64 = 200;

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = import_changes)]
struct Done {
    row_number: i64,
    id: Uuid,
    resource_id: Uuid,
    resource_version: i64,
    former: Option<Value>,
}

/// Queues the reversal of an import that has ended.
pub fn begin(tx: &mut Tx, row: &Row) -> Result<Row> {
    use JobStatus::{Cancelled, Completed, CompletedWithErrors, Failed};
    row.must_be(&[Completed, CompletedWithErrors, Cancelled, Failed], &[])?;
    let settings: ImportSettings = row.settings.parse()?;
    if settings.dry_run || row.resource == BulkResource::Touchpoints {
        let detail = match settings.dry_run {
            true => "a dry run has changed nothing that could be undone",
            false => "touchpoints cannot be taken back: the log only grows",
        };
        return Err(Error::transition(detail, &[]));
    }
    row.enqueue(tx, "imports.revert")?;
    audit::done(tx, "import.revert_started", row.id)?;
    row.advance(tx, JobStatus::Reverting)
}

/// Undoes a stretch of an import, and queues the next.
pub fn work(app: &App, session: &Session, job: &Job) -> Result<()> {
    let id = job.id_of("bulk_job_id")?;
    let until = Instant::now() + STRETCH;
    let row = app.db.read(crate::db::Server::Primary, session, &|conn| imports::find(conn, id))?;
    let session = row.session(session)?;
    while Instant::now() < until {
        if !app.db.write(&session, &|tx| step(tx, id).map(Outcome::Commit))? {
            return Ok(());
        }
    }
    app.db.write(&session, &|tx| {
        imports::lock(tx, id)?.enqueue(tx, "imports.revert").map(Outcome::Commit)
    })
}

#[diesel::dsl::auto_type(no_type_alias)]
fn changes(workspace: WorkspaceId) -> _ {
    import_changes::table.filter(import_changes::workspace_id.eq(workspace))
}

/// Undoes some changes; false where there is nothing left to do.
fn step(tx: &mut Tx, import: Uuid) -> Result<bool> {
    use import_changes as c;
    let row = imports::lock(tx, import)?;
    if row.status != JobStatus::Reverting {
        return Ok(false);
    }
    let done: Vec<Done> = changes(tx.workspace)
        .filter(c::import_id.eq(import))
        .order((c::row_number.desc(), c::id.desc()))
        .limit(CHANGES)
        .select(Done::as_select())
        .load(tx.pg)?;
    if done.is_empty() {
        audit::done(tx, "import.reverted", import)?;
        row.advance(tx, JobStatus::Reverted)?;
        return Ok(false);
    }
    if row.settings.parse::<ImportSettings>()?.backfill {
        journal::backfill(tx);
    }
    let mut kept = Vec::new();
    let mut shifts = Shifts::default();
    let made = made(tx, import, &done)?;
    for change in &done {
        let version = shifts.version_of(change);
        let is_own = made.contains(&change.resource_id);
        match tx.savepoint(|tx| undo(tx, row.resource, change, version, is_own)) {
            Ok(left_at) => shifts.note(change, left_at),
            Err(error) if error.is_rejection() => {
                let code = match is_final(row.resource, change) && !is_own {
                    true => "cannot_be_undone",
                    false => "changed_since",
                };
                let kept_as_it_is = Error::field("#", code, reason(&error));
                kept.extend(RowError::of(change.row_number, b"", &kept_as_it_is));
            }
            Err(error) => return Err(error),
        }
    }
    errors::keep(tx, import, &kept)?;
    let ids: Vec<Uuid> = done.iter().map(|change| change.id).collect();
    let gone = changes(tx.workspace).filter(c::import_id.eq(import)).filter(c::id.eq_any(ids));
    diesel::delete(gone).execute(tx.pg)?;
    shifts.store(tx, import)?;
    count(tx, import, done.len() - kept.len(), kept.len())?;
    Ok(true)
}

/// Which of these records the import itself has made.
fn made(tx: &mut Tx, import: Uuid, done: &[Done]) -> Result<HashSet<Uuid>> {
    use import_changes as c;
    let ids: HashSet<Uuid> = done.iter().map(|change| change.resource_id).collect();
    let found: Vec<Uuid> = changes(tx.workspace)
        .filter(c::import_id.eq(import))
        .filter(c::former.is_null().and(c::resource_id.eq_any(ids)))
        .select(c::resource_id)
        .load(tx.pg)?;
    Ok(found.into_iter().collect())
}

/// Changes that there is no way back from.
fn is_final(resource: BulkResource, change: &Done) -> bool {
    resource == BulkResource::Orders && change.former.is_some()
}

fn reason(error: &Error) -> String {
    format!("the record stays as it is: {}", error.rejection().detail)
}

fn count(tx: &mut Tx, import: Uuid, undone: usize, kept: usize) -> Result<()> {
    use bulk_jobs as b;
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    diesel::update(of(tx.workspace).filter(b::id.eq(import)))
        .set((
            b::reverted_count.eq(b::reverted_count + number(undone)),
            b::failed_count.eq(b::failed_count + number(kept)),
        ))
        .execute(tx.pg)?;
    Ok(())
}

/// An import may have changed a record several times. What undoing the last leaves is ours and nobody
/// else's: the change before then counts as left at that version.
#[derive(Default)]
struct Shifts(HashMap<Uuid, (i64, i64)>);

impl Shifts {
    fn version_of(&self, change: &Done) -> i64 {
        match self.0.get(&change.resource_id) {
            Some((before, now)) if *before == change.resource_version => *now,
            _ => change.resource_version,
        }
    }

    fn note(&mut self, change: &Done, left_at: i64) {
        self.0.insert(change.resource_id, (change.resource_version - 1, left_at));
    }

    /// What is left of a record moves as a whole, so that a gap somebody else made stays one.
    fn store(&self, tx: &mut Tx, import: Uuid) -> Result<()> {
        let ids: Vec<Uuid> = self.0.keys().copied().collect();
        let raised: Vec<i64> = self.0.values().map(|(before, now)| now - before).collect();
        diesel::sql_query(
            "update import_changes c set resource_version = c.resource_version + s.raised
               from unnest($3, $4) s (id, raised)
              where c.workspace_id = $1 and c.import_id = $2 and c.resource_id = s.id",
        )
        .bind::<SqlUuid, _>(tx.workspace)
        .bind::<SqlUuid, _>(import)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<BigInt>, _>(raised)
        .execute(tx.pg)?;
        Ok(())
    }
}

/// Takes a change back; returns the version that the record has then. `is_own` says that the import has
/// made the record: what it changed of it needs no way back, since all of it goes.
fn undo(
    tx: &mut Tx,
    resource: BulkResource,
    change: &Done,
    version: i64,
    is_own: bool,
) -> Result<i64> {
    let (id, as_left) = (change.resource_id, IfMatch(Some(version)));
    match (resource, &change.former) {
        (BulkResource::Customers, None) => Customer::delete(tx, id, as_left)?,
        (BulkResource::Customers, Some(former)) => {
            let now = Customer::lock(tx, id)?.attributes.parse()?;
            let patch: CustomerPatch = from_value(back(former, &now))?;
            patch.apply(tx, id, as_left)?;
        }
        (BulkResource::Organizations, None) => organizations::delete(tx, id, as_left)?,
        (BulkResource::Organizations, Some(former)) => {
            let now = Organization::lock(tx, id)?.attributes.parse()?;
            let patch: OrganizationPatch = from_value(back(former, &now))?;
            patch.apply(tx, id, as_left)?;
        }
        (BulkResource::Products, None) => products::delete(tx, id, as_left)?,
        (BulkResource::Products, Some(former)) => {
            let now = Product::lock(tx, id)?.attributes.parse()?;
            let mut former = back(former, &now);
            // When the source last told stays: what it told before that is old.
            former.as_object_mut().map(|former| former.remove("source_updated_at"));
            let patch: ProductPatch = from_value(former)?;
            patch.apply(tx, id, as_left)?;
        }
        (BulkResource::Orders, None) => orders::delete(tx, id, as_left)?,
        (BulkResource::Orders, Some(_)) if is_own => {
            as_left.check(Order::lock(tx, id)?.version)?;
            return Ok(version);
        }
        (BulkResource::Orders, Some(_)) => {
            let detail = "what was paid, sent and refunded is not unsaid; put it right by hand";
            return Err(Error::transition(detail, &[]));
        }
        (BulkResource::Touchpoints | BulkResource::Carts, _) => {
            return Err(Error::internal("neither touchpoints nor carts are ever noted"));
        }
    }
    Ok(version + 1)
}

/// The merge patch that brings former values back. Attributes merge, so what came with the import is
/// removed by name.
fn back(former: &Value, attributes: &Map<String, Value>) -> Value {
    let mut patch = former.clone();
    if let Some(Value::Object(before)) = patch.get_mut("attributes") {
        for key in attributes.keys() {
            before.entry(key.clone()).or_insert(Value::Null);
        }
    }
    patch
}
