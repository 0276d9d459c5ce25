//! Shopify's own webhook bodies: orders, refunds, customers, checkouts, and its privacy topics.
//!
//! Fields as in Shopify's Admin REST API (Order, Refund, Customer, Checkout).

use serde_json::Value;

use super::fields::{Fields, total};
use super::native::{NativeCart, NativeConsent, NativeOrder, NativePerson, Priced, address, codes};
use super::process::{Done, News};
use crate::carts::types::NewCartLineItem;
use crate::consents::SettableConsentState;
use crate::error::Result;
use crate::external_ids::ExternalId;
use crate::orders::types::{FinancialStatus, FulfillmentStatus, OrderStatus, Utm};
use crate::orders::{LineItemQuantity, NewFulfillment, NewLineItem, NewRefund};
use crate::privacy::DataRequestKind;
use crate::values::money::Money;

/// Takes one message in.
pub fn take(news: &mut News, topic: &str, body: &Value) -> Result<Done> {
    let body = Fields(body);
    match topic {
        "orders/delete" => news.forget_order(&body),
        // It tells what was changed, and `orders/updated` how the order is since.
        "orders/edited" => Ok(Done::ignored("`orders/updated` tells the same")),
        _ if topic.starts_with("orders/") => news.order(order(&body, news.source())),
        "refunds/create" => {
            let currency =
                body.list("transactions").iter().find_map(|one| one.currency("currency"));
            let Some(order) = body.id("order_id") else { return Ok(Done::ignored("no order")) };
            news.refund(&order, |kept| refund(&body, currency.as_deref().unwrap_or(kept)))
        }
        "customers/data_request" => news.privacy(&person_of(&body), DataRequestKind::Access),
        "customers/redact" => news.privacy(&person_of(&body), DataRequestKind::Erasure),
        "customers/delete" => Ok(Done::ignored("a customer stays until an erasure is asked for")),
        _ if topic.starts_with("customers/") => news.person(person(&body)),
        // The shop has removed the connection: what the company knows of its customers is its own.
        "shop/redact" | "app/uninstalled" => news.pause(),
        "checkouts/delete" => Ok(Done::ignored("an abandoned checkout stays one")),
        _ if topic.starts_with("checkouts/") => news.cart(cart(&body, news.source())),
        _ => Ok(Done::ignored("a topic that is not used")),
    }
}

/// The customer that a privacy topic is about.
fn person_of(body: &Fields) -> NativePerson {
    person(&body.object("customer"))
}

fn person(customer: &Fields) -> NativePerson {
    let at = customer.object("default_address");
    let consent = customer.object("email_marketing_consent");
    let state = match consent.text("state", 20).as_deref() {
        Some("subscribed") => Some(SettableConsentState::Granted),
        Some("unsubscribed" | "redacted") => Some(SettableConsentState::Withdrawn),
        _ => None,
    };
    NativePerson {
        external_id: customer.id("id"),
        email: customer.email("email"),
        phone: customer.phone("phone", at.country("country_code").as_deref()),
        first_name: customer.text("first_name", 200),
        last_name: customer.text("last_name", 200),
        tags: words(customer.text("tags", 10_000)),
        consent: state.map(|state| NativeConsent { state, at: consent.time("consent_updated_at") }),
        updated_at: customer.time("updated_at"),
    }
}

/// Shopify's comma-separated tags.
fn words(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    let words = text.split(',').map(|word| word.trim().chars().take(100).collect::<String>());
    let mut kept: Vec<String> = Vec::new();
    words.filter(|word| !word.is_empty()).for_each(|word| {
        if kept.len() < 100 && !kept.contains(&word) {
            kept.push(word);
        }
    });
    kept
}

fn order(body: &Fields, source: &str) -> Option<NativeOrder> {
    let currency = body.currency("currency")?;
    let money = |name: &str| body.amount(name, &currency);
    let lines: Vec<NewLineItem> =
        body.list("line_items").iter().filter_map(|line| self::line(line, &currency)).collect();
    let in_lines = total(
        lines.iter().filter_map(|line| line.discount_total.as_ref()).map(|money| money.amount),
    );
    let price = money("total_price");
    let outstanding = body.text("total_outstanding", 40).map(|_| money("total_outstanding"));
    let financial_status = financial(body.text("financial_status", 40).as_deref());
    let cart = body.id("checkout_token").or_else(|| body.id("cart_token"));
    let shipped_to = body.object("shipping_address");
    Some(NativeOrder {
        external_id: body.id("id")?,
        number: body.text("name", 100),
        person: person(&body.object("customer")),
        email: body.email("email").or_else(|| body.email("contact_email")),
        phone: body.phone("phone", shipped_to.country("country_code").as_deref()),
        status: match (body.time("cancelled_at"), body.time("closed_at")) {
            (Some(_), _) => OrderStatus::Cancelled,
            (None, Some(_)) => OrderStatus::Archived,
            (None, None) => OrderStatus::Open,
        },
        financial_status,
        fulfillment_status: Some(match body.text("fulfillment_status", 40).as_deref() {
            Some("partial") => FulfillmentStatus::Partial,
            Some("fulfilled") => FulfillmentStatus::Fulfilled,
            Some("restocked") => FulfillmentStatus::Returned,
            _ => FulfillmentStatus::Unfulfilled,
        }),
        lines,
        priced: Priced {
            discount: (money("total_discounts") - in_lines).max(0),
            tax: money("total_tax"),
            shipping: body.sum("shipping_lines", "price", &currency),
            fee: money("total_tip_received"),
            total: price,
            paid: outstanding.map(|outstanding| (price - outstanding).max(0)),
            is_tax_included: body.flag("taxes_included"),
        },
        cart: cart.map(|id| ExternalId { source: source.to_owned(), id }),
        billing_address: address(&body.object("billing_address"), &ADDRESS),
        shipping_address: address(&shipped_to, &ADDRESS),
        discount_codes: codes(&body.list("discount_codes")),
        utm: body.text("landing_site", 2000).and_then(|page| utm(&page)),
        note: body.text("note", 5000),
        cancel_reason: body.text("cancel_reason", 500),
        placed_at: body.time("processed_at").or_else(|| body.time("created_at")),
        paid_at: None,
        fulfilled_at: None,
        cancelled_at: body.time("cancelled_at"),
        source_updated_at: body.time("updated_at"),
        refunds: body.list("refunds").iter().map(|one| refund(one, &currency)).collect(),
        fulfillments: body.list("fulfillments").iter().filter_map(fulfillment).collect(),
        tags: words(body.text("tags", 10_000)),
        currency,
    })
}

const ADDRESS: [&str; 10] = [
    "first_name",
    "last_name",
    "company",
    "phone",
    "address1",
    "address2",
    "city",
    "province_code",
    "zip",
    "country_code",
];

fn financial(status: Option<&str>) -> FinancialStatus {
    match status {
        Some("authorized") => FinancialStatus::Authorized,
        Some("partially_paid") => FinancialStatus::PartiallyPaid,
        Some("paid") => FinancialStatus::Paid,
        Some("partially_refunded") => FinancialStatus::PartiallyRefunded,
        Some("refunded") => FinancialStatus::Refunded,
        Some("voided" | "expired") => FinancialStatus::Voided,
        _ => FinancialStatus::Pending,
    }
}

fn line(line: &Fields, currency: &str) -> Option<NewLineItem> {
    let money = |amount| Money { amount, currency: currency.to_owned() };
    let quantity = i32::try_from(line.number("quantity")?).ok().filter(|n| *n >= 1)?;
    let unit_price = line.amount("price", currency);
    let gross = unit_price.saturating_mul(i64::from(quantity));
    Some(NewLineItem {
        external_id: line.id("id"),
        product_id: None,
        product_external_id: line.id("product_id"),
        sku: line.text("sku", 100),
        name: line.text("title", 500).or_else(|| line.text("name", 500))?,
        variant: line.text("variant_title", 200),
        quantity,
        unit_price: money(unit_price),
        discount_total: Some(money(
            line.sum("discount_allocations", "amount", currency).min(gross),
        )),
        tax_total: Some(money(line.sum("tax_lines", "price", currency))),
        total: None,
    })
}

/// The campaign in the address of the first page.
fn utm(page: &str) -> Option<Utm> {
    let (_, query) = page.split_once('?')?;
    let mut utm = Utm::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value: String = value.chars().take(200).collect();
        match &*name {
            "utm_source" => utm.source = Some(value),
            "utm_medium" => utm.medium = Some(value),
            "utm_campaign" => utm.campaign = Some(value),
            "utm_term" => utm.term = Some(value),
            "utm_content" => utm.content = Some(value),
            _ => {}
        }
    }
    (utm != Utm::default()).then_some(utm)
}

fn part(line: &Fields, id: &str) -> Option<LineItemQuantity> {
    let quantity = i32::try_from(line.number("quantity")?).ok().filter(|n| *n >= 1)?;
    Some(LineItemQuantity { line_item_id: None, external_id: Some(line.id(id)?), quantity })
}

/// A refund is worth what was really paid back; a cancelled line that was never paid is worth nothing.
fn refund(refund: &Fields, currency: &str) -> NewRefund {
    let transactions = refund.list("transactions");
    let is_done = |one: &&Fields| {
        one.text("kind", 40).as_deref() == Some("refund")
            && one.text("status", 40).is_none_or(|status| status == "success")
    };
    let amount =
        total(transactions.iter().filter(is_done).map(|one| one.amount("amount", currency)));
    let lines = refund.list("refund_line_items");
    let came_back = |one: &Fields| one.text("restock_type", 40).as_deref() == Some("return");
    NewRefund {
        external_id: refund.id("id"),
        reason: refund.text("note", 500),
        is_return: lines.iter().any(came_back),
        line_items: lines.iter().filter_map(|line| part(line, "line_item_id")).collect(),
        refunded_at: refund.time("processed_at").or_else(|| refund.time("created_at")),
        ..NewRefund::of(Money { amount, currency: currency.to_owned() })
    }
}

fn fulfillment(one: &Fields) -> Option<NewFulfillment> {
    let status = one.text("status", 40);
    Some(NewFulfillment {
        external_id: one.id("id"),
        is_cancelled: matches!(status.as_deref(), Some("cancelled" | "error" | "failure")),
        line_items: one.list("line_items").iter().filter_map(|line| part(line, "id")).collect(),
        tracking_company: one.text("tracking_company", 100),
        tracking_number: one.text("tracking_number", 200),
        tracking_url: one.url("tracking_url"),
        fulfilled_at: one.time("created_at"),
    })
}

fn cart(body: &Fields, source: &str) -> Option<NativeCart> {
    let currency = body.currency("currency").or_else(|| body.currency("presentment_currency"))?;
    let lines = body.list("line_items");
    let lines = lines.iter().filter_map(|one| {
        let line = line(one, &currency)?;
        Some(NewCartLineItem {
            external_id: one.id("key").or(line.external_id),
            product_id: None,
            product_external_id: line.product_external_id,
            sku: line.sku,
            name: line.name,
            variant: line.variant,
            quantity: line.quantity,
            unit_price: line.unit_price,
        })
    });
    Some(NativeCart {
        external_id: ExternalId { source: source.to_owned(), id: body.id("token")? },
        person: person(&body.object("customer")),
        email: body.email("email"),
        lines: lines.collect(),
        total: body.amount("total_price", &currency),
        recovery_url: body.url("abandoned_checkout_url"),
        source_updated_at: body.time("updated_at"),
        is_completed: body.time("completed_at").is_some(),
        currency,
    })
}
