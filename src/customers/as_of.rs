//! A customer as it was: today's fields, and the log read backwards.
//!
//! Every change of a field is in the log with its old value, so undoing what came later, the newest
//! first, arrives at any moment since the customer was made.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use uuid::Uuid;

use super::merge::{former_status, part_of, way};
use super::types::{Customer, CustomerFields, CustomerStatus};
use super::update::to_json;
use crate::db::{Conn, id};
use crate::error::{Error, Result};
use crate::journal::read::{CHANGES_A_PAGE, Changed, changes_after, last_change};
use crate::schema::customers;

/// The moment to look at.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AsOf {
    /// Show the customer as it was at this time; not in the future.
    #[param(example = "2026-03-14T08:00:00Z")]
    pub as_of: Option<DateTime<Utc>>,
}

/// How many pages of changes are undone at most.
const MOST_PAGES: usize = 100;

impl Customer {
    /// The customer as it was at `at`, or 404 where it was not there. The id of one that was merged
    /// by then leads to the one it was part of.
    pub fn find_as_of(conn: &mut Conn, asked: Uuid, at: DateTime<Utc>) -> Result<Self> {
        if at > conn.now {
            return Err(Error::parameter("as_of", "`as_of` must not lie in the future"));
        }
        let id = whom(conn, asked, at)?;
        let fields = fields_as_of(conn, id, at)?;
        let merged_from = Some(asked).filter(|asked| *asked != id);
        Ok(Self { fields, stats: None, merged_from, as_of: Some(at) })
    }
}

/// The customer that the asked one was part of, over any number of merges, or itself. Two can be
/// part of each other for a moment: while one merge is being undone, another may turn them round.
fn whom(conn: &mut Conn, asked: Uuid, at: DateTime<Utc>) -> Result<Uuid> {
    let (mut id, mut seen) = (asked, vec![asked]);
    while let Some(survivor) = part_of(conn, id, at)? {
        if seen.contains(&survivor) {
            break;
        }
        seen.push(survivor);
        id = survivor;
    }
    Ok(id)
}

fn fields_as_of(conn: &mut Conn, id: Uuid, at: DateTime<Utc>) -> Result<CustomerFields> {
    // First the row: what is changed after this is undone to what the row says.
    let row = stored(conn, id)?;
    // Who was erased has no past either.
    if row.created_at > at || row.status == CustomerStatus::Erased {
        return Err(Error::not_found());
    }
    let mut state = State::of(&row)?;
    if row.merged_into_id.is_some() {
        state.set("merged_into_id", Value::Null);
        state.set("status", json!(former_status(conn, id)?));
    }
    let holders = way(conn, id)?;
    undo_all(conn, (&holders, id), at, &mut state)?;
    let changed = last_change(conn, (&holders, id), at)?;
    state.set("updated_at", json!(changed.map_or(row.created_at, id::instant)));
    state.shown()
}

/// Undoes what changed after `at`, a page at a time.
fn undo_all(
    conn: &mut Conn,
    whose: (&[Uuid], Uuid),
    at: DateTime<Utc>,
    state: &mut State,
) -> Result<()> {
    let mut before = None;
    for _ in 0..MOST_PAGES {
        let page = changes_after(conn, whose, at, before)?;
        page.iter().try_for_each(|change| state.undo(change))?;
        before = page.last().map(|oldest| oldest.id);
        if page.len() < CHANGES_A_PAGE {
            return Ok(());
        }
    }
    let most = MOST_PAGES * CHANGES_A_PAGE;
    let detail = format!("there were {most} changes since, or more; ask for a later time");
    Err(Error::parameter("as_of", detail))
}

/// The row of a customer, whatever became of it.
fn stored(conn: &mut Conn, id: Uuid) -> Result<CustomerFields> {
    Ok(customers::table
        .filter(customers::workspace_id.eq(conn.workspace))
        .filter(customers::id.eq(id))
        .select(CustomerFields::as_select())
        .first(conn.pg)?)
}

/// A customer on its way back.
struct State {
    fields: Map<String, Value>,
    is_deleted: bool,
}

impl State {
    fn of(row: &CustomerFields) -> Result<Self> {
        let Value::Object(fields) = to_json(row)? else {
            return Err(Error::internal("a customer is no object"));
        };
        Ok(Self { fields, is_deleted: row.deleted_at.is_some() })
    }

    fn set(&mut self, field: &str, value: Value) {
        self.fields.insert(field.to_owned(), value);
    }

    fn undo(&mut self, change: &Changed) -> Result<()> {
        match change.kind.as_str() {
            "customer.deleted" => self.is_deleted = false,
            "customer.restored" => self.is_deleted = true,
            _ => {}
        }
        let properties: Value = change.properties.parse()?;
        for (field, change) in properties["changes"].as_object().into_iter().flatten() {
            self.put_back(field, &change["from"]);
        }
        Ok(())
    }

    /// Merges tell of attributes one by one, as `attributes.<key>`, where an absent one is null.
    fn put_back(&mut self, field: &str, value: &Value) {
        let Some(key) = field.strip_prefix("attributes.") else {
            if self.fields.contains_key(field) {
                self.set(field, value.clone());
            }
            return;
        };
        let Some(attributes) = self.fields.get_mut("attributes").and_then(Value::as_object_mut)
        else {
            return;
        };
        match value {
            Value::Null => drop(attributes.remove(key)),
            value => drop(attributes.insert(key.to_owned(), value.clone())),
        }
    }

    /// The fields, or 404 where the customer was deleted. Nothing says which version it was, and
    /// no version is 0: it opens no `If-Match`.
    fn shown(mut self) -> Result<CustomerFields> {
        if self.is_deleted {
            return Err(Error::not_found());
        }
        self.set("version", json!(0));
        self.set("deleted_at", Value::Null);
        let text = Value::Object(self.fields).to_string();
        serde_json::from_str(&text).map_err(|error| Error::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_single_attributes_are_put_back() {
        let fields = json!({ "title": "Dr", "attributes": { "a": 1, "b": 2 } });
        let mut state = State { fields: fields.as_object().cloned().unwrap(), is_deleted: false };
        state.put_back("title", &Value::Null);
        state.put_back("attributes.a", &json!(7));
        state.put_back("attributes.b", &Value::Null);
        state.put_back("unheard_of", &json!(1));
        let expected = json!({ "title": null, "attributes": { "a": 7 } });
        assert_eq!(Value::Object(state.fields), expected);
    }
}
