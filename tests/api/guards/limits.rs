//! What the document says about texts is what happens: too long is refused, and so is NUL.

use serde_json::{Value, json};

use super::calls::{Faults, Operation, plain, secured};
use super::fixtures::{Fixtures, quiet_keys, seed};
use crate::harness::{Answer, App, Client};

/// A text property at the top of a request body.
struct TextProperty {
    name: &'static str,
    schema: &'static Value,
}

fn is_text(schema: &Value) -> bool {
    let kinds = schema["type"].as_array().into_iter().flatten().chain([&schema["type"]]);
    kinds.into_iter().any(|kind| kind == "string")
}

fn texts(schema: &'static Value) -> Vec<TextProperty> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, property)| TextProperty { name, schema: plain(property) })
        .filter(|property| is_text(property.schema))
        .collect()
}

fn with(example: &Value, name: &str, value: &str) -> Value {
    let mut body = example.clone();
    body[name] = json!(value);
    body
}

fn send(operation: &Operation, own: &Fixtures, caller: &Client, body: &Value) -> Answer {
    operation.call(|id| own.id(&operation.resource(id))).saying(body).send(caller)
}

/// Sends every JSON body with each of its texts replaced by what `wrong` says, expects 422 at its
/// place (and this code, where one is given), and that nothing was written.
fn refused(code: Option<&str>, wrong: impl Fn(&TextProperty) -> Vec<String>) {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let own = seed(&client);
    quiet_keys(&app);
    let (before, mut faults) = (app.checksums(), Faults::default());
    for operation in secured().iter().filter(|operation| !operation.is_operators()) {
        let Some(body) = operation.json_body() else { continue };
        for property in texts(body.schema) {
            for text in wrong(&property) {
                let wrong = with(&body.example, property.name, &text);
                let answer = send(operation, &own, &client, &wrong);
                let place = format!("{} {}: {}", operation.place(), property.name, answer.text);
                let (fault, pointer) = answer.fault();
                let at = format!("#/{}", property.name);
                let expected = (422, code.unwrap_or(fault), at.as_str());
                faults.expect(&place, (answer.status, fault, pointer), expected);
            }
        }
    }
    faults.none();
    assert_eq!(app.checksums(), before);
}

/// A1
#[test]
fn nul_is_refused_in_every_text_of_every_body() {
    refused(Some("nul_character"), |_| vec!["a\0b".into()]);
}

/// A21: lengths are counted in characters, also in those of four bytes.
#[test]
fn a_text_longer_than_the_document_allows_is_refused_at_its_place() {
    refused(None, |property| {
        let most = property.schema["maxLength"].as_u64();
        let Some(most) = most.and_then(|most| usize::try_from(most).ok()) else { return vec![] };
        ["x", "\u{1f9d7}"].map(|letter| letter.repeat(most + 1)).into()
    });
}

/// A21
#[test]
fn a_text_shorter_than_the_document_allows_is_refused_at_its_place() {
    refused(None, |property| {
        let least = property.schema["minLength"].as_u64().unwrap_or_default();
        if least > 0 { vec![String::new()] } else { vec![] }
    });
}

const NUL: (u16, &str) = (422, "nul_character");

/// A1
#[test]
fn nul_is_refused_in_every_path_and_query() {
    let client = crate::harness::workspace();
    let mut faults = Faults::default();
    for operation in secured().iter().filter(|operation| !operation.is_operators()) {
        let call = operation.call(|_| "\0".into());
        if call.path.contains("%00") {
            let answer = call.send(&client);
            faults.expect(&operation.place(), (answer.status, answer.fault().0), NUL);
        }
        for parameter in operation.parameters("query") {
            let call = operation.call(|_| uuid::Uuid::now_v7().to_string());
            let query = format!("{}=%00", super::calls::name(parameter));
            let answer = call.asking(&query).send(&client);
            let place = format!("{} {query}", operation.place());
            faults.expect(&place, (answer.status, answer.fault().0), NUL);
        }
    }
    faults.none();
}
