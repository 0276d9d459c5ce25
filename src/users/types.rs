//! What a user is: fields as they are stored, sent and changed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::auth::{Role, password};
use crate::http::json::never_null;
use crate::http::{AnyOf, Versioned};
use crate::schema::users;
use crate::seal::Secret;

crate::text_enum! {
    /// Whether somebody can sign in.
    pub enum UserStatus {
        Active = "active",
        Disabled = "disabled",
    }
}

/// Somebody who works in the workspace.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = users)]
pub struct User {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Address to sign in with.
    #[schema(example = "mira@shop.example.com")]
    pub email: String,
    /// Name to show.
    #[schema(example = "Mira Berg")]
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user can sign in.
    pub status: UserStatus,
    /// When the user last signed in; null before the first time.
    pub last_login_at: Option<DateTime<Utc>>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the user was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for User {
    const COLLECTION: &'static str = "/v1/users";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// A user to be made.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Address to sign in with; one user per workspace has it.
    #[validate(custom(function = "crate::values::valid::email"))]
    #[schema(example = "mira@shop.example.com", max_length = 254)]
    pub email: String,
    /// Name to show.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Mira Berg", min_length = 1, max_length = 200)]
    pub name: String,
    /// What the user may do; at most what the caller may.
    #[schema(example = "agent")]
    pub role: Role,
    /// Password to sign in with, at least 12 characters; without one the user cannot.
    #[validate(custom(function = "strong"))]
    #[schema(value_type = Option<String>, format = Password, write_only, min_length = 12, max_length = 128, example = "granite skis at dawn")]
    pub password: Option<Secret>,
}

/// Changes to a user.
///
/// A new email, role, status or password signs the user out everywhere.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// Address to sign in with.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "crate::values::valid::email"))]
    #[schema(max_length = 254, nullable = false)]
    pub email: Option<String>,
    /// Name to show.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Mira Berg", min_length = 1, max_length = 200, nullable = false)]
    pub name: Option<String>,
    /// What the user may do; at most what the caller may.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub role: Option<Role>,
    /// Whether the user can sign in.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub status: Option<UserStatus>,
    /// New password, at least 12 characters.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "strong"))]
    #[schema(value_type = Option<String>, format = Password, write_only, min_length = 12, max_length = 128, nullable = false)]
    pub password: Option<Secret>,
}

/// Which users to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// Part of a name or email, in any case.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Any of these roles.
    #[serde(default)]
    #[param(value_type = Option<Vec<Role>>, style = Form, explode = false)]
    pub role: AnyOf<Role>,
    /// Any of these statuses.
    #[serde(default)]
    #[param(value_type = Option<Vec<UserStatus>>, style = Form, explode = false)]
    pub status: AnyOf<UserStatus>,
}

/// For `#[validate]`: whether a password may be set.
pub fn strong(secret: &Secret) -> Result<(), ValidationError> {
    password::check(secret.reveal()).map_err(|fault| {
        let message = fault.detail.trim_start_matches("`password` ").to_owned();
        ValidationError::new("weak_password").with_message(message.into())
    })
}
