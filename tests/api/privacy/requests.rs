//! How a request goes from its arrival to its answer, and what it refuses on the way.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{REQUESTS, act, ask, customer, get, somebody};
use crate::harness::{Client, workspace};

fn record(client: &Client, customer: &str, kind: &str) -> String {
    client.post(REQUESTS, json!({ "customer_id": customer, "kind": kind })).expect(201).id()
}

fn types(client: &Client, customer: &str) -> Vec<String> {
    let path = format!("/v1/customers/{customer}/timeline?sort=occurred_at&limit=200");
    let list = client.get(&path).expect(200);
    let all = list.json["data"].as_array().expect("a list").iter();
    all.map(|one| one["type"].as_str().expect("a type").to_owned()).collect()
}

fn days(request: &Value) -> i64 {
    let time = |name: &str| -> chrono::DateTime<chrono::Utc> {
        request[name].as_str().expect("a time").parse().expect("RFC 3339")
    };
    (time("due_at") - time("received_at")).num_days()
}

#[test]
fn a_request_is_due_in_thirty_days_and_says_how_far_it_is() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let asked = json!({ "customer_id": ada, "kind": "rectification", "note": "By letter",
                        "received_at": "2026-01-10T09:00:00Z" });
    let made = client.post(REQUESTS, asked).expect(201);
    assert_eq!((&made.json["status"], days(&made.json)), (&json!("received"), 30));
    assert_eq!(made.json["due_at"], "2026-02-09T09:00:00Z");
    let id = made.id();
    assert_eq!(made.headers["location"], format!("{REQUESTS}/{id}"));
    assert_eq!(act(&client, &id, "verify").expect(200).json["status"], "verifying");
    let processing = act(&client, &id, "process").expect(200).json;
    assert_eq!(processing["status"], "processing");
    assert!(processing["verified_at"].is_string());
    client.patch(&format!("/v1/customers/{ada}"), json!({ "first_name": "Adele" })).expect(200);
    let done = act(&client, &id, "complete").expect(200).json;
    assert_eq!((&done["status"], &done["version"]), (&json!("completed"), &json!(4)));
    assert!(done["completed_at"].is_string());
    let told: Vec<String> =
        types(&client, &ada).into_iter().filter(|it| it.starts_with("data_request.")).collect();
    let expected = ["received", "verifying", "processing", "completed"];
    assert_eq!(told, expected.map(|state| format!("data_request.{state}")));
}

#[test]
fn an_illegal_move_says_which_are_legal() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let id = record(&client, &ada, "access");
    let refused = act(&client, &id, "complete").expect_code(409, "invalid_transition");
    assert_eq!(refused.json["allowed"], json!(["verifying", "processing", "rejected"]));
    let no = json!({ "reason": "We cannot tell whether it is you." });
    let rejected = client.post(&format!("{REQUESTS}/{id}/reject"), no.clone()).expect(200);
    assert_eq!(rejected.json["rejection_reason"], no["reason"]);
    for action in ["verify", "process", "complete"] {
        let refused = act(&client, &id, action).expect_code(409, "invalid_transition");
        assert_eq!(refused.json["allowed"], json!([]));
    }
    client.post(&format!("{REQUESTS}/{id}/reject"), no).expect_code(409, "invalid_transition");
    act(&client, &id, "lift").expect_code(409, "invalid_transition");
    client.get(&format!("{REQUESTS}/{id}/certificate")).expect(404);
}

#[test]
fn a_request_can_take_two_months_longer_once() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let id = record(&client, &ada, "access");
    let path = format!("{REQUESTS}/{id}/extend");
    let reason = json!({ "reason": "There are many of you." });
    let longer = client.post(&path, reason.clone()).expect(200).json;
    assert_eq!((days(&longer), &longer["extension_reason"]), (90, &reason["reason"]));
    client.post(&path, reason).expect_code(409, "invalid_transition");
    client.post(&path, json!({ "reason": "" })).expect_code(422, "validation_failed");
}

#[test]
fn a_customer_has_one_open_request_of_a_kind() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let first = record(&client, &ada, "access");
    record(&client, &ada, "portability");
    let again = ask(&client, &ada, "access").expect_code(409, "data_requests_open_taken");
    assert_eq!(again.json["existing_id"], first.as_str());
    let no = json!({ "reason": "Asked twice" });
    client.post(&format!("{REQUESTS}/{first}/reject"), no).expect(200);
    record(&client, &ada, "access");
}

#[test]
fn what_a_request_says_is_checked() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let fault = |body: Value| {
        let answer = client.post(REQUESTS, body).expect(422);
        let (code, at) = answer.fault();
        (code.to_owned(), at.to_owned())
    };
    let expect = |code: &str, at: &str| (code.to_owned(), at.to_owned());
    let nobody = json!({ "customer_id": Uuid::now_v7(), "kind": "access" });
    assert_eq!(fault(nobody), expect("not_found", "#/customer_id"));
    let tomorrow = json!({ "customer_id": ada, "kind": "access",
                           "received_at": "2190-01-01T00:00:00Z" });
    assert_eq!(fault(tomorrow), expect("in_the_future", "#/received_at"));
    let purposes = json!({ "customer_id": ada, "kind": "access", "purposes": ["marketing"] });
    assert_eq!(fault(purposes), expect("not_an_objection", "#/purposes"));
    let list = client.get(REQUESTS).expect(200);
    assert_eq!(list.json["data"], json!([]), "nothing was recorded");
}

#[test]
fn a_stale_version_moves_nothing() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let id = record(&client, &ada, "restriction");
    let old = [("If-Match", "\"7\"")];
    for action in ["verify", "process"] {
        let path = format!("{REQUESTS}/{id}/{action}");
        client.send_unchecked("POST", &path, &old, None).expect_code(412, "version_mismatch");
    }
    assert_eq!(get(&client, &id)["status"], "received");
}

#[test]
fn lists_are_filtered_and_sorted_by_what_is_due() {
    let client = workspace();
    let (ada, bea) = (somebody(&client).0, somebody(&client).0);
    let late = json!({ "customer_id": ada, "kind": "access",
                       "received_at": "2026-02-01T00:00:00Z" });
    let late = client.post(REQUESTS, late).expect(201).id();
    let early = json!({ "customer_id": bea, "kind": "erasure",
                        "received_at": "2026-01-01T00:00:00Z" });
    let early = client.post(REQUESTS, early).expect(201).id();
    let ids = |query: &str| -> Vec<String> {
        let list = client.get(&format!("{REQUESTS}?{query}")).expect(200);
        let all = list.json["data"].as_array().expect("a list").iter();
        all.map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids("sort=due_at"), [early.clone(), late.clone()]);
    assert_eq!(ids(&format!("customer_id={ada}")), std::slice::from_ref(&late));
    assert_eq!(ids("kind=erasure,objection"), std::slice::from_ref(&early));
    assert_eq!(ids("due_at_lte=2026-02-01T00:00:00Z"), [early]);
    assert_eq!(ids("status=completed"), Vec::<String>::new());
    client.get(&format!("{REQUESTS}?kind=nonsense")).expect(400);
}

#[test]
fn an_objection_ends_every_use_for_the_purpose() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let says = json!({ "items": [
        { "channel_type": "email", "purpose": "marketing", "state": "granted" },
        { "channel_type": "email", "purpose": "analytics", "state": "granted" } ] });
    client.put(&format!("/v1/customers/{ada}/consents"), says).expect(200);
    let objection = json!({ "customer_id": ada, "kind": "objection", "is_verified": true,
                            "purposes": ["marketing", "profiling"] });
    let done = client.post(REQUESTS, objection).expect(201).json;
    assert_eq!(done["status"], "completed");
    let list = client.get(&format!("/v1/customers/{ada}/consents")).expect(200).json;
    for consent in list["data"].as_array().expect("a list") {
        let expected = if consent["purpose"] == "analytics" { "granted" } else { "withdrawn" };
        assert_eq!(consent["state"], expected, "{consent}");
    }
    let path = format!("/v1/customers/{ada}/reachability?purpose=marketing");
    let reach = client.get(&path).expect(200).json;
    for channel in reach["channels"].as_array().expect("channels") {
        assert_eq!(channel["is_allowed"], false, "{channel}");
    }
    // Where nobody says what about, it is marketing; said twice, it changes nothing.
    let bea = customer(&client, json!({ "first_name": "Bea" }));
    for _ in 0..2 {
        let done = ask(&client, &bea, "objection").expect(201).json;
        assert_eq!(done["purposes"], json!(["marketing"]));
    }
}

#[test]
fn forgetting_somebody_takes_a_right_of_its_own() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let id = record(&client, &ada, "erasure");
    let clerk = client.with_scopes(&["data_requests:read", "data_requests:write"]);
    let refused = act(&clerk, &id, "process").expect_code(403, "insufficient_scope");
    assert!(refused.headers["www-authenticate"].contains("customers:erase"));
    let bea = somebody(&client).0;
    ask(&clerk, &bea, "erasure").expect_code(403, "insufficient_scope");
    ask(&clerk, &bea, "access").expect(201);
    assert_eq!(get(&client, &id)["status"], "received");
}

#[test]
fn a_request_sent_twice_is_recorded_once() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let body = json!({ "customer_id": ada, "kind": "access" }).to_string();
    let key = [("Idempotency-Key", "letter-1")];
    let first = client.send("POST", REQUESTS, &key, Some(&body)).expect(201);
    let again = client.send("POST", REQUESTS, &key, Some(&body)).expect(201);
    assert_eq!(first.id(), again.id());
}

#[test]
fn a_dry_run_answers_nobody() {
    let client = workspace();
    let (ada, _) = somebody(&client);
    let body = json!({ "customer_id": ada, "kind": "restriction", "is_verified": true });
    let shown = client.post(&format!("{REQUESTS}?dry_run=true"), body).expect(201);
    assert_eq!(shown.json["status"], "completed");
    client.get(&format!("{REQUESTS}/{}", shown.id())).expect(404);
    let ada = client.get(&format!("/v1/customers/{ada}")).expect(200).json;
    assert_eq!(ada["restricted_at"], Value::Null);
}
