//! An example for every request and answer, put together from the examples of their properties,
//! so that documentation, mock servers and tests have something real to show.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::walk;

/// The id that stands for any id in an example.
pub const ID: Uuid = Uuid::from_u128(0x0192_f0c1_2a3b_7c4d_8e5f_6071_8293_a4b5);

/// Gives an example to every body, answer and required parameter that has none.
///
/// Optional parameters get none: a page that sends examples as they are would send every filter.
pub fn attach(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let examples = Examples { schemas: &schemas };
    for operation in walk::operations(document) {
        let Some(operation) = operation.value.as_object_mut() else { continue };
        for (key, part) in operation {
            match key.as_str() {
                "parameters" => {
                    part.as_array_mut().into_iter().flatten().for_each(|p| examples.parameter(p));
                }
                "requestBody" => examples.content(part),
                "responses" => {
                    let answers = part.as_object_mut().into_iter().flat_map(Map::values_mut);
                    answers.for_each(|answer| examples.content(answer));
                }
                _ => {}
            }
        }
    }
}

struct Examples<'a> {
    schemas: &'a Map<String, Value>,
}

impl Examples<'_> {
    fn parameter(&self, parameter: &mut Value) {
        let has_one = parameter.get("example").or(parameter.get("examples")).is_some();
        if parameter["required"] == true && !has_one {
            parameter["example"] = self.of(&parameter["schema"], &mut Vec::new());
        }
    }

    fn content(&self, holder: &mut Value) {
        let content = holder.get_mut("content").and_then(Value::as_object_mut);
        for body in content.into_iter().flat_map(Map::values_mut) {
            let has_one = body.get("example").or(body.get("examples")).is_some();
            if !has_one && body["schema"]["format"] != "binary" {
                body["example"] = self.of(&body["schema"], &mut Vec::new());
            }
        }
    }

    /// An example of a schema; `inside` holds the names of the schemas around it.
    fn of(&self, schema: &Value, inside: &mut Vec<String>) -> Value {
        if let Some(given) = given(schema) {
            return given.clone();
        }
        let Some(map) = schema.as_object() else { return Value::Null };
        if let Some(name) = walk::reference(map) {
            return self.of_component(name, inside);
        }
        match map.get("type").and_then(Value::as_str) {
            Some("object") => self.object(schema, inside),
            Some("array") => self.array(schema, inside),
            Some("string") => json!(text(schema)),
            Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
            Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
            Some("boolean") => json!(false),
            _ => self.of_choice(map),
        }
    }

    /// Whatever may be null is null, unless the author of what else it may be says better.
    fn of_choice(&self, schema: &Map<String, Value>) -> Value {
        let choices = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let named = choices.filter_map(|choice| walk::reference(choice.as_object()?));
        let mut offered = named.filter_map(|name| self.schemas.get(name)?.get("example"));
        offered.next().cloned().unwrap_or_default()
    }

    fn of_component(&self, name: &str, inside: &mut Vec<String>) -> Value {
        let Some(schema) = self.schemas.get(name).filter(|_| !inside.iter().any(|n| n == name))
        else {
            return Value::Null;
        };
        inside.push(name.into());
        let example = self.of(schema, inside);
        inside.pop();
        example
    }

    /// The required properties and those whose author gave an example; never nothing at all.
    fn object(&self, schema: &Value, inside: &mut Vec<String>) -> Value {
        let Some(properties) = schema["properties"].as_object() else { return json!({}) };
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        let wanted = |name: &str, s: &Value| required.contains(&json!(name)) || given(s).is_some();
        let mut example = Map::new();
        for (name, property) in properties.iter().filter(|(name, schema)| wanted(name, schema)) {
            example.insert(name.clone(), self.of(property, inside));
        }
        if example.is_empty()
            && let Some((name, property)) = properties.iter().next()
        {
            example.insert(name.clone(), self.of(property, inside));
        }
        Value::Object(example)
    }

    fn array(&self, schema: &Value, inside: &mut Vec<String>) -> Value {
        let item = &schema["items"];
        let name = item.as_object().and_then(walk::reference);
        if name.is_some_and(|name| inside.iter().any(|outer| outer == name)) {
            return json!([]);
        }
        let count = schema["minItems"].as_u64().unwrap_or(1).max(1);
        (0..count).map(|_| self.of(item, inside)).collect()
    }
}

/// What the author of a schema offers as a value of it.
fn given(schema: &Value) -> Option<&Value> {
    ["/example", "/examples/0", "/default", "/const", "/enum/0", "/x-extensible-enum/0"]
        .iter()
        .find_map(|pointer| schema.pointer(pointer))
        .filter(|value| !value.is_null())
}

fn text(schema: &Value) -> String {
    match schema["format"].as_str() {
        Some("uuid") => ID.to_string(),
        Some("date-time") => "2026-01-15T09:30:00Z".into(),
        Some("date") => "2026-01-15".into(),
        Some("email") => "anna@example.com".into(),
        Some("uri" | "uri-reference") => "https://example.com/".into(),
        _ => "text".into(),
    }
}
