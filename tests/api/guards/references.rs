//! Ids in bodies: a reference to something of another workspace is refused like one to nothing,
//! wherever in a body it stands.

use serde_json::{Value, json};
use uuid::Uuid;

use super::calls::{Faults, Operation, plain, secured};
use super::fixtures::{Fixtures, quiet_keys, seed};
use crate::harness::{Answer, App, Client};

/// Ids of what other systems keep, or of resources that are still to come: stored as they are.
const UNCHECKED: [&str; 3] =
    ["/content/conversation_id", "/content/campaign_id", "/context/session_id"];

/// How deep references are looked for.
const LEVELS: usize = 4;

/// The pointers of all ids in an object, through nested objects and the first item of lists.
fn ids(schema: &'static Value, at: &str, levels: usize, found: &mut Vec<String>) {
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
            ids(item, &format!("{here}/0"), levels - 1, found);
        } else {
            ids(inner, &here, levels - 1, found);
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

/// The answer without the ids that differ by nature.
fn essence(answer: &Answer, id: &str) -> (u16, String) {
    let mut body = answer.json.clone();
    if let Some(problem) = body.as_object_mut() {
        problem.remove("request_id");
    }
    (answer.status, body.to_string().replace(id, "ID"))
}

fn send(operation: &Operation, own: &Fixtures, caller: &Client, body: &Value) -> Answer {
    operation.call(|id| own.id(&operation.resource(id))).saying(body).send(caller)
}

#[test]
fn a_foreign_id_in_a_body_is_refused_like_an_absent_one() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let (own, foreign) = (seed(&caller), seed(&stranger));
    quiet_keys(&app);
    let before = app.checksums();
    let (mut references, mut faults) = (0, Faults::default());
    for operation in secured().iter().filter(|operation| !operation.is_operators()) {
        let Some(body) = operation.json_body() else { continue };
        let mut pointers = Vec::new();
        ids(body.schema, "", LEVELS, &mut pointers);
        for pointer in pointers.iter().filter(|p| !UNCHECKED.iter().any(|u| p.ends_with(u))) {
            let absent = Uuid::now_v7().to_string();
            let expected = send(operation, &own, &caller, &with(&body.example, pointer, &absent));
            for (resource, id) in foreign.ids() {
                let actual = send(operation, &own, &caller, &with(&body.example, pointer, id));
                let place = format!("{} {pointer} = {resource}", operation.place());
                if !is_refused(&actual) {
                    faults.add(format!("{place}: {}", actual.text));
                }
                faults.expect(&place, essence(&actual, id), essence(&expected, &absent));
                references += 1;
            }
        }
    }
    faults.none();
    assert!(references > 0);
    assert_eq!(app.checksums(), before);
}

/// As a whole, or as the one item of a batch.
fn is_refused(answer: &Answer) -> bool {
    let is_batch = answer.status == 207 && answer.json["failed"] == 1;
    (400..500).contains(&answer.status) || is_batch
}
