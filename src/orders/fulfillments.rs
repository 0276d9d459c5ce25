//! What was shipped or handed over, and how to follow it.

use actix_web::http::StatusCode;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::find_row;
use super::lines::LineItemQuantity;
use super::refunds::AffectedLineItem;
use super::requests::OrderPatch;
use super::types::OrderStatus;
use super::write::{self, Draft};
use crate::auth::{Caller, Scope};
use crate::db::json::Jsonb;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::http::reply::Plain;
use crate::http::{Json, List, Page, Path, Query, Reply};
use crate::journal;
use crate::schema::order_fulfillments as f;
use crate::sources::Told;
use crate::values::valid;

/// Something to be recorded as shipped or handed over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewFulfillment {
    /// The fulfillment's id in the order's source: a repeat enters nothing.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "255858046", min_length = 1, max_length = 255)]
    pub external_id: Option<String>,
    /// Of which lines how many; everything that is left where there are none.
    #[validate(length(max = 500), nested)]
    #[schema(max_items = 500)]
    pub line_items: Vec<LineItemQuantity>,
    /// Who carries it.
    #[validate(length(max = 100))]
    #[schema(example = "Post", max_length = 100)]
    pub tracking_company: Option<String>,
    /// The carrier's number.
    #[validate(length(max = 200))]
    #[schema(example = "1Z2345", max_length = 200)]
    pub tracking_number: Option<String>,
    /// Where to follow it.
    #[validate(custom(function = "valid::url"), length(max = 2000))]
    #[schema(example = "https://post.example.com/1Z2345", max_length = 2000)]
    pub tracking_url: Option<String>,
    /// When; the order's `source_updated_at` where that is sent along, or now, unless said otherwise.
    #[validate(custom(function = "valid::time"))]
    pub fulfilled_at: Option<DateTime<Utc>>,
    /// Whether the shop says that it came to nothing.
    #[serde(skip)]
    pub is_cancelled: bool,
}

/// What was shipped or handed over.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize, ToSchema)]
#[diesel(table_name = f)]
pub struct Fulfillment {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// The fulfillment's id in the order's source.
    #[schema(example = "255858046")]
    pub external_id: Option<String>,
    /// Of which lines how many.
    #[schema(value_type = Vec<AffectedLineItem>)]
    pub line_items: Jsonb<Vec<AffectedLineItem>>,
    /// Who carries it.
    #[schema(example = "Post")]
    pub tracking_company: Option<String>,
    /// The carrier's number.
    #[schema(example = "1Z2345")]
    pub tracking_number: Option<String>,
    /// Where to follow it.
    #[schema(example = "https://post.example.com/1Z2345")]
    pub tracking_url: Option<String>,
    /// When it was shipped or handed over.
    pub fulfilled_at: DateTime<Utc>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
}

const SORT: &[SortKey] =
    &[SortKey { name: "created_at", column: "order_fulfillments.id", kind: SortKind::Id }];

/// List the fulfillments of an order
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:read"])), params(Page), responses((status = 200, body = List<Fulfillment>)))]
#[get("/orders/{id}/fulfillments")]
pub async fn list_fulfillments(caller: Caller, id: Path<Uuid>, page: Query<Page>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    let slice = page.slice(&grant, "fulfillments", SORT, &*id)?;
    grant
        .list(move |conn| {
            let order = find_row(conn, *id)?;
            let workspace = conn.workspace;
            let of =
                || f::table.filter(f::workspace_id.eq(workspace)).filter(f::order_id.eq(order.id));
            let total = slice.total(|| of().count().get_result(conn.pg))?;
            let rows: Vec<Fulfillment> = of()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Fulfillment::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Get a fulfillment
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:read"])), params(("id" = Uuid, Path, description = "Id of the order"), ("fulfillment_id" = Uuid, Path, description = "Id of the fulfillment")), responses((status = 200, body = Fulfillment)))]
#[get("/orders/{id}/fulfillments/{fulfillment_id}")]
pub async fn get_fulfillment(caller: Caller, ids: Path<(Uuid, Uuid)>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    let (order, fulfillment) = *ids;
    grant
        .read(move |conn| {
            let order = find_row(conn, order)?;
            let found = f::table.filter(f::workspace_id.eq(conn.workspace));
            let found = found.filter(f::order_id.eq(order.id)).filter(f::id.eq(fulfillment));
            let row: Fulfillment = found.select(Fulfillment::as_select()).first(conn.pg)?;
            Ok(Plain(row))
        })
        .await
}

/// Record a fulfillment
///
/// Of each line at most what is left. A repeat of the same `external_id` changes nothing and answers
/// what is stored, with `Idempotent-Replayed: true`.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])), responses((status = 201, body = Fulfillment)))]
#[post("/orders/{id}/fulfillments")]
pub async fn create_fulfillment(
    caller: Caller,
    id: Path<Uuid>,
    new: Json<NewFulfillment>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    grant
        .write(move |tx| {
            let (made, is_new) = record(tx, *id, &new)?;
            let location = format!("/v1/orders/{}/fulfillments/{}", made.order_id, made.id);
            let reply = Reply::json(StatusCode::CREATED, &made)?.with("Location", location);
            Ok(if is_new { reply } else { reply.with("Idempotent-Replayed", "true".into()) })
        })
        .await
}

fn record(tx: &mut Tx, order: Uuid, new: &NewFulfillment) -> Result<(Fulfillment, bool)> {
    let before = write::lock(tx, order)?;
    if let Some(known) = by_external_id(tx, order, new.external_id.as_deref())? {
        return Ok((known, false));
    }
    let patch = OrderPatch { fulfillments: Some(vec![new.clone()]), ..OrderPatch::default() };
    let saved = patch.save(tx, before, Told::ByCaller);
    let saved = saved.map_err(|error| error.out_of("#/fulfillments/0"))?;
    let made = saved.fulfillments.into_iter().next();
    made.map(|made| (made, true))
        .ok_or_else(|| Error::internal("a new fulfillment was not entered"))
}

fn by_external_id(
    conn: &mut Conn,
    order: Uuid,
    external_id: Option<&str>,
) -> Result<Option<Fulfillment>> {
    let Some(external_id) = external_id else { return Ok(None) };
    let found = f::table.filter(f::workspace_id.eq(conn.workspace)).filter(f::order_id.eq(order));
    let found = found.filter(f::external_id.eq(external_id)).select(Fulfillment::as_select());
    Ok(found.first(conn.pg).optional()?)
}

/// Enters those fulfillments that are not entered yet into a draft.
pub(super) fn enter(
    tx: &mut Tx,
    draft: &mut Draft,
    new: &[NewFulfillment],
    told: Told,
) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let known = f::table.filter(f::workspace_id.eq(tx.workspace));
    let known = known.filter(f::order_id.eq(draft.row.id)).select(Fulfillment::as_select());
    let stored: Vec<Fulfillment> = known.load(tx.pg)?;
    let mut known: Vec<Option<String>> = stored.iter().map(|one| one.external_id.clone()).collect();
    for (at, fulfillment) in new.iter().enumerate() {
        if fulfillment.is_cancelled {
            let is_it = |one: &&Fulfillment| one.external_id == fulfillment.external_id;
            let gone = stored.iter().filter(|one| one.external_id.is_some());
            gone.filter(is_it).for_each(|one| take_off(draft, one));
            continue;
        }
        if fulfillment.external_id.is_some() && known.contains(&fulfillment.external_id) {
            continue;
        }
        known.push(fulfillment.external_id.clone());
        let row = enter_one(tx, draft, fulfillment, told, &format!("#/fulfillments/{at}"))?;
        draft.fulfillments.push(row);
    }
    Ok(())
}

/// What was to be sent was not.
fn take_off(draft: &mut Draft, gone: &Fulfillment) {
    for affected in &gone.line_items.0 {
        let line = draft.lines.iter_mut().find(|line| line.id == affected.line_item_id);
        let Some(line) = line else { continue };
        line.fulfilled_quantity = (line.fulfilled_quantity - affected.quantity).max(0);
    }
    draft.lines_changed = true;
    draft.cancelled_fulfillments.push(gone.id);
}

fn enter_one(
    tx: &mut Tx,
    draft: &mut Draft,
    new: &NewFulfillment,
    told: Told,
    pointer: &str,
) -> Result<Fulfillment> {
    if told == Told::ByCaller && draft.row.status == OrderStatus::Cancelled {
        return Err(Error::transition("a cancelled order is not fulfilled", &["archived"]));
    }
    let line_items = match new.line_items.is_empty() {
        true => send_the_rest(draft, told, pointer)?,
        false => send(draft, new, told, pointer)?,
    };
    draft.lines_changed = true;
    let at = journal::instant(new.fulfilled_at, tx.now, &format!("{pointer}/fulfilled_at"))?;
    Ok(Fulfillment {
        id: tx.new_id(),
        order_id: draft.row.id,
        external_id: new.external_id.clone(),
        line_items: Jsonb(line_items),
        tracking_company: new.tracking_company.clone(),
        tracking_number: new.tracking_number.clone(),
        tracking_url: new.tracking_url.clone(),
        fulfilled_at: at,
        created_at: tx.now,
    })
}

fn send_the_rest(draft: &mut Draft, told: Told, pointer: &str) -> Result<Vec<AffectedLineItem>> {
    let mut affected = Vec::new();
    for line in &mut draft.lines {
        let left = line.quantity - line.fulfilled_quantity;
        if left > 0 {
            line.fulfilled_quantity = line.quantity;
            affected.push(AffectedLineItem::of(line, left));
        }
    }
    if affected.is_empty() && told == Told::ByCaller && !draft.lines.is_empty() {
        let detail = "everything is fulfilled already";
        return Err(Error::field(pointer, "nothing_left", detail));
    }
    Ok(affected)
}

fn send(
    draft: &mut Draft,
    new: &NewFulfillment,
    told: Told,
    pointer: &str,
) -> Result<Vec<AffectedLineItem>> {
    let mut affected = Vec::with_capacity(new.line_items.len());
    for (at, part) in new.line_items.iter().enumerate() {
        let pointer = format!("{pointer}/line_items/{at}");
        let line = match (part.find(&mut draft.lines, &pointer), told) {
            // A shop may have taken the line off the order since.
            (Err(_), Told::ByShop) => continue,
            (found, _) => found?,
        };
        let left = line.quantity - line.fulfilled_quantity;
        if told == Told::ByCaller {
            part.check(left, &pointer)?;
        }
        line.fulfilled_quantity += part.quantity.min(left);
        affected.push(AffectedLineItem::of(line, part.quantity));
    }
    Ok(affected)
}

/// Removes what was cancelled.
pub(super) fn discard(tx: &mut Tx, order: Uuid, ids: &[Uuid]) -> Result<()> {
    if !ids.is_empty() {
        let gone = f::table.filter(f::workspace_id.eq(tx.workspace)).filter(f::order_id.eq(order));
        diesel::delete(gone.filter(f::id.eq_any(ids))).execute(tx.pg)?;
    }
    Ok(())
}

/// Stores what was entered.
pub(super) fn store(tx: &mut Tx, rows: &[Fulfillment]) -> Result<()> {
    let rows: Vec<_> = rows.iter().map(|row| (row, f::workspace_id.eq(tx.workspace))).collect();
    if !rows.is_empty() {
        diesel::insert_into(f::table).values(rows).execute(tx.pg)?;
    }
    Ok(())
}
