//! Carts whose order came first: it named one that nobody knew yet, and waits for it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::types::CartRow;
use crate::db::Tx;
use crate::error::Result;
use crate::external_ids::{self, ExternalId, Owner};
use crate::journal::{self, Change};
use crate::schema::orders as o;

/// An order that waits for its cart.
#[derive(Queryable, Selectable)]
#[diesel(table_name = o)]
struct Waiting {
    customer_id: Option<Uuid>,
    channel_id: Option<Uuid>,
    placed_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Notes that an order was the cart that is called so, which is not known yet.
pub fn note(tx: &mut Tx, reference: &ExternalId, order: Uuid) -> Result<()> {
    external_ids::point(tx, Owner::AwaitedCart, reference, order)
}

/// The order that waits for this cart, and when it was placed; it names the cart from now on.
pub fn take(tx: &mut Tx, cart: &CartRow) -> Result<Option<(Uuid, DateTime<Utc>)>> {
    let references: Vec<&ExternalId> = cart.external_ids.iter().collect();
    let waiting = external_ids::find_many(tx, Owner::AwaitedCart, &references)?;
    let Some((.., order)) = waiting.into_iter().next() else { return Ok(None) };
    let free = o::table.filter(o::workspace_id.eq(tx.workspace)).filter(o::id.eq(order));
    let free = free.filter(o::deleted_at.is_null()).filter(o::cart_id.is_null());
    let found = free.select(Waiting::as_select()).for_no_key_update().first(tx.pg).optional()?;
    let Some(Waiting { customer_id, channel_id, placed_at, updated_at }) = found else {
        return Ok(None);
    };
    tx.not_before(updated_at);
    let target = o::table.filter(o::workspace_id.eq(tx.workspace)).filter(o::id.eq(order));
    diesel::update(target)
        .set((o::cart_id.eq(cart.id), o::version.eq(o::version + 1), o::updated_at.eq(tx.now)))
        .execute(tx.pg)?;
    let properties = json!({ "changes": { "cart_id": { "from": null, "to": cart.id } } });
    let (kind, subject, organization_id) = ("order.updated", ("order", order), None);
    journal::record(
        tx,
        Change { kind, customer_id, organization_id, channel_id, subject, properties },
    )?;
    Ok(Some((order, placed_at)))
}
