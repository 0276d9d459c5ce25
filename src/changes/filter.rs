//! Which events somebody wants to see.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::http::AnyOf;
use crate::journal::Touchpoint;
use crate::journal::feed::Whose;
use crate::touchpoints::is_word;

/// Which events to show; filters are combined with and.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangeFilter {
    /// Any of these types: `order.placed`, or `order.*` for all that begin so.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false, example = json!(["order.*", "customer.created"]))]
    pub types: AnyOf<String>,
    /// Of this customer.
    pub customer_id: Option<Uuid>,
    /// Of this organization.
    pub organization_id: Option<Uuid>,
    /// Of this conversation.
    pub conversation_id: Option<Uuid>,
}

impl ChangeFilter {
    /// 400 for a pattern that nothing can match.
    pub fn check(&self) -> Result<()> {
        match self.types.0.iter().find(|pattern| !is_pattern(pattern)) {
            None => Ok(()),
            Some(pattern) => {
                let detail =
                    format!("`{pattern}` is neither a type nor the beginning of one and `.*`");
                Err(Error::parameter("types", detail))
            }
        }
    }

    /// What of it the log has an index of; the rest is looked at one by one.
    pub fn whose(&self) -> Whose {
        Whose { customer: self.customer_id, organization: self.organization_id }
    }

    pub fn shows(&self, touchpoint: &Touchpoint) -> bool {
        let fits = |wanted: Option<Uuid>, it: Option<Uuid>| wanted.is_none() || wanted == it;
        fits(self.customer_id, touchpoint.customer_id)
            && fits(self.organization_id, touchpoint.organization_id)
            && fits(self.conversation_id, touchpoint.conversation_id)
            && self.types.given().is_none_or(|types| wants(types, &touchpoint.r#type))
    }
}

/// Whether a type is covered by one of these patterns.
pub fn wants(patterns: &[String], kind: &str) -> bool {
    patterns.iter().any(|pattern| covers(pattern, kind))
}

/// Whether a pattern covers a type: itself, or everything below what stands before `.*`.
fn covers(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        None => pattern == kind,
        Some(beginning) => kind.starts_with(beginning),
    }
}

/// Whether a text is a type, the beginning of one and `.*`, or `*`.
pub fn is_pattern(text: &str) -> bool {
    let beginning = text.strip_suffix(".*").unwrap_or(text);
    text.len() <= 100 && (text == "*" || beginning.split('.').all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_a_type_or_all_below_it() {
        for (pattern, kind, expected) in [
            ("order.placed", "order.placed", true),
            ("order.placed", "order.placed.twice", false),
            ("order.*", "order.placed", true),
            ("order.*", "orders.placed", false),
            ("order.line.*", "order.line.added", true),
            ("*", "anything.at_all", true),
        ] {
            assert!(is_pattern(pattern));
            assert_eq!(covers(pattern, kind), expected, "{pattern} {kind}");
        }
        for text in ["", ".*", "*.placed", "order*", "Order.*", "order..*", "order.*.x"] {
            assert!(!is_pattern(text), "{text}");
        }
    }
}
