//! What a customer can be made of, and that it is kept as it was given.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{PATH, at, create, kinds, unchanged, with_email};
use crate::harness::{Client, workspace};

fn user(client: &Client) -> String {
    let email = format!("{}@shop.example.com", Uuid::new_v4().simple());
    let body = json!({ "email": email, "name": "Mira Berg", "role": "agent" });
    client.post("/v1/users", body).expect(201).id()
}

/// Every field a customer can be made with, in the form in which it is stored.
fn everything(owner: &str) -> Value {
    let mut body = everything_without_owner();
    body["owner_id"] = json!(owner);
    body
}

pub fn everything_without_owner() -> Value {
    json!({
        "external_ids": [{ "source": "shop", "id": "7310211" }, { "source": "erp", "id": "K-1" }],
        "first_name": "Ada",
        "last_name": "Lindqvist",
        "display_name": "Ada L. \u{1f9d7}",
        "email": "ada@shop.example.com",
        "phone": "+436641234567",
        "title": "Dr.",
        "birth_date": "1990-02-28",
        "gender": "female",
        "locale": "de-AT",
        "timezone": "Europe/Vienna",
        "currency": "EUR",
        "addresses": [{
            "type": "shipping", "is_default": true, "line1": "Bergstraße 12", "line2": "Top 3",
            "city": "Innsbruck", "region": "Tirol", "postal_code": "6020", "country": "AT",
        }],
        "lifecycle_stage": "opportunity",
        "status": "inactive",
        "source": "shop",
        "acquisition": {
            "utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "spring",
            "referrer": "https://news.example.com/", "landing_page": "https://shop.example.com/",
        },
        "preferences": { "channels": ["email"], "topics": ["climbing"], "language": "de" },
        "score": -7,
        "attributes": { "shoe_size": 42.5, "club": { "since": 2019, "levels": ["a", null] } },
        "tags": ["club", "Früh dran"],
    })
}

#[test]
fn a_customer_keeps_every_field_it_was_given() {
    let client = workspace();
    let mut body = everything(&user(&client));
    let expected = body.clone();
    body["identities"] = json!([{ "type": "user_id", "value": "u-1" }]);
    let made = create(&client, body);
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&made.json[name], value, "{name}");
    }
    assert_eq!(made.json["version"], 1);
    assert_eq!(made.json["created_at"], made.json["updated_at"]);
    assert_eq!(made.json["deleted_at"], Value::Null);
    assert_eq!(made.headers["etag"], "\"1\"");
    assert_eq!(made.headers["location"], at(&made.id()));
    let read = client.get(&at(&made.id())).expect(200);
    assert_eq!(read.json, made.json);
    assert_eq!(read.headers["etag"], "\"1\"");
    assert_eq!(kinds(&client, &made.id()), ["customer.created"]);
}

#[test]
fn a_customer_may_be_nothing_but_an_id() {
    let client = workspace();
    let made = create(&client, json!({})).json;
    assert_eq!((&made["lifecycle_stage"], &made["status"]), (&json!("lead"), &json!("active")));
    for list in ["external_ids", "addresses", "tags"] {
        assert_eq!(made[list], json!([]), "{list}");
    }
    assert_eq!(made["attributes"], json!({}));
    assert_eq!(made["stats"]["touchpoints_count"], 0);
    for absent in ["first_name", "email", "phone", "score", "acquisition", "owner_id"] {
        assert_eq!(made[absent], Value::Null, "{absent}");
    }
}

#[test]
fn every_stage_and_every_status_can_be_the_first() {
    let client = workspace();
    let stages = [
        "visitor",
        "subscriber",
        "lead",
        "marketing_qualified_lead",
        "sales_qualified_lead",
        "opportunity",
        "customer",
        "evangelist",
        "other",
    ];
    for stage in stages {
        let made = create(&client, json!({ "lifecycle_stage": stage }));
        assert_eq!(made.json["lifecycle_stage"], stage);
    }
    for status in ["active", "inactive", "blocked"] {
        assert_eq!(create(&client, json!({ "status": status })).json["status"], status);
    }
}

#[test]
fn email_and_phone_are_shown_in_the_form_in_which_they_are_compared() {
    let client = workspace();
    let body = json!({ "email": "  Ada.Ünal@Shop.EXAMPLE.com ", "phone": "+43 (664) 123-45-67" });
    let made = create(&client, body);
    assert_eq!(made.json["email"], "ada.ünal@shop.example.com");
    assert_eq!(made.json["phone"], "+436641234567");
    let identities = client.get(&format!("{}/identities", at(&made.id()))).expect(200);
    let email = &identities.json["data"][0];
    assert_eq!(email["value"], "Ada.Ünal@Shop.EXAMPLE.com");
    assert_eq!(email["is_primary"], true);
}

#[test]
fn the_same_email_again_names_the_field_and_who_has_it() {
    let client = workspace();
    let ada = with_email(&client, "ada@shop.example.com");
    for email in ["ada@shop.example.com", "ADA@Shop.Example.com", " ada@shop.example.com"] {
        let body = json!({ "email": email, "first_name": "Eve" });
        let refused = unchanged(&client, || client.post(PATH, body)).expect(409);
        assert_eq!(refused.code(), "identities_value_taken", "{email}");
        assert_eq!(refused.fault(), ("already_exists", "#/email"), "{email}");
        assert_eq!(refused.json["existing_id"], ada, "{email}");
    }
}

#[test]
fn the_same_phone_is_recognised_however_it_is_written() {
    let client = workspace();
    let ada = create(&client, json!({ "phone": "+43 664 1234567" })).id();
    for phone in ["+436641234567", "+43 (664) 1234567", "+43-664-123/45.67", "+43 (0)664 1234567"] {
        let refused =
            unchanged(&client, || client.post(PATH, json!({ "phone": phone }))).expect(409);
        assert_eq!(refused.fault(), ("already_exists", "#/phone"), "{phone}");
        assert_eq!(refused.json["existing_id"], ada, "{phone}");
    }
}

#[test]
fn two_workspaces_may_have_the_same_customer() {
    let (ours, theirs) = (workspace(), workspace());
    let body = json!({
        "email": "ada@shop.example.com", "phone": "+436641234567",
        "external_ids": [{ "source": "shop", "id": "1" }],
        "identities": [{ "type": "user_id", "value": "u-1" }],
    });
    let (our, their) = (create(&ours, body.clone()).id(), create(&theirs, body).id());
    assert_ne!(our, their);
    ours.get(&at(&their)).expect(404);
    assert_eq!(super::holder(&ours, "ada@shop.example.com").expect(200).id(), our);
}

#[test]
fn an_owner_must_be_a_user_of_the_workspace() {
    let (client, stranger) = (workspace(), workspace());
    let ours = user(&client);
    assert_eq!(create(&client, json!({ "owner_id": ours })).json["owner_id"], ours);
    for owner in [user(&stranger), Uuid::now_v7().to_string()] {
        let refused =
            unchanged(&client, || client.post(PATH, json!({ "owner_id": owner }))).expect(422);
        assert_eq!(refused.fault(), ("not_found", "#/owner_id"));
        let made = create(&client, json!({})).id();
        let refused = unchanged(&client, || {
            client.patch(&at(&made), json!({ "owner_id": owner, "first_name": "Eve" }))
        });
        assert_eq!(refused.expect(422).fault(), ("not_found", "#/owner_id"));
    }
}

#[test]
fn of_many_who_make_the_same_customer_at_once_one_succeeds() {
    let client = workspace();
    let make = || client.post(PATH, json!({ "email": "ada@shop.example.com" }));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((refused.status, refused.code()), (409, "identities_value_taken"));
        assert_eq!(refused.json["existing_id"], made[0].id());
    }
    assert_eq!(super::touchpoints(&client), 1);
}
