//! One shape for everything that is done in the background: what it is, how far, and where its results are.

use actix_web::{get, post};
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::SORT;
use super::row::{BulkResource, JobKind, JobStatus, QUEUE, Row, of};
use crate::audit;
use crate::auth::{Caller, Scope};
use crate::db::WorkspaceId;
use crate::db::keyset::{SortKey, SortKind};
use crate::error::{Error, Result};
use crate::http::{AnyOf, Found, IfMatch, List, Page, Path, Query, Reply, Versioned};
use crate::jobs::{self, Work, WorkKind};
use crate::schema::bulk_jobs;

/// What became of the rows so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobCounts {
    /// How many rows there are that are not blank; null while that is not known. Several may be one order.
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
        // What was read to show the file's beginning is no progress.
        (JobStatus::WaitingForFile | JobStatus::Ready | JobStatus::Queued, _) => (0, 1),
        (JobStatus::Reverting, _) => (row.reverted_count, row.created_count + row.updated_count),
        (_, JobKind::Import) => (row.position, row.file_bytes),
        (_, JobKind::Export) => (row.row_count, row.total.unwrap_or(0)),
    };
    let percent = done.saturating_mul(1000).checked_div(all).unwrap_or(0).clamp(0, 1000);
    f64::from(i32::try_from(percent).unwrap_or(0)) / 1000.0
}

/// Work in the background, whatever it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Job {
    /// Unique id, a UUIDv7; that of the import or export.
    pub id: Uuid,
    /// What it is: `import`, `export`, or what it does, such as `customers.merge`.
    #[schema(example = "import")]
    pub kind: String,
    /// What the records of an import or export are.
    #[schema(value_type = Option<String>, extensions(("x-extensible-enum" = json!(BulkResource::ALL))), example = "customers")]
    pub resource: Option<BulkResource>,
    /// How far it is.
    #[schema(value_type = String, extensions(("x-extensible-enum" = json!(JobStatus::ALL))), example = "running")]
    pub status: JobStatus,
    /// From 0 to 1.
    #[schema(example = 0.5)]
    pub progress: f64,
    /// What became of the rows of an import or export so far.
    pub counts: Option<JobCounts>,
    /// How often it was tried; null of imports and exports, which go on where they were.
    #[schema(example = 1)]
    pub attempts: Option<i32>,
    /// Why it failed, or why the last attempt did.
    pub failure: Option<String>,
    /// Where refused rows are; null where there are none.
    #[schema(example = "/v1/imports/019a9c3e-4b7a-7c1e-9d0f-2a5b8c7d6e4f/errors")]
    pub errors_url: Option<String>,
    /// Where the file is that it made; null where there is none.
    #[schema(example = "/v1/exports/019a9c3e-4b7a-7c1e-9d0f-2a5b8c7d6e4f/file")]
    pub result_url: Option<String>,
    /// When its files are removed; null where there are none.
    pub expires_at: Option<DateTime<Utc>>,
    /// When work began, as far as that is kept.
    pub started_at: Option<DateTime<Utc>>,
    /// When it is tried next; null of what has ended.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Rises with every change; the `ETag`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Which jobs to show; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JobFilter {
    /// Of any of these kinds.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub kind: AnyOf<WorkKind>,
    /// In any of these states, such as `failed`.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub status: AnyOf<JobStatus>,
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
            counts: Some(JobCounts::of(&row)),
            errors_url: has_errors.then(|| format!("/v1/imports/{}/errors", row.id)),
            result_url: result_url(&row),
            id: row.id,
            kind: row.kind.to_string(),
            resource: Some(row.resource),
            status: row.status,
            attempts: None,
            failure: row.failure,
            expires_at: Some(row.expires_at),
            started_at: row.started_at,
            next_attempt_at: None,
            finished_at: row.finished_at,
            version: row.version,
            created_at: row.created_at,
        }
    }
}

impl From<Work> for Job {
    fn from(work: Work) -> Self {
        let status = work.state.parse().unwrap_or(JobStatus::Failed);
        let is_over = !status.is_at_work();
        Self {
            progress: if status == JobStatus::Completed { 1.0 } else { 0.0 },
            counts: None,
            errors_url: None,
            result_url: None,
            id: work.id,
            kind: work.kind,
            resource: None,
            status,
            attempts: Some(work.attempts),
            failure: work.last_error,
            expires_at: None,
            started_at: None,
            next_attempt_at: (!is_over).then_some(work.run_at),
            finished_at: work.finished_at,
            version: work.version,
            created_at: work.created_at,
        }
    }
}

/// The same order as [`SORT`], of what is no import and no export.
const WORK_SORT: &[SortKey] =
    &[SortKey { name: "created_at", column: "jobs.id", kind: SortKind::Id }];

/// List jobs
///
/// Imports, exports and all other work in the background, newest first. What has ended is kept for 14
/// or 30 days.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), params(Page, JobFilter), responses((status = 200, body = List<Job>)))]
#[get("/jobs")]
pub async fn list_jobs(
    caller: Caller,
    page: Query<Page>,
    filter: Query<JobFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    let slice = page.slice(&grant, "jobs", SORT, &filter.0)?;
    let of_work = page.slice(&grant, "jobs", WORK_SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let in_bulk = || filter.in_bulk(conn.workspace);
            let beside = || filter.beside(conn.workspace);
            let total = slice.total(|| {
                let others: i64 = beside().count().get_result(conn.pg)?;
                Ok(in_bulk().count().get_result::<i64>(conn.pg)? + others)
            })?;
            let rows: Vec<Row> = in_bulk()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Row::as_select())
                .load(conn.pg)?;
            let works: Vec<Work> = beside()
                .filter(of_work.after.clone())
                .order(of_work.order.clone())
                .limit(of_work.fetch())
                .select(Work::as_select())
                .load(conn.pg)?;
            let mut found: Vec<Job> = rows.into_iter().map(Job::from).collect();
            found.extend(works.into_iter().map(Job::from));
            let is_descending = slice.order.0.first().is_none_or(|term| term.is_descending);
            found.sort_by_key(|job| job.id);
            if is_descending {
                found.reverse();
            }
            found.truncate(usize::try_from(slice.fetch()).unwrap_or(usize::MAX));
            slice.list(found, total)
        })
        .await
}

impl JobFilter {
    fn in_bulk(&self, workspace: WorkspaceId) -> bulk_jobs::BoxedQuery<'static, Pg> {
        use bulk_jobs as b;
        let mut question = of(workspace).into_boxed();
        if let Some(kinds) = self.kind.given() {
            let kinds = kinds.iter().filter_map(|kind| kind.as_str().parse::<JobKind>().ok());
            question = question.filter(b::kind.eq_any(kinds.collect::<Vec<_>>()));
        }
        if let Some(states) = self.status.given() {
            question = question.filter(b::status.eq_any(states.clone()));
        }
        question
    }

    fn beside(&self, workspace: WorkspaceId) -> jobs::Question {
        let kinds = self.kind.given().map(|all| all.iter().map(|kind| kind.as_str()).collect());
        let states =
            self.status.given().map(|all| all.iter().map(|state| state.as_str()).collect());
        jobs::question(workspace, QUEUE, kinds, states)
    }
}

/// Get a job
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:read"])), responses((status = 200, body = Job)))]
#[get("/jobs/{id}")]
pub async fn get_job(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsRead)?;
    grant
        .read(move |conn| match Row::find(conn, None, *id) {
            Ok(row) => Ok(Found(Job::from(row))),
            Err(error) if error.status() == 404 => {
                jobs::work(conn, *id, QUEUE).map(Job::from).map(Found)
            }
            Err(error) => Err(error),
        })
        .await
}

/// Try a job again
///
/// One that has failed for good, after its reason is gone. Imports and exports cannot be: make a new one.
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 200, body = Job)))]
#[post("/jobs/{id}/retry")]
pub async fn retry_job(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    grant
        .write(move |tx| {
            match Row::find(tx, None, *id) {
                Ok(_) => {
                    let detail = "an import or export is not tried again; make a new one";
                    return Err(Error::transition(detail, &[]));
                }
                Err(error) if error.status() == 404 => {}
                Err(error) => return Err(error),
            }
            let work = jobs::retry(tx, *id, QUEUE)?;
            audit::done(tx, "job.retried", *id)?;
            Ok(Found(Job::from(work)))
        })
        .await
}

/// Cancel a job
///
/// An import or export. What an import has taken in so far stays, and can be reverted. A reversal and other
/// work cannot be cancelled (409).
#[utoipa::path(tag = "jobs", security(("bearer" = ["jobs:write"])), responses((status = 200, body = Job)))]
#[post("/jobs/{id}/cancel")]
pub async fn cancel_job(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::JobsWrite)?;
    grant
        .write(move |tx| {
            use JobStatus::{Queued, Ready, Running, WaitingForFile};
            let row = match Row::lock(tx, None, *id) {
                Err(error) if error.status() == 404 => {
                    jobs::work(tx, *id, QUEUE)?;
                    let detail = "only an import or export is cancelled";
                    return Err(Error::transition(detail, &[]));
                }
                found => found?,
            };
            if_match.check(row.version)?;
            row.must_be(&[WaitingForFile, Ready, Queued, Running], &[])?;
            audit::done(tx, "job.cancelled", row.id)?;
            row.advance(tx, JobStatus::Cancelled).map(Job::from).map(Found)
        })
        .await
}
