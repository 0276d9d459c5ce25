//! What the timeline says of a cart, and what time makes of one.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::{Value, json};

use super::types::{CartLineItem, CartRow, CartStatus};
use super::{awaited, of, write};
use crate::db::{Tx, WorkspaceId};
use crate::error::Result;
use crate::journal::{self, Direction, Entry, OWN_SOURCE};
use crate::schema::carts as c;
use crate::values::money::Money;

/// How long nobody touches a cart until it counts as abandoned.
pub const ABANDONED_AFTER: TimeDelta = TimeDelta::minutes(60);
/// How long an abandoned cart waits for its customer, and an empty one for anything.
pub const EXPIRED_AFTER: TimeDelta = TimeDelta::days(30);
/// Carts in one transaction.
const AT_ONCE: i64 = 500;
/// Workspaces in one round.
const WORKSPACES: i64 = 1000;

/// One thing that happened to a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    kind: &'static str,
    at: DateTime<Utc>,
    value: Option<i64>,
    properties: Value,
}

impl Step {
    pub fn new(kind: &'static str, at: DateTime<Utc>) -> Self {
        Self { kind, at, value: None, properties: json!({}) }
    }
}

impl CartStatus {
    /// Whether nothing more happens to the cart.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Converted | Self::Expired)
    }
}

/// What was put into a cart and taken out of it.
pub fn of_lines(before: Option<&CartRow>, after: &CartRow, at: DateTime<Utc>) -> Vec<Step> {
    let old = before.map_or(&[][..], |row| &row.line_items.0);
    let new = &after.line_items.0[..];
    let mut steps = Vec::new();
    for line in new {
        let had = quantity_of(line, old);
        match line.quantity - had {
            more if more > 0 => steps.push(of_line("cart.item_added", line, more, at)),
            less if less < 0 => steps.push(of_line("cart.item_removed", line, -less, at)),
            _ => {}
        }
    }
    let is_gone = |line: &&CartLineItem| !new.iter().any(|other| is_same(line, other));
    let gone = old.iter().filter(is_gone);
    steps.extend(gone.map(|line| of_line("cart.item_removed", line, line.quantity, at)));
    steps
}

fn is_same(one: &CartLineItem, other: &CartLineItem) -> bool {
    match (&one.external_id, &other.external_id) {
        (Some(one), Some(other)) => one == other,
        _ => (&one.sku, &one.name, &one.variant) == (&other.sku, &other.name, &other.variant),
    }
}

fn quantity_of(line: &CartLineItem, lines: &[CartLineItem]) -> i32 {
    lines.iter().find(|other| is_same(line, other)).map_or(0, |other| other.quantity)
}

fn of_line(kind: &'static str, line: &CartLineItem, quantity: i32, at: DateTime<Utc>) -> Step {
    let value = line.unit_price.amount.checked_mul(i64::from(quantity));
    let properties = json!({ "product_id": line.product_id, "sku": line.sku, "name": line.name,
                             "variant": line.variant, "quantity": quantity });
    Step { kind, at, value, properties }
}

/// Writes what happened to a cart.
pub fn tell(tx: &mut Tx, cart: &CartRow, steps: Vec<Step>) -> Result<()> {
    let entries: Vec<Entry> = steps.into_iter().map(|step| entry(tx, cart, step)).collect();
    journal::enter(tx, entries)
}

fn entry(tx: &mut Tx, cart: &CartRow, step: Step) -> Entry {
    // Time abandons a cart; the rest is the customer's doing.
    let is_by_customer = !matches!(step.kind, "cart.abandoned" | "cart.expired" | "cart.updated");
    let actor = match is_by_customer {
        true => json!({ "type": "customer", "id": cart.customer_id }),
        false => journal::actor(tx),
    };
    let currency = cart.currency.clone();
    let value = step.value.map(|amount| Money { amount, currency: currency.clone() });
    let of_cart = || Some(Money { amount: cart.total, currency });
    let value = match step.kind {
        "cart.item_added" | "cart.item_removed" => value,
        _ => of_cart(),
    };
    Entry {
        id: tx.new_id_at(step.at),
        customer_id: cart.customer_id,
        origin_customer_id: cart.origin_customer_id,
        anonymous_id: cart.anonymous_id.clone(),
        organization_id: None,
        channel_id: cart.channel_id,
        direction: if is_by_customer { Direction::Inbound } else { Direction::Internal },
        kind: step.kind.into(),
        name: None,
        source: OWN_SOURCE.into(),
        message_id: None,
        subject: Some(json!({ "type": "cart", "id": cart.id })),
        actor,
        value,
        content: None,
        context: None,
        properties: step.properties,
    }
}

const OPEN: [CartStatus; 3] = [CartStatus::Active, CartStatus::Checkout, CartStatus::Recovered];
const WAITING: [CartStatus; 4] =
    [CartStatus::Active, CartStatus::Checkout, CartStatus::Recovered, CartStatus::Abandoned];

/// Carts that time has something to do with: full ones that nobody has touched for an hour, and those
/// that nobody will come back to.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_idle(now: DateTime<Utc>) -> _ {
    let (left, lost): (DateTime<Utc>, DateTime<Utc>) = (now - ABANDONED_AFTER, now - EXPIRED_AFTER);
    let empty: Value = Value::Array(Vec::new());
    let (open, waiting): ([CartStatus; 3], [CartStatus; 4]) = (OPEN, WAITING);
    let is_left = c::status.eq_any(open).and(c::active_at.le(left)).and(c::line_items.ne(empty));
    is_left.or(c::status.eq_any(waiting).and(c::active_at.le(lost)))
}

/// The workspaces with carts that nobody has touched for long.
pub fn due(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<WorkspaceId>> {
    let idle = c::table.filter(is_idle(now)).select(c::workspace_id);
    Ok(idle.distinct().limit(WORKSPACES).load(pg)?)
}

/// Abandons carts that nobody has touched for an hour, and lets those go that nobody came back to;
/// whether there may be more.
pub fn rest(tx: &mut Tx) -> Result<bool> {
    let idle: Vec<CartRow> = of(tx.workspace)
        .filter(is_idle(tx.now))
        .order(c::id)
        .limit(AT_ONCE)
        .select(CartRow::as_select())
        .for_no_key_update()
        .skip_locked()
        .load(tx.pg)?;
    let (count, lost) = (idle.len(), tx.now - EXPIRED_AFTER);
    for cart in idle {
        leave(tx, cart, lost)?;
    }
    Ok(i64::try_from(count).is_ok_and(|count| count == AT_ONCE))
}

fn leave(tx: &mut Tx, mut cart: CartRow, expired: DateTime<Utc>) -> Result<()> {
    // Its order was recorded at the same time, and neither saw the other.
    if let Some((order, placed_at)) = awaited::take(tx, &cart)? {
        return write::converted(tx, cart, Some(order), placed_at).map(drop);
    }
    let is_lost = cart.status == CartStatus::Abandoned || cart.line_items.0.is_empty();
    let step = if is_lost && cart.active_at <= expired {
        cart.status = CartStatus::Expired;
        Step::new("cart.expired", tx.now)
    } else {
        let at = cart.active_at + ABANDONED_AFTER;
        (cart.status, cart.abandoned_at) = (CartStatus::Abandoned, Some(at));
        Step::new("cart.abandoned", at)
    };
    (cart.version, cart.updated_at) = (cart.version + 1, tx.now);
    diesel::update(of(tx.workspace).filter(c::id.eq(cart.id))).set(&cart).execute(tx.pg)?;
    tell(tx, &cart, vec![step])
}
