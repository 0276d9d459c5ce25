//! The row that an import or export is, and its moves from one status to the next.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::json;
use uuid::Uuid;

use crate::db::json::RawJson;
use crate::db::{Actor, Conn, Session, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::jobs::{self, NewJob, Priority};
use crate::schema::bulk_jobs;

/// How long files, refused rows and the way back are kept.
pub const KEPT_FOR: TimeDelta = TimeDelta::days(14);
/// The queue of this work.
pub const QUEUE: &str = "bulk";

crate::text_enum! {
    /// Which way records go.
    pub enum JobKind {
        Import = "import",
        Export = "export",
    }
}

crate::text_enum! {
    /// What can be exported, and but for carts imported.
    pub enum BulkResource {
        Customers = "customers",
        Organizations = "organizations",
        Touchpoints = "touchpoints",
        Products = "products",
        Orders = "orders",
        Carts = "carts",
    }
}

crate::text_enum! {
    /// What can be imported.
    pub enum ImportResource {
        Customers = "customers",
        Organizations = "organizations",
        Touchpoints = "touchpoints",
        Products = "products",
        Orders = "orders",
    }
}

impl From<ImportResource> for BulkResource {
    fn from(resource: ImportResource) -> Self {
        match resource {
            ImportResource::Customers => Self::Customers,
            ImportResource::Organizations => Self::Organizations,
            ImportResource::Touchpoints => Self::Touchpoints,
            ImportResource::Products => Self::Products,
            ImportResource::Orders => Self::Orders,
        }
    }
}

crate::text_enum! {
    /// How records are written in a file: `csv` with a head line, `ndjson` as one JSON object a line.
    pub enum BulkFormat {
        Csv = "csv",
        Ndjson = "ndjson",
    }
}

crate::text_enum! {
    /// How far an import or export is.
    pub enum JobStatus {
        WaitingForFile = "waiting_for_file",
        Ready = "ready",
        Queued = "queued",
        Running = "running",
        Completed = "completed",
        CompletedWithErrors = "completed_with_errors",
        Failed = "failed",
        Cancelled = "cancelled",
        Reverting = "reverting",
        Reverted = "reverted",
    }
}

impl JobStatus {
    /// Whether a worker has it, or will.
    pub fn is_at_work(self) -> bool {
        matches!(self, Self::Queued | Self::Running | Self::Reverting)
    }

    fn is_end(self) -> bool {
        use JobStatus::*;
        matches!(self, Completed | CompletedWithErrors | Failed | Cancelled | Reverted)
    }
}

/// An import or export as it is stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = bulk_jobs)]
pub struct Row {
    pub id: Uuid,
    pub kind: JobKind,
    pub resource: BulkResource,
    pub format: BulkFormat,
    pub status: JobStatus,
    pub settings: RawJson,
    pub found: Option<RawJson>,
    pub file_id: Option<Uuid>,
    pub file_bytes: i64,
    pub position: i64,
    pub after_id: Option<Uuid>,
    pub row_count: i64,
    pub total: Option<i64>,
    pub created_count: i64,
    pub updated_count: i64,
    pub skipped_count: i64,
    pub failed_count: i64,
    pub reverted_count: i64,
    pub failure: Option<String>,
    pub actor: RawJson,
    pub expires_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[diesel::dsl::auto_type(no_type_alias)]
pub fn of(workspace: WorkspaceId) -> _ {
    bulk_jobs::table.filter(bulk_jobs::workspace_id.eq(workspace))
}

impl Row {
    pub fn find(conn: &mut Conn, kind: Option<JobKind>, id: Uuid) -> Result<Self> {
        let row: Self = of(conn.workspace)
            .filter(bulk_jobs::id.eq(id))
            .select(Self::as_select())
            .first(conn.pg)?;
        row.of_kind(kind)
    }

    pub fn lock(tx: &mut Tx, kind: Option<JobKind>, id: Uuid) -> Result<Self> {
        let row: Self = of(tx.workspace)
            .filter(bulk_jobs::id.eq(id))
            .select(Self::as_select())
            .for_update()
            .first(tx.pg)?;
        row.of_kind(kind)
    }

    fn of_kind(self, kind: Option<JobKind>) -> Result<Self> {
        match kind {
            Some(kind) if kind != self.kind => Err(Error::not_found()),
            _ => Ok(self),
        }
    }

    /// Writes a new row.
    pub fn insert(
        tx: &mut Tx,
        (kind, resource, format): (JobKind, BulkResource, BulkFormat),
        status: JobStatus,
        settings: &impl serde::Serialize,
    ) -> Result<Self> {
        use bulk_jobs as b;
        let (id, now) = (tx.new_id(), tx.now);
        let settings =
            serde_json::to_value(settings).map_err(|error| Error::internal(error.to_string()))?;
        let numbers = (
            b::file_bytes.eq(0_i64),
            b::position.eq(0_i64),
            b::row_count.eq(0_i64),
            b::created_count.eq(0_i64),
            b::updated_count.eq(0_i64),
            b::skipped_count.eq(0_i64),
            b::failed_count.eq(0_i64),
            b::reverted_count.eq(0_i64),
            b::version.eq(1_i64),
        );
        Ok(diesel::insert_into(b::table)
            .values((
                (b::workspace_id.eq(tx.workspace), b::id.eq(id), b::kind.eq(kind)),
                (b::resource.eq(resource), b::format.eq(format), b::status.eq(status)),
                (b::settings.eq(settings), b::actor.eq(crate::journal::actor(tx)), numbers),
                (b::expires_at.eq(now + KEPT_FOR), b::created_at.eq(now), b::updated_at.eq(now)),
            ))
            .returning(Self::as_returning())
            .get_result(tx.pg)?)
    }

    /// 409 unless the row is in one of these.
    pub fn must_be(&self, from: &[JobStatus], allowed: &[&str]) -> Result<()> {
        if from.contains(&self.status) {
            return Ok(());
        }
        let detail = match self.status {
            JobStatus::WaitingForFile => "upload the file first".to_owned(),
            status => format!("a job that is `{status}` cannot do this"),
        };
        Err(Error::transition(detail, allowed))
    }

    /// Moves to a status and notes when work began and ended.
    pub fn advance(&self, tx: &mut Tx, status: JobStatus) -> Result<Self> {
        use bulk_jobs as b;
        let (begins, ends) = (status == JobStatus::Running, status.is_end());
        let started_at = if begins { self.started_at.or(Some(tx.now)) } else { self.started_at };
        Ok(diesel::update(of(tx.workspace).filter(b::id.eq(self.id)))
            .set((
                b::status.eq(status),
                b::started_at.eq(started_at),
                b::finished_at.eq(ends.then_some(tx.now)),
                b::version.eq(b::version + 1),
                b::updated_at.eq(tx.now),
            ))
            .returning(Self::as_returning())
            .get_result(tx.pg)?)
    }

    /// Ends what cannot go on, and says why.
    pub fn fail(&self, tx: &mut Tx, why: &str) -> Result<Self> {
        let why: String = why.chars().take(500).collect();
        diesel::update(of(tx.workspace).filter(bulk_jobs::id.eq(self.id)))
            .set(bulk_jobs::failure.eq(why))
            .execute(tx.pg)?;
        self.advance(tx, JobStatus::Failed)
    }

    /// Queues the next stretch of work. A stretch that is queued twice does no harm: each moves the
    /// position that it began at, or ends.
    pub fn enqueue(&self, tx: &mut Tx, kind: &'static str) -> Result<()> {
        let job = NewJob {
            queue: QUEUE,
            priority: Priority::Bulk,
            kind,
            payload: json!({ "bulk_job_id": self.id }),
            run_at: tx.now,
            unique_key: None,
        };
        let (workspace, now) = (tx.workspace, tx.now);
        jobs::enqueue(tx.pg, workspace, &job, now).map(drop)
    }

    /// In whose name the work is done: whoever asked for it.
    pub fn session(&self, session: &Session) -> Result<Session> {
        #[derive(serde::Deserialize)]
        struct Asked {
            r#type: crate::db::ActorKind,
            id: Option<Uuid>,
        }
        let asked: Asked = self.actor.parse()?;
        Ok(Session { actor: Actor { kind: asked.r#type, id: asked.id }, ..session.clone() })
    }
}
