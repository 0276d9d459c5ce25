//! What orders add up to for a customer, kept in the transaction of the order.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::types::OrderRow;
use crate::db::Tx;
use crate::error::Result;
use crate::schema::customer_stats as s;
use crate::workspaces::Workspace;

/// What one order, or the change of one, adds to the figures of a customer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    orders: i64,
    spent: i64,
    placed_at: Option<DateTime<Utc>>,
    /// Whether the first or last order may be another one now.
    is_less: bool,
}

/// Adds what changed between `before` and `after` to the figures of their customers.
pub fn count(tx: &mut Tx, before: Option<&OrderRow>, after: &OrderRow) -> Result<()> {
    let is_same = before.is_some_and(|before| what_counts(before) == what_counts(after));
    if is_same {
        return Ok(());
    }
    let currency = Workspace::current(tx)?.default_currency;
    let mut shares: BTreeMap<Uuid, Share> = BTreeMap::new();
    if let Some(before) = before
        && let Some(customer) = before.customer_id.filter(|_| before.counts())
    {
        let share = shares.entry(customer).or_default();
        share.orders -= 1;
        share.spent -= spent(before, &currency);
        share.is_less =
            what_counts(before).0 != what_counts(after).0 || before.placed_at != after.placed_at;
    }
    if let Some(customer) = after.customer_id.filter(|_| after.counts()) {
        let share = shares.entry(customer).or_default();
        share.orders += 1;
        share.spent += spent(after, &currency);
        share.placed_at = Some(after.placed_at);
    }
    // In the order of the customers: two orders never wait for each other crosswise.
    shares.into_iter().try_for_each(|(customer, share)| share.add(tx, customer, &currency))
}

/// Everything about an order that a figure depends on; who it counts for comes first.
fn what_counts(order: &OrderRow) -> (Option<Uuid>, i64, DateTime<Utc>) {
    let customer = order.customer_id.filter(|_| order.counts());
    (customer, order.paid_total - order.refunded_total, order.placed_at)
}

/// Paid less refunded; amounts in another currency than the workspace's do not add up with these.
fn spent(order: &OrderRow, currency: &str) -> i64 {
    if order.currency == currency { order.paid_total - order.refunded_total } else { 0 }
}

const ADD: &str = "
    insert into customer_stats as s
      (workspace_id, customer_id, touchpoints_count, orders_count, total_spent, first_order_at,
       last_order_at, currency)
    values ($1, $2, 0, $3, $4, $5, $5, $6)
    on conflict (workspace_id, customer_id) do update
       set orders_count = s.orders_count + excluded.orders_count,
           total_spent = s.total_spent + excluded.total_spent,
           first_order_at = least(s.first_order_at, excluded.first_order_at),
           last_order_at = greatest(s.last_order_at, excluded.last_order_at),
           currency = coalesce(s.currency, excluded.currency)
    returning currency as value";

/// For customers whose figures are locked: what others stored before is seen, and they add theirs
/// after.
const RECOUNT: &str = "
    update customer_stats s
       set orders_count = coalesce(o.orders_count, 0), total_spent = coalesce(o.total_spent, 0),
           first_order_at = o.first_order_at, last_order_at = o.last_order_at, currency = $3
      from unnest($2) as c(customer_id)
      left join (
        select customer_id, count(*) as orders_count, min(placed_at) as first_order_at,
               max(placed_at) as last_order_at,
               (sum(paid_total - refunded_total) filter (where currency = $3))::bigint as total_spent
          from orders
         where workspace_id = $1 and customer_id = any($2)
           and status <> 'cancelled' and deleted_at is null
         group by customer_id) o on o.customer_id = c.customer_id
     where s.workspace_id = $1 and s.customer_id = c.customer_id";

#[derive(QueryableByName)]
struct Currency {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

impl Share {
    fn add(self, tx: &mut Tx, customer: Uuid, currency: &str) -> Result<()> {
        let kept: Currency = diesel::sql_query(ADD)
            .bind::<SqlUuid, _>(tx.workspace)
            .bind::<SqlUuid, _>(customer)
            .bind::<BigInt, _>(self.orders)
            .bind::<BigInt, _>(self.spent)
            .bind::<Nullable<Timestamptz>, _>(self.placed_at)
            .bind::<Text, _>(currency)
            .get_result(tx.pg)?;
        if self.is_less || kept.value.as_deref() != Some(currency) {
            recount_some(tx, &[customer], currency)?;
        }
        Ok(())
    }
}

fn recount_some(tx: &mut Tx, customers: &[Uuid], currency: &str) -> Result<()> {
    diesel::sql_query(RECOUNT)
        .bind::<SqlUuid, _>(tx.workspace)
        .bind::<Array<SqlUuid>, _>(customers)
        .bind::<Text, _>(currency)
        .execute(tx.pg)?;
    Ok(())
}

/// Customers in one transaction of a recount.
const AT_ONCE: i64 = 500;

/// Counts what some customers spent again, after the workspace's currency has changed; whether there
/// may be more.
pub fn recount(tx: &mut Tx) -> Result<bool> {
    let currency = Workspace::current(tx)?.default_currency;
    let customers: Vec<Uuid> = s::table
        .filter(s::workspace_id.eq(tx.workspace))
        .filter(s::currency.ne(&currency))
        .order(s::customer_id)
        .limit(AT_ONCE)
        .select(s::customer_id)
        .for_update()
        .load(tx.pg)?;
    recount_some(tx, &customers, &currency)?;
    Ok(i64::try_from(customers.len()).is_ok_and(|count| count == AT_ONCE))
}
