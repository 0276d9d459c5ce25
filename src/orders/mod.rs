//! Orders: what customers bought, what was paid for it and sent, and what came back.

mod conversions;
mod fulfillments;
mod lines;
pub mod list;
mod milestones;
mod payments;
mod people;
mod refunds;
mod requests;
mod states;
mod stats;
mod totals;
pub mod types;
mod write;

use std::collections::HashSet;

use actix_web::{delete, get, patch, post, put};
use diesel::prelude::*;
use uuid::Uuid;

pub use fulfillments::NewFulfillment;
pub use lines::LineItemQuantity;
pub use payments::Payment;
pub use refunds::{NewRefund, record as refund};
pub use requests::{NewLineItem, NewOrder, OrderPatch};
pub use stats::recount;
pub use types::Order;
pub use write::{change, create, create_each, delete, locked, upsert, was_deleted};

use crate::auth::{Caller, Scope};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::{
    Batch, BatchOptions, Created, Found, IfMatch, IfNoneMatch, Items, Json, NewBatch, NoContent,
    Path, Query, Reply, ServiceConfig,
};
use crate::schema::orders;
use crate::sources::Told;
use requests::OrderCancellation;
use types::{OrderRow, OrderStatus};

pub fn routes(api: &mut ServiceConfig) {
    api.service(list::list_orders)
        .service(create_order)
        .service(batch_upsert_orders)
        .service(upsert_order)
        .service(get_order_by_external_id)
        .service(get_order)
        .service(update_order)
        .service(cancel_order)
        .service(delete_order)
        .service(restore_order)
        .service(refunds::list_refunds)
        .service(refunds::create_refund)
        .service(refunds::get_refund)
        .service(fulfillments::list_fulfillments)
        .service(fulfillments::create_fulfillment)
        .service(fulfillments::get_fulfillment)
        .service(conversions::convert_cart);
}

/// Record an order
///
/// The customer is found by what the order says, or made. 409 names the order that has one of the
/// outside ids already. To record or change in one call, use the upsert by external id.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])), responses((status = 201, body = Order)))]
#[post("/orders")]
async fn create_order(caller: Caller, new: Json<NewOrder>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    grant.write(move |tx| write::create(tx, &new, Told::ByCaller).map(Created)).await
}

/// Record up to 1000 orders
///
/// An order that is known by one of its outside ids is changed (status 200), another one is made
/// (201). Each item is recorded or refused on its own, unless `atomic` is set.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])), params(BatchOptions), request_body = NewBatch<NewOrder>, responses((status = 207, body = Batch)))]
#[post("/orders/batch")]
async fn batch_upsert_orders(
    caller: Caller,
    options: Query<BatchOptions>,
    batch: Items<NewOrder>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    grant.charge(batch.count())?;
    grant.write(move |tx| write::record_many(tx, &batch, options.is_atomic())).await
}

/// Record or change an order by its id in an outside system
///
/// Repeating the call is harmless, and calls may come in any order where each says when the source
/// changed the order (`source_updated_at`): what is older than what is known changes nothing.
/// `If-None-Match: *` records only.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The order's id there")),
    responses((status = 200, body = Order), (status = 201, body = Order)))]
#[put("/orders/external/{source}/{external_id}")]
async fn upsert_order(
    caller: Caller,
    reference: Path<(String, String)>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    patch: Json<OrderPatch>,
) -> Result<Reply> {
    let reference = ExternalId::from_upsert(reference.into_inner(), patch.external_ids.as_ref())?;
    let grant = caller.must(Scope::OrdersWrite)?;
    let conditions = (if_match, if_none_match);
    grant.write(move |tx| write::upsert(tx, &patch, &reference, conditions, Told::ByCaller)).await
}

/// Get an order by its id in an outside system
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:read"])),
    params(("source" = String, Path, description = "The outside system"), ("external_id" = String, Path, description = "The order's id there")),
    responses((status = 200, body = Order)))]
#[get("/orders/external/{source}/{external_id}")]
async fn get_order_by_external_id(
    caller: Caller,
    reference: Path<(String, String)>,
) -> Result<Reply> {
    let reference = ExternalId::from_path(reference.into_inner())?;
    let grant = caller.must(Scope::OrdersRead)?;
    grant
        .read(move |conn| {
            let id = external_ids::resolve(conn, Owner::Order, &reference)?;
            Order::find(conn, id).map(Found)
        })
        .await
}

/// Get an order
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:read"])), responses((status = 200, body = Order)))]
#[get("/orders/{id}")]
async fn get_order(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    grant.read(move |conn| Order::find(conn, *id).map(Found)).await
}

/// Change an order
///
/// A move that the order's states do not know is 409 `invalid_transition` with those that they do.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])), responses((status = 200, body = Order)))]
#[patch("/orders/{id}")]
async fn update_order(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<OrderPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    grant.write(move |tx| write::change(tx, *id, if_match, &patch, Told::ByCaller).map(Found)).await
}

/// Cancel an order
///
/// What was not paid yet is void; what was paid is paid back by refunds.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])), responses((status = 200, body = Order)))]
#[post("/orders/{id}/cancel")]
async fn cancel_order(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    cancellation: Json<OrderCancellation>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    let patch = OrderPatch {
        status: Some(OrderStatus::Cancelled),
        cancel_reason: cancellation.cancel_reason.clone().map(Some),
        cancelled_at: cancellation.cancelled_at,
        ..OrderPatch::default()
    };
    grant
        .write(move |tx| {
            let before = write::lock(tx, *id)?;
            if_match.check(before.row.version)?;
            if before.row.status == OrderStatus::Cancelled {
                return Err(Error::transition("the order is cancelled already", &["archived"]));
            }
            Ok(Found(patch.save(tx, before, Told::ByCaller)?.order))
        })
        .await
}

/// Delete an order
///
/// It can be restored; its outside ids are free for others until then, and it does not count.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])), responses((status = 204)))]
#[delete("/orders/{id}")]
async fn delete_order(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    grant.write(move |tx| write::delete(tx, *id, if_match).map(|()| NoContent)).await
}

/// Restore a deleted order
///
/// 409 names the order that took one of its outside ids in the meantime. Restoring an order that is
/// not deleted changes nothing.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])), responses((status = 200, body = Order)))]
#[post("/orders/{id}/restore")]
async fn restore_order(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    grant.write(move |tx| write::restore(tx, *id).map(Found)).await
}

/// Every order of a workspace that is not deleted.
#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    orders::table.filter(orders::workspace_id.eq(workspace)).filter(orders::deleted_at.is_null())
}

/// The same with those that are deleted.
#[diesel::dsl::auto_type(no_type_alias)]
fn with_deleted(workspace: WorkspaceId) -> _ {
    orders::table.filter(orders::workspace_id.eq(workspace))
}

/// The stored row of an order that is not deleted, or 404.
fn find_row(conn: &mut Conn, id: Uuid) -> Result<OrderRow> {
    let found = of(conn.workspace).filter(orders::id.eq(id));
    Ok(found.select(OrderRow::as_select()).first(conn.pg)?)
}

/// Every order of a customer that is not deleted.
pub fn of_customer(workspace: WorkspaceId, customer: Uuid) -> list::Matching {
    of(workspace).filter(orders::customer_id.eq(customer)).into_boxed()
}

/// Those of several orders that are there and not deleted.
pub fn exists_many(conn: &mut Conn, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let found = of(conn.workspace).filter(orders::id.eq_any(ids));
    Ok(found.select(orders::id).load(conn.pg)?.into_iter().collect())
}

impl Order {
    /// Whether an order is there and not deleted.
    pub fn exists(conn: &mut Conn, id: Uuid) -> Result<bool> {
        let found = of(conn.workspace).filter(orders::id.eq(id));
        Ok(diesel::select(diesel::dsl::exists(found)).get_result(conn.pg)?)
    }

    /// An order that is not deleted, locked until the transaction ends, or 404.
    pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let stored = write::lock(tx, id)?;
        Ok(Self::new(stored.row, stored.lines))
    }

    /// An order that is not deleted, or 404.
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let row = find_row(conn, id)?;
        let lines = lines::of_orders(conn, &[id])?.remove(&id).unwrap_or_default();
        Ok(Self::new(row, lines))
    }
}
