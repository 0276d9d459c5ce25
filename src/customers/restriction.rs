//! Keeping a customer's data and doing nothing else with it (GDPR, article 18).

use diesel::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::customer_change;
use crate::db::Tx;
use crate::error::Result;
use crate::journal::record;
use crate::schema::customers;

/// Restricts what may be done with a customer, who must be locked, or lifts the restriction. Does
/// nothing where it is so already.
pub fn restrict(tx: &mut Tx, id: Uuid, is_restricted: bool) -> Result<()> {
    use customers as c;
    let target = c::table.filter(c::workspace_id.eq(tx.workspace)).filter(c::id.eq(id));
    let before: Option<_> = target.select(c::restricted_at).first(tx.pg)?;
    if before.is_some() == is_restricted {
        return Ok(());
    }
    let after = is_restricted.then_some(tx.now);
    diesel::update(target)
        .set((c::restricted_at.eq(after), c::version.eq(c::version + 1), c::updated_at.eq(tx.now)))
        .execute(tx.pg)?;
    let shown = |at: Option<_>| at.map(crate::values::time::format);
    let changes = json!({ "restricted_at": { "from": shown(before), "to": shown(after) } });
    let kind = match is_restricted {
        true => "customer.restricted",
        false => "customer.restriction_lifted",
    };
    record(tx, customer_change(kind, id, json!({ "changes": changes })))
}
