//! How a channel is set up: its provider's settings, its sender, its limits and its quiet hours.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationError};

use crate::values::valid;

/// The settings of a channel as they come in, by name. They may hold secrets, so they are never
/// written anywhere: validators, which keep a copy of what they refuse, get asterisks.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ChannelConfig(pub Map<String, Value>);

impl fmt::Debug for ChannelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelConfig(***)")
    }
}

impl Serialize for ChannelConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("***")
    }
}

impl PartialSchema for ChannelConfig {
    fn schema() -> RefOr<Schema> {
        let about = "Settings by name. Those named `secret`, `password`, `token`, `api_key`, \
                     `access_token`, `client_secret`, `auth_token` or `private_key`, or ending in \
                     `_secret`, `_password`, `_token` or `_key`, are secrets: text that is kept \
                     sealed and shown as `{\"has_secret\": true, \"last4\": \"…\"}` only.";
        ObjectBuilder::new()
            .description(Some(about))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([json!({ "host": "smtp.example.com", "port": 587 })])
            .into()
    }
}

impl ToSchema for ChannelConfig {}

/// In whose name a channel speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSender {
    /// The name people see.
    #[validate(length(max = 200))]
    #[schema(example = "Bergsport Tirol", max_length = 200)]
    pub name: Option<String>,
    /// The email address, phone number or handle it comes from.
    #[validate(length(max = 320))]
    #[schema(example = "hello@bergsport.example.com", max_length = 320)]
    pub address: Option<String>,
}

/// How much a channel sends at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelRateLimit {
    /// Messages in a second; null for no limit.
    #[validate(range(min = 1))]
    #[schema(example = 10, minimum = 1)]
    pub per_second: Option<i32>,
    /// Messages in a day; null for no limit.
    #[validate(range(min = 1))]
    #[schema(example = 50_000, minimum = 1)]
    pub per_day: Option<i32>,
}

/// Hours in which a channel does not disturb anybody; may run over midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelQuietHours {
    /// When they begin, as hours and minutes.
    #[validate(custom(function = "clock"))]
    #[schema(example = "22:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub from: String,
    /// When they end, as hours and minutes.
    #[validate(custom(function = "clock"))]
    #[schema(example = "07:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub to: String,
    /// IANA time zone of the clock; null for the customer's own, or else the workspace's.
    #[validate(custom(function = "valid::timezone"))]
    #[schema(example = "Europe/Vienna")]
    pub timezone: Option<String>,
}

/// For `#[validate]`: a time of day such as `22:00`.
fn clock(text: &str) -> Result<(), ValidationError> {
    let is_clock = text.len() == 5 && chrono::NaiveTime::parse_from_str(text, "%H:%M").is_ok();
    if is_clock {
        return Ok(());
    }
    let expected = "must be a time of day such as `22:00`";
    Err(ValidationError::new("invalid_clock").with_message(expected.into()))
}

/// For `#[validate]`: depth, size and characters of the settings.
pub(super) fn free_config(config: &ChannelConfig) -> Result<(), ValidationError> {
    valid::free_object(&Value::Object(config.0.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_two_digits_each() {
        assert!(["00:00", "07:30", "23:59"].iter().all(|text| clock(text).is_ok()));
        for bad in ["", "7:30", "24:00", "12:60", "12:5 ", "+1:00", "12-30"] {
            assert!(clock(bad).is_err(), "{bad}");
        }
    }
}
