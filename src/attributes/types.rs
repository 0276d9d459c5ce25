//! Free fields, and what a definition says about one of them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::rust::double_option;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::db::json::Jsonb;
use crate::error::Result;
use crate::http::Versioned;
use crate::http::json::{never_null, null_empties};
use crate::schema::attribute_definitions;
use crate::values::valid as values;

/// The free fields of a record, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(pub Map<String, Value>);

impl PartialSchema for Attributes {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("Free fields by key; typed where an attribute definition says so."))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([serde_json::json!({ "shoe_size": 42 })])
            .into()
    }
}

impl ToSchema for Attributes {}

/// For `#[validate]`: depth, size and characters of free JSON.
pub fn valid(attributes: &Jsonb<Attributes>) -> Result<(), ValidationError> {
    values::free_object(&Value::Object(attributes.0.0.clone()))
}

crate::text_enum! {
    /// The resources that can have attributes.
    pub enum AttributeResource {
        Customer = "customer",
        Organization = "organization",
        Channel = "channel",
        Product = "product",
        Order = "order",
    }
}

crate::text_enum! {
    /// What an attribute holds.
    pub enum AttributeType {
        String = "string",
        Number = "number",
        Boolean = "boolean",
        Date = "date",
        Datetime = "datetime",
        Enum = "enum",
        MultiEnum = "multi_enum",
        Money = "money",
        Reference = "reference",
        Json = "json",
    }
}

/// What the company says about one of its own fields.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = attribute_definitions)]
pub struct AttributeDefinition {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The resource that has the attribute.
    pub resource: AttributeResource,
    /// Name in `attributes`.
    #[schema(example = "shoe_size")]
    pub key: String,
    /// Name for people.
    #[schema(example = "Shoe size")]
    pub name: String,
    /// What it means.
    pub description: Option<String>,
    /// What it holds.
    #[diesel(column_name = type_)]
    pub r#type: AttributeType,
    /// The words an `enum` or `multi_enum` takes.
    pub options: Vec<String>,
    /// Whether no two records may share a value.
    pub unique: bool,
    /// Whether a new record must have it.
    pub required: bool,
    /// Whether it is personal data: exported and erased with the person.
    pub pii: bool,
    /// Whether `q=` finds it.
    pub searchable: bool,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the definition was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for AttributeDefinition {
    const COLLECTION: &'static str = "/v1/attribute_definitions";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// A definition to be made.
#[derive(Debug, Clone, Deserialize, Validate, Insertable, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = attribute_definitions)]
pub struct NewAttributeDefinition {
    /// The resource that has the attribute.
    pub resource: AttributeResource,
    /// Name in `attributes`: lower-case letters, digits and `_`.
    #[validate(custom(function = "crate::values::valid::key"))]
    #[schema(
        example = "shoe_size",
        min_length = 1,
        max_length = 100,
        pattern = "^[a-z][a-z0-9_]*$"
    )]
    pub key: String,
    /// Name for people.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Shoe size", min_length = 1, max_length = 200)]
    pub name: String,
    /// What it means.
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    pub description: Option<String>,
    /// What it holds; cannot be changed later.
    #[diesel(column_name = type_)]
    #[schema(example = "number")]
    pub r#type: AttributeType,
    /// The words an `enum` or `multi_enum` takes.
    #[serde(default)]
    #[validate(length(max = 200), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline)]
    pub options: Vec<String>,
    /// Whether no two records may share a value.
    #[serde(default)]
    pub unique: bool,
    /// Whether a new record must have it.
    #[serde(default)]
    pub required: bool,
    /// Whether it is personal data.
    #[serde(default)]
    pub pii: bool,
    /// Whether `q=` finds it.
    #[serde(default)]
    pub searchable: bool,
}

/// Changes to a definition; what it holds and whether it is unique stay.
#[derive(Debug, Clone, Deserialize, Validate, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = attribute_definitions)]
pub struct AttributeDefinitionPatch {
    /// Name for people.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Shoe size", min_length = 1, max_length = 200, nullable = false)]
    pub name: Option<String>,
    /// What it means.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    pub description: Option<Option<String>>,
    /// The words an `enum` or `multi_enum` takes; records keep words that are gone.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 200), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline)]
    pub options: Option<Vec<String>>,
    /// Whether a new record must have it.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub required: Option<bool>,
    /// Whether it is personal data.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub pii: Option<bool>,
    /// Whether `q=` finds it.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub searchable: Option<bool>,
}

/// Which definitions to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttributeDefinitionFilter {
    /// Only those of this resource.
    pub resource: Option<AttributeResource>,
}
