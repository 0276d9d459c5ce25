//! From a row of a file to what `POST` of the resource takes.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::fields::{Cell, normal};
use super::row::{BulkFormat, BulkResource};
use super::{again, records, shops};
use crate::attributes::{AttributeResource, Definitions};
use crate::db::Conn;
use crate::error::{Error, FieldError, Result};
use crate::predicate::Kind;
use crate::values::spreadsheet;
use crate::workspaces::Workspace;

/// Columns and the fields that they fill.
pub type Mapping = BTreeMap<String, String>;

/// 422 for fields that the resource does not have, and for two columns of one field.
pub fn check(resource: BulkResource, mapping: &Mapping) -> Result<()> {
    let mut filled: HashMap<&str, &str> = HashMap::new();
    let mut faults = Vec::new();
    for (column, path) in mapping {
        let at = pointer(column);
        if resource.cell(path).is_none() {
            let known: Vec<&str> = resource.fields().iter().map(|field| field.path).collect();
            let detail = format!(
                "`{path}` is no field of {resource}; there are {} and {}…",
                known.join(", "),
                resource.open_fields().join("…, ")
            );
            faults.push(FieldError::at(at, "unknown_field", detail));
        } else if let Some(other) = filled.insert(path, column) {
            let detail = format!("`{path}` is filled by the column `{other}` already");
            faults.push(FieldError::at(at, "field_mapped_twice", detail));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
}

/// 422 for columns that a file does not have.
pub fn check_columns(columns: &[String], mapping: &Mapping) -> Result<()> {
    let unknown = mapping.keys().filter(|column| !columns.contains(column));
    let faults = unknown.map(|column| {
        let detail = format!("the file has no such column; it has {}", columns.join(", "));
        FieldError::at(pointer(column), "unknown_column", detail)
    });
    let faults: Vec<FieldError> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
}

fn pointer(column: &str) -> String {
    format!("#/mapping/{}", column.replace('~', "~0").replace('/', "~1"))
}

/// How the records of one file become values.
pub struct Plan {
    resource: BulkResource,
    format: BulkFormat,
    delimiter: u8,
    columns: Vec<String>,
    mapping: Mapping,
    kinds: HashMap<String, Kind>,
    /// That of amounts whose row names none.
    currency: String,
}

/// What several rows may be together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// An order, of which each row is a line.
    Order,
    /// A product, of which each row is a variant or a picture.
    Product,
}

/// The fields that a record fills.
pub type Cells = Map<String, Value>;

impl Plan {
    pub fn new(
        conn: &mut Conn,
        (resource, format): (BulkResource, BulkFormat),
        (columns, delimiter): (Vec<String>, u8),
        mapping: Mapping,
    ) -> Result<Self> {
        let kinds = match resource {
            BulkResource::Customers => {
                Definitions::load(conn, AttributeResource::Customer)?.kinds()
            }
            BulkResource::Organizations => {
                Definitions::load(conn, AttributeResource::Organization)?.kinds()
            }
            BulkResource::Touchpoints | BulkResource::Carts => HashMap::new(),
            BulkResource::Products => Definitions::load(conn, AttributeResource::Product)?.kinds(),
            BulkResource::Orders => Definitions::load(conn, AttributeResource::Order)?.kinds(),
        };
        let currency = Workspace::current(conn)?.default_currency;
        Ok(Self { resource, format, delimiter, columns, mapping, kinds, currency })
    }

    /// What one record says. Faults point to the column.
    pub fn read(&self, record: &[u8]) -> Result<Cells> {
        match self.format {
            BulkFormat::Csv => self.of_cells(&records::fields(record, self.delimiter)),
            BulkFormat::Ndjson => self.of_json(record),
        }
    }

    /// What rows that follow each other may be together.
    pub fn whole(&self) -> Option<Whole> {
        match (self.resource, self.format) {
            (BulkResource::Orders, BulkFormat::Csv) => Some(Whole::Order),
            (BulkResource::Products, BulkFormat::Csv) => Some(Whole::Product),
            _ => None,
        }
    }

    /// What names the order or product that a row is a part of, where rows may be parts.
    pub fn name(&self, record: &[u8]) -> Option<String> {
        let is_name = |column: &String| match self.whole() {
            Some(Whole::Order) => {
                let path = self.mapping.get(column);
                path.is_some_and(|path| path == "number" || path.starts_with("external_ids"))
            }
            Some(Whole::Product) => normal(column) == "handle",
            None => false,
        };
        let place = self.columns.iter().position(is_name)?;
        let cell = records::fields(record, self.delimiter).into_iter().nth(place)?;
        Some(cell.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// What tells a variant of a product from its others: its options.
    pub fn options(&self, record: &[u8]) -> Vec<String> {
        let cells = records::fields(record, self.delimiter);
        let all = self.columns.iter().zip(cells);
        let is_option =
            |column: &str| ["option1value", "option2value", "option3value"].contains(&column);
        let options = all.filter(|(column, _)| is_option(&normal(column)));
        let options = options.map(|(_, cell)| cell.trim().to_owned());
        options.filter(|option| !option.is_empty()).collect()
    }

    fn of_cells(&self, cells: &[String]) -> Result<Cells> {
        if cells.len() != self.columns.len() {
            let (found, expected) = (cells.len(), self.columns.len());
            let detail = format!("the row has {found} fields, the head line {expected}");
            return Err(Error::field("#", "wrong_number_of_fields", detail));
        }
        let mut built = Map::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            let cell = spreadsheet::plain(cell.trim());
            if let Some(path) = self.mapping.get(column).filter(|_| !cell.is_empty()) {
                put(&mut built, path, self.cell(path, cell));
            }
        }
        again::sent(self.resource, &mut built)?;
        Ok(built)
    }

    /// A line of JSON has the fields of the API; those that are mapped are moved.
    fn of_json(&self, line: &[u8]) -> Result<Cells> {
        crate::values::scan::scan(line)?;
        let broken = |error: serde_json::Error| {
            Error::field("#", "invalid_json", format!("the line is no JSON object: {error}"))
        };
        let mut given: Map<String, Value> = serde_json::from_slice(line).map_err(broken)?;
        // Null clears a field; a part of one is absent then.
        let is_whole = |path: &str| !path.contains('.') || path.starts_with("attributes.");
        for (column, path) in &self.mapping {
            let value = given.remove(column);
            if let Some(value) = value.filter(|value| !value.is_null() || is_whole(path)) {
                put(&mut given, path, value);
            }
        }
        again::sent(self.resource, &mut given)?;
        Ok(given)
    }

    fn cell(&self, path: &str, cell: &str) -> Value {
        if let Some(kind) = path.strip_prefix("attributes.").and_then(|key| self.kinds.get(key)) {
            return attribute(*kind, cell);
        }
        match self.resource.cell(path) {
            Some(Cell::Integer) => {
                cell.parse::<i64>().map_or_else(|_text| json!(cell), |n| json!(n))
            }
            Some(Cell::List) => list(cell),
            Some(Cell::Word) => json!(cell.to_lowercase().replace(' ', "_")),
            Some(Cell::Flag) => flag(cell),
            Some(Cell::Time) => time(cell),
            Some(Cell::Link) => json!(cell.split(", ").next().unwrap_or(cell)),
            Some(Cell::Json) => nested(cell),
            // What it is worth depends on the currency, in whichever column that stands.
            Some(Cell::Text | Cell::Amount) | None => json!(cell),
        }
    }

    /// The record as `POST` takes it: one address of a row becomes the list that a customer has, and
    /// decimals become amounts.
    pub fn completed(&self, mut cells: Cells) -> Result<Value> {
        if let Some(Value::Object(mut address)) = cells.remove("address") {
            address.entry("type").or_insert(json!("home"));
            cells.insert("addresses".into(), json!([address]));
        }
        for name in ["annual_revenue", "value"] {
            if let Some(Value::Object(money)) = cells.get_mut(name) {
                shops::decimal(money, &self.currency).map_err(|error| {
                    Error::field(format!("#/{name}"), error.code(), error.to_string())
                })?;
            }
        }
        match (self.format, self.resource) {
            (BulkFormat::Csv, BulkResource::Products) => shops::product(cells, &self.currency),
            (BulkFormat::Csv, BulkResource::Orders) => shops::order(cells, &self.currency),
            _ => Ok(Value::Object(cells)),
        }
    }
}

fn flag(cell: &str) -> Value {
    match cell.to_lowercase().as_str() {
        "true" | "yes" | "1" => json!(true),
        "false" | "no" | "0" => json!(false),
        _ => json!(cell),
    }
}

/// A time as the API takes it, where it says how far from UTC it is.
fn time(cell: &str) -> Value {
    let text =
        cell.strip_suffix(" UTC").map_or_else(|| cell.to_owned(), |at| format!("{at} +0000"));
    match DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S %z") {
        Ok(at) => json!(at.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true)),
        Err(_not_so) => json!(cell),
    }
}

fn attribute(kind: Kind, cell: &str) -> Value {
    match kind {
        Kind::Number | Kind::Integer => {
            let number = serde_json::from_str::<serde_json::Number>(cell);
            number.map_or_else(|_text| json!(cell), Value::Number)
        }
        Kind::Boolean => flag(cell),
        Kind::TextArray => list(cell),
        Kind::Time => time(cell),
        _ => json!(cell),
    }
}

/// Words between commas or semicolons, each bare or in quotes, or as a list of JSON.
fn list(cell: &str) -> Value {
    if cell.starts_with('[')
        && let Value::Array(words) = nested(cell)
    {
        return Value::Array(words);
    }
    let words = words(cell).into_iter().map(|word| word.trim().to_owned());
    json!(words.filter(|word| !word.is_empty()).collect::<Vec<_>>())
}

fn words(cell: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in cell.chars() {
        match c {
            '"' if is_quoted || word.trim().is_empty() => is_quoted = !is_quoted,
            ',' | ';' if !is_quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

/// What our exports write as JSON; anything else stays text, and is refused as such.
fn nested(cell: &str) -> Value {
    let is_sound = crate::values::scan::scan(cell.as_bytes()).is_ok();
    let read = is_sound.then(|| serde_json::from_str(cell).ok()).flatten();
    read.unwrap_or_else(|| json!(cell))
}

/// Puts what is whole beside those parts of it that have columns of their own, which win.
fn whole(into: &mut Map<String, Value>, name: &str, value: Value) {
    match (into.get_mut(name), value) {
        (Some(Value::Array(parts)), Value::Array(all)) => parts.extend(all),
        (Some(Value::Object(parts)), Value::Object(all)) => {
            for (key, value) in all {
                parts.entry(key).or_insert(value);
            }
        }
        (_, value) => drop(into.insert(name.into(), value)),
    }
}

/// Puts a value where a path says. Outside ids are lists in resources, one in references.
fn put(into: &mut Map<String, Value>, path: &str, value: Value) {
    let text = |value: Value| match value {
        Value::Number(number) => json!(number.to_string()),
        other => other,
    };
    let is_reference = path.contains("external_ids.");
    if is_reference && value.is_null() {
        return;
    }
    if let Some(source) = path.strip_prefix("external_ids.") {
        let one = json!({ "source": source, "id": text(value) });
        if let Value::Array(all) = into.entry("external_ids").or_insert_with(|| json!([])) {
            all.push(one);
        }
        return;
    }
    match path.split_once('.') {
        None => whole(into, path, value),
        Some((parent, rest)) => {
            let Value::Object(inner) = into.entry(parent).or_insert_with(|| json!({})) else {
                return;
            };
            if let Some(source) = rest.strip_prefix("external_ids.") {
                inner.insert("external_id".into(), json!({ "source": source, "id": text(value) }));
            } else if matches!(parent, "attributes" | "properties") {
                inner.insert(rest.into(), value);
            } else {
                put(inner, rest, value);
            }
        }
    }
}
