//! Paths that lead nowhere, or try to.

use serde_json::json;
use uuid::Uuid;

use super::wire::{exchange, head};
use crate::guards::calls::{Faults, secured};
use crate::harness::{Answer, workspace};

/// What people try in place of an id (B10).
const TRICKS: [&str; 27] = [
    "x",
    "0",
    "-1",
    "null",
    "undefined",
    "*",
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f",
    "....%2f%2f",
    "..%5c..%5cwindows",
    "%252e%252e%252f",
    "%2fetc%2fpasswd",
    "file:%2f%2f%2fetc%2fpasswd",
    "%c0%ae%c0%ae",
    "1%20or%201=1",
    "'%20or%20'1'='1",
    "1;drop%20table%20customers",
    "{id}",
    "%7Bid%7D",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "0192f0c1-2a3b-7c4d-8e5f-60718293a4bz",
    "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5%20",
    "%EF%BC%90",
    "%0d%0aX-Evil:%201",
];

fn is_absent(answer: &Answer) -> bool {
    (answer.status, answer.code()) == (404, "not_found")
        || (answer.status, answer.code()) == (400, "bad_request")
}

/// B10
#[test]
fn what_is_no_id_is_absent_like_any_other() {
    let client = workspace();
    let mut faults = Faults::default();
    for operation in secured().into_iter().filter(|operation| !operation.ids().is_empty()) {
        let call = operation.call(|_| "ID".into());
        for trick in TRICKS {
            let mut call = call.clone();
            call.path = call.path.replace("ID", trick);
            let kind = call.media_type.map(|media_type| ("Content-Type", media_type));
            let headers: Vec<_> = kind.into_iter().collect();
            let body = call.body.as_deref().map(str::as_bytes);
            let answer = client.send_unchecked(&call.method, &call.path, &headers, body);
            if !is_absent(&answer) || answer.headers.contains_key("x-evil") {
                faults.add(format!("{} {}: {}", call.method, call.path, answer.text));
            }
        }
    }
    faults.none();
}

#[test]
fn an_id_is_found_in_any_of_the_spellings_of_a_uuid() {
    let client = workspace();
    let id = client.post("/v1/customers", json!({})).expect(201).id();
    let spellings = [id.to_uppercase(), id.replace('-', "")];
    for spelling in spellings {
        let answer = client.get(&format!("/v1/customers/{spelling}")).expect(200);
        assert_eq!(answer.id(), id);
    }
}

/// A2
#[test]
fn escapes_that_are_not_unicode_are_refused_in_path_and_query() {
    let client = workspace();
    for path in [
        "/v1/customers/a%ffb",
        "/v1/customers/%c3",
        "/v1/customers/%ed%a0%80",
        "/v1/customers?q=%ff",
        "/v1/customers?q=%c0%80",
        "/v1/customers?%ff=1",
        "/nowhere/%ff",
    ] {
        let answer = client.send_unchecked("GET", path, &[], None);
        assert_eq!((answer.status, answer.code()), (400, "bad_request"), "{path}");
    }
}

/// A1
#[test]
fn nul_is_refused_in_path_and_query() {
    let client = workspace();
    for (path, place) in [
        ("/v1/customers/a%00b", "path"),
        ("/nowhere/%00", "path"),
        ("/v1/customers?q=a%00b", "query"),
        ("/v1/customers?%00=1", "query"),
        ("/v1/customers/lookup?type=email&value=%00", "query"),
    ] {
        let answer = client.send_unchecked("GET", path, &[], None);
        assert_eq!((answer.status, answer.fault().0), (422, "nul_character"), "{path}");
        assert_eq!(answer.json["errors"][0]["parameter"], place, "{path}");
    }
}

#[test]
fn an_unknown_path_is_a_problem_and_needs_no_credential() {
    let client = workspace();
    let anonymous = crate::harness::Client { token: None, ..client.clone() };
    for path in [
        "/nowhere",
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v2/customers",
        "/v1/customers/",
        "/v1//customers",
        "//v1/customers",
        "/V1/customers",
        "/v1/customers/a/b/c/d",
        "/.env",
        "/.git/config",
        "/health",
        "/health/",
        "/v1/../.env",
    ] {
        for caller in [&client, &anonymous] {
            let answer = caller.send_unchecked("GET", path, &[], None);
            assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}");
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        }
    }
}

/// B10: a fragment or a semicolon is no path either.
#[test]
fn nothing_behind_a_path_changes_which_path_it_is() {
    let client = workspace();
    for path in ["/v1/customers;a=b", "/v1/customers%3flimit=1", "/v1/customers%23"] {
        let answer = client.send_unchecked("GET", path, &[], None);
        assert_eq!(answer.status, 404, "{path}");
    }
}

/// B9
#[test]
fn a_head_that_is_too_long_is_refused_and_the_service_goes_on() {
    let client = workspace();
    let long_path = format!("/v1/customers?q={}", "x".repeat(100_000));
    let answer = exchange(&client, head(&client, "GET", &long_path, ""));
    assert!([400, 414, 431].contains(&answer.status), "{}", answer.head);
    let many = "X-Filler: 1\r\n".repeat(200);
    let answer = exchange(&client, head(&client, "GET", "/v1/customers", &many));
    assert!([400, 431].contains(&answer.status), "{}", answer.head);
    let large = format!("X-Filler: {}\r\n", "x".repeat(200_000));
    let answer = exchange(&client, head(&client, "GET", "/v1/customers", &large));
    assert!([400, 431].contains(&answer.status), "{}", answer.head);
    client.get("/v1/customers").expect(200);
}

#[test]
fn a_long_query_of_known_parameters_is_read() {
    let client = workspace();
    let ids: Vec<String> = (0..200).map(|_| Uuid::now_v7().to_string()).collect();
    let answer = client.get(&format!("/v1/touchpoints?channel_id={}", ids.join(",")));
    assert_eq!(answer.expect(200).json["data"], json!([]));
    let one_more = client.get(&format!("/v1/touchpoints?channel_id={},x", ids.join(",")));
    assert_eq!((one_more.status, one_more.code()), (400, "invalid_parameter"));
}
