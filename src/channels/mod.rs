//! Channels: where the company and its customers meet, online and offline.

mod list;
mod secrets;
pub mod settings;
pub mod stats;
pub mod types;
mod write;

use std::collections::{HashMap, HashSet};

use actix_web::{delete, get, patch, post, put};
use diesel::prelude::*;
use uuid::Uuid;

pub use secrets::open_secrets;
pub use types::{Channel, ChannelPatch, ChannelStatus, ChannelType, NewChannel};
pub use write::{create, set_status};

use crate::auth::{Caller, Scope};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::{
    Batch, BatchOptions, Created, Found, IfMatch, IfNoneMatch, Items, Json, NewBatch, NoContent,
    Path, Query, Reply, ServiceConfig,
};
use crate::schema::channels;

pub fn routes(api: &mut ServiceConfig) {
    api.service(list::list_channels)
        .service(create_channel)
        .service(batch_create_channels)
        .service(upsert_channel)
        .service(get_channel_by_external_id)
        .service(get_channel)
        .service(update_channel)
        .service(delete_channel)
        .service(restore_channel)
        .service(pause_channel)
        .service(resume_channel)
        .service(stats::get_channel_stats);
}

/// Create a channel
///
/// It is active at once. Secrets in `config` are sealed and never shown again. 409 names the channel
/// that has one of the outside ids already; to create or update in one call, use the upsert.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:write"])), responses((status = 201, body = Channel)))]
#[post("/channels")]
async fn create_channel(caller: Caller, new: Json<NewChannel>) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsWrite)?;
    grant.write(move |tx| write::create(tx, &new).map(Created)).await
}

/// Create up to 1000 channels
///
/// Each item is created or refused on its own, unless `atomic` is set.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:write"])), params(BatchOptions), request_body = NewBatch<NewChannel>, responses((status = 207, body = Batch)))]
#[post("/channels/batch")]
async fn batch_create_channels(
    caller: Caller,
    options: Query<BatchOptions>,
    batch: Items<NewChannel>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsWrite)?;
    grant.charge(batch.count())?;
    grant.write(move |tx| write::create_many(tx, &batch, options.is_atomic())).await
}

/// Create or update a channel by its id in an outside system
///
/// Repeating the call is harmless. The reference in the path is added to `external_ids`.
/// `If-None-Match: *` creates only.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:write"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The channel's id there")),
    responses((status = 200, body = Channel), (status = 201, body = Channel)))]
#[put("/channels/external/{source}/{external_id}")]
async fn upsert_channel(
    caller: Caller,
    reference: Path<(String, String)>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    patch: Json<ChannelPatch>,
) -> Result<Reply> {
    let reference = ExternalId::from_upsert(reference.into_inner(), patch.external_ids.as_ref())?;
    let grant = caller.must(Scope::ChannelsWrite)?;
    grant.write(move |tx| write::upsert(tx, &patch, &reference, (if_match, if_none_match))).await
}

/// Get a channel by its id in an outside system
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:read"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The channel's id there")),
    responses((status = 200, body = Channel)))]
#[get("/channels/external/{source}/{external_id}")]
async fn get_channel_by_external_id(
    caller: Caller,
    reference: Path<(String, String)>,
) -> Result<Reply> {
    let reference = ExternalId::from_path(reference.into_inner())?;
    let grant = caller.must(Scope::ChannelsRead)?;
    grant
        .read(move |conn| {
            let id = external_ids::resolve(conn, Owner::Channel, &reference)?;
            Channel::find(conn, id).map(Found)
        })
        .await
}

/// Get a channel
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:read"])), responses((status = 200, body = Channel)))]
#[get("/channels/{id}")]
async fn get_channel(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsRead)?;
    grant.read(move |conn| Channel::find(conn, *id).map(Found)).await
}

/// Change a channel
///
/// `config` is merged: a new text replaces a secret, null removes it, and a secret sent as it was
/// shown stays.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:write"])), responses((status = 200, body = Channel)))]
#[patch("/channels/{id}")]
async fn update_channel(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<ChannelPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsWrite)?;
    grant.write(move |tx| patch.apply(tx, *id, if_match).map(Found)).await
}

/// Delete a channel
///
/// It can be restored; its outside ids are free for others until then. Touchpoints keep naming it.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:write"])), responses((status = 204)))]
#[delete("/channels/{id}")]
async fn delete_channel(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsWrite)?;
    grant.write(move |tx| write::delete(tx, *id, if_match).map(|()| NoContent)).await
}

/// Restore a deleted channel
///
/// 409 names the channel that took one of its outside ids in the meantime. Restoring a channel that
/// is not deleted changes nothing.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:write"])), responses((status = 200, body = Channel)))]
#[post("/channels/{id}/restore")]
async fn restore_channel(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsWrite)?;
    grant.write(move |tx| write::restore(tx, *id).map(Found)).await
}

/// Pause a channel
///
/// Nothing is sent over it until it is resumed, and what a shop sends is refused, but for what its
/// customers ask about their own data.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:write"])), responses((status = 200, body = Channel)))]
#[post("/channels/{id}/pause")]
async fn pause_channel(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsWrite)?;
    let (wanted, kind) = (ChannelStatus::Paused, "channel.paused");
    grant.write(move |tx| write::set_status(tx, *id, wanted, kind).map(Found)).await
}

/// Resume a channel
///
/// From a pause, or from an error once its cause is gone.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:write"])), responses((status = 200, body = Channel)))]
#[post("/channels/{id}/resume")]
async fn resume_channel(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsWrite)?;
    let (wanted, kind) = (ChannelStatus::Active, "channel.resumed");
    grant.write(move |tx| write::set_status(tx, *id, wanted, kind).map(Found)).await
}

/// Every channel of a workspace that is not deleted.
#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    channels::table
        .filter(channels::workspace_id.eq(workspace))
        .filter(channels::deleted_at.is_null())
}

/// The same with those that are deleted.
#[diesel::dsl::auto_type(no_type_alias)]
fn with_deleted(workspace: WorkspaceId) -> _ {
    channels::table.filter(channels::workspace_id.eq(workspace))
}

impl Channel {
    /// A channel that is not deleted, or 404.
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let found = of(conn.workspace).filter(channels::id.eq(id));
        Ok(found.select(Self::as_select()).first(conn.pg)?)
    }

    /// The same, locked until the transaction ends: writers of one channel take turns.
    pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let found = of(tx.workspace).filter(channels::id.eq(id));
        Ok(found.select(Self::as_select()).for_no_key_update().first(tx.pg)?)
    }

    /// Every channel of these types that is not deleted.
    pub fn of_types(conn: &mut Conn, types: &[ChannelType]) -> Result<Vec<Self>> {
        let found = of(conn.workspace).filter(channels::type_.eq_any(types)).order(channels::id);
        Ok(found.select(Self::as_select()).load(conn.pg)?)
    }

    /// Whether a channel is there and not deleted.
    pub fn exists(conn: &mut Conn, id: Uuid) -> Result<bool> {
        Ok(exists_many(conn, &[id])?.contains(&id))
    }

    /// 404 unless the channel is there and not deleted.
    pub fn must_exist(conn: &mut Conn, id: Uuid) -> Result<()> {
        if Self::exists(conn, id)? { Ok(()) } else { Err(Error::not_found()) }
    }
}

/// 422 at `channel_id` where that names a channel that is not there.
pub fn check_reference(conn: &mut Conn, channel: Option<Uuid>) -> Result<()> {
    match channel {
        Some(id) if !Channel::exists(conn, id)? => {
            let detail = "`channel_id` must be a channel of this workspace";
            Err(Error::field("#/channel_id", "not_found", detail))
        }
        _ => Ok(()),
    }
}

/// The names of these channels, those of deleted ones included.
pub fn names(conn: &mut Conn, ids: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = with_deleted(conn.workspace).filter(channels::id.eq_any(ids));
    let rows: Vec<(Uuid, String)> = found.select((channels::id, channels::name)).load(conn.pg)?;
    Ok(rows.into_iter().collect())
}

/// Those of several channels that are there and not deleted.
pub fn exists_many(conn: &mut Conn, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let found = of(conn.workspace).filter(channels::id.eq_any(ids));
    Ok(found.select(channels::id).load(conn.pg)?.into_iter().collect())
}
