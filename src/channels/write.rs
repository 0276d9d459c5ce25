//! Making and changing channels: one transaction for the record, its secrets, its outside ids, its
//! unique attributes and its place in the log.

use diesel::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::types::{Channel, ChannelPatch, ChannelStatus, NewChannel};
use super::{of, secrets, with_deleted};
use crate::attributes::{self, AttributeResource, Attributes, Definitions};
use crate::audit;
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::batch::one_by_one;
use crate::http::{Batch, IfMatch, IfNoneMatch, Items, Upserted};
use crate::journal::{Change, differences, record};
use crate::schema::channels;
use crate::values::json::{FREE, check_json};

/// Makes one channel or says why not.
pub fn create(tx: &mut Tx, new: &NewChannel) -> Result<Channel> {
    let definitions = Definitions::load(tx, AttributeResource::Channel)?;
    new.insert(tx, &definitions)
}

/// Makes channels, each in its own savepoint; the first refusal ends an atomic batch.
pub fn create_many(tx: &mut Tx, items: &Items<NewChannel>, is_atomic: bool) -> Result<Batch> {
    let definitions = Definitions::load(tx, AttributeResource::Channel)?;
    one_by_one(tx, items, is_atomic, |tx, new| Ok((201, new.insert(tx, &definitions)?.id)))
}

/// Makes the channel that an outside system calls `reference`, or changes it.
pub fn upsert(
    tx: &mut Tx,
    patch: &ChannelPatch,
    reference: &ExternalId,
    (if_match, if_none_match): (IfMatch, IfNoneMatch),
) -> Result<Upserted<Channel>> {
    let mut patch = patch.clone();
    match external_ids::find(tx, Owner::Channel, &reference.source, &reference.id)? {
        Some(_) if if_none_match.create_only => Err(Error::new(
            Code::PRECONDITION_FAILED,
            "a channel with this outside id exists already",
        )),
        Some(id) => {
            patch.external_ids =
                patch.external_ids.map(|Jsonb(ids)| Jsonb(reference.joined_to(ids)));
            Ok(Upserted { resource: patch.apply(tx, id, if_match)?, is_new: false })
        }
        None => {
            if_match.check(0)?;
            let mut new = patch.into_new()?;
            new.external_ids = Jsonb(reference.joined_to(new.external_ids.0));
            let made = create(tx, &new).or_else(|error| {
                Err(external_ids::unless_raced(tx, Owner::Channel, error, reference)?)
            })?;
            Ok(Upserted { resource: made, is_new: true })
        }
    }
}

impl NewChannel {
    fn insert(&self, tx: &mut Tx, definitions: &Definitions) -> Result<Channel> {
        use channels as c;
        external_ids::check_sources(&self.external_ids)?;
        definitions.check(&self.attributes)?;
        let (id, now) = (tx.new_id(), tx.now);
        let mut config = Map::new();
        let secrets = secrets::merge(&mut config, &self.config.0)?;
        let made: Channel = diesel::insert_into(c::table)
            .values((
                self,
                c::workspace_id.eq(tx.workspace),
                c::id.eq(id),
                c::status.eq(ChannelStatus::Active),
                c::config.eq(Jsonb(check_config(config)?)),
                c::sealed_secrets.eq(secrets::seal(tx, id, None, &secrets)?),
                c::version.eq(1_i64),
                c::created_at.eq(now),
                c::updated_at.eq(now),
            ))
            .returning(Channel::as_returning())
            .get_result(tx.pg)?;
        external_ids::claim(tx, Owner::Channel, id, &self.external_ids)?;
        definitions.claim(tx, id, &self.attributes)?;
        note(tx, "channel.created", id, json!({}))?;
        audit::created(tx, "channel.created", id, &made)?;
        Ok(made)
    }
}

impl ChannelPatch {
    /// Applies the patch to a channel that is not deleted.
    pub fn apply(&self, tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<Channel> {
        let before = Channel::lock(tx, id)?;
        if_match.check(before.version)?;
        self.check_type(&before)?;
        if let Some(Jsonb(references)) = &self.external_ids {
            external_ids::check_sources(references)?;
            external_ids::replace(tx, Owner::Channel, id, references)?;
        }
        let attributes = self.merge_attributes(tx, &before)?;
        let has_new_secrets = self.merge_config(tx, &before)?;
        let after = self.store(tx, id, attributes)?;
        let changes = differences(&to_json(&before)?, &to_json(&after)?);
        if has_new_secrets || !changes.is_empty() {
            note(tx, "channel.updated", id, json!({ "changes": changes }))?;
            audit::changed(tx, "channel.updated", id, (&before, &after))?;
        }
        Ok(after)
    }

    fn check_type(&self, before: &Channel) -> Result<()> {
        match self.r#type {
            Some(wanted) if wanted != before.r#type => {
                let detail = format!("this channel is `{}`; make another one", before.r#type);
                Err(Error::field("#/type", "immutable", detail))
            }
            _ => Ok(()),
        }
    }

    fn merge_attributes(&self, tx: &mut Tx, before: &Channel) -> Result<Attributes> {
        let mut attributes: Attributes = before.attributes.parse()?;
        if let Some(Jsonb(patch)) = &self.attributes {
            let definitions = Definitions::load(tx, AttributeResource::Channel)?;
            attributes::merge(&mut attributes.0, &patch.0);
            definitions.check(&attributes)?;
            attributes::check_size(&attributes)?;
            definitions.claim(tx, before.id, &attributes)?;
        }
        Ok(attributes)
    }

    /// Stores the settings; whether a secret changed, which the settings alone may not show.
    fn merge_config(&self, tx: &mut Tx, before: &Channel) -> Result<bool> {
        use channels as c;
        let Some(patch) = &self.config else { return Ok(false) };
        let mut config: Map<String, Value> = before.config.parse()?;
        let changes = secrets::merge(&mut config, &patch.0)?;
        let row = of(tx.workspace).filter(c::id.eq(before.id));
        let sealed = row.select(c::sealed_secrets).first(tx.pg)?;
        let sealed: Option<Vec<u8>> = secrets::seal(tx, before.id, sealed, &changes)?;
        diesel::update(row)
            .set((c::config.eq(Jsonb(check_config(config)?)), c::sealed_secrets.eq(sealed)))
            .execute(tx.pg)?;
        Ok(!changes.is_empty())
    }

    fn store(&self, tx: &mut Tx, id: Uuid, attributes: Attributes) -> Result<Channel> {
        use channels as c;
        Ok(diesel::update(of(tx.workspace).filter(c::id.eq(id)))
            .set((
                self,
                c::attributes.eq(Jsonb(attributes)),
                c::version.eq(c::version + 1),
                c::updated_at.eq(tx.now),
            ))
            .returning(Channel::as_returning())
            .get_result(tx.pg)?)
    }
}

/// 422 where merged settings are larger or deeper than free JSON may be.
fn check_config(config: Map<String, Value>) -> Result<Value> {
    let config = Value::Object(config);
    let faults = check_json("#/config", &config, &FREE);
    if faults.is_empty() { Ok(config) } else { Err(Error::invalid(faults)) }
}

/// Pauses or resumes a channel, as the touchpoint `kind` says; 409 where it is there already.
pub fn set_status(
    tx: &mut Tx,
    id: Uuid,
    wanted: ChannelStatus,
    kind: &'static str,
) -> Result<Channel> {
    use channels as c;
    let before = Channel::lock(tx, id)?;
    let next = before.status.next();
    if !next.contains(&wanted) {
        let allowed: Vec<&str> = next.iter().map(|status| status.as_str()).collect();
        return Err(Error::transition(format!("the channel is `{}`", before.status), &allowed));
    }
    let after: Channel = diesel::update(of(tx.workspace).filter(c::id.eq(id)))
        .set((c::status.eq(wanted), c::version.eq(c::version + 1), c::updated_at.eq(tx.now)))
        .returning(Channel::as_returning())
        .get_result(tx.pg)?;
    note(tx, kind, id, json!({ "from": before.status, "to": wanted }))?;
    audit::changed(tx, kind, id, (&before, &after))?;
    Ok(after)
}

/// Hides a channel and frees its outside ids and unique attributes.
pub fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<()> {
    let before = Channel::lock(tx, id)?;
    if_match.check(before.version)?;
    external_ids::release(tx, Owner::Channel, id)?;
    attributes::release(tx, id)?;
    mark_deleted(tx, id, true)?;
    audit::deleted(tx, "channel.deleted", id, &before)?;
    note(tx, "channel.deleted", id, json!({}))
}

/// Brings a deleted channel back with all it held; 409 where somebody else holds it by now.
pub fn restore(tx: &mut Tx, id: Uuid) -> Result<Channel> {
    let stored: Channel = with_deleted(tx.workspace)
        .filter(channels::id.eq(id))
        .select(Channel::as_select())
        .for_no_key_update()
        .first(tx.pg)?;
    if stored.deleted_at.is_none() {
        return Ok(stored);
    }
    let references: Vec<ExternalId> = stored.external_ids.parse()?;
    external_ids::claim(tx, Owner::Channel, id, &references)?;
    let definitions = Definitions::load(tx, AttributeResource::Channel)?;
    definitions.claim(tx, id, &stored.attributes.parse()?)?;
    let restored = mark_deleted(tx, id, false)?;
    note(tx, "channel.restored", id, json!({}))?;
    audit::created(tx, "channel.restored", id, &restored)?;
    Ok(restored)
}

fn mark_deleted(tx: &mut Tx, id: Uuid, is_deleted: bool) -> Result<Channel> {
    use channels as c;
    Ok(diesel::update(with_deleted(tx.workspace).filter(c::id.eq(id)))
        .set((
            c::deleted_at.eq(is_deleted.then_some(tx.now)),
            c::version.eq(c::version + 1),
            c::updated_at.eq(tx.now),
        ))
        .returning(Channel::as_returning())
        .get_result(tx.pg)?)
}

fn to_json(channel: &Channel) -> Result<Value> {
    serde_json::to_value(channel).map_err(|error| Error::internal(error.to_string()))
}

fn note(tx: &mut Tx, kind: &'static str, id: Uuid, properties: Value) -> Result<()> {
    record(
        tx,
        Change {
            kind,
            customer_id: None,
            organization_id: None,
            channel_id: Some(id),
            subject: ("channel", id),
            properties,
        },
    )
}
