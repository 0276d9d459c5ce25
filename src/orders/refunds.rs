//! Money that went back, and goods that came back.

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
use super::requests::OrderPatch;
use super::types::{LineRow, OrderRow};
use super::write::{self, Draft};
use crate::auth::{Caller, Scope};
use crate::db::json::Jsonb;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::http::reply::Plain;
use crate::http::{Json, List, Page, Path, Query, Reply};
use crate::journal;
use crate::schema::order_refunds as r;
use crate::sources::Told;
use crate::values::money::Money;
use crate::values::valid;

/// Money to be recorded as paid back.
///
/// What follows from the order's state or from a payment provider's word counts as a refund before the
/// order's source tells it; the first ones with an `external_id` take its place.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRefund {
    /// The refund's id in the order's source: a repeat enters nothing.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "509562969", min_length = 1, max_length = 255)]
    pub external_id: Option<String>,
    /// How much, in the order's currency; 0 where goods came back and no money went.
    #[validate(nested)]
    pub amount: Money,
    /// Why.
    #[validate(length(max = 500))]
    #[schema(example = "wrong size", max_length = 500)]
    pub reason: Option<String>,
    /// Whether the lines came back.
    #[serde(default)]
    pub is_return: bool,
    /// Of which lines how many.
    #[serde(default)]
    #[validate(length(max = 500), nested)]
    #[schema(max_items = 500)]
    pub line_items: Vec<LineItemQuantity>,
    /// When; the order's `source_updated_at` where that is sent along, or now, unless said otherwise.
    #[validate(custom(function = "valid::time"))]
    pub refunded_at: Option<DateTime<Utc>>,
    /// Whether it follows from something else, and gives way to what the order's source tells.
    #[serde(skip)]
    pub is_deduced: bool,
    /// Whether no more of it counts than is left to be paid back of the order.
    #[serde(skip)]
    pub is_capped: bool,
}

impl NewRefund {
    /// So much, and nothing else is known of it.
    pub fn of(amount: Money) -> Self {
        let (external_id, reason, refunded_at) = (None, None, None);
        Self {
            external_id,
            amount,
            reason,
            is_return: false,
            line_items: Vec::new(),
            refunded_at,
            is_deduced: false,
            is_capped: false,
        }
    }

    /// As much of it as is left to be paid back.
    pub fn capped(amount: Money) -> Self {
        Self { is_capped: true, ..Self::of(amount) }
    }

    /// So much has to have been paid back, by what else is known.
    pub fn deduced(amount: Money) -> Self {
        Self { is_deduced: true, ..Self::of(amount) }
    }

    /// Whether it is the source's own word, which nothing that was deduced stands beside.
    fn is_told(&self) -> bool {
        self.external_id.is_some() && !self.is_deduced
    }

    /// Whether it is one that is known and worth more by now: a shop tells a refund when it is asked for,
    /// and a bank pays it back days later.
    fn raises(&self, known: &RefundRow, told: Told) -> bool {
        told == Told::ByShop
            && self.is_told()
            && self.external_id == known.external_id
            && self.amount.amount > known.amount
    }
}

/// Of which line how many, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AffectedLineItem {
    /// The line.
    pub line_item_id: Uuid,
    /// Its stock-keeping unit.
    #[schema(example = "ROPE-60-BLUE")]
    pub sku: Option<String>,
    /// Its name.
    #[schema(example = "Single rope 9.5 mm, 60 m")]
    pub name: String,
    /// How many of it.
    #[schema(example = 1)]
    pub quantity: i32,
}

impl AffectedLineItem {
    pub(super) fn of(line: &LineRow, quantity: i32) -> Self {
        let (sku, name) = (line.sku.clone(), line.name.clone());
        Self { line_item_id: line.id, sku, name, quantity }
    }
}

/// The stored row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = r)]
pub struct RefundRow {
    pub order_id: Uuid,
    pub id: Uuid,
    pub external_id: Option<String>,
    pub amount: i64,
    pub reason: Option<String>,
    pub is_return: bool,
    pub line_items: Jsonb<Vec<AffectedLineItem>>,
    pub refunded_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub is_deduced: bool,
}

/// A refund that was just entered.
#[derive(Debug)]
pub struct Entered {
    pub row: RefundRow,
    /// How much of it had been deduced or told, and counted, before.
    pub counted: i64,
    /// Whether it was known, and is worth more by now.
    pub is_raised: bool,
}

/// Money that was paid back.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Refund {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// The refund's id in the order's source.
    #[schema(example = "509562969")]
    pub external_id: Option<String>,
    /// How much.
    pub amount: Money,
    /// Why.
    #[schema(example = "wrong size")]
    pub reason: Option<String>,
    /// Whether the lines came back.
    pub is_return: bool,
    /// Of which lines how many.
    pub line_items: Vec<AffectedLineItem>,
    /// When it was paid back.
    pub refunded_at: DateTime<Utc>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
}

impl Refund {
    fn new(row: RefundRow, currency: &str) -> Self {
        Self {
            id: row.id,
            order_id: row.order_id,
            external_id: row.external_id,
            amount: Money { amount: row.amount, currency: currency.to_owned() },
            reason: row.reason,
            is_return: row.is_return,
            line_items: row.line_items.0,
            refunded_at: row.refunded_at,
            created_at: row.created_at,
        }
    }
}

const SORT: &[SortKey] =
    &[SortKey { name: "created_at", column: "order_refunds.id", kind: SortKind::Id }];

/// List the refunds of an order
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:read"])), params(Page), responses((status = 200, body = List<Refund>)))]
#[get("/orders/{id}/refunds")]
pub async fn list_refunds(caller: Caller, id: Path<Uuid>, page: Query<Page>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    let slice = page.slice(&grant, "refunds", SORT, &*id)?;
    grant
        .list(move |conn| {
            let order = find_row(conn, *id)?;
            let workspace = conn.workspace;
            let of =
                || r::table.filter(r::workspace_id.eq(workspace)).filter(r::order_id.eq(order.id));
            let total = slice.total(|| of().count().get_result(conn.pg))?;
            let rows: Vec<RefundRow> = of()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(RefundRow::as_select())
                .load(conn.pg)?;
            let rows = rows.into_iter().map(|row| Refund::new(row, &order.currency)).collect();
            slice.list(rows, total)
        })
        .await
}

/// Get a refund
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:read"])), params(("id" = Uuid, Path, description = "Id of the order"), ("refund_id" = Uuid, Path, description = "Id of the refund")), responses((status = 200, body = Refund)))]
#[get("/orders/{id}/refunds/{refund_id}")]
pub async fn get_refund(caller: Caller, ids: Path<(Uuid, Uuid)>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersRead)?;
    let (order, refund) = *ids;
    grant
        .read(move |conn| {
            let order = find_row(conn, order)?;
            let found = r::table.filter(r::workspace_id.eq(conn.workspace));
            let found = found.filter(r::order_id.eq(order.id)).filter(r::id.eq(refund));
            let row: RefundRow = found.select(RefundRow::as_select()).first(conn.pg)?;
            Ok(Plain(Refund::new(row, &order.currency)))
        })
        .await
}

/// Record a refund
///
/// All refunds of an order are at most what was paid for it. A repeat of the same `external_id`
/// changes nothing and answers what is stored, with `Idempotent-Replayed: true`. What a payment
/// provider told before is not counted once more when the refund comes with an `external_id`.
#[utoipa::path(tag = "orders", security(("bearer" = ["orders:write"])), responses((status = 201, body = Refund)))]
#[post("/orders/{id}/refunds")]
pub async fn create_refund(caller: Caller, id: Path<Uuid>, new: Json<NewRefund>) -> Result<Reply> {
    let grant = caller.must(Scope::OrdersWrite)?;
    grant
        .write(move |tx| {
            let (refund, is_new) = record(tx, *id, &new, Told::ByCaller)?;
            let location = format!("/v1/orders/{}/refunds/{}", refund.order_id, refund.id);
            let reply = Reply::json(StatusCode::CREATED, &refund)?.with("Location", location);
            Ok(if is_new { reply } else { reply.with("Idempotent-Replayed", "true".into()) })
        })
        .await
}

/// Records a refund; false where it was there already.
pub fn record(tx: &mut Tx, order: Uuid, new: &NewRefund, told: Told) -> Result<(Refund, bool)> {
    let before = write::lock(tx, order)?;
    let currency = before.row.currency.clone();
    if let Some(known) = by_external_id(tx, order, new.external_id.as_deref())?
        && !new.raises(&known, told)
    {
        return Ok((Refund::new(known, &currency), false));
    }
    let patch = OrderPatch { refunds: Some(vec![new.clone()]), ..OrderPatch::default() };
    let saved = patch.save(tx, before, told).map_err(|error| error.out_of("#/refunds/0"))?;
    let made = saved.refunds.into_iter().next();
    let made = made.ok_or_else(|| Error::internal("a new refund was not entered"))?;
    Ok((Refund::new(made, &currency), true))
}

fn by_external_id(
    conn: &mut Conn,
    order: Uuid,
    external_id: Option<&str>,
) -> Result<Option<RefundRow>> {
    let Some(external_id) = external_id else { return Ok(None) };
    let found = r::table.filter(r::workspace_id.eq(conn.workspace)).filter(r::order_id.eq(order));
    let found = found.filter(r::external_id.eq(external_id)).select(RefundRow::as_select());
    Ok(found.first(conn.pg).optional()?)
}

/// The refunds of an order, the oldest first.
fn known(conn: &mut Conn, order: Uuid) -> Result<Vec<RefundRow>> {
    let found = r::table.filter(r::workspace_id.eq(conn.workspace)).filter(r::order_id.eq(order));
    Ok(found.order(r::id).select(RefundRow::as_select()).load(conn.pg)?)
}

/// Enters those refunds that are not entered yet into a draft, and raises those that are worth more.
pub(super) fn enter(tx: &mut Tx, draft: &mut Draft, new: &[NewRefund], told: Told) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let known = known(tx, draft.row.id)?;
    let mut ids: Vec<_> = known.iter().filter_map(|row| row.external_id.clone()).collect();
    let deduced: Vec<_> = known.iter().filter(|row| row.is_deduced).cloned().collect();
    let mut left = deduced.clone();
    for (at, refund) in new.iter().enumerate() {
        let pointer = format!("#/refunds/{at}");
        let is_raised = |entered: &Entered| entered.row.external_id == refund.external_id;
        if let Some(row) = known.iter().find(|row| refund.raises(row, told))
            && !draft.refunds.iter().any(is_raised)
        {
            let raised = raise(draft, refund, row, &mut left, told, &pointer)?;
            draft.outdated_refunds.push(RefundRow { amount: 0, ..row.clone() });
            draft.refunds.push(raised);
            continue;
        }
        if refund.external_id.as_ref().is_some_and(|id| ids.contains(id)) {
            continue;
        }
        ids.extend(refund.external_id.clone());
        let entered = enter_one(tx, draft, refund, &mut left, told, &pointer)?;
        draft.refunds.push(entered);
    }
    left.retain(|row| !deduced.contains(row));
    draft.outdated_refunds.append(&mut left);
    Ok(())
}

/// Takes from what was deduced as much as the source tells now. Returns how much that is, and the id
/// that is free with it.
fn give_way(deduced: &mut [RefundRow], amount: i64) -> (i64, Option<Uuid>) {
    let (mut rest, mut id) = (amount, None);
    for row in deduced.iter_mut().filter(|row| row.amount > 0) {
        let part = rest.min(row.amount);
        (row.amount, rest) = (row.amount - part, rest - part);
        id = id.or((row.amount == 0).then_some(row.id));
    }
    (amount - rest, id)
}

/// What can be paid back of an order beyond what was told: what was paid, or is to be.
fn left_of(order: &OrderRow, deduced: &[RefundRow]) -> i64 {
    let deduced: i64 = deduced.iter().map(|row| row.amount).sum();
    order.paid_total.max(order.total) - (order.refunded_total - deduced)
}

fn exceeds(order: &OrderRow, left: i64, pointer: &str) -> Error {
    let detail = format!("of what was paid, {} are left to be paid back", order.money(left));
    Error::field(format!("{pointer}/amount"), "refund_exceeds_payment", detail)
}

/// Counts money as paid back. What a shop says it paid back had been paid, whether or not we were told
/// before, as far as that is what was ordered.
fn count(draft: &mut Draft, amount: i64, told: Told, pointer: &str) -> Result<()> {
    let order = &mut draft.row;
    let refunded_total = order.refunded_total + amount;
    if told == Told::ByShop {
        order.paid_total = order.paid_total.max(refunded_total.min(order.total));
    }
    if refunded_total > order.paid_total {
        return Err(exceeds(order, order.paid_total - order.refunded_total, pointer));
    }
    order.refunded_total = refunded_total;
    Ok(())
}

/// A known refund that is worth more by now. Which lines it was for was told before.
fn raise(
    draft: &mut Draft,
    new: &NewRefund,
    known: &RefundRow,
    deduced: &mut [RefundRow],
    told: Told,
    pointer: &str,
) -> Result<Entered> {
    let amount = new.amount.within(&draft.row.currency, &format!("{pointer}/amount"))?;
    let (counted, _) = give_way(deduced, amount - known.amount);
    let counted = known.amount + counted;
    count(draft, amount - counted, told, pointer)?;
    let reason = new.reason.clone().or_else(|| known.reason.clone());
    let row = RefundRow { amount, reason, ..known.clone() };
    Ok(Entered { row, counted, is_raised: true })
}

fn enter_one(
    tx: &mut Tx,
    draft: &mut Draft,
    new: &NewRefund,
    deduced: &mut [RefundRow],
    told: Told,
    pointer: &str,
) -> Result<Entered> {
    let amount = new.amount.within(&draft.row.currency, &format!("{pointer}/amount"))?;
    let left = if new.is_capped { left_of(&draft.row, deduced) } else { amount };
    if left <= 0 && amount > 0 {
        return Err(exceeds(&draft.row, left, pointer));
    }
    let amount = amount.min(left);
    let (counted, id) = if new.is_told() { give_way(deduced, amount) } else { (0, None) };
    count(draft, amount - counted, told, pointer)?;
    let line_items = take_back(draft, new, told, pointer)?;
    let refunded_at = journal::instant(new.refunded_at, tx.now, &format!("{pointer}/refunded_at"))?;
    let row = RefundRow {
        order_id: draft.row.id,
        id: id.unwrap_or_else(|| tx.new_id()),
        external_id: new.external_id.clone(),
        amount,
        reason: new.reason.clone(),
        is_return: new.is_return,
        line_items: Jsonb(line_items),
        refunded_at,
        created_at: tx.now,
        is_deduced: new.is_deduced,
    };
    Ok(Entered { row, counted, is_raised: false })
}

/// Takes back what a provider's payments made of refunds, where a later word says that they are less.
pub(super) fn withdraw(tx: &mut Tx, draft: &mut Draft, surplus: i64) -> Result<()> {
    if surplus <= 0 {
        return Ok(());
    }
    let by_payments = |row: &RefundRow| row.is_deduced && row.external_id.is_some();
    let mut rows: Vec<_> = known(tx, draft.row.id)?.into_iter().filter(by_payments).collect();
    let before = rows.clone();
    let (withdrawn, _) = give_way(&mut rows, surplus);
    draft.row.refunded_total -= withdrawn;
    rows.retain(|row| !before.contains(row));
    draft.outdated_refunds.append(&mut rows);
    Ok(())
}

fn take_back(
    draft: &mut Draft,
    new: &NewRefund,
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
        let left = line.quantity - line.returned_quantity;
        if told == Told::ByCaller {
            part.check(left, &pointer)?;
        }
        if new.is_return {
            line.returned_quantity += part.quantity.min(left);
            draft.lines_changed = true;
        }
        affected.push(AffectedLineItem::of(line, part.quantity));
    }
    Ok(affected)
}

/// Stores what was entered in the place of what is outdated.
pub(super) fn store(tx: &mut Tx, entered: &[Entered], outdated: &[RefundRow]) -> Result<()> {
    for row in outdated {
        let stored = r::table.filter(r::workspace_id.eq(tx.workspace));
        let stored = stored.filter(r::order_id.eq(row.order_id)).filter(r::id.eq(row.id));
        match row.amount {
            0 => diesel::delete(stored).execute(tx.pg)?,
            left => diesel::update(stored).set(r::amount.eq(left)).execute(tx.pg)?,
        };
    }
    let rows: Vec<_> =
        entered.iter().map(|one| (&one.row, r::workspace_id.eq(tx.workspace))).collect();
    if !rows.is_empty() {
        diesel::insert_into(r::table).values(rows).execute(tx.pg)?;
    }
    Ok(())
}
