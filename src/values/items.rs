//! What the texts of a list look like in the document: `Vec<String>` alone says nothing of them.
//!
//! Named in `#[schema(value_type = Vec<Word>, inline)]`; the checks are those of `#[validate]`.

use utoipa::ToSchema;

/// A label, a scope, the name of a field.
#[derive(ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 100)]
pub struct Word(#[expect(dead_code, reason = "only its schema is used")] String);

/// An internet domain.
#[derive(ToSchema)]
#[schema(value_type = String, min_length = 3, max_length = 253)]
pub struct Domain(#[expect(dead_code, reason = "only its schema is used")] String);

/// The origin of a web page.
#[derive(ToSchema)]
#[schema(value_type = String, min_length = 8, max_length = 255)]
pub struct Origin(#[expect(dead_code, reason = "only its schema is used")] String);
