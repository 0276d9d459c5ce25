//! What payment providers tell of an order. A payment counts once, by whatever events and however often
//! it is told.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::refunds::{self, NewRefund};
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

/// Enters a payment into a draft. What no earlier word told of is one more refund, until the order's
/// source tells it under its own id: providers are often faster.
pub(super) fn enter(tx: &mut Tx, draft: &mut Draft, told: &Payment) -> Result<()> {
    let order = &mut draft.row;
    let known = &mut order.payments.0;
    if known.len() >= PAYMENTS && !known.contains_key(&told.id) {
        let detail = format!("at most {PAYMENTS} payments are kept of one order");
        return Err(Error::field("#", "too_many_payments", detail));
    }
    let one = known.entry(told.id.clone()).or_default();
    one.paid = one.paid.max(told.paid);
    one.refunded = one.refunded.max(told.refunded);
    let sum = |of: fn(&Settled) -> i64| known.values().map(of).fold(0, i64::saturating_add);
    let (paid, refunded) = (sum(|one| one.paid), sum(|one| one.refunded));
    order.paid_total = order.paid_total.max(paid.min(order.total));
    let rest = refunded - order.refunded_total;
    if rest <= 0 {
        return Ok(());
    }
    let refund = NewRefund {
        external_id: Some(format!("{}:{}", told.id, told.refunded)),
        refunded_at: told.at,
        ..NewRefund::deduced(order.money(rest))
    };
    refunds::enter(tx, draft, &[refund], Told::ByShop)
}
