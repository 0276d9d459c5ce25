//! Work that happens later: queued by the transaction that wants it, leased by one worker at a
//! time, tried again until it succeeds or is given up.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use crate::db::{Db, WorkspaceId, id};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::schema::jobs;

/// How long a worker may be silent before its job goes to another.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);
const MAX_ATTEMPTS: i32 = 10;
/// Workspaces looked at in one round, so that a busy one cannot keep the others waiting.
const WORKSPACES_A_ROUND: i64 = 32;
const JOBS_A_CLAIM: i64 = 20;

/// Work to be queued.
pub struct NewJob {
    pub queue: &'static str,
    pub kind: &'static str,
    pub payload: Value,
    pub run_at: DateTime<Utc>,
    /// While an unfinished job has this key, no second one is queued.
    pub unique_key: Option<String>,
}

/// Work that this process has leased.
#[derive(Debug, Clone, Queryable, Selectable)]
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
    let inserted = diesel::insert_into(jobs::table)
        .values((
            jobs::workspace_id.eq(workspace),
            jobs::id.eq(id::at(now, 0)),
            jobs::queue.eq(job.queue),
            jobs::kind.eq(job.kind),
            jobs::payload.eq(&job.payload),
            jobs::state.eq("queued"),
            jobs::run_at.eq(job.run_at),
            jobs::attempts.eq(0),
            jobs::max_attempts.eq(MAX_ATTEMPTS),
            jobs::unique_key.eq(&job.unique_key),
            jobs::created_at.eq(now),
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

/// Takes due jobs for `worker`, a few from each workspace. First asks without locks who has any,
/// then claims per workspace: a cluster can lock rows of one workspace only.
pub fn claim(db: &Db, worker: Uuid) -> Result<Vec<Job>> {
    let now = Utc::now();
    let due: Vec<Due> = db.system(|pg| {
        Ok(diesel::sql_query(
            "select workspace_id from jobs where state = 'queued' and run_at <= $1
              group by workspace_id order by min(run_at) limit $2",
        )
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(WORKSPACES_A_ROUND)
        .load(pg)?)
    })?;
    let mut claimed = Vec::new();
    for Due { workspace_id } in due {
        claimed.extend(db.system(|pg| claim_in(pg, workspace_id, worker, now))?);
    }
    Ok(claimed)
}

#[derive(QueryableByName)]
struct Claimed {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// MATERIALIZED, because otherwise the planner may claim more rows than LIMIT says.
const CLAIM: &str = "
    with due as materialized (
        select id from jobs
         where workspace_id = $1 and state = 'queued' and run_at <= $2
         order by run_at limit $3 for update skip locked
    )
    update jobs set state = 'running', locked_by = $4, locked_until = $5, attempts = attempts + 1
      from due where jobs.workspace_id = $1 and jobs.id = due.id
    returning jobs.id";

fn claim_in(
    pg: &mut PgConnection,
    workspace: WorkspaceId,
    worker: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Job>> {
    let claimed: Vec<Claimed> = diesel::sql_query(CLAIM)
        .bind::<SqlUuid, _>(workspace)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(JOBS_A_CLAIM)
        .bind::<SqlUuid, _>(worker)
        .bind::<Timestamptz, _>(now + LEASE)
        .load(pg)?;
    let ids: Vec<Uuid> = claimed.iter().map(|claimed| claimed.id).collect();
    Ok(jobs::table
        .filter(jobs::workspace_id.eq(workspace))
        .filter(jobs::id.eq_any(ids))
        .select(Job::as_select())
        .load(pg)?)
}

impl Job {
    /// An id that the payload names.
    pub fn id_of(&self, name: &str) -> Result<Uuid> {
        let id = self.payload[name].as_str().and_then(|text| text.parse().ok());
        id.ok_or_else(|| Error::internal(format!("a `{}` job without its `{name}`", self.kind)))
    }

    /// Whether nobody tries again after this attempt.
    pub fn is_last_attempt(&self) -> bool {
        self.attempts >= self.max_attempts
    }

    /// Ends the job: completed, queued again later, or failed for good. Does nothing where the
    /// lease was lost: whoever has the job now decides.
    pub fn finish(&self, db: &Db, outcome: &Result<()>) -> Result<()> {
        let now = Utc::now();
        let is_final = outcome.is_ok() || self.is_last_attempt();
        let state = match (outcome, is_final) {
            (Ok(()), _) => "completed",
            (Err(_), true) => "failed",
            (Err(_), false) => "queued",
        };
        let last_error = outcome.as_ref().err().map(Error::to_string);
        db.system(|pg| {
            diesel::update(jobs::table)
                .filter(jobs::workspace_id.eq(self.workspace_id))
                .filter(jobs::id.eq(self.id))
                .filter(jobs::locked_by.eq(self.locked_by))
                .filter(jobs::attempts.eq(self.attempts))
                .set((
                    jobs::state.eq(state),
                    jobs::run_at.eq(now + back_off(self.attempts)),
                    jobs::last_error.eq(last_error),
                    jobs::locked_by.eq(None::<Uuid>),
                    jobs::locked_until.eq(None::<DateTime<Utc>>),
                    jobs::finished_at.eq(is_final.then_some(now)),
                ))
                .execute(pg)?;
            Ok(())
        })
    }
}

/// 2, 4, 8 … seconds, at most an hour.
fn back_off(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts.clamp(0, 12)).unwrap_or(0);
    TimeDelta::seconds(2_i64.pow(doublings).min(3600))
}

/// Queues jobs again whose worker fell silent.
pub fn release_expired(db: &Db) -> Result<usize> {
    let now = Utc::now();
    db.system(|pg| {
        Ok(diesel::update(jobs::table)
            .filter(jobs::state.eq("running"))
            .filter(jobs::locked_until.lt(now))
            .set((jobs::state.eq("queued"), jobs::locked_by.eq(None::<Uuid>)))
            .execute(pg)?)
    })
}

/// Removes jobs that finished before `before`.
pub fn prune(pg: &mut PgConnection, before: DateTime<Utc>) -> Result<()> {
    diesel::delete(jobs::table.filter(jobs::finished_at.lt(before))).execute(pg)?;
    Ok(())
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
