//! What shops write into CSV files: amounts as decimals, an order as a row for each of its lines, and
//! nothing about whether prices include the tax.

use serde_json::{Map, Value, json};

use super::fields::Cell;
use super::mapping::Cells;
use super::row::BulkResource;
use crate::error::{Error, FieldError, Result};
use crate::values::money::{Money, MoneyError};

/// The lines of further rows, while an order is put together; no field has this name.
const MORE: &str = "more lines";

/// A product, whose price has become an amount.
pub fn product(mut cells: Cells, default_currency: &str) -> Result<Value> {
    let currency = currency(&mut cells, default_currency);
    let mut faults = Vec::new();
    price(BulkResource::Products, "", &mut cells, &currency, ("#", &mut faults));
    if faults.is_empty() { Ok(Value::Object(cells)) } else { Err(Error::invalid(faults)) }
}

/// An order with its lines, whose decimals have become amounts.
pub fn order(mut cells: Cells, default_currency: &str) -> Result<Value> {
    let currency = currency(&mut cells, default_currency);
    let mut faults = Vec::new();
    let mut lines: Vec<Map<String, Value>> = Vec::new();
    match (cells.remove("line_item"), cells.remove(MORE)) {
        (_, Some(Value::Bool(_))) => {
            let detail = "an order has at most 500 lines, and their rows at most 1 MiB";
            return Err(Error::field("#/line_items", "too_many_lines", detail));
        }
        (first, more) => {
            let more =
                more.into_iter().flat_map(|more| more.as_array().cloned().unwrap_or_default());
            lines
                .extend(first.into_iter().chain(more).filter_map(|line| line.as_object().cloned()));
        }
    }
    price(BulkResource::Orders, "", &mut cells, &currency, ("#", &mut faults));
    for (at, line) in lines.iter_mut().enumerate() {
        let at = format!("#/line_items/{at}");
        price(BulkResource::Orders, "line_item.", line, &currency, (&at, &mut faults));
    }
    if let Some(Value::Object(mut refund)) = cells.remove("refund") {
        price(BulkResource::Orders, "refund.", &mut refund, &currency, ("#/refund", &mut faults));
        if refund["amount"]["amount"] != 0 {
            // A name of its own, so that the same file taken in again enters nothing.
            refund.insert("external_id".into(), json!("import"));
            cells.insert("refunds".into(), json!([refund]));
        }
    }
    if !faults.is_empty() {
        return Err(Error::invalid(faults));
    }
    if !cells.contains_key("is_tax_included") && is_tax_included(&cells, &lines) == Some(true) {
        cells.insert("is_tax_included".into(), json!(true));
    }
    if !lines.is_empty() {
        cells.insert("line_items".into(), json!(lines));
    }
    cells.insert("currency".into(), json!(currency));
    Ok(Value::Object(cells))
}

fn currency(cells: &mut Cells, default: &str) -> String {
    match cells.remove("currency") {
        Some(Value::String(given)) => given,
        _ => default.to_owned(),
    }
}

/// Makes amounts of the decimals that stand right below `path`.
fn price(
    resource: BulkResource,
    path: &str,
    of: &mut Map<String, Value>,
    currency: &str,
    (pointer, faults): (&str, &mut Vec<FieldError>),
) {
    let names = resource.fields().iter().filter(|field| field.cell == Cell::Amount);
    for name in names.filter_map(|field| field.path.strip_prefix(path)) {
        let Some(Value::String(text)) = of.get(name) else { continue };
        match amount(text, currency) {
            Ok(money) => drop(of.insert(name.into(), json!(money))),
            Err(error) => {
                let pointer = format!("{pointer}/{name}");
                faults.push(FieldError::at(pointer, error.code(), error.to_string()));
            }
        }
    }
}

/// Feeds of products write `15.00 EUR`, everybody else only the decimal.
fn amount(text: &str, currency: &str) -> Result<Money, MoneyError> {
    let (decimal, currency) = text.rsplit_once(' ').unwrap_or((text, currency));
    Money::parse_decimal(decimal.trim(), currency)
}

/// Whether the tax is in the prices, as far as the amounts tell: with it they add up, or without it.
fn is_tax_included(order: &Cells, lines: &[Map<String, Value>]) -> Option<bool> {
    let of = |object: &Map<String, Value>, name: &str| match object.get(name) {
        Some(money) => money["amount"].as_i64(),
        None => Some(0),
    };
    let mut net = of(order, "shipping_total")?
        .checked_add(of(order, "fee_total")?)?
        .checked_sub(of(order, "discount_total")?)?;
    for line in lines {
        let gross = of(line, "unit_price")?.checked_mul(line.get("quantity")?.as_i64()?)?;
        net = net.checked_add(gross)?.checked_sub(of(line, "discount_total")?)?;
    }
    let has_tax = of(order, "tax_total")? > 0;
    let is_said = order.contains_key("total") && !lines.is_empty();
    Some(is_said && has_tax && of(order, "total")? == net)
}

/// Takes a row into the order of the row before, where it is another line of it: it has a line, and
/// what it says of the order's number and outside ids is the same. Whether it was.
pub fn join(order: &mut Cells, row: &Cells) -> bool {
    let Some(line @ Value::Object(_)) = row.get("line_item") else { return false };
    let is_same = |name: &str| match (row.get(name), order.get(name)) {
        (Some(Value::Array(ids)), Some(Value::Array(known))) => {
            ids.iter().all(|id| known.contains(id))
        }
        (Some(here), Some(before)) => here == before,
        (None, _) => true,
        (Some(_), None) => false,
    };
    let is_named = row.contains_key("number") || row.contains_key("external_ids");
    if !is_named || !is_same("number") || !is_same("external_ids") {
        return false;
    }
    if let Value::Array(lines) = order.entry(MORE).or_insert_with(|| json!([])) {
        lines.push(line.clone());
    }
    true
}

/// Makes an amount of the decimal of a money object that has one.
pub fn decimal(money: &mut Cells, default_currency: &str) -> Result<(), MoneyError> {
    let Some(Value::String(decimal)) = money.remove("decimal") else { return Ok(()) };
    let currency = money.get("currency").and_then(Value::as_str).unwrap_or(default_currency);
    let Money { amount, currency } = amount(&decimal, currency)?;
    money.insert("amount".into(), json!(amount));
    money.insert("currency".into(), json!(currency));
    Ok(())
}

/// What a further row of a product has of the first, unless it says otherwise.
const SHARED: [&str; 8] =
    ["name", "description", "brand", "category", "url", "image_url", "status", "tags"];

/// Whether a further row of a product only shows another picture of it.
pub fn is_picture(row: &Cells) -> bool {
    is_further(row) && !row.contains_key("sku") && !row.contains_key("price")
}

/// Whether a row is a variant or a picture of the product of the row before, if both have one handle.
pub fn is_further(row: &Cells) -> bool {
    !row.contains_key("name")
}

/// Makes a product of its own of a variant, of which its row says only what differs. `name` tells it from
/// the others, and takes the place of the handle, by which only the first is known.
pub fn variant(row: &mut Cells, product: &Cells, name: Option<&str>) {
    for field in SHARED {
        if let (false, Some(value)) = (row.contains_key(field), product.get(field)) {
            row.insert(field.into(), value.clone());
        }
    }
    let is_shared = |one: &Value, known: Option<&Value>| {
        known.and_then(Value::as_array).is_some_and(|all| all.contains(one))
    };
    let Some(Value::Array(ids)) = row.get_mut("external_ids") else { return };
    let known = product.get("external_ids");
    ids.retain(|one| name.is_some() || !is_shared(one, known));
    for one in ids.iter_mut().filter(|one| is_shared(one, known)) {
        let own =
            format!("{}/{}", one["id"].as_str().unwrap_or_default(), name.unwrap_or_default());
        one["id"] = json!(own);
    }
}

/// Forgets the lines of an order that has too many: it is refused, and its rows go on being known.
pub fn cut(order: &mut Cells) {
    order.remove("line_item");
    order.insert(MORE.into(), json!(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(value: Value) -> Cells {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn decimals_become_amounts_of_the_currency_of_the_row() {
        let yen = cells(json!({ "name": "x", "price": "1500", "currency": "JPY" }));
        let price = product(yen, "EUR").expect("a product")["price"].clone();
        assert_eq!(price, json!({ "amount": 1500, "currency": "JPY" }));
        let feed = cells(json!({ "price": "15.00 USD" }));
        assert_eq!(product(feed, "EUR").expect("a product")["price"]["currency"], "USD");
        let wrong = product(cells(json!({ "price": "15,00" })), "EUR").expect_err("a comma");
        let fault = &wrong.rejection().errors[0];
        assert_eq!((fault.pointer.as_deref(), &*fault.code), (Some("#/price"), "invalid_amount"));
    }

    #[test]
    fn amounts_tell_whether_the_tax_is_included() {
        let row = |total: &str| {
            let cells =
                cells(json!({ "total": total, "tax_total": "2.00", "shipping_total": "1.00",
                "line_item": { "name": "x", "quantity": 2, "unit_price": "6.00" } }));
            order(cells, "EUR").expect("an order")["is_tax_included"].clone()
        };
        assert_eq!((row("13.00"), row("15.00")), (json!(true), Value::Null));
    }

    #[test]
    fn rows_of_the_same_order_are_its_lines() {
        let line = json!({ "name": "x" });
        let ids = json!([{ "source": "shop", "id": "1" }]);
        let mut first = cells(json!({ "number": "#1", "external_ids": ids, "line_item": line }));
        for (row, is_line) in [
            (json!({ "number": "#1", "line_item": line }), true),
            (json!({ "external_ids": ids, "line_item": line }), true),
            (json!({ "number": "#1" }), false),
            (json!({ "number": "#2", "line_item": line }), false),
            (json!({ "line_item": line }), false),
            (
                json!({ "number": "#1", "line_item": line,
                        "external_ids": [{ "source": "shop", "id": "2" }] }),
                false,
            ),
        ] {
            assert_eq!(join(&mut first, &cells(row.clone())), is_line, "{row}");
        }
        let made = order(first, "EUR").expect("an order");
        assert_eq!(made["line_items"].as_array().map(Vec::len), Some(3));
    }
}
