//! Finding carts: customer, source, status, time.

use actix_web::get;
use chrono::{DateTime, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::of;
use super::types::{Cart, CartRow, CartStatus};
use crate::auth::{Caller, Scope};
use crate::db::ids::IdRange;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, WorkspaceId};
use crate::error::Result;
use crate::http::{AnyOf, List, Page, Query, Reply};
use crate::schema::carts;

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "carts.id", kind: SortKind::Id },
    SortKey { name: "updated_at", column: "carts.updated_at", kind: SortKind::Time },
    SortKey { name: "active_at", column: "carts.active_at", kind: SortKind::Time },
];

/// Which carts to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CartFilter {
    /// Of any of these customers.
    #[serde(default)]
    #[param(value_type = Option<Vec<Uuid>>, style = Form, explode = false)]
    pub customer_id: AnyOf<Uuid>,
    /// In any of these systems.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub source: AnyOf<String>,
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<CartStatus>>, inline, style = Form, explode = false)]
    pub status: AnyOf<CartStatus>,
    /// Last touched at or after this time.
    pub active_at_gte: Option<DateTime<Utc>>,
    /// Last touched before this time.
    pub active_at_lt: Option<DateTime<Utc>>,
    /// Changed at or after this time: for keeping a copy in step.
    pub updated_at_gte: Option<DateTime<Utc>>,
    /// Changed before this time.
    pub updated_at_lt: Option<DateTime<Utc>>,
}

/// List carts
///
/// Latest records first unless sorted otherwise.
#[utoipa::path(tag = "carts", security(("bearer" = ["carts:read"])), params(Page, CartFilter), responses((status = 200, body = List<Cart>)))]
#[get("/carts")]
pub async fn list_carts(
    caller: Caller,
    page: Query<Page>,
    filter: Query<CartFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CartsRead)?;
    let slice = page.slice(&grant, "carts", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.workspace);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows: Vec<CartRow> = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(CartRow::as_select())
                .load(conn.pg)?;
            slice.list(rows.into_iter().map(Cart::from).collect(), total)
        })
        .await
}

/// How many carts a filter finds within a range of ids.
pub fn count_matching(conn: &mut Conn, filter: &CartFilter, ids: IdRange) -> Result<i64> {
    let found = filter.apply(conn.workspace).filter(ids.holds("carts.id"));
    Ok(found.count().get_result(conn.pg)?)
}

/// Some of the carts that a filter finds, the oldest records first.
pub fn matching(
    conn: &mut Conn,
    filter: &CartFilter,
    ids: IdRange,
    limit: i64,
) -> Result<Vec<Cart>> {
    let found = filter.apply(conn.workspace).filter(ids.holds("carts.id"));
    let found = found.order(carts::id).limit(limit).select(CartRow::as_select());
    let rows: Vec<CartRow> = found.load(conn.pg)?;
    Ok(rows.into_iter().map(Cart::from).collect())
}

type Matching = IntoBoxed<'static, of, Pg>;

impl CartFilter {
    fn apply(&self, workspace: WorkspaceId) -> Matching {
        let mut found = of(workspace).into_boxed();
        if let Some(customers) = self.customer_id.given() {
            found = found.filter(carts::customer_id.eq_any(customers.clone()));
        }
        if let Some(sources) = self.source.given() {
            found = found.filter(carts::source.eq_any(sources.clone()));
        }
        if let Some(states) = self.status.given() {
            found = found.filter(carts::status.eq_any(states.clone()));
        }
        if let Some(from) = self.active_at_gte {
            found = found.filter(carts::active_at.ge(from));
        }
        if let Some(until) = self.active_at_lt {
            found = found.filter(carts::active_at.lt(until));
        }
        if let Some(from) = self.updated_at_gte {
            found = found.filter(carts::updated_at.ge(from));
        }
        if let Some(until) = self.updated_at_lt {
            found = found.filter(carts::updated_at.lt(until));
        }
        found
    }
}
