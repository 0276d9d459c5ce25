//! What a webhook endpoint is: fields as they are stored, sent and changed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

pub use super::sign::WebhookSignature;
use crate::db::json::{Jsonb, RawJson};
use crate::http::Versioned;
use crate::http::json::never_null;
use crate::predicate::Predicate;
use crate::schema::webhook_endpoints;
use crate::values::free::FreeObject;

crate::text_enum! {
    /// Whether events are sent to an endpoint.
    pub enum WebhookEndpointStatus {
        Enabled = "enabled",
        Disabled = "disabled",
    }
}

crate::text_enum! {
    /// Why nothing is sent: somebody said so, the endpoint answered 410, or nothing reached it for five
    /// days.
    pub enum WebhookDisabledReason {
        Manual = "manual",
        Gone = "gone",
        Failing = "failing",
    }
}

/// Where another system of the company is told what happens.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = webhook_endpoints)]
pub struct WebhookEndpoint {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Where messages are sent to.
    #[schema(example = "https://erp.example.com/hooks/ecrm")]
    pub url: String,
    /// What it is for.
    #[schema(example = "Orders into the ERP")]
    pub description: Option<String>,
    /// Which types of events it is told: `order.placed`, `order.*`, or `*` for all.
    #[schema(example = json!(["order.*", "customer.created"]))]
    pub event_types: Vec<String>,
    /// Only events of which this predicate is true; null for all of these types.
    #[diesel(column_name = where_)]
    #[schema(value_type = Option<FreeObject>, example = json!({"field": "value.amount", "op": "gte", "value": 10000}))]
    pub r#where: Option<RawJson>,
    /// How messages are signed.
    #[schema(example = json!(["v1"]))]
    pub signatures: Vec<WebhookSignature>,
    /// How many messages are under way to it at a time, at most.
    #[schema(example = 4)]
    pub max_concurrency: i32,
    /// Whether events are sent to it.
    pub status: WebhookEndpointStatus,
    /// Why not.
    pub disabled_reason: Option<WebhookDisabledReason>,
    /// Since when not.
    pub disabled_at: Option<DateTime<Utc>>,
    /// What `v1a` signatures are verified with.
    #[schema(example = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    pub public_key: String,
    /// Until when the secret before the last rotation signs too.
    pub previous_secret_expires_at: Option<DateTime<Utc>>,
    /// Attempts that failed since the last success.
    #[schema(example = 0)]
    pub failures: i32,
    /// Since when no attempt has succeeded; null while the last one did.
    pub failing_since: Option<DateTime<Utc>>,
    /// When a message last reached it, to the minute.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When a message last did not.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// Nothing is sent before this: the endpoint asked for a pause, or fails.
    pub paused_until: Option<DateTime<Utc>>,
    /// Rises by one with every change of the settings; the `ETag`.
    pub version: i64,
    /// When the endpoint was made.
    pub created_at: DateTime<Utc>,
    /// When its settings were last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for WebhookEndpoint {
    const COLLECTION: &'static str = "/v1/webhook_endpoints";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// An endpoint with its secret, which is shown this once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookEndpointWithSecret {
    #[serde(flatten)]
    pub endpoint: WebhookEndpoint,
    /// What `v1` signatures are verified with; null in a replay or a dry run.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: Option<String>,
}

impl Versioned for WebhookEndpointWithSecret {
    const COLLECTION: &'static str = WebhookEndpoint::COLLECTION;

    fn id(&self) -> Uuid {
        self.endpoint.id
    }

    fn version(&self) -> i64 {
        self.endpoint.version
    }
}

/// An endpoint to be made; it is told what happens from now on.
#[derive(Debug, Clone, Deserialize, Validate, Insertable, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = webhook_endpoints)]
pub struct NewWebhookEndpoint {
    /// Where messages are sent to: a public `https` address.
    #[validate(length(min = 1, max = 2000))]
    #[schema(example = "https://erp.example.com/hooks/ecrm", min_length = 1, max_length = 2000)]
    pub url: String,
    /// What it is for.
    #[validate(length(max = 500))]
    #[schema(example = "Orders into the ERP", max_length = 500)]
    pub description: Option<String>,
    /// Which types of events it is told: `order.placed`, `order.*`, or `*` for all, which it is
    /// without.
    #[serde(default = "all")]
    #[validate(length(min = 1, max = 100), custom(function = "super::events::event_types"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, min_items = 1, max_items = 100, example = json!(["order.*", "customer.created"]))]
    pub event_types: Vec<String>,
    /// Only events of which this is true: asked about `type`, `customer_id`, `channel_id`,
    /// `organization_id`, `direction`, `name`, `source`, `occurred_at`, `value.amount`,
    /// `value.currency` and `properties.<key>`.
    #[diesel(column_name = where_)]
    #[schema(value_type = Option<Predicate>, example = json!({"field": "value.amount", "op": "gte", "value": 10000}))]
    pub r#where: Option<Jsonb<Predicate>>,
    /// How messages are signed; with `v1` unless said otherwise.
    #[serde(default = "shared")]
    #[validate(length(min = 1, max = 2), custom(function = "different"))]
    #[schema(example = json!(["v1"]), min_items = 1, max_items = 2)]
    pub signatures: Vec<WebhookSignature>,
    /// How many messages are under way to it at a time, at most; 4 unless said otherwise.
    #[serde(default = "four")]
    #[validate(range(min = 1, max = 10))]
    #[schema(default = 4, minimum = 1, maximum = 10, example = 4)]
    pub max_concurrency: i32,
}

/// Changes to an endpoint; what waits already is sent all the same, and what happened before is judged by what
/// it wanted then.
#[derive(Debug, Clone, Deserialize, Validate, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = webhook_endpoints)]
pub struct WebhookEndpointPatch {
    /// Where messages are sent to: a public `https` address.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 2000))]
    #[schema(
        example = "https://erp.example.com/hooks/ecrm",
        min_length = 1,
        max_length = 2000,
        nullable = false
    )]
    pub url: Option<String>,
    /// What it is for.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 500))]
    #[schema(max_length = 500)]
    pub description: Option<Option<String>>,
    /// Which types of events it is told; replaces all.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 100), custom(function = "super::events::event_types"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, min_items = 1, max_items = 100, nullable = false, required = false, example = json!(["order.*"]))]
    pub event_types: Option<Vec<String>>,
    /// Only events of which this is true.
    #[serde(default, with = "double_option")]
    #[diesel(column_name = where_)]
    #[schema(value_type = Option<Predicate>, example = json!({"field": "source", "op": "eq", "value": "shop"}))]
    pub r#where: Option<Option<Jsonb<Predicate>>>,
    /// How messages are signed.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 2), custom(function = "different"))]
    #[schema(example = json!(["v1", "v1a"]), min_items = 1, max_items = 2, nullable = false)]
    pub signatures: Option<Vec<WebhookSignature>>,
    /// How many messages are under way to it at a time, at most.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(range(min = 1, max = 10))]
    #[schema(minimum = 1, maximum = 10, nullable = false)]
    pub max_concurrency: Option<i32>,
    /// Whether events are sent to it. What happens while it is disabled is not sent later; what waited
    /// before is.
    #[serde(default, deserialize_with = "never_null")]
    #[diesel(skip_update)]
    #[schema(nullable = false)]
    pub status: Option<WebhookEndpointStatus>,
}

fn all() -> Vec<String> {
    vec!["*".into()]
}

fn shared() -> Vec<WebhookSignature> {
    vec![WebhookSignature::V1]
}

fn four() -> i32 {
    4
}

fn different(kinds: &[WebhookSignature]) -> Result<(), ValidationError> {
    if kinds.len() == 2 && kinds[0] == kinds[1] {
        let expected = "must not name one kind twice";
        return Err(ValidationError::new("invalid_signatures").with_message(expected.into()));
    }
    Ok(())
}
