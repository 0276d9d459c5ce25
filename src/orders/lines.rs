//! The lines of an order: read with their products, kept in their order, recognised when the order is
//! sent again.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::requests::NewLineItem;
use super::totals::LineAmounts;
use super::types::{LineRow, OrderRow};
use crate::db::{Conn, Tx};
use crate::error::{Error, FieldError, Result};
use crate::products::{self, Named};
use crate::schema::order_line_items as l;

/// Some of a line: named by its id or its id in the order's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineItemQuantity {
    /// The line's id.
    pub line_item_id: Option<Uuid>,
    /// The line's id in the order's source.
    #[validate(length(min = 1, max = 255))]
    #[schema(example = "1071823172", min_length = 1, max_length = 255)]
    pub external_id: Option<String>,
    /// How many of it.
    #[validate(range(min = 1, max = 1_000_000))]
    #[schema(example = 1, minimum = 1, maximum = 1_000_000)]
    pub quantity: i32,
}

impl LineItemQuantity {
    /// The line that is meant, or 422.
    pub fn find<'a>(&self, lines: &'a mut [LineRow], pointer: &str) -> Result<&'a mut LineRow> {
        let is_it = |line: &LineRow| match (self.line_item_id, &self.external_id) {
            (Some(id), _) => line.id == id,
            (None, Some(outside)) => line.external_id.as_ref() == Some(outside),
            (None, None) => false,
        };
        lines.iter_mut().find(|line| is_it(line)).ok_or_else(|| {
            let detail = "the order has no such line; name one by `line_item_id` or `external_id`";
            Error::field(pointer, "not_found", detail)
        })
    }

    /// 422 where `left` is less than what is asked for.
    pub fn check(&self, left: i32, pointer: &str) -> Result<()> {
        if self.quantity <= left {
            return Ok(());
        }
        let detail = format!("of this line {left} are left");
        Err(Error::field(format!("{pointer}/quantity"), "out_of_range", detail))
    }
}

/// The lines of several orders, each in its order.
pub fn of_orders(conn: &mut Conn, orders: &[Uuid]) -> Result<HashMap<Uuid, Vec<LineRow>>> {
    let rows: Vec<LineRow> = l::table
        .filter(l::workspace_id.eq(conn.workspace))
        .filter(l::order_id.eq_any(orders))
        .order((l::order_id, l::position))
        .select(LineRow::as_select())
        .load(conn.pg)?;
    let mut by_order: HashMap<Uuid, Vec<LineRow>> = HashMap::new();
    for row in rows {
        by_order.entry(row.order_id).or_default().push(row);
    }
    Ok(by_order)
}

/// The lines as they were sent, with the ids, fulfillments and returns of those that were there.
pub fn replaced(
    tx: &mut Tx,
    order: &OrderRow,
    mut before: Vec<LineRow>,
    new: &[NewLineItem],
) -> Result<Vec<LineRow>> {
    let named: Vec<Named> = new.iter().map(NewLineItem::product).collect();
    let (products, unknown) = products::of_lines(tx, &order.source, &named)?;
    if !unknown.is_empty() {
        return Err(Error::invalid(unknown));
    }
    let mut faults = Vec::new();
    let mut lines = Vec::with_capacity(new.len());
    for (at, (line, product_id)) in new.iter().zip(products).enumerate() {
        match LineAmounts::of(line, &order.currency, &format!("#/line_items/{at}")) {
            Err(fault) => faults.push(fault),
            Ok(amounts) => {
                let same = take_same(&mut before, line, amounts.unit_price);
                lines.push(row(tx, order.id, at, line, product_id, amounts, same));
            }
        }
    }
    faults.extend(doubled(new));
    if faults.is_empty() { Ok(lines) } else { Err(Error::invalid(faults)) }
}

impl NewLineItem {
    fn product(&self) -> Named<'_> {
        let (external_id, sku) = (self.product_external_id.as_deref(), self.sku.as_deref());
        Named { id: self.product_id, external_id, sku }
    }
}

fn row(
    tx: &mut Tx,
    order_id: Uuid,
    at: usize,
    line: &NewLineItem,
    product_id: Option<Uuid>,
    amounts: LineAmounts,
    same: Option<LineRow>,
) -> LineRow {
    let kept = |of: fn(&LineRow) -> i32| same.as_ref().map_or(0, of).min(line.quantity);
    LineRow {
        order_id,
        fulfilled_quantity: kept(|line| line.fulfilled_quantity),
        returned_quantity: kept(|line| line.returned_quantity),
        product_external_id: line.product_external_id.clone(),
        id: same.map_or_else(|| tx.new_id(), |line| line.id),
        position: i32::try_from(at).unwrap_or(i32::MAX),
        external_id: line.external_id.clone(),
        product_id,
        sku: line.sku.clone(),
        name: line.name.clone(),
        variant: line.variant.clone(),
        quantity: line.quantity,
        unit_price: amounts.unit_price,
        discount_total: amounts.discount_total,
        tax_total: amounts.tax_total,
        total: amounts.total,
    }
}

/// The line that this one was before: by its outside id, and where it has none by what it says.
fn take_same(before: &mut Vec<LineRow>, line: &NewLineItem, unit_price: i64) -> Option<LineRow> {
    let is_same = |old: &LineRow| match (&line.external_id, &old.external_id) {
        (Some(new), Some(old)) => new == old,
        (None, None) => {
            (&old.sku, &old.name, &old.variant, old.unit_price)
                == (&line.sku, &line.name, &line.variant, unit_price)
        }
        _ => false,
    };
    before.iter().position(is_same).map(|at| before.remove(at))
}

/// One outside id names one line.
fn doubled(new: &[NewLineItem]) -> Vec<FieldError> {
    let ids: Vec<_> = new.iter().map(|line| line.external_id.as_deref()).collect();
    let is_doubled = |at: &usize| ids[*at].is_some() && ids[..*at].contains(&ids[*at]);
    let doubled = (0..ids.len()).filter(is_doubled).map(|at| {
        let detail = "another line of this order has this `external_id`";
        FieldError::at(format!("#/line_items/{at}/external_id"), "already_exists", detail)
    });
    doubled.collect()
}

/// Stores the lines of an order that has none.
pub fn store(tx: &mut Tx, lines: &[LineRow]) -> Result<()> {
    let rows: Vec<_> = lines.iter().map(|line| (line, l::workspace_id.eq(tx.workspace))).collect();
    diesel::insert_into(l::table).values(rows).execute(tx.pg)?;
    Ok(())
}

/// Deletes the lines of an order, to store others in their place.
pub fn discard(tx: &mut Tx, order: Uuid) -> Result<()> {
    let there = l::table.filter(l::workspace_id.eq(tx.workspace)).filter(l::order_id.eq(order));
    diesel::delete(there).execute(tx.pg)?;
    Ok(())
}
