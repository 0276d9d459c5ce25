//! The rule about words and examples: everything is described, and every example is valid.

use jsonschema::Validator;
use serde_json::{Value, json};

use super::walk::{Operation, components, entries, is_success, operations, resolve, schemas};

/// Every operation, parameter, schema and property is described; every body has a valid example.
pub fn r17(document: &Value) -> Vec<String> {
    let mut found = undescribed(document);
    for operation in operations(document) {
        found.extend(summary(&operation));
        found.extend(examples(document, &operation));
    }
    for (name, answer) in entries(&document["components"]["responses"]) {
        found.extend(content_examples(document, &format!("components.responses.{name}"), answer));
    }
    found
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// Schemas, properties, headers and shared parameters without a description.
fn undescribed(document: &Value) -> Vec<String> {
    let names: Vec<&String> = components(document).map(|(name, _)| name).collect();
    let properties = schemas(document).into_iter().filter(|(place, _)| {
        names.contains(&place) || (place.contains('.') && !place.contains(' '))
    });
    let headers = entries(&document["components"]["headers"]).map(|(n, h)| (n.clone(), h));
    let shared = entries(&document["components"]["parameters"]).map(|(n, p)| (n.clone(), p));
    let all = properties.chain(headers).chain(shared);
    let mute = all.filter(|(_, value)| !is_text(&value["description"]));
    mute.map(|(place, _)| format!("{place}: no description")).collect()
}

/// A summary is one imperative line without a period; a description says more.
fn summary(operation: &Operation<'_>) -> Vec<String> {
    let text = operation.value["summary"].as_str().unwrap_or_default();
    let good = text.starts_with(|c: char| c.is_uppercase())
        && !text.ends_with('.')
        && !text.contains('\n')
        && text.chars().count() <= 80;
    let checks = [
        (good, format!("{}: summary `{text}`", operation.place())),
        (
            is_text(&operation.value["description"]),
            format!("{}: no description", operation.place()),
        ),
    ];
    checks.into_iter().filter(|(holds, _)| !holds).map(|(_, place)| place).collect()
}

fn examples(document: &Value, operation: &Operation<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for parameter in operation.parameters(document) {
        let place = format!("{} {}", operation.place(), parameter["name"]);
        let required = parameter["required"] == true;
        if !is_text(&parameter["description"]) {
            found.push(format!("{place}: no description"));
        }
        found.extend(example_of(document, &place, parameter, required));
    }
    let place = format!("{} body", operation.place());
    found.extend(content_examples(document, &place, &operation.value["requestBody"]));
    for (status, answer) in operation.responses() {
        let place = format!("{} {status}", operation.place());
        if !is_text(&resolve(document, answer)["description"]) {
            found.push(format!("{place}: no description"));
        }
        if is_success(status) || answer["$ref"].is_null() {
            found.extend(content_examples(document, &place, answer));
        }
    }
    found
}

fn content_examples(document: &Value, place: &str, holder: &Value) -> Vec<String> {
    let bodies = entries(&holder["content"]);
    let shown = bodies.filter(|(_, body)| body["schema"]["format"] != "binary");
    shown.flat_map(|(_, body)| example_of(document, place, body, true)).collect()
}

/// What is wrong with the example of a media type or parameter; one may have to be there.
fn example_of(document: &Value, place: &str, holder: &Value, needed: bool) -> Vec<String> {
    let named = entries(&holder["examples"]).map(|(_, example)| &example["value"]);
    let own = [&holder["schema"], holder].into_iter().filter_map(|owner| owner.get("example"));
    let all: Vec<&Value> = own.chain(named).collect();
    if all.is_empty() {
        let missing = needed.then(|| format!("{place}: no example"));
        return missing.into_iter().collect();
    }
    let validator = match validator(document, &holder["schema"]) {
        Ok(validator) => validator,
        Err(fault) => return vec![format!("{place}: {fault}")],
    };
    let errors = all.into_iter().flat_map(|example| {
        let errors = validator.iter_errors(example);
        errors.map(|e| format!("{place}: example {}: {e}", e.instance_path())).collect::<Vec<_>>()
    });
    errors.collect()
}

/// Validates against a schema of the document; its `$ref`s are looked up in the document.
fn validator(document: &Value, schema: &Value) -> Result<Validator, String> {
    let mut root = json!({ "components": { "schemas": document["components"]["schemas"] } });
    root["allOf"] = json!([schema]);
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(&root)
        .map_err(|error| format!("not a schema: {error}"))
}
