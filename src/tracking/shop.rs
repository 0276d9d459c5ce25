//! What events say of orders and carts, recorded there.

use uuid::Uuid;

use super::commerce::{CartLines, CartReport, Sale, SaleStep};
use super::write::{SOURCE, Surroundings, attempt};
use crate::carts;
use crate::carts::types::{Cart, CartLineItem, NewCartLineItem};
use crate::customers::references::CustomerReference;
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{FieldError, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::conditional::UNCONDITIONAL;
use crate::orders::types::{FinancialStatus, Utm};
use crate::orders::{self, NewRefund, OrderPatch};
use crate::sources::Told;
use crate::touchpoints::NewTouchpoint;

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
    if known.is_some() && !around.sender.may_change_orders {
        let detail = "a write key records orders and changes none: that needs `orders:write`";
        ignored.push(refused("not_replaced", detail));
        return Ok(());
    }
    let mut patch = sale.patch.clone();
    match &sale.step {
        SaleStep::Placed | SaleStep::Changed => begin(around, &mut patch, event, customer, known),
        SaleStep::Refunded(_) if known.is_none() => {
            ignored.push(refused("not_found", "no order with this id was reported"));
            return Ok(());
        }
        SaleStep::Refunded(None) => patch.financial_status = Some(FinancialStatus::Refunded),
        SaleStep::Refunded(Some(amount)) => {
            let (external_id, at) = (event.message_id.clone(), event.occurred_at);
            let refund = NewRefund::of(amount.clone());
            patch.refunds = Some(vec![NewRefund { external_id, refunded_at: at, ..refund }]);
        }
    }
    attempt(tx, ignored, AT, |tx| {
        orders::upsert(tx, &patch, &reference, UNCONDITIONAL, Told::ByShop).map(drop)
    })?;
    Ok(())
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
    let cart = known.map(|id| Cart::find(tx, id)).transpose()?;
    let lines = cart.map(|cart| cart.line_items).unwrap_or_default();
    let mut patch = report.patch.clone();
    patch.line_items = lines_of(&report.lines, lines);
    patch.active_at = event.occurred_at;
    if known.is_none() {
        patch.customer = by_id(customer);
        patch.channel_id = around.channel.map(Some);
    }
    attempt(tx, ignored, AT, |tx| {
        carts::upsert(tx, &patch, &reference(&report.id), UNCONDITIONAL, Told::ByShop).map(drop)
    })?;
    Ok(())
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
