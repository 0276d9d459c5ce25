//! Nobody gets in without a credential, and nobody does what their scopes do not say.

use std::collections::BTreeSet;

use ecrm::auth::Scope;
use serde_json::json;
use uuid::Uuid;

use super::calls::{Call, Coverage, Faults, Operation, closed, operations, secured};
use super::fixtures::{Fixtures, quiet_keys, seed};
use crate::harness::{Answer, App, Client, OPERATOR_TOKEN};

const PUBLIC: &str = include_str!("../golden/public_operations.txt");

/// Operations that no workspace's key needs a scope for: one tells what the key may, one is the
/// operator's.
const WITHOUT_SCOPE: &str = "GET /v1/auth/whoami\nPOST /v1/workspaces";

/// Operations that hand out power besides, or records of any kind: they refuse what the caller does not
/// have.
const NEEDS_POWER: [&str; 17] = [
    "create_export",
    "create_export_link",
    "create_import",
    "get_export_file",
    "get_import_errors",
    "get_import_preview",
    "put_import_file",
    "revert_import",
    "start_import",
    "create_api_key",
    "update_api_key",
    "rotate_api_key",
    "create_user",
    "update_user",
    "delete_user",
    "create_trusted_issuer",
    "update_trusted_issuer",
];

fn own(operation: &Operation, fixtures: &Fixtures) -> Call {
    operation.call(|parameter| fixtures.id(&operation.resource(parameter)))
}

/// 401, which never says what is wrong.
fn refused(place: &str, answer: &Answer, faults: &mut Faults) {
    let place = format!("{place}: {}", answer.text);
    faults.expect(&place, (answer.status, answer.code()), (401, "unauthorized"));
    let scheme = answer.headers.get("www-authenticate").map(String::as_str);
    faults.expect(&place, scheme, Some("Bearer"));
    faults.expect(&place, &answer.json["errors"], &json!([]));
}

#[test]
fn every_operation_is_public_or_says_what_it_needs() {
    let known: BTreeSet<&str> = Scope::EVERY.iter().map(|scope| scope.as_str()).collect();
    for operation in operations() {
        let (place, scopes) = (operation.place(), operation.scopes());
        let says = operation.value["x-required-scopes"].is_array();
        assert_ne!(operation.is_public(), says, "{place}");
        let needs_any_credential = operation.id() == "get_whoami";
        assert_eq!(scopes.is_empty(), operation.is_public() || needs_any_credential, "{place}");
        for scope in scopes {
            let is_ours =
                known.contains(scope) || ["operator", "me:read", "me:write"].contains(&scope);
            assert!(is_ours, "{place}: `{scope}`");
        }
    }
}

#[test]
fn what_changes_something_needs_more_than_a_scope_to_read() {
    for operation in closed() {
        for scope in operation.scopes() {
            let is_to_read = scope.ends_with(":read");
            assert_eq!(is_to_read, operation.is_question(), "{}: {scope}", operation.place());
        }
    }
}

#[test]
fn no_operation_has_become_public() {
    let public = operations().into_iter().filter(Operation::is_public);
    let public: BTreeSet<String> = public.map(|operation| operation.place()).collect();
    let golden: BTreeSet<String> =
        PUBLIC.lines().filter(|line| !line.starts_with('#')).map(String::from).collect();
    assert_eq!(public, golden, "tests/api/golden/public_operations.txt may only shrink");
}

#[test]
fn no_operation_answers_without_a_valid_credential() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let fixtures = seed(&client);
    let credentials = wrong_credentials(&app, &client);
    quiet_keys(&app);
    let (before, mut faults) = (app.checksums(), Faults::default());
    let (anonymous, mut coverage) = (Client { token: None, ..client }, Coverage::default());
    for operation in closed() {
        coverage.saw(&operation);
        let call = own(&operation, &fixtures);
        refused(&operation.place(), &call.send(&anonymous), &mut faults);
        for credential in &credentials {
            let answer = call.send_with(&anonymous, &[("Authorization", credential)]);
            refused(&format!("{} with `{credential}`", operation.place()), &answer, &mut faults);
        }
    }
    faults.none();
    coverage.leaves_out(PUBLIC);
    assert_eq!(app.checksums(), before);
}

/// Not even a fault in the request is told to somebody who is nobody.
#[test]
fn a_wrong_credential_is_refused_before_anything_else_is_looked_at() {
    let client = crate::harness::workspace();
    let mut faults = Faults::default();
    for (round, operation) in closed().iter().enumerate() {
        let call = operation.call(|_| uuid::Uuid::now_v7().to_string());
        let stranger = client.with_token(&format!("ecrm_sk_guess{round}"));
        let asked = operation.parameters("query").iter().any(|p| p["name"] == "limit");
        let call = if asked { call.asking("limit=nonsense") } else { call };
        let call = if call.body.is_some() { call.saying(&json!({ "nonsense": 1 })) } else { call };
        refused(&operation.place(), &call.send(&stranger), &mut faults);
    }
    faults.none();
}

/// Everything that looks like a credential and is none.
fn wrong_credentials(app: &App, client: &Client) -> Vec<String> {
    let key = client.token.clone().expect("a key");
    let flipped = |at: usize| {
        let mut text: Vec<char> = key.chars().collect();
        text[at] = if text[at] == 'a' { 'b' } else { 'a' };
        text.into_iter().collect::<String>()
    };
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ4In0.";
    let revoked = app.key(client, &["*"], true);
    let listed = client.get("/v1/api_keys?limit=200").expect(200);
    let last4 = &revoked[revoked.len() - 4..];
    let rows = listed.json["data"].as_array().expect("keys").iter();
    let id = rows.clone().find(|row| row["last4"] == last4).expect("the key")["id"].clone();
    client.delete(&format!("/v1/api_keys/{}", id.as_str().expect("an id"))).expect(204);
    vec![
        "Bearer garbage".into(),
        "Bearer".into(),
        "Bearer ".into(),
        key.clone(),
        format!("Basic {key}"),
        format!("Bearer {}", flipped(key.len() - 1)),
        format!("Bearer {}", flipped(key.len() / 2)),
        format!("Bearer {}", &key[..key.len() - 1]),
        format!("Bearer {key}x"),
        format!("Bearer {}", key.to_uppercase()),
        format!("Bearer {none}"),
        format!("Bearer {revoked}"),
    ]
}

#[test]
fn every_operation_refuses_a_key_with_every_scope_but_its_own() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let fixtures = seed(&client);
    let keys = Keys::without_one(&app, &client);
    quiet_keys(&app);
    let (before, mut faults) = (app.checksums(), Faults::default());
    let mut coverage = Coverage::default();
    for operation in secured().iter().filter(|operation| !operation.is_operators()) {
        for scope in operation.scopes() {
            coverage.saw(operation);
            let answer = own(operation, &fixtures).send(&keys.of(scope));
            let place = format!("{} without {scope}: {}", operation.place(), answer.text);
            faults.expect(&place, (answer.status, answer.code()), (403, "insufficient_scope"));
            let named = answer.headers.get("www-authenticate").map(String::as_str);
            let expected = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            faults.expect(&place, named, Some(expected.as_str()));
        }
    }
    faults.none();
    let customers = closed().into_iter().filter(Operation::is_customers);
    let customers: String = customers.map(|one| format!("\n{}", one.place())).collect();
    coverage.leaves_out(&format!("{PUBLIC}{WITHOUT_SCOPE}{customers}"));
    assert_eq!(app.checksums(), before);
}

#[test]
fn no_operation_needs_more_than_the_scopes_it_names() {
    let app = App::alone(&[]);
    let fresh = || {
        let client = app.workspace(&["*"]);
        (seed(&client), client)
    };
    let (unchanged, mut faults) = (fresh(), Faults::default());
    for operation in secured().iter().filter(|operation| !operation.is_operators()) {
        let (fixtures, client) = if operation.is_question() { unchanged.clone() } else { fresh() };
        let scopes = operation.scopes();
        // A key has some scope, also where none is needed.
        let scopes = if scopes.is_empty() { vec!["channels:read"] } else { scopes };
        let just = client.with_token(&app.key(&client, &scopes, true));
        let answer = own(operation, &fixtures).send(&just);
        let is_refused = answer.status == 403 && !NEEDS_POWER.contains(&operation.id());
        if is_refused || answer.status == 401 || answer.status >= 500 {
            faults.add(format!("{}: {}", operation.place(), answer.text));
        }
    }
    faults.none();
}

#[test]
fn workspaces_are_made_by_the_operator_alone() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let mut faults = Faults::default();
    for operation in secured().iter().filter(|operation| operation.is_operators()) {
        let call = operation.call(|_| Uuid::now_v7().to_string());
        refused(&operation.place(), &call.send(&client), &mut faults);
        let nearly = &OPERATOR_TOKEN[..OPERATOR_TOKEN.len() - 1];
        refused(&operation.place(), &call.send(&client.with_token(nearly)), &mut faults);
        call.send(&client.with_token(OPERATOR_TOKEN)).expect(201);
    }
    // The operator's token opens no workspace.
    let operator = client.with_token(OPERATOR_TOKEN);
    refused("GET /v1/customers", &operator.get("/v1/customers"), &mut faults);
    faults.none();
}

/// For each scope, a key that has all others.
struct Keys(Vec<(&'static str, Client)>);

impl Keys {
    fn without_one(app: &App, client: &Client) -> Self {
        let every = || Scope::EVERY.iter().map(|scope| scope.as_str());
        let keys = every().map(|missing| {
            let others: Vec<&str> = every().filter(|scope| *scope != missing).collect();
            (missing, client.with_token(&app.key(client, &others, true)))
        });
        Self(keys.collect())
    }

    fn of(&self, missing: &str) -> Client {
        let found = self.0.iter().find(|(scope, _)| *scope == missing);
        found.unwrap_or_else(|| panic!("`{missing}` is no scope")).1.clone()
    }
}
