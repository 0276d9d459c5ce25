//! What payment providers tell of an order. A payment counts once, by whatever events and however often
//! it is told.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::refunds::{self, NewRefund};
use super::types::OrderRow;
use super::write::Draft;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::sources::Told;

/// Payments that are kept of one order.
const PAYMENTS: usize = 200;

/// What a provider says of one payment, in minor units of the order's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The provider's id of it.
    pub id: String,
    /// What was paid, in all.
    pub paid: i64,
    /// What was paid back of it, in all.
    pub refunded: i64,
    pub at: Option<DateTime<Utc>>,
}

/// What is known of one payment; both only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    paid: i64,
    refunded: i64,
}

fn sum(payments: &BTreeMap<String, Settled>, of: fn(&Settled) -> i64) -> i64 {
    payments.values().map(of).fold(0, i64::saturating_add)
}

/// What providers say was paid, in all.
pub(super) fn paid(order: &OrderRow) -> i64 {
    sum(&order.payments.0, |one| one.paid)
}

/// Enters a payment into a draft. What no earlier word told of is one more refund, until the order's
/// source tells it under its own id: providers are often faster.
pub(super) fn enter(tx: &mut Tx, draft: &mut Draft, told: &Payment) -> Result<()> {
    let order = &mut draft.row;
    let known = &mut order.payments.0;
    if known.len() >= PAYMENTS && !known.contains_key(&told.id) {
        let detail = format!("at most {PAYMENTS} payments are kept of one order");
        return Err(Error::field("#", "too_many_payments", detail));
    }
    let before = sum(known, |one| one.paid);
    let one = known.entry(told.id.clone()).or_default();
    one.paid = one.paid.max(told.paid);
    one.refunded = one.refunded.max(told.refunded);
    let (paid, refunded) = (sum(known, |one| one.paid), sum(known, |one| one.refunded));
    order.paid_total = order.paid_total.max(paid.min(order.total));
    // What was paid beyond what counts is given back first, and is no refund of the order.
    let counted = order.total.max(order.paid_total);
    let beyond = |paid: i64| (paid - counted).max(0);
    let rest = (refunded - beyond(paid)).max(0) - order.refunded_total;
    if rest <= 0 {
        // It looked like one, where it was told before the payment that was too much.
        let too_much = beyond(paid) - beyond(before);
        return refunds::withdraw(tx, draft, too_much.min(-rest));
    }
    let refund = NewRefund {
        external_id: Some(format!("{}:{}", told.id, told.refunded)),
        refunded_at: told.at,
        ..NewRefund::deduced(order.money(rest))
    };
    refunds::enter(tx, draft, &[refund], Told::ByShop)
}
