//! Taking a shop's message in: proved, kept, answered; all else happens later.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, post, web};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::events::{self, NewEvent};
use super::{Provider, Shop};
use crate::app::App;
use crate::auth::blocking;
use crate::crypto::{hex, sha256};
use crate::db::{Actor, ActorKind, Outcome, Session, Tx, Via};
use crate::error::{Code, Error, Result};
use crate::http::{Path, Reply, body};
use crate::workspaces;

/// How much larger a message may be than what callers send, who can send less at once: an order of some
/// hundred lines has more than a megabyte in Shopify's words.
const LARGER: usize = 5;

/// That a message is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectorReceipt {
    /// Always true: the message is durable, or was before.
    pub received: bool,
    /// Its record; null for a test that carries nothing.
    pub event_id: Option<Uuid>,
}

/// Receive a webhook of a shop
///
/// For Shopify, WooCommerce, Stripe, and in the canonical form (Standard Webhooks) for every other
/// provider. The signature over the raw body, made with the channel's `config.webhook_secret`, is the
/// credential. A message is kept before it is answered and carried out a moment later; the same
/// delivery twice is kept once. See `GET /v1/connectors/{channel_id}` for the address.
#[utoipa::path(tag = "connectors", security(()), params(("provider" = String, Path, description = "The channel's provider", example = "shopify"), ("workspace" = String, Path, description = "The workspace, live or test", example = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5"), ("channel_id" = Uuid, Path, description = "Id of the channel")), request_body(content = crate::values::free::FreeObject, content_type = "application/json", description = "The provider's own message.", example = json!({"id": 450_789_469, "name": "#1001", "currency": "EUR", "total_price": "149.90", "email": "ada@shop.example.com"})), responses((status = 200, body = ConnectorReceipt), (status = 401)))]
#[post("/connectors/{provider}/{workspace}/{channel_id}")]
pub async fn receive_connector_event(
    req: HttpRequest,
    path: Path<(String, String, Uuid)>,
    payload: web::Payload,
) -> Result<Reply> {
    let app = App::of(&req);
    app.limits.charge_address(&req)?;
    let (limit, deadline) = (app.config.body_limit_bytes, app.config.body_timeout);
    let limit = limit.saturating_mul(LARGER);
    let bytes = body::read(&mut payload.into_inner(), &req, limit, deadline).await?;
    let (headers, via) = (req.headers().clone(), Via::of(&req));
    let (provider, workspace, channel) = path.into_inner();
    let workspace: Uuid = workspace.parse().map_err(|_unread| Error::not_found())?;
    let message = Message { provider, channel, headers, body: bytes };
    blocking(move || {
        let session = workspaces::session_of_link(&app.db, workspace, via)?;
        let actor = Actor { kind: ActorKind::Integration, id: Some(channel) };
        let session = Session { actor, ..session };
        app.db.write(&session, &|tx| message.keep(tx).map(Outcome::Commit))
    })
    .await
}

struct Message {
    provider: String,
    channel: Uuid,
    headers: HeaderMap,
    body: web::Bytes,
}

impl Message {
    fn header(&self, name: &str) -> Option<String> {
        let text = self.headers.get(name)?.to_str().ok()?.trim();
        (!text.is_empty()).then(|| text.chars().take(255).collect())
    }

    fn keep(&self, tx: &mut Tx) -> Result<Reply> {
        let shop = Shop::find(tx, self.channel)?;
        if shop.name != self.provider {
            return Err(Error::not_found());
        }
        if self.is_ping(shop.provider) {
            return receipt(None);
        }
        let secret = shop.secret(tx)?;
        let is_signed =
            |secret: &String| shop.provider.is_signed(&self.headers, &self.body, secret, tx.now);
        if !secret.as_ref().is_some_and(is_signed) {
            let detail = "the signature does not fit the body and `config.webhook_secret`";
            return Err(Error::new(Code::INVALID_SIGNATURE, detail));
        }
        let (topic, delivery_id) = self.names(shop.provider);
        if shop.is_paused && !is_duty(shop.provider, &topic) {
            let detail = "the channel is paused: resume it to take in what its shop sends";
            return Err(Error::new(Code::CHANNEL_PAUSED, detail));
        }
        let is_test = self.header("x-shopify-test").is_some_and(|is_test| is_test == "true");
        let ignored = (is_test && tx.livemode).then_some("a test of the shop");
        let body = &self.body;
        let new = NewEvent { channel: shop.channel, topic, delivery_id, body, ignored };
        receipt(Some(events::keep(tx, &new)?))
    }

    /// WooCommerce tries an address out with a form that nobody signs, and wants 200.
    fn is_ping(&self, provider: Provider) -> bool {
        provider == Provider::Woocommerce
            && self.header("x-wc-webhook-signature").is_none()
            && self.body.starts_with(b"webhook_id=")
            && self.body.len() < 64
    }

    /// What it is about, and the sender's id of it: a hash where it has none. WooCommerce makes its ids of
    /// webhook and second, so two deliveries of one second share theirs: a hash tells them apart.
    fn names(&self, provider: Provider) -> (String, String) {
        let body = || serde_json::from_slice::<Value>(&self.body).unwrap_or(Value::Null);
        let text = |value: &Value| value.as_str().map(|text| text.chars().take(255).collect());
        let (topic, id): (Option<String>, Option<String>) = match provider {
            Provider::Shopify => {
                (self.header("x-shopify-topic"), self.header("x-shopify-webhook-id"))
            }
            Provider::Woocommerce => {
                (self.header("x-wc-webhook-topic"), self.header("x-wc-webhook-delivery-id"))
            }
            Provider::Stripe => {
                let body = body();
                (text(&body["type"]), text(&body["id"]))
            }
            Provider::Custom => (text(&body()["type"]), self.header("webhook-id")),
        };
        let topic: String = topic.unwrap_or_else(|| "unknown".into()).chars().take(100).collect();
        let hash = || hex(&sha256(&[topic.as_bytes(), b"\n", &self.body].concat()));
        let id = match (id, provider) {
            (Some(id), Provider::Woocommerce) => {
                let id: String = id.chars().take(190).collect();
                format!("{id}:{}", hash())
            }
            (id, _) => id.unwrap_or_else(hash),
        };
        (topic, id)
    }
}

/// Whether a shop that was disconnected must be heard all the same.
fn is_duty(provider: Provider, topic: &str) -> bool {
    provider == Provider::Shopify
        && matches!(
            topic,
            "customers/data_request" | "customers/redact" | "shop/redact" | "app/uninstalled"
        )
}

fn receipt(event_id: Option<Uuid>) -> Result<Reply> {
    Reply::json(StatusCode::OK, &ConnectorReceipt { received: true, event_id })
}
