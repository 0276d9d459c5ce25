//! What events say of orders and carts, recorded there.

use uuid::Uuid;

use super::commerce::{CartLines, CartReport, Returned, Sale, SaleStep};
use super::write::{SOURCE, Surroundings, attempt};
use crate::carts;
use crate::carts::types::{CartLineItem, CartRow, NewCartLineItem};
use crate::customers::references::CustomerReference;
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{FieldError, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::conditional::UNCONDITIONAL;
use crate::orders::types::{FinancialStatus, LineItem, OrderStatus, Utm};
use crate::orders::{self, NewLineItem, NewRefund, Order, OrderPatch};
use crate::sources::{Told, is_older};
use crate::touchpoints::NewTouchpoint;
use crate::values::money::Money;

/// Where refusals of orders and carts point.
const AT: &str = "#/properties";

fn reference(id: &str) -> ExternalId {
    ExternalId { source: SOURCE.into(), id: id.into() }
}

fn by_id(customer: Option<Uuid>) -> Option<CustomerReference> {
    let id = Some(customer?);
    Some(CustomerReference { id, ..CustomerReference::default() })
}

fn refused(code: &'static str, detail: &str) -> FieldError {
    FieldError::at("#/properties/order_id", code, detail)
}

/// Records an order, or what became of it. Events may come in any order: older ones change nothing.
pub fn sell(
    tx: &mut Tx,
    around: &Surroundings,
    sale: &Sale,
    event: &NewTouchpoint,
    customer: Option<Uuid>,
    ignored: &mut Vec<FieldError>,
) -> Result<()> {
    let reference = reference(&sale.id);
    let known = external_ids::find(tx, Owner::Order, SOURCE, &sale.id)?;
    let is_bound = !around.sender.may_change_orders;
    if is_bound && (known.is_some() || orders::was_deleted(tx, &reference)?) {
        let detail = "a write key records orders and changes none: that needs `orders:write`";
        ignored.push(refused("not_replaced", detail));
        return Ok(());
    }
    let mut patch = sale.patch.clone();
    match &sale.step {
        SaleStep::Placed | SaleStep::Changed => match late(tx, sale, known, event)? {
            Some(late) => patch = late,
            None => begin(around, &mut patch, event, customer, known),
        },
        SaleStep::Refunded(_) if known.is_none() => {
            ignored.push(refused("not_found", "no order with this id was reported"));
            return Ok(());
        }
        SaleStep::Refunded(Returned::All) => {
            patch.financial_status = Some(FinancialStatus::Refunded);
        }
        SaleStep::Refunded(Returned::Amount(amount)) => refund(&mut patch, amount.clone(), event),
        SaleStep::Refunded(Returned::Lines(lines)) => {
            if let Some(order) = known {
                refund(&mut patch, worth(&Order::find(tx, order)?, lines), event);
            }
        }
    }
    attempt(tx, ignored, AT, |tx| {
        orders::upsert(tx, &patch, &reference, UNCONDITIONAL, Told::ByShop).map(drop)
    })?;
    Ok(())
}

/// What an order that is completed says of one whose later changes are known: how it is now was told,
/// that it was paid was not.
fn late(
    tx: &mut Tx,
    sale: &Sale,
    known: Option<Uuid>,
    event: &NewTouchpoint,
) -> Result<Option<OrderPatch>> {
    let Some(id) = known.filter(|_| matches!(sale.step, SaleStep::Placed)) else { return Ok(None) };
    let kept = Order::find(tx, id)?;
    let is_unpaid = kept.financial_status == FinancialStatus::Pending;
    let is_late = is_older(event.occurred_at, kept.source_updated_at);
    Ok((is_late && is_unpaid && kept.status != OrderStatus::Cancelled).then(|| OrderPatch {
        financial_status: Some(FinancialStatus::Paid),
        placed_at: event.occurred_at.filter(|at| *at < kept.placed_at),
        paid_at: event.occurred_at,
        number: sale.patch.number.clone(),
        cart: sale.patch.cart.clone(),
        ..OrderPatch::default()
    }))
}

fn refund(patch: &mut OrderPatch, amount: Money, event: &NewTouchpoint) {
    let (external_id, refunded_at) = (event.message_id.clone(), event.occurred_at);
    patch.refunds = Some(vec![NewRefund { external_id, refunded_at, ..NewRefund::of(amount) }]);
}

/// What lines that came back cost: as they say, else as the order has them.
fn worth(order: &Order, lines: &[NewLineItem]) -> Money {
    let of = |line: &NewLineItem| {
        let is_same = |kept: &&LineItem| match &line.sku {
            Some(_) => kept.sku == line.sku,
            None => kept.name == line.name,
        };
        let said = Some(line.unit_price.amount).filter(|price| *price > 0);
        let kept = || Some(order.line_items.iter().find(is_same)?.unit_price.amount);
        said.or_else(kept).unwrap_or(0).saturating_mul(line.quantity.into())
    };
    let amount = lines.iter().map(of).fold(0, i64::saturating_add);
    let currency = lines.first().map_or(&order.currency, |line| &line.unit_price.currency);
    Money { amount, currency: currency.clone() }
}

fn begin(
    around: &Surroundings,
    patch: &mut OrderPatch,
    event: &NewTouchpoint,
    customer: Option<Uuid>,
    known: Option<Uuid>,
) {
    patch.source_updated_at = event.occurred_at;
    if known.is_none() {
        patch.placed_at = event.occurred_at;
        patch.customer = by_id(customer);
        patch.channel_id = around.channel.map(Some);
        patch.utm = Some(utm(event));
    }
}

fn utm(event: &NewTouchpoint) -> Option<Jsonb<Utm>> {
    let campaign = event.context.as_ref()?.campaign.clone()?;
    Some(Jsonb(Utm {
        source: campaign.source,
        medium: campaign.medium,
        campaign: campaign.name,
        term: campaign.term,
        content: campaign.content,
    }))
}

/// Records a cart, or what was put into it or taken out.
pub fn fill(
    tx: &mut Tx,
    around: &Surroundings,
    report: &CartReport,
    event: &NewTouchpoint,
    customer: Option<Uuid>,
    ignored: &mut Vec<FieldError>,
) -> Result<()> {
    let known = external_ids::find(tx, Owner::Cart, SOURCE, &report.id)?;
    // Locked, so that nobody else puts something in meanwhile.
    let cart = known.map(|id| carts::lock(tx, id)).transpose()?;
    let mut patch = report.patch.clone();
    patch.active_at = event.occurred_at;
    match cart {
        None => {
            patch.line_items = lines_of(&report.lines, Vec::new());
            patch.customer = by_id(customer);
            patch.channel_id = around.channel.map(Some);
        }
        Some(cart) if is_stale(&report.lines, event, &cart) => {}
        Some(cart) => patch.line_items = lines_of(&report.lines, cart.line_items.0),
    }
    if let (CartLines::Whole(_), Some(_)) = (&report.lines, &patch.line_items) {
        patch.source_updated_at = event.occurred_at;
    }
    attempt(tx, ignored, AT, |tx| {
        carts::upsert(tx, &patch, &reference(&report.id), UNCONDITIONAL, Told::ByShop).map(drop)
    })?;
    Ok(())
}

/// Whether what an event says of the lines is in them already, or was changed since: what is put in or
/// taken out counts from the last time that all of it was told, and all of it from the last change.
fn is_stale(said: &CartLines, event: &NewTouchpoint, cart: &CartRow) -> bool {
    match said {
        CartLines::Whole(_) => is_older(event.occurred_at, Some(cart.active_at)),
        _ => is_older(event.occurred_at, cart.source_updated_at),
    }
}

/// What is in the cart after the event; `None` where it says nothing about that.
fn lines_of(said: &CartLines, old: Vec<CartLineItem>) -> Option<Vec<NewCartLineItem>> {
    let mut lines: Vec<NewCartLineItem> = old.into_iter().map(again).collect();
    let is_same = |line: &NewCartLineItem, one: &NewCartLineItem| {
        (&line.sku, &line.name, &line.variant) == (&one.sku, &one.name, &one.variant)
    };
    match said {
        CartLines::Unsaid => return None,
        CartLines::Whole(whole) => return Some(whole.clone()),
        CartLines::More(one) => match lines.iter_mut().find(|line| is_same(line, one)) {
            Some(line) => line.quantity = line.quantity.saturating_add(one.quantity).min(1_000_000),
            None => lines.push(*one.clone()),
        },
        CartLines::Less(one) => {
            for line in lines.iter_mut().filter(|line| is_same(line, one)) {
                line.quantity = line.quantity.saturating_sub(one.quantity);
            }
            lines.retain(|line| line.quantity > 0);
        }
    }
    Some(lines)
}

fn again(line: CartLineItem) -> NewCartLineItem {
    NewCartLineItem {
        external_id: line.external_id,
        product_id: line.product_id,
        product_external_id: None,
        sku: line.sku,
        name: line.name,
        variant: line.variant,
        quantity: line.quantity,
        unit_price: line.unit_price,
    }
}
