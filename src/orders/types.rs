//! What an order is, as it is stored and shown.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::payments::Settled;
use crate::attributes::Attributes;
use crate::db::json::Jsonb;
use crate::external_ids::ExternalId;
use crate::http::Versioned;
use crate::schema::{order_line_items, orders};
use crate::values::money::Money;
use crate::values::valid;

crate::text_enum! {
    /// Whether an order is being worked on.
    pub enum OrderStatus {
        Open = "open",
        Completed = "completed",
        Cancelled = "cancelled",
        Archived = "archived",
    }
}

crate::text_enum! {
    /// How much of an order is paid, and paid back.
    pub enum FinancialStatus {
        Pending = "pending",
        Authorized = "authorized",
        PartiallyPaid = "partially_paid",
        Paid = "paid",
        PartiallyRefunded = "partially_refunded",
        Refunded = "refunded",
        Voided = "voided",
    }
}

crate::text_enum! {
    /// How much of an order is on its way, and back.
    pub enum FulfillmentStatus {
        Unfulfilled = "unfulfilled",
        Partial = "partial",
        Fulfilled = "fulfilled",
        Returned = "returned",
    }
}

/// Where an order is billed or shipped to (schema.org `PostalAddress`, with Shopify's line names).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrderAddress {
    /// Given name.
    #[validate(length(max = 200))]
    #[schema(example = "Ada", max_length = 200)]
    pub first_name: Option<String>,
    /// Family name.
    #[validate(length(max = 200))]
    #[schema(example = "Lindqvist", max_length = 200)]
    pub last_name: Option<String>,
    /// Company.
    #[validate(length(max = 200))]
    #[schema(max_length = 200)]
    pub company: Option<String>,
    /// Phone number as it was given.
    #[validate(length(max = 40))]
    #[schema(max_length = 40)]
    pub phone: Option<String>,
    /// Street and number.
    #[validate(length(max = 200))]
    #[schema(example = "Bergstraße 12", max_length = 200)]
    pub line1: Option<String>,
    /// Flat, floor.
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

/// Which campaign led to an order, as its links said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Utm {
    /// `utm_source`.
    #[validate(length(max = 200))]
    #[schema(example = "newsletter", max_length = 200)]
    pub source: Option<String>,
    /// `utm_medium`.
    #[validate(length(max = 200))]
    #[schema(example = "email", max_length = 200)]
    pub medium: Option<String>,
    /// `utm_campaign`.
    #[validate(length(max = 200))]
    #[schema(example = "spring_2026", max_length = 200)]
    pub campaign: Option<String>,
    /// `utm_term`.
    #[validate(length(max = 200))]
    #[schema(max_length = 200)]
    pub term: Option<String>,
    /// `utm_content`.
    #[validate(length(max = 200))]
    #[schema(max_length = 200)]
    pub content: Option<String>,
}

/// The stored row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = orders)]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct OrderRow {
    pub id: Uuid,
    pub external_ids: Jsonb<Vec<ExternalId>>,
    pub source: String,
    pub number: Option<String>,
    pub customer_id: Option<Uuid>,
    pub origin_customer_id: Option<Uuid>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub status: OrderStatus,
    pub financial_status: FinancialStatus,
    pub fulfillment_status: FulfillmentStatus,
    pub currency: String,
    pub subtotal: i64,
    pub discount_total: i64,
    pub tax_total: i64,
    pub shipping_total: i64,
    pub fee_total: i64,
    pub total: i64,
    pub paid_total: i64,
    pub refunded_total: i64,
    pub payments: Jsonb<BTreeMap<String, Settled>>,
    pub is_tax_included: bool,
    pub channel_id: Option<Uuid>,
    pub cart_id: Option<Uuid>,
    pub billing_address: Option<Jsonb<OrderAddress>>,
    pub shipping_address: Option<Jsonb<OrderAddress>>,
    pub discount_codes: Vec<String>,
    pub utm: Option<Jsonb<Utm>>,
    pub note: Option<String>,
    pub cancel_reason: Option<String>,
    pub placed_at: DateTime<Utc>,
    pub paid_at: Option<DateTime<Utc>>,
    pub fulfilled_at: Option<DateTime<Utc>>,
    pub cancelled_at: Option<DateTime<Utc>>,
    pub source_updated_at: Option<DateTime<Utc>>,
    pub attributes: Jsonb<Attributes>,
    pub tags: Vec<String>,
    pub search_key: String,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// The stored row of a line.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = order_line_items)]
pub struct LineRow {
    pub order_id: Uuid,
    pub id: Uuid,
    pub position: i32,
    pub external_id: Option<String>,
    pub product_id: Option<Uuid>,
    pub sku: Option<String>,
    pub name: String,
    pub variant: Option<String>,
    pub quantity: i32,
    pub unit_price: i64,
    pub discount_total: i64,
    pub tax_total: i64,
    pub total: i64,
    pub fulfilled_quantity: i32,
    pub returned_quantity: i32,
    pub product_external_id: Option<String>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineItem {
    /// Unique id, a UUIDv7; it stays when the order is sent again.
    pub id: Uuid,
    /// The line's id in the order's source.
    #[schema(example = "1071823172")]
    pub external_id: Option<String>,
    /// The product, where it is known.
    pub product_id: Option<Uuid>,
    /// The product's id in the order's source.
    #[schema(example = "632910392")]
    pub product_external_id: Option<String>,
    /// Stock-keeping unit.
    #[schema(example = "ROPE-60-BLUE")]
    pub sku: Option<String>,
    /// Name of what was bought, as it was called then.
    #[schema(example = "Single rope 9.5 mm, 60 m")]
    pub name: String,
    /// Size, color and the like.
    #[schema(example = "blue")]
    pub variant: Option<String>,
    /// How many.
    #[schema(example = 1)]
    pub quantity: i32,
    /// Price of one, before discounts.
    pub unit_price: Money,
    /// Discounts on this line.
    pub discount_total: Money,
    /// Tax on this line, for information: the order's `tax_total` counts.
    pub tax_total: Money,
    /// `quantity` times `unit_price`, less `discount_total`.
    pub total: Money,
    /// How many were shipped or handed over.
    #[schema(example = 1)]
    pub fulfilled_quantity: i32,
    /// How many came back.
    #[schema(example = 0)]
    pub returned_quantity: i32,
}

/// What a customer bought.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5", "source": "shop",
    "external_ids": [{ "source": "shop", "id": "1001" }], "number": "#1001",
    "customer_id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b6", "email": "ada@shop.example.com",
    "phone": null, "status": "open", "financial_status": "paid",
    "fulfillment_status": "unfulfilled", "currency": "EUR",
    "line_items": [{
        "id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b7", "external_id": "1071823172",
        "product_id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b8", "product_external_id": "632910392",
        "sku": "ROPE-60-BLUE",
        "name": "Single rope 9.5 mm, 60 m", "variant": null, "quantity": 1,
        "unit_price": { "amount": 14990, "currency": "EUR" },
        "discount_total": { "amount": 0, "currency": "EUR" },
        "tax_total": { "amount": 0, "currency": "EUR" },
        "total": { "amount": 14990, "currency": "EUR" },
        "fulfilled_quantity": 0, "returned_quantity": 0
    }],
    "subtotal": { "amount": 14990, "currency": "EUR" },
    "discount_total": { "amount": 1499, "currency": "EUR" },
    "tax_total": { "amount": 2330, "currency": "EUR" },
    "shipping_total": { "amount": 490, "currency": "EUR" },
    "fee_total": { "amount": 0, "currency": "EUR" },
    "total": { "amount": 13981, "currency": "EUR" },
    "paid_total": { "amount": 13981, "currency": "EUR" },
    "refunded_total": { "amount": 0, "currency": "EUR" }, "is_tax_included": true,
    "channel_id": null, "cart_id": null, "billing_address": null, "shipping_address": null,
    "discount_codes": ["SPRING10"], "utm": null, "note": null, "cancel_reason": null,
    "placed_at": "2026-03-14T08:00:00Z", "paid_at": "2026-03-14T08:00:00Z",
    "fulfilled_at": null, "cancelled_at": null, "source_updated_at": null, "attributes": {},
    "tags": ["gift"], "version": 1, "created_at": "2026-03-14T08:00:01Z",
    "updated_at": "2026-03-14T08:00:01Z", "deleted_at": null
}))]
pub struct Order {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Ids in outside systems, at most one per system.
    pub external_ids: Vec<ExternalId>,
    /// The system the order came from.
    #[schema(example = "shopify")]
    pub source: String,
    /// The number that the customer knows.
    #[schema(example = "#1001")]
    pub number: Option<String>,
    /// Who ordered; null for guests who left nothing to be recognised by, and for those who were
    /// erased before.
    pub customer_id: Option<Uuid>,
    /// Email address given with the order.
    #[schema(example = "ada@shop.example.com")]
    pub email: Option<String>,
    /// Phone number given with the order, in E.164.
    #[schema(example = "+436641234567")]
    pub phone: Option<String>,
    /// Whether it is being worked on.
    pub status: OrderStatus,
    /// How much is paid, and paid back.
    pub financial_status: FinancialStatus,
    /// How much is on its way, and back.
    pub fulfillment_status: FulfillmentStatus,
    /// Currency of every amount, ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
    /// What was bought.
    pub line_items: Vec<LineItem>,
    /// Sum of the lines.
    pub subtotal: Money,
    /// Discounts that are not in the lines.
    pub discount_total: Money,
    /// Tax on everything.
    pub tax_total: Money,
    /// Shipping.
    pub shipping_total: Money,
    /// Tips, duties and other fees.
    pub fee_total: Money,
    /// `subtotal` less `discount_total`, with `shipping_total` and `fee_total`, and `tax_total` unless
    /// that is included in the prices.
    pub total: Money,
    /// What was paid.
    pub paid_total: Money,
    /// What was paid back, at most `paid_total`.
    pub refunded_total: Money,
    /// Whether prices include the tax.
    pub is_tax_included: bool,
    /// The channel it was placed on.
    pub channel_id: Option<Uuid>,
    /// The cart it was.
    pub cart_id: Option<Uuid>,
    /// Where it is billed to.
    pub billing_address: Option<OrderAddress>,
    /// Where it is shipped to.
    pub shipping_address: Option<OrderAddress>,
    /// Codes that gave a discount.
    #[schema(example = json!(["SPRING10"]))]
    pub discount_codes: Vec<String>,
    /// Which campaign led to it.
    pub utm: Option<Utm>,
    /// What the customer wrote.
    pub note: Option<String>,
    /// Why it was cancelled.
    #[schema(example = "out of stock")]
    pub cancel_reason: Option<String>,
    /// When the customer ordered.
    pub placed_at: DateTime<Utc>,
    /// When it was paid in full.
    pub paid_at: Option<DateTime<Utc>>,
    /// When everything was shipped or handed over.
    pub fulfilled_at: Option<DateTime<Utc>>,
    /// When it was cancelled.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When the source says that it last changed the order: older news change nothing.
    pub source_updated_at: Option<DateTime<Utc>>,
    /// Free fields; typed where an attribute definition says so.
    #[schema(value_type = Attributes)]
    pub attributes: Attributes,
    /// Free labels.
    #[schema(example = json!(["gift"]))]
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

impl Versioned for Order {
    const COLLECTION: &'static str = "/v1/orders";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl OrderRow {
    /// An amount in the order's currency.
    pub fn money(&self, amount: i64) -> Money {
        Money { amount, currency: self.currency.clone() }
    }

    /// Whether it counts among the orders of its customer.
    pub fn counts(&self) -> bool {
        self.deleted_at.is_none() && self.status != OrderStatus::Cancelled
    }
}

impl Order {
    /// The order as it is shown, with its lines in their order.
    pub fn new(row: OrderRow, lines: Vec<LineRow>) -> Self {
        let line_items = lines.into_iter().map(|line| line.shown(&row)).collect();
        Self {
            id: row.id,
            line_items,
            subtotal: row.money(row.subtotal),
            discount_total: row.money(row.discount_total),
            tax_total: row.money(row.tax_total),
            shipping_total: row.money(row.shipping_total),
            fee_total: row.money(row.fee_total),
            total: row.money(row.total),
            paid_total: row.money(row.paid_total),
            refunded_total: row.money(row.refunded_total),
            external_ids: row.external_ids.0,
            source: row.source,
            number: row.number,
            customer_id: row.customer_id,
            email: row.email,
            phone: row.phone,
            status: row.status,
            financial_status: row.financial_status,
            fulfillment_status: row.fulfillment_status,
            currency: row.currency,
            is_tax_included: row.is_tax_included,
            channel_id: row.channel_id,
            cart_id: row.cart_id,
            billing_address: row.billing_address.map(|address| address.0),
            shipping_address: row.shipping_address.map(|address| address.0),
            discount_codes: row.discount_codes,
            utm: row.utm.map(|utm| utm.0),
            note: row.note,
            cancel_reason: row.cancel_reason,
            placed_at: row.placed_at,
            paid_at: row.paid_at,
            fulfilled_at: row.fulfilled_at,
            cancelled_at: row.cancelled_at,
            source_updated_at: row.source_updated_at,
            attributes: row.attributes.0,
            tags: row.tags,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        }
    }
}

impl LineRow {
    fn shown(self, order: &OrderRow) -> LineItem {
        LineItem {
            id: self.id,
            unit_price: order.money(self.unit_price),
            discount_total: order.money(self.discount_total),
            tax_total: order.money(self.tax_total),
            total: order.money(self.total),
            external_id: self.external_id,
            product_id: self.product_id,
            product_external_id: self.product_external_id,
            sku: self.sku,
            name: self.name,
            variant: self.variant,
            quantity: self.quantity,
            fulfilled_quantity: self.fulfilled_quantity,
            returned_quantity: self.returned_quantity,
        }
    }
}
