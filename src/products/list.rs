//! Finding products: text, SKU, brand, category, status, tags and time.

use actix_web::get;
use chrono::{DateTime, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::types::ProductStatus;
use super::{Product, of};
use crate::auth::{Caller, Scope};
use crate::db::ids::IdRange;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, WorkspaceId};
use crate::error::Result;
use crate::http::{AnyOf, List, Page, Query, Reply};
use crate::schema::products;
use crate::values::text::{like_escape, search_key};

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "products.id", kind: SortKind::Id },
    SortKey { name: "updated_at", column: "products.updated_at", kind: SortKind::Time },
    SortKey { name: "name", column: "products.name", kind: SortKind::Text },
];

/// Which products to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProductFilter {
    /// Part of a name, SKU, brand or outside id, in any case.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Any of these stock-keeping units.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub sku: AnyOf<String>,
    /// Any of these brands.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub brand: AnyOf<String>,
    /// Any of these categories.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub category: AnyOf<String>,
    /// Any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<ProductStatus>>, inline, style = Form, explode = false)]
    pub status: AnyOf<ProductStatus>,
    /// Having any of these tags.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub tags: AnyOf<String>,
    /// Changed at or after this time: for keeping a copy in step.
    pub updated_at_gte: Option<DateTime<Utc>>,
    /// Changed before this time.
    pub updated_at_lt: Option<DateTime<Utc>>,
}

/// List products
///
/// Newest first unless sorted otherwise.
#[utoipa::path(tag = "products", security(("bearer" = ["products:read"])), params(Page, ProductFilter), responses((status = 200, body = List<Product>)))]
#[get("/products")]
pub async fn list_products(
    caller: Caller,
    page: Query<Page>,
    filter: Query<ProductFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ProductsRead)?;
    let slice = page.slice(&grant, "products", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.workspace);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Product::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

type Matching = IntoBoxed<'static, of, Pg>;

/// How many products a filter finds.
pub fn count_matching(conn: &mut Conn, filter: &ProductFilter, ids: IdRange) -> Result<i64> {
    let found = filter.apply(conn.workspace).filter(ids.holds("products.id"));
    Ok(found.count().get_result(conn.pg)?)
}

/// Some of the products that a filter finds, the oldest first.
pub fn matching(
    conn: &mut Conn,
    filter: &ProductFilter,
    ids: IdRange,
    limit: i64,
) -> Result<Vec<Product>> {
    let found = filter.apply(conn.workspace).filter(ids.holds("products.id"));
    Ok(found.order(products::id).limit(limit).select(Product::as_select()).load(conn.pg)?)
}

impl ProductFilter {
    fn apply(&self, workspace: WorkspaceId) -> Matching {
        let mut found = of(workspace).into_boxed();
        if let Some(q) = &self.q {
            let pattern = format!("%{}%", like_escape(&search_key(q)));
            found = found.filter(products::search_key.like(pattern));
        }
        if let Some(skus) = self.sku.given() {
            found = found.filter(products::sku.eq_any(skus.clone()));
        }
        if let Some(brands) = self.brand.given() {
            found = found.filter(products::brand.eq_any(brands.clone()));
        }
        if let Some(categories) = self.category.given() {
            found = found.filter(products::category.eq_any(categories.clone()));
        }
        if let Some(statuses) = self.status.given() {
            found = found.filter(products::status.eq_any(statuses.clone()));
        }
        if let Some(tags) = self.tags.given() {
            found = found.filter(products::tags.overlaps_with(tags.clone()));
        }
        if let Some(from) = self.updated_at_gte {
            found = found.filter(products::updated_at.ge(from));
        }
        if let Some(until) = self.updated_at_lt {
            found = found.filter(products::updated_at.lt(until));
        }
        found
    }
}
