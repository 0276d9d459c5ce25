//! Every place of a request where an id can stand, found in the document.

use serde_json::{Value, json};

use super::calls::{Call, Operation, name, plain, resolve};
use super::fixtures::Fixtures;

/// How deep ids are looked for.
const LEVELS: usize = 6;

/// A place for an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// Parameters of the path, one of them or several at once.
    Path(Vec<&'static str>),
    Query(&'static str),
    /// A pointer into the body; `0` is the first item of a list.
    Body(String),
}

/// All of an operation: the path's parameters in every combination, the query's, the body's.
pub fn positions(operation: &Operation) -> Vec<Position> {
    let ids = operation.ids();
    let choices = 1_usize..1 << ids.len();
    let chosen = |choice: usize| {
        let all = ids.iter().enumerate();
        all.filter(|(i, _)| choice & (1 << i) != 0).map(|(_, id)| *id).collect()
    };
    let mut found: Vec<_> = choices.map(|choice| Position::Path(chosen(choice))).collect();
    let query = operation.parameters("query").into_iter().filter(|p| is_id(&p["schema"]));
    found.extend(query.map(|parameter| Position::Query(name(parameter))));
    let mut pointers = Vec::new();
    if let Some(body) = operation.body() {
        in_body(body.schema, "", LEVELS, &mut pointers);
    }
    found.extend(pointers.into_iter().map(Position::Body));
    found
}

fn is_id(schema: &'static Value) -> bool {
    let schema = plain(schema);
    schema["format"] == "uuid" || plain(&schema["items"])["format"] == "uuid"
}

/// The pointers of all ids in an object, through nested objects and the first item of lists.
fn in_body(schema: &'static Value, at: &str, levels: usize, found: &mut Vec<String>) {
    if levels == 0 {
        return;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let (inner, here) = (plain(property), format!("{at}/{name}"));
        if inner["format"] == "uuid" {
            found.push(here);
        } else if inner["items"].is_object() {
            let item = plain(&inner["items"]);
            if item["format"] == "uuid" {
                found.push(format!("{here}/0"));
            }
            in_body(item, &format!("{here}/0"), levels - 1, found);
        } else {
            in_body(inner, &here, levels - 1, found);
        }
    }
}

impl Position {
    /// A request with an id in this place, everything else being the caller's own.
    pub fn call(
        &self,
        operation: &Operation,
        own: &Fixtures,
        id_of: &dyn Fn(&str) -> String,
    ) -> Call {
        let call = operation.call(|parameter| {
            let resource = operation.resource(parameter);
            let is_here = matches!(self, Self::Path(names) if names.contains(&parameter));
            if is_here { id_of(&resource) } else { own.id(&resource) }
        });
        match self {
            Self::Path(_) => call,
            Self::Query(name) => call.asking(&format!("{name}={}", id_of(name))),
            Self::Body(pointer) => {
                let example = operation.body().expect("a body").example;
                call.saying(&with(&example, pointer, &id_of(pointer)))
            }
        }
    }
}

/// The example body with one id in its place.
fn with(example: &Value, pointer: &str, id: &str) -> Value {
    let mut body = example.clone();
    let mut here = &mut body;
    for step in pointer.split('/').skip(1) {
        here = match step {
            "0" => {
                if here.as_array().is_none_or(Vec::is_empty) {
                    *here = json!([{}]);
                }
                &mut here[0]
            }
            name => {
                if !here.is_object() {
                    *here = json!({});
                }
                &mut here[name]
            }
        };
    }
    *here = json!(id);
    body
}

/// Every name in an operation's request (`owner_id`, `ExternalId.id`), with whether an id of ours
/// stands there: a second reading of the document, which knows nothing of the first.
pub fn names(operation: &Operation) -> Vec<(String, bool)> {
    let parameters = operation.value["parameters"].as_array().into_iter().flatten();
    let sent = parameters.map(resolve).filter(|parameter| parameter["in"] != "header");
    let mut found: Vec<_> =
        sent.map(|parameter| (name(parameter).to_owned(), is_id(&parameter["schema"]))).collect();
    properties(&operation.value["requestBody"], &mut vec![""], &mut found);
    found
}

/// Follows every reference, but none into itself.
fn properties(
    part: &'static Value,
    above: &mut Vec<&'static str>,
    found: &mut Vec<(String, bool)>,
) {
    if let Some(target) = part["$ref"].as_str() {
        if !above.contains(&target) {
            above.push(target);
            properties(resolve(part), above, found);
            above.pop();
        }
        return;
    }
    let schema = above.last().and_then(|target| target.rsplit('/').next()).unwrap_or_default();
    for (name, property) in part["properties"].as_object().into_iter().flatten() {
        found.push((format!("{schema}.{name}"), is_id(property)));
        properties(property, above, found);
    }
    let members = part.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| !["properties", "example"].contains(&name.as_str()));
    let items = part.as_array().into_iter().flatten();
    for inner in members.map(|(_, member)| member).chain(items) {
        properties(inner, above, found);
    }
}
