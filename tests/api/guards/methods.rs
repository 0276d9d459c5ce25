//! Every path knows its methods and says so, and `HEAD` is a `GET` without its body.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::calls::{Faults, operations};
use super::fixtures::seed;
use crate::harness::{Client, workspace};

/// The methods a caller could try (B6).
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"];

/// Each path of the document with the methods it describes and a URL of it.
fn paths() -> BTreeMap<&'static str, (BTreeSet<String>, String)> {
    let mut paths: BTreeMap<_, (BTreeSet<String>, String)> = BTreeMap::new();
    for operation in operations() {
        let url = operation.call(|_| uuid::Uuid::now_v7().to_string()).path;
        let url = url.split('?').next().unwrap_or_default().to_owned();
        let entry = paths.entry(operation.path).or_insert_with(|| (BTreeSet::new(), url));
        entry.0.insert(operation.method);
    }
    paths
}

/// The methods in an `Allow` header.
fn allowed(answer: &crate::harness::Answer) -> BTreeSet<String> {
    let header = answer.headers.get("allow").map(String::as_str).unwrap_or_default();
    header.split(", ").map(String::from).collect()
}

fn described(methods: &BTreeSet<String>) -> BTreeSet<String> {
    let mut all = methods.clone();
    if methods.contains("GET") {
        all.insert("HEAD".into());
    }
    all.insert("OPTIONS".into());
    all
}

#[test]
fn a_method_that_a_path_does_not_know_is_answered_405_with_those_it_knows() {
    let client = workspace();
    let anonymous = Client { token: None, ..client.clone() };
    let mut faults = Faults::default();
    for (path, (methods, url)) in paths() {
        for method in METHODS.iter().filter(|method| !methods.contains(**method)) {
            for caller in [&client, &anonymous] {
                let answer = caller.send(method, &url, &[], None);
                let place = format!("{method} {path}: {}", answer.text);
                faults.expect(&place, (answer.status, answer.code()), (405, "method_not_allowed"));
                faults.expect(&place, allowed(&answer), described(&methods));
            }
        }
    }
    faults.none();
}

#[test]
fn options_is_answered_204_with_the_methods_of_the_path() {
    let client = Client { token: None, ..workspace() };
    let mut faults = Faults::default();
    for (path, (methods, url)) in paths() {
        let answer = client.send("OPTIONS", &url, &[], None);
        faults.expect(path, (answer.status, answer.text.as_str()), (204, ""));
        faults.expect(path, allowed(&answer), described(&methods));
    }
    faults.none();
}

#[test]
fn head_is_get_without_the_body() {
    let client = workspace();
    let fixtures = seed(&client);
    let mut faults = Faults::default();
    for operation in operations().into_iter().filter(|operation| operation.method == "GET") {
        let call = operation.call(|id| fixtures.id(&operation.resource(id)));
        let get = call.send(&client);
        let head = client.send_unchecked("HEAD", &call.path, &[], None);
        let seen = (head.status, head.text.as_str());
        faults.expect(&operation.place(), seen, (get.status, ""));
        for name in ["content-type", "etag", "cache-control", "link"] {
            let place = format!("{name} of {}", operation.place());
            faults.expect(&place, head.headers.get(name), get.headers.get(name));
        }
    }
    faults.none();
}

#[test]
fn head_of_a_stream_leaves_its_connection_free() {
    let client = workspace();
    let begun = Instant::now();
    let head = client.send_unchecked("HEAD", "/v1/changes/stream", &[], None);
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    client.get("/v1/channels").expect(200);
    assert!(begun.elapsed() < Duration::from_secs(10), "the next request waited for the stream");
}

#[test]
fn head_of_what_is_absent_is_404_and_without_a_credential_401() {
    let client = workspace();
    let absent = format!("/v1/customers/{}", uuid::Uuid::now_v7());
    assert_eq!(client.send_unchecked("HEAD", &absent, &[], None).status, 404);
    let anonymous = Client { token: None, ..client };
    assert_eq!(anonymous.send_unchecked("HEAD", "/v1/customers", &[], None).status, 401);
}
