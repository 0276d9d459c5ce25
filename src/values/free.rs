//! Free JSON objects: whatever the sender knows, within limits.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use validator::ValidationError;

/// An object with any keys: at most 8 levels deep, 200 keys a level, 32 KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FreeObject(pub Map<String, Value>);

impl PartialSchema for FreeObject {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("Any keys: at most 8 levels deep, 200 keys a level, 32 KiB."))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([serde_json::json!({ "color": "red" })])
            .into()
    }
}

impl ToSchema for FreeObject {}

/// For `#[validate]`: depth, size and characters.
pub fn valid(object: &FreeObject) -> Result<(), ValidationError> {
    super::valid::free_object(&Value::Object(object.0.clone()))
}
