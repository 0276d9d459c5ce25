//! Batches and limits: each call stands for itself.

use serde_json::{Value, json};

use super::{count, public};
use crate::harness::{Answer, workspace};

fn event(name: &str) -> Value {
    json!({ "type": "track", "userId": "u1", "event": name })
}

/// Status and code of each call.
fn fates(answer: &Answer) -> Vec<(i64, &str)> {
    let results = answer.json["results"].as_array().expect("results").iter();
    let fate = |result: &'_ Value| result["status"].as_i64().expect("a status");
    results.map(|r| (fate(r), r["error"]["code"].as_str().unwrap_or_default())).collect()
}

#[test]
fn a_call_that_is_refused_leaves_the_others_alone() {
    let client = workspace();
    let nul = event("Door\u{0} Opened");
    let mut large = event("Door Opened");
    large["properties"] = json!({ "text": "x".repeat(32 * 1024) });
    let mut deep = event("Door Opened");
    deep["properties"] = json!({ "a": [[[[[[[[1]]]]]]]] });
    let calls = json!([
        event("Door Opened"),
        { "type": "track", "event": "Door Opened" },
        { "type": "track", "userId": "u1" },
        { "type": "dance", "userId": "u1" },
        { "userId": "u1", "event": "Door Opened" },
        { "type": "group", "userId": "u1" },
        { "type": "alias", "userId": "u1" },
        { "type": "track", "userId": "u".repeat(256), "event": "Door Opened" },
        { "type": "track", "userId": true, "event": "Door Opened" },
        7, nul, large, deep,
        event("Door Opened"),
    ]);
    let answer = public(&client).post("/v1/batch", json!({ "batch": calls })).expect(200);
    assert_eq!(answer.json["success"], false);
    assert_eq!(answer.json["failed"], 12);
    let invalid = (422, "validation_failed");
    let mut expected = vec![invalid; 14];
    (expected[0], expected[13]) = ((201, ""), (201, ""));
    expected[11] = (400, "call_too_large");
    assert_eq!(fates(&answer), expected, "{}", answer.text);
    let pointer = |at: usize| &answer.json["results"][at]["error"]["errors"][0]["pointer"];
    for (at, expected) in [
        (1, "#/userId"),
        (2, "#/event"),
        (4, "#/type"),
        (5, "#/groupId"),
        (6, "#/previousId"),
        (7, "#/userId"),
        (10, "#/event"),
    ] {
        assert_eq!(pointer(at), expected, "{at}");
    }
    assert_eq!(count(&client, "door.opened"), 2);
}

#[test]
fn an_id_that_is_none_is_told_in_plain_words() {
    let client = workspace();
    let sender = public(&client);
    for id in [json!(true), json!(1.5), json!({ "id": 1 })] {
        let body = json!({ "userId": id, "event": "Door Opened" });
        let answer = sender.post("/v1/track", body).expect(422);
        assert_eq!(answer.fault(), ("invalid_type", "#/userId"));
        assert_eq!(answer.json["errors"][0]["detail"], "an id is text or a whole number");
    }
}

#[test]
fn what_cannot_be_kept_of_the_circumstances_refuses_no_batch() {
    let client = workspace();
    let context = json!({ "locale": "de-AT", "timezone": "\u{0}", "device": { "id": u64::MAX } });
    let body =
        json!({ "batch": [event("Door Opened")], "context": context, "sentAt": 1_796_078_477 });
    let answer = public(&client).post("/v1/batch", body).expect(200);
    assert_eq!(answer.json["success"], true, "{}", answer.text);
    let result = &answer.json["results"][0];
    assert_eq!(super::ignored(result), [("#/context/timezone", "nul_character")]);
    let context = super::touchpoint(&client, result)["context"].clone();
    assert_eq!(context["locale"], "de-AT");
    assert_eq!(context["device"]["id"], "18446744073709551615");
}

#[test]
fn a_call_alone_is_refused_as_a_whole() {
    let client = workspace();
    let sender = public(&client);
    let refused = sender.post("/v1/track", json!({ "event": "Door Opened" })).expect(422);
    assert_eq!(refused.fault(), ("required", "#/userId"));
    let text = "x".repeat(32 * 1024);
    let large = json!({ "userId": "u1", "event": "Door Opened", "properties": { "text": text } });
    sender.post("/v1/track", large).expect_code(400, "call_too_large");
    assert_eq!(count(&client, "door.opened"), 0);
}

#[test]
fn a_batch_has_its_limits() {
    let client = workspace();
    let sender = public(&client);
    let many = |n: usize| {
        let call = json!({ "type": "track", "userId": "u1", "event": "Door Opened" });
        json!({ "batch": vec![call; n] })
    };
    let answer = sender.post("/v1/batch", many(2500)).expect(200);
    assert_eq!(
        (&answer.json["failed"], &answer.json["results"][2499]["index"]),
        (&json!(0), &json!(2499))
    );
    sender.post("/v1/batch", many(2501)).expect_code(400, "call_too_large");
    let text = "x".repeat(30 * 1024);
    let large = json!({ "type": "track", "userId": "u1", "event": "Door Opened", "properties": { "text": text } });
    sender.post("/v1/batch", json!({ "batch": vec![large.clone(); 16] })).expect(200);
    sender
        .post("/v1/batch", json!({ "batch": vec![large; 17] }))
        .expect_code(400, "call_too_large");
    for body in [json!({}), json!({ "batch": null }), json!({ "batch": {} })] {
        let answer = sender.post("/v1/batch", body).expect(422);
        assert_eq!(answer.fault().1, "#/batch");
    }
    let answer = sender.post("/v1/batch", json!({ "batch": [] })).expect(200);
    assert_eq!(answer.json, json!({ "success": true, "results": [], "failed": 0 }));
}

#[test]
fn what_a_batch_says_of_its_circumstances_holds_for_its_calls() {
    let client = workspace();
    let mut own = event("Door Opened");
    own["context"] = json!({ "locale": "de-AT" });
    let context = json!({ "locale": "en-US", "userAgent": "curl" });
    let body = json!({ "batch": [own, event("Door Closed")], "context": context });
    let answer = public(&client).post("/v1/batch", body).expect(200);
    let told =
        |at: usize| super::touchpoint(&client, &answer.json["results"][at])["context"].clone();
    assert_eq!((&told(0)["locale"], &told(0)["user_agent"]), (&json!("de-AT"), &json!("curl")));
    assert_eq!(told(1)["locale"], "en-US");
}

#[test]
fn a_dry_run_shows_what_would_happen() {
    let client = workspace();
    let answer =
        public(&client).post("/v1/batch?dry_run=true", json!({ "batch": [event("Door Opened")] }));
    assert_eq!(fates(&answer.expect(200)), [(201, "")]);
    assert_eq!(count(&client, "door.opened"), 0);
    assert_eq!(super::lookup(&client, "user_id", "u1").status, 404);
}
