//! What a call says, in the words of the protocol.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use validator::Validate;

use super::call::check_message;
use super::clean::clean;
use crate::error::{Error, FieldError, Result};
use crate::http::json;
use crate::values::free::FreeObject;
use crate::values::time::check_time;

crate::text_enum! {
    /// What kind of call it is.
    pub enum CallType {
        Identify = "identify",
        Track = "track",
        Page = "page",
        Screen = "screen",
        Group = "group",
        Alias = "alias",
    }
}

/// A call of the Segment protocol. Fields that are not listed here are taken and left aside: libraries
/// send many.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrackingCall {
    /// What kind of call it is: in a batch, where the path does not say so.
    pub r#type: Option<CallType>,
    /// The sender's id of the call: a repeat changes nothing.
    #[serde(deserialize_with = "id")]
    #[schema(example = "ajs-next-1785-0f9c", max_length = 255)]
    pub message_id: Option<String>,
    /// Who it was: the id of the login. This or `anonymousId` is required, except by `alias`.
    #[serde(deserialize_with = "id")]
    #[schema(example = "u-4711", max_length = 255)]
    pub user_id: Option<String>,
    /// Who it was: the id that the browser or app made up.
    #[serde(deserialize_with = "id")]
    #[schema(max_length = 255)]
    pub anonymous_id: Option<String>,
    /// `group`: the id of the organization.
    #[serde(deserialize_with = "id")]
    #[schema(max_length = 255)]
    pub group_id: Option<String>,
    /// `alias`: the id by which the customer was known before.
    #[serde(deserialize_with = "id")]
    #[schema(max_length = 255)]
    pub previous_id: Option<String>,
    /// `track`: what happened.
    #[schema(max_length = 200)]
    pub event: Option<String>,
    /// `page` and `screen`: which one.
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// `page` and `screen`: of what kind it is.
    #[schema(max_length = 200)]
    pub category: Option<String>,
    /// `identify` and `group`: what is known of the customer or organization.
    pub traits: Option<FreeObject>,
    /// `track`, `page` and `screen`: anything else about it.
    pub properties: Option<FreeObject>,
    /// The circumstances: `page`, `campaign`, `userAgent`, `ip`, `locale`, `timezone`, `library` …
    pub context: Option<FreeObject>,
    /// When it happened by the sender's clock: RFC 3339, or seconds or milliseconds since 1970.
    #[serde(deserialize_with = "moment")]
    pub timestamp: Option<String>,
    /// The same under the name that RudderStack gives it.
    #[serde(deserialize_with = "moment")]
    pub original_timestamp: Option<String>,
    /// When it was sent by the sender's clock: tells how wrong that clock is.
    #[serde(deserialize_with = "moment")]
    pub sent_at: Option<String>,
    /// The write key, where no header carries one.
    pub write_key: Option<String>,
}

/// Calls of the Segment protocol, each on its own. At most 500 KiB, each call at most 32 KiB.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrackingBatch {
    /// At most 2500 calls, each with its `type`.
    #[schema(max_items = 2500)]
    pub batch: Vec<TrackingCall>,
    /// Circumstances of all of them; a call's own win.
    pub context: Option<FreeObject>,
    /// When it was sent by the sender's clock.
    #[serde(deserialize_with = "moment")]
    pub sent_at: Option<String>,
    /// The write key, where no header carries one.
    pub write_key: Option<String>,
}

/// A call that can be understood.
#[derive(Debug, Clone)]
pub struct Message {
    pub kind: CallType,
    pub message_id: Option<String>,
    pub user_id: Option<String>,
    pub anonymous_id: Option<String>,
    /// The organization's id in a `group`, the former id in an `alias`.
    pub other_id: Option<String>,
    /// What happened, or which page or screen it was.
    pub name: Option<String>,
    /// Traits or properties.
    pub details: Map<String, Value>,
    pub context: Map<String, Value>,
    pub said_at: Option<DateTime<Utc>>,
    pub sent_at: Option<DateTime<Utc>>,
    /// What was left out, and why.
    pub ignored: Vec<FieldError>,
}

/// Logins are numbers in some shops.
fn id<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(source)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) if !number.is_f64() => Ok(Some(number.to_string())),
        _ => Err(D::Error::custom("an id is text or a whole number")),
    }
}

/// Whatever it is, it is not worth losing a call for.
fn moment<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// A text that says something.
fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

impl Message {
    /// Reads one call; `kind` is what its path says.
    pub fn read(mut value: Value, kind: Option<CallType>) -> Result<Self> {
        let mut ignored = Vec::new();
        clean(&mut value, &mut ignored);
        check_message(&value)?;
        let call: TrackingCall = json::part(value)?;
        call.check_lengths()?;
        let Some(kind) = kind.or(call.r#type) else {
            let detail = "`type` says what kind of call it is";
            return Err(Error::field("#/type", "required", detail));
        };
        let message = call.message(kind, ignored);
        message.check_ids()?;
        Ok(message)
    }

    fn check_ids(&self) -> Result<()> {
        let required = |pointer: &str, detail: &str| Err(Error::field(pointer, "required", detail));
        match self.kind {
            CallType::Alias if self.user_id.is_none() => {
                return required("#/userId", "`alias` needs the `userId` that is to be used");
            }
            _ if self.user_id.is_none() && self.anonymous_id.is_none() => {
                return required("#/userId", "a call needs a `userId` or an `anonymousId`");
            }
            _ => {}
        }
        match (self.kind, &self.other_id, &self.name) {
            (CallType::Alias, None, _) => required("#/previousId", "`alias` needs a `previousId`"),
            (CallType::Group, None, _) => required("#/groupId", "`group` needs a `groupId`"),
            (CallType::Track, _, None) => required("#/event", "`track` needs an `event`"),
            _ => Ok(()),
        }
    }

    /// When it happened by our clock. The sender's may be wrong; how wrong, the time tells at which it
    /// says to have sent this. Nothing happens after we were told.
    pub fn happened_at(&self, received_at: DateTime<Utc>) -> DateTime<Utc> {
        let Some(said) = self.said_at else { return received_at };
        let skew = self.sent_at.map_or(TimeDelta::zero(), |sent| received_at - sent);
        said.checked_add_signed(skew).map_or(received_at, |at| at.min(received_at))
    }
}

impl TrackingCall {
    fn check_lengths(&self) -> Result<()> {
        let texts = [
            ("messageId", &self.message_id, 255),
            ("userId", &self.user_id, 255),
            ("anonymousId", &self.anonymous_id, 255),
            ("groupId", &self.group_id, 255),
            ("previousId", &self.previous_id, 255),
            ("event", &self.event, 200),
            ("name", &self.name, 200),
            ("category", &self.category, 200),
        ];
        let is_long = |text: &Option<String>, most| {
            text.as_ref().is_some_and(|text| text.chars().count() > most)
        };
        let faults = texts.into_iter().filter(|(_, text, most)| is_long(text, *most));
        let faults: Vec<FieldError> = faults
            .map(|(name, _, most)| {
                let detail = format!("`{name}` may have up to {most} characters");
                FieldError::at(format!("#/{name}"), "invalid_length", detail)
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
    }

    fn message(self, kind: CallType, mut ignored: Vec<FieldError>) -> Message {
        let context = self.context.unwrap_or_default().0;
        let mut details = match kind {
            CallType::Identify | CallType::Group => self.traits,
            CallType::Track | CallType::Page | CallType::Screen => self.properties,
            CallType::Alias => None,
        }
        .unwrap_or_default()
        .0;
        if kind == CallType::Identify {
            // RudderStack says them there.
            let said = context.get("traits").and_then(Value::as_object).into_iter().flatten();
            for (name, value) in said {
                details.entry(name).or_insert_with(|| value.clone());
            }
        }
        if let Some(category) = self.category {
            details.entry("category").or_insert(Value::String(category));
        }
        let (other_id, name) = match kind {
            CallType::Group => (self.group_id, None),
            CallType::Alias => (self.previous_id, None),
            CallType::Track => (None, self.event),
            CallType::Page | CallType::Screen => (None, self.name),
            CallType::Identify => (None, None),
        };
        let said = [("timestamp", self.timestamp), ("originalTimestamp", self.original_timestamp)];
        let mut time = |name: &str, text: Option<String>| read_time(name, text, &mut ignored);
        let said_at = said.map(|(name, text)| time(name, text)).into_iter().flatten().next();
        let sent_at = time("sentAt", self.sent_at);
        Message {
            kind,
            message_id: filled(self.message_id),
            user_id: filled(self.user_id),
            anonymous_id: filled(self.anonymous_id),
            other_id: filled(other_id),
            name: filled(name),
            details,
            context,
            said_at,
            sent_at,
            ignored,
        }
    }
}

fn read_time(
    name: &str,
    text: Option<String>,
    ignored: &mut Vec<FieldError>,
) -> Option<DateTime<Utc>> {
    let text = filled(text)?;
    let time = time_of(&text).or_else(|| since_1970(&text));
    if time.is_none() {
        let detail = format!("`{name}` is no time such as 2026-03-14T08:00:00Z");
        ignored.push(FieldError::at(format!("#/{name}"), "invalid_time", detail));
    }
    time
}

/// A time with or without its offset; without one it is taken for UTC.
fn time_of(text: &str) -> Option<DateTime<Utc>> {
    let naive = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok();
    let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    time.or_else(|| naive().map(|time| time.and_utc())).filter(|at| check_time(*at))
}

/// Seconds since 1970 where that is a time anybody can mean, else milliseconds. Less than a day of 1973
/// is rather a date written without its hyphens.
fn since_1970(text: &str) -> Option<DateTime<Utc>> {
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    let micros = |of_one: f64| DateTime::from_timestamp_micros((number * of_one).round() as i64);
    let is_meant = |at: &DateTime<Utc>| check_time(*at) && at.timestamp() >= 100_000_000;
    [1e6, 1e3].into_iter().filter_map(micros).find(is_meant)
}

/// The calls of a batch, each as if it had come alone.
pub fn split(mut body: Map<String, Value>) -> Result<Vec<Value>> {
    let items = match body.remove("batch") {
        Some(Value::Array(items)) => items,
        Some(_) => {
            return Err(Error::field("#/batch", "invalid_type", "`batch` is a list of calls"));
        }
        None => return Err(Error::field("#/batch", "required", "`batch` is required")),
    };
    // What is wrong with the circumstances is told with each call.
    let context = body.get("context").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut body = Value::Object(body);
    clean(&mut body, &mut Vec::new());
    check_message(&body)?;
    let shared: TrackingBatch = json::part(body)?;
    let completed = items.into_iter().map(|mut item| {
        if let Value::Object(item) = &mut item {
            complete(item, &context, shared.sent_at.as_ref());
        }
        item
    });
    Ok(completed.collect())
}

fn complete(item: &mut Map<String, Value>, context: &Map<String, Value>, sent_at: Option<&String>) {
    if let Some(sent_at) = sent_at
        && item.get("sentAt").is_none_or(Value::is_null)
    {
        item.insert("sentAt".into(), Value::String(sent_at.clone()));
    }
    if !context.is_empty() {
        let own = item.entry("context").or_insert(Value::Null);
        if own.is_null() {
            *own = Value::Object(Map::new());
        }
        if let Value::Object(own) = own {
            for (name, value) in context {
                own.entry(name).or_insert_with(|| value.clone());
            }
        }
    }
}
