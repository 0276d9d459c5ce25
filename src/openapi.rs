//! The published description of the API: what handlers say tersely becomes one document
//! from which anyone can read, try and generate a client for every operation.
//!
//! `docs/CONVENTIONS.md` names the rules (R1 to R20); `tests/api/rules.rs` checks them.

pub mod events;
mod examples;
mod operations;
mod routes;
mod schemas;
mod shared;
mod walk;

use serde_json::{Map, Value, json};

pub use routes::{EVENT_STREAM, Routes};

/// Makes the document that utoipa emits from our handlers obey the rules for the document.
///
/// The same input always gives the same output. Descriptions are not invented here: what a
/// handler, a schema or a property lacks stays missing, and the rules report it.
pub fn finish(raw: Value) -> Value {
    let mut document = head(name_generics(raw));
    schemas::flatten(&mut document);
    schemas::add_problem(&mut document);
    operations::finish(&mut document);
    schemas::normalise(&mut document);
    schemas::separate(&mut document);
    operations::describe_answers(&mut document);
    shared::add(&mut document);
    examples::attach(&mut document);
    document
}

/// utoipa names a generic `List_Customer`; generated clients want `CustomerList`.
fn name_generics(raw: Value) -> Value {
    let text = swap(&swap(&raw.to_string(), "List_", "List"), "NewBatch_", "Batch");
    serde_json::from_str(&text).expect("BUG: renaming keeps JSON")
}

/// Puts what follows `prefix` before `suffix`.
fn swap(text: &str, prefix: &str, suffix: &str) -> String {
    let mut parts = text.split(prefix);
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_alphanumeric()).unwrap_or(part.len());
        named.push_str(&format!("{}{suffix}{}", &part[..end], &part[end..]));
    }
    named
}

/// The parts of a document that no operation decides.
fn head(mut document: Value) -> Value {
    document["openapi"] = json!("3.1.0");
    document["security"] = json!([{ "bearer": [] }]);
    if !document["servers"].is_array() {
        document["servers"] = json!([{ "url": "/" }]);
    }
    for part in ["paths", "components"] {
        if !document[part].is_object() {
            document[part] = json!({});
        }
    }
    list_tags(&mut document);
    document
}

/// Lists every tag that an operation uses; one that has no description is left without.
fn list_tags(document: &mut Value) {
    let mut tags = document["tags"].as_array().cloned().unwrap_or_default();
    for operation in walk::operations(document) {
        for name in operation.value["tags"].as_array().into_iter().flatten() {
            if !tags.iter().any(|tag| tag["name"] == *name) {
                tags.push(json!({ "name": name }));
            }
        }
    }
    document["tags"] = Value::Array(tags);
}

/// The map at a key, made where it is missing.
fn map_at<'a>(parent: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !parent[key].is_object() {
        parent[key] = json!({});
    }
    parent[key].as_object_mut().expect("BUG: made an object above")
}
