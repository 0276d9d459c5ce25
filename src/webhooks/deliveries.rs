//! What was sent to an endpoint, or will be: to be looked at, and to be sent again.

use actix_web::http::StatusCode;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use super::types::{WebhookEndpoint, WebhookEndpointStatus};
use crate::auth::{Caller, Scope};
use crate::changes::{check_patterns, likes};
use crate::db::json::RawJson;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId, id};
use crate::error::{Code, Error, FieldError, Result};
use crate::http::reply::Plain;
use crate::http::{AnyOf, Json, List, Page, Path, Query, Reply};
use crate::schema::{webhook_attempts as a, webhook_deliveries as d};
use crate::values::free::FreeObject;

/// How many deliveries one call sends again.
const REPLAYS: i64 = 10_000;
/// How many attempts of a delivery are shown, the latest first.
const ATTEMPTS_SHOWN: i64 = 50;

crate::text_enum! {
    /// What becomes of a delivery.
    pub enum WebhookDeliveryStatus {
        /// It waits for its next attempt.
        Pending = "pending",
        Delivering = "delivering",
        Delivered = "delivered",
        /// Nobody tries again.
        Failed = "failed",
        /// The event is gone: it was erased, or too old.
        Skipped = "skipped",
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = d)]
pub struct WebhookDelivery {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Where it is sent to.
    pub endpoint_id: Uuid,
    /// The touchpoint that it tells of; the `webhook-id` of every attempt.
    pub touchpoint_id: Uuid,
    /// The place of the event in the feed of changes.
    #[schema(example = 4711)]
    pub sequence: i64,
    /// Whom the event was about then.
    pub customer_id: Option<Uuid>,
    /// What happened.
    #[diesel(column_name = type_)]
    #[schema(example = "order.placed")]
    pub r#type: String,
    /// What becomes of it.
    pub status: WebhookDeliveryStatus,
    /// How often it was tried.
    #[schema(example = 1)]
    pub attempts: i32,
    /// When it is tried next; only while it is pending does that mean something.
    pub next_attempt_at: DateTime<Utc>,
    /// The status of the last answer; null where there was none.
    #[schema(example = 200)]
    pub last_status_code: Option<i32>,
    /// Why there was no answer the last time, such as `timeout`.
    #[schema(example = "timeout")]
    pub last_error: Option<String>,
    /// When the event was found to be for this endpoint.
    pub created_at: DateTime<Utc>,
    /// When it arrived.
    pub delivered_at: Option<DateTime<Utc>>,
}

/// One attempt to deliver something.
#[derive(Debug, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = a)]
pub struct WebhookAttempt {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Which attempt of the delivery it was, from 1.
    #[schema(example = 1)]
    pub number: i32,
    /// When it was made.
    pub attempted_at: DateTime<Utc>,
    /// Time until the answer was there, in milliseconds.
    #[schema(example = 87)]
    pub latency_ms: i32,
    /// The status of the answer; null where there was none.
    #[schema(example = 503)]
    pub status_code: Option<i32>,
    /// Why there was no answer: `timeout`, `private_address`, `host_not_found`, `connection_refused`,
    /// `connection_failed`, `tls_failed` or `invalid_answer`.
    #[schema(example = "timeout")]
    pub error: Option<String>,
    /// The headers that were sent.
    #[schema(value_type = FreeObject, example = json!({ "content-type": "application/json", "webhook-id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5" }))]
    pub request_headers: RawJson,
    /// The headers of the answer.
    #[schema(value_type = FreeObject, example = json!({ "content-type": "text/plain" }))]
    pub response_headers: RawJson,
    /// The first 1024 bytes of the answer.
    #[schema(example = "ok")]
    pub response_body: Option<String>,
}

/// A delivery with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDeliveryDetail {
    #[serde(flatten)]
    pub delivery: WebhookDelivery,
    /// The latest first, at most 50.
    pub attempts_made: Vec<WebhookAttempt>,
}

/// Which deliveries to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WebhookDeliveryFilter {
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<WebhookDeliveryStatus>>, inline, style = Form, explode = false)]
    pub status: AnyOf<WebhookDeliveryStatus>,
    /// Any of these types of events: `order.placed`, or `order.*` for all that begin so.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false, example = json!(["order.*"]))]
    pub r#type: AnyOf<String>,
}

const SORT: &[SortKey] =
    &[SortKey { name: "created_at", column: "webhook_deliveries.id", kind: SortKind::Id }];

/// List what was sent to an endpoint
///
/// Newest first, for 30 days.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:read"])), params(Page, WebhookDeliveryFilter), responses((status = 200, body = List<WebhookDelivery>)))]
#[get("/webhook_endpoints/{id}/deliveries")]
pub async fn list_webhook_deliveries(
    caller: Caller,
    endpoint: Path<Uuid>,
    page: Query<Page>,
    filter: Query<WebhookDeliveryFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksRead)?;
    check_patterns("type", &filter.r#type.0)?;
    let slice = page.slice(&grant, "webhook_deliveries", SORT, &(*endpoint, &filter.0))?;
    grant
        .list(move |conn| {
            WebhookEndpoint::find(conn, *endpoint)?;
            let workspace = conn.workspace;
            let matching = || {
                let mut found = of(workspace).filter(d::endpoint_id.eq(*endpoint)).into_boxed();
                if let Some(states) = filter.status.given() {
                    found = found.filter(d::status.eq_any(states.clone()));
                }
                if let Some(types) = filter.r#type.given() {
                    found = found.filter(of_types(types));
                }
                found
            };
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(WebhookDelivery::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Get a delivery with its attempts
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:read"])), responses((status = 200, body = WebhookDeliveryDetail)))]
#[get("/webhook_deliveries/{id}")]
pub async fn get_webhook_delivery(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksRead)?;
    grant
        .read(move |conn| {
            let delivery: WebhookDelivery = of(conn.workspace)
                .filter(d::id.eq(*id))
                .select(WebhookDelivery::as_select())
                .first(conn.pg)?;
            let attempts_made = attempts(conn, *id)?;
            Ok(Plain(WebhookDeliveryDetail { delivery, attempts_made }))
        })
        .await
}

/// Send one event again
///
/// With its own `webhook-id`, so that a receiver that has it knows it again; tried ten times more. 409
/// while it is under way, and where the endpoint is disabled.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:write"])), responses((status = 202, body = WebhookDelivery)))]
#[post("/webhook_deliveries/{id}/redeliver")]
pub async fn redeliver_webhook(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksWrite)?;
    grant.write(move |tx| redeliver(tx, *id)).await
}

/// What is to be sent again.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookReplay {
    /// Events found for the endpoint at or after this.
    #[serde(deserialize_with = "crate::http::json::time")]
    #[validate(custom(function = "crate::values::valid::time"))]
    #[schema(example = "2026-03-14T00:00:00Z")]
    pub from: DateTime<Utc>,
    /// And before this.
    #[serde(deserialize_with = "crate::http::json::time")]
    #[validate(custom(function = "crate::values::valid::time"))]
    #[schema(example = "2026-03-15T00:00:00Z")]
    pub to: DateTime<Utc>,
    /// Only these types of events: `order.placed`, or `order.*` for all that begin so.
    #[validate(length(min = 1, max = 100), custom(function = "super::events::patterns"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, min_items = 1, max_items = 100, example = json!(["order.placed"]))]
    pub types: Option<Vec<String>>,
    /// Only deliveries of which this became; all that are not waiting or under way, without.
    #[validate(length(min = 1, max = 3))]
    #[schema(min_items = 1, max_items = 3, example = json!(["failed"]))]
    pub status: Option<Vec<ReplayedStatus>>,
}

crate::text_enum! {
    /// What became of a delivery that can be sent again.
    pub enum ReplayedStatus {
        Delivered = "delivered",
        Failed = "failed",
        Skipped = "skipped",
    }
}

/// How many deliveries wait again.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookReplayed {
    /// How many were queued, the oldest first.
    #[schema(example = 3)]
    pub queued: i32,
    /// Whether these were all; if not, ask again from `until` on.
    pub is_complete: bool,
    /// When the last of these was found for the endpoint; null where there was none.
    pub until: Option<DateTime<Utc>>,
}

/// Send a range of events again
///
/// At most 10,000 deliveries of a time, by `created_at`, each with its own `webhook-id`. Only what was
/// for this endpoint then: events from before it was made, from while it was disabled, or of other types
/// are in the feed of changes. 409 where the endpoint is disabled.
#[utoipa::path(tag = "webhooks", security(("bearer" = ["webhooks:write"])), responses((status = 202, body = WebhookReplayed)))]
#[post("/webhook_endpoints/{id}/replay")]
pub async fn replay_webhooks(
    caller: Caller,
    endpoint: Path<Uuid>,
    replay: Json<WebhookReplay>,
) -> Result<Reply> {
    let grant = caller.must(Scope::WebhooksWrite)?;
    if replay.from >= replay.to {
        let fault = FieldError::at("#/to", "invalid_range", "`to` must be after `from`");
        return Err(Error::invalid(vec![fault]));
    }
    grant.write(move |tx| replay.apply(tx, *endpoint)).await
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    d::table.filter(d::workspace_id.eq(workspace))
}

/// Whether a delivery is of an event of these types, which may be patterns.
fn of_types(patterns: &[String]) -> Box<dyn BoxableExpression<d::table, Pg, SqlType = Bool>> {
    let like = diesel::dsl::sql::<Bool>("webhook_deliveries.type like any(");
    Box::new(like.bind::<Array<Text>, _>(likes(patterns)).sql(")"))
}

fn attempts(conn: &mut Conn, delivery: Uuid) -> Result<Vec<WebhookAttempt>> {
    let of_delivery = a::table
        .filter(a::workspace_id.eq(conn.workspace))
        .filter(a::delivery_id.eq(delivery))
        .order(a::id.desc())
        .limit(ATTEMPTS_SHOWN);
    Ok(of_delivery.select(WebhookAttempt::as_select()).load(conn.pg)?)
}

/// 409 unless what is queued for the endpoint will be sent.
fn must_be_enabled(conn: &mut Conn, endpoint: Uuid) -> Result<()> {
    match WebhookEndpoint::find(conn, endpoint)?.status {
        WebhookEndpointStatus::Enabled => Ok(()),
        WebhookEndpointStatus::Disabled => {
            Err(Error::new(Code::CONFLICT, "the endpoint is disabled; enable it first"))
        }
    }
}

fn redeliver(tx: &mut Tx, id: Uuid) -> Result<Reply> {
    let found = of(tx.workspace).filter(d::id.eq(id));
    let found: WebhookDelivery =
        found.select(WebhookDelivery::as_select()).for_update().first(tx.pg)?;
    must_be_enabled(tx, found.endpoint_id)?;
    if found.status == WebhookDeliveryStatus::Delivering {
        return Err(Error::new(Code::CONFLICT, "the event is being sent just now"));
    }
    queue(tx, &[id])?;
    let queued = of(tx.workspace).filter(d::id.eq(id));
    let queued: WebhookDelivery = queued.select(WebhookDelivery::as_select()).first(tx.pg)?;
    Reply::json(StatusCode::ACCEPTED, &queued)
}

/// Lets these wait again, from the beginning, unless somebody has taken one meanwhile.
fn queue(tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
    let idle = d::status.ne(WebhookDeliveryStatus::Delivering);
    diesel::update(of(tx.workspace).filter(d::id.eq_any(ids)).filter(idle))
        .set((
            (d::status.eq(WebhookDeliveryStatus::Pending), d::failures.eq(0)),
            (d::next_attempt_at.eq(tx.now), d::delivered_at.eq(None::<DateTime<Utc>>)),
        ))
        .execute(tx.pg)?;
    Ok(())
}

impl WebhookReplay {
    fn apply(&self, tx: &mut Tx, endpoint: Uuid) -> Result<Reply> {
        must_be_enabled(tx, endpoint)?;
        let over = [ReplayedStatus::Delivered, ReplayedStatus::Failed, ReplayedStatus::Skipped];
        let states = self.status.as_deref().unwrap_or(&over);
        let mut found = of(tx.workspace)
            .filter(d::endpoint_id.eq(endpoint))
            .filter(d::id.ge(id::floor(self.from)).and(d::id.lt(id::floor(self.to))))
            .filter(d::status.eq_any(states.iter().map(|status| status.as_str())))
            .into_boxed();
        if let Some(types) = &self.types {
            found = found.filter(of_types(types));
        }
        let found = found.order(d::id).limit(REPLAYS + 1).select(d::id);
        let mut ids: Vec<Uuid> = found.load(tx.pg)?;
        let most = usize::try_from(REPLAYS).unwrap_or(usize::MAX);
        let is_complete = ids.len() <= most;
        ids.truncate(most);
        queue(tx, &ids)?;
        let replayed = WebhookReplayed {
            queued: i32::try_from(ids.len()).unwrap_or(i32::MAX),
            is_complete,
            until: ids.last().map(|last| id::instant(*last)),
        };
        Reply::json(StatusCode::ACCEPTED, &replayed)
    }
}
