//! The states of an order: which moves there are, and what follows from payments and refunds.

use chrono::{DateTime, Utc};

use super::payments;
use super::requests::OrderPatch;
use super::types::{FinancialStatus, FulfillmentStatus, LineRow, OrderRow, OrderStatus};
use super::write::Draft;
use crate::error::{Error, Result};
use crate::sources::Told;

impl OrderStatus {
    fn moves(self) -> &'static [Self] {
        match self {
            Self::Open => &[Self::Completed, Self::Cancelled, Self::Archived],
            Self::Completed => &[Self::Open, Self::Cancelled, Self::Archived],
            Self::Cancelled => &[Self::Archived],
            Self::Archived => &[Self::Open, Self::Completed],
        }
    }
}

impl FinancialStatus {
    fn moves(self) -> &'static [Self] {
        use FinancialStatus::{
            Authorized, Paid, PartiallyPaid, PartiallyRefunded, Pending, Refunded, Voided,
        };
        match self {
            Pending => &[Authorized, PartiallyPaid, Paid, PartiallyRefunded, Refunded, Voided],
            Authorized => &[PartiallyPaid, Paid, PartiallyRefunded, Refunded, Voided],
            PartiallyPaid => &[Paid, PartiallyRefunded, Refunded],
            // More was ordered than was paid for.
            Paid => &[PartiallyPaid, PartiallyRefunded, Refunded],
            PartiallyRefunded => &[Refunded],
            // More was paid after everything had been paid back.
            Refunded => &[PartiallyRefunded],
            Voided => &[],
        }
    }
}

impl FulfillmentStatus {
    fn moves(self) -> &'static [Self] {
        match self {
            Self::Unfulfilled => &[Self::Partial, Self::Fulfilled],
            Self::Partial => &[Self::Unfulfilled, Self::Fulfilled, Self::Returned],
            Self::Fulfilled => &[Self::Partial, Self::Returned],
            Self::Returned => &[],
        }
    }
}

/// 409 with the moves there are, unless nothing moves or this is one of them.
macro_rules! check_move {
    ($field:literal, $from:expr, $to:expr) => {{
        let (from, to) = ($from, $to);
        if from != to && !from.moves().contains(&to) {
            let allowed: Vec<&str> = from.moves().iter().map(|state| state.as_str()).collect();
            let detail = format!("`{}` cannot go from `{from}` to `{to}`", $field);
            return Err(Error::transition(detail, &allowed));
        }
    }};
}

/// 409 where a caller moves an order as no order moves.
pub fn check_moves(before: &OrderRow, after: &OrderRow) -> Result<()> {
    check_move!("status", before.status, after.status);
    check_move!("financial_status", before.financial_status, after.financial_status);
    check_move!("fulfillment_status", before.fulfillment_status, after.fulfillment_status);
    Ok(())
}

impl OrderPatch {
    /// Takes the states over, and what was paid. A time says that it happened.
    pub(super) fn take_states(
        &self,
        draft: &mut Draft,
        at: DateTime<Utc>,
        told: Told,
    ) -> Result<()> {
        let order = &mut draft.row;
        let said = self.status.or(self.cancelled_at.map(|_| OrderStatus::Cancelled));
        order.status = said.unwrap_or(order.status);
        if order.status == OrderStatus::Cancelled {
            order.cancelled_at = self.cancelled_at.or(order.cancelled_at).or(Some(at));
        }
        self.take_payment(order, told)?;
        self.take_fulfillment(draft);
        Ok(())
    }

    /// The word that was said about payment.
    pub(super) fn said_payment(&self) -> Option<FinancialStatus> {
        let paid = || self.paid_at.filter(|_| self.paid_total.is_none());
        self.financial_status.or(paid().map(|_| FinancialStatus::Paid))
    }

    /// `paid_total` is a figure, `financial_status` a word for it: where one of them is absent, the
    /// other tells.
    fn take_payment(&self, order: &mut OrderRow, told: Told) -> Result<()> {
        use FinancialStatus::{
            Authorized, Paid, PartiallyPaid, PartiallyRefunded, Pending, Refunded, Voided,
        };
        let Some(said) = self.said_payment() else { return Ok(()) };
        order.financial_status = said;
        if self.paid_total.is_some() {
            return Ok(());
        }
        let settled = payments::paid(order).min(order.total);
        if told == Told::ByShop && matches!(said, Pending | Authorized) && settled > 0 {
            // Its provider has told it already, and the shop will hear of it.
            order.paid_total = order.paid_total.max(settled);
            order.financial_status = if settled >= order.total { Paid } else { PartiallyPaid };
            return Ok(());
        }
        match said {
            Paid | PartiallyRefunded | Refunded => {
                order.paid_total = order.paid_total.max(order.total);
            }
            // A shop that paid something back was paid before, whatever it says now.
            Pending | Authorized | Voided if told == Told::ByShop => {
                order.paid_total = order.refunded_total;
            }
            Pending | Authorized | Voided => order.paid_total = 0,
            PartiallyPaid if order.paid_total == 0 => {
                let detail = "`partially_paid` needs to know how much: send `paid_total`";
                return Err(Error::field("#/paid_total", "required", detail));
            }
            PartiallyPaid => {}
        }
        Ok(())
    }

    fn take_fulfillment(&self, draft: &mut Draft) {
        use FulfillmentStatus::{Fulfilled, Partial, Returned, Unfulfilled};
        let said = self.fulfillment_status.or(self.fulfilled_at.map(|_| Fulfilled));
        let Some(said) = said else { return };
        draft.row.fulfillment_status = said;
        for line in &mut draft.lines {
            let (fulfilled, returned) = match said {
                Unfulfilled => (0, 0),
                Partial => (line.fulfilled_quantity, line.returned_quantity),
                Fulfilled => (line.quantity, line.returned_quantity),
                Returned => (line.quantity, line.quantity),
            };
            draft.lines_changed |=
                (line.fulfilled_quantity, line.returned_quantity) != (fulfilled, returned);
            (line.fulfilled_quantity, line.returned_quantity) = (fulfilled, returned);
        }
    }

    /// Whether this says less than is known already: of two bodies that a shop made in one second, which
    /// is as exact as some tell time, the one that says more is the later one.
    pub(super) fn goes_back(&self, known: &OrderRow) -> bool {
        self.said_payment().is_some_and(|said| said < known.financial_status)
            || self.paid_total.as_ref().is_some_and(|said| said.amount < known.paid_total)
            || self.fulfillment_status.is_some_and(|said| said < known.fulfillment_status)
            || self.status == Some(OrderStatus::Open) && known.status != OrderStatus::Open
    }

    /// Whether anything that the state of payment depends on was said.
    fn touches_payment(&self) -> bool {
        self.financial_status.is_some()
            || self.payment.is_some()
            || self.paid_total.is_some()
            || self.paid_at.is_some()
            || self.total.is_some()
            || self.line_items.is_some()
            || self.refunds.is_some()
            || self.discount_total.is_some()
            || self.shipping_total.is_some()
            || self.fee_total.is_some()
            || self.tax_total.is_some()
            || self.subtotal.is_some()
    }

    /// What follows from all that was said and entered.
    pub(super) fn settle_states(&self, draft: &mut Draft, is_new: bool, told: Told) {
        if is_new || self.touches_payment() {
            settle_payment(&mut draft.row, self.said_payment().is_some());
        }
        let is_said = self.fulfillment_status.is_some() || self.fulfilled_at.is_some();
        if draft.lines_changed && !is_said && !draft.lines.is_empty() {
            settle_fulfillment(&mut draft.row, &draft.lines);
        }
        let order = &mut draft.row;
        let is_unpaid = matches!(
            order.financial_status,
            FinancialStatus::Pending | FinancialStatus::Authorized
        );
        if order.status == OrderStatus::Cancelled && is_unpaid && told == Told::ByCaller {
            order.financial_status = FinancialStatus::Voided;
        }
    }
}

/// What payments and refunds make of the financial state: refunds decide where there are any, then
/// the word that was said, then the figures.
fn settle_payment(order: &mut OrderRow, is_said: bool) {
    use FinancialStatus::{Paid, PartiallyPaid, PartiallyRefunded, Pending, Refunded};
    order.financial_status = match order.refunded_total {
        0 if is_said => order.financial_status,
        0 if order.paid_total >= order.total && order.paid_total > 0 => Paid,
        0 if order.paid_total > 0 => PartiallyPaid,
        0 => match order.financial_status {
            // What is free is paid for.
            Pending if order.total == 0 => Paid,
            PartiallyPaid | Paid => Pending,
            other => other,
        },
        refunded if refunded >= order.paid_total => Refunded,
        _ => PartiallyRefunded,
    };
}

/// What the lines make of the state of fulfillment: sent, come back, or some of it.
fn settle_fulfillment(order: &mut OrderRow, lines: &[LineRow]) {
    let all = |is: fn(&LineRow) -> bool| !lines.is_empty() && lines.iter().all(is);
    let any = |is: fn(&LineRow) -> bool| lines.iter().any(is);
    order.fulfillment_status = if all(|line| line.returned_quantity >= line.quantity) {
        FulfillmentStatus::Returned
    } else if all(|line| line.fulfilled_quantity >= line.quantity) {
        FulfillmentStatus::Fulfilled
    } else if any(|line| line.fulfilled_quantity > 0) {
        FulfillmentStatus::Partial
    } else {
        FulfillmentStatus::Unfulfilled
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_can_follow_every_payment_and_nothing_follows_a_void() {
        use FinancialStatus::{Authorized, Paid, PartiallyPaid, Pending, Refunded, Voided};
        for state in [Pending, Authorized, PartiallyPaid, Paid] {
            assert!(state.moves().contains(&Refunded), "{state}");
        }
        assert!(Voided.moves().is_empty());
        assert!(!Paid.moves().contains(&Pending) && !Refunded.moves().contains(&Paid));
    }

    #[test]
    fn what_is_cancelled_stays_cancelled() {
        assert_eq!(OrderStatus::Cancelled.moves(), [OrderStatus::Archived]);
        assert!(FulfillmentStatus::Returned.moves().is_empty());
    }
}
