//! Products: what the company sells, as the shop knows it.

mod list;
pub mod types;
mod write;

use std::collections::{HashMap, HashSet};

use actix_web::{delete, get, patch, post, put};
use diesel::prelude::*;
use uuid::Uuid;

pub use list::{ProductFilter, count_matching, matching};
pub use types::{NewProduct, Product, ProductPatch};
pub use write::{create, create_each, delete, upsert};

use crate::auth::{Caller, Scope};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{FieldError, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::{
    Batch, BatchOptions, Created, Found, IfMatch, IfNoneMatch, Items, Json, NewBatch, NoContent,
    Path, Query, Reply, ServiceConfig,
};
use crate::schema::products;

pub fn routes(api: &mut ServiceConfig) {
    api.service(list::list_products)
        .service(create_product)
        .service(batch_create_products)
        .service(upsert_product)
        .service(get_product_by_external_id)
        .service(get_product)
        .service(update_product)
        .service(delete_product)
        .service(restore_product);
}

/// Create a product
///
/// 409 names the product that has the SKU or one of the outside ids already. To create or update in
/// one call, use the upsert by external id.
#[utoipa::path(tag = "products", security(("bearer" = ["products:write"])), responses((status = 201, body = Product)))]
#[post("/products")]
async fn create_product(caller: Caller, new: Json<NewProduct>) -> Result<Reply> {
    let grant = caller.must(Scope::ProductsWrite)?;
    grant.write(move |tx| write::create(tx, &new).map(Created)).await
}

/// Record up to 1000 products
///
/// A product that is known by one of its outside ids is changed (status 200), another one is made
/// (201). Each item is recorded or refused on its own, unless `atomic` is set.
#[utoipa::path(tag = "products", security(("bearer" = ["products:write"])), params(BatchOptions), request_body = NewBatch<NewProduct>, responses((status = 207, body = Batch)))]
#[post("/products/batch")]
async fn batch_create_products(
    caller: Caller,
    options: Query<BatchOptions>,
    batch: Items<NewProduct>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ProductsWrite)?;
    grant.charge(batch.count())?;
    grant.write(move |tx| write::record_many(tx, &batch, options.is_atomic())).await
}

/// Create or update a product by its id in an outside system
///
/// Repeating the call is harmless. The reference in the path is added to `external_ids`.
/// `If-None-Match: *` creates only.
#[utoipa::path(tag = "products", security(("bearer" = ["products:write"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The product's id there")),
    responses((status = 200, body = Product), (status = 201, body = Product)))]
#[put("/products/external/{source}/{external_id}")]
async fn upsert_product(
    caller: Caller,
    reference: Path<(String, String)>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    patch: Json<ProductPatch>,
) -> Result<Reply> {
    let reference = ExternalId::from_upsert(reference.into_inner(), patch.external_ids.as_ref())?;
    let grant = caller.must(Scope::ProductsWrite)?;
    grant.write(move |tx| write::upsert(tx, &patch, &reference, (if_match, if_none_match))).await
}

/// Get a product by its id in an outside system
#[utoipa::path(tag = "products", security(("bearer" = ["products:read"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The product's id there")),
    responses((status = 200, body = Product)))]
#[get("/products/external/{source}/{external_id}")]
async fn get_product_by_external_id(
    caller: Caller,
    reference: Path<(String, String)>,
) -> Result<Reply> {
    let reference = ExternalId::from_path(reference.into_inner())?;
    let grant = caller.must(Scope::ProductsRead)?;
    grant
        .read(move |conn| {
            let id = external_ids::resolve(conn, Owner::Product, &reference)?;
            Product::find(conn, id).map(Found)
        })
        .await
}

/// Get a product
#[utoipa::path(tag = "products", security(("bearer" = ["products:read"])), responses((status = 200, body = Product)))]
#[get("/products/{id}")]
async fn get_product(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::ProductsRead)?;
    grant.read(move |conn| Product::find(conn, *id).map(Found)).await
}

/// Change a product
#[utoipa::path(tag = "products", security(("bearer" = ["products:write"])), responses((status = 200, body = Product)))]
#[patch("/products/{id}")]
async fn update_product(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<ProductPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ProductsWrite)?;
    grant.write(move |tx| patch.apply(tx, *id, if_match).map(Found)).await
}

/// Delete a product
///
/// It can be restored; its SKU and outside ids are free for others until then. Orders go on naming
/// it.
#[utoipa::path(tag = "products", security(("bearer" = ["products:write"])), responses((status = 204)))]
#[delete("/products/{id}")]
async fn delete_product(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::ProductsWrite)?;
    grant.write(move |tx| write::delete(tx, *id, if_match).map(|()| NoContent)).await
}

/// Restore a deleted product
///
/// 409 names the product that took its SKU or one of its outside ids in the meantime. Restoring a
/// product that is not deleted changes nothing.
#[utoipa::path(tag = "products", security(("bearer" = ["products:write"])), responses((status = 200, body = Product)))]
#[post("/products/{id}/restore")]
async fn restore_product(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::ProductsWrite)?;
    grant.write(move |tx| write::restore(tx, *id).map(Found)).await
}

/// Every product of a workspace that is not deleted.
#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    products::table
        .filter(products::workspace_id.eq(workspace))
        .filter(products::deleted_at.is_null())
}

/// The same with those that are deleted.
#[diesel::dsl::auto_type(no_type_alias)]
fn with_deleted(workspace: WorkspaceId) -> _ {
    products::table.filter(products::workspace_id.eq(workspace))
}

impl Product {
    /// A product that is not deleted, or 404.
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let found = of(conn.workspace).filter(products::id.eq(id));
        Ok(found.select(Self::as_select()).first(conn.pg)?)
    }

    /// The same, locked until the transaction ends: writers of one product take turns.
    pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let found = of(tx.workspace).filter(products::id.eq(id));
        Ok(found.select(Self::as_select()).for_no_key_update().first(tx.pg)?)
    }
}

/// What a line of an order or cart calls its product.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    pub id: Option<Uuid>,
    /// Its id in the source of the order or cart.
    pub external_id: Option<&'a str>,
    pub sku: Option<&'a str>,
}

/// The product of each line, as far as it is known, and the faults of lines that name one by an id
/// that is none. One statement for each way of naming that is used.
pub fn of_lines(
    conn: &mut Conn,
    source: &str,
    lines: &[Named],
) -> Result<(Vec<Option<Uuid>>, Vec<FieldError>)> {
    let ids = exists_many(conn, &lines.iter().filter_map(|line| line.id).collect::<Vec<_>>())?;
    let outside = by_external_id(conn, source, lines.iter().filter_map(|line| line.external_id))?;
    let skus = by_sku(conn, lines.iter().filter_map(|line| line.sku).collect())?;
    let is_unknown = |line: &Named| line.id.is_some_and(|id| !ids.contains(&id));
    let unknown = lines.iter().enumerate().filter(|(_, line)| is_unknown(line)).map(|(at, _)| {
        let detail = "there is no such product in this workspace";
        FieldError::at(format!("#/line_items/{at}/product_id"), "not_found", detail)
    });
    let products = lines.iter().map(|line| {
        let by_outside = || outside.get(line.external_id?).copied();
        let by_sku = || skus.get(line.sku?).copied();
        line.id.or_else(by_outside).or_else(by_sku)
    });
    Ok((products.collect(), unknown.collect()))
}

/// Those of several products that are there and not deleted.
pub fn exists_many(conn: &mut Conn, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let there = of(conn.workspace).filter(products::id.eq_any(ids));
    Ok(there.select(products::id).load(conn.pg)?.into_iter().collect())
}

fn by_external_id<'a>(
    conn: &mut Conn,
    source: &str,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, Uuid>> {
    let ids = ids.map(|id| ExternalId { source: source.to_owned(), id: id.to_owned() });
    let ids: Vec<ExternalId> = ids.collect();
    let ids: Vec<&ExternalId> = ids.iter().collect();
    let found = external_ids::find_many(conn, Owner::Product, &ids)?;
    Ok(found.into_iter().map(|(_, id, product)| (id, product)).collect())
}

fn by_sku(conn: &mut Conn, skus: Vec<&str>) -> Result<HashMap<String, Uuid>> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let there = of(conn.workspace).filter(products::sku.eq_any(skus));
    let there = there.select((products::sku.assume_not_null(), products::id));
    Ok(there.load(conn.pg)?.into_iter().collect())
}
