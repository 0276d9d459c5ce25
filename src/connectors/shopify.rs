//! Shopify's own webhook bodies: orders, refunds, customers, checkouts, and its privacy topics.
//!
//! Fields as in Shopify's Admin REST API (Order, Refund, Customer, Checkout).

mod refunds;

use serde_json::Value;

use self::refunds::{Terms, Worth, refund, share, taken_off};
use super::fields::{Fields, total};
use super::native::{
    NativeCart, NativeConsent, NativeOrder, NativePerson, Priced, address, codes, postal,
};
use super::process::{Done, News};
use crate::carts::types::NewCartLineItem;
use crate::channels::ChannelType;
use crate::consents::SettableConsentState;
use crate::customers::types::AddressType;
use crate::error::Result;
use crate::external_ids::ExternalId;
use crate::orders::types::{FinancialStatus, FulfillmentStatus, OrderStatus, Utm};
use crate::orders::{LineItemQuantity, NewFulfillment, NewLineItem};
use crate::privacy::DataRequestKind;
use crate::values::money::Money;

/// Takes one message in.
pub fn take(news: &mut News, topic: &str, body: &Value) -> Result<Done> {
    let body = Fields(body);
    // The notification that a shop sends to try its webhooks out, or an order of nobody who pays.
    if body.flag("test") && news.tx.livemode {
        return Ok(Done::ignored("a test of the shop"));
    }
    match topic {
        "orders/delete" => news.forget_order(&body),
        // It tells what was changed, and `orders/updated` how the order is since.
        "orders/edited" => Ok(Done::ignored("`orders/updated` tells the same")),
        _ if topic.starts_with("orders/") => news.order(order(&body, news.source())),
        "refunds/create" => {
            let Some(order) = body.id("order_id") else { return Ok(Done::ignored("no order")) };
            news.refund(&order, |kept| {
                let (currency, is_tax_included) = (&*kept.currency, kept.is_tax_included);
                refund(&body, Terms { currency, is_tax_included })
            })
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
    let said = [
        (ChannelType::Email, customer.object("email_marketing_consent")),
        (ChannelType::Sms, customer.object("sms_marketing_consent")),
    ];
    let lives_at = address(&at, &ADDRESS).and_then(|at| postal(&at, AddressType::Shipping));
    NativePerson {
        external_id: customer.id("id"),
        email: customer.email("email"),
        phone: customer.phone("phone", at.country("country_code").as_deref()),
        first_name: customer.text("first_name", 200).or_else(|| at.text("first_name", 200)),
        last_name: customer.text("last_name", 200).or_else(|| at.text("last_name", 200)),
        tags: words(customer.text("tags", 10_000)),
        locale: customer.locale("locale"),
        addresses: lives_at.into_iter().collect(),
        consents: said.iter().filter_map(|(kind, said)| consent(*kind, said)).collect(),
        updated_at: customer.time("updated_at"),
    }
}

fn consent(channel_type: ChannelType, said: &Fields) -> Option<NativeConsent> {
    let state = match said.text("state", 20).as_deref() {
        Some("subscribed") => SettableConsentState::Granted,
        Some("unsubscribed" | "redacted") => SettableConsentState::Withdrawn,
        _ => return None,
    };
    Some(NativeConsent { channel_type, state, at: said.time("consent_updated_at") })
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
    let financial_status = financial(body.text("financial_status", 40).as_deref());
    let terms = Terms { currency: &currency, is_tax_included: body.flag("taxes_included") };
    let refunds = body.list("refunds");
    let bill = Bill::of(body, &refunds, terms, financial_status);
    let taken_off = match bill.is_edited {
        true => refunds.iter().flat_map(|one| taken_off(one, terms)).collect(),
        false => Vec::new(),
    };
    let lines: Vec<NewLineItem> = body
        .list("line_items")
        .iter()
        .filter_map(|line| self::line(line, &currency, &taken_off))
        .collect();
    let in_lines = total(
        lines.iter().filter_map(|line| line.discount_total.as_ref()).map(|money| money.amount),
    );
    let [discounts, tax] = match bill.is_edited && bill.back == 0 {
        true => ["current_total_discounts", "current_total_tax"],
        false => ["total_discounts", "total_tax"],
    };
    let cart = body.id("checkout_token").or_else(|| body.id("cart_token"));
    let shipped_to = body.object("shipping_address");
    Some(NativeOrder {
        external_id: body.id("id")?,
        number: body.text("name", 100),
        person: NativePerson {
            locale: body.locale("customer_locale"),
            ..person(&body.object("customer"))
        },
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
            discount: (money(discounts) - in_lines).max(0),
            tax: money(tax),
            shipping: body.sum("shipping_lines", "price", &currency),
            fee: money("total_tip_received"),
            total: bill.total,
            paid: bill.paid,
            is_tax_included: terms.is_tax_included,
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
        refunds: refunds.iter().filter_map(|one| refund(one, terms)).collect(),
        fulfillments: body.list("fulfillments").iter().filter_map(fulfillment).collect(),
        tags: words(body.text("tags", 10_000)),
        currency,
    })
}

/// What was ordered, and what was paid for it.
struct Bill {
    total: i64,
    /// None where the shop does not tell.
    paid: Option<i64>,
    /// What went back, or is on its way.
    back: i64,
    /// Whether something was taken off before anybody paid for it.
    is_edited: bool,
}

impl Bill {
    /// `total_price` is all that ever was on the order. `current_total_price` is without what was taken
    /// off, paid for or not: with what went back it is what was ordered, or at least what was paid.
    fn of(body: &Fields, refunds: &[Fields], terms: Terms, status: FinancialStatus) -> Self {
        use FinancialStatus::{PartiallyRefunded, Refunded};
        let is_told = |name: &str| body.text(name, 40).is_some();
        let money = |name: &str| body.signed(name, terms.currency);
        let all = body.amount("total_price", terms.currency);
        let back = refunds.iter().filter_map(|one| Worth::of(one, terms)).map(Worth::sum);
        let back = total(back);
        // Of an order that was cancelled altogether it stays what was ordered; and it is not known what
        // went back where no refund tells.
        let is_blank =
            body.time("cancelled_at").is_some() || matches!(status, PartiallyRefunded | Refunded);
        let is_current = is_told("current_total_price") && !(is_blank && back == 0);
        let kept = match is_current {
            true => money("current_total_price").saturating_add(back).min(all),
            false => all,
        };
        let paid = is_told("total_outstanding").then(|| {
            let whole = if is_told("current_total_price") {
                money("current_total_price").saturating_add(back)
            } else {
                all
            };
            whole.saturating_sub(money("total_outstanding")).max(back).clamp(0, all)
        });
        let total = kept.max(paid.unwrap_or(0));
        Self { total, paid, back, is_edited: total < all }
    }
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

/// A line without what was taken off it.
fn line(line: &Fields, currency: &str, taken_off: &[(String, i64)]) -> Option<NewLineItem> {
    let money = |amount| Money { amount, currency: currency.to_owned() };
    let ordered = line.number("quantity")?;
    let is_this = |(id, _): &&(String, i64)| Some(id) == line.id("id").as_ref();
    let off = total(taken_off.iter().filter(is_this).map(|(_, off)| *off));
    let left = ordered.saturating_sub(off);
    let quantity = i32::try_from(left).ok().filter(|n| *n >= 1)?;
    let sum = |list: &str, field: &str| share(line.sum(list, field, currency), left, ordered);
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
        discount_total: Some(money(sum("discount_allocations", "amount").min(gross))),
        tax_total: Some(money(sum("tax_lines", "price"))),
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
        let line = line(one, &currency, &[])?;
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
