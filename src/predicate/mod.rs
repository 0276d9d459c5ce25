//! The one language in which people say "customers who …": for searches, segments and conditions.
//!
//! A [`Predicate`] is what a caller writes. [`Predicate::check`] holds it against the [`Catalog`]
//! of a resource and gives a [`Checked`], which filters a query in the database and decides about
//! one row in memory, with the same answer: there is no third truth value. A comparison with
//! something absent is false, and `not`, `ne` and `nin` are true exactly where `all`, `eq` and
//! `in` are not.

mod catalog;
mod check;
mod compile;
mod did;
mod did_sql;
mod eval;
mod operand;
mod tree;

pub use catalog::{Catalog, DidColumns, Field, FreeColumn, Kind, TOUCHPOINT_FIELDS};
pub use check::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use tree::{Checked, CheckedDid};
use utoipa::ToSchema;

/// Most conditions in one predicate, those inside `did.where` included.
pub const MAX_CLAUSES: usize = 50;
/// Most levels of one predicate, those inside `did.where` included.
pub const MAX_DEPTH: usize = 5;
/// Most values of one `in` or `nin`.
pub const MAX_VALUES: usize = 500;
/// Longest text in a predicate, in characters.
pub const MAX_TEXT_CHARS: usize = 1000;

/// A condition on a resource: exactly one of `all`, `any`, `not`, `field` (with `op` and `value`)
/// or `did`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"field": "lifecycle_stage", "op": "eq", "value": "customer"}))]
pub struct Predicate {
    /// True where every one of these is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion, min_items = 1)]
    pub all: Option<Vec<Predicate>>,
    /// True where at least one of these is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion, min_items = 1)]
    pub any: Option<Vec<Predicate>>,
    /// True where this is not, absent values included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub not: Option<Box<Predicate>>,
    /// A field of the resource, or `attributes.<key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "lifecycle_stage")]
    pub field: Option<String>,
    /// How the field is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<Op>,
    /// What the field is compared with: a list for `in` and `nin`, a list of two for `between`, an
    /// ISO 8601 duration for `within`, true (which may be left out) or false for `exists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "customer")]
    pub value: Option<Value>,
    /// True where the customer did something, so and so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did: Option<Did>,
}

/// How a field is compared with the value. `ne` and `nin` are also true where the field is absent;
/// `between` includes both ends; `contains` and `starts_with` heed upper and lower case; `within`
/// is the time up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Nin,
    Contains,
    StartsWith,
    Exists,
    Between,
    Within,
}

/// A condition on what the customer did: touchpoints of one type, counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"type": "order.placed", "at_least": 2, "within": "P90D"}))]
pub struct Did {
    /// Type of the touchpoints.
    #[schema(example = "order.placed")]
    pub r#type: String,
    /// Counts only touchpoints of which this is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub r#where: Option<Box<Predicate>>,
    /// Fewest times; 1 where neither number is given, otherwise 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 2)]
    pub at_least: Option<u32>,
    /// Most times; 0 means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 10)]
    pub at_most: Option<u32>,
    /// Counts only the time from this ISO 8601 duration ago until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "P90D")]
    pub within: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_predicate_is_written_as_it_was_read() {
        let json = json!({"all": [
            {"field": "email", "op": "starts_with", "value": "ann"},
            {"not": {"did": {"type": "order.placed", "within": "P90D",
                "where": {"field": "value.amount", "op": "gte", "value": 1000}}}},
        ]});
        let predicate: Predicate = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&predicate).unwrap(), json);
    }

    #[test]
    fn an_unknown_member_is_refused() {
        for bad in [
            json!({"fields": "email"}),
            json!({"field": "email", "op": "matches"}),
            json!({"did": {"type": "order.placed", "at_least": -1}}),
            json!({"did": {"kind": "order.placed"}}),
        ] {
            assert!(serde_json::from_value::<Predicate>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_schema_refers_to_itself_and_has_no_alternatives_but_null() {
        use utoipa::PartialSchema;
        let schema = serde_json::to_value(Predicate::schema()).unwrap();
        assert_eq!(schema["properties"]["all"]["items"]["$ref"], "#/components/schemas/Predicate");
        for (name, property) in schema["properties"].as_object().unwrap() {
            let alternatives = property["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
            assert!(alternatives.is_empty() || alternatives.len() == 2, "{name}");
            assert!(alternatives.is_empty() || alternatives.contains(&json!({"type": "null"})));
            assert!(!property["description"].is_null() || !alternatives.is_empty(), "{name}");
        }
    }
}
