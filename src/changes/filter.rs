//! Which events somebody wants to see.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::db::json::RawJson;
use crate::error::{Error, Result};
use crate::http::AnyOf;
use crate::journal::Touchpoint;
use crate::journal::feed::Whose;
use crate::touchpoints::is_word;
use crate::values::text::like_escape;

/// Which events to show; filters are combined with and.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangeFilter {
    /// Any of these types: `order.placed`, or `order.*` for all that begin so.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false, example = json!(["order.*", "customer.created"]))]
    pub types: AnyOf<String>,
    /// Of this customer; of one that was merged, also what is told of the survivor (while you listen, from
    /// the merge on).
    pub customer_id: Option<Uuid>,
    /// Of this organization.
    pub organization_id: Option<Uuid>,
    /// Of this conversation.
    pub conversation_id: Option<Uuid>,
}

impl ChangeFilter {
    /// 400 for a pattern that nothing can match.
    pub fn check(&self) -> Result<()> {
        check_patterns("types", &self.types.0)
    }

    fn shows(&self, touchpoint: &Touchpoint) -> bool {
        let fits = |wanted: Option<Uuid>, it: Option<Uuid>| wanted.is_none() || wanted == it;
        fits(self.organization_id, touchpoint.organization_id)
            && fits(self.conversation_id, touchpoint.conversation_id)
            && self.types.given().is_none_or(|types| wants(types, &touchpoint.r#type))
    }
}

/// What a reader is shown, who may be following a customer through merges.
#[derive(Debug, Clone)]
pub struct View {
    filter: ChangeFilter,
    /// The customer asked for and those that it was merged into, one after the other; empty for everybody's.
    way: Vec<Uuid>,
}

impl View {
    /// What a filter shows; `way` as [`merge::way`](crate::customers::merge::way) knows it.
    pub fn new(filter: ChangeFilter, way: Vec<Uuid>) -> Self {
        Self { filter, way }
    }

    /// What of it the log has an index of; the rest is looked at one by one.
    pub fn whose(&self) -> Whose {
        let organization = self.filter.organization_id;
        Whose { customer: self.way.last().copied(), organization }
    }

    /// Whether an event is shown. They come in their order: after a merge the survivor's are.
    pub fn shows(&mut self, touchpoint: &Touchpoint) -> bool {
        if !self.way.is_empty() {
            self.follow(touchpoint);
            // What was told before a merge moved it is still whose it was.
            let whose = [touchpoint.customer_id, touchpoint.origin_customer_id];
            if !whose.iter().flatten().any(|id| self.way.contains(id)) {
                return false;
            }
        }
        self.filter.shows(touchpoint)
    }

    fn follow(&mut self, touchpoint: &Touchpoint) {
        let Touchpoint { r#type, customer_id, origin_customer_id, properties, .. } = touchpoint;
        let Some(customer) = *customer_id else { return };
        let known = self.way.iter().position(|id| *id == customer);
        match (r#type.as_str(), known) {
            ("customer.merged", None) => {
                let source = source_of(properties);
                if source.is_some() && source == self.way.last().copied() {
                    // Whom they became first, where that one has become somebody else since.
                    let first = origin_customer_id.filter(|id| !self.way.contains(id));
                    self.way.extend(first.filter(|id| *id != customer));
                    self.way.push(customer);
                }
            }
            ("customer.merge_reverted", Some(at)) => self.way.truncate(at + 1),
            _ => {}
        }
    }
}

/// The customer that a merge made part of another.
fn source_of(properties: &RawJson) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Merged {
        source_id: Uuid,
    }
    properties.parse().ok().map(|merged: Merged| merged.source_id)
}

/// 400 for a pattern that nothing can match, in this parameter.
pub fn check_patterns(parameter: &str, patterns: &[String]) -> Result<()> {
    match patterns.iter().find(|pattern| !is_pattern(pattern)) {
        None => Ok(()),
        Some(pattern) => {
            let detail = format!("`{pattern}` is neither a type nor the beginning of one and `.*`");
            Err(Error::parameter(parameter, detail))
        }
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

/// What these patterns are to `like`, for who asks the database.
pub fn likes(patterns: &[String]) -> Vec<String> {
    patterns.iter().map(|pattern| like_escape(pattern).replace('*', "%")).collect()
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
