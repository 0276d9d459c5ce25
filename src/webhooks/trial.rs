//! Trying an endpoint out: one message now, and what came back.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use actix_web::{HttpRequest, post};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::aside::aside;
use super::endpoints::change;
use super::events;
use super::queue::Address;
use super::send::{Answer, Message};
use super::shares::Shares;
use crate::auth::{Caller, Scope, blocking};
use crate::db::{Conn, Server, Session, WorkspaceId, id};
use crate::error::{Error, Result};
use crate::http::boundary::is_dry_run;
use crate::http::{Path, Reply};
use crate::values::free::FreeObject;

/// How many endpoints one process tries out at a time.
const AT_A_TIME: usize = 16;
static TURNS: LazyLock<Mutex<Shares>> = LazyLock::new(|| Mutex::new(Shares::of(AT_A_TIME)));

/// The right to try an endpoint of a workspace out.
struct Turn(WorkspaceId);

impl Turn {
    /// 503 while the workspace has its share.
    fn take(workspace: WorkspaceId) -> Result<Self> {
        let mut turns = turns();
        if turns.room(workspace) == 0 {
            return Err(Error::unavailable("too many webhook tests"));
        }
        turns.take(workspace);
        Ok(Self(workspace))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        turns().give_back(self.0);
    }
}

fn turns() -> MutexGuard<'static, Shares> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an endpoint answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookTest {
    /// The `webhook-id` of the message.
    pub message_id: Uuid,
    /// Whether the answer was 2xx; false in a dry run, which sends nothing.
    pub is_success: bool,
    /// The status of the answer; null where there was none.
    #[schema(example = 200)]
    pub status_code: Option<i32>,
    /// Why there was no answer, as in attempts.
    #[schema(example = "timeout")]
    pub error: Option<String>,
    /// Time until the answer was there, in milliseconds.
    #[schema(example = 87)]
    pub latency_ms: i32,
    /// The headers that were sent.
    #[schema(value_type = FreeObject, example = json!({ "content-type": "application/json", "webhook-id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5" }))]
    pub request_headers: Value,
    /// The headers of the answer.
    #[schema(value_type = FreeObject, example = json!({ "content-type": "text/plain" }))]
    pub response_headers: Value,
    /// The first 1024 bytes of the answer.
    #[schema(example = "ok")]
    pub response_body: Option<String>,
}

/// Try a webhook endpoint out
///
/// Sends a `webhook_endpoint.tested` event now, also to one that is disabled, waits up to ten seconds,
/// and shows what came back. It stands neither in the log nor among the deliveries, and a repeat with
/// the same `Idempotency-Key` sends it again. 503 while several others are being tried.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:write"])), responses((status = 200, body = WebhookTest)))]
#[post("/webhook_endpoints/{id}/test")]
pub async fn test_webhook_endpoint(
    req: HttpRequest,
    caller: Caller,
    endpoint: Path<Uuid>,
) -> Result<Reply> {
    let (app, session) = caller.must(Scope::WebhooksWrite)?.steps();
    let is_dry_run = is_dry_run(&req)?;
    let _turn = Turn::take(session.home)?;
    let agent = app.outbound.clone();
    let message = blocking(move || {
        app.db.read(Server::Primary, &session, &|conn| message(conn, &session, *endpoint))
    })
    .await?;
    let id = message.id;
    let send = move || message.send(&agent);
    let answer = if is_dry_run { None } else { Some(aside("webhook-test", send).await?) };
    Reply::json(actix_web::http::StatusCode::OK, &WebhookTest::new(id, answer))
}

/// Something that did not happen, in the shape of what does.
fn message(conn: &mut Conn, session: &Session, endpoint: Uuid) -> Result<Message> {
    let address = Address::find(conn, endpoint)?;
    let id = id::at(conn.now, 0);
    let actor = json!({ "type": session.actor.kind, "id": session.actor.id });
    let entry = change("webhook_endpoint.tested", endpoint, json!({})).entry(id, actor);
    let touchpoint = entry.stored(conn.now)?;
    let body = events::message(conn.workspace, conn.livemode, &touchpoint)?;
    address.message(conn, (endpoint, id), body)
}

impl WebhookTest {
    fn new(message_id: Uuid, answer: Option<Answer>) -> Self {
        let Some(answer) = answer else {
            return Self {
                message_id,
                is_success: false,
                status_code: None,
                error: None,
                latency_ms: 0,
                request_headers: json!({}),
                response_headers: json!({}),
                response_body: None,
            };
        };
        Self {
            message_id,
            is_success: answer.is_success(),
            status_code: answer.status_code,
            error: answer.error.map(Into::into),
            latency_ms: answer.latency_ms,
            request_headers: answer.request_headers,
            response_headers: answer.response_headers,
            response_body: answer.body,
        }
    }
}
