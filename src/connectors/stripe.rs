//! Stripe's payment and charge events, onto the orders they pay for.
//!
//! A payment names its order in its metadata: `order_id` is ours, or a shop's, which `order_source` names
//! where there are several. One that names none becomes an order of its own.

use serde_json::Value;

use super::fields::Fields;
use super::native::{NativeOrder, NativePerson, Priced, address};
use super::process::{Done, News, Payment};
use crate::error::Result;
use crate::orders::OrderPatch;
use crate::orders::types::{FinancialStatus, FulfillmentStatus, OrderStatus};
use crate::values::money::MOST;

/// Takes one event in.
pub fn take(news: &mut News, topic: &str, body: &Value) -> Result<Done> {
    let event = Fields(body);
    let object = event.object("data").object("object");
    match topic {
        // The card was asked, and the money is taken later, or never.
        "charge.succeeded" if object.0["captured"] == false => authorized(news, &event, &object),
        "payment_intent.succeeded"
        | "charge.succeeded"
        | "charge.captured"
        | "checkout.session.completed"
        | "checkout.session.async_payment_succeeded" => paid(news, &event, &object),
        // So some versions of the API tell that an authorization was let go.
        "charge.refunded" if object.0["captured"] == false => let_go(news, &object),
        "charge.refunded" => refunded(news, &event, &object),
        "charge.expired" | "payment_intent.canceled" => let_go(news, &object),
        _ => Ok(Done::ignored("a type that is not used")),
    }
}

/// The payment that an object is, or belongs to.
fn payment(object: &Fields) -> Option<Payment> {
    let metadata = object.object("metadata");
    let external_id = object.id("payment_intent").or_else(|| object.id("id"))?;
    Some(Payment {
        external_id,
        currency: object.currency("currency"),
        order_id: metadata.id("order_id"),
        order_source: metadata.text("order_source", 100),
        hint: object.id("client_reference_id"),
    })
}

/// Whether a Checkout session leads to payments that tell of themselves, as those of a subscription's
/// invoices do.
fn is_told_otherwise(object: &Fields) -> bool {
    let is = |name: &str, word: &str| object.text(name, 40).is_some_and(|text| text == word);
    let is_free = is("payment_status", "no_payment_required") && object.id("invoice").is_some();
    object.id("payment_intent").is_none()
        && is("object", "checkout.session")
        && (is("mode", "subscription") || is("mode", "setup") || is_free)
}

fn paid(news: &mut News, event: &Fields, object: &Fields) -> Result<Done> {
    if is_told_otherwise(object) {
        return Ok(Done::ignored("what is paid for it is told by payments of their own"));
    }
    let is_unpaid = object.text("payment_status", 40).is_some_and(|status| status == "unpaid");
    let Some(payment) = payment(object).filter(|_| !is_unpaid) else {
        return Ok(Done::ignored("nothing was paid"));
    };
    let Some(order) = order(&payment, event, object, FinancialStatus::Paid) else {
        return Ok(Done::ignored("no amount, or none in a currency"));
    };
    let told = payment.settled(order.priced.total, 0, event.epoch("created"));
    news.payment(&payment, Some(order), |_| {
        Some(OrderPatch { payment: Some(told.clone()), ..OrderPatch::default() })
    })
}

fn authorized(news: &mut News, event: &Fields, charge: &Fields) -> Result<Done> {
    let Some(payment) = payment(charge) else { return Ok(Done::ignored("no payment")) };
    let order = order(&payment, event, charge, FinancialStatus::Authorized);
    news.payment(&payment, order, |kept| {
        (kept.financial_status == FinancialStatus::Pending).then(|| OrderPatch {
            financial_status: Some(FinancialStatus::Authorized),
            ..OrderPatch::default()
        })
    })
}

/// What was authorized will not be taken.
fn let_go(news: &mut News, object: &Fields) -> Result<Done> {
    let Some(payment) = payment(object) else { return Ok(Done::ignored("no payment")) };
    if !news.knows_payment(&payment)? {
        return Ok(Done::ignored("nobody knew what it was for"));
    }
    news.payment(&payment, None, |kept| {
        (kept.financial_status == FinancialStatus::Authorized).then(|| OrderPatch {
            financial_status: Some(FinancialStatus::Voided),
            ..OrderPatch::default()
        })
    })
}

/// What was paid back in all; what no earlier event told of is one refund. It had been paid before.
fn refunded(news: &mut News, event: &Fields, charge: &Fields) -> Result<Done> {
    let Some(payment) = payment(charge) else { return Ok(Done::ignored("no payment")) };
    let refunded = amount(charge, &["amount_refunded"]).unwrap_or(0);
    let paid = amount(charge, AMOUNTS).unwrap_or(refunded);
    // What was authorized and not taken counts there as paid back.
    let released = amount(charge, &["amount"]).unwrap_or(paid) - paid;
    let refunded = refunded - released;
    if refunded <= 0 {
        return Ok(Done::ignored("nothing was paid back"));
    }
    let told = payment.settled(paid, refunded, event.epoch("created"));
    news.payment(&payment, None, |_| {
        Some(OrderPatch { payment: Some(told.clone()), ..OrderPatch::default() })
    })
}

/// What came, by what it is called in intents, sessions and charges.
const AMOUNTS: &[&str] = &["amount_received", "amount_total", "amount_captured", "amount"];

/// The first of these amounts that an order can have.
fn amount(object: &Fields, names: &[&str]) -> Option<i64> {
    let currency = object.currency("currency").unwrap_or_default();
    let fits = |amount: &i64| (1..=MOST).contains(amount);
    names.iter().find_map(|name| Some(minor_units(object.number(name)?, &currency)).filter(fits))
}

/// Stripe counts in the smallest unit of ISO 4217, but for some currencies ("special cases" and
/// "zero-decimal currencies" in its docs): krónur and shillings, which have none, in hundredths; ariary,
/// which are said to have hundredths, in whole.
fn minor_units(amount: i64, currency: &str) -> i64 {
    match currency {
        "ISK" | "UGX" => amount / 100,
        "MGA" => amount.saturating_mul(100),
        _ => amount,
    }
}

fn order(
    payment: &Payment,
    event: &Fields,
    object: &Fields,
    financial_status: FinancialStatus,
) -> Option<NativeOrder> {
    let currency = object.currency("currency")?;
    let total = amount(object, AMOUNTS)?;
    let is_paid = financial_status == FinancialStatus::Paid;
    let billing = object.object("billing_details");
    let details = object.object("customer_details");
    let name = billing.text("name", 200).or_else(|| details.text("name", 200));
    let email = object.email("receipt_email").or_else(|| billing.email("email"));
    Some(NativeOrder {
        external_id: payment.external_id.clone(),
        number: None,
        person: NativePerson {
            external_id: object.id("customer"),
            last_name: name,
            ..NativePerson::default()
        },
        email: email.or_else(|| details.email("email")),
        phone: billing.phone("phone", None).or_else(|| details.phone("phone", None)),
        status: OrderStatus::Open,
        financial_status,
        fulfillment_status: Some(FulfillmentStatus::Unfulfilled),
        lines: Vec::new(),
        priced: Priced { total, ..Priced::default() },
        cart: None,
        billing_address: address(&billing.object("address"), &ADDRESS),
        shipping_address: None,
        discount_codes: Vec::new(),
        utm: None,
        note: object.text("description", 5000),
        cancel_reason: None,
        placed_at: object.epoch("created").or_else(|| event.epoch("created")),
        paid_at: event.epoch("created").filter(|_| is_paid),
        fulfilled_at: None,
        cancelled_at: None,
        source_updated_at: None,
        refunds: Vec::new(),
        fulfillments: Vec::new(),
        tags: Vec::new(),
        currency,
    })
}

const ADDRESS: [&str; 10] =
    ["", "", "", "", "line1", "line2", "city", "state", "postal_code", "country"];
