//! What can happen: each type of event that the log, the change feed and the webhooks tell of.
//!
//! `openapi/events.json` is made from these lists. A build with debug assertions writes nothing of our
//! own that is not as it says here, so the lists cannot fall behind.

mod own;
mod reported;

use serde_json::{Map, Value, json};

use super::{Entry, OWN_SOURCE};
pub use own::OWN;
pub use reported::{REPORTED, ReportedType};

/// A type of touchpoint that we write ourselves.
#[derive(Debug)]
pub struct EventType {
    /// `noun.past_verb`.
    pub kind: &'static str,
    /// What happened, as a sentence.
    pub about: &'static str,
    /// The `type` of its `subject`.
    pub subject: &'static str,
    /// Which other fields it has.
    pub told: Told,
    pub properties: &'static [Property],
}

/// What a touchpoint of ours refers to beside its subject. What is not named is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Nothing,
    /// A customer.
    Customer,
    /// A customer, where one is known.
    CustomerIfKnown,
    /// An organization.
    Organization,
    /// A customer and an organization.
    Both,
    /// A channel.
    Channel,
    /// What shops tell of their customers: who, on which channel, and what it was worth, each where it is
    /// known.
    Sale,
}

/// One of the `properties` of an event.
#[derive(Debug)]
pub struct Property {
    pub name: &'static str,
    pub value: Kind,
    pub presence: Presence,
    pub about: &'static str,
    /// A typical value, as JSON.
    pub example: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Always,
    /// It is there and may be null.
    Nullable,
    Sometimes,
}

/// What a property holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A word that a field of a resource has in the API, by the names of both.
    Of(&'static str, &'static str),
    Id,
    Integer,
    Boolean,
    Time,
    Texts,
    Objects,
    /// `{"field": {"from", "to"}}`, and `{}` of a secret.
    Changes,
}

impl Kind {
    /// Its JSON Schema, in the words of the API's document.
    fn schema(self, document: &Value) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Of(resource, field) => {
                let known = &document["components"]["schemas"][resource]["properties"][field];
                json!({ "type": "string", "x-extensible-enum": known["x-extensible-enum"] })
            }
            Self::Id => json!({ "type": "string", "format": "uuid" }),
            Self::Integer => json!({ "type": "integer" }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Objects => json!({ "type": "array", "items": { "type": "object" } }),
            Self::Changes => json!({
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": { "from": {}, "to": {} },
                    "description": "What it was and is; empty where that is a secret.",
                },
            }),
        }
    }

    fn fits(self, value: &Value) -> bool {
        let all =
            |fits: fn(&Value) -> bool| value.as_array().is_some_and(|all| all.iter().all(fits));
        match self {
            Self::Text | Self::Of(..) => value.is_string(),
            Self::Id => value.as_str().is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()),
            Self::Integer => value.is_i64(),
            Self::Boolean => value.is_boolean(),
            Self::Time => {
                let parses = |at| chrono::DateTime::parse_from_rfc3339(at).is_ok();
                value.as_str().is_some_and(parses)
            }
            Self::Texts => all(Value::is_string),
            Self::Objects => all(Value::is_object),
            Self::Changes => {
                let is_told = |it: &Value| it.get("from").is_some() && it.get("to").is_some();
                let is_change = |it: &Value| *it == json!({}) || is_told(it);
                value.as_object().is_some_and(|changes| changes.values().all(is_change))
            }
        }
    }
}

impl Property {
    fn schema(&self, document: &Value) -> Value {
        let mut schema = self.value.schema(document);
        if self.presence == Presence::Nullable {
            schema["type"] = json!([schema["type"], "null"]);
        }
        schema["description"] = self.about.into();
        schema
    }

    fn fits(&self, properties: &Map<String, Value>) -> bool {
        match properties.get(self.name) {
            None => self.presence == Presence::Sometimes,
            Some(Value::Null) => self.presence == Presence::Nullable,
            Some(value) => self.value.fits(value),
        }
    }
}

impl EventType {
    /// The type of this name.
    pub fn of(kind: &str) -> Option<&'static Self> {
        OWN.iter().find(|event| event.kind == kind)
    }

    /// JSON Schema of its `properties`. None is required: of erased people nothing is left, and
    /// webhooks leave out what is too large.
    pub fn properties_schema(&self, document: &Value) -> Value {
        let schemas = self.properties.iter().map(|it| (it.name.to_owned(), it.schema(document)));
        json!({ "type": "object", "properties": schemas.collect::<Map<_, _>>() })
    }

    /// Typical `properties`.
    pub fn properties_example(&self) -> Value {
        let example = |it: &Property| {
            let value = serde_json::from_str(it.example).expect("BUG: examples are JSON");
            (it.name.to_owned(), value)
        };
        self.properties.iter().map(example).collect::<Map<_, _>>().into()
    }

    fn fits(&self, entry: &Entry) -> bool {
        let Some(properties) = entry.properties.as_object() else { return false };
        let is_known = |name: &String| self.properties.iter().any(|it| it.name == name);
        let subject = entry.subject.as_ref().and_then(|subject| subject["type"].as_str());
        subject == Some(self.subject)
            && self.told.fits(entry)
            && properties.keys().all(is_known)
            && self.properties.iter().all(|it| it.fits(properties))
    }
}

impl Told {
    fn fits(self, entry: &Entry) -> bool {
        let has = (
            entry.customer_id.is_some(),
            entry.organization_id.is_some(),
            entry.channel_id.is_some(),
            entry.value.is_some(),
        );
        match self {
            Self::Nothing => has == (false, false, false, false),
            Self::Customer => has == (true, false, false, false),
            Self::CustomerIfKnown => !has.1 && !has.2 && !has.3,
            Self::Organization => has == (false, true, false, false),
            Self::Both => has == (true, true, false, false),
            Self::Channel => has == (false, false, true, false),
            Self::Sale => !has.1,
        }
    }
}

/// Whether an entry is as the catalogue says, or not ours.
pub fn fits(entry: &Entry) -> bool {
    let known = || EventType::of(&entry.kind).is_some_and(|event| event.fits(entry));
    entry.source != OWN_SOURCE || known()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::touchpoints::{is_own, is_word};

    #[test]
    fn types_are_well_formed_and_stand_once_in_their_order() {
        let own: Vec<&str> = OWN.iter().map(|event| event.kind).collect();
        let reported: Vec<&str> = REPORTED.iter().map(|event| event.kind).collect();
        for kinds in [own, reported] {
            assert!(kinds.is_sorted(), "{kinds:?}");
            assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), kinds.len());
            assert!(kinds.iter().all(|kind| kind.split('.').all(is_word)), "{kinds:?}");
        }
    }

    #[test]
    fn nobody_reports_what_only_we_write() {
        let wrong: Vec<_> = REPORTED.iter().filter(|event| is_own(event.kind)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn examples_fit() {
        for event in OWN {
            let example = event.properties_example();
            let properties = example.as_object().unwrap();
            for property in event.properties {
                assert!(property.fits(properties), "{}: {}", event.kind, property.name);
            }
        }
    }

    #[test]
    fn every_name_that_trackers_are_understood_by_is_listed() {
        let known: BTreeSet<&str> = REPORTED.iter().map(|event| event.kind).collect();
        let types = crate::tracking::known_types();
        let missing: Vec<_> = types.filter(|kind| !known.contains(kind)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
