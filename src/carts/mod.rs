//! Carts: what somebody thinks of buying, until it is bought or forgotten.

mod awaited;
pub mod list;
mod steps;
pub mod types;
mod write;

use actix_web::{get, patch, post, put};
use diesel::prelude::*;
use uuid::Uuid;

pub use steps::{due, rest};
pub use types::{Cart, CartPatch, CartReference};
pub use write::{close, convert, convert_into, lock, upsert};

use crate::auth::{Caller, Scope};
use crate::db::{Conn, WorkspaceId};
use crate::error::Result;
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::{Created, Found, IfMatch, IfNoneMatch, Json, Path, Reply, ServiceConfig};
use crate::schema::carts;
use crate::sources::Told;
use types::{CartRow, NewCart};

pub fn routes(api: &mut ServiceConfig) {
    api.service(list::list_carts)
        .service(create_cart)
        .service(upsert_cart)
        .service(get_cart_by_external_id)
        .service(get_cart)
        .service(update_cart);
}

/// Record a cart
///
/// 409 names the cart that has one of the outside ids already. To record or change in one call, use
/// the upsert by external id.
#[utoipa::path(tag = "carts", security(("bearer" = ["carts:write"])), responses((status = 201, body = Cart)))]
#[post("/carts")]
async fn create_cart(caller: Caller, new: Json<NewCart>) -> Result<Reply> {
    let grant = caller.must(Scope::CartsWrite)?;
    grant.write(move |tx| write::create(tx, &new).map(Created)).await
}

/// Record or change a cart by its id in an outside system
///
/// Repeating the call is harmless, and calls may come in any order where each says when the source
/// changed the cart (`source_updated_at`). `If-None-Match: *` records only.
#[utoipa::path(tag = "carts", security(("bearer" = ["carts:write"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The cart's id there")),
    responses((status = 200, body = Cart), (status = 201, body = Cart)))]
#[put("/carts/external/{source}/{external_id}")]
async fn upsert_cart(
    caller: Caller,
    reference: Path<(String, String)>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    patch: Json<CartPatch>,
) -> Result<Reply> {
    let reference = ExternalId::from_upsert(reference.into_inner(), patch.external_ids.as_ref())?;
    let grant = caller.must(Scope::CartsWrite)?;
    let conditions = (if_match, if_none_match);
    grant.write(move |tx| write::upsert(tx, &patch, &reference, conditions, Told::ByCaller)).await
}

/// Get a cart by its id in an outside system
#[utoipa::path(tag = "carts", security(("bearer" = ["carts:read"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The cart's id there")),
    responses((status = 200, body = Cart)))]
#[get("/carts/external/{source}/{external_id}")]
async fn get_cart_by_external_id(
    caller: Caller,
    reference: Path<(String, String)>,
) -> Result<Reply> {
    let reference = ExternalId::from_path(reference.into_inner())?;
    let grant = caller.must(Scope::CartsRead)?;
    grant
        .read(move |conn| {
            let id = external_ids::resolve(conn, Owner::Cart, &reference)?;
            Cart::find(conn, id).map(Found)
        })
        .await
}

/// Get a cart
#[utoipa::path(tag = "carts", security(("bearer" = ["carts:read"])), responses((status = 200, body = Cart)))]
#[get("/carts/{id}")]
async fn get_cart(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::CartsRead)?;
    grant.read(move |conn| Cart::find(conn, *id).map(Found)).await
}

/// Change a cart
///
/// A cart that became an order, or that nobody came back to, is over: 409 `invalid_transition`.
#[utoipa::path(tag = "carts", security(("bearer" = ["carts:write"])), responses((status = 200, body = Cart)))]
#[patch("/carts/{id}")]
async fn update_cart(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<CartPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CartsWrite)?;
    grant
        .write(move |tx| {
            let before = write::lock(tx, *id)?;
            if_match.check(before.version)?;
            patch.save(tx, before, Told::ByCaller).map(Found)
        })
        .await
}

/// Every cart of a workspace.
#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    carts::table.filter(carts::workspace_id.eq(workspace))
}

impl Cart {
    /// A cart, or 404.
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let found = of(conn.workspace).filter(carts::id.eq(id));
        let row: CartRow = found.select(CartRow::as_select()).first(conn.pg)?;
        Ok(row.into())
    }
}
