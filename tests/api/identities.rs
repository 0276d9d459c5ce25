//! By what a customer is recognised: attached, detached, looked up, never shared.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::customers::{PATH, at, create, holder, kinds, rows, unchanged, with_email};
use crate::harness::{Answer, Client, workspace};

fn of(id: &str) -> String {
    format!("{}/identities", at(id))
}

fn attach(client: &Client, customer: &str, identity: Value) -> Answer {
    client.post(&of(customer), identity)
}

fn look_up(client: &Client, query: &str) -> Answer {
    client.get(&format!("{PATH}/lookup?{query}"))
}

#[test]
fn a_customer_is_found_by_every_kind_of_identity() {
    let client = workspace();
    let body = json!({
        "email": "ada@shop.example.com",
        "phone": "+436641234567",
        "external_ids": [{ "source": "shop", "id": "7" }],
        "identities": [
            { "type": "email", "value": "Ada@Work.example.com" },
            { "type": "phone", "value": "+49 30 901820" },
            { "type": "user_id", "value": "u-1" },
            { "type": "anonymous_id", "value": "a-1" },
            { "type": "device_id", "value": "d-1" },
            { "type": "cookie", "value": "c-1" },
            { "type": "social", "source": "mastodon", "value": "@ada" },
            { "type": "external", "source": "erp", "value": "K-1" },
        ],
    });
    let ada = create(&client, body).id();
    let queries = [
        "type=email&value=ADA@shop.example.com",
        "type=email&value=ada@work.example.com",
        "type=phone&value=%2B43%20664%201234567",
        "type=phone&value=%2B4930901820",
        "type=external&source=shop&value=7",
        "type=external&source=erp&value=K-1",
        "type=user_id&value=u-1",
        "type=anonymous_id&value=a-1",
        "type=device_id&value=d-1",
        "type=cookie&value=c-1",
        "type=social&source=mastodon&value=@ada",
    ];
    for query in queries {
        let found = look_up(&client, query).expect(200);
        assert_eq!(found.id(), ada, "{query}");
        assert_eq!(found.headers["etag"], "\"1\"");
    }
    let elsewhere = [
        "type=cookie&value=u-1",
        "type=user_id&value=U-1",
        "type=external&source=crm&value=7",
        "type=social&source=shop&value=7",
        "type=email&value=eve@shop.example.com",
    ];
    for query in elsewhere {
        assert_eq!(look_up(&client, query).expect(404).code(), "not_found", "{query}");
        look_up(&workspace(), query).expect(404);
    }
}

#[test]
fn a_look_up_that_cannot_be_meant_is_refused() {
    let client = workspace();
    let cases = [
        ("value=ada@shop.example.com", "type"),
        ("type=email", "value"),
        ("type=fax&value=1", "type"),
        ("type=email&value=ada", "value"),
        ("type=phone&value=0664", "value"),
        ("type=external&value=7", "source"),
        ("type=email&source=shop&value=a@shop.example.com", "source"),
        ("type=user_id&value=%20", "value"),
    ];
    for (query, parameter) in cases {
        let refused = look_up(&client, query).expect(400);
        assert_eq!(refused.code(), "invalid_parameter", "{query}");
        assert_eq!(refused.json["errors"][0]["parameter"], parameter, "{query}");
    }
    let refused = look_up(&client, "type=email&value=a@shop.example.com&nope=1").expect(400);
    assert_eq!(refused.code(), "unknown_parameter");
}

#[test]
fn a_further_identity_is_attached_once() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let identity = json!({ "type": "email", "value": "Ada@Work.example.com", "is_verified": true });
    let added = attach(&client, &ada, identity.clone()).expect(200);
    assert_eq!(added.json["customer_id"], ada);
    assert_eq!(added.json["origin_customer_id"], ada);
    assert_eq!(added.json["value"], "Ada@Work.example.com");
    assert_eq!(added.json["value_norm"], "ada@work.example.com");
    assert_eq!(added.json["is_primary"], false);
    assert!(added.json["verified_at"].is_string());
    let again = unchanged(&client, || attach(&client, &ada, identity)).expect(200);
    assert_eq!(again.json, added.json);
    assert_eq!(client.get(&at(&ada)).expect(200).json["email"], "ada@shop.example.com");
    assert_eq!(kinds(&client, &ada), ["customer.created", "identity.added"]);
}

#[test]
fn the_first_email_and_phone_become_the_customers_own() {
    let client = workspace();
    let ada = create(&client, json!({ "first_name": "Ada" })).id();
    attach(&client, &ada, json!({ "type": "email", "value": "Ada@Shop.example.com" })).expect(200);
    attach(&client, &ada, json!({ "type": "phone", "value": "+43 664 1234567" })).expect(200);
    attach(&client, &ada, json!({ "type": "external", "source": "erp", "value": "K1" }))
        .expect(200);
    let after = client.get(&at(&ada)).expect(200).json;
    assert_eq!(after["email"], "ada@shop.example.com");
    assert_eq!(after["phone"], "+436641234567");
    assert_eq!(after["external_ids"], json!([{ "source": "erp", "id": "K1" }]));
    assert_eq!(after["version"], 4);
    for part in ["ada@shop", "6641234567", "k1"] {
        let found = client.get(&format!("{PATH}?q={part}")).expect(200);
        assert_eq!(rows(&found).len(), 1, "{part}");
    }
}

#[test]
fn an_identity_of_somebody_else_is_refused() {
    let client = workspace();
    let body = json!({
        "email": "ada@shop.example.com",
        "identities": [{ "type": "user_id", "value": "u-1" }],
    });
    let ada = create(&client, body).id();
    let eve = with_email(&client, "eve@shop.example.com");
    let cases = [
        json!({ "type": "email", "value": "ADA@shop.example.com" }),
        json!({ "type": "user_id", "value": "u-1" }),
    ];
    for identity in cases {
        let refused = unchanged(&client, || attach(&client, &eve, identity)).expect(409);
        assert_eq!(refused.code(), "identities_value_taken");
        assert_eq!(refused.json["existing_id"], ada);
        assert_eq!(refused.fault(), ("already_exists", "#/value"));
    }
}

#[test]
fn an_identity_that_does_not_fit_its_type_is_refused() {
    let client = workspace();
    let ada = create(&client, json!({})).id();
    let cases = [
        (json!({ "type": "email", "value": "ada" }), "invalid_email", "#/value"),
        (json!({ "type": "phone", "value": "664" }), "invalid_phone", "#/value"),
        (json!({ "type": "user_id", "value": "" }), "invalid_length", "#/value"),
        (json!({ "type": "user_id", "value": "x".repeat(513) }), "invalid_length", "#/value"),
        (json!({ "type": "social", "value": "@ada" }), "invalid_source", "#/source"),
        (json!({ "type": "cookie", "source": "x", "value": "c" }), "invalid_source", "#/source"),
        (json!({ "type": "cookie" }), "required", "#/value"),
        (json!({ "value": "c" }), "required", "#/type"),
        (
            json!({ "type": "cookie", "value": "c", "is_primary": true }),
            "unknown_field",
            "#/is_primary",
        ),
    ];
    unchanged(&client, || {
        for (identity, code, pointer) in cases {
            let refused = attach(&client, &ada, identity).expect(422);
            assert_eq!(refused.fault(), (code, pointer));
        }
        attach(&client, &Uuid::now_v7().to_string(), json!({ "type": "cookie", "value": "c" }))
            .expect(404);
    });
}

#[test]
fn blanks_around_an_identity_mean_nothing() {
    let client = workspace();
    let body = json!({ "identities": [{ "type": "user_id", "value": " u-1 " }] });
    let ada = create(&client, body).id();
    assert_eq!(look_up(&client, "type=user_id&value=u-1").expect(200).id(), ada);
    let again = json!({ "identities": [{ "type": "user_id", "value": "u-1" }] });
    client.post(PATH, again).expect(409);
}

#[test]
fn a_detached_identity_is_free_and_leaves_no_trace_in_the_customer() {
    let client = workspace();
    let ada = create(&client, json!({ "email": "ada@shop.example.com", "first_name": "Ada" })).id();
    let identity = client.get(&of(&ada)).expect(200).json["data"][0]["id"].clone();
    let path = format!("{}/{}", of(&ada), identity.as_str().expect("an id"));
    assert_eq!(client.delete(&path).expect(204).text, "");
    let after = client.get(&at(&ada)).expect(200).json;
    assert_eq!((&after["email"], &after["version"]), (&Value::Null, &json!(2)));
    assert!(rows(&client.get(&of(&ada)).expect(200)).is_empty());
    holder(&client, "ada@shop.example.com").expect(404);
    assert!(rows(&client.get(&format!("{PATH}?q=ada@shop")).expect(200)).is_empty());
    assert_eq!(kinds(&client, &ada), ["customer.created", "identity.removed"]);
    client.delete(&path).expect(404);
    with_email(&client, "ada@shop.example.com");
}

#[test]
fn a_customer_cannot_detach_what_another_one_has() {
    let client = workspace();
    let (ada, eve) =
        (with_email(&client, "a@shop.example.com"), with_email(&client, "e@shop.example.com"));
    let identity = client.get(&of(&ada)).expect(200).json["data"][0]["id"].clone();
    let path = format!("{}/{}", of(&eve), identity.as_str().expect("an id"));
    unchanged(&client, || client.delete(&path).expect(404));
}

#[test]
fn an_email_that_is_given_twice_in_one_body_is_one_identity() {
    let client = workspace();
    let body = json!({
        "email": "ada@shop.example.com",
        "identities": [{ "type": "email", "value": "ADA@shop.example.com", "is_verified": true }],
    });
    let ada = create(&client, body).id();
    let identities = client.get(&of(&ada)).expect(200);
    assert_eq!(rows(&identities).len(), 1);
    assert_eq!(identities.json["data"][0]["is_primary"], true);
    assert!(identities.json["data"][0]["verified_at"].is_string());
}

#[test]
fn an_email_becomes_verified_when_it_is_attached_again_as_such() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    let email = "ada@shop.example.com";
    let identity = |proven| json!({ "type": "email", "value": email, "is_verified": proven });
    let proven = attach(&client, &ada, identity(true)).expect(200);
    assert!(proven.json["verified_at"].is_string());
    assert_eq!(proven.json["is_primary"], true);
    let again = attach(&client, &ada, identity(false)).expect(200);
    assert_eq!(again.json["verified_at"], proven.json["verified_at"]);
}
