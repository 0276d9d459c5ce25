//! What an API key is: fields as they are stored, sent and changed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use crate::auth::key::KeyKind;
use crate::http::json::never_null;
use crate::http::{AnyOf, Versioned};
use crate::schema::api_keys;

/// A credential for a program. Its text is not among the fields: nobody has it but its holder.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = api_keys)]
pub struct ApiKey {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// What the key is for.
    #[schema(example = "Web shop")]
    pub name: String,
    /// Who is meant to hold it.
    pub kind: KeyKind,
    /// What it may do; `*` is everything, also what later versions add.
    #[schema(example = json!(["customers:read", "touchpoints:ingest"]))]
    pub scopes: Vec<String>,
    /// Whether it sees live data; a test key sees test data only.
    pub livemode: bool,
    /// How the text begins.
    #[schema(example = "ecrm_sk_0VcQ3kPB")]
    pub prefix: String,
    /// How the text ends.
    #[schema(example = "k3Xw")]
    pub last4: String,
    /// When it stops working; null never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute; null never.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the key was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A new key with its text, which is shown this once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiKeyWithSecret {
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The text to send as `Authorization: Bearer …`; null in a replay or a dry run.
    #[schema(example = "ecrm_sk_0VcQ3kPB…k3Xw")]
    pub key: Option<String>,
}

impl Versioned for ApiKey {
    const COLLECTION: &'static str = "/v1/api_keys";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl Versioned for ApiKeyWithSecret {
    const COLLECTION: &'static str = ApiKey::COLLECTION;

    fn id(&self) -> Uuid {
        self.api_key.id
    }

    fn version(&self) -> i64 {
        self.api_key.version
    }
}

/// A key to be made.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What the key is for.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Web shop", min_length = 1, max_length = 200)]
    pub name: String,
    /// Who is meant to hold it: `secret` a server, `write` a web page or app, `portal` a customer
    /// portal.
    #[serde(default = "secret")]
    #[schema(default = "secret", example = "secret")]
    pub kind: KeyKind,
    /// What it may do, at most what the caller may. A `write` key can report touchpoints and
    /// nothing else, a `portal` key has no scope.
    #[serde(default)]
    #[validate(length(max = 100))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, max_items = 100, example = json!(["customers:read", "touchpoints:ingest"]))]
    pub scopes: Vec<String>,
    /// Whether it sees live data; the caller's own mode where absent. A test credential makes test
    /// keys only.
    pub livemode: Option<bool>,
    /// When it stops working.
    #[validate(custom(function = "crate::values::valid::time"))]
    pub expires_at: Option<DateTime<Utc>>,
}

/// Changes to a key.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyPatch {
    /// What the key is for.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Web shop", min_length = 1, max_length = 200, nullable = false)]
    pub name: Option<String>,
    /// What it may do, at most what the caller may.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(max = 100))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, max_items = 100, nullable = false, example = json!(["customers:read"]))]
    pub scopes: Option<Vec<String>>,
    /// When it stops working; null never.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "crate::values::valid::time"))]
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// How a key is to be replaced.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRotation {
    /// Seconds for which the old key still works, up to a week.
    #[serde(default)]
    #[validate(range(min = 0, max = 604_800))]
    #[schema(default = 0, minimum = 0, maximum = 604800, example = 3600)]
    pub overlap_seconds: i32,
}

/// Which keys to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ApiKeyFilter {
    /// Any of these kinds.
    #[serde(default)]
    #[param(value_type = Option<Vec<KeyKind>>, style = Form, explode = false)]
    pub kind: AnyOf<KeyKind>,
    /// Only live keys, or only test keys.
    pub livemode: Option<bool>,
}

fn secret() -> KeyKind {
    KeyKind::Secret
}
