//! Making, changing and ending endpoints.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::aside::aside;
use super::secrets::{NewSecret, Secrets};
use super::types::{
    NewWebhookEndpoint, WebhookDisabledReason, WebhookEndpoint, WebhookEndpointPatch,
    WebhookEndpointStatus,
};
use super::{SECRETS_OVERLAP, events, former};
use crate::audit;
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Code, Error, Result};
use crate::http::IfMatch;
use crate::journal::{Change, differences, feed, record};
use crate::outbound::{self, Fault, Reach};
use crate::schema::webhook_endpoints as e;

/// Endpoints that a workspace can have, live and test each.
const MOST: i64 = 50;

/// Every endpoint of a workspace that was not deleted.
#[diesel::dsl::auto_type]
pub fn of(workspace: WorkspaceId) -> _ {
    e::table.filter(e::workspace_id.eq(workspace)).filter(e::deleted_at.is_null())
}

/// What the messages of an endpoint are signed with.
pub fn open_secrets(conn: &mut Conn, id: Uuid) -> Result<Secrets> {
    let sealed: Vec<u8> =
        of(conn.workspace).filter(e::id.eq(id)).select(e::sealed).first(conn.pg)?;
    Secrets::open(conn, id, &sealed)
}

impl WebhookEndpoint {
    /// An endpoint, or 404.
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let found = of(conn.workspace).filter(e::id.eq(id));
        Ok(found.select(Self::as_select()).first(conn.pg)?)
    }

    /// The same, locked until the transaction ends.
    pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let found = of(tx.workspace).filter(e::id.eq(id));
        Ok(found.select(Self::as_select()).for_no_key_update().first(tx.pg)?)
    }

    /// Ends an endpoint; what it was told can be looked at for as long as of others.
    pub fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<()> {
        let gone = Self::lock(tx, id)?;
        if_match.check(gone.version)?;
        diesel::update(of(tx.workspace).filter(e::id.eq(id)))
            .set((
                e::deleted_at.eq(tx.now),
                e::status.eq(WebhookEndpointStatus::Disabled),
                // Nobody signs with them any more.
                e::sealed.eq(Vec::<u8>::new()),
            ))
            .execute(tx.pg)?;
        record(tx, change("webhook_endpoint.deleted", id, json!({ "url": gone.url })))?;
        audit::deleted(tx, "webhook_endpoint.deleted", id, &gone)
    }

    /// Gives an endpoint a new secret; the old one signs too for a while.
    pub fn rotate(tx: &mut Tx, id: Uuid, new: &NewSecret) -> Result<Self> {
        let before = Self::lock(tx, id)?;
        let sealed = open_secrets(tx, id)?.rotated(new).seal(tx, id)?;
        let after: Self = diesel::update(of(tx.workspace).filter(e::id.eq(id)))
            .set((
                e::sealed.eq(sealed),
                e::previous_secret_expires_at.eq(tx.now + SECRETS_OVERLAP),
                (e::version.eq(e::version + 1), e::updated_at.eq(tx.now)),
            ))
            .returning(Self::as_returning())
            .get_result(tx.pg)?;
        record(tx, change("webhook_endpoint.secret_rotated", id, json!({})))?;
        audit::changed(tx, "webhook_endpoint.secret_rotated", id, (&before, &after))?;
        Ok(after)
    }

    /// Sends nothing to an endpoint any more, for this reason.
    pub fn disable(tx: &mut Tx, id: Uuid, reason: WebhookDisabledReason) -> Result<Self> {
        let before = Self::lock(tx, id)?;
        if before.status == WebhookEndpointStatus::Disabled {
            return Ok(before);
        }
        former::keep(tx, id)?;
        let after: Self = diesel::update(of(tx.workspace).filter(e::id.eq(id)))
            .set((
                e::status.eq(WebhookEndpointStatus::Disabled),
                (e::disabled_reason.eq(reason), e::disabled_at.eq(tx.now)),
                (e::version.eq(e::version + 1), e::updated_at.eq(tx.now)),
            ))
            .returning(Self::as_returning())
            .get_result(tx.pg)?;
        let properties = json!({
            "url": after.url, "reason": reason, "failing_since": after.failing_since,
        });
        record(tx, change("webhook_endpoint.disabled", id, properties))?;
        audit::changed(tx, "webhook_endpoint.disabled", id, (&before, &after))?;
        Ok(after)
    }

    /// Sends to an endpoint again: what waits, and what happens from now on.
    pub fn enable(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let before = Self::lock(tx, id)?;
        if before.status == WebhookEndpointStatus::Enabled {
            return Ok(before);
        }
        former::keep(tx, id)?;
        forget_failures(tx, id)?;
        let after: Self = diesel::update(of(tx.workspace).filter(e::id.eq(id)))
            .set((
                e::status.eq(WebhookEndpointStatus::Enabled),
                e::disabled_reason.eq(None::<WebhookDisabledReason>),
                e::disabled_at.eq(None::<DateTime<Utc>>),
                (e::version.eq(e::version + 1), e::updated_at.eq(tx.now)),
            ))
            .returning(Self::as_returning())
            .get_result(tx.pg)?;
        record(tx, change("webhook_endpoint.enabled", id, json!({ "url": after.url })))?;
        audit::changed(tx, "webhook_endpoint.enabled", id, (&before, &after))?;
        Ok(after)
    }
}

impl NewWebhookEndpoint {
    /// Makes an endpoint with these secrets; 422 where something is wrong with its address, 409 where
    /// there are too many.
    pub fn insert(
        &self,
        tx: &mut Tx,
        of_url: Option<Fault>,
        secrets: &Secrets,
    ) -> Result<WebhookEndpoint> {
        refuse(of_url)?;
        if let Some(condition) = &self.r#where {
            events::check(condition, tx.now)?;
        }
        let there: i64 = of(tx.workspace).count().get_result(tx.pg)?;
        if there >= MOST {
            let detail = format!("a workspace has at most {MOST} webhook endpoints; delete one");
            return Err(Error::new(Code::CONFLICT, detail));
        }
        let (id, now, cursor) = (tx.new_id(), tx.now, feed::boundary(tx)?);
        let made: WebhookEndpoint = diesel::insert_into(e::table)
            .values((
                self,
                (e::workspace_id.eq(tx.workspace), e::id.eq(id), e::cursor.eq(cursor)),
                e::status.eq(WebhookEndpointStatus::Enabled),
                (e::sealed.eq(secrets.seal(tx, id)?), e::public_key.eq(secrets.public_key()?)),
                (e::version.eq(1_i64), e::created_at.eq(now), e::updated_at.eq(now)),
            ))
            .returning(WebhookEndpoint::as_returning())
            .get_result(tx.pg)?;
        record(tx, change("webhook_endpoint.created", id, json!({ "url": self.url })))?;
        audit::created(tx, "webhook_endpoint.created", id, &made)?;
        Ok(made)
    }
}

impl WebhookEndpointPatch {
    fn wants_something_else(&self, before: &WebhookEndpoint) -> Result<bool> {
        let types = self.event_types.as_ref().is_some_and(|types| *types != before.event_types);
        let Some(condition) = &self.r#where else { return Ok(types) };
        Ok(types || to_json(condition)? != to_json(&before.r#where)?)
    }

    pub fn apply(
        &self,
        tx: &mut Tx,
        id: Uuid,
        if_match: IfMatch,
        of_url: Option<Fault>,
    ) -> Result<WebhookEndpoint> {
        let before = WebhookEndpoint::lock(tx, id)?;
        if_match.check(before.version)?;
        refuse(of_url)?;
        if let Some(Some(condition)) = &self.r#where {
            events::check(condition, tx.now)?;
        }
        if self.url.as_ref().is_some_and(|url| *url != before.url) {
            forget_failures(tx, id)?;
        }
        if self.wants_something_else(&before)? {
            former::keep(tx, id)?;
        }
        let after: WebhookEndpoint = diesel::update(of(tx.workspace).filter(e::id.eq(id)))
            .set((self, e::version.eq(e::version + 1), e::updated_at.eq(tx.now)))
            .returning(WebhookEndpoint::as_returning())
            .get_result(tx.pg)?;
        let changes = differences(&to_json(&before)?, &to_json(&after)?);
        if !changes.is_empty() {
            record(tx, change("webhook_endpoint.updated", id, json!({ "changes": changes })))?;
            audit::changed(tx, "webhook_endpoint.updated", id, (&before, &after))?;
        }
        match self.status {
            None => Ok(after),
            Some(WebhookEndpointStatus::Enabled) => WebhookEndpoint::enable(tx, id),
            Some(WebhookEndpointStatus::Disabled) => {
                WebhookEndpoint::disable(tx, id, WebhookDisabledReason::Manual)
            }
        }
    }
}

/// Begins anew: what failed before says nothing about a new address, or one that was set right.
fn forget_failures(tx: &mut Tx, id: Uuid) -> Result<()> {
    diesel::update(of(tx.workspace).filter(e::id.eq(id)))
        .set((
            e::failures.eq(0),
            e::failing_since.eq(None::<DateTime<Utc>>),
            e::paused_until.eq(None::<DateTime<Utc>>),
        ))
        .execute(tx.pg)?;
    Ok(())
}

/// What is wrong with an address that is to be set. Asked before the transaction, which must not wait for
/// a name to be looked up.
pub async fn fault_of(url: Option<&String>, reach: Reach) -> Result<Option<Fault>> {
    let Some(url) = url.cloned() else { return Ok(None) };
    aside("look-up", move || outbound::fault_of(&url, reach)).await
}

/// 422 where an address must not be sent to.
fn refuse(of_url: Option<Fault>) -> Result<()> {
    let Some((code, reason)) = of_url else { return Ok(()) };
    Err(Error::field("#/url", code, format!("`url` {reason}")))
}

fn to_json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::internal(error.to_string()))
}

pub fn change(kind: &'static str, id: Uuid, properties: Value) -> Change<'static> {
    Change {
        kind,
        customer_id: None,
        organization_id: None,
        channel_id: None,
        subject: ("webhook_endpoint", id),
        properties,
    }
}
