//! Work that happens later: queued by the transaction that wants it, leased by one worker at a
//! time, tried again until it succeeds or is given up.
//!
//! Workers take one job at a time, of one workspace after the other, so that a workspace with a
//! thousand jobs keeps one with a single job waiting for no more than one of them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, SmallInt, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use crate::db::{Conn, Db, Lease, Tx, WorkspaceId, id};
use crate::error::{Code, Error, OnConstraint, Result};
use crate::metrics::Metrics;
use crate::schema::jobs;

/// How long a worker may be silent before its job goes to another, in seconds. By the clock of the
/// database: a process whose own is ahead would take what others hold.
const LEASE_S: f64 = 60.0;
/// How often a worker says that it still works.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
const MAX_ATTEMPTS: i32 = 10;
/// Workspaces that are tried for one job: others may take it meanwhile.
const TRIES: usize = 32;

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Takes long, and nobody looks at it meanwhile.
    Bulk = 0,
    Normal = 10,
    /// Somebody waits for it.
    Soon = 20,
}

impl Priority {
    fn number(self) -> i16 {
        self as i16
    }
}

/// Work to be queued.
pub struct NewJob {
    pub queue: &'static str,
    pub priority: Priority,
    pub kind: &'static str,
    pub payload: Value,
    pub run_at: DateTime<Utc>,
    /// While an unfinished job has this key, no second one is queued.
    pub unique_key: Option<String>,
}

/// Work that this process has leased.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = jobs)]
pub struct Job {
    pub workspace_id: WorkspaceId,
    pub id: Uuid,
    pub queue: String,
    pub kind: String,
    pub payload: Value,
    pub attempts: i32,
    max_attempts: i32,
    locked_by: Option<Uuid>,
}

/// Queues work; false where its unique key is queued or running already.
pub fn enqueue(
    pg: &mut PgConnection,
    workspace: WorkspaceId,
    job: &NewJob,
    now: DateTime<Utc>,
) -> Result<bool> {
    enqueue_as(pg, workspace, id::at(now, 0), job, now)
}

/// Queues work under an id that says what it is: once, whoever asks how often.
pub fn enqueue_as(
    pg: &mut PgConnection,
    workspace: WorkspaceId,
    id: Uuid,
    job: &NewJob,
    now: DateTime<Utc>,
) -> Result<bool> {
    let inserted = diesel::insert_into(jobs::table)
        .values((
            jobs::workspace_id.eq(workspace),
            jobs::id.eq(id),
            jobs::queue.eq(job.queue),
            jobs::priority.eq(job.priority.number()),
            jobs::kind.eq(job.kind),
            jobs::payload.eq(&job.payload),
            jobs::state.eq("queued"),
            jobs::run_at.eq(job.run_at),
            jobs::attempts.eq(0),
            jobs::max_attempts.eq(MAX_ATTEMPTS),
            jobs::unique_key.eq(&job.unique_key),
            jobs::created_at.eq(now),
            jobs::version.eq(1_i64),
        ))
        .on_conflict_do_nothing()
        .execute(pg)?;
    Ok(inserted == 1)
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = SqlUuid)]
    workspace_id: WorkspaceId,
}

/// The next workspace that has something to do, in the order of ids.
const NEXT: &str = "
    select workspace_id from jobs
     where state = 'queued' and run_at <= $1 and priority >= $2 and workspace_id >= $3
     order by workspace_id limit 1";

/// MATERIALIZED, because otherwise the planner may claim more rows than LIMIT says. What is due is so by
/// the clock of the process, as whoever queued it went by its own.
const CLAIM: &str = "
    with due as materialized (
        select id from jobs
         where workspace_id = $1 and state = 'queued' and run_at <= $2 and priority >= $3
         order by priority desc, run_at limit 1 for update skip locked
    )
    update jobs set state = 'running', locked_by = $4, attempts = attempts + 1,
                    version = version + 1, locked_until = now() + make_interval(secs => $5)
      from due where jobs.workspace_id = $1 and jobs.id = due.id
    returning jobs.*";

/// Whose turn it is: workspaces are served one after the other.
pub struct Turn {
    worker: Uuid,
    at_least: Priority,
    /// The first that may be next.
    from: WorkspaceId,
}

impl Turn {
    /// The turns of one thread of `worker`, which does nothing below `at_least`.
    pub fn new(worker: Uuid, at_least: Priority) -> Self {
        Self { worker, at_least, from: WorkspaceId::FIRST }
    }

    /// Takes the next due job. First asks without locks whose turn it is, then claims in that
    /// workspace: a cluster can lock rows of one workspace only.
    pub fn claim(&mut self, db: &Db) -> Result<Option<Job>> {
        let now = Utc::now();
        for _ in 0..TRIES {
            let Some(workspace) = self.next(db, now)? else { return Ok(None) };
            self.from = workspace.next();
            if let Some(job) = db.system(|pg| self.claim_in(pg, workspace, now))? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Whose turn it is; after the last the first begins again.
    fn next(&self, db: &Db, now: DateTime<Utc>) -> Result<Option<WorkspaceId>> {
        let due = |from: WorkspaceId| {
            db.system(|pg| {
                let found = diesel::sql_query(NEXT)
                    .bind::<Timestamptz, _>(now)
                    .bind::<SmallInt, _>(self.at_least.number())
                    .bind::<SqlUuid, _>(from)
                    .get_result::<Due>(pg);
                Ok(found.optional()?.map(|due| due.workspace_id))
            })
        };
        match due(self.from)? {
            None if self.from != WorkspaceId::FIRST => due(WorkspaceId::FIRST),
            found => Ok(found),
        }
    }

    fn claim_in(
        &self,
        pg: &mut PgConnection,
        workspace: WorkspaceId,
        now: DateTime<Utc>,
    ) -> Result<Option<Job>> {
        Ok(diesel::sql_query(CLAIM)
            .bind::<SqlUuid, _>(workspace)
            .bind::<Timestamptz, _>(now)
            .bind::<SmallInt, _>(self.at_least.number())
            .bind::<SqlUuid, _>(self.worker)
            .bind::<Double, _>(LEASE_S)
            .get_result(pg)
            .optional()?)
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    jobs::table.filter(jobs::workspace_id.eq(workspace))
}

impl Job {
    /// An id that the payload names.
    pub fn id_of(&self, name: &str) -> Result<Uuid> {
        let id = self.payload[name].as_str().and_then(|text| text.parse().ok());
        id.ok_or_else(|| Error::internal(format!("a `{}` job without its `{name}`", self.kind)))
    }

    /// What a session needs to do this job and nothing after somebody else has taken it over.
    pub fn lease(&self) -> Option<Lease> {
        let (workspace, job, attempts) = (self.workspace_id, self.id, self.attempts);
        self.locked_by.map(|worker| Lease { workspace, job, worker, attempts })
    }

    /// Whether nobody tries again after this attempt.
    pub fn is_last_attempt(&self) -> bool {
        self.attempts >= self.max_attempts
    }

    /// Why an attempt failed, for the people of the workspace; the log has the rest under the job's id.
    fn why(&self, error: &Error) -> String {
        let why = match error {
            Error::Problem(rejection) => return rejection.detail.clone(),
            Error::Constraint { .. } => "what it wrote breaks a rule of the database",
            Error::Statement(_) => "the database refused a statement",
            Error::Retry(_) | Error::Prepare(_) => "too many others wrote at the same time",
            Error::Unavailable { code, .. } if *code == Code::TIMEOUT => {
                "a statement took too long"
            }
            Error::Unavailable { .. } => "the database was not available",
            Error::Internal(_) => "the service made a mistake",
        };
        format!("{why}; the log of the service says more where `job_id` is {}", self.id)
    }

    /// Ends the attempt: completed, queued again later, or failed for good. Does nothing where the
    /// lease was lost: whoever has the job now decides.
    pub fn finish(&self, db: &Db, outcome: &Result<()>) -> Result<End> {
        let now = Utc::now();
        let end = match outcome {
            Ok(()) => End::Completed,
            Err(_) if self.is_last_attempt() => End::Failed,
            Err(_) => End::Retried,
        };
        let last_error = outcome.as_ref().err().map(|error| self.why(error));
        let changed = db.system(|pg| {
            Ok(diesel::update(of(self.workspace_id))
                .filter(jobs::id.eq(self.id))
                .filter(jobs::state.eq("running"))
                .filter(jobs::locked_by.eq(self.locked_by))
                .filter(jobs::attempts.eq(self.attempts))
                .set((
                    jobs::state.eq(end.state()),
                    jobs::run_at.eq(now + back_off(self.attempts)),
                    jobs::last_error.eq(last_error),
                    jobs::locked_by.eq(None::<Uuid>),
                    jobs::locked_until.eq(None::<DateTime<Utc>>),
                    jobs::finished_at.eq((end != End::Retried).then_some(now)),
                    jobs::version.eq(jobs::version + 1),
                ))
                .execute(pg)?)
        })?;
        Ok(if changed == 1 { end } else { End::Lost })
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Completed,
    Retried,
    /// For good; somebody may try it again by hand.
    Failed,
    /// Another worker has the job by now.
    Lost,
}

impl End {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    fn state(self) -> &'static str {
        if self == Self::Retried { "queued" } else { self.as_str() }
    }
}

/// 2, 4, 8 … seconds, at most an hour.
fn back_off(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts.clamp(0, 12)).unwrap_or(0);
    TimeDelta::seconds(2_i64.pow(doublings).min(3600))
}

const EXTEND: &str = "
    update jobs set locked_until = now() + make_interval(secs => $3)
     where workspace_id = $1 and state = 'running' and locked_by = $2";

/// Says of the jobs of a worker that it still works on them, also of those that a transaction of it
/// holds: one that works in one transaction after another is seldom found without.
pub fn extend(db: &Db, worker: Uuid) -> Result<()> {
    for workspace in db.system(|pg| holding(pg, worker))? {
        db.system(|pg| {
            Ok(diesel::sql_query(EXTEND)
                .bind::<SqlUuid, _>(workspace)
                .bind::<SqlUuid, _>(worker)
                .bind::<Double, _>(LEASE_S)
                .execute(pg)?)
        })?;
    }
    Ok(())
}

/// The workspaces in which a worker has a job.
fn holding(pg: &mut PgConnection, worker: Uuid) -> Result<Vec<WorkspaceId>> {
    let held = jobs::table.filter(jobs::state.eq("running")).filter(jobs::locked_by.eq(worker));
    Ok(held.select(jobs::workspace_id).distinct().load(pg)?)
}

/// The workspaces in which a worker fell silent.
const SILENT: &str = "
    select distinct workspace_id from jobs where state = 'running' and locked_until < now()";

/// A job that kills whoever tries it is given up after as many attempts as any other. What a transaction
/// of its worker holds right now is passed over: it lives.
const RELEASE: &str = "
    with silent as materialized (
        select id from jobs
         where workspace_id = $1 and state = 'running' and locked_until < now() for update skip locked
    )
    update jobs
       set state = case when attempts < max_attempts then 'queued' else 'failed' end,
           version = version + 1,
           finished_at = case when attempts < max_attempts then null else now() end,
           last_error = 'the worker that had it fell silent', locked_by = null, locked_until = null
      from silent where jobs.workspace_id = $1 and jobs.id = silent.id";

/// Queues jobs again whose worker fell silent.
pub fn release_expired(db: &Db) -> Result<()> {
    let silent: Vec<Due> = db.system(|pg| Ok(diesel::sql_query(SILENT).load(pg)?))?;
    for Due { workspace_id } in silent {
        db.system(|pg| {
            Ok(diesel::sql_query(RELEASE).bind::<SqlUuid, _>(workspace_id).execute(pg)?)
        })?;
    }
    Ok(())
}

/// Gives back what a worker has not finished when its process must end. The attempt does not count.
pub fn give_back(db: &Db, worker: Uuid) -> Result<usize> {
    let mut given = 0;
    for workspace in db.system(|pg| holding(pg, worker))? {
        given += db.system(|pg| {
            let ours = of(workspace).filter(jobs::state.eq("running"));
            Ok(diesel::update(ours.filter(jobs::locked_by.eq(worker)))
                .set((
                    jobs::state.eq("queued"),
                    jobs::attempts.eq(jobs::attempts - 1),
                    jobs::version.eq(jobs::version + 1),
                    jobs::locked_by.eq(None::<Uuid>),
                    jobs::locked_until.eq(None::<DateTime<Utc>>),
                ))
                .execute(pg)?)
        })?;
    }
    Ok(given)
}

crate::text_enum! {
    /// What work of a workspace does, by the name of its jobs.
    pub enum WorkKind {
        Import = "import",
        Export = "export",
        CustomersMerge = "customers.merge",
        CustomersScan = "customers.scan",
        ConnectorsTake = "connectors.take",
        OrdersRecount = "orders.recount",
        PrivacyArchive = "privacy.archive",
        PrivacyErase = "privacy.erase",
        PrivacySweep = "privacy.sweep",
    }
}

/// Work of a workspace as its people see it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub struct Work {
    pub id: Uuid,
    pub kind: String,
    pub state: String,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub run_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub version: i64,
}

/// A question to the work of a workspace that is still being put together.
pub type Question = jobs::BoxedQuery<'static, Pg>;

/// The work of a workspace but that of one queue, which has its own shape: of these kinds, in these
/// states.
pub fn question(
    workspace: WorkspaceId,
    beside: &'static str,
    kinds: Option<Vec<&'static str>>,
    states: Option<Vec<&'static str>>,
) -> Question {
    let mut question = of(workspace).filter(jobs::queue.ne(beside)).into_boxed();
    if let Some(kinds) = kinds {
        question = question.filter(jobs::kind.eq_any(kinds));
    }
    if let Some(states) = states {
        question = question.filter(jobs::state.eq_any(states));
    }
    question
}

/// One job that is not of the queue `beside`, or 404.
pub fn work(conn: &mut Conn, id: Uuid, beside: &'static str) -> Result<Work> {
    let job = of(conn.workspace).filter(jobs::queue.ne(beside)).filter(jobs::id.eq(id));
    Ok(job.select(Work::as_select()).first(conn.pg)?)
}

/// Queues a job again that was given up, for as many attempts as a new one has. 404 where there is none,
/// 409 unless it has failed, or where another like it waits already.
pub fn retry(tx: &mut Tx, id: Uuid, beside: &'static str) -> Result<Work> {
    let job = of(tx.workspace).filter(jobs::queue.ne(beside)).filter(jobs::id.eq(id));
    let work: Work = job.select(Work::as_select()).for_update().first(tx.pg)?;
    if work.state != "failed" {
        let detail =
            format!("a job that is `{}` is not tried again; one that has failed is", work.state);
        return Err(Error::transition(detail, &[]));
    }
    diesel::update(of(tx.workspace).filter(jobs::id.eq(id)))
        .set((
            jobs::state.eq("queued"),
            jobs::max_attempts.eq(jobs::attempts + MAX_ATTEMPTS),
            jobs::run_at.eq(tx.now),
            jobs::finished_at.eq(None::<DateTime<Utc>>),
            jobs::version.eq(jobs::version + 1),
        ))
        .returning(Work::as_returning())
        .get_result(tx.pg)
        .on_constraint("jobs_unique_key_taken", || {
            Error::new(Code::CONFLICT, "another job that does the same is waiting already")
        })
}

/// Jobs that are looked at in one statement.
const PRUNED_AT_ONCE: i64 = 5000;

/// One page of the jobs of a workspace, without those that finished long ago; the last of the page.
const PRUNE: &str = "
    with page as materialized (
        select id from jobs where workspace_id = $1 and id > $2 order by id limit $3
    ), gone as (
        delete from jobs using page
         where jobs.workspace_id = $1 and jobs.id = page.id and jobs.finished_at < $4
    )
    select id from page order by id desc limit 1";

#[derive(QueryableByName)]
struct Last {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Removes jobs that finished before `before`. Page by page, for there is no index of times and a
/// statement has five seconds.
pub fn prune(pg: &mut PgConnection, before: DateTime<Utc>) -> Result<()> {
    let mut from = WorkspaceId::FIRST;
    while let Some(workspace) = workspace_from(pg, from)? {
        let mut after = Uuid::nil();
        while let Some(Last { id }) = diesel::sql_query(PRUNE)
            .bind::<SqlUuid, _>(workspace)
            .bind::<SqlUuid, _>(after)
            .bind::<BigInt, _>(PRUNED_AT_ONCE)
            .bind::<Timestamptz, _>(before)
            .get_result(pg)
            .optional()?
        {
            after = id;
        }
        from = workspace.next();
    }
    Ok(())
}

/// The first workspace with jobs that is not before this one.
fn workspace_from(pg: &mut PgConnection, from: WorkspaceId) -> Result<Option<WorkspaceId>> {
    let rest = jobs::table.filter(jobs::workspace_id.ge(from)).order(jobs::workspace_id);
    Ok(rest.select(jobs::workspace_id).first(pg).optional()?)
}

/// Counts jobs for the metrics.
pub fn measure(db: &Db, metrics: &Metrics) -> Result<()> {
    let counts: Vec<(String, String, i64)> = db.system(|pg| {
        let unfinished = jobs::table.filter(jobs::state.ne("completed"));
        let counted = unfinished.group_by((jobs::queue, jobs::state));
        Ok(counted.select((jobs::queue, jobs::state, diesel::dsl::count_star())).load(pg)?)
    })?;
    let oldest: Option<DateTime<Utc>> = db.system(|pg| {
        let queued = jobs::table.filter(jobs::state.eq("queued"));
        Ok(queued.select(diesel::dsl::min(jobs::run_at)).first(pg)?)
    })?;
    metrics.jobs(counts.iter().map(|(queue, state, n)| (queue.as_str(), state.as_str(), *n)));
    let waiting = oldest.map_or(0, |at| (Utc::now() - at).num_seconds().max(0));
    metrics.jobs_oldest_due(waiting);
    Ok(())
}

/// How long a worker without work waits before it looks again.
pub const POLL: Duration = Duration::from_secs(1);
