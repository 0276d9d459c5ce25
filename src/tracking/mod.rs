//! Segment's tracking API: libraries that a shop or app has already report here, once they are given our
//! address and a write key.
//!
//! A thin layer: calls become touchpoints, and what they say of customers, organizations, orders and
//! carts goes where everything else of those goes.

mod amounts;
mod answer;
mod call;
mod clean;
mod commerce;
mod context;
mod groups;
mod lines;
mod message;
mod names;
mod people;
mod refunds;
mod report;
mod shop;
mod traits;
mod write;

use std::sync::LazyLock;

use actix_web::{HttpRequest, get, post};
use serde_json::Value;

pub use answer::{Tracked, TrackedCall, TrackingSettings};
pub use message::{CallType, TrackingBatch, TrackingCall};
pub use names::known_types;

use crate::app::App;
use crate::auth::key::KeyKind;
use crate::auth::{CredentialKind, Grant, Scope};
use crate::db::Tx;
use crate::db::group::Group;
use crate::error::{Error, Result};
use crate::http::reply::{IntoReply, Plain};
use crate::http::{Path, Reply, ServiceConfig};
use call::{Call, check_batch};
use message::Message;
use write::{Sender, Taken, take_in};

pub fn routes(api: &mut ServiceConfig) {
    api.service(get_tracking_settings)
        .service(identify_customer)
        .service(identify_customer_in_short)
        .service(track_event)
        .service(track_event_in_short)
        .service(track_page)
        .service(track_page_in_short)
        .service(track_screen)
        .service(track_screen_in_short)
        .service(group_customer)
        .service(group_customer_in_short)
        .service(alias_customer)
        .service(alias_customer_in_short)
        .service(batch_track)
        .service(batch_track_in_short);
}

/// Say who somebody is
///
/// `userId` and `traits`: email, phone, names, birthday, address, locale and time zone become fields of
/// the customer, everything else attributes. What is not valid is left out, named in `ignored`, and
/// kept in the touchpoint `user.identified`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"userId": "u-4711", "traits": {"email": "ada@shop.example.com", "firstName": "Ada"}})),
    responses((status = 200, body = Tracked)))]
#[post("/identify")]
async fn identify_customer(call: Call) -> Result<Reply> {
    one(call, CallType::Identify).await
}

/// Say who somebody is, by the short path
///
/// The same as `POST /v1/identify`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"userId": "u-4711", "traits": {"email": "ada@shop.example.com", "firstName": "Ada"}})),
    responses((status = 200, body = Tracked)))]
#[post("/i")]
async fn identify_customer_in_short(call: Call) -> Result<Reply> {
    one(call, CallType::Identify).await
}

/// Report an event
///
/// Names of Segment's e-commerce specification and of GA4 have a type of ours (`Product Viewed` is
/// `product.viewed`); any other becomes `noun.verb` of its words. `Order Completed` and its like record
/// the order, cart events with a `cart_id` the cart.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"userId": "u-4711", "event": "Product Viewed", "properties": {"sku": "ROPE-60-BLUE"}})),
    responses((status = 200, body = Tracked)))]
#[post("/track")]
async fn track_event(call: Call) -> Result<Reply> {
    one(call, CallType::Track).await
}

/// Report an event, by the short path
///
/// The same as `POST /v1/track`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"userId": "u-4711", "event": "Product Viewed", "properties": {"sku": "ROPE-60-BLUE"}})),
    responses((status = 200, body = Tracked)))]
#[post("/t")]
async fn track_event_in_short(call: Call) -> Result<Reply> {
    one(call, CallType::Track).await
}

/// Report that a page was seen
///
/// A touchpoint `page.viewed`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"anonymousId": "a-9b1f", "name": "Boots", "context": {"page": {"path": "/boots"}}})),
    responses((status = 200, body = Tracked)))]
#[post("/page")]
async fn track_page(call: Call) -> Result<Reply> {
    one(call, CallType::Page).await
}

/// Report that a page was seen, by the short path
///
/// The same as `POST /v1/page`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"anonymousId": "a-9b1f", "name": "Boots", "context": {"page": {"path": "/boots"}}})),
    responses((status = 200, body = Tracked)))]
#[post("/p")]
async fn track_page_in_short(call: Call) -> Result<Reply> {
    one(call, CallType::Page).await
}

/// Report that a screen of an app was seen
///
/// A touchpoint `screen.viewed`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"anonymousId": "a-9b1f", "name": "Boots"})),
    responses((status = 200, body = Tracked)))]
#[post("/screen")]
async fn track_screen(call: Call) -> Result<Reply> {
    one(call, CallType::Screen).await
}

/// Report that a screen of an app was seen, by the short path
///
/// The same as `POST /v1/screen`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"anonymousId": "a-9b1f", "name": "Boots"})),
    responses((status = 200, body = Tracked)))]
#[post("/s")]
async fn track_screen_in_short(call: Call) -> Result<Reply> {
    one(call, CallType::Screen).await
}

/// Say to which organization somebody belongs
///
/// `groupId` and `traits`: the organization with this outside id of `segment` is made or changed, and
/// the customer becomes its member.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"userId": "u-4711", "groupId": "g-17", "traits": {"name": "Bergsport Tirol GmbH"}})),
    responses((status = 200, body = Tracked)))]
#[post("/group")]
async fn group_customer(call: Call) -> Result<Reply> {
    one(call, CallType::Group).await
}

/// Say to which organization somebody belongs, by the short path
///
/// The same as `POST /v1/group`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"userId": "u-4711", "groupId": "g-17", "traits": {"name": "Bergsport Tirol GmbH"}})),
    responses((status = 200, body = Tracked)))]
#[post("/g")]
async fn group_customer_in_short(call: Call) -> Result<Reply> {
    one(call, CallType::Group).await
}

/// Say that somebody was known by another id
///
/// `previousId` becomes another mark of the customer with `userId`. Where two customers meet, the
/// workspace's `merge_policy` decides.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"userId": "u-4711", "previousId": "a-9b1f"})),
    responses((status = 200, body = Tracked)))]
#[post("/alias")]
async fn alias_customer(call: Call) -> Result<Reply> {
    one(call, CallType::Alias).await
}

/// Say that somebody was known by another id, by the short path
///
/// The same as `POST /v1/alias`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingCall, example = json!({"userId": "u-4711", "previousId": "a-9b1f"})),
    responses((status = 200, body = Tracked)))]
#[post("/a")]
async fn alias_customer_in_short(call: Call) -> Result<Reply> {
    one(call, CallType::Alias).await
}

/// Report up to 2500 calls
///
/// What libraries for servers do. Each call is taken in, recognised as a repeat or refused on its own,
/// and the answer is 200 with what became of each.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingBatch, example = json!({"batch": [{"type": "track", "userId": "u-4711", "event": "Product Viewed"}], "sentAt": "2026-03-14T08:00:00Z"})),
    responses((status = 200, body = Tracked)))]
#[post("/batch")]
async fn batch_track(call: Call) -> Result<Reply> {
    many(call).await
}

/// Report up to 2500 calls, by the short path
///
/// The same as `POST /v1/batch`.
#[utoipa::path(tag = "tracking", security(("bearer" = ["touchpoints:ingest"])), extensions(("x-write-keys" = json!(true))),
    request_body(content = TrackingBatch, example = json!({"batch": [{"type": "track", "userId": "u-4711", "event": "Product Viewed"}], "sentAt": "2026-03-14T08:00:00Z"})),
    responses((status = 200, body = Tracked)))]
#[post("/b")]
async fn batch_track_in_short(call: Call) -> Result<Reply> {
    many(call).await
}

/// Get what a tracking library needs to know
///
/// For Segment's library for browsers, which asks this first: where to send events. 404 for what is no
/// write key.
#[utoipa::path(tag = "tracking", security(()), extensions(("x-write-keys" = json!(true))),
    params(("write_key" = String, Path, description = "The write key", example = "ecrm_wk_0VcQ")),
    responses((status = 200, body = TrackingSettings)))]
#[get("/projects/{write_key}/settings")]
async fn get_tracking_settings(req: HttpRequest, write_key: Path<String>) -> Result<Reply> {
    let app = App::of(&req);
    app.limits.charge_address(&req)?;
    let known = app.credentials.identify(&app, write_key.clone()).await;
    let is_unknown = |error: &Error| error.status() == 401;
    let known =
        known.map_err(|error| if is_unknown(&error) { Error::not_found() } else { error })?;
    // Whatever else opens the service has no business in an address.
    if known.kind != CredentialKind::ApiKey(KeyKind::Write) {
        return Err(Error::not_found());
    }
    Plain(TrackingSettings::new(&write_key, &app.config.public_url)).into_reply()
}

/// Calls that come one by one, by their sender: those that arrive together share a commit.
static SINGLE: LazyLock<Group<Sender, Message, Reply>> =
    LazyLock::new(|| Group::new(|tx, sender, calls| Ok(replies(take_in(tx, *sender, calls)?))));

fn replies(taken: Vec<Result<Taken>>) -> Vec<Result<Reply>> {
    taken.into_iter().map(|one| Tracked::of(vec![Ok(one?)]).into_reply()).collect()
}

fn open(call: &Call) -> Result<(Grant, Sender)> {
    let grant = call.caller.must(Scope::TouchpointsIngest)?;
    let identity = &call.caller.identity;
    let sender = Sender {
        key: identity.credential_id,
        may_change_customers: identity.scopes.contains(Scope::CustomersWrite),
        may_change_orders: identity.scopes.contains(Scope::OrdersWrite),
    };
    Ok((grant, sender))
}

async fn one(call: Call, kind: CallType) -> Result<Reply> {
    let (grant, sender) = open(&call)?;
    let message = Message::read(Value::Object(call.body), Some(kind))?;
    match kind {
        // These may join customers, of whom one transaction joins only so many.
        CallType::Identify | CallType::Alias => {
            grant.write(move |tx| take_alone(tx, sender, &message)).await
        }
        CallType::Track | CallType::Page | CallType::Screen | CallType::Group => {
            grant.write_with_others(&SINGLE, sender, message).await
        }
    }
}

fn take_alone(tx: &mut Tx, sender: Sender, message: &Message) -> Result<Reply> {
    let taken = take_in(tx, sender, std::slice::from_ref(message))?;
    replies(taken).pop().unwrap_or_else(|| Err(Error::internal("a call without a result")))
}

async fn many(call: Call) -> Result<Reply> {
    let (grant, sender) = open(&call)?;
    let calls = message::split(call.body)?;
    check_batch(&calls)?;
    grant.charge(calls.len())?;
    let mut calls = calls.into_iter().map(|call| Message::read(call, None)).peekable();
    let mut parts = Vec::new();
    while calls.peek().is_some() {
        parts.push(Part { sender, calls: calls.by_ref().take(AT_ONCE).collect() });
    }
    grant.write_in_parts(parts, take_part, Tracked::of).await
}

/// Calls of a batch that are written in one transaction: libraries for servers send 100 at a time.
const AT_ONCE: usize = 250;

struct Part {
    sender: Sender,
    calls: Vec<Result<Message>>,
}

fn take_part(tx: &mut Tx, part: &Part) -> Result<Vec<Result<Taken>>> {
    let readable: Vec<Message> = part.calls.iter().flatten().cloned().collect();
    let mut taken = take_in(tx, part.sender, &readable)?.into_iter();
    let results = part.calls.iter().map(|call| match call {
        Ok(_) => taken.next().unwrap_or_else(|| Err(Error::internal("a call without a result"))),
        Err(error) => Err(error.clone()),
    });
    Ok(results.collect())
}
