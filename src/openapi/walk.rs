//! Ways through the API document: every operation, and every schema inside a schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The methods that a path can describe and we serve, in the order we list them.
pub const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

const SCHEMA_PREFIX: &str = "#/components/schemas/";

/// One operation with the place where it was found.
pub struct Operation<'a> {
    pub path: &'a str,
    pub method: &'static str,
    pub value: &'a mut Value,
}

/// Every operation of a document, by path and method.
pub fn operations(document: &mut Value) -> Vec<Operation<'_>> {
    let Some(paths) = document["paths"].as_object_mut() else { return Vec::new() };
    let mut found = Vec::new();
    for (path, item) in paths {
        let Some(item) = item.as_object_mut() else { continue };
        for (name, value) in item {
            if let Some(method) = METHODS.iter().find(|method| *method == name) {
                found.push(Operation { path, method, value });
            }
        }
    }
    found
}

/// The schemas of what an operation is asked: its parameters and its body.
pub fn asked(operation: &mut Value) -> Vec<&mut Value> {
    let Some(operation) = operation.as_object_mut() else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in operation {
        match key.as_str() {
            "parameters" => found.extend(
                value.as_array_mut().into_iter().flatten().filter_map(|p| p.get_mut("schema")),
            ),
            "requestBody" => found.extend(content(value)),
            _ => {}
        }
    }
    found
}

/// The schemas of what an operation answers.
pub fn answered(operation: &mut Value) -> Vec<&mut Value> {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    responses.into_iter().flat_map(Map::values_mut).flat_map(content).collect()
}

/// The schemas of each media type of a body or an answer.
fn content(holder: &mut Value) -> Vec<&mut Value> {
    let content = holder.get_mut("content").and_then(Value::as_object_mut);
    content.into_iter().flat_map(Map::values_mut).filter_map(|m| m.get_mut("schema")).collect()
}

/// Runs `change` on a schema and on every schema inside it, the innermost first.
pub fn each_schema(schema: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    let Some(map) = schema.as_object_mut() else { return };
    for (key, inner) in map.iter_mut() {
        match key.as_str() {
            "items" | "additionalProperties" | "propertyNames" => each_schema(inner, change),
            "oneOf" | "anyOf" | "allOf" => {
                inner.as_array_mut().into_iter().flatten().for_each(|s| each_schema(s, change));
            }
            "properties" => {
                let properties = inner.as_object_mut();
                properties
                    .into_iter()
                    .flat_map(Map::values_mut)
                    .for_each(|s| each_schema(s, change));
            }
            _ => {}
        }
    }
    change(map);
}

/// The name of the component schema that a schema refers to.
pub fn reference(schema: &Map<String, Value>) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(SCHEMA_PREFIX)
}

/// What a `$ref` to a component schema holds.
pub fn pointer_to(name: &str) -> Value {
    Value::String(format!("{SCHEMA_PREFIX}{name}"))
}

/// The names of all component schemas that `schema` refers to, directly.
pub fn references(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            names.extend(reference(map).map(String::from));
            map.values().for_each(|inner| references(inner, names));
        }
        Value::Array(list) => list.iter().for_each(|inner| references(inner, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
