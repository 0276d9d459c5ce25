//! Finding orders: text, customer, source, states, time.

use actix_web::get;
use chrono::{DateTime, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::types::{FinancialStatus, FulfillmentStatus, OrderRow, OrderStatus};
use super::{Order, lines, of};
use crate::auth::{Caller, Scope};
use crate::db::ids::IdRange;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, WorkspaceId};
use crate::error::Result;
use crate::http::page::Slice;
use crate::http::{AnyOf, List, Page, Query, Reply};
use crate::schema::orders;
use crate::values::text::{like_escape, search_key};

/// Ids sort by when the record was made, which for a history is not when the order was placed.
pub const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "orders.id", kind: SortKind::Id },
    SortKey { name: "placed_at", column: "orders.placed_at", kind: SortKind::Time },
    SortKey { name: "updated_at", column: "orders.updated_at", kind: SortKind::Time },
];

/// Which orders to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderFilter {
    /// Part of a number, email, outside id, name or SKU of a line, in any case.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Placed by any of these customers.
    #[serde(default)]
    #[param(value_type = Option<Vec<Uuid>>, style = Form, explode = false)]
    pub customer_id: AnyOf<Uuid>,
    /// From any of these systems.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub source: AnyOf<String>,
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<OrderStatus>>, inline, style = Form, explode = false)]
    pub status: AnyOf<OrderStatus>,
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<FinancialStatus>>, inline, style = Form, explode = false)]
    pub financial_status: AnyOf<FinancialStatus>,
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<FulfillmentStatus>>, inline, style = Form, explode = false)]
    pub fulfillment_status: AnyOf<FulfillmentStatus>,
    /// Placed on any of these channels.
    #[serde(default)]
    #[param(value_type = Option<Vec<Uuid>>, style = Form, explode = false)]
    pub channel_id: AnyOf<Uuid>,
    /// Having any of these tags.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub tags: AnyOf<String>,
    /// Placed at or after this time.
    pub placed_at_gte: Option<DateTime<Utc>>,
    /// Placed before this time.
    pub placed_at_lt: Option<DateTime<Utc>>,
    /// Changed at or after this time: for keeping a copy in step.
    pub updated_at_gte: Option<DateTime<Utc>>,
    /// Changed before this time.
    pub updated_at_lt: Option<DateTime<Utc>>,
}

/// List orders
///
/// Latest records first unless sorted otherwise.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:read"])), params(Page, OrderFilter), responses((status = 200, body = List<Order>)))]
#[get("/orders")]
pub async fn list_orders(
    caller: Caller,
    page: Query<Page>,
    filter: Query<OrderFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    let slice = page.slice(&grant, "orders", SORT, &filter.0)?;
    grant.list(move |conn| load(conn, &slice, |workspace| filter.apply(workspace))).await
}

pub type Matching = IntoBoxed<'static, of, Pg>;

/// One page of orders with their lines: two statements, however many.
pub fn load(
    conn: &mut Conn,
    slice: &Slice,
    matching: impl Fn(WorkspaceId) -> Matching,
) -> Result<List<Order>> {
    let workspace = conn.workspace;
    let total = slice.total(|| matching(workspace).count().get_result(conn.pg))?;
    let rows: Vec<OrderRow> = matching(workspace)
        .filter(slice.after.clone())
        .order(slice.order.clone())
        .limit(slice.fetch())
        .select(OrderRow::as_select())
        .load(conn.pg)?;
    slice.list(shown(conn, rows)?, total)
}

fn shown(conn: &mut Conn, rows: Vec<OrderRow>) -> Result<Vec<Order>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut lines = lines::of_orders(conn, &ids)?;
    let shown = rows.into_iter().map(|row| {
        let lines = lines.remove(&row.id).unwrap_or_default();
        Order::new(row, lines)
    });
    Ok(shown.collect())
}

/// How many orders a filter finds.
pub fn count_matching(conn: &mut Conn, filter: &OrderFilter, ids: IdRange) -> Result<i64> {
    let found = filter.apply(conn.workspace).filter(ids.holds("orders.id"));
    Ok(found.count().get_result(conn.pg)?)
}

/// Some of the orders that a filter finds, the oldest records first.
pub fn matching(
    conn: &mut Conn,
    filter: &OrderFilter,
    ids: IdRange,
    limit: i64,
) -> Result<Vec<Order>> {
    let found = filter.apply(conn.workspace).filter(ids.holds("orders.id"));
    let found = found.order(orders::id).limit(limit).select(OrderRow::as_select());
    let rows: Vec<OrderRow> = found.load(conn.pg)?;
    shown(conn, rows)
}

impl OrderFilter {
    fn apply(&self, workspace: WorkspaceId) -> Matching {
        let mut found = of(workspace).into_boxed();
        if let Some(q) = &self.q {
            let pattern = format!("%{}%", like_escape(&search_key(q)));
            found = found.filter(orders::search_key.like(pattern));
        }
        if let Some(customers) = self.customer_id.given() {
            found = found.filter(orders::customer_id.eq_any(customers.clone()));
        }
        if let Some(sources) = self.source.given() {
            found = found.filter(orders::source.eq_any(sources.clone()));
        }
        if let Some(channels) = self.channel_id.given() {
            found = found.filter(orders::channel_id.eq_any(channels.clone()));
        }
        if let Some(tags) = self.tags.given() {
            found = found.filter(orders::tags.overlaps_with(tags.clone()));
        }
        self.apply_times(self.apply_states(found))
    }

    fn apply_states(&self, mut found: Matching) -> Matching {
        if let Some(states) = self.status.given() {
            found = found.filter(orders::status.eq_any(states.clone()));
        }
        if let Some(states) = self.financial_status.given() {
            found = found.filter(orders::financial_status.eq_any(states.clone()));
        }
        if let Some(states) = self.fulfillment_status.given() {
            found = found.filter(orders::fulfillment_status.eq_any(states.clone()));
        }
        found
    }

    fn apply_times(&self, mut found: Matching) -> Matching {
        if let Some(from) = self.placed_at_gte {
            found = found.filter(orders::placed_at.ge(from));
        }
        if let Some(until) = self.placed_at_lt {
            found = found.filter(orders::placed_at.lt(until));
        }
        if let Some(from) = self.updated_at_gte {
            found = found.filter(orders::updated_at.ge(from));
        }
        if let Some(until) = self.updated_at_lt {
            found = found.filter(orders::updated_at.lt(until));
        }
        found
    }
}
