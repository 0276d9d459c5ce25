//! What an order costs: computed from its lines, and compared with what the sender says.

use super::requests::{NewLineItem, OrderPatch};
use super::types::{LineRow, OrderRow};
use crate::error::{FieldError, Result};
use crate::values::money::{MOST, Money};

/// An amount that may be absent.
fn given(money: Option<&Money>, currency: &str, pointer: &str) -> Result<Option<i64>, FieldError> {
    money.map(|money| money.within(currency, pointer)).transpose()
}

/// The amounts of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineAmounts {
    pub unit_price: i64,
    pub discount_total: i64,
    pub tax_total: i64,
    pub total: i64,
}

impl LineAmounts {
    /// Reads the amounts of a line; `pointer` is where it stands.
    pub fn of(line: &NewLineItem, currency: &str, pointer: &str) -> Result<Self, FieldError> {
        let at = |field: &str| format!("{pointer}/{field}");
        let unit_price = line.unit_price.within(currency, &at("unit_price"))?;
        let discount = given(line.discount_total.as_ref(), currency, &at("discount_total"))?;
        let tax = given(line.tax_total.as_ref(), currency, &at("tax_total"))?;
        let discount_total = discount.unwrap_or(0);
        let gross = i128::from(unit_price) * i128::from(line.quantity);
        let total = within(gross - i128::from(discount_total), &at("total"))?;
        compare(
            given(line.total.as_ref(), currency, &at("total"))?,
            total,
            currency,
            &at("total"),
        )?;
        Ok(Self { unit_price, discount_total, tax_total: tax.unwrap_or(0), total })
    }
}

/// A computed sum, where it is one that an order can have.
fn within(sum: i128, pointer: &str) -> Result<i64, FieldError> {
    let sum = i64::try_from(sum).ok().filter(|sum| (0..=MOST).contains(sum));
    sum.ok_or_else(|| {
        let detail = format!("what follows for this amount is not from 0 to {MOST} minor units");
        FieldError::at(pointer, "out_of_range", detail)
    })
}

fn compare(
    said: Option<i64>,
    computed: i64,
    currency: &str,
    pointer: &str,
) -> Result<(), FieldError> {
    match said {
        Some(said) if said != computed => {
            let money = |amount| Money { amount, currency: currency.to_owned() };
            let detail = format!("it adds up to {}, not to {}", money(computed), money(said));
            Err(FieldError::at(pointer, "totals_mismatch", detail))
        }
        _ => Ok(()),
    }
}

impl OrderPatch {
    /// Takes the amounts over, computes those that follow, and compares with what was said of them.
    pub(super) fn settle(&self, order: &mut OrderRow, lines: &[LineRow]) -> Result<()> {
        Ok(self.take_parts(order).and_then(|()| self.add_up(order, lines))?)
    }

    fn take_parts(&self, order: &mut OrderRow) -> Result<(), FieldError> {
        let currency = order.currency.clone();
        let read = |money: &Option<Money>, pointer| given(money.as_ref(), &currency, pointer);
        let parts = [
            (&mut order.discount_total, read(&self.discount_total, "#/discount_total")?),
            (&mut order.tax_total, read(&self.tax_total, "#/tax_total")?),
            (&mut order.shipping_total, read(&self.shipping_total, "#/shipping_total")?),
            (&mut order.fee_total, read(&self.fee_total, "#/fee_total")?),
            (&mut order.paid_total, read(&self.paid_total, "#/paid_total")?),
        ];
        for (part, said) in parts {
            *part = said.unwrap_or(*part);
        }
        order.is_tax_included = self.is_tax_included.unwrap_or(order.is_tax_included);
        Ok(())
    }

    /// An order without lines costs what is said; its subtotal is what is left without the rest.
    fn add_up(&self, order: &mut OrderRow, lines: &[LineRow]) -> Result<(), FieldError> {
        let currency = order.currency.clone();
        let subtotal = given(self.subtotal.as_ref(), &currency, "#/subtotal")?;
        let total = given(self.total.as_ref(), &currency, "#/total")?;
        let rest = i128::from(order.shipping_total) + i128::from(order.fee_total)
            - i128::from(order.discount_total)
            + if order.is_tax_included { 0 } else { i128::from(order.tax_total) };
        order.subtotal = match (lines, subtotal, total) {
            ([], Some(subtotal), _) => subtotal,
            ([], None, Some(total)) => within(i128::from(total) - rest, "#/total")?,
            ([], None, None) => order.subtotal,
            _ => within(lines.iter().map(|line| i128::from(line.total)).sum(), "#/line_items")?,
        };
        compare(subtotal, order.subtotal, &currency, "#/subtotal")?;
        order.total = within(i128::from(order.subtotal) + rest, "#/total")?;
        compare(total, order.total, &currency, "#/total")
    }
}
