//! Stripe's payment and charge events, onto the orders they pay for.
//!
//! A payment names its order in its metadata: `order_id` is ours, or the shop's with
//! `order_source`. One that names none becomes an order of its own.

use serde_json::Value;

use super::fields::Fields;
use super::native::{NativeOrder, NativePerson, Priced, address};
use super::process::{Done, News, Payment};
use crate::error::Result;
use crate::orders::types::{FinancialStatus, FulfillmentStatus, OrderStatus};
use crate::orders::{NewRefund, OrderPatch};
use crate::values::money::Money;

/// Takes one event in.
pub fn take(news: &mut News, topic: &str, body: &Value) -> Result<Done> {
    let event = Fields(body);
    let object = event.object("data").object("object");
    match topic {
        "payment_intent.succeeded" | "charge.succeeded" | "checkout.session.completed" => {
            paid(news, &event, &object)
        }
        "charge.refunded" => refunded(news, &event, &object),
        _ => Ok(Done::ignored("a type that is not used")),
    }
}

/// The payment that an object is, or belongs to.
fn payment(object: &Fields) -> Option<Payment> {
    let metadata = object.object("metadata");
    let external_id = object.id("payment_intent").or_else(|| object.id("id"))?;
    Some(Payment {
        external_id,
        order_id: metadata.id("order_id"),
        order_source: metadata.text("order_source", 100),
    })
}

fn paid(news: &mut News, event: &Fields, object: &Fields) -> Result<Done> {
    let is_unpaid = object.text("payment_status", 40).is_some_and(|status| status == "unpaid");
    let Some(payment) = payment(object).filter(|_| !is_unpaid) else {
        return Ok(Done::ignored("nothing was paid"));
    };
    let at = event.epoch("created");
    let Some(order) = order(&payment, event, object) else {
        return Ok(Done::ignored("no amount, or none in a currency"));
    };
    let money = Money { amount: order.priced.total, currency: order.currency.clone() };
    news.payment(
        &payment,
        |kept| {
            let paid = kept.paid_total.amount.max(money.amount.min(kept.total.amount));
            OrderPatch {
                paid_total: Some(Money { amount: paid, currency: kept.currency.clone() }),
                paid_at: at.filter(|_| paid >= kept.total.amount),
                ..OrderPatch::default()
            }
        },
        Some(order),
    )
}

/// What was paid back in all; what no earlier event told of is one refund.
fn refunded(news: &mut News, event: &Fields, charge: &Fields) -> Result<Done> {
    let Some(payment) = payment(charge) else { return Ok(Done::ignored("no payment")) };
    let (refunded, at) = (charge.number("amount_refunded").unwrap_or(0), event.epoch("created"));
    let id = charge.id("id").unwrap_or_default();
    news.payment(
        &payment,
        |kept| {
            let rest = (refunded - kept.refunded_total.amount).max(0);
            let amount = Money { amount: rest, currency: kept.currency.clone() };
            let refund = NewRefund {
                external_id: Some(format!("{id}:{refunded}")),
                refunded_at: at,
                ..NewRefund::of(amount)
            };
            let refunds = if rest > 0 { vec![refund] } else { Vec::new() };
            OrderPatch { refunds: Some(refunds), ..OrderPatch::default() }
        },
        None,
    )
}

fn order(payment: &Payment, event: &Fields, object: &Fields) -> Option<NativeOrder> {
    let currency = object.currency("currency")?;
    let received = ["amount_received", "amount_total", "amount"];
    let total = received.iter().find_map(|name| object.number(name).filter(|n| *n > 0))?;
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
        financial_status: FinancialStatus::Paid,
        fulfillment_status: FulfillmentStatus::Unfulfilled,
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
        paid_at: event.epoch("created"),
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
