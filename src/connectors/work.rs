//! The job that carries a shop's message out.

use serde_json::Value;
use uuid::Uuid;

use super::process::News;
use super::{Shop, events};
use crate::app::App;
use crate::db::{Actor, ActorKind, Outcome, Session, Tx};
use crate::error::{Error, Result};
use crate::jobs::Job;

/// How often what belongs to something unknown is tried, or fails for a reason of ours: about half an hour.
const ATTEMPTS: i32 = 10;

/// Carries a message out; one that is refused is kept with the reason.
pub fn work(app: &App, session: &Session, job: &Job) -> Result<()> {
    let (id, channel) = (job.id_of("event_id")?, job.id_of("channel_id")?);
    let actor = Actor { kind: ActorKind::Integration, id: Some(channel) };
    let session = Session { actor, ..session.clone() };
    let taken = app.db.write(&session, &|tx| take(tx, channel, id).map(Outcome::Commit));
    match taken {
        Ok(()) => Ok(()),
        Err(error) => {
            // An order that a refund belongs to may be on its way, and a database come back.
            let is_lasting = error.is_rejection() && error.status() != 404;
            let is_final = is_lasting || job.attempts >= ATTEMPTS;
            let note = |tx: &mut Tx| events::fail(tx, channel, id, &error, is_final);
            app.db.write(&session, &|tx| note(tx).map(Outcome::Commit))?;
            if is_final && error.is_rejection() { Ok(()) } else { Err(error) }
        }
    }
}

fn take(tx: &mut Tx, channel: Uuid, id: Uuid) -> Result<()> {
    let Some((topic, body)) = events::lock_pending(tx, channel, id)? else { return Ok(()) };
    let body: Value = serde_json::from_slice(&body)
        .map_err(|_unread| Error::field("#", "invalid_json", "the body is not JSON"))?;
    let shop = Shop::find(tx, channel)?;
    let done = News::of(tx, &shop, true).take(&topic, &body)?;
    events::finish(tx, channel, id, &done)
}
