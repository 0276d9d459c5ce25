//! Writing audit events: one statement, in the transaction of the change.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::hash::{EventFields, Hash, hidden};
use crate::crypto;
use crate::db::{Actor, Tx, Via, WorkspaceId};
use crate::error::{Error, Result};
use crate::schema::audit_events;

/// Something that was administered. `before` and `after` are what the API shows, never a secret
/// and never a customer's data.
pub struct Event {
    /// `noun.past_verb`, such as `api_key.created`; the noun is the type of the resource.
    pub action: &'static str,
    pub resource_id: Option<Uuid>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Who did it, when, from where and in which workspace.
pub struct By<'a> {
    pub workspace: WorkspaceId,
    pub actor: &'a Actor,
    pub via: &'a Via,
    pub at: DateTime<Utc>,
    /// The id of the event.
    pub id: Uuid,
}

/// What belongs to the live workspace even where test credentials change it; so do its events.
const OF_HOME: [&str; 4] = ["api_key", "trusted_issuer", "user", "workspace"];

/// Writes an event in the name of whoever the transaction belongs to.
pub fn record(tx: &mut Tx, event: Event) -> Result<()> {
    let is_of_home = OF_HOME.contains(&event.resource_type());
    let by = By {
        workspace: if is_of_home { tx.home } else { tx.workspace },
        actor: &tx.session.actor,
        via: &tx.session.via,
        at: tx.now,
        id: tx.new_id(),
    };
    record_as(tx.pg, &by, event)
}

/// Something was made.
pub fn created(tx: &mut Tx, action: &'static str, id: Uuid, made: &impl Serialize) -> Result<()> {
    record(tx, Event { action, resource_id: Some(id), before: None, after: Some(shown(made)?) })
}

/// Something was changed; the fields that differ are kept.
pub fn changed<T: Serialize>(
    tx: &mut Tx,
    action: &'static str,
    id: Uuid,
    (before, after): (&T, &T),
) -> Result<()> {
    let (before, after) = differing(shown(before)?, shown(after)?);
    record(tx, Event { action, resource_id: Some(id), before: Some(before), after: Some(after) })
}

/// Something was deleted.
pub fn deleted(tx: &mut Tx, action: &'static str, id: Uuid, gone: &impl Serialize) -> Result<()> {
    record(tx, Event { action, resource_id: Some(id), before: Some(shown(gone)?), after: None })
}

/// Something was done that no field shows.
pub fn done(tx: &mut Tx, action: &'static str, id: Uuid) -> Result<()> {
    record(tx, Event { action, resource_id: Some(id), before: None, after: None })
}

fn shown(resource: &impl Serialize) -> Result<Value> {
    serde_json::to_value(resource).map_err(|error| Error::internal(error.to_string()))
}

/// What differs between two states of a resource, of each its own.
fn differing(before: Value, after: Value) -> (Value, Value) {
    const SILENT: [&str; 2] = ["version", "updated_at"];
    let (Value::Object(mut before), Value::Object(mut after)) = (before, after) else {
        return (Value::Null, Value::Null);
    };
    let is_same = |name: &String, before: &Map<_, _>| before.get(name) == after.get(name);
    let names: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    let same: Vec<String> = names
        .into_iter()
        .filter(|name| SILENT.contains(&name.as_str()) || is_same(name, &before))
        .collect();
    for name in same {
        before.remove(&name);
        after.remove(&name);
    }
    (Value::Object(before), Value::Object(after))
}

impl Event {
    fn resource_type(&self) -> &'static str {
        self.action.split('.').next().unwrap_or_default()
    }
}

/// Writes an event where there is no session of a caller: at sign-in, on the command line.
pub fn record_as(pg: &mut PgConnection, by: &By, event: Event) -> Result<()> {
    use audit_events as a;
    let resource_type = event.resource_type();
    let salt = crypto::random::<32>();
    // The column is `json`, which keeps the text that diesel makes of a value: this one.
    let hash_of = |name, value: &Option<Value>| {
        value.as_ref().map(|value| hidden(&salt, name, &value.to_string()))
    };
    let (before_hash, after_hash) =
        (hash_of("before", &event.before), hash_of("after", &event.after));
    let ip = by.via.ip.map(|ip| ip.to_string());
    let ip_hash = ip.as_ref().map(|ip| hidden(&salt, "ip", ip));
    let request_id = Some(by.via.request_id.as_str()).filter(|id| !id.is_empty());
    let hash: Hash = EventFields {
        workspace: by.workspace.uuid(),
        id: by.id,
        occurred_at: by.at,
        actor_type: by.actor.kind.as_str(),
        actor_id: by.actor.id,
        action: event.action,
        resource_type,
        resource_id: event.resource_id,
        request_id,
        before_hash,
        after_hash,
        ip_hash,
    }
    .digest();
    diesel::insert_into(a::table)
        .values((
            (a::workspace_id.eq(by.workspace), a::id.eq(by.id), a::occurred_at.eq(by.at)),
            (a::actor_type.eq(by.actor.kind), a::actor_id.eq(by.actor.id)),
            (a::action.eq(event.action), a::resource_type.eq(resource_type)),
            (a::resource_id.eq(event.resource_id), a::request_id.eq(request_id), a::ip.eq(&ip)),
            (a::before.eq(event.before), a::after.eq(event.after), a::salt.eq(salt.to_vec())),
            (a::before_hash.eq(before_hash), a::after_hash.eq(after_hash)),
            (a::ip_hash.eq(ip_hash), a::hash.eq(hash)),
        ))
        .execute(pg)?;
    Ok(())
}

/// Takes away what events say that are about these ids, or that those did themselves, for an erasure:
/// the hashes stay, so the log still proves that nobody changed it. How many events there were.
pub fn forget(tx: &mut Tx, ids: &[Uuid]) -> Result<usize> {
    use audit_events as a;
    let about = a::table
        .filter(a::workspace_id.eq(tx.workspace))
        .filter(a::resource_id.eq_any(ids).or(a::actor_id.eq_any(ids)))
        .filter(a::salt.is_not_null());
    Ok(diesel::update(about)
        .set((
            a::before.eq(None::<Value>),
            a::after.eq(None::<Value>),
            a::salt.eq(None::<Vec<u8>>),
            a::ip.eq(None::<String>),
        ))
        .execute(tx.pg)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_change_only_what_differs_is_kept() {
        let before = json!({ "name": "a", "kind": "x", "version": 1, "end": null });
        let after = json!({ "name": "b", "kind": "x", "version": 2, "end": "2027-01-01" });
        let expected =
            (json!({ "name": "a", "end": null }), json!({ "name": "b", "end": "2027-01-01" }));
        assert_eq!(differing(before, after), expected);
    }
}
