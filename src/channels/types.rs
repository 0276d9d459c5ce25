//! What a channel is: fields as they are stored, sent and changed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::settings::{self, ChannelConfig, ChannelQuietHours, ChannelRateLimit, ChannelSender};
use crate::attributes::Attributes;
use crate::db::json::{Jsonb, RawJson};
use crate::error::{Error, FieldError, Result};
use crate::external_ids::ExternalId;
use crate::http::Versioned;
use crate::http::json::{never_null, null_empties};
use crate::schema::channels;
use crate::values::valid;

crate::text_enum! {
    /// What kind of place a channel is; online and offline are equal.
    pub enum ChannelType {
        Email = "email",
        Sms = "sms",
        Whatsapp = "whatsapp",
        Chat = "chat",
        Chatbot = "chatbot",
        Push = "push",
        Web = "web",
        MobileApp = "mobile_app",
        Social = "social",
        Phone = "phone",
        Meeting = "meeting",
        Post = "post",
        Pos = "pos",
        Webhook = "webhook",
    }
}

crate::text_enum! {
    /// Which way a channel can be used, seen from the company.
    pub enum ChannelDirection {
        Inbound = "inbound",
        Outbound = "outbound",
        Both = "both",
    }
}

crate::text_enum! {
    /// Whether a channel is in use; `error` is set when its provider refuses us.
    pub enum ChannelStatus {
        Active = "active",
        Paused = "paused",
        Error = "error",
    }
}

impl ChannelStatus {
    /// Where callers can move a channel from here.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Active => &[Self::Paused],
            Self::Paused => &[Self::Active],
            Self::Error => &[Self::Active, Self::Paused],
        }
    }
}

/// A place where the company and its customers meet.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = channels)]
pub struct Channel {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Ids in outside systems, at most one per system.
    #[schema(value_type = Vec<ExternalId>)]
    pub external_ids: RawJson,
    /// What kind of place it is.
    #[diesel(column_name = type_)]
    pub r#type: ChannelType,
    /// Name for people.
    #[schema(example = "Newsletter")]
    pub name: String,
    /// Who carries it out: `manual` for people, or the name of a connector.
    #[schema(example = "smtp")]
    pub provider: String,
    /// Which way it can be used.
    pub direction: ChannelDirection,
    /// Whether it is in use.
    pub status: ChannelStatus,
    /// Settings of the provider, without secrets.
    #[schema(value_type = ChannelConfig)]
    pub config: RawJson,
    /// In whose name it speaks.
    #[schema(value_type = Option<ChannelSender>)]
    pub sender: Option<RawJson>,
    /// What it can do, in the company's own words.
    #[schema(example = json!(["html", "attachments"]))]
    pub capabilities: Vec<String>,
    /// How much it sends at most.
    #[schema(value_type = Option<ChannelRateLimit>)]
    pub rate_limit: Option<RawJson>,
    /// When it does not disturb anybody.
    #[schema(value_type = Option<ChannelQuietHours>)]
    pub quiet_hours: Option<RawJson>,
    /// Free fields; typed where an attribute definition says so.
    #[schema(value_type = Attributes)]
    pub attributes: RawJson,
    /// Free labels.
    #[schema(example = json!(["marketing"]))]
    pub tags: Vec<String>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted; null while it is not.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Versioned for Channel {
    const COLLECTION: &'static str = "/v1/channels";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// A channel to be created; it is active at once.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, Insertable, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = channels)]
pub struct NewChannel {
    /// Ids in outside systems, at most one per system.
    #[serde(default)]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Vec<ExternalId>, max_items = 50)]
    pub external_ids: Jsonb<Vec<ExternalId>>,
    /// What kind of place it is; cannot be changed later.
    #[diesel(column_name = type_)]
    pub r#type: ChannelType,
    /// Name for people.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Newsletter", min_length = 1, max_length = 200)]
    pub name: String,
    /// Who carries it out; `manual` unless said otherwise.
    #[serde(default = "manual")]
    #[validate(length(max = 63), custom(function = "valid::key"))]
    #[schema(example = "smtp", min_length = 1, max_length = 63, pattern = "^[a-z][a-z0-9_]*$")]
    pub provider: String,
    /// Which way it can be used; `both` unless said otherwise.
    #[serde(default = "both")]
    pub direction: ChannelDirection,
    /// Settings of the provider, secrets included.
    #[serde(default)]
    #[validate(custom(function = "settings::free_config"))]
    #[diesel(skip_insertion)]
    pub config: ChannelConfig,
    /// In whose name it speaks.
    #[validate(nested)]
    #[schema(value_type = Option<ChannelSender>)]
    pub sender: Option<Jsonb<ChannelSender>>,
    /// What it can do, in the company's own words.
    #[serde(default)]
    #[validate(length(max = 50), custom(function = "valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["html", "attachments"]), max_items = 50)]
    pub capabilities: Vec<String>,
    /// How much it sends at most.
    #[validate(nested)]
    #[schema(value_type = Option<ChannelRateLimit>)]
    pub rate_limit: Option<Jsonb<ChannelRateLimit>>,
    /// When it does not disturb anybody.
    #[validate(nested)]
    #[schema(value_type = Option<ChannelQuietHours>)]
    pub quiet_hours: Option<Jsonb<ChannelQuietHours>>,
    /// Free fields; typed where an attribute definition says so.
    #[serde(default)]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    pub attributes: Jsonb<Attributes>,
    /// Free labels.
    #[serde(default)]
    #[validate(length(max = 100), custom(function = "valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["marketing"]), max_items = 100)]
    pub tags: Vec<String>,
}

/// Changes to a channel: absent fields are left alone, null clears what can be empty, arrays and
/// `sender`, `rate_limit` and `quiet_hours` replace, `config` and `attributes` merge.
#[derive(Debug, Clone, Deserialize, Validate, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = channels)]
pub struct ChannelPatch {
    /// Ids in outside systems; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Option<Vec<ExternalId>>, max_items = 50)]
    pub external_ids: Option<Jsonb<Vec<ExternalId>>>,
    /// What kind of place it is: only for a channel that an upsert makes.
    #[serde(default, deserialize_with = "never_null")]
    #[diesel(skip_update)]
    #[schema(nullable = false)]
    pub r#type: Option<ChannelType>,
    /// Name for people.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Newsletter", min_length = 1, max_length = 200, nullable = false)]
    pub name: Option<String>,
    /// Who carries it out.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(max = 63), custom(function = "valid::key"))]
    #[schema(
        example = "smtp",
        min_length = 1,
        max_length = 63,
        pattern = "^[a-z][a-z0-9_]*$",
        nullable = false
    )]
    pub provider: Option<String>,
    /// Which way it can be used.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub direction: Option<ChannelDirection>,
    /// Settings to change; null removes one. A secret stays where it is left out or sent as it was
    /// shown.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "settings::free_config"))]
    #[diesel(skip_update)]
    #[schema(nullable = false)]
    pub config: Option<ChannelConfig>,
    /// In whose name it speaks.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    #[schema(value_type = Option<ChannelSender>)]
    pub sender: Option<Option<Jsonb<ChannelSender>>>,
    /// What it can do; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 50), custom(function = "valid::tags"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, example = json!(["html", "attachments"]), max_items = 50)]
    pub capabilities: Option<Vec<String>>,
    /// How much it sends at most.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    #[schema(value_type = Option<ChannelRateLimit>)]
    pub rate_limit: Option<Option<Jsonb<ChannelRateLimit>>>,
    /// When it does not disturb anybody.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    #[schema(value_type = Option<ChannelQuietHours>)]
    pub quiet_hours: Option<Option<Jsonb<ChannelQuietHours>>>,
    /// Free fields; the keys given are set, null removes a key.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    #[diesel(skip_update)]
    pub attributes: Option<Jsonb<Attributes>>,
    /// Free labels; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 100), custom(function = "valid::tags"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, example = json!(["marketing"]), max_items = 100)]
    pub tags: Option<Vec<String>>,
}

impl ChannelPatch {
    /// The same fields for a channel that does not exist yet; 422 without a type and a name.
    pub fn into_new(self) -> Result<NewChannel> {
        let required =
            |name| FieldError::at(format!("#/{name}"), "required", format!("`{name}` is required"));
        let (r#type, name) = match (self.r#type, self.name) {
            (Some(r#type), Some(name)) => (r#type, name),
            (None, Some(_)) => return Err(Error::invalid(vec![required("type")])),
            (Some(_), None) => return Err(Error::invalid(vec![required("name")])),
            (None, None) => return Err(Error::invalid(vec![required("name"), required("type")])),
        };
        Ok(NewChannel {
            external_ids: self.external_ids.unwrap_or_default(),
            r#type,
            name,
            provider: self.provider.unwrap_or_else(manual),
            direction: self.direction.unwrap_or_else(both),
            config: self.config.unwrap_or_default(),
            sender: self.sender.flatten(),
            capabilities: self.capabilities.unwrap_or_default(),
            rate_limit: self.rate_limit.flatten(),
            quiet_hours: self.quiet_hours.flatten(),
            attributes: self.attributes.unwrap_or_default(),
            tags: self.tags.unwrap_or_default(),
        })
    }
}

fn manual() -> String {
    "manual".into()
}

fn both() -> ChannelDirection {
    ChannelDirection::Both
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_came_in_are_never_printed() {
        let new: NewChannel = serde_json::from_value(json!({
            "type": "email", "name": "Newsletter", "config": { "password": "hunter2hunter2" },
        }))
        .unwrap();
        let written = serde_json::to_string(&new).unwrap();
        assert!(!format!("{new:?}{written}").contains("hunter2"));
        assert_eq!((new.provider.as_str(), new.direction), ("manual", ChannelDirection::Both));
    }

    #[test]
    fn a_patch_that_makes_a_channel_names_what_it_lacks() {
        let patch: ChannelPatch = serde_json::from_value(json!({ "provider": "smtp" })).unwrap();
        let faults = patch.into_new().unwrap_err().rejection().errors.clone();
        let pointers: Vec<_> = faults.iter().filter_map(|fault| fault.pointer.as_deref()).collect();
        assert_eq!(pointers, ["#/name", "#/type"]);
    }
}
