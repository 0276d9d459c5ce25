//! What every answer carries, and what an error looks like.

use std::collections::BTreeSet;

use ecrm::error::Code;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, workspace};

const PATH: &str = "/v1/customers";

fn with_id(client: &Client, id: &str) -> Answer {
    client.send("GET", PATH, &[("X-Request-Id", id)], None).expect(200)
}

#[test]
fn a_request_id_comes_back_and_stands_in_the_problem() {
    let client = workspace();
    let longest = "x".repeat(128);
    for id in ["a", "Root=1-67891233-abcdef", "~!{}", &longest] {
        assert_eq!(with_id(&client, id).headers["x-request-id"], id);
    }
    let refused = client.send("GET", "/v1/customers/x", &[("X-Request-Id", "quoted")], None);
    assert_eq!(refused.headers["x-request-id"], "quoted");
    assert_eq!(refused.json["request_id"], "quoted");
}

#[test]
fn a_request_without_a_fit_id_gets_one() {
    let client = workspace();
    let too_long = "x".repeat(129);
    let mut seen = BTreeSet::new();
    for unfit in ["", "two words", "tab\tbed", &too_long] {
        let id = with_id(&client, unfit).headers["x-request-id"].clone();
        let made: Uuid = id.parse().expect("a uuid");
        assert_eq!(made.get_version_num(), 7, "{unfit}");
        assert!(seen.insert(id));
    }
    let none = client.get(PATH).headers["x-request-id"].clone();
    assert!(seen.insert(none));
}

/// B13
#[test]
fn personal_data_is_not_cached_and_not_guessed_at() {
    let client = workspace();
    let anonymous = Client { token: None, ..client.clone() };
    for answer in [
        client.get(PATH).expect(200),
        client.get("/v1/customers/x").expect(404),
        anonymous.get(PATH).expect(401),
        client.send("OPTIONS", PATH, &[], None).expect(204),
        client.post(PATH, json!({ "nonsense": 1 })).expect(422),
    ] {
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(!answer.headers.contains_key("server"), "names what serves");
        assert!(!answer.headers.contains_key("x-powered-by"), "names what serves");
    }
}

const MEMBERS: [&str; 10] = [
    "allowed",
    "code",
    "detail",
    "errors",
    "existing_id",
    "instance",
    "request_id",
    "status",
    "title",
    "type",
];

#[test]
fn every_error_is_a_problem_of_the_same_shape() {
    let client = workspace();
    let email = json!({ "email": "twice@shop.example.com" });
    client.post(PATH, email.clone()).expect(201);
    let id = client.post(PATH, json!({})).expect(201).id();
    let customer = format!("{PATH}/{id}");
    let sent = |method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>| {
        client.send_unchecked(method, path, headers, body.map(str::as_bytes))
    };
    let anonymous = Client { token: None, ..client.clone() };
    for (status, answer) in [
        (400, sent("POST", PATH, &[], Some("{"))),
        (400, sent("GET", "/v1/customers?limt=1", &[], None)),
        (401, anonymous.get(PATH)),
        (403, client.with_scopes(&["channels:read"]).get(PATH)),
        (404, sent("GET", "/nowhere", &[], None)),
        (404, sent("GET", "/v1/customers/x", &[], None)),
        (405, sent("DELETE", PATH, &[], None)),
        (409, client.post(PATH, email)),
        (412, sent("DELETE", &customer, &[("If-Match", "\"9\"")], None)),
        (413, sent("POST", PATH, &[], Some(&" ".repeat(1024 * 1024 + 1)))),
        (415, sent("POST", PATH, &[("Content-Type", "text/plain")], Some("{}"))),
        (422, client.post(PATH, json!({ "email": "nonsense" }))),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text);
        is_problem(&answer);
    }
}

fn is_problem(answer: &Answer) {
    let problem = answer.json.as_object().expect("an object");
    let members: Vec<&str> = problem.keys().map(String::as_str).collect();
    assert_eq!(members, MEMBERS);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(problem["status"], answer.status);
    assert_eq!(problem["request_id"], answer.headers["x-request-id"].as_str());
    assert_eq!(problem["type"], format!("/problems/{}", answer.code()));
    let instance = problem["instance"].as_str().expect("a path");
    assert!(instance.starts_with('/') && !instance.contains('?'), "{instance}");
    for word in ["title", "detail", "code"] {
        assert!(problem[word].as_str().is_some_and(|text| !text.is_empty()), "{word}");
    }
    let known = Code::ALL.iter().find(|code| code.name == answer.code());
    if let Some(known) = known {
        assert_eq!((problem["title"].as_str(), answer.status), (Some(known.title), known.status));
    }
    let internals = ["diesel", "postgres", "serde", "actix", "src/", "panicked", "select "];
    for word in internals {
        assert!(!answer.text.to_lowercase().contains(word), "`{word}` in {}", answer.text);
    }
}

#[test]
fn the_type_of_every_problem_leads_to_its_meaning() {
    let client = Client { token: None, ..workspace() };
    for code in Code::ALL {
        let found = client.get(&format!("/problems/{}", code.name)).expect(200);
        let meaning = json!({ "code": code.name, "status": code.status, "title": code.title });
        assert_eq!(found.json, meaning);
    }
    for name in ecrm::db::constraints::ANSWERED {
        let found = client.get(&format!("/problems/{name}")).expect(200);
        assert_eq!(found.json["status"], 409, "{name}");
    }
    client.get("/problems/nonsense").expect(404);
}

#[test]
fn a_duplicate_names_the_one_that_was_there() {
    let client = workspace();
    let email = json!({ "email": "twice@shop.example.com" });
    let first = client.post(PATH, email.clone()).expect(201).id();
    let refused = client.post(PATH, email).expect(409);
    assert_eq!(refused.json["existing_id"], Value::String(first));
    assert_eq!(refused.code(), "identities_value_taken");
}

#[test]
fn a_bearer_is_a_bearer_in_any_case_and_nothing_else_is() {
    let client = workspace();
    let token = client.token.clone().expect("a key");
    let anonymous = Client { token: None, ..client.clone() };
    let authorized =
        |value: &str| anonymous.send("GET", PATH, &[("Authorization", value)], None).status;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(authorized(&format!("{scheme} {token}")), 200, "{scheme}");
    }
    for wrong in ["Basic", "Token", "BearerX"] {
        assert_eq!(authorized(&format!("{wrong} {token}")), 401, "{wrong}");
    }
    for path in [format!("{PATH}?access_token={token}"), format!("{PATH}?api_key={token}")] {
        // A token in a URL would end up in logs.
        assert_eq!((anonymous.get(&path).status, client.get(&path).status), (401, 400));
    }
}

#[test]
fn a_language_or_type_that_is_asked_for_refuses_nobody() {
    let client = workspace();
    for accept in ["text/html", "application/xml", "*/*", "image/png;q=0.1", "nonsense"] {
        let answer = client.send("GET", PATH, &[("Accept", accept)], None).expect(200);
        assert_eq!(answer.headers["content-type"], "application/json", "{accept}");
    }
}
