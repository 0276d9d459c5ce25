//! Touchpoints as callers see them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{Direction, Entry};
use crate::db::ActorKind;
use crate::db::json::{Expanded, RawJson};
use crate::error::Result;
use crate::schema::touchpoints;
use crate::values::free::FreeObject;
use crate::values::money::Money;

/// What a touchpoint is about: a product, an order, a page of ours.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TouchpointSubject {
    /// What kind of thing it is.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "product", min_length = 1, max_length = 100)]
    pub r#type: String,
    /// Its id, here or in the company's systems.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "sku-4711", min_length = 1, max_length = 255)]
    pub id: String,
}

/// Who did what the touchpoint tells.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TouchpointActor {
    /// What kind of somebody.
    pub r#type: ActorKind,
    /// The user, customer or API key; null for the system.
    pub id: Option<Uuid>,
}

/// What was said or sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TouchpointContent {
    /// Subject line.
    #[validate(length(max = 1000))]
    #[schema(max_length = 1000)]
    pub subject: Option<String>,
    /// Plain text.
    #[validate(length(max = 20_000))]
    #[schema(example = "Do the boots run small?", max_length = 20000)]
    pub text: Option<String>,
    /// HTML as it was sent; sanitise it before you show it.
    #[validate(length(max = 100_000))]
    #[schema(max_length = 100000)]
    pub html: Option<String>,
    /// What was said in a call or meeting.
    #[validate(length(max = 100_000))]
    #[schema(max_length = 100000)]
    pub transcript: Option<String>,
    /// Language, BCP 47.
    #[validate(custom(function = "crate::values::valid::locale"))]
    #[schema(example = "en")]
    pub language: Option<String>,
}

/// The page that was seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TouchpointPage {
    /// Full address.
    #[validate(length(max = 4000))]
    #[schema(example = "https://shop.example.com/boots", max_length = 4000)]
    pub url: Option<String>,
    /// Path alone.
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    pub path: Option<String>,
    /// Title.
    #[validate(length(max = 1000))]
    #[schema(max_length = 1000)]
    pub title: Option<String>,
    /// The page before.
    #[validate(length(max = 4000))]
    #[schema(max_length = 4000)]
    pub referrer: Option<String>,
}

/// The campaign that led here (UTM).
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TouchpointCampaign {
    /// `utm_campaign`.
    #[validate(length(max = 200))]
    #[schema(example = "spring", max_length = 200)]
    pub name: Option<String>,
    /// `utm_source`.
    #[validate(length(max = 200))]
    #[schema(example = "newsletter", max_length = 200)]
    pub source: Option<String>,
    /// `utm_medium`.
    #[validate(length(max = 200))]
    #[schema(example = "email", max_length = 200)]
    pub medium: Option<String>,
    /// `utm_term`.
    #[validate(length(max = 200))]
    #[schema(max_length = 200)]
    pub term: Option<String>,
    /// `utm_content`.
    #[validate(length(max = 200))]
    #[schema(max_length = 200)]
    pub content: Option<String>,
}

/// The circumstances of a touchpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TouchpointContext {
    /// Address it came from.
    #[validate(length(max = 45))]
    #[schema(max_length = 45)]
    pub ip: Option<String>,
    /// Browser or app.
    #[validate(length(max = 1000))]
    #[schema(max_length = 1000)]
    pub user_agent: Option<String>,
    /// Language setting of browser or app.
    #[validate(length(max = 35))]
    #[schema(max_length = 35)]
    pub locale: Option<String>,
    /// Time zone of browser or app.
    #[validate(length(max = 64))]
    #[schema(max_length = 64)]
    pub timezone: Option<String>,
    /// The page that was seen.
    #[validate(nested)]
    pub page: Option<TouchpointPage>,
    /// The campaign that led here.
    #[validate(nested)]
    pub campaign: Option<TouchpointCampaign>,
    /// What is known of the device.
    #[validate(custom(function = "crate::values::free::valid"))]
    pub device: Option<FreeObject>,
    /// What is known of the place.
    #[validate(custom(function = "crate::values::free::valid"))]
    pub location: Option<FreeObject>,
}

/// One thing that happened between the company and a customer, online or offline.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Touchpoint {
    /// Unique id, a UUIDv7 of the time it happened.
    pub id: Uuid,
    /// The customer; null while nobody knows who it was.
    pub customer_id: Option<Uuid>,
    /// The customer it first belonged to; a merge never changes it.
    pub origin_customer_id: Option<Uuid>,
    /// The id of a browser or app, where that is all there is.
    pub anonymous_id: Option<String>,
    /// The organization it concerns.
    pub organization_id: Option<Uuid>,
    /// The channel it happened on; null for entries of the log itself.
    pub channel_id: Option<Uuid>,
    /// Which way it went, seen from the company.
    pub direction: Direction,
    /// What happened, as `noun.past_verb`.
    #[schema(example = "product.viewed")]
    pub r#type: String,
    /// What the sender calls it.
    #[schema(example = "Product Viewed")]
    pub name: Option<String>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// When we were told.
    pub received_at: DateTime<Utc>,
    /// The system that told us.
    #[schema(example = "shop")]
    pub source: String,
    /// The sender's id of it, by which repeats are recognised.
    pub message_id: Option<String>,
    /// What it is about.
    pub subject: Option<TouchpointSubject>,
    /// The conversation it belongs to.
    pub conversation_id: Option<Uuid>,
    /// The campaign it belongs to.
    pub campaign_id: Option<Uuid>,
    /// Who did it.
    #[schema(value_type = TouchpointActor)]
    pub actor: RawJson,
    /// What it was worth.
    pub value: Option<Money>,
    /// What was said or sent.
    #[schema(value_type = Option<TouchpointContent>)]
    pub content: Option<Expanded<TouchpointContent>>,
    /// The circumstances.
    #[schema(value_type = Option<TouchpointContext>)]
    pub context: Option<Expanded<TouchpointContext>>,
    /// Anything else, as the sender gave it.
    #[schema(value_type = FreeObject)]
    pub properties: RawJson,
}

/// The stored columns of a touchpoint.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = touchpoints)]
pub struct TouchpointRow {
    id: Uuid,
    customer_id: Option<Uuid>,
    origin_customer_id: Option<Uuid>,
    anonymous_id: Option<String>,
    organization_id: Option<Uuid>,
    channel_id: Option<Uuid>,
    direction: Direction,
    type_: String,
    name: Option<String>,
    received_at: DateTime<Utc>,
    source: String,
    message_id: Option<String>,
    subject: Option<RawJson>,
    conversation_id: Option<Uuid>,
    campaign_id: Option<Uuid>,
    actor: RawJson,
    value_amount: Option<i64>,
    value_currency: Option<String>,
    content: Option<RawJson>,
    context: Option<RawJson>,
    properties: RawJson,
}

impl Entry {
    /// What a reader would find now that it was stored at `received_at`.
    pub fn stored(self, received_at: DateTime<Utc>) -> Result<Touchpoint> {
        let shown = |json: Option<Value>| json.map(|json| RawJson::of(&json)).transpose();
        Ok(Touchpoint {
            id: self.id,
            customer_id: self.customer_id,
            origin_customer_id: self.origin_customer_id,
            anonymous_id: self.anonymous_id,
            organization_id: self.organization_id,
            channel_id: self.channel_id,
            direction: self.direction,
            r#type: self.kind,
            name: self.name,
            occurred_at: crate::db::id::instant(self.id),
            received_at,
            source: self.source,
            message_id: self.message_id,
            subject: self.subject.and_then(|subject| serde_json::from_value(subject).ok()),
            conversation_id: None,
            campaign_id: None,
            actor: RawJson::of(&self.actor)?,
            value: self.value,
            content: shown(self.content)?.map(Expanded::new),
            context: shown(self.context)?.map(Expanded::new),
            properties: RawJson::of(&self.properties)?,
        })
    }
}

impl From<TouchpointRow> for Touchpoint {
    fn from(row: TouchpointRow) -> Self {
        Self {
            id: row.id,
            customer_id: row.customer_id,
            origin_customer_id: row.origin_customer_id,
            anonymous_id: row.anonymous_id,
            organization_id: row.organization_id,
            channel_id: row.channel_id,
            direction: row.direction,
            r#type: row.type_,
            name: row.name,
            occurred_at: crate::db::id::instant(row.id),
            received_at: row.received_at,
            source: row.source,
            message_id: row.message_id,
            subject: row.subject.and_then(|subject| subject.parse().ok()),
            conversation_id: row.conversation_id,
            campaign_id: row.campaign_id,
            actor: row.actor,
            value: row
                .value_amount
                .zip(row.value_currency)
                .map(|(amount, currency)| Money { amount, currency }),
            content: row.content.map(Expanded::new),
            context: row.context.map(Expanded::new),
            properties: row.properties,
        }
    }
}
