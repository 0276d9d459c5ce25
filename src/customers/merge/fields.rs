//! Which values a survivor has after a merge: the caller's choice, else its own, else the other's.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use validator::Validate;

use crate::customers::types::LifecycleStage;
crate::text_enum! {
    /// Whose value a field shall have.
    pub enum Side {
        /// The one that stays.
        Survivor = "survivor",
        /// The one that is merged into it.
        Source = "source",
    }
}

/// Whose value each field shall have. Where nothing is said the survivor keeps its value, an empty one
/// is filled from the source, `attributes` are filled key by key, `tags` of both are kept, and the
/// lifecycle stage is the further one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MergeSides {
    /// Given name.
    pub first_name: Option<Side>,
    /// Family name.
    pub last_name: Option<Side>,
    /// The name to show.
    pub display_name: Option<Side>,
    /// Form of address or job title.
    pub title: Option<Side>,
    /// Day of birth.
    pub birth_date: Option<Side>,
    /// Gender.
    pub gender: Option<Side>,
    /// Language and region.
    pub locale: Option<Side>,
    /// Time zone.
    pub timezone: Option<Side>,
    /// Preferred currency.
    pub currency: Option<Side>,
    /// Postal addresses.
    pub addresses: Option<Side>,
    /// How far the customer has come.
    pub lifecycle_stage: Option<Side>,
    /// The user who looks after the customer.
    pub owner_id: Option<Side>,
    /// Where the record came from.
    pub source: Option<Side>,
    /// How the customer first found the company.
    pub acquisition: Option<Side>,
    /// What the customer would like to hear about.
    pub preferences: Option<Side>,
    /// Lead score.
    pub score: Option<Side>,
    /// Free fields.
    pub attributes: Option<Side>,
    /// Free labels.
    pub tags: Option<Side>,
}

/// The fields that a merge decides about.
const FIELDS: [&str; 18] = [
    "first_name",
    "last_name",
    "display_name",
    "title",
    "birth_date",
    "gender",
    "locale",
    "timezone",
    "currency",
    "addresses",
    "lifecycle_stage",
    "owner_id",
    "source",
    "acquisition",
    "preferences",
    "score",
    "attributes",
    "tags",
];

/// What a merge changes, by field; `attributes.<key>` for each attribute.
pub type Changes = Map<String, Value>;

const ATTRIBUTE: &str = "attributes.";

/// What changes in the survivor, as `{"field": {"from": …, "to": …}}`. Both are customers as JSON.
pub fn decide(survivor: &Value, source: &Value, chosen: &MergeSides) -> Changes {
    let chosen = serde_json::to_value(chosen).unwrap_or_default();
    let mut changes = Changes::new();
    for field in FIELDS {
        let (own, other) = (&survivor[field], &source[field]);
        let value = match chosen[field].as_str() {
            Some("source") => other.clone(),
            Some(_) => own.clone(),
            None => by_default(field, own, other),
        };
        if field == "attributes" {
            changes.extend(by_key(own, &value));
        } else if value != *own {
            changes.insert(field.to_owned(), json!({ "from": own, "to": value }));
        }
    }
    changes
}

fn by_default(field: &str, own: &Value, other: &Value) -> Value {
    match (field, own, other) {
        ("attributes", Value::Object(own), Value::Object(other)) => {
            let filled = other.iter().chain(own.iter().filter(|(_, value)| !value.is_null()));
            Value::Object(filled.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        ("tags", Value::Array(own), Value::Array(other)) => {
            let missing = other.iter().filter(|tag| !own.contains(tag));
            Value::Array(own.iter().chain(missing).cloned().collect())
        }
        ("lifecycle_stage", own, other) => further(own, other),
        (_, own, other) if is_empty(own) => other.clone(),
        (_, own, _) => own.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// The stage further on the way; `other` is on no way and gives in.
fn further(own: &Value, other: &Value) -> Value {
    let stage = |value: &Value| LifecycleStage::from_str(value.as_str().unwrap_or_default()).ok();
    let is_ahead = match (stage(own), stage(other)) {
        (Some(LifecycleStage::Other), Some(_)) => true,
        (Some(own), Some(other)) => other.earlier().contains(&own),
        (None, _) | (_, None) => false,
    };
    if is_ahead { other.clone() } else { own.clone() }
}

/// The attributes that differ; an absent one is null.
fn by_key(from: &Value, to: &Value) -> Changes {
    let keys = [from, to].into_iter().filter_map(Value::as_object).flat_map(Map::keys);
    let differing = keys.filter(|key| from[key.as_str()] != to[key.as_str()]);
    differing
        .map(|key| {
            let change = json!({ "from": from[key.as_str()], "to": to[key.as_str()] });
            (format!("{ATTRIBUTE}{key}"), change)
        })
        .collect()
}

/// The new values of whole fields when the changes are made to a customer.
pub fn applied(now: &Value, changes: &Changes) -> Map<String, Value> {
    let mut values = Map::new();
    for (field, change) in changes {
        set(now, &mut values, field, change["to"].clone());
    }
    values
}

/// What undoing a merge comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Undone {
    /// Fields that are as the merge left them, and go back.
    pub back: Changes,
    /// Fields that somebody has changed since: another merge perhaps.
    pub changed_since: Changes,
}

/// Splits what a merge changed by whether it still is so. Tags go back one by one.
pub fn undone(now: &Value, changes: &Changes) -> Undone {
    let mut undone = Undone::default();
    for (field, change) in changes {
        let value = value_of(now, field);
        if field == "tags" {
            let change = json!({ "from": value, "to": without_tags(value, change) });
            undone.back.insert(field.clone(), change);
        } else if *value == change["to"] {
            let change = json!({ "from": change["to"], "to": change["from"] });
            undone.back.insert(field.clone(), change);
        } else {
            undone.changed_since.insert(field.clone(), change.clone());
        }
    }
    undone
}

fn value_of<'a>(now: &'a Value, field: &str) -> &'a Value {
    match field.strip_prefix(ATTRIBUTE) {
        Some(key) => &now["attributes"][key],
        None => &now[field],
    }
}

fn set(now: &Value, values: &mut Map<String, Value>, field: &str, value: Value) {
    let Some(key) = field.strip_prefix(ATTRIBUTE) else {
        values.insert(field.to_owned(), value);
        return;
    };
    let attributes = values.entry("attributes").or_insert_with(|| now["attributes"].clone());
    if let Some(attributes) = attributes.as_object_mut() {
        match value {
            Value::Null => drop(attributes.remove(key)),
            value => drop(attributes.insert(key.to_owned(), value)),
        }
    }
}

/// Today's tags without those that the merge added, and with those that it removed.
fn without_tags(now: &Value, change: &Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (from, to) = (list(&change["from"]), list(&change["to"]));
    let kept = list(now).into_iter().filter(|tag| from.contains(tag) || !to.contains(tag));
    let kept: Vec<Value> = kept.collect();
    let missing = from.iter().filter(|tag| !to.contains(tag) && !kept.contains(tag)).cloned();
    Value::Array(kept.iter().cloned().chain(missing).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(survivor: Value, source: Value, chosen: Value) -> Value {
        let chosen = serde_json::from_value(chosen).unwrap();
        Value::Object(applied(&survivor, &decide(&survivor, &source, &chosen)))
    }

    #[test]
    fn what_the_survivor_has_stays_and_what_it_lacks_is_filled() {
        let survivor = json!({ "first_name": "Ada", "title": null, "addresses": [] });
        let source =
            json!({ "first_name": "A.", "title": "Dr", "addresses": [{ "city": "Graz" }] });
        let expected = json!({ "title": "Dr", "addresses": [{ "city": "Graz" }] });
        assert_eq!(decided(survivor, source, json!({})), expected);
    }

    #[test]
    fn the_caller_decides_otherwise() {
        let survivor = json!({ "first_name": "Ada", "title": null });
        let source = json!({ "first_name": "A.", "title": "Dr" });
        let chosen = json!({ "first_name": "source", "title": "survivor" });
        assert_eq!(decided(survivor, source, chosen), json!({ "first_name": "A." }));
    }

    #[test]
    fn attributes_are_filled_by_key_and_tags_of_both_are_kept() {
        let survivor = json!({ "attributes": { "a": 1 }, "tags": ["x", "y"] });
        let source = json!({ "attributes": { "a": 2, "b": 3 }, "tags": ["y", "z"] });
        let expected = json!({ "attributes": { "a": 1, "b": 3 }, "tags": ["x", "y", "z"] });
        assert_eq!(decided(survivor.clone(), source.clone(), json!({})), expected);
        let chosen = json!({ "attributes": "source" });
        let expected = json!({ "attributes": { "a": 2, "b": 3 }, "tags": ["x", "y", "z"] });
        assert_eq!(decided(survivor, source, chosen), expected);
    }

    #[test]
    fn the_further_stage_counts() {
        let stage = |own, other| {
            let one = |stage| json!({ "lifecycle_stage": stage });
            decided(one(own), one(other), json!({}))["lifecycle_stage"].clone()
        };
        assert_eq!(stage("lead", "customer"), "customer");
        assert_eq!(stage("customer", "lead"), Value::Null);
        assert_eq!(stage("other", "visitor"), "visitor");
        assert_eq!(stage("visitor", "other"), Value::Null);
    }

    #[test]
    fn undoing_leaves_what_was_changed_since() {
        let survivor = json!({ "attributes": {}, "tags": ["x"] });
        let source = json!({ "title": "Dr", "gender": "m", "attributes": { "a": 1, "b": 2 },
                             "tags": ["y", "z"] });
        let changes = decide(&survivor, &source, &MergeSides::default());
        let now = json!({ "title": "Dr", "gender": "x", "attributes": { "a": 1, "b": 3 },
                          "tags": ["x", "z", "new"] });
        let undone = undone(&now, &changes);
        let expected = json!({ "title": null, "attributes": { "b": 3 }, "tags": ["x", "new"] });
        assert_eq!(Value::Object(applied(&now, &undone.back)), expected);
        assert!(undone.changed_since.keys().eq(["attributes.b", "gender"]));
    }
}
