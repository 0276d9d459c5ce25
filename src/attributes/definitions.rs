//! Attributes held against their definitions: typed, required, unique.

use std::collections::HashMap;

use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::{AttributeDefinition, AttributeResource, Attributes};
use crate::db::{Conn, Tx};
use crate::error::{Error, FieldError, OnConstraint, Result};
use crate::predicate::Kind;
use crate::schema::unique_attributes;

/// Takes the values that customers or others have at the moment a unique attribute is defined.
pub(super) fn claim_existing(tx: &mut Tx, definition: &AttributeDefinition) -> Result<()> {
    let table = match definition.resource {
        AttributeResource::Customer => "customers",
        AttributeResource::Organization => "organizations",
        AttributeResource::Channel => "channels",
        AttributeResource::Product => "products",
        AttributeResource::Order => "orders",
    };
    let statement = format!(
        "insert into unique_attributes (workspace_id, resource, key, value, resource_id)
         select workspace_id, $2, $3, attributes ->> $3, id from {table}
          where workspace_id = $1 and deleted_at is null and attributes ->> $3 is not null"
    );
    diesel::sql_query(statement)
        .bind::<diesel::sql_types::Uuid, _>(tx.workspace)
        .bind::<diesel::sql_types::Text, _>(definition.resource)
        .bind::<diesel::sql_types::Text, _>(&definition.key)
        .execute(tx.pg)
        .on_constraint("unique_attributes_value_taken", || {
            let detail = "two records share a value of this attribute; make them differ first";
            Error::conflict("unique_attributes_value_taken", detail, None)
        })?;
    Ok(())
}

/// Longest value of a unique attribute: an index holds it.
pub(super) const UNIQUE_VALUE_CHARS: usize = 255;

fn attribute_pointer(key: &str) -> String {
    format!("#/attributes/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The definitions of a resource, ready to check records against.
pub struct Definitions {
    resource: AttributeResource,
    by_key: HashMap<String, AttributeDefinition>,
}

impl Definitions {
    /// Reads them; one statement for any number of records.
    pub fn load(conn: &mut Conn, resource: AttributeResource) -> Result<Self> {
        Ok(Self { resource, by_key: AttributeDefinition::all(conn, resource)? })
    }

    /// 422 where a value does not fit its definition or a required one is missing.
    pub fn check(&self, attributes: &Attributes) -> Result<()> {
        let mut faults = Vec::new();
        for (key, value) in attributes.0.iter().filter(|(_, value)| !value.is_null()) {
            if let Some(Err(detail)) = self.by_key.get(key).map(|known| known.accepts(value)) {
                faults.push(FieldError::at(attribute_pointer(key), "invalid_attribute", detail));
            }
        }
        for definition in self.by_key.values().filter(|definition| definition.required) {
            if attributes.0.get(&definition.key).is_none_or(Value::is_null) {
                let pointer = format!("#/attributes/{}", definition.key);
                let detail = format!("`{}` is required", definition.key);
                faults.push(FieldError::at(pointer, "required", detail));
            }
        }
        faults.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
    }

    /// Takes away what does not fit its definition, and says what that was.
    pub fn sift(&self, attributes: &mut Attributes) -> Vec<FieldError> {
        let mut faults = Vec::new();
        attributes.0.retain(|key, value| {
            let is_given = !value.is_null();
            let known = self.by_key.get(key).filter(|_| is_given);
            let Some(Err(detail)) = known.map(|known| known.accepts(value)) else { return true };
            faults.push(FieldError::at(attribute_pointer(key), "invalid_attribute", detail));
            false
        });
        faults
    }

    /// Whether only one record can have a value of this attribute.
    pub fn is_unique(&self, key: &str) -> bool {
        self.by_key.get(key).is_some_and(|definition| definition.unique)
    }

    pub fn has_unique(&self) -> bool {
        self.by_key.values().any(|definition| definition.unique)
    }

    /// How predicates compare each attribute.
    pub fn kinds(&self) -> HashMap<String, Kind> {
        let kinds = self.by_key.iter();
        kinds.filter_map(|(key, definition)| Some((key.clone(), definition.kind()?))).collect()
    }

    /// The text of the searchable attributes.
    pub fn search_text(&self, attributes: &Attributes) -> String {
        let searchable = self.by_key.values().filter(|definition| definition.searchable);
        let values = searchable.filter_map(|definition| attributes.0.get(&definition.key));
        values.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Holds the unique values of a record; 409 names the record that has one already.
    pub fn claim(&self, tx: &mut Tx, record: Uuid, attributes: &Attributes) -> Result<()> {
        if !self.has_unique() {
            return Ok(());
        }
        release(tx, record)?;
        for definition in self.by_key.values().filter(|definition| definition.unique) {
            let Some(value) = attributes.0.get(&definition.key).and_then(text) else { continue };
            self.claim_one(tx, record, &definition.key, &value)?;
        }
        Ok(())
    }

    fn claim_one(&self, tx: &mut Tx, record: Uuid, key: &str, value: &str) -> Result<()> {
        use unique_attributes as u;
        let inserted = diesel::insert_into(u::table)
            .values((
                u::workspace_id.eq(tx.workspace),
                u::resource.eq(self.resource),
                u::key.eq(key),
                u::value.eq(value),
                u::resource_id.eq(record),
            ))
            .on_conflict_do_nothing()
            .execute(tx.pg)?;
        if inserted == 1 {
            return Ok(());
        }
        let holder = u::table
            .filter(u::workspace_id.eq(tx.workspace))
            .filter(u::resource.eq(self.resource))
            .filter(u::key.eq(key))
            .filter(u::value.eq(value))
            .select(u::resource_id)
            .first(tx.pg)
            .optional()?;
        let detail = format!("another record has this value of the unique attribute `{key}`");
        let taken = Error::conflict("unique_attributes_value_taken", detail, holder);
        Err(taken.at(&attribute_pointer(key), "already_exists"))
    }
}

/// 422 where attributes grew too large or too deep by merging.
pub fn check_size(attributes: &Attributes) -> Result<()> {
    let value = Value::Object(attributes.0.clone());
    let faults =
        crate::values::json::check_json("#/attributes", &value, &crate::values::json::FREE);
    if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
}

/// Gives the unique values of a record up.
pub fn release(tx: &mut Tx, record: Uuid) -> Result<()> {
    diesel::delete(unique_attributes::table)
        .filter(unique_attributes::workspace_id.eq(tx.workspace))
        .filter(unique_attributes::resource_id.eq(record))
        .execute(tx.pg)?;
    Ok(())
}

/// The text under which a unique value is held, as `->>` gives it.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
