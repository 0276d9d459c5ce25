//! Reading a document: its operations, its schemas with the place of each, and who uses them.

use std::collections::BTreeSet;

use serde_json::Value;

const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

pub struct Operation<'a> {
    pub path: &'a str,
    pub method: &'a str,
    pub value: &'a Value,
}

impl<'a> Operation<'a> {
    /// How a violation names it.
    pub fn place(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    pub fn is_public(&self) -> bool {
        self.value["x-public"] == true
    }

    /// Its own and its shared parameters, the latter looked up.
    pub fn parameters(&self, document: &'a Value) -> Vec<&'a Value> {
        list(&self.value["parameters"]).map(|parameter| resolve(document, parameter)).collect()
    }

    /// Status and answer, the shared answers not looked up.
    pub fn responses(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        entries(&self.value["responses"])
    }

    pub fn successes(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.responses().filter(|(status, _)| is_success(status))
    }

    /// Name of the component schema of the success body.
    pub fn answer_name(&self) -> Option<&'a str> {
        self.successes().find_map(|(_, answer)| body_name(answer))
    }
}

pub fn is_success(status: &str) -> bool {
    status.starts_with('2') || (status.starts_with('3') && status != "304")
}

/// Name of the component schema of the first media type.
pub fn body_name(holder: &Value) -> Option<&str> {
    entries(&holder["content"]).find_map(|(_, body)| reference(&body["schema"]))
}

pub fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    entries(&document["paths"]).flat_map(|(path, item)| {
        let described = entries(item).filter(|(method, _)| METHODS.contains(&method.as_str()));
        described.map(move |(method, value)| Operation { path, method, value })
    })
}

pub fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

pub fn list(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

/// What a `$ref` anywhere in the document leads to, or the value itself.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|target| target.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or(&Value::Null),
        None => value,
    }
}

/// The name of the component schema that a schema refers to.
pub fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

/// Whether a schema allows null beside something else.
pub fn is_nullable(schema: &Value) -> bool {
    let null = |value: &Value| value == "null" || value["type"] == "null";
    list(&schema["type"]).any(null) || list(&schema["oneOf"]).any(null)
}

pub fn components(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    entries(&document["components"]["schemas"])
}

/// Every schema of the document, those inside others included, with its place.
pub fn schemas(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (name, schema) in components(document) {
        inside(name.clone(), schema, &mut found);
    }
    for operation in operations(document) {
        for parameter in operation.parameters(document) {
            let place = format!("{} {}", operation.place(), parameter["name"]);
            inside(place, &parameter["schema"], &mut found);
        }
        for (status, schema) in bodies(&operation) {
            inside(format!("{} {status}", operation.place()), schema, &mut found);
        }
    }
    found
}

/// The schemas of the request body and of each answer, with `body` or the status.
pub fn bodies<'a>(operation: &Operation<'a>) -> Vec<(&'a str, &'a Value)> {
    let value = operation.value;
    let request = [("body", &value["requestBody"])];
    let answers = entries(&value["responses"]).map(|(status, answer)| (status.as_str(), answer));
    let holders = request.into_iter().chain(answers);
    holders
        .flat_map(|(place, holder)| {
            entries(&holder["content"]).map(move |(_, body)| (place, &body["schema"]))
        })
        .collect()
}

/// A schema and those inside it.
pub fn inside<'a>(place: String, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    for (name, property) in entries(&schema["properties"]) {
        inside(format!("{place}.{name}"), property, found);
    }
    for key in ["items", "additionalProperties", "propertyNames"] {
        if schema[key].is_object() {
            inside(format!("{place} {key}"), &schema[key], found);
        }
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        list(&schema[key]).for_each(|choice| inside(format!("{place} {key}"), choice, found));
    }
    found.push((place, schema));
}

/// Names of the component schemas that answers reach; those nobody reaches are event payloads,
/// which are answers too.
pub fn answered(document: &Value) -> BTreeSet<&str> {
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for operation in operations(document) {
        for (place, schema) in bodies(&operation) {
            reach(document, schema, if place == "body" { &mut asked } else { &mut answered });
        }
        for parameter in operation.parameters(document) {
            reach(document, &parameter["schema"], &mut asked);
        }
    }
    for (name, schema) in components(document) {
        if !asked.contains(name.as_str()) && answered.insert(name) {
            reach(document, schema, &mut answered);
        }
    }
    answered
}

fn reach<'a>(document: &'a Value, schema: &'a Value, names: &mut BTreeSet<&'a str>) {
    let mut found = Vec::new();
    inside(String::new(), schema, &mut found);
    for name in found.into_iter().filter_map(|(_, schema)| reference(schema)) {
        if names.insert(name) {
            reach(document, &document["components"]["schemas"][name], names);
        }
    }
}
