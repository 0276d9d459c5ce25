//! Much at once: records in from a file, records out into one, in the background and in one shape.

mod again;
pub mod errors;
mod export_run;
pub mod exports;
mod fields;
mod head;
pub mod imports;
mod job;
mod known;
mod lines;
mod mapping;
mod pieces;
mod preview;
mod question;
mod records;
mod revert;
pub mod row;
mod rows;
mod run;
mod shops;
mod stream;
mod upload;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

pub use export_run::work as run_export;
pub use job::Job;
pub use revert::work as run_revert;
pub use run::work as run_import;

use crate::auth::{Grant, Scope, Scopes};
use crate::db::Tx;
use crate::db::keyset::{SortKey, SortKind};
use crate::error::{Error, Result};
use crate::http::ServiceConfig;
use crate::schema::{bulk_jobs, import_changes};
use row::{BulkResource, JobKind, JobStatus};

pub fn routes(api: &mut ServiceConfig) {
    api.service(job::list_jobs)
        .service(job::get_job)
        .service(job::cancel_job)
        .service(job::retry_job)
        .service(imports::list_imports)
        .service(imports::create_import)
        .service(imports::get_import)
        .service(imports::update_import)
        .service(upload::put_import_file)
        .service(preview::get_import_preview)
        .service(imports::start_import)
        .service(imports::revert_import)
        .service(errors::get_import_errors)
        .service(exports::list_exports)
        .service(exports::create_export)
        .service(exports::get_export)
        .service(exports::get_export_file)
        .service(exports::create_export_link);
}

/// What whoever has a link reaches, outside `/v1` and without a credential.
pub fn public_routes(api: &mut ServiceConfig) {
    api.service(exports::get_exported_file);
}

const SORT: &[SortKey] =
    &[SortKey { name: "created_at", column: "bulk_jobs.id", kind: SortKind::Id }];

/// The scope that writes one record of this kind.
fn writing(resource: BulkResource) -> Scope {
    match resource {
        BulkResource::Customers => Scope::CustomersWrite,
        BulkResource::Organizations => Scope::OrganizationsWrite,
        BulkResource::Touchpoints => Scope::TouchpointsIngest,
        BulkResource::Products => Scope::ProductsWrite,
        BulkResource::Orders => Scope::OrdersWrite,
        BulkResource::Carts => Scope::CartsWrite,
    }
}

/// The scope that reads one record of this kind.
fn reading(resource: BulkResource) -> Scope {
    match resource {
        BulkResource::Customers => Scope::CustomersRead,
        BulkResource::Organizations => Scope::OrganizationsRead,
        BulkResource::Touchpoints => Scope::TouchpointsRead,
        BulkResource::Products => Scope::ProductsRead,
        BulkResource::Orders => Scope::OrdersRead,
        BulkResource::Carts => Scope::CartsRead,
    }
}

fn must_have(scopes: Scopes, scope: Scope) -> Result<()> {
    match scopes.contains(scope) {
        true => Ok(()),
        false => Err(Error::insufficient_scope(scope.as_str())),
    }
}

/// Nobody takes in more than they could write one by one.
fn must_write(grant: &Grant, resource: BulkResource) -> Result<()> {
    may_write(grant.identity().scopes, resource)
}

fn may_write(scopes: Scopes, resource: BulkResource) -> Result<()> {
    must_have(scopes, writing(resource))
}

/// Nobody takes out more than they could read one by one.
fn must_read(scopes: Scopes, resource: BulkResource) -> Result<()> {
    must_have(scopes, reading(resource))
}

/// For an erasure: what files and refused rows say about anybody cannot be searched, for it is sealed.
/// So those of everything go but of imports at work, which refuse whoever is erased; exports at work
/// are cancelled.
pub fn forget(tx: &mut Tx) -> Result<()> {
    use bulk_jobs as b;
    let at_work = [JobStatus::Queued, JobStatus::Running, JobStatus::Reverting];
    let others = b::kind.eq(JobKind::Export).or(b::status.ne_all(at_work));
    let gone: Vec<(Uuid, Option<Uuid>)> =
        row::of(tx.workspace).filter(others).select((b::id, b::file_id)).load(tx.pg)?;
    let (ids, files): (Vec<Uuid>, Vec<Option<Uuid>>) = gone.into_iter().unzip();
    errors::discard(tx, &ids)?;
    pieces::discard(tx, &files.into_iter().flatten().collect::<Vec<_>>())?;
    diesel::sql_query(
        "update bulk_jobs
            set file_id = null, link_hash = null, settings = settings - 'where' - 'filter',
                status = case when status in ('queued', 'running') then 'cancelled' else status end,
                version = version + 1, updated_at = $3
          where workspace_id = $1 and id = any($2)",
    )
    .bind::<SqlUuid, _>(tx.workspace)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Timestamptz, _>(tx.now)
    .execute(tx.pg)?;
    Ok(())
}

/// Removes jobs whose time is over, with all that belongs to them.
pub fn prune(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    let before = now - row::KEPT_FOR;
    pieces::prune(pg, before)?;
    errors::prune(pg, before)?;
    let changes = import_changes::table.filter(import_changes::created_at.lt(before));
    diesel::delete(changes).execute(pg)?;
    diesel::delete(bulk_jobs::table.filter(bulk_jobs::expires_at.lt(now))).execute(pg)?;
    Ok(())
}
