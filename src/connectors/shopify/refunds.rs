//! Shopify's refunds: what was really paid back, in the shop's currency, and what came back.

use super::super::fields::{Fields, total};
use super::part;
use crate::orders::NewRefund;
use crate::values::money::Money;

/// In which currency a shop counts, and whether its prices include the tax.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    pub currency: &'a str,
    pub is_tax_included: bool,
}

/// What a refund comes to, in minor units of the shop's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worth {
    pub paid_back: i64,
    /// What a bank has still to say yes or no to.
    pub pending: i64,
}

impl Worth {
    pub fn sum(self) -> i64 {
        self.paid_back.saturating_add(self.pending)
    }

    /// Nothing where only a customer's currency is known.
    pub fn of(refund: &Fields, terms: Terms) -> Option<Self> {
        let (done, pending) = (transactions(refund, "success"), transactions(refund, "pending"));
        let sum = |list: &[Fields]| -> Option<i64> {
            let amounts: Option<Vec<i64>> = list.iter().map(|one| shops(one, terms)).collect();
            Some(total(amounts?.into_iter()))
        };
        if let (Some(paid_back), Some(pending)) = (sum(&done), sum(&pending)) {
            return Some(Self { paid_back, pending });
        }
        let goods = goods(refund, terms);
        if goods <= 0 {
            let sum = |list| converted(list, terms.currency);
            return Some(Self { paid_back: sum(&done)?, pending: sum(&pending)? });
        }
        let (paid_back, pending) = (presented(&done), presented(&pending));
        let paid_back = share(goods, paid_back, paid_back.saturating_add(pending));
        Some(Self { paid_back, pending: goods - paid_back })
    }
}

/// A refund, where money went back or goods came. A line that was taken off before anybody paid for it
/// is none, nor is what a bank has not done yet.
pub fn refund(refund: &Fields, terms: Terms) -> Option<NewRefund> {
    let amount = match Worth::of(refund, terms) {
        Some(worth) => Money { amount: worth.paid_back, currency: terms.currency.to_owned() },
        // It is refused, and seen.
        None => presentment(refund)?,
    };
    let lines = refund.list("refund_line_items");
    let (back, kept): (Vec<Fields>, Vec<Fields>) = lines.into_iter().partition(is_return);
    let is_return = !back.is_empty();
    if amount.amount == 0 && !is_return {
        return None;
    }
    let lines = if is_return { back } else { kept };
    Some(NewRefund {
        external_id: refund.id("id"),
        reason: refund.text("note", 500),
        is_return,
        line_items: lines.iter().filter_map(|line| part(line, "line_item_id")).collect(),
        refunded_at: refund.time("processed_at").or_else(|| refund.time("created_at")),
        ..NewRefund::of(amount)
    })
}

fn is_return(line: &Fields) -> bool {
    line.text("restock_type", 40).as_deref() == Some("return")
}

/// Of which lines how many were taken off, where no money went back and no goods came.
pub fn taken_off(refund: &Fields, terms: Terms) -> Vec<(String, i64)> {
    if Worth::of(refund, terms) != Some(Worth::default()) {
        return Vec::new();
    }
    let lines = refund.list("refund_line_items").into_iter().filter(|line| !is_return(line));
    let named = |line: Fields| {
        Some((line.id("line_item_id")?, line.number("quantity").filter(|n| *n > 0)?))
    };
    lines.filter_map(named).collect()
}

fn transactions<'a>(refund: &Fields<'a>, status: &str) -> Vec<Fields<'a>> {
    let is_it = |one: &Fields| {
        one.text("kind", 40).as_deref() == Some("refund")
            && one.text("status", 40).as_deref().unwrap_or("success") == status
    };
    refund.list("transactions").into_iter().filter(is_it).collect()
}

/// What a transaction comes to in the shop's currency, as far as it says so: its `amount` is in the
/// currency that the customer paid in.
fn shops(transaction: &Fields, terms: Terms) -> Option<i64> {
    for set in ["amount_set", "total_set"] {
        let money = transaction.object(set).object("shop_money");
        if money.currency("currency_code").as_deref() == Some(terms.currency) {
            return Some(money.amount("amount", terms.currency));
        }
    }
    let currency = transaction.currency("currency");
    let is_shops = currency.is_none_or(|currency| currency == terms.currency);
    is_shops.then(|| transaction.amount("amount", terms.currency))
}

/// What transactions come to at the rate of the order, where an adjustment of the rate tells.
fn converted(transactions: &[Fields], currency: &str) -> Option<i64> {
    let amounts: Option<Vec<i64>> = transactions
        .iter()
        .map(|one| {
            let adjustment = one.object("currency_exchange_adjustment");
            let is_shops = adjustment.currency("currency").as_deref() == Some(currency);
            is_shops.then(|| adjustment.amount_of_any_sign("original_amount", currency))
        })
        .collect();
    Some(total(amounts?.into_iter()))
}

/// What transactions come to in the currency that the customer paid in.
fn presented(transactions: &[Fields]) -> i64 {
    total(
        transactions.iter().map(|one| {
            one.currency("currency").map_or(0, |currency| one.amount("amount", &currency))
        }),
    )
}

fn presentment(refund: &Fields) -> Option<Money> {
    let done = transactions(refund, "success");
    let currency = done.iter().find_map(|one| one.currency("currency"))?;
    Some(Money { amount: presented(&done), currency })
}

/// What goods, shipping, duties and the difference to what was agreed come to, in the shop's currency:
/// what is given back is negative in adjustments.
fn goods(refund: &Fields, terms: Terms) -> i64 {
    let Terms { currency, is_tax_included } = terms;
    let money =
        |one: &Fields, set: &str| one.object(set).object("shop_money").signed("amount", currency);
    let lines = refund.list("refund_line_items");
    let lines = lines.iter().map(|line| {
        let tax = if is_tax_included { 0 } else { money(line, "total_tax_set") };
        money(line, "subtotal_set").saturating_add(tax)
    });
    let adjustments = refund.list("order_adjustments");
    let has_shipping =
        adjustments.iter().any(|one| one.text("kind", 40).as_deref() == Some("shipping_refund"));
    let adjusted = adjustments.iter().map(|one| {
        money(one, "amount_set").saturating_add(money(one, "tax_amount_set")).saturating_neg()
    });
    let shipping = match has_shipping {
        true => Vec::new(),
        false => refund.list("refund_shipping_lines"),
    };
    let shipping = shipping.iter().map(|one| {
        let tax = if is_tax_included { 0 } else { money(one, "tax_amount_set") };
        money(one, "subtotal_amount_set").saturating_add(tax)
    });
    total(lines.chain(adjusted).chain(shipping)).saturating_add(money(refund, "total_duties_set"))
}

/// So much of `amount` as `part` is of `whole`, rounded.
pub fn share(amount: i64, part: i64, whole: i64) -> i64 {
    if whole == 0 {
        return 0;
    }
    let (amount, part, whole) = (i128::from(amount), i128::from(part), i128::from(whole));
    i64::try_from((amount * part + whole / 2) / whole).unwrap_or(i64::MAX)
}
