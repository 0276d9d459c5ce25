//! `Idempotency-Key` and `dry_run`: a write happens once, or is only shown.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::customers::{
    PATH, at, changes, create, footprint, holder, rows, touchpoints, unchanged, with_email,
};
use crate::harness::{Answer, App, Client, workspace};

fn post(client: &Client, key: &str, body: &Value) -> Answer {
    client.send("POST", PATH, &[("Idempotency-Key", key)], Some(&body.to_string()))
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
}

fn customers(client: &Client) -> usize {
    rows(&client.get(&format!("{PATH}?limit=200")).expect(200)).len()
}

#[test]
fn the_same_request_again_gets_the_same_answer_to_the_byte() {
    let client = workspace();
    let body = json!({ "first_name": "Ada", "email": "ada@shop.example.com" });
    let first = post(&client, "k-1", &body).expect(201);
    assert!(!is_replayed(&first));
    client.patch(&at(&first.id()), json!({ "first_name": "Eve" })).expect(200);
    let again = unchanged(&client, || post(&client, "k-1", &body)).expect(201);
    assert!(is_replayed(&again));
    assert_eq!(again.text, first.text);
    for header in ["etag", "location", "content-type"] {
        assert_eq!(again.headers[header], first.headers[header], "{header}");
    }
    assert_ne!(again.headers["x-request-id"], first.headers["x-request-id"]);
    assert_eq!(customers(&client), 1);
}

#[test]
fn a_key_belongs_to_one_request() {
    let client = workspace();
    let body = json!({ "first_name": "Ada" });
    let made = post(&client, "k-1", &body).expect(201);
    let send = |method: &str, path: &str, body: &Value| {
        client.send(method, path, &[("Idempotency-Key", "k-1")], Some(&body.to_string()))
    };
    unchanged(&client, || {
        let others = [
            send("POST", PATH, &json!({ "first_name": "Eve" })),
            send("POST", &format!("{PATH}?dry_run=false"), &body),
            send("POST", "/v1/organizations", &json!({ "name": "Bergsport" })),
            send("PATCH", &at(&made.id()), &body),
            send("PUT", &format!("{PATH}/external/shop/7"), &body),
        ];
        for refused in others {
            let refused = refused.expect(422);
            assert_eq!(refused.code(), "idempotency_key_reused");
            assert!(!is_replayed(&refused));
        }
        let spaced = client.send(
            "POST",
            PATH,
            &[("Idempotency-Key", "k-1")],
            Some("{\"first_name\":  \"Ada\"}"),
        );
        assert_eq!(spaced.status, 422);
    });
    let again = post(&client, "k-1", &body).expect(201);
    assert_eq!(again.text, made.text);
}

#[test]
fn a_key_belongs_to_one_credential_and_one_workspace() {
    let client = workspace();
    let body = json!({ "first_name": "Ada" });
    let first = post(&client, "k-1", &body).expect(201);
    let colleague = client.with_scopes(&["*"]);
    let second = post(&colleague, "k-1", &json!({ "first_name": "Eve" })).expect(201);
    assert_ne!(first.id(), second.id());
    let stranger = post(&workspace(), "k-1", &body).expect(201);
    assert_ne!(first.id(), stranger.id());
    let test = post(&client.test_mode(), "k-1", &body).expect(201);
    assert_ne!(first.id(), test.id());
    assert!(![&second, &stranger, &test].into_iter().any(is_replayed));
    assert_eq!(customers(&client), 2);
}

#[test]
fn a_refusal_is_remembered_like_a_success() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let body = json!({ "email": "ada@shop.example.com" });
    let refused = post(&client, "k-1", &body).expect(409);
    assert!(!is_replayed(&refused));
    client.delete(&at(&ada)).expect(204);
    let again = unchanged(&client, || post(&client, "k-1", &body)).expect(409);
    assert!(is_replayed(&again));
    assert_eq!(again.text, refused.text);
    assert_eq!(again.headers["content-type"], "application/problem+json");
    post(&client, "k-2", &body).expect(201);
    let patch = |tag: &str| {
        let headers = [("Idempotency-Key", "k-3"), ("If-Match", tag)];
        client.send("PATCH", &at(&Uuid::nil().to_string()), &headers, Some("{}"))
    };
    assert!(!is_replayed(&patch("\"1\"").expect(404)));
    assert!(is_replayed(&patch("\"1\"").expect(404)));
    assert_eq!(patch("\"2\"").expect(422).code(), "idempotency_key_reused");
}

#[test]
fn a_request_that_was_never_understood_leaves_its_key_free() {
    let client = workspace();
    let reader = client.with_scopes(&["customers:read"]);
    unchanged(&client, || {
        post(&client, "k-1", &json!({ "email": "ada" })).expect(422);
        client.send("POST", PATH, &[("Idempotency-Key", "k-1")], Some("{")).expect(400);
        post(&reader, "k-1", &json!({})).expect(403);
    });
    post(&client, "k-1", &json!({ "email": "ada@shop.example.com" })).expect(201);
}

#[test]
fn quotes_around_a_key_mean_nothing() {
    let client = workspace();
    let body = json!({});
    let first = post(&client, "\"k-1\"", &body).expect(201);
    let again = post(&client, "k-1", &body).expect(201);
    assert!(is_replayed(&again));
    assert_eq!(again.id(), first.id());
}

#[test]
fn a_key_has_1_to_255_visible_characters() {
    let client = workspace();
    let long = "k".repeat(256);
    unchanged(&client, || {
        for key in ["", "\"\"", long.as_str(), "schlüssel", "a\tb"] {
            let refused = post(&client, key, &json!({})).expect(400);
            assert_eq!(refused.code(), "invalid_parameter", "{key}");
            assert_eq!(refused.json["errors"][0]["parameter"], "Idempotency-Key", "{key}");
        }
    });
    post(&client, &"k".repeat(255), &json!({})).expect(201);
    post(&client, &format!("\"{}\"", "q".repeat(255)), &json!({})).expect(201);
}

#[test]
fn every_method_that_writes_understands_a_key() {
    let client = workspace();
    let ada = create(&client, json!({})).id();
    let cases = [
        ("PATCH", at(&ada), Some(json!({ "score": 1 }))),
        (
            "PUT",
            format!("{}/lifecycle_stage", at(&ada)),
            Some(json!({ "lifecycle_stage": "other" })),
        ),
        ("PUT", format!("{PATH}/external/shop/7"), Some(json!({ "score": 2 }))),
        ("POST", format!("{PATH}/batch"), Some(json!({ "items": [{}, { "email": "x" }] }))),
        ("POST", "/v1/touchpoints".to_owned(), Some(json!({ "type": "page.viewed" }))),
        ("POST", "/v1/touchpoints/batch".to_owned(), Some(json!({ "items": [{ "type": "a.b" }] }))),
        (
            "POST",
            format!("{}/identities", at(&ada)),
            Some(json!({ "type": "cookie", "value": "c" })),
        ),
        ("DELETE", at(&ada), None),
    ];
    for (position, (method, path, body)) in cases.into_iter().enumerate() {
        let key = format!("k-{position}");
        let body = body.map(|body| body.to_string());
        let send = || client.send(method, &path, &[("Idempotency-Key", &key)], body.as_deref());
        let first = send();
        assert!(first.status < 300, "{method} {path}: {}", first.text);
        let again = unchanged(&client, send);
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{method} {path}");
        assert!(is_replayed(&again) && !is_replayed(&first), "{method} {path}");
    }
}

#[test]
fn a_search_changes_nothing_and_is_never_replayed() {
    let client = workspace();
    let search = || {
        let key = [("Idempotency-Key", "k-1")];
        client.send("POST", &format!("{PATH}/search"), &key, Some("{}")).expect(200)
    };
    assert!(rows(&search()).is_empty());
    create(&client, json!({}));
    assert_eq!(rows(&search()).len(), 1);
}

#[test]
fn of_fifty_at_once_with_one_key_one_has_the_effect() {
    let client = workspace();
    let body = json!({ "first_name": "Ada", "email": "ada@shop.example.com" });
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..50).map(|_| scope.spawn(|| post(&client, "k-1", &body))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
    let first = made.iter().filter(|answer| !is_replayed(answer)).count();
    assert_eq!(first, 1);
    assert!(made.iter().all(|answer| answer.text == made[0].text));
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((refused.status, refused.code()), (409, "idempotency_in_progress"));
    }
    assert_eq!((customers(&client), touchpoints(&client)), (1, 1));
    assert_eq!(post(&client, "k-1", &body).expect(201).text, made[0].text);
}

#[test]
fn a_dry_run_shows_the_effect_and_has_none() {
    let client = workspace();
    let ada = create(&client, json!({ "email": "ada@shop.example.com" })).id();
    let cases = [
        ("POST", PATH.to_owned(), Some(json!({ "first_name": "Eve" })), 201),
        (
            "PATCH",
            at(&ada),
            Some(json!({ "first_name": "Eve", "email": "e@shop.example.com" })),
            200,
        ),
        ("PUT", format!("{PATH}/external/shop/7"), Some(json!({ "first_name": "Eve" })), 201),
        (
            "PUT",
            format!("{}/lifecycle_stage", at(&ada)),
            Some(json!({ "lifecycle_stage": "other" })),
            200,
        ),
        ("POST", format!("{PATH}/batch"), Some(json!({ "items": [{}, { "email": "x" }] })), 207),
        (
            "POST",
            format!("{}/identities", at(&ada)),
            Some(json!({ "type": "cookie", "value": "c" })),
            200,
        ),
        ("POST", "/v1/touchpoints".to_owned(), Some(json!({ "type": "page.viewed" })), 201),
        (
            "POST",
            "/v1/touchpoints/batch".to_owned(),
            Some(json!({ "items": [{ "type": "a.b" }] })),
            207,
        ),
        (
            "POST",
            "/v1/attribute_definitions".to_owned(),
            Some(json!({ "resource": "customer", "key": "k", "name": "K", "type": "json" })),
            201,
        ),
        ("DELETE", at(&ada), None, 204),
    ];
    for (method, path, body, status) in cases {
        let body = body.map(|body| body.to_string());
        let path = format!("{path}?dry_run=true");
        let shown = unchanged(&client, || client.send(method, &path, &[], body.as_deref()));
        assert_eq!(shown.status, status, "{method} {path}: {}", shown.text);
        if shown.text.contains("first_name") {
            assert_eq!(
                shown.json["first_name"],
                if path.contains("lifecycle") { Value::Null } else { json!("Eve") }
            );
        }
    }
    holder(&client, "e@shop.example.com").expect(404);
    let real = client.send("DELETE", &format!("{}?dry_run=false", at(&ada)), &[], None);
    real.expect(204);
}

#[test]
fn a_dry_run_refuses_what_the_real_run_would() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let path = format!("{PATH}?dry_run=true");
    unchanged(&client, || {
        let refused = client.post(&path, json!({ "email": "Ada@shop.example.com" })).expect(409);
        assert_eq!(refused.json["existing_id"], ada);
        client.post(&path, json!({ "email": "x" })).expect(422);
        let refused = client.post(&format!("{PATH}?dry_run=perhaps"), json!({})).expect(400);
        assert_eq!(refused.json["errors"][0]["parameter"], "dry_run");
    });
}

#[test]
fn a_dry_run_leaves_its_key_free() {
    let client = workspace();
    let body = json!({ "first_name": "Ada" }).to_string();
    let path = format!("{PATH}?dry_run=true");
    let send = |path: &str| client.send("POST", path, &[("Idempotency-Key", "k-1")], Some(&body));
    let shown = unchanged(&client, || send(&path)).expect(201);
    assert_ne!(unchanged(&client, || send(&path)).expect(201).id(), shown.id());
    let made = send(PATH).expect(201);
    assert!(!is_replayed(&made));
    assert!(is_replayed(&send(PATH).expect(201)));
}

#[test]
fn nothing_that_is_refused_or_only_shown_leaves_a_trace_in_any_table() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let ada = with_email(&client, "ada@shop.example.com");
    let before = app.checksums();
    client.post(PATH, json!({ "email": "ada@shop.example.com" })).expect(409);
    client.post(&format!("{PATH}?dry_run=true"), json!({ "first_name": "Eve" })).expect(201);
    client.patch(&format!("{}?dry_run=true", at(&ada)), json!({ "tags": ["x"] })).expect(200);
    client.patch(&at(&ada), json!({ "owner_id": Uuid::nil() })).expect(422);
    client
        .post("/v1/touchpoints?dry_run=true", json!({ "type": "page.viewed", "message_id": "1" }))
        .expect(201);
    client.post("/v1/touchpoints", json!({ "type": "customer.created" })).expect(422);
    let mut after = app.checksums();
    let (keys, keys_after) = (position(&before), position(&after));
    after[keys_after] = before[keys].clone();
    assert_eq!(after, before);
}

/// Where the table is whose rows tell when a key was last used.
fn position(sums: &[(String, i64)]) -> usize {
    sums.iter().position(|(name, _)| name == "api_keys").expect("the keys")
}

#[test]
fn the_footprint_of_a_workspace_shows_every_write() {
    let client = workspace();
    let before = footprint(client.workspace_id);
    create(&client, json!({}));
    let expected = ["customer_activity", "customers", "touchpoint_counts", "touchpoints"];
    assert_eq!(changes(&before, &client), expected);
}
