//! What a change of the document would break for a client that was written before (R20).
//!
//! Compared is what a client sees: operations, their parameters and bodies, followed through all
//! references, so that moving a schema breaks nothing and changing it does.

use std::collections::BTreeSet;

use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Every change from `old` to `new` that a client written for `old` may not survive.
pub fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut compare = Compare { old, new, broken: BTreeSet::new(), seen: BTreeSet::new() };
    for (path, item) in entries(&old["paths"]) {
        for method in METHODS.iter().filter(|method| item[**method].is_object()) {
            let place = format!("{} {path}", method.to_uppercase());
            match &new["paths"][path][*method] {
                Value::Null => compare.report(format!("{place}: the operation is gone")),
                operation => compare.operation(&place, &item[*method], operation),
            }
        }
    }
    compare.broken.into_iter().collect()
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

fn list(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

fn holds(array: &Value, word: &Value) -> bool {
    list(array).any(|known| known == word)
}

/// Who sends a schema's values: what may grow and what may shrink depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Asked,
    Answered,
}

struct Compare<'a> {
    old: &'a Value,
    new: &'a Value,
    broken: BTreeSet<String>,
    /// Pairs of references that were compared before: schemas may refer to themselves.
    seen: BTreeSet<(Side, String, String)>,
}

impl<'a> Compare<'a> {
    fn report(&mut self, change: String) {
        self.broken.insert(change);
    }

    fn operation(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        if old["operationId"] != new["operationId"] {
            self.report(format!("{place}: `{}` has another name", text(&old["operationId"])));
        }
        for scope in list(&new["x-required-scopes"]) {
            if !holds(&old["x-required-scopes"], scope) {
                self.report(format!("{place}: needs the scope {scope} now"));
            }
        }
        self.parameters(place, old, new);
        self.request(place, &old["requestBody"], &new["requestBody"]);
        for (status, answer) in entries(&old["responses"]).filter(|(s, _)| s.starts_with('2')) {
            match &new["responses"][status] {
                Value::Null => self.report(format!("{place}: no longer answers {status}")),
                other => self.content(&format!("{place} {status}"), Side::Answered, answer, other),
            }
        }
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let (old, new) = (self.parameters_of(self.old, old), self.parameters_of(self.new, new));
        let same = |a: &Value, b: &Value| a["name"] == b["name"] && a["in"] == b["in"];
        for parameter in &old {
            let name = text(&parameter["name"]);
            match new.iter().find(|other| same(parameter, other)) {
                None => self.report(format!("{place}: the parameter `{name}` is gone")),
                Some(other) => {
                    let (old, new) = (&parameter["schema"], &other["schema"]);
                    self.schema(&format!("{place} ?{name}"), Side::Asked, old, new);
                }
            }
        }
        for parameter in new.iter().filter(|parameter| parameter["required"] == true) {
            let was_required = |other: &&Value| same(parameter, other) && other["required"] == true;
            if !old.iter().any(was_required) {
                let name = text(&parameter["name"]);
                self.report(format!("{place}: the parameter `{name}` is required now"));
            }
        }
    }

    fn parameters_of(&self, document: &'a Value, operation: &'a Value) -> Vec<&'a Value> {
        list(&operation["parameters"]).map(|parameter| resolve(document, parameter)).collect()
    }

    fn request(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        match (old.is_null(), new.is_null()) {
            (true, true) => {}
            (true, false) => self.report(format!("{place}: takes a body now")),
            (false, true) => self.report(format!("{place}: takes no body any more")),
            (false, false) => self.content(&format!("{place} body"), Side::Asked, old, new),
        }
    }

    fn content(&mut self, place: &str, side: Side, old: &'a Value, new: &'a Value) {
        let (old, new) = (resolve(self.old, old), resolve(self.new, new));
        for (media_type, body) in entries(&old["content"]) {
            match &new["content"][media_type] {
                Value::Null => self.report(format!("{place}: no longer {media_type}")),
                other => self.schema(place, side, &body["schema"], &other["schema"]),
            }
        }
    }

    fn schema(&mut self, place: &str, side: Side, old: &'a Value, new: &'a Value) {
        let (was_nullable, is_nullable) = (is_nullable(old), is_nullable(new));
        let narrows = side == Side::Asked && was_nullable && !is_nullable;
        let widens = side == Side::Answered && is_nullable && !was_nullable;
        if narrows || widens {
            let word = if narrows { "no longer takes null" } else { "may be null now" };
            self.report(format!("{place}: {word}"));
        }
        let names = (text(&choice(old)["$ref"]), text(&choice(new)["$ref"]));
        if !names.0.is_empty() && !self.seen.insert((side, names.0.into(), names.1.into())) {
            return;
        }
        let (old, new) = (resolve(self.old, choice(old)), resolve(self.new, choice(new)));
        self.kind(place, old, new);
        self.words(place, side, old, new);
        self.properties(place, side, old, new);
        for key in ["items", "additionalProperties"] {
            if old[key].is_object() && new[key].is_object() {
                self.schema(&format!("{place}[]"), side, &old[key], &new[key]);
            }
        }
    }

    fn kind(&mut self, place: &str, old: &Value, new: &Value) {
        for key in ["type", "format"] {
            let kinds = |schema: &Value| {
                let all = list(&schema[key]).chain([&schema[key]]).filter_map(Value::as_str);
                all.filter(|kind| *kind != "null").map(String::from).collect::<BTreeSet<_>>()
            };
            let (was, is) = (kinds(old), kinds(new));
            if !was.is_empty() && was != is {
                self.report(format!("{place}: {key} was {was:?} and is {is:?}"));
            }
        }
    }

    /// A request may not lose a word; an answer may not gain one where the set was closed.
    fn words(&mut self, place: &str, side: Side, old: &Value, new: &Value) {
        let (kept, among) = match side {
            Side::Asked => (&old["enum"], &new["enum"]),
            Side::Answered => (&new["enum"], &old["enum"]),
        };
        if among.is_array() {
            for word in list(kept).filter(|word| !holds(among, word)) {
                let what = if side == Side::Asked { "no longer takes" } else { "may answer" };
                self.report(format!("{place}: {what} {word}"));
            }
        }
    }

    fn properties(&mut self, place: &str, side: Side, old: &'a Value, new: &'a Value) {
        for (name, property) in entries(&old["properties"]) {
            let here = format!("{place}.{name}");
            match &new["properties"][name] {
                Value::Null => self.report(format!("{here}: the property is gone")),
                other => self.schema(&here, side, property, other),
            }
        }
        let (kept, among, what) = match side {
            Side::Asked => (&new["required"], &old["required"], "is required now"),
            Side::Answered => (&old["required"], &new["required"], "may be absent now"),
        };
        for name in list(kept).filter(|name| !holds(among, name)) {
            if old["properties"].is_object() {
                self.report(format!("{place}.{}: {what}", text(name)));
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|target| target.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or(&Value::Null),
        None => value,
    }
}

/// The one schema beside null.
fn choice(schema: &Value) -> &Value {
    list(&schema["oneOf"]).find(|one| one["type"] != "null").unwrap_or(schema)
}

fn is_nullable(schema: &Value) -> bool {
    list(&schema["type"]).any(|kind| kind == "null")
        || list(&schema["oneOf"]).any(|one| one["type"] == "null")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A list that can be filtered and a thing that can be made.
    fn document() -> Value {
        json!({
            "paths": { "/things": {
                "get": {
                    "operationId": "list_things",
                    "x-required-scopes": ["things:read"],
                    "parameters": [{ "name": "q", "in": "query", "schema": { "type": "string" } }],
                    "responses": { "200": { "content": { "application/json": {
                        "schema": { "$ref": "#/components/schemas/Thing" } } } } },
                },
                "post": {
                    "operationId": "create_thing",
                    "requestBody": { "content": { "application/json": {
                        "schema": { "$ref": "#/components/schemas/NewThing" } } } },
                    "responses": { "201": {} },
                },
            } },
            "components": { "schemas": {
                "Thing": {
                    "type": "object",
                    "required": ["id", "parent"],
                    "properties": {
                        "id": { "type": "string", "format": "uuid" },
                        "parent": { "oneOf": [
                            { "type": "null" }, { "$ref": "#/components/schemas/Thing" }] },
                    },
                },
                "NewThing": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": { "type": ["string", "null"] },
                        "size": { "type": "string", "enum": ["small", "large"] },
                    },
                },
            } },
        })
    }

    const ANSWER: &str = "/components/schemas/Thing";
    const REQUEST: &str = "/components/schemas/NewThing";

    /// What changing one place breaks; null removes what is there.
    fn after(pointer: &str, value: Value) -> Vec<String> {
        let old = document();
        let mut new = document();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = new.pointer_mut(parent).expect("a parent");
        match (parent, value) {
            (Value::Object(map), Value::Null) => drop(map.remove(key)),
            (Value::Object(map), value) => drop(map.insert(key.into(), value)),
            (other, _) => panic!("{other} has no keys"),
        }
        breaking_changes(&old, &new)
    }

    #[test]
    fn nothing_breaks_when_nothing_changes() {
        assert_eq!(breaking_changes(&document(), &document()), Vec::<String>::new());
    }

    #[test]
    fn additions_break_nothing() {
        let more = json!({ "type": "string" });
        for (pointer, value) in [
            ("/paths/~1things/delete", json!({ "operationId": "delete_things" })),
            (&format!("{ANSWER}/properties/color"), more.clone()),
            (&format!("{REQUEST}/properties/color"), more),
            (&format!("{REQUEST}/properties/size/enum"), json!(["small", "large", "huge"])),
            (&format!("{REQUEST}/required"), json!([])),
            ("/components/schemas/Other", json!({ "type": "object" })),
        ] {
            assert_eq!(after(pointer, value), Vec::<String>::new(), "{pointer}");
        }
    }

    #[test]
    fn what_a_client_relies_on_must_not_go() {
        for (pointer, value, expected) in [
            ("/paths/~1things/get", Value::Null, "GET /things: the operation is gone"),
            (
                "/paths/~1things/get/operationId",
                json!("find_things"),
                "GET /things: `list_things` has another name",
            ),
            (
                "/paths/~1things/get/parameters",
                Value::Null,
                "GET /things: the parameter `q` is gone",
            ),
            (
                "/paths/~1things/get/x-required-scopes",
                json!(["things:read", "things:all"]),
                "GET /things: needs the scope \"things:all\" now",
            ),
            (
                "/paths/~1things/post/responses",
                json!({ "202": {} }),
                "POST /things: no longer answers 201",
            ),
            (
                &format!("{ANSWER}/properties/id"),
                Value::Null,
                "GET /things 200.id: the property is gone",
            ),
            (
                &format!("{ANSWER}/properties/id/type"),
                json!("integer"),
                "GET /things 200.id: type was {\"string\"} and is {\"integer\"}",
            ),
            (
                &format!("{ANSWER}/properties/id/type"),
                json!(["string", "null"]),
                "GET /things 200.id: may be null now",
            ),
            (
                &format!("{ANSWER}/required"),
                json!(["parent"]),
                "GET /things 200.id: may be absent now",
            ),
            (
                &format!("{REQUEST}/required"),
                json!(["name", "size"]),
                "POST /things body.size: is required now",
            ),
            (
                &format!("{REQUEST}/properties/name/type"),
                json!("string"),
                "POST /things body.name: no longer takes null",
            ),
            (
                &format!("{REQUEST}/properties/size/enum"),
                json!(["small"]),
                "POST /things body.size: no longer takes \"large\"",
            ),
        ] {
            let broken = after(pointer, value);
            assert!(broken.iter().any(|change| change == expected), "{pointer}: {broken:?}");
        }
    }

    #[test]
    fn a_new_required_parameter_breaks_callers() {
        let parameters = json!([
            { "name": "q", "in": "query", "schema": { "type": "string" } },
            { "name": "of", "in": "query", "required": true, "schema": { "type": "string" } },
        ]);
        let broken = after("/paths/~1things/get/parameters", parameters);
        assert_eq!(broken, ["GET /things: the parameter `of` is required now"]);
    }
}
