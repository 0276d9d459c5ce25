//! What the timeline says of an order: placed, paid, fulfilled, cancelled, refunded, returned; and
//! whatever else changed.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Order;
use super::refunds::{Entered, RefundRow};
use super::types::{FulfillmentStatus, LineRow, OrderRow, OrderStatus};
use super::write::Draft;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::journal::{self, Direction, Entry, OWN_SOURCE, differences};
use crate::values::money::Money;

/// Lines that a touchpoint tells of.
const LINES_TOLD: usize = 50;

/// Fields whose changes a milestone tells already.
const TOLD_BY_MILESTONES: [&str; 10] = [
    "status",
    "financial_status",
    "fulfillment_status",
    "paid_at",
    "paid_total",
    "refunded_total",
    "fulfilled_at",
    "cancelled_at",
    "cancel_reason",
    "line_items",
];

struct Milestone {
    kind: &'static str,
    at: DateTime<Utc>,
    value: Option<Money>,
    properties: Value,
}

/// Writes what happened between `before` and the draft.
pub fn tell(tx: &mut Tx, before: Option<&Order>, draft: &Draft) -> Result<()> {
    let after = &draft.row;
    let mut told = reached(tx.now, before, draft);
    if let Some(before) = before {
        let mut changes = changes(before, draft)?;
        if !told.is_empty() {
            changes.retain(|field, _| !TOLD_BY_MILESTONES.contains(&field.as_str()));
        }
        // The money was told before, or there was none: what it was for is known now.
        let is_untold = |row: &RefundRow| row.amount == 0 && !row.is_return;
        let known = draft.refunds.iter().filter(|one| !one.is_raised);
        let known: Vec<_> = known.filter(|one| one.counted > 0 || is_untold(&one.row)).collect();
        if !known.is_empty() {
            let to: Vec<_> = known.iter().map(|one| refunded(&one.row)).collect();
            changes.insert("refunds".into(), json!({ "from": null, "to": to }));
        }
        if !changes.is_empty() {
            let properties = json!({ "changes": changes });
            told.push(Milestone { kind: "order.updated", at: tx.now, value: None, properties });
        }
    }
    let entries: Vec<Entry> =
        told.into_iter().map(|milestone| entry(tx, after, milestone)).collect();
    journal::enter(tx, entries)
}

/// Writes that an order was deleted or restored.
pub fn note(tx: &mut Tx, kind: &'static str, order: &OrderRow) -> Result<()> {
    let milestone = Milestone { kind, at: tx.now, value: None, properties: json!({}) };
    let entry = entry(tx, order, milestone);
    journal::enter(tx, [entry])
}

fn reached(now: DateTime<Utc>, before: Option<&Order>, draft: &Draft) -> Vec<Milestone> {
    let after = &draft.row;
    let mut reached = Vec::new();
    let mut add = |kind, at, value: Option<i64>, properties| {
        reached.push(Milestone { kind, at, value: value.map(|n| after.money(n)), properties });
    };
    if before.is_none() {
        add("order.placed", after.placed_at, Some(after.total), placed(after, &draft.lines));
    }
    if let Some(at) = after.paid_at.filter(|_| before.is_none_or(|was| was.paid_at.is_none())) {
        add("order.paid", at, Some(after.paid_total), json!({}));
    }
    let was = |state| before.is_some_and(|before| before.fulfillment_status == state);
    if after.fulfillment_status == FulfillmentStatus::Fulfilled
        && !was(FulfillmentStatus::Fulfilled)
    {
        add("order.fulfilled", after.fulfilled_at.unwrap_or(now), None, json!({}));
    }
    let was_cancelled = before.is_some_and(|before| before.status == OrderStatus::Cancelled);
    if after.status == OrderStatus::Cancelled && !was_cancelled {
        let properties = json!({ "cancel_reason": after.cancel_reason });
        add("order.cancelled", after.cancelled_at.unwrap_or(now), None, properties);
    }
    for Entered { row, counted, is_raised } in &draft.refunds {
        let value = row.amount - counted;
        if value > 0 {
            add("order.refunded", row.refunded_at, Some(value), refunded(row));
        }
        if !is_raised && row.is_return {
            add("order.returned", row.refunded_at, None, refunded(row));
        }
    }
    reached
}

fn placed(order: &OrderRow, lines: &[LineRow]) -> Value {
    let told = lines.iter().take(LINES_TOLD).map(|line| {
        json!({ "product_id": line.product_id, "sku": line.sku, "name": line.name,
                "quantity": line.quantity, "total": line.total })
    });
    let items: i64 = lines.iter().map(|line| i64::from(line.quantity)).sum();
    json!({ "source": order.source, "number": order.number, "items_count": items,
            "line_items": told.collect::<Vec<_>>(), "discount_codes": order.discount_codes })
}

fn refunded(refund: &RefundRow) -> Value {
    json!({ "refund_id": refund.id, "reason": refund.reason, "is_return": refund.is_return,
            "line_items": refund.line_items.0.iter().take(LINES_TOLD).collect::<Vec<_>>() })
}

/// What differs, with the lines in short: their prices are the order's to remember.
fn changes(before: &Order, draft: &Draft) -> Result<Map<String, Value>> {
    let after = Order::new(draft.row.clone(), draft.lines.clone());
    let shown = |order: &Order| -> Result<Value> {
        let mut shown =
            serde_json::to_value(order).map_err(|error| Error::internal(error.to_string()))?;
        let lines = order.line_items.iter().take(LINES_TOLD).map(|line| {
            json!({ "sku": line.sku, "name": line.name, "quantity": line.quantity,
                    "total": line.total.amount, "returned_quantity": line.returned_quantity })
        });
        shown["line_items"] = lines.collect();
        shown["source_updated_at"] = Value::Null;
        Ok(shown)
    };
    Ok(differences(&shown(before)?, &shown(&after)?))
}

fn entry(tx: &mut Tx, order: &OrderRow, milestone: Milestone) -> Entry {
    // Placing an order is the customer's own doing; the rest is told by the shop.
    let is_by_customer = milestone.kind == "order.placed";
    let actor = match is_by_customer {
        true => json!({ "type": "customer", "id": order.customer_id }),
        false => journal::actor(tx),
    };
    Entry {
        id: tx.new_id_at(milestone.at),
        customer_id: order.customer_id,
        origin_customer_id: order.origin_customer_id,
        anonymous_id: None,
        organization_id: None,
        channel_id: order.channel_id,
        direction: if is_by_customer { Direction::Inbound } else { Direction::Internal },
        kind: milestone.kind.into(),
        name: None,
        source: OWN_SOURCE.into(),
        message_id: None,
        subject: Some(json!({ "type": "order", "id": order.id })),
        actor,
        value: milestone.value,
        content: None,
        context: None,
        properties: milestone.properties,
    }
}
