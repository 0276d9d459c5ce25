//! One shape for everything that is done in bulk: what it is, how far, and where its results are.

use actix_web::{get, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::SORT;
use super::row::{BulkResource, JobKind, JobStatus, Row, of};
use crate::audit;
use crate::auth::{Caller, Scope};
use crate::error::Result;
use crate::http::{Found, IfMatch, List, Page, Path, Query, Reply, Versioned};

/// What became of the rows so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobCounts {
    /// How many rows there are; null while that is not known. Several rows may be one order.
    #[schema(example = 1000)]
    pub total: Option<i64>,
    /// Taken in or written.
    #[schema(example = 997)]
    pub ok: i64,
    /// Of these, records that were made.
    #[schema(example = 990)]
    pub created: i64,
    /// Of these, records that were changed.
    #[schema(example = 7)]
    pub updated: i64,
    /// Left out, because the record is there already.
    #[schema(example = 2)]
    pub skipped: i64,
    /// Refused.
    #[schema(example = 1)]
    pub failed: i64,
    /// Undone since.
    #[schema(example = 0)]
    pub reverted: i64,
}

impl JobCounts {
    pub fn of(row: &Row) -> Self {
        let ok = match row.kind {
            JobKind::Import => row.created_count + row.updated_count,
            JobKind::Export => row.row_count,
        };
        Self {
            total: row.total,
            ok,
            created: row.created_count,
            updated: row.updated_count,
            skipped: row.skipped_count,
            failed: row.failed_count,
            reverted: row.reverted_count,
        }
    }
}

/// How far a job is, from 0 to 1.
pub fn progress(row: &Row) -> f64 {
    let (done, all) = match (row.status, row.kind) {
        (JobStatus::Completed | JobStatus::CompletedWithErrors | JobStatus::Reverted, _) => (1, 1),
        (JobStatus::Reverting, _) => (row.reverted_count, row.created_count + row.updated_count),
        (_, JobKind::Import) => (row.position, row.file_bytes),
        (_, JobKind::Export) => (row.row_count, row.total.unwrap_or(0)),
    };
    let percent = done.saturating_mul(1000).checked_div(all).unwrap_or(0).clamp(0, 1000);
    f64::from(i32::try_from(percent).unwrap_or(0)) / 1000.0
}

/// An import or export, whichever it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Job {
    /// Unique id, a UUIDv7; that of the import or export.
    pub id: Uuid,
    /// What it is.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(JobKind::ALL))), example = "import")]
    pub kind: JobKind,
    /// What its records are.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(BulkResource::ALL))), example = "customers")]
    pub resource: BulkResource,
    /// How far it is.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(JobStatus::ALL))), example = "running")]
    pub status: JobStatus,
    /// From 0 to 1.
    #[schema(example = 0.5)]
    pub progress: f64,
    /// What became of the rows so far.
    pub counts: JobCounts,
    /// Why it failed.
    pub failure: Option<String>,
    /// Where refused rows are; null where there are none.
    #[schema(example = "/v1/imports/019a9c3e-4b7a-7c1e-9d0f-2a5b8c7d6e4f/errors")]
    pub errors_url: Option<String>,
    /// Where the file is that it made; null where there is none.
    #[schema(example = "/v1/exports/019a9c3e-4b7a-7c1e-9d0f-2a5b8c7d6e4f/file")]
    pub result_url: Option<String>,
    /// When its files are removed.
    pub expires_at: DateTime<Utc>,
    /// When work began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for Job {
    const COLLECTION: &'static str = "/v1/jobs";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// Where the file of a finished export is.
pub fn result_url(row: &Row) -> Option<String> {
    let has_file = row.kind == JobKind::Export && row.status == JobStatus::Completed;
    (has_file && row.file_id.is_some()).then(|| format!("/v1/exports/{}/file", row.id))
}

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        let has_errors = row.failed_count > 0;
        Self {
            progress: progress(&row),
            counts: JobCounts::of(&row),
            errors_url: has_errors.then(|| format!("/v1/imports/{}/errors", row.id)),
            result_url: result_url(&row),
            id: row.id,
            kind: row.kind,
            resource: row.resource,
            status: row.status,
            failure: row.failure,
            expires_at: row.expires_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// List jobs
///
/// Imports and exports, newest first.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), params(Page), responses((status = 200, body = List<Job>)))]
#[get("/jobs")]
pub async fn list_jobs(caller: Caller, page: Query<Page>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    let slice = page.slice(&grant, "jobs", SORT, &())?;
    grant
        .list(move |conn| {
            let total = slice.total(|| of(conn.workspace).count().get_result(conn.pg))?;
            let rows: Vec<Row> = of(conn.workspace)
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Row::as_select())
                .load(conn.pg)?;
            slice.list(rows.into_iter().map(Job::from).collect(), total)
        })
        .await
}

/// Get a job
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), responses((status = 200, body = Job)))]
#[get("/jobs/{id}")]
pub async fn get_job(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    grant.read(move |conn| Row::find(conn, None, *id).map(Job::from).map(Found)).await
}

/// Cancel a job
///
/// What an import has taken in so far stays, and can be reverted. A reversal cannot be cancelled.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 200, body = Job)))]
#[post("/jobs/{id}/cancel")]
pub async fn cancel_job(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    grant
        .write(move |tx| {
            use JobStatus::{Queued, Ready, Running, WaitingForFile};
            let row = Row::lock(tx, None, *id)?;
            if_match.check(row.version)?;
            row.must_be(&[WaitingForFile, Ready, Queued, Running], &[])?;
            audit::done(tx, "job.cancelled", row.id)?;
            row.advance(tx, JobStatus::Cancelled).map(Job::from).map(Found)
        })
        .await
}
