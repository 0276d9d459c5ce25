//! The worker: carries out queued jobs and keeps the database in order.

mod upkeep;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::app::App;
use crate::bulk;
use crate::connectors;
use crate::customers;
use crate::db::{Actor, Session, Via, WorkspaceId};
use crate::error::{Error, Result};
use crate::jobs::{self, Job, Priority, Turn};
use crate::orders;
use crate::privacy;
use crate::workspaces::{self, Workspace};

/// Jobs of one [`round`].
const JOBS_A_ROUND: usize = 100;

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
    ("privacy.erase", Work::Inside(erase)),
    ("privacy.sweep", Work::Inside(privacy::sweep)),
];

fn work_of(kind: &str) -> Option<&'static Work> {
    KINDS.iter().chain(upkeep::KINDS).find(|(known, _)| *known == kind).map(|(_, work)| work)
}

/// Starts the threads that do jobs and one that keeps them in order; all end when the app drains.
pub fn start(app: &App) -> std::io::Result<Vec<JoinHandle<()>>> {
    let worker = app.worker_id;
    let mut threads = vec![spawn("keeper", app.clone(), move |app| keep(&app, worker))?];
    for n in 0..app.config.job_threads {
        // One never does what takes long, so that what somebody waits for finds it free.
        let at_least = if n == 0 { Priority::Normal } else { Priority::Bulk };
        threads.push(spawn("worker", app.clone(), move |app| {
            work_through(&app, Turn::new(worker, at_least));
        })?);
    }
    Ok(threads)
}

fn spawn(
    name: &str,
    app: App,
    run: impl FnOnce(App) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(move || run(app))
}

/// Does one job after the other. Errors are logged and waited out: a worker outlives its database.
fn work_through(app: &App, mut turn: Turn) {
    while !app.is_draining() {
        let done = turn.claim(&app.db).and_then(|job| match job {
            Some(job) => perform(app, &job).map(|()| true),
            None => Ok(false),
        });
        match done {
            Ok(true) => {}
            Ok(false) => pause(app, jobs::POLL),
            Err(error) => {
                log::warn!("worker: {error}");
                pause(app, jobs::POLL);
            }
        }
    }
}

/// Queues what is due, says that this worker lives, and takes from others who do not.
fn keep(app: &App, worker: Uuid) {
    let mut next_beat = Instant::now();
    while !app.is_draining() {
        let mut kept = keep_in_order(app);
        if Instant::now() >= next_beat {
            next_beat = Instant::now() + jobs::HEARTBEAT;
            kept = kept.and(jobs::extend(&app.db, worker));
        }
        if let Err(error) = kept {
            log::warn!("keeper: {error}");
        }
        pause(app, jobs::POLL);
    }
}

fn keep_in_order(app: &App) -> Result<()> {
    upkeep::schedule(app)?;
    jobs::release_expired(&app.db)?;
    jobs::measure(&app.db, &app.metrics)
}

fn pause(app: &App, time: Duration) {
    let until = Instant::now() + time;
    while !app.is_draining() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a worker does in a second, on this thread; returns how many jobs were carried out.
pub fn round(app: &App, worker: Uuid) -> Result<usize> {
    keep_in_order(app)?;
    let (mut turn, mut done) = (Turn::new(worker, Priority::Bulk), 0);
    while done < JOBS_A_ROUND {
        let Some(job) = turn.claim(&app.db)? else { break };
        perform(app, &job)?;
        done += 1;
    }
    Ok(done)
}

/// Makes one attempt at a job and notes how it ended.
fn perform(app: &App, job: &Job) -> Result<()> {
    let outcome = catch_unwind(AssertUnwindSafe(|| carry_out(app, job)));
    let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("the job panicked")));
    if let Err(error) = &outcome {
        let (kind, id, attempts) = (job.kind.as_str(), job.id.to_string(), job.attempts);
        log::warn!(kind, job_id = id.as_str(), attempts; "job failed: {error}");
    }
    let end = job.finish(&app.db, &outcome)?;
    app.metrics.job_attempt(&job.queue, end.as_str());
    Ok(())
}

fn carry_out(app: &App, job: &Job) -> Result<()> {
    match work_of(&job.kind) {
        Some(Work::Inside(work)) => {
            let session = Session { lease: job.lease(), ..session(app, job.workspace_id)? };
            work(app, &session, job)
        }
        Some(Work::Upkeep(work)) => work(app),
        None => Err(Error::internal(format!("no worker knows jobs of kind `{}`", job.kind))),
    }
}

/// When a process ends: what it has not finished goes to others at once, not when its lease is over.
pub fn give_back(app: &App) {
    match jobs::give_back(&app.db, app.worker_id) {
        Ok(0) => {}
        Ok(given) => log::warn!("{given} jobs were given back unfinished"),
        Err(error) => log::warn!("unfinished jobs wait for the end of their lease: {error}"),
    }
}

/// In whose name the service works in a workspace.
fn session(app: &App, workspace: WorkspaceId) -> Result<Session> {
    app.db.system(|pg| workspaces::own_session(pg, workspace))
}

/// Messages of shops know whom they are about only once they were understood.
fn erase(app: &App, session: &Session, job: &Job) -> Result<()> {
    privacy::erase(app, session, job, connectors::forget)
}

/// Counts what customers spent again, live and test, in another currency of the workspace.
fn recount_orders(app: &App, session: &Session, _: &Job) -> Result<()> {
    let workspace = app.db.system(|pg| Workspace::get(pg, session.home))?;
    let place = |livemode| workspace.session(livemode, Actor::SYSTEM, Via::default()).workspace;
    upkeep::step_through(app, vec![place(true), place(false)], orders::recount)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lists_jobs_can_ask_for_every_kind() {
        let inside = KINDS.iter().filter(|(_, work)| matches!(work, Work::Inside(_)));
        for (kind, _) in inside.filter(|(kind, _)| !kind.contains("ports.")) {
            assert!(kind.parse::<crate::jobs::WorkKind>().is_ok(), "{kind}");
        }
    }
}
