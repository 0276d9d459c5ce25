//! Makes the shapes of requests and answers easy on generated clients: answers always carry every
//! property and survive new enum values, requests only ask for what is needed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::{map_at, walk};
use crate::error::Problem;

type Schema = Map<String, Value>;

/// Adds the body of every error answer, so that no handler has to name it.
pub fn add_problem(document: &mut Value) {
    let mut found = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut found);
    let schemas = map_at(&mut document["components"], "schemas");
    for (name, schema) in found {
        let schema = serde_json::to_value(schema).expect("BUG: a schema is JSON");
        schemas.insert(name, schema);
    }
}

/// R4: a struct with flattened fields is one object; utoipa writes it as `allOf` of its parts.
pub fn flatten(document: &mut Value) {
    let parts = document["components"]["schemas"].clone();
    let mut merged = BTreeSet::new();
    for schema in map_at(&mut document["components"], "schemas").values_mut() {
        let Some(all) = schema.get("allOf").and_then(Value::as_array).cloned() else { continue };
        let mut whole = schema.clone();
        let map = whole.as_object_mut().expect("BUG: it has a property");
        map.remove("allOf");
        map.insert("type".into(), json!("object"));
        for part in &all {
            let name = part["$ref"].as_str().and_then(|target| target.rsplit('/').next());
            merged.extend(name.map(str::to_owned));
            let part = name.map_or(part, |name| &parts[name]);
            for (name, property) in part["properties"].as_object().into_iter().flatten() {
                map_at(&mut whole, "properties").insert(name.clone(), property.clone());
            }
            let required = part["required"].as_array().cloned().unwrap_or_default();
            let known = whole["required"].as_array().cloned().unwrap_or_default();
            whole["required"] = known.into_iter().chain(required).collect();
        }
        *schema = whole;
    }
    let text = document.to_string();
    let is_used = |name: &str| text.contains(&format!("\"#/components/schemas/{name}\""));
    map_at(&mut document["components"], "schemas")
        .retain(|name, _| !merged.contains(name) || is_used(name));
}

/// One way to write what can be written in several (R4, R15) and patches without demands (R8).
pub fn normalise(document: &mut Value) {
    for operation in walk::operations(document) {
        walk::asked(operation.value).into_iter().for_each(normalise_schema);
    }
    for operation in walk::operations(document) {
        walk::answered(operation.value).into_iter().for_each(normalise_schema);
    }
    for (name, schema) in map_at(&mut document["components"], "schemas") {
        normalise_schema(schema);
        walk::each_schema(schema, &mut tell_defaults);
        if name.ends_with("Patch") {
            loosen(schema);
        }
    }
}

fn normalise_schema(schema: &mut Value) {
    walk::each_schema(schema, &mut |map| {
        settle_nullable(map);
        let free = is_object(map) && !map.contains_key("properties");
        if free && !map.contains_key("additionalProperties") {
            map.insert("additionalProperties".into(), json!({}));
        }
        if map.get("propertyNames") == Some(&json!({ "type": "string" })) {
            map.remove("propertyNames");
        }
        if let Some(Value::Array(required)) = map.get_mut("required") {
            required.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        }
    });
}

/// Says in words what a property is where it is left out: generators of TypeScript take what has a
/// `default` for something that must be given. Null, nothing and no items go without saying.
fn tell_defaults(map: &mut Schema) {
    for property in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let Some(property) = property.1.as_object_mut() else { continue };
        let value = match property.remove("default") {
            None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => continue,
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
        };
        let said = property.get("description").and_then(Value::as_str).unwrap_or_default();
        if !said.contains("unless said otherwise") {
            let said = format!("{said} It is `{value}` unless said otherwise.");
            property.insert("description".into(), said.trim_start().into());
        }
    }
}

fn is_object(map: &Schema) -> bool {
    match map.get("type") {
        Some(Value::Array(types)) => types.contains(&json!("object")),
        other => other == Some(&json!("object")),
    }
}

/// Writes "this or null" as `[null, $ref]`, or as a second type where there is no `$ref`; what is
/// said about the property is said outside.
fn settle_nullable(map: &mut Schema) {
    let Some(Value::Array(choices)) = map.get("oneOf") else { return };
    let null = json!({ "type": "null" });
    let others: Vec<&Value> = choices.iter().filter(|choice| **choice != null).collect();
    let [Value::Object(other)] = others.as_slice() else { return };
    let (mut inner, nullable) = (other.clone(), choices.len() > others.len());
    map.remove("oneOf");
    let reference = inner.remove("$ref");
    for (key, value) in inner {
        map.entry(key).or_insert(value);
    }
    match reference {
        Some(target) if nullable => {
            map.insert("oneOf".into(), json!([{ "type": "null" }, { "$ref": target }]));
        }
        Some(target) => {
            map.insert("$ref".into(), target);
        }
        None if nullable => make_nullable(map),
        None => {}
    }
}

/// Allows null beside what a schema allows already.
fn make_nullable(map: &mut Schema) {
    if let Some(target) = map.remove("$ref") {
        map.insert("oneOf".into(), json!([{ "type": "null" }, { "$ref": target }]));
    }
    if let Some(Value::String(only)) = map.get("type") {
        let both = json!([only, "null"]);
        map.insert("type".into(), both);
    }
    if let Some(Value::Array(values)) = map.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// R8: a patch demands nothing.
fn loosen(schema: &mut Value) {
    if let Some(map) = schema.as_object_mut() {
        map.remove("required");
    }
}

/// R6, R7: gives answers and requests a schema of their own where their contracts differ, and drops
/// enums that only answers used.
///
/// A schema that no operation reaches was registered on purpose (event payloads) and counts as an
/// answer.
pub fn separate(document: &mut Value) {
    let schemas = std::mem::take(map_at(&mut document["components"], "schemas"));
    let contracts = Contracts::of(document, schemas);
    for operation in walk::operations(document) {
        for schema in walk::asked(operation.value) {
            contracts.ask(schema);
        }
        for schema in walk::answered(operation.value) {
            contracts.answer(schema);
        }
    }
    *map_at(&mut document["components"], "schemas") = contracts.into_schemas();
}

/// Every component schema, and who uses it.
struct Contracts {
    schemas: Schema,
    asked: BTreeSet<String>,
    answered: BTreeSet<String>,
    /// Schemas that need another form in requests, with its name.
    twins: BTreeMap<String, String>,
}

impl Contracts {
    fn of(document: &mut Value, schemas: Schema) -> Self {
        let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for operation in walk::operations(document) {
            walk::asked(operation.value).iter().for_each(|s| walk::references(s, &mut asked));
            walk::answered(operation.value).iter().for_each(|s| walk::references(s, &mut answered));
        }
        let asked = reach(&schemas, asked);
        let reached = reach(&schemas, answered.clone());
        let registered = |name: &&String| !asked.contains(*name) && !reached.contains(*name);
        answered.extend(schemas.keys().filter(registered).cloned());
        let answered = reach(&schemas, answered);
        let mut contracts = Self { schemas, asked, answered, twins: BTreeMap::new() };
        contracts.name_twins();
        contracts
    }

    /// Finds the schemas on both sides whose two forms differ, by themselves or by what they hold.
    fn name_twins(&mut self) {
        loop {
            let shared = self.asked.intersection(&self.answered);
            let differs = |name: &&String| !self.twins.contains_key(*name) && self.differs(name);
            let found: Vec<String> = shared.filter(differs).cloned().collect();
            if found.is_empty() {
                return;
            }
            for name in found {
                let twin = self.twin_name(&name);
                self.twins.insert(name, twin);
            }
        }
    }

    fn differs(&self, name: &str) -> bool {
        let Some(schema) = self.schemas.get(name).filter(|_| !self.is_enum(name)) else {
            return false;
        };
        let (mut asked, mut answered) = (schema.clone(), schema.clone());
        self.ask(&mut asked);
        self.answer(&mut answered);
        asked != answered
    }

    fn twin_name(&self, name: &str) -> String {
        let plain = format!("New{name}");
        let taken = self.schemas.contains_key(&plain) || name.starts_with("New");
        if taken { format!("{name}Input") } else { plain }
    }

    fn is_enum(&self, name: &str) -> bool {
        self.schemas.get(name).is_some_and(|schema| schema["enum"].is_array())
    }

    /// Turns a schema into its form for requests.
    fn ask(&self, schema: &mut Value) {
        walk::each_schema(schema, &mut |map| {
            if let Some(twin) = walk::reference(map).and_then(|name| self.twins.get(name)) {
                map.insert("$ref".into(), walk::pointer_to(twin));
            }
        });
    }

    /// Turns a schema into its form for answers: complete, and open for enum values to come.
    fn answer(&self, schema: &mut Value) {
        walk::each_schema(schema, &mut |map| {
            if let Some(name) = walk::reference(map).filter(|name| self.is_enum(name)) {
                let values = self.schemas[name].as_object().cloned().unwrap_or_default();
                map.remove("$ref");
                values.into_iter().for_each(|(key, value)| {
                    map.entry(key).or_insert(value);
                });
            }
            settle_nullable(map);
            if let Some(Value::Array(mut values)) = map.remove("enum") {
                values.retain(|value| !value.is_null());
                map.insert("x-extensible-enum".into(), Value::Array(values));
            }
            if let Some(Value::Object(properties)) = map.get("properties") {
                map.insert("required".into(), properties.keys().cloned().collect());
            }
        });
    }

    fn into_schemas(self) -> Schema {
        let mut finished = Schema::new();
        for (name, schema) in &self.schemas {
            if self.answered.contains(name) && !self.is_enum(name) {
                let mut schema = schema.clone();
                self.answer(&mut schema);
                leave_out(name, &mut schema);
                finished.insert(name.clone(), schema);
            }
            let twin = self.twins.get(name);
            if self.asked.contains(name) && (twin.is_some() || !finished.contains_key(name)) {
                let mut schema = schema.clone();
                self.ask(&mut schema);
                finished.insert(twin.unwrap_or(name).clone(), schema);
            }
        }
        finished
    }
}

/// Properties of answers that are absent rather than null, because a standard of others says so.
const ABSENT: [(&str, &str); 1] = [
    // RFC 6749, 5.1; common clients refuse a `refresh_token` that is null.
    ("AccessToken", "refresh_token"),
];

fn leave_out(name: &str, schema: &mut Value) {
    for (_, property) in ABSENT.iter().filter(|(owner, _)| *owner == name) {
        if let Some(required) = schema["required"].as_array_mut() {
            required.retain(|required| required != property);
        }
        schema["properties"][property]["type"] = json!("string");
    }
}

/// Everything that can be reached from some schemas, themselves included.
fn reach(schemas: &Schema, from: BTreeSet<String>) -> BTreeSet<String> {
    let mut open: Vec<String> = from.into_iter().collect();
    let mut reached = BTreeSet::new();
    while let Some(name) = open.pop() {
        let mut next = BTreeSet::new();
        if let Some(schema) = schemas.get(&name) {
            walk::references(schema, &mut next);
        }
        if reached.insert(name) {
            open.extend(next);
        }
    }
    reached
}
