//! What null means in a patch is what the document says: it clears, or it is refused.

use serde_json::{Value, json};

use super::calls::{Faults, Operation, secured};
use super::fixtures::{quiet_keys, seed};
use crate::harness::App;

fn patches() -> impl Iterator<Item = Operation> {
    secured().into_iter().filter(|operation| operation.method == "PATCH")
}

fn allows_null(property: &Value) -> bool {
    let types = property["type"].as_array().into_iter().flatten();
    let choices = property["oneOf"].as_array().into_iter().flatten();
    types.chain(choices).any(|one| one == "null" || one["type"] == "null")
}

#[test]
fn null_is_refused_at_its_place_where_nothing_can_be_cleared() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let own = seed(&client);
    quiet_keys(&app);
    let (before, mut tried, mut faults) = (app.checksums(), 0, Faults::default());
    for operation in patches() {
        let body = operation.body().expect("a patch has a body");
        let properties = body.schema["properties"].as_object().expect("properties");
        for (name, _) in properties.iter().filter(|(_, property)| !allows_null(property)) {
            let call = operation.call(|id| own.id(&operation.resource(id)));
            let answer = call.saying(&json!({ name: null })).send(&client);
            let place = format!("{} {name}: {}", operation.place(), answer.text);
            let pointer = format!("#/{name}");
            faults.expect(&place, (answer.status, answer.fault().1), (422, pointer.as_str()));
            tried += 1;
        }
    }
    faults.none();
    assert!(tried > 20, "only {tried} properties were tried");
    assert_eq!(app.checksums(), before);
}

#[test]
fn null_clears_where_the_document_allows_it() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let own = seed(&client);
    let mut faults = Faults::default();
    for operation in patches() {
        let body = operation.body().expect("a patch has a body");
        let properties = body.schema["properties"].as_object().expect("properties");
        for (name, _) in properties.iter().filter(|(_, property)| allows_null(property)) {
            let call = operation.call(|id| own.id(&operation.resource(id)));
            let answer = call.saying(&json!({ name: null })).send(&client);
            let place = format!("{} {name}: {}", operation.place(), answer.text);
            faults.expect(&place, answer.status, 200);
            let left = &answer.json[name];
            let is_clear = left.is_null() || left == &json!([]);
            faults.expect(&place, is_clear, true);
        }
    }
    faults.none();
}
