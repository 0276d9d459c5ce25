//! How calls arrive: paths, credentials, content types, packing, and web pages of any origin.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{calls, count, customer, key, public, touchpoint};
use crate::harness::{Answer, App, Client, workspace};

const SHOP: &str = "https://shop.example.com";

fn basic(key: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{key}:"));
    format!("Basic {encoded}")
}

/// Without a credential but those among the headers.
fn anonymous(client: &Client) -> Client {
    Client { token: None, ..client.clone() }
}

fn post(client: &Client, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    client.send("POST", path, headers, Some(&body.to_string()))
}

#[test]
fn every_call_has_a_long_and_a_short_path() {
    let client = workspace();
    let sender = public(&client);
    for (long, short, body) in calls() {
        for path in [long, short] {
            let mut body = body.clone();
            body["messageId"] = json!(path);
            let answer = sender.post(&format!("/v1/{path}"), body.clone()).expect(200);
            assert_eq!(answer.json["success"], true, "{path}: {}", answer.text);
            let result = &answer.json["results"][0];
            assert_eq!(
                (&result["status"], &result["ignored"]),
                (&json!(201), &json!([])),
                "{path}"
            );
            assert_eq!(touchpoint(&client, result)["message_id"], path);
            // In a batch it says by itself what it is.
            body["type"] = json!(long);
            for batch in ["/v1/batch", "/v1/b"] {
                let answer = sender.post(batch, json!({ "batch": [body] })).expect(200);
                assert_eq!(answer.json["results"][0]["id"], result["id"], "{batch} of {path}");
            }
        }
    }
    assert_eq!(count(&client, "door.opened"), 2);
}

#[test]
fn a_key_is_a_basic_user_a_bearer_or_a_part_of_the_body_in_this_order() {
    let client = workspace();
    let (public, other) = (key(&client, "write", true), key(&client, "write", true));
    let nobody = anonymous(&client);
    let bearer = format!("Bearer {public}");
    let event = |name: &str| json!({ "userId": "u1", "event": name });
    post(&nobody, "/v1/track", &[("Authorization", &basic(&public))], &event("By Basic"))
        .expect(200);
    post(&nobody, "/v1/track", &[("Authorization", &bearer)], &event("By Bearer")).expect(200);
    let mut in_body = event("By Body");
    in_body["writeKey"] = json!(other);
    post(&nobody, "/v1/track", &[], &in_body).expect(200);
    let batch = json!({ "writeKey": other, "batch": [{ "type": "track", "userId": "u1", "event": "By Body" }] });
    post(&nobody, "/v1/batch", &[], &batch).expect(200);
    // What a header says counts, right or wrong.
    let wrong = [("Authorization", "Bearer ecrm_wk_wrong")];
    post(&nobody, "/v1/track", &wrong, &in_body).expect_code(401, "unauthorized");
    for (kind, expected) in [("by.basic", 1), ("by.bearer", 1), ("by.body", 2)] {
        assert_eq!(count(&client, kind), expected, "{kind}");
    }
}

#[test]
fn a_wrong_key_is_401_wherever_it_stands() {
    let client = workspace();
    let nobody = anonymous(&client);
    let right = key(&client, "write", true);
    let wrong = format!("{}x", &right[..right.len() - 1]);
    let portal = key(&client, "portal", true);
    let event = json!({ "userId": "u1", "event": "Door Opened" });
    let with_key = |key: Value| {
        let mut body = event.clone();
        body["writeKey"] = key;
        body
    };
    for header in
        [basic(&wrong), format!("Bearer {wrong}"), basic(""), "Basic !".into(), wrong.clone()]
    {
        let headers = [("Authorization", header.as_str())];
        post(&nobody, "/v1/t", &headers, &with_key(json!(right))).expect_code(401, "unauthorized");
    }
    for key in [json!(wrong), json!(""), json!(7), Value::Null] {
        post(&nobody, "/v1/t", &[], &with_key(key)).expect_code(401, "unauthorized");
    }
    post(&nobody, "/v1/t", &[], &event).expect_code(401, "unauthorized");
    let unreadable = nobody.send("POST", "/v1/t", &[], Some("{"));
    unreadable.expect_code(401, "unauthorized");
    post(&nobody, "/v1/t", &[], &with_key(json!(portal))).expect_code(403, "insufficient_scope");
    // Elsewhere neither Basic nor a body opens anything.
    let header = basic(client.token.as_deref().expect("a key"));
    nobody.send("GET", "/v1/customers", &[("Authorization", &header)], None).expect(401);
    assert_eq!(count(&client, "door.opened"), 0);
}

#[test]
fn a_write_key_reads_nothing() {
    let client = workspace();
    let sender = public(&client);
    for path in ["/v1/customers", "/v1/touchpoints", "/v1/orders", "/v1/workspace"] {
        sender.get(path).expect_code(403, "insufficient_scope");
    }
}

#[test]
fn any_content_type_will_do() {
    let client = workspace();
    let sender = public(&client);
    for kind in [
        "application/json",
        "text/plain",
        "text/plain;charset=UTF-8",
        "nonsense",
        "application/x-www-form-urlencoded",
        "application/json; charset=iso-8859-1",
    ] {
        let event = json!({ "userId": "u1", "event": "Door Opened" });
        post(&sender, "/v1/track", &[("Content-Type", kind)], &event).expect(200);
    }
    assert_eq!(count(&client, "door.opened"), 6);
}

#[test]
fn a_body_may_be_packed() {
    let client = workspace();
    let sender = public(&client);
    let event = json!({ "batch": [{ "type": "track", "userId": "u1", "event": "Door Opened" }] });
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(event.to_string().as_bytes()).expect("packed");
    let packed = packed.finish().expect("packed");
    let headers =
        [("Content-Encoding", "gzip"), ("Content-Type", "application/x-www-form-urlencoded")];
    sender.send_unchecked("POST", "/v1/batch", &headers, Some(&packed)).expect(200);
    let cut = &packed[..packed.len() - 4];
    let answer = sender.send_unchecked("POST", "/v1/batch", &headers, Some(cut));
    answer.expect_code(400, "invalid_encoding");
    assert_eq!(count(&client, "door.opened"), 1);
}

#[test]
fn what_cannot_be_read_is_400() {
    let client = workspace();
    let sender = public(&client);
    for body in ["", "{", "[]", "7", r#"{"userId":"u1","userId":"u2","event":"x"}"#] {
        let answer = sender.send("POST", "/v1/track", &[], Some(body));
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_json"),
            "{body}: {}",
            answer.text
        );
    }
}

#[test]
fn web_pages_of_any_origin_may_report_and_nothing_else() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let sender = public(&client);
    let preflight = |path: &str, origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization,content-type"),
        ];
        anonymous(&client).send("OPTIONS", path, &headers, None).expect(204)
    };
    for path in ["/v1/i", "/v1/track", "/v1/batch", "/v1/projects/ecrm_wk_x/settings"] {
        for origin in [SHOP, "null", "http://localhost:3000"] {
            let asked = preflight(path, origin);
            assert_eq!(asked.headers["access-control-allow-origin"], "*", "{path}");
            let sendable = asked.headers["access-control-allow-headers"].to_lowercase();
            assert!(sendable.contains("authorization") && sendable.contains("content-type"));
            assert!(!asked.headers.contains_key("access-control-allow-credentials"), "cookies");
        }
    }
    let event = json!({ "userId": "u1", "event": "Door Opened" });
    let origin = [("Origin", SHOP)];
    let answer = post(&sender, "/v1/track", &origin, &event).expect(200);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    // A library in a page has to see that it is refused, or it tries for ever.
    let answer = post(&anonymous(&client), "/v1/track", &origin, &event).expect(401);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    for path in ["/v1/customers", "/v1/touchpoints", "/v1/trackx"] {
        assert!(
            !preflight(path, SHOP).headers.contains_key("access-control-allow-origin"),
            "{path}"
        );
        let answer = client.send_unchecked("GET", path, &origin, None);
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
}

#[test]
fn the_library_for_browsers_is_told_where_to_send() {
    let client = workspace();
    let write_key = key(&client, "write", true);
    let path = format!("/v1/projects/{write_key}/settings");
    let answer = anonymous(&client).get(&path).expect(200);
    let receiver = &answer.json["integrations"]["Segment.io"];
    assert_eq!(receiver["apiKey"], json!(write_key));
    let host = receiver["apiHost"].as_str().expect("a host");
    assert!(host.ends_with("/v1") && !host.contains("://"), "{host}");
    assert!(["http", "https"].contains(&receiver["protocol"].as_str().expect("a protocol")));
    assert_eq!(answer.json["plan"], json!({}));
    let portal = key(&client, "portal", true);
    let secret = client.token.as_deref().expect("a key");
    for key in ["ecrm_wk_x", "x", &portal, secret] {
        let path = format!("/v1/projects/{key}/settings");
        anonymous(&client).get(&path).expect_code(404, "not_found");
    }
}

#[test]
fn a_test_key_makes_test_data_in_its_own_workspace() {
    let (client, other) = (workspace(), workspace());
    let test = client.with_token(&key(&client, "write", false));
    let call = json!({ "userId": "u1", "messageId": "m1", "traits": { "firstName": "Test" } });
    let result = super::sent(&test, "/v1/identify", call.clone());
    assert_eq!(super::lookup(&client, "user_id", "u1").status, 404, "live data");
    assert_eq!(customer(&client.test_mode(), "user_id", "u1")["first_name"], "Test");
    // The same ids mean somebody else in another workspace.
    let theirs = super::sent(&public(&other), "/v1/identify", call);
    assert_eq!(theirs["status"], 201);
    assert_ne!(theirs["id"], result["id"]);
}

#[test]
fn the_limit_is_429_with_the_time_to_wait() {
    let app = App::alone(&[("ECRM_RATE_LIMIT_PER_KEY", "5")]);
    let client = app.workspace(&["*"]);
    let sender = public(&client);
    let event = json!({ "type": "track", "userId": "u1", "event": "Door Opened" });
    let batch = json!({ "batch": vec![event; 4] });
    sender.post("/v1/batch", batch.clone()).expect(200);
    let refused = sender.post("/v1/batch", batch).expect_code(429, "too_many_requests");
    assert!(refused.headers["retry-after"].parse::<u64>().is_ok_and(|seconds| seconds > 0));
}

#[test]
fn a_channel_is_where_the_key_reports_that_it_is_named_after() {
    let client = workspace();
    let made = client.post("/v1/api_keys", json!({ "name": "web", "kind": "write" })).expect(201);
    let sender = client.with_token(made.json["key"].as_str().expect("a key"));
    let channel = json!({ "type": "web", "name": "Shop",
                          "external_ids": [{ "source": "api_key", "id": made.id() }] });
    let channel = client.post("/v1/channels", channel).expect(201).id();
    let result = super::sent(&sender, "/v1/page", json!({ "anonymousId": "a1" }));
    assert_eq!(touchpoint(&client, &result)["channel_id"], json!(channel));
    let elsewhere = super::sent(&public(&client), "/v1/page", json!({ "anonymousId": "a1" }));
    assert_eq!(touchpoint(&client, &elsewhere)["channel_id"], Value::Null);
}

#[test]
fn every_type_that_tracking_gives_of_itself_stands_in_the_catalogue() {
    let client = workspace();
    let item = json!({ "sku": "R", "name": "Rope", "price": 10, "quantity": 1 });
    let track = |event: &str, properties: Value| json!({ "type": "track", "userId": "u1", "event": event, "properties": properties });
    let order = json!({ "order_id": "1001", "total": 10, "currency": "EUR", "products": [item] });
    let mut cart = item.clone();
    cart["cart_id"] = json!("c1");
    let mut calls = vec![track("Order Completed", order), track("Product Added", cart)];
    calls.push(track("購入", json!({})));
    for (kind, _, mut call) in super::calls() {
        if kind != "track" {
            call["type"] = json!(kind);
            calls.push(call);
        }
    }
    public(&client).post("/v1/batch", json!({ "batch": calls })).expect(200);
    let catalogue: Value = serde_json::from_str(ecrm::api::events()).expect("JSON");
    let list = client.get("/v1/touchpoints?limit=200").expect(200).json;
    let kinds: Vec<&str> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["type"].as_str().expect("a type"))
        .collect();
    for wanted in ["order.reported", "cart.reported", "event.tracked", "user.aliased"] {
        assert!(kinds.contains(&wanted), "{wanted}: {kinds:?}");
    }
    for kind in kinds {
        assert!(catalogue["events"][kind].is_object(), "{kind} is not listed");
    }
}
