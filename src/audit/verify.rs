//! Whether the audit log is what was written: reads all of it, a page at a time, for `ecrm verify`.

use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use uuid::Uuid;

use super::hash::{EventFields, Hash, hidden, root};
use super::seal::{SealFields, hashes_under};
use crate::db::WorkspaceId;
use crate::error::Result;

/// Events that are read at once.
const PAGE: i64 = 5_000;

/// What was found: how many rows were looked at, how many are at fault, and the first of those.
#[derive(Debug, Default)]
pub struct Faults {
    pub checked: i64,
    pub faults: i64,
    pub first: Option<String>,
}

impl Faults {
    fn note(&mut self, what: &str, id: Uuid, workspace: WorkspaceId, fault: Option<String>) {
        self.checked += 1;
        if let Some(fault) = fault {
            self.faults += 1;
            self.first.get_or_insert(format!("the {what} {id}, workspace {workspace}, {fault}"));
        }
    }
}

#[derive(QueryableByName)]
struct Event {
    #[diesel(sql_type = SqlUuid)]
    workspace_id: WorkspaceId,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    actor_type: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    actor_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Text)]
    resource_type: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    resource_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    request_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    ip: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    before: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    after: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    salt: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    before_hash: Option<Hash>,
    #[diesel(sql_type = Nullable<Binary>)]
    after_hash: Option<Hash>,
    #[diesel(sql_type = Nullable<Binary>)]
    ip_hash: Option<Hash>,
    #[diesel(sql_type = Binary)]
    hash: Hash,
}

/// The text of `before` and `after`, not their meaning, is what was hashed.
const EVENTS: &str = "
    select workspace_id, id, occurred_at, actor_type, actor_id, action, resource_type, resource_id,
           request_id, ip, before::text as before, after::text as after, salt, before_hash,
           after_hash, ip_hash, hash
      from audit_events
     where (workspace_id, id) > ($1, $2)
     order by workspace_id, id limit $3";

/// Whether every event says what it said when it was written.
pub fn events(pg: &mut PgConnection) -> Result<Faults> {
    let mut found = Faults::default();
    let mut last = (Uuid::nil(), Uuid::nil());
    loop {
        let page: Vec<Event> = sql_query(EVENTS)
            .bind::<SqlUuid, _>(last.0)
            .bind::<SqlUuid, _>(last.1)
            .bind::<BigInt, _>(PAGE)
            .load(pg)?;
        let Some(end) = page.last() else { return Ok(found) };
        last = (end.workspace_id.uuid(), end.id);
        for event in &page {
            found.note("event", event.id, event.workspace_id, event.fault());
        }
    }
}

impl Event {
    fn fault(&self) -> Option<String> {
        if self.fields().digest() != self.hash {
            return Some("does not have the hash that it was written with".into());
        }
        let hidden = [
            ("before", &self.before, self.before_hash),
            ("after", &self.after, self.after_hash),
            ("ip", &self.ip, self.ip_hash),
        ];
        let mut changed =
            hidden.into_iter().filter(|(name, text, hash)| match (text, &self.salt) {
                // What an erasure took away, and what was never there.
                (None, None) => false,
                (None, Some(_)) => hash.is_some(),
                (Some(_), None) => true,
                (Some(text), Some(salt)) => Some(self::hidden(salt, name, text)) != *hash,
            });
        changed.next().map(|(name, ..)| format!("has another `{name}` than it was written with"))
    }

    fn fields(&self) -> EventFields<'_> {
        EventFields {
            workspace: self.workspace_id.uuid(),
            id: self.id,
            occurred_at: self.occurred_at,
            actor_type: &self.actor_type,
            actor_id: self.actor_id,
            action: &self.action,
            resource_type: &self.resource_type,
            resource_id: self.resource_id,
            request_id: self.request_id.as_deref(),
            before_hash: self.before_hash,
            after_hash: self.after_hash,
            ip_hash: self.ip_hash,
        }
    }
}

#[derive(QueryableByName)]
struct Seal {
    #[diesel(sql_type = SqlUuid)]
    workspace_id: WorkspaceId,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    previous_hash: Option<Hash>,
    #[diesel(sql_type = Binary)]
    root: Hash,
    #[diesel(sql_type = Integer)]
    events_count: i32,
    #[diesel(sql_type = SqlUuid)]
    first_event_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    last_event_id: Uuid,
    #[diesel(sql_type = Binary)]
    hash: Hash,
    #[diesel(sql_type = Timestamptz)]
    sealed_at: DateTime<Utc>,
}

const SEALS: &str = "
    select * from audit_seals
     where (workspace_id, sequence) > ($1, $2)
     order by workspace_id, sequence limit $3";

/// An event under a seal that is not there, for the end of a chain can be cut off.
const ORPHANS: &str = "
    select e.workspace_id, e.id from audit_events e
     where e.seal_id is not null and not exists (
           select from audit_seals s where s.workspace_id = e.workspace_id and s.id = e.seal_id)
     order by e.workspace_id, e.id";

#[derive(QueryableByName)]
struct Orphan {
    #[diesel(sql_type = SqlUuid)]
    workspace_id: WorkspaceId,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Whether every seal closes what it closed when it was made, and follows the one before.
pub fn seals(pg: &mut PgConnection) -> Result<Faults> {
    let mut found = Faults::default();
    let mut previous: Option<Seal> = None;
    loop {
        let (workspace, sequence) =
            previous.as_ref().map_or((Uuid::nil(), 0), |it| (it.workspace_id.uuid(), it.sequence));
        let page: Vec<Seal> = sql_query(SEALS)
            .bind::<SqlUuid, _>(workspace)
            .bind::<BigInt, _>(sequence)
            .bind::<BigInt, _>(PAGE)
            .load(pg)?;
        if page.is_empty() {
            break;
        }
        for seal in page {
            let before = previous.filter(|before| before.workspace_id == seal.workspace_id);
            let fault = seal.fault(pg, before.as_ref())?;
            found.note("seal", seal.id, seal.workspace_id, fault);
            previous = Some(seal);
        }
    }
    for Orphan { workspace_id, id } in sql_query(ORPHANS).load::<Orphan>(pg)? {
        let fault = Some("stands under a seal that is not there".into());
        found.note("event", id, workspace_id, fault);
        found.checked -= 1;
    }
    Ok(found)
}

impl Seal {
    fn fault(&self, pg: &mut PgConnection, before: Option<&Self>) -> Result<Option<String>> {
        if self.fields().digest() != self.hash {
            return Ok(Some("does not have the hash that it was made with".into()));
        }
        let follows = before.map_or((1, None), |it| (it.sequence + 1, Some(it.hash)));
        if (self.sequence, self.previous_hash) != follows {
            return Ok(Some(format!(
                "is number {} and does not follow the one before",
                self.sequence
            )));
        }
        let members = hashes_under(pg, self.workspace_id, self.id)?;
        let (ids, hashes): (Vec<Uuid>, Vec<Hash>) = members.into_iter().unzip();
        if i32::try_from(ids.len()) != Ok(self.events_count) {
            let fault = format!("closed {} events and has {}", self.events_count, ids.len());
            return Ok(Some(fault));
        }
        let ends = (ids.first(), ids.last());
        let is_whole = ends == (Some(&self.first_event_id), Some(&self.last_event_id))
            && root(&hashes) == self.root;
        Ok((!is_whole).then(|| "closes other events than when it was made".into()))
    }

    fn fields(&self) -> SealFields {
        SealFields {
            workspace: self.workspace_id.uuid(),
            id: self.id,
            sequence: self.sequence,
            previous_hash: self.previous_hash,
            root: self.root,
            events_count: self.events_count,
            first_event_id: self.first_event_id,
            last_event_id: self.last_event_id,
            sealed_at: self.sealed_at,
        }
    }
}
