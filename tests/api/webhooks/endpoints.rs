//! Setting endpoints up.

use serde_json::{Value, json};

use super::sink::{Mode, Sink};
use super::{PATH, at, endpoint, sending};
use crate::customers::unchanged;
use crate::harness::workspace;

#[test]
fn an_endpoint_keeps_what_it_was_given() {
    let client = workspace();
    let body = json!({
        "url": "https://erp.example.com/hooks?shop=1", "description": "Orders into the ERP",
        "event_types": ["order.*", "customer.created"], "signatures": ["v1", "v1a"],
        "where": { "field": "value.amount", "op": "gte", "value": 1000 }, "max_concurrency": 2,
    });
    let made = endpoint(&client, body.clone());
    assert_eq!(made.headers["location"], at(&made.id()));
    let found = client.get(&at(&made.id())).expect(200).json;
    for (name, value) in body.as_object().expect("fields") {
        assert_eq!(found[name], *value, "{name}");
    }
    assert_eq!((&found["status"], &found["failures"]), (&json!("enabled"), &json!(0)));
    assert!(found["public_key"].as_str().unwrap().starts_with("whpk_"));
    let plain = endpoint(&client, json!({ "url": "https://erp.example.com/" })).json;
    assert_eq!(plain["event_types"], json!(["*"]));
    assert_eq!(plain["signatures"], json!(["v1"]));
    assert_eq!((&plain["max_concurrency"], &plain["where"]), (&json!(4), &Value::Null));
    let list = client.get(&format!("{PATH}?include_total=true")).expect(200).json;
    assert_eq!(list["total"], 2);
    assert!(!list.to_string().contains("whsec_") && !list.to_string().contains("whsk_"));
}

#[test]
fn an_endpoint_changes_and_goes() {
    let client = workspace();
    let id = endpoint(&client, json!({ "url": "https://erp.example.com/" })).id();
    let patch = json!({ "event_types": ["cart.*"], "where": null, "status": "disabled" });
    let changed = client.patch(&at(&id), patch).expect(200).json;
    assert_eq!(changed["event_types"], json!(["cart.*"]));
    assert_eq!(
        (&changed["status"], &changed["disabled_reason"]),
        (&json!("disabled"), &json!("manual"))
    );
    let enabled = client.send("POST", &format!("{}/enable", at(&id)), &[], None).expect(200).json;
    assert_eq!((&enabled["status"], &enabled["disabled_at"]), (&json!("enabled"), &Value::Null));
    client.send("PATCH", &at(&id), &[("if-match", "\"1\"")], Some("{}")).expect(412);
    client.delete(&at(&id)).expect(204);
    client.get(&at(&id)).expect(404);
    client.get(&format!("{}/deliveries", at(&id))).expect(404);
    client.patch(&at(&id), json!({})).expect(404);
    let told = client.get("/v1/touchpoints?source=ecrm").expect(200).json["data"].to_string();
    for kind in ["created", "updated", "disabled", "enabled", "deleted"] {
        assert!(told.contains(&format!("webhook_endpoint.{kind}")), "{kind}: {told}");
    }
}

#[test]
fn what_is_wrong_with_an_endpoint_is_named() {
    let client = workspace();
    let url = "https://erp.example.com/";
    for (body, code, pointer) in [
        (json!({}), "required", "#/url"),
        (json!({ "url": "erp" }), "invalid_url", "#/url"),
        (json!({ "url": "http://erp.example.com/" }), "invalid_url", "#/url"),
        (json!({ "url": "https://me:pass@erp.example.com/" }), "invalid_url", "#/url"),
        (json!({ "url": url, "event_types": [] }), "invalid_length", "#/event_types"),
        (json!({ "url": url, "event_types": ["Order*"] }), "invalid_event_types", "#/event_types"),
        (json!({ "url": url, "signatures": ["v1", "v1"] }), "invalid_signatures", "#/signatures"),
        (json!({ "url": url, "signatures": ["v2"] }), "invalid_type", "#/signatures/0"),
        (json!({ "url": url, "max_concurrency": 11 }), "out_of_range", "#/max_concurrency"),
        (
            json!({ "url": url, "where": { "field": "email", "op": "eq", "value": "a" } }),
            "unknown_field",
            "#/where/field",
        ),
        (
            json!({ "url": url, "where": { "did": { "type": "a.b" } } }),
            "invalid_operator",
            "#/where/did",
        ),
        (json!({ "url": url, "secret": "whsec_mine" }), "unknown_field", "#/secret"),
    ] {
        let refused = unchanged(&client, || client.post(PATH, body.clone())).expect(422);
        assert_eq!(refused.fault(), (code, pointer), "{body}");
    }
}

#[test]
fn an_address_inside_is_refused_when_it_is_set_and_when_it_is_used() {
    let client = workspace();
    for url in [
        "https://localhost/",
        "https://127.0.0.1:8080/hooks",
        "https://0x7f.1/",
        "https://[::ffff:a9fe:a9fe]/latest/meta-data/",
        "https://10.0.0.8/",
        "https://metadata.google.internal/",
    ] {
        let refused = client.post(PATH, json!({ "url": url })).expect(422);
        assert_eq!(refused.fault(), ("private_address", "#/url"), "{url}");
    }
    // What a name resolves to may be known only when it is used.
    let name = endpoint(&client, json!({ "url": "https://erp.example.com/" })).id();
    let refused = client.patch(&at(&name), json!({ "url": "https://192.168.0.1/" })).expect(422);
    assert_eq!(refused.fault(), ("private_address", "#/url"));
    let sink = Sink::new(Mode::Status(200));
    let url = sink.url.replace("http://127.0.0.1", "https://[::1]");
    diesel::connection::SimpleConnection::batch_execute(
        &mut client.owner(),
        &format!("update webhook_endpoints set url = '{url}' where id = '{name}'"),
    )
    .expect("as if a name resolved to it");
    let tried = client.send("POST", &format!("{}/test", at(&name)), &[], None).expect(200).json;
    assert_eq!(tried["error"], "private_address");
    assert!(sink.came().is_empty());
}

#[test]
fn a_workspace_has_at_most_fifty_endpoints() {
    let client = workspace();
    let mut last = String::new();
    for n in 0..50 {
        // A number, which needs no looking up.
        last = endpoint(&client, json!({ "url": format!("https://1.1.1.1/{n}") })).id();
    }
    let another = json!({ "url": "https://1.1.1.1/another" });
    unchanged(&client, || client.post(PATH, another.clone())).expect_code(409, "conflict");
    client.delete(&at(&last)).expect(204);
    endpoint(&client, another);
}

#[test]
fn a_secret_is_shown_once_and_the_old_one_signs_for_a_day() {
    let client = sending();
    let sink = Sink::new(Mode::Status(200));
    let key = [("idempotency-key", "webhook-1")];
    let body = json!({ "url": sink.url }).to_string();
    let made = client.send("POST", PATH, &key, Some(&body)).expect(201);
    let first = made.json["secret"].as_str().expect("a secret").to_owned();
    let again = client.send("POST", PATH, &key, Some(&body)).expect(201);
    assert_eq!((again.id(), &again.json["secret"]), (made.id(), &Value::Null));
    let dry = client.post(&format!("{PATH}?dry_run=true"), json!({ "url": sink.url })).expect(201);
    assert_eq!(dry.json["secret"], Value::Null);
    assert_eq!(client.get(&at(&made.id())).expect(200).json.get("secret"), None);

    let test = || {
        let tried = client.send("POST", &format!("{}/test", at(&made.id())), &[], None).expect(200);
        assert_eq!(tried.json["is_success"], true, "{}", tried.text);
        sink.came().pop().expect("a message")
    };
    let message = test();
    assert_eq!(message.signatures_by(&first), 1);
    let rotated = format!("{}/rotate_secret", at(&made.id()));
    let rotated = client.send("POST", &rotated, &[], None).expect(200);
    let second = rotated.json["secret"].as_str().expect("a secret").to_owned();
    assert!(first != second && rotated.json["previous_secret_expires_at"].is_string());
    assert_eq!(rotated.json["public_key"], made.json["public_key"]);
    let both = test();
    assert_eq!((both.signatures_by(&first), both.signatures_by(&second)), (1, 1));
    diesel::connection::SimpleConnection::batch_execute(
        &mut client.owner(),
        &format!(
            "update webhook_endpoints
                set previous_secret_expires_at = previous_secret_expires_at - interval '24 hours'
              where id = '{}'",
            made.id()
        ),
    )
    .expect("a day later");
    let later = test();
    assert_eq!((later.signatures_by(&first), later.signatures_by(&second)), (0, 1));
}

#[test]
fn a_test_is_in_the_shape_of_an_event_and_shows_what_came_back() {
    let client = sending();
    let sink = Sink::new(Mode::Head(418, "x-kettle: yes\r\n"));
    let id = endpoint(&client, json!({ "url": sink.url, "event_types": ["order.*"] })).id();
    let tried = client.send("POST", &format!("{}/test", at(&id)), &[], None).expect(200).json;
    assert_eq!((&tried["status_code"], &tried["is_success"]), (&json!(418), &json!(false)));
    assert_eq!((&tried["response_body"], &tried["error"]), (&json!("ok"), &Value::Null));
    assert_eq!(tried["response_headers"]["x-kettle"], "yes");
    let message = sink.came().pop().expect("a message");
    assert_eq!(message.id(), tried["message_id"]);
    assert_eq!(message.json["type"], "webhook_endpoint.tested");
    assert_eq!(message.json["data"]["subject"]["id"], id.as_str());
    assert_eq!(message.json["workspace_id"], client.workspace_id.to_string());
    let dry = client.send("POST", &format!("{}/test?dry_run=true", at(&id)), &[], None);
    assert_eq!(dry.expect(200).json["status_code"], Value::Null);
    assert_eq!(sink.came().len(), 1);
    let found = client.get(&at(&id)).expect(200).json;
    assert_eq!(found["failures"], 0, "a test says nothing about how the endpoint does");
}
