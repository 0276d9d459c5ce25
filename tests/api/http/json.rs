//! JSON that is almost right.

use serde_json::{Value, json};

use super::wire::{exchange, head};
use crate::harness::{Answer, Client, workspace};

const PATH: &str = "/v1/customers";

fn post(client: &Client, body: &str) -> Answer {
    client.send("POST", PATH, &[], Some(body))
}

/// Posts bytes that need not be text.
fn post_bytes(client: &Client, body: &[u8]) -> (u16, String) {
    let more = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let answer = exchange(client, [head(client, "POST", PATH, &more).as_bytes(), body].concat());
    (answer.status, answer.code())
}

fn none_stored(client: &Client) {
    let list = client.get(&format!("{PATH}?include_total=true")).expect(200);
    assert_eq!(list.json["total"], 0);
}

/// B14
#[test]
fn what_is_not_one_json_value_is_refused() {
    let client = workspace();
    for body in [
        "",
        " ",
        "{",
        "{}}",
        "{} {}",
        "{}x",
        "{},",
        "\u{feff}{}",
        "{'first_name': 'Ada'}",
        "{first_name: \"Ada\"}",
        "{\"first_name\": \"Ada\",}",
        "{\"first_name\": NaN}",
        "{\"first_name\": Infinity}",
        "{\"first_name\": -Infinity}",
        "{\"first_name\": undefined}",
        "{\"first_name\": 01}",
        "{\"first_name\": 1.}",
        "{\"first_name\": .5}",
        "{\"first_name\": +1}",
        "{\"first_name\": 0x10}",
        "{\"first_name\": \"Ada\nLindqvist\"}",
        "{\"first_name\": \"\\x41\"}",
        "// a comment\n{}",
        "{\"attributes\": {\"n\": 1e400}}",
    ] {
        let answer = post(&client, body);
        let place = format!("`{body}`: {}", answer.text);
        assert_eq!((answer.status, answer.code()), (400, "invalid_json"), "{place}");
    }
    none_stored(&client);
}

#[test]
fn json_of_another_kind_than_an_object_is_refused() {
    let client = workspace();
    for body in ["null", "true", "1", "\"text\"", "[]", "[{}]"] {
        let answer = post(&client, body);
        let place = format!("`{body}`: {}", answer.text);
        assert_eq!((answer.status, answer.code()), (422, "validation_failed"), "{place}");
        assert_eq!(answer.fault().0, "invalid_type", "{place}");
    }
    none_stored(&client);
}

/// A2
#[test]
fn text_that_is_not_unicode_is_refused() {
    let client = workspace();
    for body in [
        &b"{\"first_name\": \"\xff\"}"[..],
        b"{\"first_name\": \"\xc3\"}",
        b"{\"first_name\": \"\xed\xa0\x80\"}",
        b"{\"first_name\": \"\xc0\x80\"}",
        b"{\"\xff\": 1}",
        b"{\"first_name\": \"\\ud800\"}",
        b"{\"first_name\": \"\\ud800\\u0041\"}",
        b"{\"first_name\": \"\\udc00\\ud800\"}",
        b"{\"attributes\": {\"\\udead\": 1}}",
        b"\xff\xfe{\x00}\x00",
    ] {
        let place = String::from_utf8_lossy(body).into_owned();
        assert_eq!(post_bytes(&client, body), (400, "invalid_json".into()), "{place}");
    }
    none_stored(&client);
}

/// A2, the other side: what is unicode comes back as it went in.
#[test]
fn every_text_that_is_unicode_is_stored_as_it_is() {
    let client = workspace();
    for text in [
        "Zoë",
        "Zoe\u{308}",
        "山田太郎",
        "שרה",
        "\u{1f469}\u{200d}\u{1f52c}",
        "\u{10ffff}",
        "a\tb\nc\r",
        "' or 1=1; --",
        "\"\\/",
        "\u{7f}\u{85}\u{a0}",
        "\u{fffd}",
    ] {
        let made = client.post(PATH, json!({ "attributes": { "note": text } })).expect(201);
        let read = client.get(&format!("{PATH}/{}", made.id())).expect(200);
        assert_eq!(read.json["attributes"]["note"], *text, "{text:?}");
    }
}

/// A5
#[test]
fn a_key_that_stands_twice_in_one_object_is_refused() {
    let client = workspace();
    for body in [
        r#"{"first_name": "Ada", "first_name": "Eva"}"#,
        r#"{"first_name": "Ada", "first_name": "Ada"}"#,
        r#"{"first_name": "Ada", "first\u005fname": "Eva"}"#,
        r#"{"attributes": {"a": 1, "a": 2}}"#,
        r#"{"attributes": {"a": {"b": [{"c": 1, "c": 2}]}}}"#,
        r#"{"attributes": {"a": 1}, "attributes": {"a": 1}}"#,
    ] {
        let answer = post(&client, body);
        assert_eq!((answer.status, answer.code()), (400, "invalid_json"), "{body}");
        assert!(answer.json["detail"].as_str().expect("a detail").contains("more than once"));
    }
    none_stored(&client);
    let twins = r#"{"attributes": {"a": {"x": 1}, "b": {"x": 1}, "A": 2}}"#;
    post(&client, twins).expect(201);
}

fn nested(levels: usize) -> String {
    format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

/// A6: free JSON has 8 levels, `attributes` itself being the first.
#[test]
fn free_json_is_eight_levels_deep_and_no_deeper() {
    let client = workspace();
    post(&client, &format!("{{\"attributes\": {}}}", nested(8))).expect(201);
    for levels in [9, 31] {
        let answer = post(&client, &format!("{{\"attributes\": {}}}", nested(levels)));
        assert_eq!((answer.status, answer.fault().0), (422, "too_deep"), "{levels}");
    }
    for levels in [32, 127, 128, 129, 100_000] {
        let objects = post(&client, &format!("{{\"attributes\": {}}}", nested(levels)));
        assert_eq!((objects.status, objects.code()), (400, "invalid_json"), "{levels}");
        let lists = format!("{}{}", "[".repeat(levels + 1), "]".repeat(levels + 1));
        assert_eq!(post(&client, &lists).status, 400, "{levels}");
    }
}

/// A6
#[test]
fn free_json_has_a_limit_of_keys_and_bytes() {
    let client = workspace();
    let object = |keys: usize| -> Value {
        (0..keys).map(|key| (format!("k{key}"), json!(1))).collect::<serde_json::Map<_, _>>().into()
    };
    client.post(PATH, json!({ "attributes": object(200) })).expect(201);
    let refused = client.post(PATH, json!({ "attributes": object(201) })).expect(422);
    assert_eq!(refused.fault(), ("too_many_keys", "#/attributes"));
    // {"note":"…"} has eleven bytes around the text.
    let note = |bytes: usize| json!({ "attributes": { "note": "x".repeat(bytes - 11) } });
    client.post(PATH, note(32 * 1024)).expect(201);
    let refused = client.post(PATH, note(32 * 1024 + 1)).expect(422);
    assert_eq!(refused.fault(), ("too_large", "#/attributes"));
}

/// A1
#[test]
fn nul_is_refused_wherever_it_stands_in_a_body() {
    let client = workspace();
    for (body, pointer) in [
        (r#"{"first_name": "a\u0000b"}"#, "#/first_name"),
        (r#"{"tags": ["vip", "\u0000"]}"#, "#/tags/1"),
        (r#"{"attributes": {"note": "\u0000"}}"#, "#/attributes/note"),
        (r#"{"attributes": {"a\u0000b": 1}}"#, "#/attributes/a%00b"),
        (r#"{"attributes": {"list": [{"deep": ["\u0000"]}]}}"#, "#/attributes/list/0/deep/0"),
        (r#"{"identities": [{"type": "user_id", "value": "\u0000"}]}"#, "#/identities/0/value"),
        (r#"{"\u0000": 1}"#, "#/%00"),
    ] {
        let answer = post(&client, body);
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        assert_eq!(answer.fault(), ("nul_character", pointer), "{body}");
    }
    let raw = post_bytes(&client, b"{\"first_name\": \"a\x00b\"}");
    assert_eq!(raw, (400, "invalid_json".into()));
    none_stored(&client);
}

#[test]
fn a_field_that_does_not_exist_is_refused_by_name() {
    let client = workspace();
    for (body, pointer) in [
        (json!({ "first_nmae": "Ada" }), "#/first_nmae"),
        (json!({ "workspace_id": client.workspace_id }), "#/workspace_id"),
        (json!({ "id": "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5" }), "#/id"),
        (json!({ "version": 7 }), "#/version"),
        (json!({ "livemode": false }), "#/livemode"),
        (json!({ "addresses": [{ "strasse": "x" }] }), "#/addresses/0/strasse"),
        (json!({ "a/b~c": 1 }), "#/a~1b~0c"),
    ] {
        let answer = client.post(PATH, body.clone()).expect(422);
        assert_eq!(answer.fault(), ("unknown_field", pointer), "{body}");
    }
    none_stored(&client);
}

/// A refusal names the field, never the value.
#[test]
fn a_refused_value_is_not_repeated() {
    let client = workspace();
    let canary = "canary-7f3a";
    for body in [
        json!({ "email": canary }),
        json!({ "first_name": [canary] }),
        json!({ "lifecycle_stage": canary }),
        json!({ "birth_date": canary }),
        json!({ "attributes": canary }),
        json!({ "identities": [{ "type": canary, "value": canary }] }),
    ] {
        let answer = client.post(PATH, body.clone());
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        assert!(!answer.text.contains(canary), "{body}: {}", answer.text);
    }
}
