//! A typing error in a query never means "everything".

use serde_json::Value;

use super::calls::{Faults, Operation, escape, name, operations, plain, resolve, secured};
use super::fixtures::seed;
use crate::harness::{Answer, workspace};

fn parameter_fault(answer: &Answer) -> (u16, &str, &str) {
    let parameter = answer.json["errors"][0]["parameter"].as_str().unwrap_or_default();
    (answer.status, answer.code(), parameter)
}

/// All of `/v1`, except where OAuth has its own errors and wants unknown parameters ignored
/// (RFC 6749, 3.2).
fn answers_problems(operation: &Operation) -> bool {
    let refused = resolve(&operation.value["responses"]["400"]);
    let is_problem = refused["content"]["application/problem+json"].is_object();
    operation.path.starts_with("/v1") && is_problem
}

#[test]
fn every_operation_refuses_a_parameter_it_does_not_have() {
    let client = workspace();
    let fixtures = seed(&client);
    let mut faults = Faults::default();
    for operation in operations().into_iter().filter(answers_problems) {
        let call = operation.call(|id| fixtures.id(&operation.resource(id)));
        let known = operation.parameters("query").into_iter();
        let near_misses = known.map(|parameter| name(parameter).to_uppercase());
        for wrong in near_misses.chain(["limt".into(), "filter[email]".into(), String::new()]) {
            let answer = call.clone().asking(&format!("{}=1", escape(&wrong))).send(&client);
            let place = format!("{} ?{wrong}: {}", operation.place(), answer.text);
            let expected = (400, "unknown_parameter", wrong.as_str());
            faults.expect(&place, parameter_fault(&answer), expected);
        }
    }
    faults.none();
}

#[test]
fn every_parameter_with_a_closed_value_refuses_others() {
    let client = workspace();
    let fixtures = seed(&client);
    let mut faults = Faults::default();
    for operation in secured() {
        for parameter in operation.parameters("query") {
            let Some(wrong) = not_a(plain(&parameter["schema"])) else { continue };
            let call = operation.call(|id| fixtures.id(&operation.resource(id)));
            let answer = call.asking(&format!("{}={wrong}", name(parameter))).send(&client);
            let what = format!("{} {}={wrong}", operation.place(), name(parameter));
            let place = format!("{what}: {}", answer.text);
            faults.expect(&place, (answer.status, answer.code()), (400, "invalid_parameter"));
        }
    }
    faults.none();
}

/// A value that the schema excludes.
fn not_a(schema: &'static Value) -> Option<&'static str> {
    let inner = plain(if schema["items"].is_object() { &schema["items"] } else { schema });
    let is_closed = inner["enum"].is_array()
        || ["uuid", "date", "date-time"].iter().any(|format| inner["format"] == *format)
        || ["integer", "boolean"].iter().any(|kind| inner["type"] == *kind);
    is_closed.then_some("nonsense")
}

#[test]
fn a_parameter_longer_than_the_document_allows_is_refused() {
    let client = workspace();
    let (mut tried, mut faults) = (0, Faults::default());
    for operation in secured() {
        for parameter in operation.parameters("query") {
            let Some(most) = parameter["schema"]["maxLength"].as_u64() else { continue };
            // Characters are counted, not bytes.
            let text = escape(&"\u{e4}".repeat(usize::try_from(most).expect("a length") + 1));
            let call = operation.call(|_| uuid::Uuid::now_v7().to_string());
            let answer = call.asking(&format!("{}={text}", name(parameter))).send(&client);
            let place = format!("{} {}", operation.place(), name(parameter));
            let expected = (400, "invalid_parameter", name(parameter));
            faults.expect(&place, parameter_fault(&answer), expected);
            tried += 1;
        }
    }
    faults.none();
    assert!(tried >= 8, "only {tried} parameters have a length");
}

/// A parameter that takes one value takes it once (B12).
#[test]
fn a_parameter_with_one_value_is_refused_twice() {
    let client = workspace();
    for (path, query) in [
        ("/v1/customers", "limit=1&limit=2"),
        ("/v1/customers", "cursor=a&cursor=b"),
        ("/v1/customers", "include_total=true&include_total=false"),
    ] {
        let answer = client.get(&format!("{path}?{query}"));
        assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"), "{query}");
    }
}
