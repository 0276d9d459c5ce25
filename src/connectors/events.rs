//! What shops told us: kept sealed, to be looked at and replayed.

use actix_web::http::StatusCode;
use actix_web::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Shop;
use super::process::Done;
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::db::json::{Jsonb, RawJson};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Outcome, Session, Tx, WorkspaceId};
use crate::error::{Error, FieldError, Result};
use crate::http::reply::Plain;
use crate::http::{AnyOf, List, Page, Path, Query, Reply};
use crate::jobs::{self, NewJob, Priority};
use crate::schema::connector_events as e;
use crate::seal::{self, Context};

/// How long messages that were carried out, or not to be, can be looked at.
const KEPT_FOR: TimeDelta = TimeDelta::days(30);
/// How long those that failed wait for somebody to look at them.
const FAILED_KEPT_FOR: TimeDelta = TimeDelta::days(90);
/// How many messages are opened in one transaction when somebody is erased.
const FORGET_PAGE: i64 = 100;
/// How many failed messages one call replays.
const REPLAYS: i64 = 1000;

crate::text_enum! {
    /// What became of a message.
    pub enum EventStatus {
        Pending = "pending",
        Processed = "processed",
        Ignored = "ignored",
        Failed = "failed",
    }
}

/// Why a message failed, or was not to be carried out.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConnectorError {
    /// Stable code for programs.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// What happened, for people.
    #[schema(example = "an order needs an `id` and a `currency`")]
    pub detail: String,
    /// Every field at fault.
    pub errors: Vec<FieldError>,
}

/// A message of a shop.
#[derive(Debug, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = e)]
pub struct ConnectorEvent {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The channel it came on.
    pub channel_id: Uuid,
    /// What it is about, in the provider's words.
    #[schema(example = "orders/updated")]
    pub topic: String,
    /// The provider's id of the delivery: the same one twice is kept once.
    #[schema(example = "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")]
    pub delivery_id: String,
    /// What became of it.
    pub status: EventStatus,
    /// How often it was tried.
    #[schema(example = 1)]
    pub attempts: i32,
    /// Why it failed or was ignored.
    #[schema(value_type = Option<ConnectorError>)]
    pub error: Option<RawJson>,
    /// The kind of record that came of it.
    #[schema(example = "order")]
    pub resource_type: Option<String>,
    /// The record that came of it.
    pub resource_id: Option<Uuid>,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// When it was carried out.
    pub processed_at: Option<DateTime<Utc>>,
}

/// A message with what was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectorEventDetail {
    #[serde(flatten)]
    pub event: ConnectorEvent,
    /// What was sent, as text.
    #[schema(example = "{\"id\": 450789469}")]
    pub body: String,
}

/// Which messages to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConnectorEventFilter {
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<EventStatus>>, inline, style = Form, explode = false)]
    pub status: AnyOf<EventStatus>,
    /// Any of these topics.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub topic: AnyOf<String>,
}

const SORT: &[SortKey] =
    &[SortKey { name: "received_at", column: "connector_events.id", kind: SortKind::Id }];

/// List what a shop sent
///
/// Newest first. Bodies are kept for 30 days, those that failed for 90.
#[utoipa::path(tag = "connectors", security(("bearer" = ["orders:read"])), params(("channel_id" = Uuid, Path, description = "Id of the channel"), Page, ConnectorEventFilter), responses((status = 200, body = List<ConnectorEvent>)))]
#[get("/connectors/{channel_id}/events")]
pub async fn list_connector_events(
    caller: Caller,
    channel_id: Path<Uuid>,
    page: Query<Page>,
    filter: Query<ConnectorEventFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    let slice = page.slice(&grant, "connector_events", SORT, &(*channel_id, &filter.0))?;
    grant
        .list(move |conn| {
            let shop = Shop::find(conn, *channel_id)?;
            let workspace = conn.workspace;
            let matching = || {
                let mut found = of(workspace, shop.channel).into_boxed();
                if let Some(states) = filter.status.given() {
                    found = found.filter(e::status.eq_any(states.clone()));
                }
                if let Some(topics) = filter.topic.given() {
                    found = found.filter(e::topic.eq_any(topics.clone()));
                }
                found
            };
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(ConnectorEvent::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Get a message of a shop, with its body
#[utoipa::path(tag = "connectors", security(("bearer" = ["orders:read"])), params(("channel_id" = Uuid, Path, description = "Id of the channel"), ("connector_event_id" = Uuid, Path, description = "Id of the message")), responses((status = 200, body = ConnectorEventDetail)))]
#[get("/connectors/{channel_id}/events/{connector_event_id}")]
pub async fn get_connector_event(caller: Caller, ids: Path<(Uuid, Uuid)>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    let (channel, id) = *ids;
    grant
        .read(move |conn| {
            let found = of(conn.workspace, channel).filter(e::id.eq(id));
            let event: ConnectorEvent = found.select(ConnectorEvent::as_select()).first(conn.pg)?;
            let body = String::from_utf8_lossy(&open(conn, id)?).into_owned();
            Ok(Plain(ConnectorEventDetail { event, body }))
        })
        .await
}

/// How many messages are replayed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectorReplay {
    /// How many were queued.
    #[schema(example = 3)]
    pub queued: i32,
}

/// Replay a message of a shop
///
/// It is carried out again a moment later; what it tells again changes nothing.
#[utoipa::path(tag = "connectors", security(("bearer" = ["orders:write"])), params(("channel_id" = Uuid, Path, description = "Id of the channel"), ("connector_event_id" = Uuid, Path, description = "Id of the message")), responses((status = 202, body = ConnectorReplay)))]
#[post("/connectors/{channel_id}/events/{connector_event_id}/replay")]
pub async fn replay_connector_event(caller: Caller, ids: Path<(Uuid, Uuid)>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    let (channel, id) = *ids;
    grant
        .write(move |tx| {
            let found = of(tx.workspace, channel).filter(e::id.eq(id)).select(e::id);
            let found: Uuid = found.for_update().first(tx.pg)?;
            queue_again(tx, channel, &[found])
        })
        .await
}

/// Replay what failed
///
/// The oldest 1000 of the messages that failed.
#[utoipa::path(tag = "connectors", security(("bearer" = ["orders:write"])), params(("channel_id" = Uuid, Path, description = "Id of the channel")), responses((status = 202, body = ConnectorReplay)))]
#[post("/connectors/{channel_id}/replay")]
pub async fn replay_connector_events(caller: Caller, channel_id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    grant
        .write(move |tx| {
            let shop = Shop::find(tx, *channel_id)?;
            let failed = of(tx.workspace, shop.channel).filter(e::status.eq(EventStatus::Failed));
            let failed = failed.order(e::id).limit(REPLAYS).select(e::id);
            let ids: Vec<Uuid> = failed.for_update().load(tx.pg)?;
            queue_again(tx, shop.channel, &ids)
        })
        .await
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId, channel: Uuid) -> _ {
    e::table.filter(e::workspace_id.eq(workspace)).filter(e::channel_id.eq(channel))
}

fn queue_again(tx: &mut Tx, channel: Uuid, ids: &[Uuid]) -> Result<Reply> {
    diesel::update(of(tx.workspace, channel).filter(e::id.eq_any(ids)))
        .set(e::status.eq(EventStatus::Pending))
        .execute(tx.pg)?;
    for id in ids {
        enqueue(tx, channel, *id)?;
    }
    let queued = i32::try_from(ids.len()).unwrap_or(i32::MAX);
    Reply::json(StatusCode::ACCEPTED, &ConnectorReplay { queued })
}

fn enqueue(tx: &mut Tx, channel: Uuid, id: Uuid) -> Result<()> {
    let (workspace, now) = (tx.workspace, tx.now);
    let job = NewJob {
        queue: "connectors",
        priority: Priority::Soon,
        kind: "connectors.take",
        payload: json!({ "event_id": id, "channel_id": channel }),
        run_at: now,
        unique_key: Some(format!("connector_event:{id}")),
    };
    jobs::enqueue(tx.pg, workspace, &job, now).map(drop)
}

/// A message whose signature fits.
pub struct NewEvent<'a> {
    pub channel: Uuid,
    pub topic: String,
    pub delivery_id: String,
    pub body: &'a [u8],
    /// Why it is not to be carried out, where it is not.
    pub ignored: Option<&'static str>,
}

/// Keeps a message and queues it where it is to be carried out; the id of the first where it was
/// delivered before.
pub fn keep(tx: &mut Tx, new: &NewEvent) -> Result<Uuid> {
    let id = tx.new_id();
    let sealed = seal::seal(&*tx.data_key()?, &place(tx.workspace, id), new.body);
    let status = if new.ignored.is_some() { EventStatus::Ignored } else { EventStatus::Pending };
    let error = new.ignored.map(ConnectorError::ignored).map(Jsonb);
    let kept: Option<Uuid> = diesel::insert_into(e::table)
        .values((
            (e::workspace_id.eq(tx.workspace), e::id.eq(id), e::channel_id.eq(new.channel)),
            (e::topic.eq(&new.topic), e::delivery_id.eq(&new.delivery_id)),
            (e::status.eq(status), e::attempts.eq(0), e::error.eq(error)),
            (e::sealed.eq(sealed), e::received_at.eq(tx.now)),
        ))
        .on_conflict((e::workspace_id, e::channel_id, e::delivery_id))
        .do_nothing()
        .returning(e::id)
        .get_result(tx.pg)
        .optional()?;
    if kept.is_some() {
        if new.ignored.is_none() {
            enqueue(tx, new.channel, id)?;
        }
        return Ok(id);
    }
    let before = of(tx.workspace, new.channel).filter(e::delivery_id.eq(&new.delivery_id));
    Ok(before.select(e::id).first(tx.pg)?)
}

/// What is to be carried out: topic and body, locked; nothing where that was done meanwhile.
pub fn lock_pending(tx: &mut Tx, channel: Uuid, id: Uuid) -> Result<Option<(String, Vec<u8>)>> {
    let found = of(tx.workspace, channel).filter(e::id.eq(id));
    let found = found.filter(e::status.eq(EventStatus::Pending)).select(e::topic);
    let topic: Option<String> = found.for_update().first(tx.pg).optional()?;
    let Some(topic) = topic else { return Ok(None) };
    Ok(Some((topic, open(tx, id)?)))
}

fn open(conn: &mut Conn, id: Uuid) -> Result<Vec<u8>> {
    let found = e::table.filter(e::workspace_id.eq(conn.workspace)).filter(e::id.eq(id));
    let sealed: Vec<u8> = found.select(e::sealed).first(conn.pg)?;
    seal::open(&*conn.data_key()?, &place(conn.workspace, id), &sealed)
}

fn place(workspace: WorkspaceId, id: Uuid) -> Context {
    Context {
        workspace: workspace.uuid(),
        table: "connector_events",
        column: "sealed",
        row: id,
        version: 1,
    }
}

/// Notes what became of a message.
pub fn finish(tx: &mut Tx, channel: Uuid, id: Uuid, done: &Done) -> Result<()> {
    let (status, error) = match &done.ignored {
        Some(why) => (EventStatus::Ignored, Some(ConnectorError::ignored(why))),
        None => (EventStatus::Processed, None),
    };
    diesel::update(of(tx.workspace, channel).filter(e::id.eq(id)))
        .set((
            (e::status.eq(status), e::attempts.eq(e::attempts + 1), e::error.eq(error.map(Jsonb))),
            e::resource_type.eq(done.resource.map(|(resource, _)| resource)),
            e::resource_id.eq(done.resource.map(|(_, id)| id)),
            (e::customer_id.eq(done.customer), e::processed_at.eq(tx.now)),
        ))
        .execute(tx.pg)?;
    Ok(())
}

/// Notes why a message could not be carried out; whether it is tried again.
pub fn fail(tx: &mut Tx, channel: Uuid, id: Uuid, error: &Error, is_final: bool) -> Result<()> {
    let status = if is_final { EventStatus::Failed } else { EventStatus::Pending };
    diesel::update(of(tx.workspace, channel).filter(e::id.eq(id)))
        .set((
            e::status.eq(status),
            e::attempts.eq(e::attempts + 1),
            e::error.eq(Some(Jsonb(ConnectorError::of(error)))),
        ))
        .execute(tx.pg)?;
    Ok(())
}

impl ConnectorError {
    fn ignored(why: &str) -> Value {
        json!({ "code": "ignored", "detail": why, "errors": [] })
    }

    fn of(error: &Error) -> Value {
        let shown = error.rejection();
        json!({ "code": shown.code, "detail": shown.detail, "errors": shown.errors })
    }
}

/// Deletes what led to no customer and names somebody by one of these; how many messages that were.
pub fn forget(app: &App, session: &Session, needles: &[String]) -> Result<i64> {
    let needles: Vec<String> = needles.iter().map(|needle| needle.to_lowercase()).collect();
    let (mut after, mut gone) = (Uuid::nil(), 0);
    loop {
        let page = |tx: &mut Tx| forget_page(tx, after, &needles).map(Outcome::Commit);
        let (last, deleted) = app.db.write(session, &page)?;
        gone += deleted;
        let Some(last) = last else { return Ok(gone) };
        after = last;
    }
}

/// A page of it: the last message that was looked at, if there may be more, and how many are gone.
fn forget_page(tx: &mut Tx, after: Uuid, needles: &[String]) -> Result<(Option<Uuid>, i64)> {
    let all = e::table.filter(e::workspace_id.eq(tx.workspace));
    let open_ends = all.filter(e::customer_id.is_null()).filter(e::id.gt(after));
    let page = open_ends.order(e::id).limit(FORGET_PAGE).select((e::id, e::sealed));
    let page: Vec<(Uuid, Vec<u8>)> = page.load(tx.pg)?;
    let mut named = Vec::new();
    for (id, sealed) in &page {
        let body = seal::open(&*tx.data_key()?, &place(tx.workspace, *id), sealed)?;
        let body = String::from_utf8_lossy(&body).to_lowercase();
        if needles.iter().any(|needle| body.contains(needle)) {
            named.push(*id);
        }
    }
    let deleted = diesel::delete(all.filter(e::id.eq_any(&named))).execute(tx.pg)?;
    Ok((page.last().map(|(id, _)| *id), i64::try_from(deleted).unwrap_or(i64::MAX)))
}

/// Removes messages that nobody looks at any more.
pub fn prune(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    let done = e::table.filter(e::received_at.lt(now - KEPT_FOR));
    let done = done.filter(e::status.eq_any([EventStatus::Processed, EventStatus::Ignored]));
    diesel::delete(done).execute(pg)?;
    diesel::delete(e::table.filter(e::received_at.lt(now - FAILED_KEPT_FOR))).execute(pg)?;
    Ok(())
}
