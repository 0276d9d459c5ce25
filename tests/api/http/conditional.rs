//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110, 13).

use serde_json::json;

use crate::guards::fixtures::quiet_keys;
use crate::harness::{Answer, App, Client, workspace};

const PATH: &str = "/v1/customers";

fn made(client: &Client) -> (String, Answer) {
    let made = client.post(PATH, json!({ "first_name": "Ada" })).expect(201);
    (format!("{PATH}/{}", made.id()), made)
}

fn get(client: &Client, path: &str, tag: &str) -> Answer {
    client.send_unchecked("GET", path, &[("If-None-Match", tag)], None)
}

#[test]
fn a_single_resource_carries_its_version_as_its_etag() {
    let client = workspace();
    let (path, made) = made(&client);
    assert_eq!(made.headers["etag"], "\"1\"");
    assert_eq!(made.headers["location"], path);
    assert_eq!(client.get(&path).expect(200).headers["etag"], "\"1\"");
    let changed = client.patch(&path, json!({ "first_name": "Eva" })).expect(200);
    assert_eq!(changed.headers["etag"], "\"2\"");
    assert_eq!(changed.json["version"], 2);
    assert!(!client.get(PATH).expect(200).headers.contains_key("etag"), "a list has no version");
}

#[test]
fn who_has_the_present_version_is_spared_the_body() {
    let client = workspace();
    let (path, _) = made(&client);
    for tag in ["\"1\"", "W/\"1\"", "*", "\"7\", \"1\"", "W/\"0\" , W/\"1\""] {
        let answer = get(&client, &path, tag);
        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{tag}");
        assert_eq!(answer.headers["etag"], "\"1\"", "{tag}");
    }
    for tag in ["\"2\"", "1", "\"1", "\"\"", "", "nonsense", "\"11\""] {
        assert_eq!(get(&client, &path, tag).status, 200, "{tag}");
    }
    client.patch(&path, json!({ "first_name": "Eva" })).expect(200);
    assert_eq!(get(&client, &path, "\"1\"").status, 200);
    assert_eq!(get(&client, &path, "\"2\"").status, 304);
}

#[test]
fn a_change_based_on_another_version_is_refused_and_changes_nothing() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (path, _) = made(&client);
    quiet_keys(&app);
    let before = app.checksums();
    for (method, body) in [("PATCH", Some("{\"first_name\": \"Eva\"}")), ("DELETE", None)] {
        for tag in ["\"2\"", "\"0\"", "\"-1\"", "\"9223372036854775807\""] {
            let refused = client.send(method, &path, &[("If-Match", tag)], body);
            assert_eq!((refused.status, refused.code()), (412, "version_mismatch"), "{tag}");
        }
        for tag in ["nonsense", "\"\"", "", "\"1\", \"2\"", "W/\"1\"", "\"1.0\"", "\"abc\""] {
            let refused = client.send(method, &path, &[("If-Match", tag)], body);
            assert_eq!((refused.status, refused.code()), (400, "invalid_parameter"), "`{tag}`");
            assert_eq!(refused.json["errors"][0]["parameter"], "If-Match");
        }
    }
    assert_eq!(app.checksums(), before);
}

#[test]
fn a_change_based_on_the_present_version_is_made() {
    let client = workspace();
    let (path, _) = made(&client);
    let change = Some("{\"first_name\": \"Eva\"}");
    client.send("PATCH", &path, &[("If-Match", "\"1\"")], change).expect(200);
    client.send("PATCH", &path, &[("If-Match", "\"1\"")], change).expect(412);
    let other = Some("{\"first_name\": \"Eve\"}");
    client.send("PATCH", &path, &[("If-Match", "*")], other).expect(200);
    client.send("DELETE", &path, &[("If-Match", "\"3\"")], None).expect(204);
    client.send("DELETE", &path, &[("If-Match", "*")], None).expect(404);
}

#[test]
fn an_upsert_may_be_told_to_create_only() {
    let client = workspace();
    let path = format!("{PATH}/external/shop/42");
    let put = |tag: &str| client.send("PUT", &path, &[("If-None-Match", tag)], Some("{}"));
    put("*").expect(201);
    let refused = put("*").expect(412);
    assert_eq!(refused.code(), "precondition_failed");
    let wrong = put("\"1\"").expect(400);
    assert_eq!(wrong.json["errors"][0]["parameter"], "If-None-Match");
    client.put(&path, json!({})).expect(200);
}
