//! The worker: carries out queued jobs and keeps the database in order.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{Months, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::audit;
use crate::bulk;
use crate::carts;
use crate::connectors;
use crate::consents;
use crate::customers;
use crate::db::{Actor, Outcome, Session, Tx, Via, WorkspaceId};
use crate::error::{Error, Result};
use crate::jobs::{self, Job, NewJob};
use crate::journal::feed;
use crate::orders;
use crate::privacy;
use crate::schema::{idempotency_keys, refresh_tokens, touchpoint_keys};
use crate::webhooks;
use crate::workspaces::{self, Workspace};

/// The queue of the upkeep below, which belongs to no workspace.
const MAINTENANCE: &str = "maintenance";
/// How long the `source` and `message_id` of a touchpoint are remembered.
const KEYS_KEPT_FOR: TimeDelta = TimeDelta::days(400);
/// How long finished jobs can be looked at.
const JOBS_KEPT_FOR: TimeDelta = TimeDelta::days(7);

/// What one kind of job does.
enum Work {
    /// In a workspace, in the service's own name.
    Inside(fn(&App, &Session, &Job) -> Result<()>),
    /// For the whole database.
    Upkeep(fn(&App) -> Result<()>),
}

/// What each kind of job does. A kind that is not listed fails, so that nothing waits for ever.
const KINDS: &[(&str, Work)] = &[
    ("customers.merge", Work::Inside(customers::merge::work)),
    ("customers.scan", Work::Inside(customers::candidates::scan)),
    ("connectors.take", Work::Inside(connectors::work)),
    ("orders.recount", Work::Inside(recount_orders)),
    ("imports.run", Work::Inside(bulk::run_import)),
    ("imports.revert", Work::Inside(bulk::run_revert)),
    ("exports.run", Work::Inside(bulk::run_export)),
    ("privacy.archive", Work::Inside(privacy::make_archive)),
    ("privacy.erase", Work::Inside(privacy::erase)),
    ("privacy.sweep", Work::Inside(privacy::sweep)),
    ("maintenance.partitions", Work::Upkeep(make_partitions)),
    ("maintenance.prune", Work::Upkeep(prune)),
    ("maintenance.consents", Work::Upkeep(expire_consents)),
    ("maintenance.audit", Work::Upkeep(seal_audit)),
    ("maintenance.carts", Work::Upkeep(leave_carts)),
];

/// How often each kind of upkeep is queued.
const SCHEDULE: &[(&str, TimeDelta)] = &[
    ("maintenance.partitions", TimeDelta::hours(12)),
    ("maintenance.prune", TimeDelta::hours(1)),
    ("maintenance.consents", TimeDelta::minutes(15)),
    ("maintenance.audit", TimeDelta::minutes(1)),
    ("maintenance.carts", TimeDelta::minutes(1)),
];

/// Starts the worker; it ends when the app drains.
pub fn start(app: App) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("worker".into()).spawn(move || run(&app))
}

/// Works until the app drains. Errors are logged and waited out: a worker outlives its database.
pub fn run(app: &App) {
    let worker = Uuid::now_v7();
    let mut next_round = Instant::now();
    while !app.is_draining() {
        if Instant::now() < next_round {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        }
        let found = round(app, worker).unwrap_or_else(|error| {
            log::warn!("worker: {error}");
            0
        });
        if found == 0 {
            next_round = Instant::now() + jobs::POLL;
        }
    }
}

/// One look at the queue; returns how many jobs were carried out.
pub fn round(app: &App, worker: Uuid) -> Result<usize> {
    schedule(app)?;
    jobs::release_expired(&app.db)?;
    let claimed = jobs::claim(&app.db, worker)?;
    for job in &claimed {
        let outcome = carry_out(app, job);
        if let Err(error) = &outcome {
            let (kind, id, attempts) = (job.kind.as_str(), job.id.to_string(), job.attempts);
            log::warn!(kind, job_id = id.as_str(), attempts; "job failed: {error}");
        }
        job.finish(&app.db, &outcome)?;
    }
    jobs::measure(&app.db, &app.metrics)?;
    Ok(claimed.len())
}

fn carry_out(app: &App, job: &Job) -> Result<()> {
    match KINDS.iter().find(|(kind, _)| *kind == job.kind) {
        Some((_, Work::Inside(work))) => work(app, &session(app, job.workspace_id)?, job),
        Some((_, Work::Upkeep(work))) => work(app),
        None => Err(Error::internal(format!("no worker knows jobs of kind `{}`", job.kind))),
    }
}

/// Queues the upkeep of the present period, once however many workers there are.
fn schedule(app: &App) -> Result<()> {
    let now = Utc::now();
    for (kind, every) in SCHEDULE {
        let period = now.timestamp().div_euclid(every.num_seconds());
        if app.scheduled.is_new(kind, period) {
            let job = NewJob {
                queue: MAINTENANCE,
                kind,
                payload: json!({ "period": period }),
                run_at: now,
                unique_key: Some((*kind).to_owned()),
            };
            app.db.system(|pg| jobs::enqueue(pg, nobody(), &job, now))?;
        }
    }
    Ok(())
}

/// The workspace of jobs that belong to none.
fn nobody() -> WorkspaceId {
    WorkspaceId::trusted(Uuid::nil())
}

/// Makes the log's partitions up to four months ahead.
fn make_partitions(app: &App) -> Result<()> {
    let today = Utc::now().date_naive();
    let months: Vec<_> = (0..=4).filter_map(|n| today.checked_add_months(Months::new(n))).collect();
    app.db.system(|pg| crate::db::partitions::make(pg, &months))
}

/// Removes what nobody can ask for any more.
fn prune(app: &App) -> Result<()> {
    let now = Utc::now();
    let answers = now - crate::http::idempotency::KEPT_FOR;
    app.db.system(|pg| {
        diesel::delete(idempotency_keys::table.filter(idempotency_keys::created_at.lt(answers)))
            .execute(pg)?;
        let keys =
            touchpoint_keys::table.filter(touchpoint_keys::created_at.lt(now - KEYS_KEPT_FOR));
        diesel::delete(keys).execute(pg)?;
        diesel::delete(refresh_tokens::table.filter(refresh_tokens::expires_at.lt(now)))
            .execute(pg)?;
        privacy::prune(pg, now)?;
        connectors::prune(pg, now)?;
        bulk::prune(pg, now)?;
        feed::prune(pg, now - feed::REMEMBERED_FOR)?;
        webhooks::prune(pg, now)?;
        jobs::prune(pg, now - JOBS_KEPT_FOR)
    })
}

/// In whose name the service works in a workspace.
fn session(app: &App, workspace: WorkspaceId) -> Result<Session> {
    app.db.system(|pg| workspaces::own_session(pg, workspace))
}

/// Takes one step after another in each of these workspaces until there is none left to take.
fn step_through(app: &App, due: Vec<WorkspaceId>, step: fn(&mut Tx) -> Result<bool>) -> Result<()> {
    for workspace in due {
        let session = session(app, workspace)?;
        while app.db.write(&session, &|tx| step(tx).map(Outcome::Commit))? {}
    }
    Ok(())
}

/// Tells ledger and timeline of consents whose time is over.
fn expire_consents(app: &App) -> Result<()> {
    step_through(app, app.db.system(|pg| consents::due(pg, Utc::now()))?, consents::expire)
}

/// Seals what was administered since the last time.
fn seal_audit(app: &App) -> Result<()> {
    step_through(app, app.db.system(audit::seal::due)?, audit::seal::seal)
}

/// Counts what customers spent again, live and test, in another currency of the workspace.
fn recount_orders(app: &App, session: &Session, _: &Job) -> Result<()> {
    let workspace = app.db.system(|pg| Workspace::get(pg, session.home))?;
    let place = |livemode| workspace.session(livemode, Actor::SYSTEM, Via::default()).workspace;
    step_through(app, vec![place(true), place(false)], orders::recount)
}

/// Abandons carts that nobody has touched for an hour.
fn leave_carts(app: &App) -> Result<()> {
    step_through(app, app.db.system(|pg| carts::due(pg, Utc::now()))?, carts::rest)
}

/// Renews what the process keeps in memory: the origins that workspaces allow.
pub fn renew(app: &App) -> Result<()> {
    let origins = app.db.system(workspaces::all_origins)?;
    app.origins.replace(origins);
    Ok(())
}

/// Starts the thread that calls [`renew`] every ten seconds.
pub fn start_renewal(app: App) -> std::io::Result<JoinHandle<()>> {
    const EVERY: Duration = Duration::from_secs(10);
    std::thread::Builder::new().name("renewal".into()).spawn(move || {
        let mut next = Instant::now();
        while !app.is_draining() {
            if Instant::now() >= next {
                next = Instant::now() + EVERY;
                if let Err(error) = renew(&app) {
                    log::warn!("renewal: {error}");
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}
