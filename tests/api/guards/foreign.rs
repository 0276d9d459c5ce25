//! What belongs to another workspace is answered exactly like what never was, and stays as it is.

use uuid::Uuid;

use super::calls::{Call, Faults, Operation, secured};
use super::fixtures::{Fixtures, quiet_keys, seed, seed_data};
use crate::harness::{Answer, App, Client};

/// Resources that belong to the live workspace and are the same for test credentials.
const SHARED_WITH_TEST_MODE: [&str; 3] = ["users", "api_keys", "trusted_issuers"];

/// An answer without what names the single request.
fn essence(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let mut body = answer.json.clone();
    if let Some(problem) = body.as_object_mut() {
        problem.remove("request_id");
        problem.remove("instance");
    }
    let varying = ["x-request-id", "date", "connection", "ratelimit", "content-length"];
    let headers = answer.headers.iter().filter(|(name, _)| !varying.contains(&name.as_str()));
    let mut headers: Vec<_> = headers.map(|(n, v)| (n.clone(), v.clone())).collect();
    headers.sort();
    (answer.status, body.to_string(), headers)
}

/// Calls with every choice of the ids in the path replaced, the others being the caller's own.
fn calls(operation: &Operation, own: &Fixtures, other: &dyn Fn(&str) -> String) -> Vec<Call> {
    let ids = operation.ids();
    let choices = 1_u32..1 << ids.len();
    choices
        .map(|choice| {
            operation.call(|parameter| {
                let position = ids.iter().position(|id| *id == parameter).expect("an id");
                let resource = operation.resource(parameter);
                if choice & (1 << position) != 0 { other(&resource) } else { own.id(&resource) }
            })
        })
        .collect()
}

/// Sends the same requests with absent and with foreign ids; returns how many.
fn compare(app: &App, caller: &Client, own: &Fixtures, foreign: &Fixtures, skip: &[&str]) -> usize {
    let (mut sent, mut faults) = (0, Faults::default());
    let before = app.checksums();
    for operation in secured() {
        if operation.ids().iter().any(|id| skip.contains(&operation.resource(id).as_str())) {
            continue;
        }
        let absent = calls(&operation, own, &|_| Uuid::now_v7().to_string());
        let theirs = calls(&operation, own, &|resource| foreign.id(resource));
        for (absent, theirs) in absent.iter().zip(&theirs) {
            let (expected, actual) = (absent.send(caller), theirs.send(caller));
            let place = format!("{} {}", theirs.method, theirs.path);
            faults.expect(&format!("{place}: {}", actual.text), actual.status, 404);
            faults.expect(&place, essence(&actual), essence(&expected));
            sent += 2;
        }
        faults.expect(&operation.place(), app.checksums(), before.clone());
    }
    faults.none();
    sent
}

#[test]
fn an_id_of_another_workspace_is_answered_like_one_that_never_was() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let (own, foreign) = (seed(&caller), seed(&stranger));
    quiet_keys(&app);
    let sent = compare(&app, &caller, &own, &foreign, &[]);
    assert!(sent > 60, "only {sent} requests were sent");
}

#[test]
fn a_live_id_is_absent_for_test_credentials_and_the_other_way_round() {
    let app = App::alone(&[]);
    let live = app.workspace(&["*"]);
    let test = live.with_token(&app.key(&live, &["*"], false));
    let (of_live, of_test) = (seed(&live), seed_data(&test));
    quiet_keys(&app);
    compare(&app, &test, &of_test, &of_live, &SHARED_WITH_TEST_MODE);
    compare(&app, &live, &of_live, &of_test, &SHARED_WITH_TEST_MODE);
}

#[test]
fn no_list_shows_anything_of_another_workspace() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    seed(&caller);
    let foreign = seed(&stranger);
    let mut faults = Faults::default();
    for operation in secured() {
        let is_list = operation.method == "GET" || operation.id().starts_with("search_");
        if !is_list || !operation.ids().is_empty() || operation.is_operators() {
            continue;
        }
        let answer = operation.call(|_| String::new()).send(&caller);
        for (resource, id) in foreign.ids().filter(|(_, id)| answer.text.contains(id)) {
            faults.add(format!("{} shows {resource} {id}", operation.place()));
        }
        if answer.status >= 500 {
            faults.add(format!("{}: {}", operation.place(), answer.text));
        }
    }
    faults.none();
}

/// Filters take ids too: a foreign one must narrow a list like one that never was.
#[test]
fn a_filter_by_a_foreign_id_finds_what_a_filter_by_an_absent_one_finds() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let own = seed(&caller);
    let foreign = seed(&stranger);
    let (mut filters, mut faults) = (0, Faults::default());
    for operation in secured() {
        for parameter in operation.parameters("query") {
            let schema = &parameter["schema"];
            if schema["format"] != "uuid" && schema["items"]["format"] != "uuid" {
                continue;
            }
            let name = super::calls::name(parameter);
            let call = || operation.call(|id| own.id(&operation.resource(id)));
            let ask = |id: &str| call().asking(&format!("{name}={id}")).send(&caller);
            let expected = ask(&Uuid::now_v7().to_string());
            for (_, id) in foreign.ids() {
                let place = format!("{} {name}={id}", operation.place());
                faults.expect(&place, essence(&ask(id)), essence(&expected));
                filters += 1;
            }
        }
    }
    faults.none();
    assert!(filters > 0);
}

#[test]
fn a_foreign_external_id_is_free_to_use_and_leaves_its_owner_alone() {
    let app = App::alone(&[]);
    let (caller, stranger) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let upserts = secured().into_iter().filter(|operation| operation.path.contains("/external/"));
    for operation in upserts {
        let call = operation.call(|_| String::new());
        let theirs = call.send(&stranger);
        // What an upsert needs besides its key is the resource's own test.
        if theirs.status != 201 {
            continue;
        }
        let mine = call.send(&caller).expect(201);
        assert_ne!(mine.id(), theirs.id(), "{}", operation.place());
        let collection = operation.path.split("/external").next().expect("a collection");
        let still = stranger.get(&format!("{collection}/{}", theirs.id())).expect(200);
        assert_eq!(still.json["version"], theirs.json["version"], "{}", operation.place());
    }
}
