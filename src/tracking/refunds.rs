//! What events say of money that went back.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::commerce::{Returned, SaleStep};
use super::lines::{self, Mark};
use super::names::type_of;
use super::report::{ProductSaid, Report};
use super::shop::{AT, Event};
use super::write::{SOURCE, attempt};
use crate::db::ids::IdRange;
use crate::db::{Tx, id};
use crate::error::{FieldError, Result};
use crate::http::IfMatch;
use crate::journal::{self, Touchpoint};
use crate::orders::types::FinancialStatus;
use crate::orders::{self, NewRefund, Order, OrderPatch};
use crate::sources::Told;
use crate::values::money::Money;

/// Reports of an order that are looked through for refunds.
const REPORTS: i64 = 100;

/// Where a refund was told.
pub struct Source {
    /// By this it is entered once.
    external_id: String,
    at: Option<DateTime<Utc>>,
}

impl Source {
    pub fn of(event: &Event) -> Self {
        let external_id = event.said.message_id.clone().unwrap_or_else(|| event.id.to_string());
        Self { external_id, at: event.said.occurred_at }
    }

    fn logged(event: &Touchpoint) -> Self {
        let external_id = event.message_id.clone().unwrap_or_else(|| event.id.to_string());
        Self { external_id, at: Some(event.occurred_at) }
    }
}

/// Enters what an event says was paid back of an order.
pub fn enter(
    tx: &mut Tx,
    order: &Order,
    report: &Report,
    told: Source,
    ignored: &mut Vec<FieldError>,
) -> Result<()> {
    let asked = match report.returned(ignored) {
        None => return Ok(()),
        Some(Returned::All) => {
            let financial_status = Some(FinancialStatus::Refunded);
            let patch = OrderPatch { financial_status, ..OrderPatch::default() };
            attempt(tx, ignored, AT, |tx| {
                orders::change(tx, order.id, IfMatch(None), &patch, Told::ByShop).map(drop)
            })?;
            return Ok(());
        }
        Some(Returned::Amount(amount)) => amount,
        Some(Returned::Products(products)) => match worth(order, &products, ignored) {
            Some(amount) => amount,
            None => return Ok(()),
        },
    };
    let (external_id, refunded_at) = (Some(told.external_id), told.at);
    let refund = NewRefund { external_id, refunded_at, ..NewRefund::capped(asked.clone()) };
    let mut entered = None;
    attempt(tx, ignored, AT, |tx| {
        entered = Some(orders::refund(tx, order.id, &refund, Told::ByShop)?.0.amount);
        Ok(())
    })?;
    if let Some(entered) = entered.filter(|entered| entered.amount < asked.amount) {
        let detail = format!("only {entered} were left to be paid back");
        ignored.push(FieldError::at(AT, "refund_exceeds_payment", detail));
    }
    Ok(())
}

/// What products that came back cost: as they say, else as the order has them. What has no price is
/// noted; `None` where nothing has one.
fn worth(order: &Order, products: &[ProductSaid], ignored: &mut Vec<FieldError>) -> Option<Money> {
    let kept: Vec<Mark> = order.line_items.iter().map(Mark::from).collect();
    let mut worth: Option<i64> = None;
    for product in products {
        let said = product.price.as_ref().map(|price| price.amount).filter(|price| *price > 0);
        let kept = || Some(order.line_items[lines::find(&kept, product.into())?].unit_price.amount);
        match said.or_else(kept) {
            Some(price) => {
                let part = price.saturating_mul(product.quantity.into());
                worth = Some(worth.unwrap_or(0).saturating_add(part));
            }
            None => {
                let detail = "the order has no such product, and no price is said";
                ignored.push(FieldError::at(&product.pointer, "not_found", detail));
            }
        }
    }
    let said = products.iter().find_map(|product| product.price.as_ref());
    let currency = said.map_or(&order.total.currency, |price| &price.currency);
    worth.map(|amount| Money { amount, currency: currency.clone() })
}

/// Enters refunds of an order that were told before the order was, by the same sender: the log has them.
pub fn catch_up(
    tx: &mut Tx,
    outside_id: &str,
    order: &Order,
    event: &Event,
    ignored: &mut Vec<FieldError>,
) -> Result<()> {
    let (Some(customer), Some(since)) = (event.customer, event.said.occurred_at) else {
        return Ok(());
    };
    let subject = json!({ "type": "order", "id": outside_id });
    let told = journal::read::about(tx.workspace, customer, "order.reported", subject);
    // Nothing is paid back before it was bought, so there is little to look through.
    let ids = IdRange { from: Some(id::floor(since)), ..IdRange::default() };
    for report in journal::read::oldest(tx, told, ids, REPORTS)? {
        let is_refund = SaleStep::of(&type_of(report.name.as_deref().unwrap_or_default()))
            == Some(SaleStep::Refunded);
        let actor: Value = report.actor.parse()?;
        if is_refund && report.source == SOURCE && actor == journal::actor(tx) {
            let properties: Map<String, Value> = report.properties.parse()?;
            let currency = &order.currency;
            let read = Report { properties: &properties, currency, source: SOURCE };
            enter(tx, order, &read, Source::logged(&report), ignored)?;
        }
    }
    Ok(())
}
