//! The committed document is the one this code emits, obeys the rules, and never breaks a client.

mod breaking;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ecrm::api::spec;
use serde_json::Value;

use crate::guards::calls::operations;
use crate::harness::document;
use crate::rules;
use breaking::breaking_changes;

/// Verbs an operation id may begin with; a new one is a decision.
const VERBS: &str = "accept add alias batch cancel complete confirm convert create delete dismiss \
                     download enable extend get group identify import lift list lookup merge pause process \
                     put query readmit receive redeliver reject remove replay restore resume retry revert revoke rotate \
                     scan search set start test track unsubscribe update upsert verify";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json")
}

fn committed() -> Option<String> {
    std::fs::read_to_string(path()).ok()
}

/// R20. `UPDATE=1` rewrites the document, but not over a breaking change; `UPDATE=breaking` does,
/// for what nobody uses yet.
#[test]
fn the_committed_document_is_the_emitted_one() {
    let committed = committed();
    let update = std::env::var("UPDATE").unwrap_or_default();
    let broken = committed.as_deref().map(broken_since).unwrap_or_default();
    if update == "breaking" || (update == "1" && broken.is_empty()) {
        std::fs::write(path(), &spec().text).expect("the document can be written");
        return;
    }
    let is_same = committed.as_deref() == Some(&spec().text);
    assert!(is_same, "run `UPDATE=1 cargo test --test api openapi::` and review the difference");
}

/// R20
#[test]
fn no_change_breaks_a_client() {
    if std::env::var("UPDATE").is_ok_and(|update| update == "breaking") {
        return;
    }
    let broken = committed().as_deref().map(broken_since).unwrap_or_default();
    assert_eq!(broken, Vec::<String>::new(), "since the committed document");
}

fn broken_since(committed: &str) -> Vec<String> {
    let old: Value = serde_json::from_str(committed).expect("the committed document is JSON");
    breaking_changes(&old, document())
}

/// R1 to R19
#[test]
fn the_document_breaks_no_rule() {
    let violations = rules::violations(document());
    assert!(violations.is_empty(), "{} faults:\n{}", violations.len(), violations.join("\n"));
}

/// R1: generated clients make `listCustomers` and `ListCustomers` of it.
#[test]
fn operation_ids_are_a_known_verb_and_a_noun_and_stay_apart_in_any_spelling() {
    let mut seen = BTreeMap::new();
    for operation in operations() {
        let (id, place) = (operation.id(), operation.place());
        let verb = id.split('_').next().unwrap_or_default();
        assert!(VERBS.split(' ').any(|known| known == verb), "{place}: `{verb}` in `{id}`");
        assert!(id.len() <= 40, "{place}: `{id}` is long");
        assert!(!id.contains(|c: char| c.is_ascii_digit()), "{place}: `{id}` has a number");
        let other = seen.insert(id.replace('_', "").to_lowercase(), place.clone());
        assert_eq!(other, None, "{place}: `{id}`");
    }
}

/// R1: reading is reading, and a verb means one method.
#[test]
fn the_verb_of_an_operation_fits_its_method() {
    for operation in operations() {
        let verb = operation.id().split('_').next().unwrap_or_default();
        let expected: &[&str] = match verb {
            "get" | "list" | "lookup" => &["GET"],
            "update" => &["PATCH"],
            "put" | "set" | "upsert" => &["PUT"],
            "delete" | "remove" => &["DELETE"],
            "revoke" => &["DELETE", "POST"],
            _ => &["POST"],
        };
        let method = operation.method.as_str();
        assert!(expected.contains(&method), "{}: {}", operation.place(), operation.id());
    }
}

#[test]
fn the_served_document_is_the_committed_one() {
    let client = crate::harness::workspace();
    let served = client.send_unchecked("GET", "/openapi.json", &[], None).expect(200);
    assert!(served.text == spec().text, "another document is served");
    assert_eq!(served.headers["content-type"], "application/json");
}
