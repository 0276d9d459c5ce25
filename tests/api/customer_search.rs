//! Finding customers: filters, free text, predicates, order and pages.

mod did;
mod filters;
mod predicates;
mod refusals;
mod walk;

use serde_json::{Value, json};

use crate::customers::{PATH, texts};
use crate::harness::{Answer, Client};

fn search(client: &Client, body: Value) -> Answer {
    client.post(&format!("{PATH}/search"), body)
}

/// The first names of those whom a predicate finds, in alphabetical order.
#[track_caller]
fn found(client: &Client, predicate: &Value) -> Vec<String> {
    let answer = search(client, json!({ "where": predicate, "limit": 200 })).expect(200);
    let mut names = texts(&answer, "first_name");
    names.sort();
    names
}

/// Fails unless each predicate finds exactly these.
#[track_caller]
fn finds(client: &Client, cases: &[(Value, &[&str])]) {
    for (predicate, expected) in cases {
        assert_eq!(&found(client, predicate), expected, "{predicate}");
    }
}

fn field(name: &str, op: &str, value: impl Into<Value>) -> Value {
    json!({ "field": name, "op": op, "value": value.into() })
}
