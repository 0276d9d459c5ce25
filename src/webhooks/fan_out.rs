//! From the feed of what happened to what each endpoint is told.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::deliveries::WebhookDeliveryStatus;
use super::endpoints::of;
use super::events;
use super::former::{self, Wanted, Wishes};
use super::types::WebhookEndpointStatus;
use crate::app::App;
use crate::changes::wants;
use crate::db::{Conn, Outcome, Tx, WorkspaceId};
use crate::error::{Code, Error, Result};
use crate::journal::Touchpoint;
use crate::journal::feed::{self, Event, Stretch};
use crate::predicate::Checked;
use crate::schema::{webhook_deliveries as d, webhook_endpoints as e};
use crate::workspaces;

/// Events that are looked at in one transaction.
const EVENTS: i64 = 200;
/// Rows of one statement.
const ROWS: usize = 1000;

/// Finds out for all workspaces which endpoints are to be told what; whether there was anything new.
pub fn fan_out_all(app: &App) -> Result<bool> {
    let behind = app.db.system(behind)?;
    for workspace in &behind {
        // What is wrong in one workspace must not stop the others.
        if let Err(error) = fan_out_in(app, *workspace) {
            log::warn!("webhooks of workspace {workspace}: {error}");
        }
    }
    Ok(!behind.is_empty())
}

fn fan_out_in(app: &App, workspace: WorkspaceId) -> Result<()> {
    let session = app.db.system(|pg| workspaces::own_session(pg, workspace))?;
    app.db.write(&session, &|tx| fan_out(tx).map(Outcome::Commit))
}

/// The workspaces of which an endpoint has not been told everything.
fn behind(pg: &mut PgConnection) -> Result<Vec<WorkspaceId>> {
    let listening = e::table.filter(e::deleted_at.is_null()).filter(listens());
    let told: Vec<(WorkspaceId, Option<i64>)> = listening
        .group_by(e::workspace_id)
        .select((e::workspace_id, diesel::dsl::min(e::cursor)))
        .load(pg)?;
    let listening: Vec<WorkspaceId> = told.iter().map(|(workspace, _)| *workspace).collect();
    let heads = feed::heads(pg, &listening)?;
    let is_behind = |(workspace, upto): &(WorkspaceId, Option<i64>)| {
        heads.get(workspace).is_some_and(|head| Some(*head) > *upto)
    };
    Ok(told.into_iter().filter(is_behind).map(|(workspace, _)| workspace).collect())
}

/// Whether an endpoint wants to be told, or wanted to before it was disabled.
#[diesel::dsl::auto_type(no_type_alias)]
fn listens() -> _ {
    let enabled: WebhookEndpointStatus = WebhookEndpointStatus::Enabled;
    e::status.eq(enabled).or(e::former.is_not_null())
}

/// An endpoint that wants to be told.
#[derive(Queryable, Selectable)]
#[diesel(table_name = e)]
struct Listener {
    id: Uuid,
    #[diesel(embed)]
    wishes: Wishes,
}

/// Makes a delivery of each new event for each endpoint that wants it, and moves the endpoints on, in
/// one transaction: each event makes one. Endpoints that others are at are left to them.
fn fan_out(tx: &mut Tx) -> Result<()> {
    let listeners: Vec<Listener> = of(tx.workspace)
        .filter(listens())
        .order(e::id)
        .select(Listener::as_select())
        .for_no_key_update()
        .skip_locked()
        .load(tx.pg)?;
    let Some(after) = listeners.iter().map(|listener| listener.wishes.cursor()).min() else {
        return Ok(());
    };
    let Stretch { events, upto } = read(tx, after)?;
    let mut rows = Vec::new();
    for listener in &listeners {
        rows.extend(listener.deliveries(tx, &events)?);
    }
    for chunk in rows.chunks(ROWS) {
        insert(tx, chunk)?;
    }
    let behind = listeners.into_iter().filter(|one| one.wishes.cursor() < upto);
    let (changed, same): (Vec<Listener>, Vec<Listener>) =
        behind.partition(|one| one.wishes.have_changed());
    let same: Vec<Uuid> = same.into_iter().map(|one| one.id).collect();
    diesel::update(of(tx.workspace).filter(e::id.eq_any(same)))
        .set(e::cursor.eq(upto))
        .execute(tx.pg)?;
    changed.into_iter().try_for_each(|one| former::move_on(tx, one.id, one.wishes, upto))
}

/// What happened after a place: nothing where an endpoint begins beyond the head. Who was away for so
/// long that the feed has forgotten goes on with what it remembers.
fn read(conn: &mut Conn, after: i64) -> Result<Stretch> {
    let refused = match feed::read(conn, after, EVENTS) {
        Err(Error::Problem(refused)) => refused,
        done => return done,
    };
    if refused.code != Code::CURSOR_EXPIRED.name {
        return Ok(Stretch { events: Vec::new(), upto: after });
    }
    let oldest = feed::oldest(conn)?;
    log::warn!("webhooks: events from {after} to {oldest} are no longer in the feed");
    feed::read(conn, oldest, EVENTS)
}

/// An event for an endpoint.
struct Row {
    id: Uuid,
    endpoint: Uuid,
    sequence: i64,
    touchpoint: Uuid,
    customer: Option<Uuid>,
    kind: String,
}

impl Listener {
    fn deliveries(&self, tx: &mut Tx, events: &[Event]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (past, upto, wanted) in self.wishes.parts() {
            let Some(wanted) = wanted else { continue };
            let condition = self.condition(wanted, tx.now);
            let is_here = |event: &&Event| event.sequence > past && event.sequence <= upto;
            for Event { sequence, touchpoint, is_backfill } in events.iter().filter(is_here) {
                let is_wanted = !is_backfill && wants(&wanted.event_types, &touchpoint.r#type);
                if is_wanted && condition.holds(touchpoint)? {
                    rows.push(Row {
                        id: tx.new_id(),
                        endpoint: self.id,
                        sequence: *sequence,
                        touchpoint: touchpoint.id,
                        customer: touchpoint.customer_id,
                        kind: touchpoint.r#type.clone(),
                    });
                }
            }
        }
        Ok(rows)
    }

    fn condition(&self, wanted: &Wanted, now: DateTime<Utc>) -> Condition {
        match wanted.where_.as_ref().map(|condition| events::check(condition, now)) {
            None => Condition::Always,
            Some(Ok(checked)) => Condition::Where(Box::new(checked)),
            Some(Err(error)) => {
                log::warn!(
                    "the condition of webhook endpoint {} cannot be asked: {error}",
                    self.id
                );
                Condition::Never
            }
        }
    }
}

/// Which of the events that an endpoint wants by type it is told.
enum Condition {
    Always,
    Where(Box<Checked>),
    /// What is stored was checked before; should a later version refuse it, others must not wait.
    Never,
}

impl Condition {
    fn holds(&self, touchpoint: &Touchpoint) -> Result<bool> {
        let Self::Where(condition) = self else { return Ok(matches!(self, Self::Always)) };
        let shown: Value =
            serde_json::to_value(touchpoint).map_err(|error| Error::internal(error.to_string()))?;
        Ok(events::holds(condition, &shown))
    }
}

fn insert(tx: &mut Tx, rows: &[Row]) -> Result<()> {
    let values: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                (d::workspace_id.eq(tx.workspace), d::id.eq(row.id)),
                (d::endpoint_id.eq(row.endpoint), d::sequence.eq(row.sequence)),
                (d::touchpoint_id.eq(row.touchpoint), d::customer_id.eq(row.customer)),
                (d::type_.eq(&row.kind), d::status.eq(WebhookDeliveryStatus::Pending)),
                (d::attempts.eq(0), d::failures.eq(0)),
                (d::next_attempt_at.eq(tx.now), d::created_at.eq(tx.now)),
            )
        })
        .collect();
    diesel::insert_into(d::table).values(values).execute(tx.pg)?;
    Ok(())
}
