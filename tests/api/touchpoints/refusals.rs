//! What a touchpoint cannot be.

use serde_json::{Value, json};

use super::{PATH, fault, send, statuses};
use crate::customers::unchanged;
use crate::harness::workspace;

#[test]
fn a_type_is_a_noun_and_a_verb_and_not_one_of_ours() {
    let client = workspace();
    for kind in ["a.b", "product.viewed", "my_app.screen_2.seen", "message.sent", "order.placed"] {
        send(&client, json!({ "type": kind })).expect(201);
    }
    let long = format!("a.{}", "b".repeat(99));
    unchanged(&client, || {
        for kind in
            ["viewed", "Product.viewed", "product.", ".viewed", "a..b", "a b.c", "", "1.2", &long]
        {
            let refused = send(&client, json!({ "type": kind })).expect(422);
            assert_eq!(refused.fault(), ("invalid_type", "#/type"), "{kind}");
        }
        for noun in ["customer", "identity", "channel", "organization", "membership", "consent"] {
            let refused = send(&client, json!({ "type": format!("{noun}.created") })).expect(422);
            assert_eq!(refused.fault(), ("reserved_type", "#/type"), "{noun}");
        }
    });
}

/// Bodies that are refused, with code and pointer.
fn bad() -> Vec<(Value, &'static str, &'static str)> {
    let with = |name: &str, value: Value| json!({ "type": "page.viewed", name: value });
    vec![
        (with("direction", json!("sideways")), "invalid_type", "#/direction"),
        (with("occurred_at", json!("yesterday")), "invalid_type", "#/occurred_at"),
        (
            with("occurred_at", json!("1969-12-31T23:59:59.999999Z")),
            "invalid_time",
            "#/occurred_at",
        ),
        (with("occurred_at", json!("2199-01-01T00:00:00Z")), "invalid_time", "#/occurred_at"),
        (with("source", json!("")), "invalid_length", "#/source"),
        (with("source", json!("s".repeat(101))), "invalid_length", "#/source"),
        (with("message_id", json!("")), "invalid_length", "#/message_id"),
        (with("message_id", json!("m".repeat(256))), "invalid_length", "#/message_id"),
        (with("message_id", json!(1)), "invalid_type", "#/message_id"),
        (with("name", json!("n".repeat(201))), "invalid_length", "#/name"),
        (
            with("value", json!({ "amount": 1, "currency": "euros" })),
            "invalid_currency",
            "#/value/currency",
        ),
        (
            with("value", json!({ "amount": 1.5, "currency": "EUR" })),
            "invalid_type",
            "#/value/amount",
        ),
        (with("value", json!({ "amount": 1 })), "required", "#/value/currency"),
        (with("subject", json!({ "type": "product" })), "required", "#/subject/id"),
        (with("subject", json!({ "type": "", "id": "1" })), "invalid_length", "#/subject/type"),
        (with("actor", json!({ "type": "robot" })), "invalid_type", "#/actor/type"),
        (with("content", json!({ "language": "german" })), "invalid_locale", "#/content/language"),
        (with("content", json!({ "body": "x" })), "unknown_field", "#/content/body"),
        (
            with("context", json!({ "page": { "url": "u".repeat(4001) } })),
            "invalid_length",
            "#/context/page/url",
        ),
        (with("context", json!({ "device": "phone" })), "invalid_type", "#/context/device"),
        (with("properties", json!([])), "invalid_type", "#/properties"),
        (with("properties", json!({ "a": "\u{0}" })), "nul_character", "#/properties/a"),
        (with("properties", json!({ "a": 1e300 })), "number_out_of_range", "#/properties/a"),
        (with("received_at", json!("2024-01-01T00:00:00Z")), "unknown_field", "#/received_at"),
        (with("customer_id", json!("x")), "unknown_field", "#/customer_id"),
        (with("customer", json!({})), "empty_reference", "#/customer"),
        (with("customer", json!({ "email": "ada" })), "invalid_email", "#/customer/email"),
        (with("customer", json!({ "phone": "1" })), "invalid_phone", "#/customer/phone"),
        (with("customer", json!({ "user_id": "" })), "invalid_length", "#/customer/user_id"),
        (with("customer", json!({ "name": "Ada" })), "unknown_field", "#/customer/name"),
        (
            with("customer", json!({ "identities": [{ "type": "email", "value": "ada" }] })),
            "invalid_email",
            "#/customer/identities/0/value",
        ),
        (
            with("customer", json!({ "external_id": { "source": "", "id": "1" } })),
            "invalid_length",
            "#/customer/external_id/source",
        ),
        (json!({}), "required", "#/type"),
    ]
}

#[test]
fn every_field_that_does_not_fit_is_named() {
    let client = workspace();
    let path = format!("{PATH}?on_unknown_customer=create");
    unchanged(&client, || {
        for (body, code, pointer) in bad() {
            let refused = client.post(&path, body.clone()).expect(422);
            assert_eq!(refused.fault(), (code, pointer), "{body}");
        }
        let refused = client.post(&path, json!([])).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", "#"));
        for body in ["{", "", r#"{"type": "a.b", "type": "a.c"}"#, r#"{"type": "\udead.b"}"#] {
            assert_eq!(
                client.send("POST", &path, &[], Some(body)).expect(400).code(),
                "invalid_json"
            );
        }
    });
}

#[test]
fn in_a_batch_the_others_are_stored_all_the_same() {
    let client = workspace();
    let path = format!("{PATH}/batch?on_unknown_customer=create");
    for (body, code, pointer) in bad() {
        let good = json!({ "type": "page.viewed" });
        let answer = client.post(&path, json!({ "items": [good, body, good] }));
        assert_eq!(statuses(&answer), [201, 422, 201], "{body}");
        assert_eq!(fault(&answer, 1), (code, pointer), "{body}");
    }
}

#[test]
fn an_option_that_is_wrong_is_named() {
    let client = workspace();
    let body = json!({ "type": "page.viewed" });
    unchanged(&client, || {
        let refused = client.post(&format!("{PATH}?on_unknown_customer=guess"), body.clone());
        assert_eq!(refused.expect(400).json["errors"][0]["parameter"], "on_unknown_customer");
        let refused = client.post(&format!("{PATH}?backfil=true"), body).expect(400);
        assert_eq!(refused.code(), "unknown_parameter");
    });
}

#[test]
fn a_batch_has_1_to_1000_items() {
    let client = workspace();
    let send = |n: usize| {
        let items = vec![json!({ "type": "page.viewed" }); n];
        client.post(&format!("{PATH}/batch"), json!({ "items": items }))
    };
    unchanged(&client, || {
        for n in [0, 1001] {
            assert_eq!(send(n).expect(422).fault(), ("invalid_length", "#/items"));
        }
    });
    assert_eq!(statuses(&send(1000).expect(207)), [201; 1000]);
    assert_eq!(crate::customers::touchpoints(&client), 1000);
}

#[test]
fn the_right_to_send_touchpoints_is_not_the_right_to_read_them() {
    let client = workspace();
    let sender = client.with_scopes(&["touchpoints:ingest"]);
    send(&sender, json!({ "type": "page.viewed" })).expect(201);
    assert_eq!(sender.get(PATH).expect(403).code(), "insufficient_scope");
    let reader = client.with_scopes(&["touchpoints:read"]);
    unchanged(&client, || send(&reader, json!({ "type": "page.viewed" })).expect(403));
    reader.get(PATH).expect(200);
}
