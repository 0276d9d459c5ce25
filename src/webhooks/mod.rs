//! Webhooks: the company's other systems are told what happens, in signed messages (Standard Webhooks
//! 1.0.0) that are sent again until they arrive.

mod aside;
pub mod deliver;
mod deliveries;
mod endpoints;
mod events;
mod fan_out;
mod former;
mod queue;
mod schedule;
mod secrets;
mod send;
mod settle;
mod shares;
mod sign;
mod trial;
mod types;

use actix_web::{HttpRequest, delete, get, patch, post};
use chrono::TimeDelta;
use diesel::prelude::*;
use uuid::Uuid;

use crate::app::reach_of_webhooks;
use crate::auth::{Caller, Scope};
use crate::db::keyset::{SortKey, SortKind};
use crate::error::Result;
use crate::http::boundary::is_dry_run;
use crate::http::{
    Created, Found, IfMatch, Json, List, NoContent, Page, Path, Query, Reply, ServiceConfig,
};
pub use endpoints::open_secrets;
use endpoints::{fault_of, of};
pub use queue::prune;
use secrets::{NewSecret, Secrets};
pub use types::WebhookDisabledReason;
use types::{NewWebhookEndpoint, WebhookEndpoint, WebhookEndpointPatch, WebhookEndpointWithSecret};

/// For how long the secret before the last rotation signs too.
const SECRETS_OVERLAP: TimeDelta = TimeDelta::hours(24);

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_webhook_endpoints)
        .service(create_webhook_endpoint)
        .service(get_webhook_endpoint)
        .service(update_webhook_endpoint)
        .service(delete_webhook_endpoint)
        .service(rotate_webhook_secret)
        .service(enable_webhook_endpoint)
        .service(trial::test_webhook_endpoint)
        .service(deliveries::list_webhook_deliveries)
        .service(deliveries::replay_webhooks)
        .service(deliveries::get_webhook_delivery)
        .service(deliveries::redeliver_webhook);
}

const SORT: &[SortKey] =
    &[SortKey { name: "created_at", column: "webhook_endpoints.id", kind: SortKind::Id }];

/// List webhook endpoints
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:read"])), params(Page), responses((status = 200, body = List<WebhookEndpoint>)))]
#[get("/webhook_endpoints")]
async fn list_webhook_endpoints(caller: Caller, page: Query<Page>) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksRead)?;
    let slice = page.slice(&grant, "webhook_endpoints", SORT, &())?;
    grant
        .list(move |conn| {
            let total = slice.total(|| of(conn.workspace).count().get_result(conn.pg))?;
            let rows = of(conn.workspace)
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(WebhookEndpoint::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Create a webhook endpoint
///
/// It is told what happens from now on. The answer shows its secret, once: the answer replayed for an
/// `Idempotency-Key` has `secret` null; rotate it then. 422 `private_address` where the address leads
/// into a private network, by its name too; what that resolves to is checked again before every message.
/// 409 where a workspace has 50 already.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:write"])), responses((status = 201, body = WebhookEndpointWithSecret)))]
#[post("/webhook_endpoints")]
async fn create_webhook_endpoint(
    req: HttpRequest,
    caller: Caller,
    new: Json<NewWebhookEndpoint>,
) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksWrite)?;
    let of_url = fault_of(Some(&new.url), reach_of_webhooks(&grant.app().config)).await?;
    let secrets = Secrets::generate();
    let secret = secrets.newest();
    let reply = grant
        .write(move |tx| {
            let endpoint = new.insert(tx, of_url, &secrets)?;
            Ok(Created(WebhookEndpointWithSecret { endpoint, secret: None }))
        })
        .await?;
    if is_dry_run(&req)? { Ok(reply) } else { secret.show(reply) }
}

/// Get a webhook endpoint
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:read"])), responses((status = 200, body = WebhookEndpoint)))]
#[get("/webhook_endpoints/{id}")]
async fn get_webhook_endpoint(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksRead)?;
    grant.read(move |conn| WebhookEndpoint::find(conn, *id).map(Found)).await
}

/// Change a webhook endpoint
///
/// `status` disables it, or enables it again as the operation of that name does.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:write"])), responses((status = 200, body = WebhookEndpoint)))]
#[patch("/webhook_endpoints/{id}")]
async fn update_webhook_endpoint(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<WebhookEndpointPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksWrite)?;
    let of_url = fault_of(patch.url.as_ref(), reach_of_webhooks(&grant.app().config)).await?;
    grant.write(move |tx| patch.apply(tx, *id, if_match, of_url).map(Found)).await
}

/// Delete a webhook endpoint
///
/// What waits for it is not sent any more.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:write"])), responses((status = 204)))]
#[delete("/webhook_endpoints/{id}")]
async fn delete_webhook_endpoint(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksWrite)?;
    grant.write(move |tx| WebhookEndpoint::delete(tx, *id, if_match).map(|()| NoContent)).await
}

/// Replace the secret of a webhook endpoint
///
/// Messages are signed with the new and the old secret for 24 hours, then with the new one alone; a
/// secret from before the old one is forgotten at once. The new one is shown once, as on creation. The
/// key pair of `v1a` signatures stays.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:write"])), responses((status = 200, body = WebhookEndpointWithSecret)))]
#[post("/webhook_endpoints/{id}/rotate_secret")]
async fn rotate_webhook_secret(req: HttpRequest, caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksWrite)?;
    let secret = NewSecret::generate();
    let new = secret.clone();
    let reply = grant
        .write(move |tx| {
            let endpoint = WebhookEndpoint::rotate(tx, *id, &new)?;
            Ok(Found(WebhookEndpointWithSecret { endpoint, secret: None }))
        })
        .await?;
    if is_dry_run(&req)? { Ok(reply) } else { secret.show(reply) }
}

/// Enable a webhook endpoint
///
/// What waited for it is sent now, and what happens from now on. What happened while it was disabled is
/// in the feed of changes; it is not sent. Enabling one that is enabled changes nothing.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:write"])), responses((status = 200, body = WebhookEndpoint)))]
#[post("/webhook_endpoints/{id}/enable")]
async fn enable_webhook_endpoint(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksWrite)?;
    grant.write(move |tx| WebhookEndpoint::enable(tx, *id).map(Found)).await
}
