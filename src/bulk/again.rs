//! Rows of our own exports, taken in again: where they came from they are the same records, elsewhere
//! they become new ones.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::known::Fields;
use super::row::BulkResource;
use crate::customers::Customer;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::journal::read;
use crate::{orders, organizations, products};

/// What a record of any kind shows and nobody sets.
const READ_ONLY: [&str; 4] = ["version", "created_at", "updated_at", "deleted_at"];
/// The same of each kind.
const OF_CUSTOMERS: [&str; 5] =
    ["merged_from", "merged_into_id", "as_of", "stats", "restricted_at"];
const OF_ORDERS: [&str; 1] = ["cart_id"];
const OF_LINES: [&str; 3] = ["id", "fulfilled_quantity", "returned_quantity"];
const OF_TOUCHPOINTS: [&str; 4] =
    ["origin_customer_id", "received_at", "conversation_id", "campaign_id"];

/// Ids of records that only the workspace has from which an export is.
const REFERENCES: [&str; 3] = ["owner_id", "parent_id", "channel_id"];

/// What the API shows of a record, as it is sent: without what is read only, references as references.
/// Else 422 where `id` is not one of ours.
pub fn sent(resource: BulkResource, fields: &mut Fields) -> Result<()> {
    READ_ONLY.iter().for_each(|name| drop(fields.remove(*name)));
    match resource {
        BulkResource::Customers => OF_CUSTOMERS.iter().for_each(|name| drop(fields.remove(*name))),
        BulkResource::Orders => {
            OF_ORDERS.iter().for_each(|name| drop(fields.remove(*name)));
            refer(fields, &["customer"]);
            refund(fields);
            for line in
                fields.get_mut("line_items").and_then(Value::as_array_mut).into_iter().flatten()
            {
                let Value::Object(line) = line else { continue };
                OF_LINES.iter().for_each(|name| drop(line.remove(*name)));
            }
        }
        BulkResource::Touchpoints => {
            OF_TOUCHPOINTS.iter().for_each(|name| drop(fields.remove(*name)));
            let visitor = fields.remove("anonymous_id").filter(|id| !id.is_null());
            refer(fields, &["customer", "channel", "organization"]);
            if let Some(visitor) = visitor {
                fields.entry("customer").or_insert(json!({ "anonymous_id": visitor }));
            }
        }
        BulkResource::Organizations | BulkResource::Products | BulkResource::Carts => {}
    }
    match fields.get("id") {
        Some(_) if id_of(fields).is_none() => {
            let detail =
                "`id` is the id of a record here; map another system's to `external_ids.…`";
            Err(Error::field("#/id", "invalid_id", detail))
        }
        _ => Ok(()),
    }
}

/// `customer_id` says the same as `customer: {id}`.
fn refer(fields: &mut Fields, names: &[&str]) {
    for name in names {
        if let Some(id) = fields.remove(&format!("{name}_id")).filter(|id| !id.is_null()) {
            fields.entry(*name).or_insert(json!({ "id": id }));
        }
    }
}

/// What was paid back of an order is a refund.
fn refund(fields: &mut Fields) {
    let Some(total) = fields.remove("refunded_total") else { return };
    if total["amount"].as_i64().is_some_and(|amount| amount > 0) {
        let one = json!([{ "amount": total, "external_id": "import" }]);
        fields.entry("refunds").or_insert(one);
    }
}

fn id_of(fields: &Fields) -> Option<Uuid> {
    fields.get("id")?.as_str()?.parse().ok()
}

/// A record of a file, and the record here that it is by its id.
pub struct Entry {
    pub known: Option<Uuid>,
    pub fields: Fields,
}

/// Which records of this workspace rows are by their ids.
pub fn entries(conn: &mut Conn, resource: BulkResource, values: &[&Value]) -> Result<Vec<Entry>> {
    let values = values.iter().map(|value| value.as_object().cloned().unwrap_or_default());
    let values: Vec<Fields> = values.collect();
    let ids: Vec<Uuid> = values.iter().filter_map(id_of).collect();
    let here = if ids.is_empty() { HashSet::new() } else { existing(conn, resource, &ids)? };
    let entry = |mut fields: Fields| {
        let id = id_of(&fields);
        fields.remove("id");
        let known = id.filter(|id| here.contains(id));
        match (id, known) {
            // Its refunds are entered already, each under its own name.
            (_, Some(_)) => drop(fields.remove("refunds")),
            (Some(_), None) => emigrate(&mut fields),
            (None, None) => {}
        }
        Entry { known, fields }
    };
    Ok(values.into_iter().map(entry).collect())
}

fn existing(conn: &mut Conn, resource: BulkResource, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    Ok(match resource {
        BulkResource::Customers => Customer::existing(conn, ids)?.into_iter().collect(),
        BulkResource::Organizations => organizations::exists_many(conn, ids)?,
        BulkResource::Products => products::exists_many(conn, ids)?,
        BulkResource::Orders => orders::exists_many(conn, ids)?,
        BulkResource::Touchpoints => {
            read::find_many(conn, ids)?.into_iter().map(|(id, _)| id).collect()
        }
        BulkResource::Carts => HashSet::new(),
    })
}

/// A record of another workspace: what it refers to is not here, and what it has not got says nothing.
fn emigrate(fields: &mut Fields) {
    fields.retain(|name, value| !value.is_null() && !REFERENCES.contains(&name.as_str()));
    for line in fields.get_mut("line_items").and_then(Value::as_array_mut).into_iter().flatten() {
        line.as_object_mut().map(|line| line.remove("product_id"));
    }
    for name in ["customer", "channel", "organization"] {
        let Some(Value::Object(reference)) = fields.get_mut(name) else { continue };
        reference.remove("id");
        if reference.is_empty() {
            fields.remove(name);
        }
    }
}
