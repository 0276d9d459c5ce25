//! What keeps the whole database in order, at its times.

use std::str::FromStr;
use std::sync::LazyLock;

use chrono::{DateTime, Months, TimeDelta, Utc};
use croner::Cron;
use diesel::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::{Work, session};
use crate::app::App;
use crate::audit;
use crate::bulk;
use crate::carts;
use crate::connectors;
use crate::consents;
use crate::crypto::sha256;
use crate::db::{Outcome, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::jobs::{self, NewJob, Priority};
use crate::journal::feed;
use crate::privacy;
use crate::schema::{idempotency_keys, refresh_tokens, touchpoint_keys};
use crate::webhooks;

/// The queue of this work, which belongs to no workspace.
const MAINTENANCE: &str = "maintenance";
/// How long the `source` and `message_id` of a touchpoint are remembered.
const KEYS_KEPT_FOR: TimeDelta = TimeDelta::days(400);
/// How long finished jobs can be looked at, and failed ones tried again.
const JOBS_KEPT_FOR: TimeDelta = TimeDelta::days(30);

pub const KINDS: &[(&str, Work)] = &[
    ("maintenance.partitions", Work::Upkeep(make_partitions)),
    ("maintenance.prune", Work::Upkeep(prune)),
    ("maintenance.consents", Work::Upkeep(expire_consents)),
    ("maintenance.audit", Work::Upkeep(seal_audit)),
    ("maintenance.carts", Work::Upkeep(leave_carts)),
];

/// When each kind is due, in UTC: minute, hour, day, month, day of the week.
const SCHEDULE: [(&str, &str); 5] = [
    ("maintenance.partitions", "7 */12 * * *"),
    ("maintenance.prune", "23 * * * *"),
    ("maintenance.consents", "*/15 * * * *"),
    ("maintenance.audit", "* * * * *"),
    ("maintenance.carts", "* * * * *"),
];

static CRONS: LazyLock<Vec<(&str, Cron)>> = LazyLock::new(|| {
    let parsed = |(kind, text): &(&'static str, &str)| {
        (*kind, Cron::from_str(text).expect("BUG: the schedule is readable"))
    };
    SCHEDULE.iter().map(parsed).collect()
});

/// Queues what was due last, once for all workers: the time is part of a job's id.
pub fn schedule(app: &App) -> Result<()> {
    let now = Utc::now();
    for (kind, cron) in CRONS.iter() {
        let due = cron.find_previous_occurrence(&now, true);
        let due = due.map_err(|error| Error::internal(format!("{kind}: {error}")))?;
        if !app.scheduled.knows(kind, due.timestamp()) {
            app.db.system(|pg| queue(pg, kind, due, now))?;
            app.scheduled.note(kind, due.timestamp());
        }
    }
    Ok(())
}

fn queue(
    pg: &mut PgConnection,
    kind: &'static str,
    due: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<()> {
    let job = NewJob {
        queue: MAINTENANCE,
        priority: Priority::Normal,
        kind,
        payload: json!({ "due": due }),
        run_at: now,
        // One that takes longer than its period is not done twice at once.
        unique_key: Some(kind.to_owned()),
    };
    jobs::enqueue_as(pg, WorkspaceId::FIRST, id_of(kind, due), &job, now).map(drop)
}

/// The same for every worker: a UUID made of the kind and the time.
fn id_of(kind: &str, due: DateTime<Utc>) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha256(format!("{kind} {}", due.timestamp()).as_bytes())[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Makes the log's partitions up to four months ahead.
fn make_partitions(app: &App) -> Result<()> {
    let today = Utc::now().date_naive();
    let months: Vec<_> = (0..=4).filter_map(|n| today.checked_add_months(Months::new(n))).collect();
    app.db.system(|pg| crate::db::partitions::make(pg, &months))
}

/// What removes things that nobody can ask for any more, as of a time.
type Prune = fn(&mut PgConnection, DateTime<Utc>) -> Result<()>;

const PRUNES: [(&str, Prune); 9] = [
    ("idempotency_keys", prune_answers),
    ("touchpoint_keys", prune_keys),
    ("refresh_tokens", prune_tokens),
    ("privacy", privacy::prune),
    ("connectors", connectors::prune),
    ("bulk", bulk::prune),
    ("feed", |pg, now| feed::prune(pg, now - feed::REMEMBERED_FOR)),
    ("webhooks", webhooks::prune),
    ("jobs", |pg, now| jobs::prune(pg, now - JOBS_KEPT_FOR)),
];

/// Removes what nobody can ask for any more. What fails keeps nothing else from being removed, and is
/// tried again.
fn prune(app: &App) -> Result<()> {
    let now = Utc::now();
    let mut pruned = Ok(());
    for (what, prune) in PRUNES {
        if let Err(error) = app.db.system(|pg| prune(pg, now)) {
            log::warn!("{what} are not pruned: {error}");
            pruned = Err(error);
        }
    }
    pruned
}

fn prune_answers(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    let before = now - crate::http::idempotency::KEPT_FOR;
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::created_at.lt(before)))
        .execute(pg)?;
    Ok(())
}

fn prune_keys(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    let before = now - KEYS_KEPT_FOR;
    diesel::delete(touchpoint_keys::table.filter(touchpoint_keys::created_at.lt(before)))
        .execute(pg)?;
    Ok(())
}

fn prune_tokens(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    diesel::delete(refresh_tokens::table.filter(refresh_tokens::expires_at.lt(now))).execute(pg)?;
    Ok(())
}

/// Takes one step after another in each of these workspaces until there is none left to take.
pub fn step_through(
    app: &App,
    due: Vec<WorkspaceId>,
    step: fn(&mut Tx) -> Result<bool>,
) -> Result<()> {
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

/// Abandons carts that nobody has touched for an hour.
fn leave_carts(app: &App) -> Result<()> {
    step_through(app, app.db.system(|pg| carts::due(pg, Utc::now()))?, carts::rest)
}
