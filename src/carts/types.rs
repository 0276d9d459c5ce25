//! What a cart is: as it is stored, sent and changed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use crate::customers::references::CustomerReference;
use crate::db::json::Jsonb;
use crate::external_ids::ExternalId;
use crate::http::Versioned;
use crate::http::json::{never_null, null_empties};
use crate::schema::carts;
use crate::values::money::Money;
use crate::values::valid;

crate::text_enum! {
    /// How far a cart has come. Idle for an hour it is abandoned; who comes back to it recovers it.
    pub enum CartStatus {
        Active = "active",
        Checkout = "checkout",
        Abandoned = "abandoned",
        Recovered = "recovered",
        Converted = "converted",
        Expired = "expired",
    }
}

crate::text_enum! {
    /// What callers may say of a cart; the rest follows from time and orders.
    pub enum CartProgress {
        Active = "active",
        Checkout = "checkout",
    }
}

/// One line of a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartLineItem {
    /// The line's id in the cart's source.
    #[schema(example = "39072856")]
    pub external_id: Option<String>,
    /// The product, where it is known.
    pub product_id: Option<Uuid>,
    /// The product's id in the cart's source.
    #[schema(example = "632910392")]
    pub product_external_id: Option<String>,
    /// Stock-keeping unit.
    #[schema(example = "ROPE-60-BLUE")]
    pub sku: Option<String>,
    /// Name.
    #[schema(example = "Single rope 9.5 mm, 60 m")]
    pub name: String,
    /// Size, color and the like.
    #[schema(example = "blue")]
    pub variant: Option<String>,
    /// How many.
    #[schema(example = 1)]
    pub quantity: i32,
    /// Price of one.
    pub unit_price: Money,
    /// `quantity` times `unit_price`.
    pub total: Money,
}

/// The stored row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = carts)]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct CartRow {
    pub id: Uuid,
    pub external_ids: Jsonb<Vec<ExternalId>>,
    pub source: String,
    pub customer_id: Option<Uuid>,
    pub origin_customer_id: Option<Uuid>,
    pub anonymous_id: Option<String>,
    pub email: Option<String>,
    pub status: CartStatus,
    pub currency: String,
    pub total: i64,
    pub line_items: Jsonb<Vec<CartLineItem>>,
    pub channel_id: Option<Uuid>,
    pub recovery_url: Option<String>,
    pub order_id: Option<Uuid>,
    pub active_at: DateTime<Utc>,
    pub checkout_at: Option<DateTime<Utc>>,
    pub abandoned_at: Option<DateTime<Utc>>,
    pub recovered_at: Option<DateTime<Utc>>,
    pub converted_at: Option<DateTime<Utc>>,
    pub source_updated_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What somebody thinks of buying.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Cart {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Ids in outside systems, at most one per system.
    pub external_ids: Vec<ExternalId>,
    /// The system the cart is in.
    #[schema(example = "shopify")]
    pub source: String,
    /// Whose it is, where that is known.
    pub customer_id: Option<Uuid>,
    /// The browser or app it is in.
    pub anonymous_id: Option<String>,
    /// Email address given at checkout.
    #[schema(example = "ada@shop.example.com")]
    pub email: Option<String>,
    /// How far it has come.
    pub status: CartStatus,
    /// Currency of every amount, ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
    /// What it would cost.
    pub total: Money,
    /// What is in it.
    pub line_items: Vec<CartLineItem>,
    /// The channel it is on.
    pub channel_id: Option<Uuid>,
    /// Where the customer finds it again.
    #[schema(example = "https://shop.example.com/cart/c1-8f3a")]
    pub recovery_url: Option<String>,
    /// The order it became.
    pub order_id: Option<Uuid>,
    /// When the customer last did something with it.
    pub active_at: DateTime<Utc>,
    /// When checkout began.
    pub checkout_at: Option<DateTime<Utc>>,
    /// When it was last abandoned.
    pub abandoned_at: Option<DateTime<Utc>>,
    /// When the customer came back to it; a converted cart with this was won back.
    pub recovered_at: Option<DateTime<Utc>>,
    /// When it became an order.
    pub converted_at: Option<DateTime<Utc>>,
    /// When the source says that it last changed the cart: older news change nothing.
    pub source_updated_at: Option<DateTime<Utc>>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for Cart {
    const COLLECTION: &'static str = "/v1/carts";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl From<CartRow> for Cart {
    fn from(row: CartRow) -> Self {
        Self {
            id: row.id,
            external_ids: row.external_ids.0,
            source: row.source,
            customer_id: row.customer_id,
            anonymous_id: row.anonymous_id,
            email: row.email,
            status: row.status,
            total: Money { amount: row.total, currency: row.currency.clone() },
            currency: row.currency,
            line_items: row.line_items.0,
            channel_id: row.channel_id,
            recovery_url: row.recovery_url,
            order_id: row.order_id,
            active_at: row.active_at,
            checkout_at: row.checkout_at,
            abandoned_at: row.abandoned_at,
            recovered_at: row.recovered_at,
            converted_at: row.converted_at,
            source_updated_at: row.source_updated_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The cart that an order was, by one of these.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CartReference {
    /// The cart's id.
    pub id: Option<Uuid>,
    /// Its id in an outside system. A cart that is recorded under it later is converted at once.
    #[validate(nested)]
    pub external_id: Option<ExternalId>,
}

/// One line of a cart to be recorded.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCartLineItem {
    /// The line's id in the cart's source.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "39072856", min_length = 1, max_length = 255)]
    pub external_id: Option<String>,
    /// The product.
    pub product_id: Option<Uuid>,
    /// The product's id in the cart's source; ignored where no product has it.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "632910392", min_length = 1, max_length = 255)]
    pub product_external_id: Option<String>,
    /// Stock-keeping unit; a product that has it is found by it.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "ROPE-60-BLUE", min_length = 1, max_length = 100)]
    pub sku: Option<String>,
    /// Name.
    #[validate(length(min = 1, max = 500))]
    #[schema(example = "Single rope 9.5 mm, 60 m", min_length = 1, max_length = 500)]
    pub name: String,
    /// Size, color and the like.
    #[validate(length(max = 200))]
    #[schema(example = "blue", max_length = 200)]
    pub variant: Option<String>,
    /// How many.
    #[validate(range(min = 1, max = 1_000_000))]
    #[schema(example = 1, minimum = 1, maximum = 1_000_000)]
    pub quantity: i32,
    /// Price of one.
    #[validate(nested)]
    pub unit_price: Money,
}

/// A cart to be recorded. All amounts are in its currency.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCart {
    /// The system the cart is in; `api` unless said otherwise. `ecrm` is ours.
    #[validate(
        length(min = 1, max = 100),
        custom(function = "crate::touchpoints::touchpoint_source")
    )]
    #[schema(example = "shop", min_length = 1, max_length = 100)]
    pub source: Option<String>,
    /// Currency of every amount, ISO 4217.
    #[validate(custom(function = "valid::currency"))]
    #[schema(example = "EUR", min_length = 3, max_length = 3)]
    pub currency: String,
    /// Ids in outside systems, at most one per system.
    #[serde(default)]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Vec<ExternalId>, max_items = 50)]
    pub external_ids: Jsonb<Vec<ExternalId>>,
    /// Whose it is. One that names an `anonymous_id` alone makes no customer.
    #[validate(nested)]
    pub customer: Option<CustomerReference>,
    /// Email address given at checkout; it also tells whose it is.
    #[validate(custom(function = "valid::email"))]
    #[schema(example = "ada@shop.example.com", max_length = 254)]
    pub email: Option<String>,
    /// Whether checkout has begun; `active` unless said otherwise.
    pub status: Option<CartProgress>,
    /// What is in it.
    #[serde(default)]
    #[validate(length(max = 200), nested)]
    #[schema(max_items = 200)]
    pub line_items: Vec<NewCartLineItem>,
    /// What it would cost; the sum of the lines unless said otherwise.
    #[validate(nested)]
    pub total: Option<Money>,
    /// The channel it is on.
    pub channel_id: Option<Uuid>,
    /// Where the customer finds it again.
    #[validate(custom(function = "valid::url"), length(max = 2000))]
    #[schema(example = "https://shop.example.com/cart/c1-8f3a", max_length = 2000)]
    pub recovery_url: Option<String>,
    /// When the customer last did something with it; `source_updated_at`, or now, unless said
    /// otherwise.
    #[validate(custom(function = "valid::time"))]
    pub active_at: Option<DateTime<Utc>>,
    /// When the source last changed the cart. News that are older than what is known change nothing.
    #[validate(custom(function = "valid::time"))]
    pub source_updated_at: Option<DateTime<Utc>>,
}

/// What changed about a cart: absent fields are left alone, null clears what can be empty, arrays
/// replace. A change of what is in it, or of the status, is something the customer did.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CartPatch {
    /// Currency of every amount, ISO 4217; it cannot change.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::currency"))]
    #[schema(example = "EUR", min_length = 3, max_length = 3, nullable = false)]
    pub currency: Option<String>,
    /// Ids in outside systems; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Option<Vec<ExternalId>>, max_items = 50)]
    pub external_ids: Option<Jsonb<Vec<ExternalId>>>,
    /// Whose it is. One that names an `anonymous_id` alone makes no customer.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub customer: Option<CustomerReference>,
    /// Email address given at checkout; it also tells whose it is.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "valid::email"))]
    #[schema(example = "ada@shop.example.com", max_length = 254)]
    pub email: Option<Option<String>>,
    /// Whether checkout has begun.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub status: Option<CartProgress>,
    /// What is in it; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 200), nested)]
    #[schema(max_items = 200)]
    pub line_items: Option<Vec<NewCartLineItem>>,
    /// What it would cost; the sum of the lines unless said otherwise.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub total: Option<Money>,
    /// The channel it is on.
    #[serde(default, with = "double_option")]
    pub channel_id: Option<Option<Uuid>>,
    /// Where the customer finds it again.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "valid::url"), length(max = 2000))]
    #[schema(example = "https://shop.example.com/cart/c1-8f3a", max_length = 2000)]
    pub recovery_url: Option<Option<String>>,
    /// When the customer last did something with it.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::time"))]
    #[schema(nullable = false)]
    pub active_at: Option<DateTime<Utc>>,
    /// When the source last changed the cart. News that are older than what is known change nothing.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::time"))]
    #[schema(nullable = false)]
    pub source_updated_at: Option<DateTime<Utc>>,
}

impl From<NewCart> for CartPatch {
    fn from(new: NewCart) -> Self {
        Self {
            currency: Some(new.currency),
            external_ids: Some(new.external_ids),
            customer: new.customer,
            email: new.email.map(Some),
            status: new.status,
            line_items: Some(new.line_items),
            total: new.total,
            channel_id: new.channel_id.map(Some),
            recovery_url: new.recovery_url.map(Some),
            active_at: new.active_at,
            source_updated_at: new.source_updated_at,
        }
    }
}
