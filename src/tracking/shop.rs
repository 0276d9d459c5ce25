//! What events say of orders and carts, recorded there.

use uuid::Uuid;

use super::commerce::{CartLines, CartReport, OF_CART, OrderSaid, Sale, SaleStep};
use super::lines::{self, Mark};
use super::refunds;
use super::report::Report;
use super::write::{SOURCE, Surroundings, attempt};
use crate::carts;
use crate::carts::types::{CartLineItem, CartRow, NewCartLineItem};
use crate::customers::references::CustomerReference;
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{FieldError, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::conditional::UNCONDITIONAL;
use crate::orders::types::{FinancialStatus, OrderStatus, Utm};
use crate::orders::{self, Order, OrderPatch};
use crate::sources::{Told, is_older};
use crate::touchpoints::NewTouchpoint;

/// Where refusals of orders and carts point.
pub const AT: &str = "#/properties";

/// An event that was remembered.
pub struct Event<'a> {
    pub said: &'a NewTouchpoint,
    /// The touchpoint it became.
    pub id: Uuid,
    pub customer: Option<Uuid>,
}

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
    event: &Event,
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
    // Locked, so that nobody else changes what this one is balanced against.
    let kept = known.map(|id| orders::locked(tx, id)).transpose()?;
    let currency = kept.as_ref().map_or(&around.currency, |order| &order.currency);
    let properties = &event.said.properties.0;
    let report = Report { properties, currency, source: SOURCE };
    match (sale.step, &kept) {
        (SaleStep::Refunded, None) => {
            ignored.push(refused("not_found", "no order with this id was reported yet"));
            Ok(())
        }
        (SaleStep::Refunded, Some(order)) => {
            refunds::enter(tx, order, &report, refunds::Source::of(event), ignored)
        }
        (SaleStep::Placed | SaleStep::Changed | SaleStep::Cancelled, kept) => {
            let patch = patch(around, &report, sale, event, kept.as_ref(), ignored);
            let Some(patch) = patch else { return Ok(()) };
            let order = record(tx, &reference, &patch, ignored)?;
            let is_begun = sale.step == SaleStep::Placed || kept.is_none();
            let is_news =
                |order: &Order| kept.as_ref().is_none_or(|was| was.version != order.version);
            match order.filter(|order| is_begun && !is_bound && is_news(order)) {
                Some(order) => refunds::catch_up(tx, &sale.id, &order, event, ignored),
                None => Ok(()),
            }
        }
    }
}

fn record(
    tx: &mut Tx,
    reference: &ExternalId,
    patch: &OrderPatch,
    ignored: &mut Vec<FieldError>,
) -> Result<Option<Order>> {
    let mut recorded = None;
    attempt(tx, ignored, AT, |tx| {
        let done = orders::upsert(tx, patch, reference, UNCONDITIONAL, Told::ByShop)?;
        recorded = Some(done.resource);
        Ok(())
    })?;
    Ok(recorded)
}

/// What an event makes of an order; `None` where nothing tells what it costs.
fn patch(
    around: &Surroundings,
    report: &Report,
    sale: &Sale,
    event: &Event,
    kept: Option<&Order>,
    ignored: &mut Vec<FieldError>,
) -> Option<OrderPatch> {
    if let (SaleStep::Cancelled, Some(kept)) = (sale.step, kept) {
        return Some(cancelled(event, kept));
    }
    let OrderSaid { mut patch, is_priced } = report.order(sale, kept, ignored);
    // What is free counts as paid, and nobody said that it is free.
    if !is_priced && kept.is_none_or(is_blank) {
        if sale.step != SaleStep::Cancelled {
            let detail = "nothing that can be read tells what the order costs";
            ignored.push(FieldError::at("#/properties/total", "required", detail));
            return None;
        }
        patch.financial_status = Some(FinancialStatus::Voided);
    }
    let placed = kept.filter(|_| sale.step == SaleStep::Placed);
    Some(placed.and_then(|kept| late(&patch, event, kept)).unwrap_or_else(|| {
        begin(around, &mut patch, event, kept.is_none());
        patch
    }))
}

/// That an order is cancelled says nothing of its money, and is not undone by what was changed later.
fn cancelled(event: &Event, kept: &Order) -> OrderPatch {
    let at = event.said.occurred_at;
    OrderPatch {
        status: Some(OrderStatus::Cancelled),
        cancelled_at: at,
        source_updated_at: at.filter(|_| !is_older(at, kept.source_updated_at)),
        ..OrderPatch::default()
    }
}

/// Whether nobody has said what an order costs.
fn is_blank(order: &Order) -> bool {
    order.line_items.is_empty() && order.total.amount == 0 && order.paid_total.amount == 0
}

/// What an order that is completed says of one whose later changes are known: how it is now was told,
/// that it was paid was not, and what it costs only where it was.
fn late(said: &OrderPatch, event: &Event, kept: &Order) -> Option<OrderPatch> {
    let at = event.said.occurred_at;
    let is_unpaid = kept.financial_status == FinancialStatus::Pending;
    let is_late = is_older(at, kept.source_updated_at);
    let placed_at = at.filter(|at| *at < kept.placed_at);
    if is_late && is_blank(kept) {
        return Some(OrderPatch { placed_at, paid_at: at, ..said.clone() });
    }
    (is_late && is_unpaid).then(|| OrderPatch {
        financial_status: Some(FinancialStatus::Paid),
        placed_at,
        paid_at: at,
        number: said.number.clone(),
        cart: said.cart.clone(),
        ..OrderPatch::default()
    })
}

fn begin(around: &Surroundings, patch: &mut OrderPatch, event: &Event, is_new: bool) {
    patch.source_updated_at = event.said.occurred_at;
    if is_new {
        patch.placed_at = event.said.occurred_at;
        patch.customer = by_id(event.customer);
        patch.channel_id = around.channel.map(Some);
        patch.utm = Some(utm(event.said));
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
    event: &Event,
    ignored: &mut Vec<FieldError>,
) -> Result<()> {
    let known = external_ids::find(tx, Owner::Cart, SOURCE, &report.id)?;
    // Locked, so that nobody else puts something in meanwhile.
    let cart = known.map(|id| carts::lock(tx, id)).transpose()?;
    let currency = cart.as_ref().map_or(&around.currency, |cart| &cart.currency);
    let read = Report { properties: &event.said.properties.0, currency, source: SOURCE };
    let said = read.cart_lines(report.step, ignored);
    let mut patch = read.cart_patch(report.step);
    patch.active_at = event.said.occurred_at;
    match cart {
        None => {
            patch.line_items = lines_of(&said, Vec::new());
            patch.customer = by_id(event.customer);
            patch.channel_id = around.channel.map(Some);
        }
        Some(cart) if is_stale(&said, event.said, &cart) => {}
        Some(cart) => patch.line_items = lines_of(&said, cart.line_items.0),
    }
    if let Some(lines) = patch.line_items.as_mut().filter(|lines| lines.len() > OF_CART) {
        lines.truncate(OF_CART);
        let detail = "a cart has at most 200 products";
        ignored.push(refused("too_many_products", detail));
    }
    if let (CartLines::Whole(_), Some(_)) = (&said, &patch.line_items) {
        patch.source_updated_at = event.said.occurred_at;
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
    match said {
        CartLines::Unsaid => return None,
        CartLines::Whole(whole) => return Some(whole.clone()),
        CartLines::More(more) => more.iter().for_each(|one| put_in(&mut lines, one)),
        CartLines::Less(less) => less.iter().for_each(|one| take_out(&mut lines, one)),
    }
    Some(lines)
}

fn marks(lines: &[NewCartLineItem]) -> Vec<Mark<'_>> {
    lines.iter().map(Mark::from).collect()
}

fn put_in(lines: &mut Vec<NewCartLineItem>, one: &NewCartLineItem) {
    match lines::find_exact(&marks(lines), one.into()) {
        Some(at) => {
            lines[at].quantity = lines[at].quantity.saturating_add(one.quantity).min(1_000_000);
        }
        None => lines.push(one.clone()),
    }
}

fn take_out(lines: &mut Vec<NewCartLineItem>, one: &NewCartLineItem) {
    let mut left = one.quantity;
    while left > 0
        && let Some(at) = lines::find(&marks(lines), one.into())
    {
        let part = left.min(lines[at].quantity);
        (lines[at].quantity, left) = (lines[at].quantity - part, left - part);
        if lines[at].quantity == 0 {
            lines.remove(at);
        }
    }
}

fn again(line: CartLineItem) -> NewCartLineItem {
    NewCartLineItem {
        external_id: line.external_id,
        product_id: line.product_id,
        product_external_id: line.product_external_id,
        sku: line.sku,
        name: line.name,
        variant: line.variant,
        quantity: line.quantity,
        unit_price: line.unit_price,
    }
}
