//! WooCommerce's own webhook bodies: orders and customers of its REST API, version 3.

use serde_json::Value;

use super::fields::Fields;
use super::native::{NativeOrder, NativePerson, Priced, address, codes, postal};
use super::process::{Done, News};
use crate::customers::types::AddressType;
use crate::error::Result;
use crate::orders::types::{FinancialStatus, FulfillmentStatus, OrderStatus};
use crate::orders::{NewLineItem, NewRefund};
use crate::values::money::Money;

/// Takes one message in.
pub fn take(news: &mut News, topic: &str, body: &Value) -> Result<Done> {
    let body = Fields(body);
    match topic {
        "order.deleted" => news.forget_order(&body),
        _ if topic.starts_with("order.") => match body.text("status", 40).as_deref() {
            Some("trash") => news.forget_order(&body),
            Some("checkout-draft" | "auto-draft") => Ok(Done::ignored("not an order yet")),
            // It may be as old as it was when it was deleted.
            _ if topic == "order.restored" => {
                news.order(order(&body).map(|it| NativeOrder { source_updated_at: None, ..it }))
            }
            _ => news.order(order(&body)),
        },
        "customer.deleted" => Ok(Done::ignored("a customer stays until an erasure is asked for")),
        _ if topic.starts_with("customer.") => news.person(person(&body)),
        _ => Ok(Done::ignored("a topic that is not used")),
    }
}

fn person(customer: &Fields) -> NativePerson {
    let billing = customer.object("billing");
    let named = |name: &str| customer.text(name, 200).or_else(|| billing.text(name, 200));
    NativePerson {
        external_id: customer.id("id"),
        email: customer.email("email").or_else(|| billing.email("email")),
        phone: billing.phone("phone", billing.country("country").as_deref()),
        first_name: named("first_name"),
        last_name: named("last_name"),
        addresses: [
            (AddressType::Billing, &billing),
            (AddressType::Shipping, &customer.object("shipping")),
        ]
        .into_iter()
        .filter_map(|(kind, at)| postal(&address(at, &ADDRESS)?, kind))
        .collect(),
        // Consent to marketing lies in the fields of some plugin, and so does the language.
        updated_at: customer.time("date_modified_gmt"),
        ..NativePerson::default()
    }
}

fn order(body: &Fields) -> Option<NativeOrder> {
    let currency = body.currency("currency")?;
    let money = |name: &str| body.amount(name, &currency);
    let billing = body.object("billing");
    let (status, financial_status, fulfillment_status) = states(body);
    Some(NativeOrder {
        external_id: body.id("id")?,
        number: body.text("number", 100),
        person: NativePerson {
            external_id: body.id("customer_id"),
            first_name: billing.text("first_name", 200),
            last_name: billing.text("last_name", 200),
            ..NativePerson::default()
        },
        email: billing.email("email"),
        phone: billing.phone("phone", billing.country("country").as_deref()),
        status,
        financial_status,
        fulfillment_status,
        lines: body.list("line_items").iter().filter_map(|one| line(one, &currency)).collect(),
        priced: Priced {
            // Discounts are in the lines, and prices of lines without tax.
            discount: 0,
            tax: money("total_tax"),
            shipping: money("shipping_total"),
            fee: body.sum("fee_lines", "total", &currency),
            total: money("total"),
            paid: None,
            is_tax_included: false,
        },
        cart: None,
        billing_address: address(&billing, &ADDRESS),
        shipping_address: address(&body.object("shipping"), &ADDRESS),
        discount_codes: codes(&body.list("coupon_lines")),
        utm: None,
        note: body.text("customer_note", 5000),
        cancel_reason: None,
        placed_at: body.time("date_created_gmt"),
        paid_at: body.time("date_paid_gmt"),
        fulfilled_at: body
            .time("date_completed_gmt")
            .filter(|_| fulfillment_status == Some(FulfillmentStatus::Fulfilled)),
        cancelled_at: None,
        source_updated_at: body.time("date_modified_gmt"),
        refunds: body.list("refunds").iter().map(|one| refund(one, &currency)).collect(),
        fulfillments: Vec::new(),
        tags: Vec::new(),
        currency,
    })
}

const ADDRESS: [&str; 10] = [
    "first_name",
    "last_name",
    "company",
    "phone",
    "address_1",
    "address_2",
    "city",
    "state",
    "postcode",
    "country",
];

/// One word of WooCommerce's is three of ours; whether money came is what `date_paid_gmt` says: what is
/// paid on delivery is `processing` without. What becomes of the money later says nothing of the goods.
fn states(body: &Fields) -> (OrderStatus, FinancialStatus, Option<FulfillmentStatus>) {
    use FulfillmentStatus::{Fulfilled, Unfulfilled};
    let is_paid = body.time("date_paid_gmt").is_some();
    let paid_or = |otherwise| if is_paid { FinancialStatus::Paid } else { otherwise };
    match body.text("status", 40).as_deref() {
        Some("completed") => (OrderStatus::Completed, FinancialStatus::Paid, Some(Fulfilled)),
        Some("refunded") => (OrderStatus::Completed, FinancialStatus::Refunded, None),
        Some("cancelled" | "failed") => {
            (OrderStatus::Cancelled, paid_or(FinancialStatus::Voided), None)
        }
        _ => (OrderStatus::Open, paid_or(FinancialStatus::Pending), Some(Unfulfilled)),
    }
}

/// WooCommerce says what a line costs before and after discounts. The price of one is what makes up at
/// least the first; what it is too much goes into the discount.
fn line(line: &Fields, currency: &str) -> Option<NewLineItem> {
    let money = |amount| Money { amount, currency: currency.to_owned() };
    let quantity = i32::try_from(line.number("quantity")?).ok().filter(|n| *n >= 1)?;
    let (before, total) = (line.amount("subtotal", currency), line.amount("total", currency));
    let count = i64::from(quantity);
    let unit_price = (before.max(total) + count - 1) / count;
    Some(NewLineItem {
        external_id: line.id("id"),
        product_id: None,
        product_external_id: line.id("variation_id").or_else(|| line.id("product_id")),
        sku: line.text("sku", 100),
        name: line.text("name", 500)?,
        variant: None,
        quantity,
        unit_price: money(unit_price),
        discount_total: Some(money(unit_price * count - total)),
        tax_total: Some(money(line.amount("total_tax", currency))),
        total: Some(money(total)),
    })
}

fn refund(refund: &Fields, currency: &str) -> NewRefund {
    let amount = refund.amount_of_any_sign("total", currency);
    NewRefund {
        external_id: refund.id("id"),
        reason: refund.text("reason", 500),
        ..NewRefund::of(Money { amount, currency: currency.to_owned() })
    }
}
