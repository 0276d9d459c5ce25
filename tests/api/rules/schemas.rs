//! The rules about shapes: names, enums, nullability, numbers and maps.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::walk::{
    answered, bodies, body_name, components, entries, inside, list, operations, reference, schemas,
};

/// No inline objects, `PascalCase` names that no map inside another schema gets too (generators name it
/// after both), and every `$ref` leads somewhere.
pub fn r3(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let known: BTreeSet<&str> = components(document).map(|(name, _)| name.as_str()).collect();
    for name in &known {
        let pascal = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !pascal {
            found.push(format!("schema name `{name}` is not PascalCase"));
        }
    }
    for (place, schema) in schemas(document) {
        if schema["properties"].is_object() && !known.contains(place.as_str()) {
            found.push(format!("{place}: inline object"));
        }
        let of_both = place.replace(['.', '_'], "").to_lowercase();
        let is_map = schema["additionalProperties"].is_object() && place.contains('.');
        if is_map && known.iter().any(|name| name.to_lowercase() == of_both) {
            found.push(format!("{place}: a map that would be named like a schema"));
        }
        if schema["$ref"].is_string() && !reference(schema).is_some_and(|n| known.contains(n)) {
            found.push(format!("{place}: {} leads nowhere", schema["$ref"]));
        }
    }
    for operation in operations(document) {
        for (place, schema) in bodies(&operation) {
            if schema["type"] != "string" && reference(schema).is_none() {
                found.push(format!("{} {place}: body without a name", operation.place()));
            }
        }
    }
    found
}

/// No `oneOf`, `anyOf`, `allOf`, `not` or discriminator, except for "null or `$ref`".
pub fn r4(document: &Value) -> Vec<String> {
    let combined = |schema: &Value| {
        let choices = schema["oneOf"].as_array();
        let nullable = choices.is_none_or(|choices| {
            matches!(choices.as_slice(), [null, other]
                if *null == json!({ "type": "null" })
                    && reference(other).is_some()
                    && other.as_object().is_some_and(|map| map.len() == 1))
        });
        let others = ["anyOf", "allOf", "not", "discriminator"];
        !nullable || others.iter().any(|key| !schema[*key].is_null())
    };
    let places = schemas(document).into_iter().filter(|(_, schema)| combined(schema));
    places.map(|(place, _)| format!("{place}: combines schemas")).collect()
}

/// `X`, `NewX`, `XPatch` and `XList` each in their place, and lists of one form.
pub fn r5(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for operation in operations(document) {
        let asks = body_name(&operation.value["requestBody"]);
        let patches = asks.is_some_and(|name| name.ends_with("Patch"));
        // An upsert by an outside key takes what a patch takes: absent fields are left alone.
        let is_upsert = operation.method == "put" && operation.path.ends_with("{external_id}");
        if asks.is_some() && !is_upsert && patches != (operation.method == "patch") {
            found.push(format!("{}: a `…Patch` is what PATCH takes", operation.place()));
        }
        let answers = operation.answer_name().unwrap_or_default();
        if answers.ends_with("Patch") || (answers.starts_with("New") && asks == Some(answers)) {
            found.push(format!("{}: answers `{answers}`", operation.place()));
        }
    }
    for (name, schema) in components(document) {
        let is_page = schema["properties"]["has_more"].is_object();
        let parts = ["data", "has_more", "next_cursor"];
        let whole = parts.iter().all(|part| schema["properties"][*part].is_object());
        if name.ends_with("List") != is_page || (is_page && !whole) {
            found.push(format!("{name}: a list is `…List` with data, has_more and next_cursor"));
        }
    }
    found
}

/// The schemas that answers hold, with those inside them.
fn answer_schemas(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    let names = answered(document);
    for (name, schema) in components(document).filter(|(name, _)| names.contains(name.as_str())) {
        inside(name.clone(), schema, &mut found);
    }
    for operation in operations(document) {
        for (place, schema) in bodies(&operation).into_iter().filter(|(place, _)| *place != "body")
        {
            inside(format!("{} {place}", operation.place()), schema, &mut found);
        }
    }
    found
}

/// Closed enums only in requests; in answers a string that names the values known today.
pub fn r6(document: &Value) -> Vec<String> {
    let answers = answer_schemas(document).into_iter();
    let closed = answers.filter(|(_, schema)| !schema["enum"].is_null());
    let mut found: Vec<_> = closed.map(|(place, _)| format!("{place}: closed enum")).collect();
    for (place, schema) in schemas(document) {
        let open = &schema["x-extensible-enum"];
        let strings = list(open).count() > 0 && list(open).all(Value::is_string);
        if !open.is_null() && !strings {
            found.push(format!("{place}: x-extensible-enum must hold strings"));
        }
    }
    found
}

/// Every property of an answer is required.
pub fn r7(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (place, schema) in answer_schemas(document) {
        let required: BTreeSet<&str> =
            list(&schema["required"]).filter_map(Value::as_str).collect();
        let optional =
            entries(&schema["properties"]).filter(|(n, _)| !required.contains(n.as_str()));
        // RFC 6749, 5.1: absent, never null.
        let optional = optional.filter(|(name, _)| *name != "refresh_token");
        found.extend(optional.map(|(name, _)| format!("{place}.{name}: optional in an answer")));
    }
    found
}

/// Every property of a patch is optional, and none has a `default`, which generators of TypeScript take
/// for a demand.
pub fn r8(document: &Value) -> Vec<String> {
    let patches = components(document).filter(|(name, _)| name.ends_with("Patch"));
    let demanding = patches.filter(|(_, schema)| list(&schema["required"]).next().is_some());
    let demanding = demanding.map(|(name, _)| format!("{name}: a patch demands something"));
    let told = components(document).flat_map(|(name, schema)| {
        let properties = entries(&schema["properties"]);
        let told = properties.filter(|(_, property)| property.get("default").is_some());
        told.map(move |(property, _)| format!("{name}.{property} has a `default`"))
    });
    demanding.chain(told).collect()
}

/// Maps say what they hold; a property that may be anything says why.
pub fn r15(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (place, schema) in schemas(document) {
        let object = schema["type"] == "object" || list(&schema["type"]).any(|t| t == "object");
        let known = schema["properties"].is_object() || !schema["additionalProperties"].is_null();
        if object && !known {
            found.push(format!("{place}: an object of unknown content"));
        }
        let said = ["type", "$ref", "oneOf", "enum", "anyOf", "allOf", "description"];
        let value_of_map = place.ends_with(" additionalProperties");
        if !value_of_map && said.iter().all(|key| schema[*key].is_null()) {
            found.push(format!("{place}: anything, without a reason"));
        }
    }
    found
}

/// Integers say how wide they are, and none is wider than its own limits.
pub fn r16(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (place, schema) in schemas(document) {
        let integer = schema["type"] == "integer" || list(&schema["type"]).any(|t| t == "integer");
        let small = schema["maximum"].as_i64().is_some_and(|most| most <= i64::from(i32::MAX));
        let holds = match schema["format"].as_str() {
            Some("int32") => true,
            Some("int64") => !small,
            _ => false,
        };
        if integer && !holds {
            found.push(format!("{place}: int32 unless it must be int64"));
        }
    }
    found
}

/// Enum values stay different as constants (`on-sale` and `ON_SALE` would not).
pub fn r19(document: &Value) -> Vec<String> {
    let constant = |value: &Value| -> String {
        let text = value.as_str().unwrap_or_default().to_uppercase();
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    };
    let collide = |values: &Value| {
        let mut seen = BTreeSet::new();
        list(values).filter(|v| v.is_string()).any(|value| !seen.insert(constant(value)))
    };
    let enums = schemas(document).into_iter();
    enums
        .filter(|(_, schema)| collide(&schema["enum"]) || collide(&schema["x-extensible-enum"]))
        .map(|(place, _)| format!("{place}: enum values collide"))
        .collect()
}
