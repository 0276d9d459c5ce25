//! A company's own fields: free JSON that is typed, unique or required where a definition says so.

mod definitions;
mod types;

use std::collections::HashMap;

use actix_web::{delete, get, patch, post};
use diesel::prelude::*;
use serde_json::{Map, Value};
use uuid::Uuid;
use validator::Validate;

pub use definitions::{Definitions, check_size, release};
use definitions::{UNIQUE_VALUE_CHARS, claim_existing, text};
pub use types::{
    AttributeDefinition, AttributeDefinitionFilter, AttributeDefinitionPatch, AttributeResource,
    AttributeType, Attributes, NewAttributeDefinition, valid,
};

use crate::audit;
use crate::auth::{Caller, Scope};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::http::{
    Created, Found, IfMatch, Json, List, NoContent, Page, Path, Query, Reply, ServiceConfig,
};
use crate::predicate::Kind;
use crate::schema::{attribute_definitions, unique_attributes};
use crate::values::{money::Money, time};

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_attribute_definitions)
        .service(create_attribute_definition)
        .service(get_attribute_definition)
        .service(update_attribute_definition)
        .service(delete_attribute_definition);
}

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "attribute_definitions.id", kind: SortKind::Id },
    SortKey { name: "key", column: "attribute_definitions.key", kind: SortKind::Text },
];

/// List attribute definitions
#[utoipa::path(tag = "attribute_definitions", security(("bearer" = ["attribute_definitions:read"])), params(Page, AttributeDefinitionFilter), responses((status = 200, body = List<AttributeDefinition>)))]
#[get("/attribute_definitions")]
async fn list_attribute_definitions(
    caller: Caller,
    page: Query<Page>,
    filter: Query<AttributeDefinitionFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::AttributeDefinitionsRead)?;
    let slice = page.slice(&grant, "attribute_definitions", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || {
                let query = of(conn.workspace).into_boxed();
                match filter.resource {
                    Some(resource) => query.filter(attribute_definitions::resource.eq(resource)),
                    None => query,
                }
            };
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(AttributeDefinition::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Define an attribute
///
/// Values that records have already are not checked, except that a `unique` attribute refuses to be
/// defined while two records share a value.
#[utoipa::path(tag = "attribute_definitions", security(("bearer" = ["attribute_definitions:write"])), responses((status = 201, body = AttributeDefinition)))]
#[post("/attribute_definitions")]
async fn create_attribute_definition(
    caller: Caller,
    new: Json<NewAttributeDefinition>,
) -> Result<Reply> {
    new.check()?;
    let grant = caller.must(Scope::AttributeDefinitionsWrite)?;
    grant.write(move |tx| new.insert(tx).map(Created)).await
}

/// Get an attribute definition
#[utoipa::path(tag = "attribute_definitions", security(("bearer" = ["attribute_definitions:read"])), responses((status = 200, body = AttributeDefinition)))]
#[get("/attribute_definitions/{id}")]
async fn get_attribute_definition(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::AttributeDefinitionsRead)?;
    grant.read(move |conn| AttributeDefinition::find(conn, *id).map(Found)).await
}

/// Change an attribute definition
#[utoipa::path(tag = "attribute_definitions", security(("bearer" = ["attribute_definitions:write"])), responses((status = 200, body = AttributeDefinition)))]
#[patch("/attribute_definitions/{id}")]
async fn update_attribute_definition(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<AttributeDefinitionPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::AttributeDefinitionsWrite)?;
    grant.write(move |tx| patch.apply(tx, *id, if_match).map(Found)).await
}

/// Delete an attribute definition
///
/// Records keep the values; they are free again.
#[utoipa::path(tag = "attribute_definitions", security(("bearer" = ["attribute_definitions:write"])), responses((status = 204)))]
#[delete("/attribute_definitions/{id}")]
async fn delete_attribute_definition(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
) -> Result<Reply> {
    let grant = caller.must(Scope::AttributeDefinitionsWrite)?;
    grant.write(move |tx| AttributeDefinition::delete(tx, *id, if_match)).await
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    attribute_definitions::table.filter(attribute_definitions::workspace_id.eq(workspace))
}

impl AttributeDefinition {
    fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.workspace).filter(attribute_definitions::id.eq(id));
        Ok(query.select(Self::as_select()).first(conn.pg)?)
    }

    /// Every definition of a resource, by key.
    pub fn all(conn: &mut Conn, resource: AttributeResource) -> Result<HashMap<String, Self>> {
        let query = of(conn.workspace).filter(attribute_definitions::resource.eq(resource));
        let rows: Vec<Self> = query.select(Self::as_select()).load(conn.pg)?;
        Ok(rows.into_iter().map(|row| (row.key.clone(), row)).collect())
    }

    fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<NoContent> {
        let gone = Self::find(tx, id)?;
        if_match.check(gone.version)?;
        diesel::delete(of(tx.workspace).filter(attribute_definitions::id.eq(id))).execute(tx.pg)?;
        diesel::delete(unique_attributes::table)
            .filter(unique_attributes::workspace_id.eq(tx.workspace))
            .filter(unique_attributes::resource.eq(gone.resource))
            .filter(unique_attributes::key.eq(&gone.key))
            .execute(tx.pg)?;
        audit::deleted(tx, "attribute_definition.deleted", id, &gone)?;
        Ok(NoContent)
    }

    /// How predicates compare the attribute.
    pub fn kind(&self) -> Option<Kind> {
        match self.r#type {
            AttributeType::String | AttributeType::Enum | AttributeType::Reference => {
                Some(Kind::Text)
            }
            AttributeType::Number => Some(Kind::Number),
            AttributeType::Boolean => Some(Kind::Boolean),
            AttributeType::Date => Some(Kind::Date),
            AttributeType::Datetime => Some(Kind::Time),
            AttributeType::MultiEnum => Some(Kind::TextArray),
            AttributeType::Money | AttributeType::Json => None,
        }
    }

    fn accepts(&self, value: &Value) -> Result<(), String> {
        let is_long = || text(value).is_some_and(|text| text.chars().count() > UNIQUE_VALUE_CHARS);
        if self.unique && is_long() {
            return Err(format!("`{}` is unique and takes up to 255 characters", self.key));
        }
        let is_option = |value: &Value| {
            value.as_str().is_some_and(|text| self.options.iter().any(|option| option == text))
        };
        let (is_fit, wanted) = match self.r#type {
            AttributeType::String => (value.is_string(), "text".into()),
            AttributeType::Number => (value.is_number(), "a number".into()),
            AttributeType::Boolean => (value.is_boolean(), "true or false".into()),
            AttributeType::Date => (
                value.as_str().and_then(time::parse_date).is_some(),
                "a date such as 2026-03-14".into(),
            ),
            AttributeType::Datetime => (
                value.as_str().and_then(time::parse_time).is_some(),
                "a time such as 2026-03-14T08:00:00Z".into(),
            ),
            AttributeType::Enum => {
                (is_option(value), format!("one of {}", self.options.join(", ")))
            }
            AttributeType::MultiEnum => (
                value.as_array().is_some_and(|items| items.iter().all(is_option)),
                format!("a list of {}", self.options.join(", ")),
            ),
            AttributeType::Money => (
                serde_json::from_value::<Money>(value.clone())
                    .is_ok_and(|money| money.validate().is_ok()),
                "money such as {\"amount\": 1999, \"currency\": \"EUR\"}".into(),
            ),
            AttributeType::Reference => (
                value.as_str().is_some_and(|text| Uuid::parse_str(text).is_ok()),
                "the id of a record".into(),
            ),
            AttributeType::Json => (true, String::new()),
        };
        if is_fit { Ok(()) } else { Err(format!("`{}` takes {wanted}", self.key)) }
    }
}

impl NewAttributeDefinition {
    fn check(&self) -> Result<()> {
        check_options(self.r#type, &self.options)?;
        let can_be_unique = matches!(
            self.r#type,
            AttributeType::String | AttributeType::Number | AttributeType::Reference
        );
        if self.unique && !can_be_unique {
            let detail = "only `string`, `number` and `reference` can be `unique`";
            return Err(Error::field("#/unique", "invalid_unique", detail));
        }
        Ok(())
    }

    /// Makes the definition; 409 where the key is defined already.
    pub fn insert(&self, tx: &mut Tx) -> Result<AttributeDefinition> {
        use attribute_definitions as d;
        let (id, now) = (tx.new_id(), tx.now);
        let made: Option<AttributeDefinition> = diesel::insert_into(d::table)
            .values((
                self,
                d::workspace_id.eq(tx.workspace),
                d::id.eq(id),
                d::version.eq(1_i64),
                d::created_at.eq(now),
                d::updated_at.eq(now),
            ))
            .on_conflict((d::workspace_id, d::resource, d::key))
            .do_nothing()
            .returning(AttributeDefinition::as_returning())
            .get_result(tx.pg)
            .optional()?;
        let Some(made) = made else { return Err(self.taken(tx)?) };
        if made.unique {
            claim_existing(tx, &made)?;
        }
        audit::created(tx, "attribute_definition.created", id, &made)?;
        Ok(made)
    }

    fn taken(&self, tx: &mut Tx) -> Result<Error> {
        let existing = of(tx.workspace)
            .filter(attribute_definitions::resource.eq(self.resource))
            .filter(attribute_definitions::key.eq(&self.key))
            .select(attribute_definitions::id)
            .first(tx.pg)
            .optional()?;
        let detail = format!("`{}` is defined for this resource already", self.key);
        Ok(Error::conflict("attribute_definitions_key_taken", detail, existing))
    }
}

fn check_options(kind: AttributeType, options: &[String]) -> Result<()> {
    let is_choice = matches!(kind, AttributeType::Enum | AttributeType::MultiEnum);
    if is_choice == options.is_empty() {
        let detail = "`options` belong to `enum` and `multi_enum`, which need at least one";
        return Err(Error::field("#/options", "invalid_options", detail));
    }
    Ok(())
}

impl AttributeDefinitionPatch {
    fn apply(&self, tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<AttributeDefinition> {
        use attribute_definitions as d;
        let before = AttributeDefinition::find(tx, id)?;
        if_match.check(before.version)?;
        if let Some(options) = &self.options {
            check_options(before.r#type, options)?;
        }
        let after = diesel::update(of(tx.workspace).filter(d::id.eq(id)))
            .set((self, d::version.eq(d::version + 1), d::updated_at.eq(tx.now)))
            .returning(AttributeDefinition::as_returning())
            .get_result(tx.pg)?;
        audit::changed(tx, "attribute_definition.updated", id, (&before, &after))?;
        Ok(after)
    }
}

/// A JSON Merge Patch over attributes (RFC 7396): objects merge, null removes.
pub fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (into.get_mut(key), value) {
            (_, Value::Null) => {
                into.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(change)) => merge(inner, change),
            (_, Value::Object(change)) => {
                let mut inner = Map::new();
                merge(&mut inner, change);
                into.insert(key.clone(), Value::Object(inner));
            }
            (_, value) => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}
