//! What a customer cannot be: each fault has a code and a place, and nothing is written.

use serde_json::{Value, json};

use super::{PATH, at, create, unchanged};
use crate::harness::{Answer, workspace};

fn post_text(client: &crate::harness::Client, body: &str) -> Answer {
    client.send("POST", PATH, &[], Some(body))
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    let client = workspace();
    let bodies = [
        "",
        "{",
        "Ada",
        "{\"first_name\": \"Ada\"} {}",
        r#"{"first_name": "\ud800"}"#,
        r#"{"first_name": "Ada", "first_name": "Eve"}"#,
        r#"{"attributes": {"a": 1, "a": 2}}"#,
    ];
    unchanged(&client, || {
        for body in bodies {
            let refused = post_text(&client, body).expect(400);
            assert_eq!(refused.code(), "invalid_json", "{body}");
        }
    });
}

#[test]
fn a_body_must_be_an_object() {
    let client = workspace();
    unchanged(&client, || {
        for body in ["[]", r#"[[], "Ada"]"#, "null", "1", r#""Ada""#] {
            let refused = post_text(&client, body).expect(422);
            assert_eq!(refused.fault(), ("invalid_type", "#"), "{body}");
        }
        let refused = client.post(PATH, json!({ "addresses": [["home", true]] })).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", "#/addresses/0"));
    });
}

#[test]
fn every_field_that_does_not_fit_is_named() {
    let client = workspace();
    let long = |chars: usize| "x".repeat(chars);
    let cases: Vec<(Value, &str, &str)> = vec![
        (json!({ "email": 12345 }), "invalid_type", "#/email"),
        (json!({ "email": "notanemail" }), "invalid_email", "#/email"),
        (json!({ "email": "" }), "invalid_email", "#/email"),
        (json!({ "email": "Ada <ada@shop.example.com>" }), "invalid_email", "#/email"),
        (json!({ "email": format!("{}@x.example.com", long(250)) }), "invalid_email", "#/email"),
        (json!({ "phone": "0664 1234567" }), "invalid_phone", "#/phone"),
        (json!({ "phone": "+4366412345678901234" }), "invalid_phone", "#/phone"),
        (json!({ "first_name": { "a": 1 } }), "invalid_type", "#/first_name"),
        (json!({ "first_name": ["Ada"] }), "invalid_type", "#/first_name"),
        (json!({ "first_name": long(201) }), "invalid_length", "#/first_name"),
        (json!({ "display_name": long(401) }), "invalid_length", "#/display_name"),
        (json!({ "birth_date": "1899-12-31" }), "invalid_date", "#/birth_date"),
        (json!({ "birth_date": "31.12.1990" }), "invalid_type", "#/birth_date"),
        (json!({ "birth_date": "1990-02-30" }), "invalid_type", "#/birth_date"),
        (json!({ "locale": "english" }), "invalid_locale", "#/locale"),
        (json!({ "timezone": "Vienna" }), "invalid_timezone", "#/timezone"),
        (json!({ "currency": "eur" }), "invalid_currency", "#/currency"),
        (json!({ "lifecycle_stage": "loyal" }), "invalid_type", "#/lifecycle_stage"),
        (json!({ "status": "merged" }), "invalid_type", "#/status"),
        (json!({ "owner_id": "mira" }), "invalid_type", "#/owner_id"),
        (json!({ "score": 2_147_483_648_i64 }), "invalid_type", "#/score"),
        (json!({ "score": 1.5 }), "invalid_type", "#/score"),
        (json!({ "nope": 1 }), "unknown_field", "#/nope"),
        (json!({ "id": "x" }), "unknown_field", "#/id"),
        (json!({ "stats": {} }), "unknown_field", "#/stats"),
        (json!({ "workspace_id": "x" }), "unknown_field", "#/workspace_id"),
    ];
    unchanged(&client, || {
        for (body, code, pointer) in cases {
            let refused = client.post(PATH, body.clone()).expect(422);
            assert_eq!(refused.code(), "validation_failed", "{body}");
            assert_eq!(refused.fault(), (code, pointer), "{body}");
        }
    });
}

#[test]
fn what_does_not_fit_is_named_wherever_it_lies() {
    let client = workspace();
    let address =
        |field: &str, value: &str| json!({ "addresses": [{ "type": "home", field: value }] });
    let identity = |identity: Value| json!({ "identities": [identity] });
    let same_twice = json!([{ "source": "shop", "id": "1" }, { "source": "shop", "id": "2" }]);
    let cases = [
        (address("zip", "6020"), "unknown_field", "#/addresses/0/zip"),
        (address("country", "Austria"), "invalid_country", "#/addresses/0/country"),
        (address("line1", &"x".repeat(201)), "invalid_length", "#/addresses/0/line1"),
        (json!({ "addresses": [{}] }), "required", "#/addresses/0/type"),
        (json!({ "addresses": [{ "type": "moon" }] }), "invalid_type", "#/addresses/0/type"),
        (
            json!({ "preferences": { "language": "german" } }),
            "invalid_locale",
            "#/preferences/language",
        ),
        (json!({ "acquisition": { "utm_term": "x" } }), "unknown_field", "#/acquisition/utm_term"),
        (json!({ "external_ids": same_twice }), "duplicate_source", "#/external_ids/1/source"),
        (
            json!({ "external_ids": [{ "source": "", "id": "1" }] }),
            "invalid_length",
            "#/external_ids/0/source",
        ),
        (json!({ "external_ids": [{ "source": "shop" }] }), "required", "#/external_ids/0/id"),
        (
            identity(json!({ "type": "email", "value": "ada" })),
            "invalid_email",
            "#/identities/0/value",
        ),
        (
            identity(json!({ "type": "phone", "value": "1" })),
            "invalid_phone",
            "#/identities/0/value",
        ),
        (identity(json!({ "type": "user_id", "value": " " })), "required", "#/identities/0/value"),
        (
            identity(json!({ "type": "social", "value": "ada" })),
            "invalid_source",
            "#/identities/0/source",
        ),
        (
            identity(json!({ "type": "email", "source": "x", "value": "a@b.example.com" })),
            "invalid_source",
            "#/identities/0/source",
        ),
        (identity(json!({ "type": "fax", "value": "1" })), "invalid_type", "#/identities/0/type"),
    ];
    unchanged(&client, || {
        for (body, code, pointer) in cases {
            let refused = client.post(PATH, body.clone()).expect(422);
            assert_eq!(refused.fault(), (code, pointer), "{body}");
        }
    });
}

#[test]
fn free_json_has_limits() {
    let client = workspace();
    let deep = (1..9).fold(json!(1), |inner, _| json!({ "a": inner }));
    let wide: Value =
        (0..201).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let cases = [
        (json!({ "a": ["x\u{0}"] }), "nul_character", "#/attributes/a/0"),
        (json!({ "a": deep }), "too_deep", "#/attributes/a/a/a/a/a/a/a/a"),
        (wide, "too_many_keys", "#/attributes"),
        (json!({ "a": "x".repeat(33_000) }), "too_large", "#/attributes"),
        (
            json!({ "a": { "b": 9_007_199_254_740_993_i64 } }),
            "number_out_of_range",
            "#/attributes/a/b",
        ),
        (json!([]), "invalid_type", "#/attributes"),
    ];
    unchanged(&client, || {
        for (attributes, code, pointer) in cases {
            let refused = client.post(PATH, json!({ "attributes": attributes })).expect(422);
            assert_eq!(refused.fault(), (code, pointer));
        }
    });
}

#[test]
fn a_nul_character_is_refused_in_every_place() {
    let client = workspace();
    let made = create(&client, json!({})).id();
    let cases = [
        (json!({ "first_name": "A\u{0}da" }), "#/first_name"),
        (json!({ "tags": ["club", "\u{0}"] }), "#/tags/1"),
        (json!({ "addresses": [{ "type": "home", "city": "\u{0}" }] }), "#/addresses/0/city"),
    ];
    unchanged(&client, || {
        for (body, pointer) in cases {
            for answer in [client.post(PATH, body.clone()), client.patch(&at(&made), body.clone())]
            {
                assert_eq!(answer.expect(422).fault(), ("nul_character", pointer), "{body}");
            }
        }
        client.get(&format!("{PATH}?q=%00")).expect(422);
        client.get(&at("%00")).expect(422);
    });
}

#[test]
fn tags_are_different_labels_of_a_sensible_length() {
    let client = workspace();
    let many = |n: usize| (0..n).map(|n| format!("tag {n}")).collect::<Vec<_>>();
    create(&client, json!({ "tags": many(100) }));
    create(&client, json!({ "tags": ["é".repeat(100), "Club", "club"] }));
    unchanged(&client, || {
        for tags in [json!([""]), json!(["x".repeat(101)]), json!(["club", "club"])] {
            let refused = client.post(PATH, json!({ "tags": tags })).expect(422);
            assert_eq!(refused.fault(), ("invalid_tags", "#/tags"), "{tags}");
        }
        let refused = client.post(PATH, json!({ "tags": many(101) })).expect(422);
        assert_eq!(refused.fault(), ("invalid_length", "#/tags"));
        let refused = client.post(PATH, json!({ "tags": "club" })).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", "#/tags"));
        let refused = client.post(PATH, json!({ "tags": [1] })).expect(422);
        assert_eq!(refused.fault(), ("invalid_type", "#/tags/0"));
    });
}

#[test]
fn all_faults_are_told_at_once() {
    let client = workspace();
    let addresses = json!([{ "type": "home", "country": "at" }]);
    let body = json!({ "email": "ada", "currency": "eur", "addresses": addresses });
    let refused = client.post(PATH, body).expect(422);
    let faults = refused.json["errors"].as_array().expect("faults");
    let pointers: Vec<_> = faults.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["#/addresses/0/country", "#/currency", "#/email"]);
}

#[test]
fn what_is_not_there_and_what_cannot_be_an_id_are_both_not_found() {
    let client = workspace();
    for id in ["01890000-0000-7000-8000-000000000000", "ada", "1"] {
        assert_eq!(client.get(&at(id)).expect(404).code(), "not_found");
        client.patch(&at(id), json!({ "first_name": "Ada" })).expect(404);
        client.delete(&at(id)).expect(404);
        client.post(&format!("{}/restore", at(id)), json!({})).expect(404);
    }
}
