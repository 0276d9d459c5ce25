//! What callers send about an order.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::fulfillments::NewFulfillment;
use super::payments::Payment;
use super::refunds::NewRefund;
use super::types::{FinancialStatus, FulfillmentStatus, OrderAddress, OrderStatus, Utm};
use crate::attributes::Attributes;
use crate::carts::CartReference;
use crate::customers::references::CustomerReference;
use crate::db::json::Jsonb;
use crate::external_ids::ExternalId;
use crate::http::json::{never_null, null_empties};
use crate::values::money::Money;
use crate::values::valid;

/// One line of an order to be recorded.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLineItem {
    /// The line's id in the order's source: by it refunds and fulfillments name the line.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "1071823172", min_length = 1, max_length = 255)]
    pub external_id: Option<String>,
    /// The product.
    pub product_id: Option<Uuid>,
    /// The product's id in the order's source; ignored where no product has it.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "632910392", min_length = 1, max_length = 255)]
    pub product_external_id: Option<String>,
    /// Stock-keeping unit; a product that has it is found by it.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "ROPE-60-BLUE", min_length = 1, max_length = 100)]
    pub sku: Option<String>,
    /// Name of what was bought.
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
    /// Price of one, before discounts.
    #[validate(nested)]
    pub unit_price: Money,
    /// Discounts on this line.
    #[validate(nested)]
    pub discount_total: Option<Money>,
    /// Tax on this line, for information.
    #[validate(nested)]
    pub tax_total: Option<Money>,
    /// `quantity` times `unit_price`, less `discount_total`: computed where it is absent, compared
    /// where it is not.
    #[validate(nested)]
    pub total: Option<Money>,
}

/// An order to be recorded. All amounts are in its currency.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "source": "shop", "number": "#1001", "currency": "EUR",
    "customer": { "external_id": { "source": "shop", "id": "7310211" } },
    "email": "ada@shop.example.com", "financial_status": "paid",
    "line_items": [{
        "sku": "ROPE-60-BLUE", "name": "Single rope 9.5 mm, 60 m", "quantity": 1,
        "unit_price": { "amount": 14990, "currency": "EUR" }
    }],
    "discount_codes": ["SPRING10"], "discount_total": { "amount": 1499, "currency": "EUR" },
    "shipping_total": { "amount": 490, "currency": "EUR" }, "is_tax_included": true,
    "placed_at": "2026-03-14T08:00:00Z"
}))]
pub struct NewOrder {
    /// The system the order comes from; `api` unless said otherwise. `ecrm` is ours.
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
    /// The number that the customer knows.
    #[validate(length(max = 100))]
    #[schema(example = "#1001", max_length = 100)]
    pub number: Option<String>,
    /// Who ordered. Where nobody is known by it, a customer is made.
    #[validate(nested)]
    pub customer: Option<CustomerReference>,
    /// Email address given with the order; it also tells who ordered.
    #[validate(custom(function = "valid::email"))]
    #[schema(example = "ada@shop.example.com", max_length = 254)]
    pub email: Option<String>,
    /// Phone number given with the order; it also tells who ordered.
    #[validate(custom(function = "valid::phone"))]
    #[schema(example = "+436641234567", max_length = 40)]
    pub phone: Option<String>,
    /// Whether it is being worked on; `open` unless said otherwise.
    pub status: Option<OrderStatus>,
    /// How much is paid; without it, `paid_total` and the refunds tell.
    pub financial_status: Option<FinancialStatus>,
    /// How much is on its way; without it, the fulfillments tell.
    pub fulfillment_status: Option<FulfillmentStatus>,
    /// What was bought.
    #[serde(default)]
    #[validate(length(max = 500), nested)]
    #[schema(max_items = 500)]
    pub line_items: Vec<NewLineItem>,
    /// Sum of the lines; computed where it is absent, compared where it is not.
    #[validate(nested)]
    pub subtotal: Option<Money>,
    /// Discounts that are not in the lines.
    #[validate(nested)]
    pub discount_total: Option<Money>,
    /// Tax on everything.
    #[validate(nested)]
    pub tax_total: Option<Money>,
    /// Shipping.
    #[validate(nested)]
    pub shipping_total: Option<Money>,
    /// Tips, duties and other fees.
    #[validate(nested)]
    pub fee_total: Option<Money>,
    /// What the order costs; computed where it is absent, compared where it is not.
    #[validate(nested)]
    pub total: Option<Money>,
    /// What was paid; without it, `financial_status` tells.
    #[validate(nested)]
    pub paid_total: Option<Money>,
    /// Whether prices include the tax.
    pub is_tax_included: Option<bool>,
    /// The channel it was placed on.
    pub channel_id: Option<Uuid>,
    /// The cart it was, which is converted by this.
    #[validate(nested)]
    pub cart: Option<CartReference>,
    /// Where it is billed to.
    #[validate(nested)]
    #[schema(value_type = Option<OrderAddress>)]
    pub billing_address: Option<Jsonb<OrderAddress>>,
    /// Where it is shipped to.
    #[validate(nested)]
    #[schema(value_type = Option<OrderAddress>)]
    pub shipping_address: Option<Jsonb<OrderAddress>>,
    /// Codes that gave a discount.
    #[serde(default)]
    #[validate(length(max = 50), custom(function = "valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["SPRING10"]), max_items = 50)]
    pub discount_codes: Vec<String>,
    /// Which campaign led to it.
    #[validate(nested)]
    #[schema(value_type = Option<Utm>)]
    pub utm: Option<Jsonb<Utm>>,
    /// What the customer wrote.
    #[validate(length(max = 5000))]
    #[schema(max_length = 5000)]
    pub note: Option<String>,
    /// Why it was cancelled.
    #[validate(length(max = 500))]
    #[schema(example = "out of stock", max_length = 500)]
    pub cancel_reason: Option<String>,
    /// When the customer ordered; now unless said otherwise.
    #[validate(custom(function = "valid::time"))]
    pub placed_at: Option<DateTime<Utc>>,
    /// When it was paid in full.
    #[validate(custom(function = "valid::time"))]
    pub paid_at: Option<DateTime<Utc>>,
    /// When everything was shipped or handed over.
    #[validate(custom(function = "valid::time"))]
    pub fulfilled_at: Option<DateTime<Utc>>,
    /// When it was cancelled.
    #[validate(custom(function = "valid::time"))]
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When the source last changed the order. News that are older than what is known change nothing,
    /// so that they may come in any order.
    #[validate(custom(function = "valid::time"))]
    pub source_updated_at: Option<DateTime<Utc>>,
    /// Refunds by now. One whose `external_id` is known already is not entered again.
    #[serde(default)]
    #[validate(length(max = 100), nested)]
    #[schema(max_items = 100)]
    pub refunds: Vec<NewRefund>,
    /// Fulfillments by now. One whose `external_id` is known already is not entered again.
    #[serde(default)]
    #[validate(length(max = 100), nested)]
    #[schema(max_items = 100)]
    pub fulfillments: Vec<NewFulfillment>,
    /// Free fields; typed where an attribute definition says so.
    #[serde(default)]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    pub attributes: Jsonb<Attributes>,
    /// Free labels.
    #[serde(default)]
    #[validate(length(max = 100), custom(function = "valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["gift"]), max_items = 100)]
    pub tags: Vec<String>,
}

impl NewOrder {
    /// When anything happened that the order tells of.
    pub fn times(&self) -> impl Iterator<Item = DateTime<Utc>> {
        let own = [self.placed_at, self.paid_at, self.fulfilled_at, self.cancelled_at];
        let refunds = self.refunds.iter().map(|refund| refund.refunded_at);
        let fulfillments = self.fulfillments.iter().map(|sent| sent.fulfilled_at);
        own.into_iter().chain(refunds).chain(fulfillments).flatten()
    }
}

/// What changed about an order: absent fields are left alone, null clears what can be empty, arrays
/// replace, `attributes` merge. All amounts are in the order's currency.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "number": "#1001", "currency": "EUR", "email": "ada@shop.example.com",
    "financial_status": "paid",
    "line_items": [{
        "sku": "ROPE-60-BLUE", "name": "Single rope 9.5 mm, 60 m", "quantity": 1,
        "unit_price": { "amount": 14990, "currency": "EUR" }
    }],
    "shipping_total": { "amount": 490, "currency": "EUR" }, "is_tax_included": true
}))]
pub struct OrderPatch {
    /// Currency of every amount, ISO 4217; it cannot change.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::currency"))]
    #[schema(example = "EUR", min_length = 3, max_length = 3, nullable = false)]
    pub currency: Option<String>,
    /// Ids in outside systems, at most one per system; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Option<Vec<ExternalId>>, max_items = 50)]
    pub external_ids: Option<Jsonb<Vec<ExternalId>>>,
    /// The number that the customer knows.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 100))]
    #[schema(example = "#1001", max_length = 100)]
    pub number: Option<Option<String>>,
    /// Who ordered. Where nobody is known by it, a customer is made.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub customer: Option<CustomerReference>,
    /// Email address given with the order; it also tells who ordered.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "valid::email"))]
    #[schema(example = "ada@shop.example.com", max_length = 254)]
    pub email: Option<Option<String>>,
    /// Phone number given with the order; it also tells who ordered.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "valid::phone"))]
    #[schema(example = "+436641234567", max_length = 40)]
    pub phone: Option<Option<String>>,
    /// Whether it is being worked on.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub status: Option<OrderStatus>,
    /// How much is paid; without it, `paid_total` and the refunds tell.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub financial_status: Option<FinancialStatus>,
    /// How much is on its way; without it, the fulfillments tell.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub fulfillment_status: Option<FulfillmentStatus>,
    /// What was bought; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 500), nested)]
    #[schema(max_items = 500)]
    pub line_items: Option<Vec<NewLineItem>>,
    /// Sum of the lines; computed where it is absent, compared where it is not.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub subtotal: Option<Money>,
    /// Discounts that are not in the lines.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub discount_total: Option<Money>,
    /// Tax on everything.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub tax_total: Option<Money>,
    /// Shipping.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub shipping_total: Option<Money>,
    /// Tips, duties and other fees.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub fee_total: Option<Money>,
    /// What the order costs; computed where it is absent, compared where it is not.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub total: Option<Money>,
    /// What was paid; without it, `financial_status` tells.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub paid_total: Option<Money>,
    /// Whether prices include the tax.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub is_tax_included: Option<bool>,
    /// The channel it was placed on.
    #[serde(default, with = "double_option")]
    pub channel_id: Option<Option<Uuid>>,
    /// The cart it was, which is converted by this.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[schema(nullable = false)]
    pub cart: Option<CartReference>,
    /// Where it is billed to.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    #[schema(value_type = Option<OrderAddress>)]
    pub billing_address: Option<Option<Jsonb<OrderAddress>>>,
    /// Where it is shipped to.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    #[schema(value_type = Option<OrderAddress>)]
    pub shipping_address: Option<Option<Jsonb<OrderAddress>>>,
    /// Codes that gave a discount; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 50), custom(function = "valid::tags"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, example = json!(["SPRING10"]), max_items = 50)]
    pub discount_codes: Option<Vec<String>>,
    /// Which campaign led to it.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    #[schema(value_type = Option<Utm>)]
    pub utm: Option<Option<Jsonb<Utm>>>,
    /// What the customer wrote.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 5000))]
    #[schema(max_length = 5000)]
    pub note: Option<Option<String>>,
    /// Why it was cancelled.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 500))]
    #[schema(example = "out of stock", max_length = 500)]
    pub cancel_reason: Option<Option<String>>,
    /// When the customer ordered.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::time"))]
    #[schema(nullable = false)]
    pub placed_at: Option<DateTime<Utc>>,
    /// When it was paid in full.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::time"))]
    #[schema(nullable = false)]
    pub paid_at: Option<DateTime<Utc>>,
    /// When everything was shipped or handed over.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::time"))]
    #[schema(nullable = false)]
    pub fulfilled_at: Option<DateTime<Utc>>,
    /// When it was cancelled.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::time"))]
    #[schema(nullable = false)]
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When the source last changed the order. News that are older than what is known change nothing,
    /// so that they may come in any order.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "valid::time"))]
    #[schema(nullable = false)]
    pub source_updated_at: Option<DateTime<Utc>>,
    /// Refunds by now. One whose `external_id` is known already is not entered again.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 100), nested)]
    #[schema(max_items = 100)]
    pub refunds: Option<Vec<NewRefund>>,
    /// Fulfillments by now. One whose `external_id` is known already is not entered again.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 100), nested)]
    #[schema(max_items = 100)]
    pub fulfillments: Option<Vec<NewFulfillment>>,
    /// Free fields; the keys given are set, null removes a key.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    pub attributes: Option<Jsonb<Attributes>>,
    /// Free labels; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 100), custom(function = "valid::tags"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, example = json!(["gift"]), max_items = 100)]
    pub tags: Option<Vec<String>>,
    /// What a payment provider said.
    #[serde(skip)]
    pub payment: Option<Payment>,
}

impl From<NewOrder> for OrderPatch {
    fn from(new: NewOrder) -> Self {
        Self {
            currency: Some(new.currency),
            external_ids: Some(new.external_ids),
            number: new.number.map(Some),
            customer: new.customer,
            email: new.email.map(Some),
            phone: new.phone.map(Some),
            status: new.status,
            financial_status: new.financial_status,
            fulfillment_status: new.fulfillment_status,
            line_items: Some(new.line_items),
            subtotal: new.subtotal,
            discount_total: new.discount_total,
            tax_total: new.tax_total,
            shipping_total: new.shipping_total,
            fee_total: new.fee_total,
            total: new.total,
            paid_total: new.paid_total,
            is_tax_included: new.is_tax_included,
            channel_id: new.channel_id.map(Some),
            cart: new.cart,
            billing_address: new.billing_address.map(Some),
            shipping_address: new.shipping_address.map(Some),
            discount_codes: Some(new.discount_codes),
            utm: new.utm.map(Some),
            note: new.note.map(Some),
            cancel_reason: new.cancel_reason.map(Some),
            placed_at: new.placed_at,
            paid_at: new.paid_at,
            fulfilled_at: new.fulfilled_at,
            cancelled_at: new.cancelled_at,
            source_updated_at: new.source_updated_at,
            refunds: Some(new.refunds),
            fulfillments: Some(new.fulfillments),
            attributes: Some(new.attributes),
            tags: Some(new.tags),
            payment: None,
        }
    }
}

/// Why and when an order is cancelled.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrderCancellation {
    /// Why.
    #[validate(length(max = 500))]
    #[schema(example = "out of stock", max_length = 500)]
    pub cancel_reason: Option<String>,
    /// When; now unless said otherwise.
    #[validate(custom(function = "valid::time"))]
    pub cancelled_at: Option<DateTime<Utc>>,
}
