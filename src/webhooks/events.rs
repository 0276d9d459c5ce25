//! Which events an endpoint wants, and what it is told of one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use validator::ValidationError;

use crate::changes::is_pattern;
use crate::db::WorkspaceId;
use crate::error::{Error, Result};
use crate::journal::Touchpoint;
use crate::predicate::{Catalog, Checked, Context, Field, FreeColumn, Kind, Predicate};

/// Bytes that a message has at most; Standard Webhooks advises receivers to expect no more.
const MAX_BYTES: usize = 20_000;

/// For `#[validate]`: `*`, `order.*` or `order.placed`, each once.
pub fn event_types(types: &[String]) -> Result<(), ValidationError> {
    let is_new = |(at, one): (usize, &String)| !types[..at].contains(one);
    if types.iter().enumerate().all(is_new) {
        return patterns(types);
    }
    Err(invalid("must be different types such as `order.placed`, `order.*` or `*`"))
}

/// The same, each as often as somebody likes.
pub fn patterns(types: &[String]) -> Result<(), ValidationError> {
    match types.iter().all(|one| is_pattern(one)) {
        true => Ok(()),
        false => Err(invalid("must be types such as `order.placed`, `order.*` or `*`")),
    }
}

fn invalid(expected: &'static str) -> ValidationError {
    ValidationError::new("invalid_event_types").with_message(expected.into())
}

/// What can be asked about an event. It is only ever asked in memory.
static CATALOG: Catalog = Catalog {
    fields: &[
        Field { name: "type", column: "touchpoints.type", kind: Kind::Text },
        Field { name: "customer_id", column: "touchpoints.customer_id", kind: Kind::Id },
        Field { name: "channel_id", column: "touchpoints.channel_id", kind: Kind::Id },
        Field { name: "organization_id", column: "touchpoints.organization_id", kind: Kind::Id },
        Field {
            name: "direction",
            column: "touchpoints.direction",
            kind: Kind::Enum(&["inbound", "outbound", "internal"]),
        },
        Field { name: "name", column: "touchpoints.name", kind: Kind::Text },
        Field { name: "source", column: "touchpoints.source", kind: Kind::Text },
        Field { name: "occurred_at", column: "touchpoints.id", kind: Kind::IdTime },
        Field { name: "value.amount", column: "touchpoints.value_amount", kind: Kind::Integer },
        Field { name: "value.currency", column: "touchpoints.value_currency", kind: Kind::Text },
    ],
    free: Some(FreeColumn { name: "properties", column: "touchpoints.properties" }),
    did: None,
};

/// Holds a condition against the fields of an event.
pub fn check(condition: &Predicate, now: DateTime<Utc>) -> Result<Checked> {
    condition.check(&Context {
        pointer: "#/where",
        catalog: &CATALOG,
        attribute_kinds: &HashMap::new(),
        now,
    })
}

/// Whether a condition is true of an event, given as the API shows it.
pub fn holds(condition: &Checked, touchpoint: &Value) -> bool {
    condition.matches(touchpoint, &|_| false)
}

/// The message about something that happened. What makes it too large is left out and named.
pub fn message(workspace: WorkspaceId, livemode: bool, touchpoint: &Touchpoint) -> Result<Vec<u8>> {
    let broken = |error: serde_json::Error| Error::internal(error.to_string());
    let mut message = json!({
        "type": touchpoint.r#type,
        "timestamp": touchpoint.occurred_at,
        "workspace_id": workspace.uuid(),
        "livemode": livemode,
        "omitted": [],
        "data": serde_json::to_value(touchpoint).map_err(broken)?,
    });
    for (field, nothing) in
        [("content", Value::Null), ("context", Value::Null), ("properties", json!({}))]
    {
        let bytes = serde_json::to_vec(&message).map_err(broken)?;
        if bytes.len() < MAX_BYTES {
            return Ok(bytes);
        }
        if message["data"][field] != nothing {
            message["data"][field] = nothing;
            message["omitted"].as_array_mut().into_iter().for_each(|all| all.push(json!(field)));
        }
    }
    serde_json::to_vec(&message).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::wants;

    #[test]
    fn types_are_patterns_and_each_stands_once() {
        let check = |types: &[&str]| {
            event_types(&types.iter().map(ToString::to_string).collect::<Vec<_>>()).is_ok()
        };
        assert!(check(&["*"]) && check(&["order.*", "order.placed"]));
        assert!(!check(&["*", "*"]) && !check(&["order.*", "or*"]) && !check(&[""]));
        assert!(wants(&["cart.*".into(), "order.*".into()], "order.placed"));
        assert!(!wants(&["cart.*".into()], "order.placed"));
    }
}
