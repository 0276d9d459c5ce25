//! What a customer is: fields as they are stored, sent and changed.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use crate::attributes::Attributes;
use crate::db::json::RawJson;
use crate::external_ids::ExternalId;
use crate::http::Versioned;
use crate::schema::{customer_stats, customers};
use crate::values::money::Money;
use crate::values::valid;

crate::text_enum! {
    /// How far somebody has come with the company. Automatic moves only go forward.
    pub enum LifecycleStage {
        Visitor = "visitor",
        Subscriber = "subscriber",
        Lead = "lead",
        MarketingQualifiedLead = "marketing_qualified_lead",
        SalesQualifiedLead = "sales_qualified_lead",
        Opportunity = "opportunity",
        Customer = "customer",
        Evangelist = "evangelist",
        Other = "other",
    }
}

crate::text_enum! {
    /// Whether a customer is in use; `merged` and `erased` are set by those operations alone.
    pub enum CustomerStatus {
        Active = "active",
        Inactive = "inactive",
        Blocked = "blocked",
        Merged = "merged",
        Erased = "erased",
    }
}

crate::text_enum! {
    /// What callers may set a customer's status to.
    pub enum SettableStatus {
        Active = "active",
        Inactive = "inactive",
        Blocked = "blocked",
    }
}

crate::text_enum! {
    /// What an address is for.
    pub enum AddressType {
        Billing = "billing",
        Shipping = "shipping",
        Home = "home",
        Work = "work",
    }
}

/// A postal address (schema.org `PostalAddress`, with Shopify's line names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// What the address is for.
    pub r#type: AddressType,
    /// Whether it is the one to use among those of its type.
    #[serde(default)]
    pub is_default: bool,
    /// Street and number.
    #[validate(length(max = 200))]
    #[schema(example = "Bergstraße 12", max_length = 200)]
    pub line1: Option<String>,
    /// Flat, floor, company.
    #[validate(length(max = 200))]
    #[schema(max_length = 200)]
    pub line2: Option<String>,
    /// Town.
    #[validate(length(max = 100))]
    #[schema(example = "Innsbruck", max_length = 100)]
    pub city: Option<String>,
    /// State, province, canton or county.
    #[validate(length(max = 100))]
    #[schema(max_length = 100)]
    pub region: Option<String>,
    /// Postal code as the country writes it.
    #[validate(length(max = 20))]
    #[schema(example = "6020", max_length = 20)]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[validate(custom(function = "valid::country"))]
    #[schema(example = "AT", max_length = 2)]
    pub country: Option<String>,
}

/// How a customer first found the company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acquisition {
    /// `utm_source` of the first visit.
    #[validate(length(max = 200))]
    #[schema(example = "newsletter", max_length = 200)]
    pub utm_source: Option<String>,
    /// `utm_medium` of the first visit.
    #[validate(length(max = 200))]
    #[schema(example = "email", max_length = 200)]
    pub utm_medium: Option<String>,
    /// `utm_campaign` of the first visit.
    #[validate(length(max = 200))]
    #[schema(example = "spring_2026", max_length = 200)]
    pub utm_campaign: Option<String>,
    /// The page that linked here.
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    pub referrer: Option<String>,
    /// The first page that was seen.
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    pub landing_page: Option<String>,
}

/// What a customer would like to hear about, where and in which language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// Preferred channel types, best first.
    #[serde(default)]
    #[validate(length(max = 20), custom(function = "valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, max_items = 20, example = json!(["email"]))]
    pub channels: Vec<String>,
    /// Topics of interest.
    #[serde(default)]
    #[validate(length(max = 100), custom(function = "valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, max_items = 100, example = json!(["climbing"]))]
    pub topics: Vec<String>,
    /// Language of messages, BCP 47.
    #[validate(custom(function = "valid::locale"))]
    #[schema(example = "de", max_length = 35)]
    pub language: Option<String>,
}

/// A customer or prospect: a person the company has a relationship with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Customer {
    #[serde(flatten)]
    pub fields: CustomerFields,
    /// Figures over what the customer did; null with `as_of`, for they are those of today.
    pub stats: Option<CustomerStats>,
    /// The id that was asked for, where that customer was merged into this one.
    pub merged_from: Option<Uuid>,
    /// The moment that the other fields are of, where it was asked for; null is now.
    pub as_of: Option<DateTime<Utc>>,
}

/// The stored fields of a customer.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, Deserialize, ToSchema)]
#[diesel(table_name = customers)]
pub struct CustomerFields {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Ids in outside systems, at most one per system.
    #[schema(value_type = Vec<ExternalId>)]
    pub external_ids: RawJson,
    /// Given name.
    #[schema(example = "Ada")]
    pub first_name: Option<String>,
    /// Family name.
    #[schema(example = "Lindqvist")]
    pub last_name: Option<String>,
    /// The name to show, where it is not first and last name.
    pub display_name: Option<String>,
    /// Primary email address, in lower case; further ones are identities.
    #[schema(example = "ada@shop.example.com")]
    pub email: Option<String>,
    /// Primary phone number in E.164; further ones are identities.
    #[schema(example = "+436641234567")]
    pub phone: Option<String>,
    /// Form of address or job title.
    pub title: Option<String>,
    /// Day of birth.
    pub birth_date: Option<NaiveDate>,
    /// Gender, in the company's own words.
    pub gender: Option<String>,
    /// Language and region, BCP 47.
    #[schema(example = "de-AT")]
    pub locale: Option<String>,
    /// IANA time zone.
    #[schema(example = "Europe/Vienna")]
    pub timezone: Option<String>,
    /// Preferred currency, ISO 4217.
    #[schema(example = "EUR")]
    pub currency: Option<String>,
    /// Postal addresses.
    #[schema(value_type = Vec<Address>)]
    pub addresses: RawJson,
    /// How far the customer has come.
    pub lifecycle_stage: LifecycleStage,
    /// Whether the customer is in use.
    pub status: CustomerStatus,
    /// The user who looks after this customer.
    pub owner_id: Option<Uuid>,
    /// Where the record came from.
    #[schema(example = "shop")]
    pub source: Option<String>,
    /// How the customer first found the company.
    #[schema(value_type = Option<Acquisition>)]
    pub acquisition: Option<RawJson>,
    /// What the customer would like to hear about.
    #[schema(value_type = Option<Preferences>)]
    pub preferences: Option<RawJson>,
    /// Lead score.
    pub score: Option<i32>,
    /// The customer that this one was merged into.
    pub merged_into_id: Option<Uuid>,
    /// Free fields; typed where an attribute definition says so.
    #[schema(value_type = Attributes)]
    pub attributes: RawJson,
    /// Free labels.
    #[schema(example = json!(["club"]))]
    pub tags: Vec<String>,
    /// Rises by one with every change; the `ETag`. 0 with `as_of`.
    pub version: i64,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted; null while it is not.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Since when the record may be kept and nothing else (GDPR, article 18); null while it may be
    /// used.
    pub restricted_at: Option<DateTime<Utc>>,
}

/// Figures over what a customer did; they follow from touchpoints and orders.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(example = json!({
    "touchpoints_count": 12, "orders_count": 0, "total_spent": null, "average_order_value": null,
    "first_order_at": null, "last_order_at": null, "first_seen_at": "2026-03-01T09:12:00Z",
    "last_seen_at": "2026-03-14T08:00:00Z", "last_contacted_at": null
}))]
pub struct CustomerStats {
    /// Touchpoints in either direction, without the log's own entries.
    pub touchpoints_count: i64,
    /// Orders placed and not cancelled.
    pub orders_count: i64,
    /// Paid less refunded over those orders, in the workspace's currency; orders in other currencies
    /// are not in it.
    pub total_spent: Option<Money>,
    /// `total_spent` by `orders_count`.
    pub average_order_value: Option<Money>,
    /// First order.
    pub first_order_at: Option<DateTime<Utc>>,
    /// Latest order.
    pub last_order_at: Option<DateTime<Utc>>,
    /// First inbound touchpoint.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// Latest inbound touchpoint.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Latest outbound touchpoint.
    pub last_contacted_at: Option<DateTime<Utc>>,
}

/// The stored figures.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = customer_stats)]
pub struct StatsRow {
    touchpoints_count: i64,
    orders_count: i64,
    total_spent: i64,
    currency: Option<String>,
    first_order_at: Option<DateTime<Utc>>,
    last_order_at: Option<DateTime<Utc>>,
    first_seen_at: Option<DateTime<Utc>>,
    last_seen_at: Option<DateTime<Utc>>,
    last_contacted_at: Option<DateTime<Utc>>,
}

impl From<(CustomerFields, Option<StatsRow>)> for Customer {
    fn from((fields, row): (CustomerFields, Option<StatsRow>)) -> Self {
        let stats = row.map_or_else(CustomerStats::default, StatsRow::shown);
        Self { fields, stats: Some(stats), merged_from: None, as_of: None }
    }
}

impl StatsRow {
    fn shown(self) -> CustomerStats {
        let money = |amount| {
            let currency = self.currency.clone()?;
            Some(Money { amount, currency })
        };
        CustomerStats {
            touchpoints_count: self.touchpoints_count,
            orders_count: self.orders_count,
            total_spent: money(self.total_spent),
            average_order_value: match self.orders_count {
                0 => None,
                // To the nearest unit; what is spent is not negative.
                orders => money((self.total_spent + orders / 2) / orders),
            },
            first_order_at: self.first_order_at,
            last_order_at: self.last_order_at,
            first_seen_at: self.first_seen_at,
            last_seen_at: self.last_seen_at,
            last_contacted_at: self.last_contacted_at,
        }
    }
}

impl Versioned for Customer {
    const COLLECTION: &'static str = "/v1/customers";

    fn id(&self) -> Uuid {
        self.fields.id
    }

    fn version(&self) -> i64 {
        self.fields.version
    }
}
