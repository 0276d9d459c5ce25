//! Sealing: closes the events of a workspace in a Merkle tree and chains it to the one before.
//!
//! Writers never wait for it. Two sealers may meet: the sequence is unique, so one of them waits
//! for the other and then begins again with what is left.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::hash::{Fields, Hash, root};
use crate::db::{Tx, WorkspaceId};
use crate::error::{Error, OnConstraint, Result};
use crate::schema::{audit_events, audit_seals};

/// How many events a seal closes at most; what a proof of one of them has to read.
const EVENTS_A_SEAL: i64 = 10_000;

/// What the hash of a seal covers.
pub struct SealFields {
    pub workspace: Uuid,
    pub id: Uuid,
    pub sequence: i64,
    pub previous_hash: Option<Hash>,
    pub root: Hash,
    pub events_count: i32,
    pub first_event_id: Uuid,
    pub last_event_id: Uuid,
    pub sealed_at: DateTime<Utc>,
}

impl SealFields {
    pub fn digest(&self) -> Hash {
        Fields::of("ecrm.audit.seal")
            .id(self.workspace)
            .id(self.id)
            .number(self.sequence)
            .hash(self.previous_hash)
            .hash(Some(self.root))
            .number(self.events_count.into())
            .id(self.first_event_id)
            .id(self.last_event_id)
            .time(self.sealed_at)
            .digest()
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn unsealed(workspace: WorkspaceId) -> _ {
    audit_events::table
        .filter(audit_events::workspace_id.eq(workspace))
        .filter(audit_events::seal_id.is_null())
}

/// The workspaces that have something to seal.
pub fn due(pg: &mut PgConnection) -> Result<Vec<WorkspaceId>> {
    let waiting = audit_events::table.filter(audit_events::seal_id.is_null());
    Ok(waiting.select(audit_events::workspace_id).distinct().load(pg)?)
}

/// Ids and hashes of the events under a seal, in the order of the tree.
pub fn hashes_under(
    pg: &mut PgConnection,
    workspace: WorkspaceId,
    seal: Uuid,
) -> Result<Vec<(Uuid, Hash)>> {
    Ok(audit_events::table
        .filter(audit_events::workspace_id.eq(workspace))
        .filter(audit_events::seal_id.eq(seal))
        .order(audit_events::id)
        .select((audit_events::id, audit_events::hash))
        .load(pg)?)
}

/// Seals up to [`EVENTS_A_SEAL`] events of the workspace; whether there may be more.
pub fn seal(tx: &mut Tx) -> Result<bool> {
    let events: Vec<(Uuid, Hash)> = unsealed(tx.workspace)
        .order(audit_events::id)
        .limit(EVENTS_A_SEAL)
        .select((audit_events::id, audit_events::hash))
        .load(tx.pg)?;
    let (ids, hashes): (Vec<Uuid>, Vec<Hash>) = events.into_iter().unzip();
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(false) };
    let (id, workspace) = (tx.new_id(), tx.workspace);
    let (sequence, previous_hash) = newest(tx)?.map_or((0, None), |(n, hash)| (n, Some(hash)));
    let fields = SealFields {
        workspace: workspace.uuid(),
        id,
        sequence: sequence + 1,
        previous_hash,
        root: root(&hashes),
        events_count: i32::try_from(ids.len()).unwrap_or(i32::MAX),
        first_event_id: *first,
        last_event_id: *last,
        sealed_at: tx.now,
    };
    // First the seal: a second sealer waits here, not at the events.
    fields.insert(tx)?;
    let sealed = diesel::update(unsealed(workspace).filter(audit_events::id.eq_any(&ids)))
        .set(audit_events::seal_id.eq(id))
        .execute(tx.pg)?;
    if sealed != ids.len() {
        return Err(Error::Retry("sealing race".into()));
    }
    Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX) == EVENTS_A_SEAL)
}

/// Sequence and hash of the newest seal.
fn newest(tx: &mut Tx) -> Result<Option<(i64, Hash)>> {
    Ok(audit_seals::table
        .filter(audit_seals::workspace_id.eq(tx.workspace))
        .order(audit_seals::sequence.desc())
        .select((audit_seals::sequence, audit_seals::hash))
        .first(tx.pg)
        .optional()?)
}

impl SealFields {
    fn insert(&self, tx: &mut Tx) -> Result<()> {
        use audit_seals as s;
        diesel::insert_into(s::table)
            .values((
                (s::workspace_id.eq(tx.workspace), s::id.eq(self.id)),
                (s::sequence.eq(self.sequence), s::previous_hash.eq(self.previous_hash)),
                (s::root.eq(self.root), s::events_count.eq(self.events_count)),
                s::first_event_id.eq(self.first_event_id),
                s::last_event_id.eq(self.last_event_id),
                (s::hash.eq(self.digest()), s::sealed_at.eq(self.sealed_at)),
            ))
            .execute(tx.pg)
            // Another sealer was faster: begin again with what it left.
            .on_constraint("audit_seals_sequence_taken", || Error::Retry("sealing race".into()))?;
        Ok(())
    }
}
