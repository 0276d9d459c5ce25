//! Who somebody is: identify, alias, group.

use serde_json::{Value, json};

use super::{count, customer, ignored, lookup, public, sent, touchpoint};
use crate::harness::{App, Client, workspace};

fn identify(client: &Client, user: &str, traits: Value) -> Value {
    sent(client, "/v1/identify", json!({ "userId": user, "traits": traits }))
}

fn timeline(client: &Client, customer: &Value, kind: &str) -> usize {
    let id = customer["id"].as_str().expect("an id");
    let found = client.get(&format!("/v1/customers/{id}/timeline?type={kind}")).expect(200);
    found.json["data"].as_array().expect("a list").len()
}

#[test]
fn traits_become_the_customers_fields_and_attributes() {
    let client = workspace();
    let result = identify(
        &public(&client),
        "u1",
        json!({
            "email": "Ada@Shop.example.com", "phone": "+43 664 1234567", "name": "Ada Lindqvist",
            "birthday": "1990-05-17", "address": { "street": "Bergstraße 12", "country": "AT" },
            "company": { "name": "Alpenglow" }, "plan": "gold", "createdAt": "2026-01-01T00:00:00Z",
        }),
    );
    let ada = customer(&client, "user_id", "u1");
    for (field, expected) in [
        ("first_name", "Ada"),
        ("last_name", "Lindqvist"),
        ("email", "ada@shop.example.com"),
        ("phone", "+436641234567"),
        ("birth_date", "1990-05-17"),
        ("source", "segment"),
        ("lifecycle_stage", "lead"),
    ] {
        assert_eq!(ada[field], expected, "{field}");
    }
    assert_eq!(ada["addresses"][0]["line1"], "Bergstraße 12");
    assert_eq!(ada["attributes"]["plan"], "gold");
    assert_eq!(ada["attributes"]["company"], "Alpenglow");
    assert_eq!(ada["version"], 1, "it was made with everything");
    let told = touchpoint(&client, &result);
    assert_eq!((&told["type"], &told["source"]), (&json!("user.identified"), &json!("segment")));
    assert_eq!(told["customer_id"], ada["id"]);
    assert_eq!(told["properties"]["email"], "Ada@Shop.example.com");
}

#[test]
fn what_says_nothing_new_changes_nothing_and_a_change_is_one() {
    let client = workspace();
    let sender = public(&client);
    let traits = json!({ "firstName": "Ada", "plan": "gold" });
    identify(&sender, "u1", traits.clone());
    identify(&sender, "u1", traits);
    assert_eq!(customer(&client, "user_id", "u1")["version"], 1);
    identify(&sender, "u1", json!({ "plan": "silver", "firstName": "Ada" }));
    let ada = customer(&client, "user_id", "u1");
    assert_eq!((&ada["version"], &ada["attributes"]["plan"]), (&json!(2), &json!("silver")));
    identify(&sender, "u1", json!({ "plan": null }));
    assert_eq!(customer(&client, "user_id", "u1")["attributes"], json!({}));
    assert_eq!(count(&client, "user.identified"), 4);
}

#[test]
fn what_is_not_valid_is_told_and_the_rest_is_taken() {
    let client = workspace();
    let definition =
        json!({ "resource": "customer", "key": "age", "name": "Age", "type": "number" });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let traits = json!({ "email": "nobody", "birthday": "soon", "age": "old", "firstName": "Ada" });
    let result = identify(&public(&client), "u1", traits.clone());
    let mut left_out = ignored(&result);
    left_out.sort_unstable();
    assert_eq!(
        left_out,
        [
            ("#/traits/age", "invalid_attribute"),
            ("#/traits/birthday", "invalid_date"),
            ("#/traits/email", "invalid_email"),
        ]
    );
    let ada = customer(&client, "user_id", "u1");
    assert_eq!((&ada["first_name"], &ada["email"]), (&json!("Ada"), &Value::Null));
    assert_eq!(ada["attributes"], json!({}));
    assert_eq!(touchpoint(&client, &result)["properties"], traits, "as it came");
}

#[test]
fn a_large_number_or_a_nul_costs_a_trait_and_no_call() {
    let client = workspace();
    let large = 10_222_333_444_555_666_777_u64;
    let traits =
        json!({ "fb_id": large, "note": "a\u{0}b", "firstName": "Ada", "locale": "de_AT" });
    let result =
        sent(&public(&client), "/v1/identify", json!({ "userId": large, "traits": traits }));
    assert_eq!(ignored(&result), [("#/traits/note", "nul_character")]);
    let ada = customer(&client, "user_id", "10222333444555666777");
    assert_eq!((&ada["first_name"], &ada["locale"]), (&json!("Ada"), &json!("de-AT")));
    // A string keeps every digit.
    assert_eq!(ada["attributes"], json!({ "fb_id": "10222333444555666777" }));
    let told = touchpoint(&client, &result)["properties"].clone();
    assert_eq!((&told["fb_id"], &told["note"]), (&json!("10222333444555666777"), &Value::Null));
}

#[test]
fn a_unique_attribute_of_somebody_else_is_told() {
    let client = workspace();
    let definition = json!({ "resource": "customer", "key": "card", "name": "Card",
                             "type": "string", "unique": true });
    client.post("/v1/attribute_definitions", definition).expect(201);
    let sender = public(&client);
    identify(&sender, "u1", json!({ "card": "c-1" }));
    assert_eq!(customer(&client, "user_id", "u1")["attributes"]["card"], "c-1");
    let result = identify(&sender, "u2", json!({ "card": "c-1", "firstName": "Bob" }));
    assert_eq!(ignored(&result), [("#/traits/card", "already_exists")]);
    let bob = customer(&client, "user_id", "u2");
    assert_eq!((&bob["first_name"], &bob["attributes"]), (&json!("Bob"), &json!({})));
}

#[test]
fn a_write_key_adds_addresses_and_a_secret_key_replaces_them() {
    let client = workspace();
    let sender = public(&client);
    let mail = |name: &str| json!({ "email": format!("{name}@shop.example.com") });
    identify(&sender, "u1", mail("old"));
    let result = identify(&sender, "u1", mail("new"));
    assert_eq!(ignored(&result), [("#/traits/email", "not_replaced")]);
    let ada = customer(&client, "user_id", "u1");
    assert_eq!(ada["email"], "old@shop.example.com");
    assert_eq!(customer(&client, "email", "new%40shop.example.com")["id"], ada["id"]);
    let result = identify(&client, "u1", mail("new"));
    assert_eq!(ignored(&result), []);
    assert_eq!(customer(&client, "user_id", "u1")["email"], "new@shop.example.com");
}

#[test]
fn a_visitor_becomes_known_with_what_was_seen_before() {
    let client = workspace();
    let sender = public(&client);
    sent(&sender, "/v1/page", json!({ "anonymousId": "a1", "name": "Home" }));
    let visitor = customer(&client, "anonymous_id", "a1");
    assert_eq!(visitor["lifecycle_stage"], "visitor");
    let body = json!({ "anonymousId": "a1", "userId": "u1", "traits": { "firstName": "Ada" } });
    sent(&sender, "/v1/identify", body.clone());
    let ada = customer(&client, "user_id", "u1");
    assert_eq!((&ada["id"], &ada["lifecycle_stage"]), (&visitor["id"], &json!("lead")));
    assert_eq!(timeline(&client, &ada, "page.viewed"), 1);
    // On another device she was somebody else until now.
    sent(&sender, "/v1/page", json!({ "anonymousId": "a2", "name": "Boots" }));
    let mut second = body;
    second["anonymousId"] = json!("a2");
    sent(&sender, "/v1/identify", second);
    assert_eq!(customer(&client, "anonymous_id", "a2")["id"], ada["id"]);
    assert_eq!(timeline(&client, &ada, "page.viewed"), 2);
}

#[test]
fn many_visitors_become_known_in_one_batch() {
    let client = workspace();
    let sender = public(&client);
    let pages = (0..45).map(|n| json!({ "type": "page", "anonymousId": format!("a{n}") }));
    let logins = (0..45).map(|n| json!({ "type": "identify", "userId": format!("u{n}") }));
    let both = (0..45).map(|n| {
        json!({ "type": "identify", "userId": format!("u{n}"), "anonymousId": format!("a{n}") })
    });
    let calls: Vec<Value> = pages.chain(logins).chain(both).collect();
    let answer = sender.post("/v1/batch", json!({ "batch": calls })).expect(200);
    assert_eq!(answer.json["failed"], 0, "{}", answer.text);
    for n in 0..45 {
        let known = customer(&client, "user_id", &format!("u{n}"));
        assert_eq!(customer(&client, "anonymous_id", &format!("a{n}"))["id"], known["id"], "{n}");
    }
}

#[test]
fn rudderstack_says_traits_in_the_context() {
    let client = workspace();
    let body = json!({ "userId": 4711, "anonymousId": null, "context": { "traits": { "firstName": "Ada" } } });
    let result = sent(&public(&client), "/v1/identify", body);
    assert_eq!(customer(&client, "user_id", "4711")["first_name"], "Ada");
    assert_eq!(touchpoint(&client, &result)["properties"], json!({ "firstName": "Ada" }));
}

#[test]
fn somebody_who_was_erased_stays_away() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    identify(&public(&client), "u1", json!({}));
    let id = customer(&client, "user_id", "u1")["id"].clone();
    crate::privacy::answered(&app, &client, id.as_str().expect("an id"), "erasure");
    let body = json!({ "userId": "u1", "event": "Door Opened" });
    public(&client).post("/v1/track", body).expect_code(409, "identity_erased");
}

#[test]
fn an_alias_is_one_more_id_of_the_same_customer() {
    let client = workspace();
    let sender = public(&client);
    sent(&sender, "/v1/page", json!({ "anonymousId": "a1" }));
    sent(&sender, "/v1/alias", json!({ "previousId": "a1", "userId": "u1" }));
    let ada = customer(&client, "user_id", "u1");
    assert_eq!(customer(&client, "anonymous_id", "a1")["id"], ada["id"]);
    // A login under a new name.
    sent(&sender, "/v1/alias", json!({ "previousId": "u1", "userId": "u1-new" }));
    assert_eq!(customer(&client, "user_id", "u1-new")["id"], ada["id"]);
    assert_eq!(lookup(&client, "anonymous_id", "u1").status, 404, "it is known as a login");
}

#[test]
fn two_logins_that_meet_are_for_somebody_to_decide() {
    let client = workspace();
    let sender = public(&client);
    identify(&sender, "u1", json!({}));
    identify(&sender, "u2", json!({}));
    sent(&sender, "/v1/alias", json!({ "previousId": "u1", "userId": "u2" }));
    assert_ne!(customer(&client, "user_id", "u1")["id"], customer(&client, "user_id", "u2")["id"]);
    let candidates = client.get("/v1/merge_candidates").expect(200);
    assert_eq!(candidates.json["data"].as_array().expect("a list").len(), 1);
}

#[test]
fn a_shared_browser_or_address_makes_no_two_logins_one() {
    for is_public in [true, false] {
        let client = workspace();
        let sender = if is_public { public(&client) } else { client.with_scopes(&["*"]) };
        let identified = |user: &str, email: &str| {
            let traits = json!({ "email": email, "firstName": user });
            let call = json!({ "anonymousId": "a", "userId": user, "traits": traits });
            sent(&sender, "/v1/identify", call);
        };
        identified("anna", "anna@shop.example.com");
        identified("bob", "bob@shop.example.com");
        let track = json!({ "anonymousId": "a", "userId": "cleo", "event": "Door Opened" });
        sent(&sender, "/v1/track", track);
        identified("eve", "anna@shop.example.com");
        let seen = ["anna", "bob", "cleo", "eve"].map(|user| {
            let one = customer(&client, "user_id", user);
            (one["first_name"].clone(), one["email"].clone())
        });
        let expected = [
            (json!("anna"), json!("anna@shop.example.com")),
            (json!("bob"), json!("bob@shop.example.com")),
            (Value::Null, Value::Null),
            (json!("eve"), Value::Null),
        ];
        assert_eq!(seen, expected);
        let browser = customer(&client, "anonymous_id", "a");
        assert_eq!(browser["id"], customer(&client, "user_id", "anna")["id"]);
    }
}

#[test]
fn a_group_is_an_organization_and_the_customer_its_member() {
    let client = workspace();
    let sender = public(&client);
    let group = |traits: Value| {
        sent(&sender, "/v1/group", json!({ "userId": "u1", "groupId": "g-17", "traits": traits }))
    };
    let traits = json!({ "name": "Bergsport", "employees": 42, "plan": "team",
                         "website": "https://www.bergsport.example.com" });
    let result = group(traits.clone());
    let told = touchpoint(&client, &result);
    let id = told["organization_id"].as_str().expect("an organization").to_owned();
    let read = || client.get(&format!("/v1/organizations/{id}")).expect(200).json;
    let made = read();
    assert_eq!((&made["name"], &made["employees_count"]), (&json!("Bergsport"), &json!(42)));
    assert_eq!(made["external_ids"], json!([{ "source": "segment", "id": "g-17" }]));
    assert_eq!(made["domains"], json!(["bergsport.example.com"]));
    assert_eq!(made["attributes"], json!({ "plan": "team" }));
    assert_eq!(told["subject"], json!({ "type": "group", "id": "g-17" }));
    let members = client.get(&format!("/v1/organizations/{id}/members")).expect(200).json;
    assert_eq!(members["data"][0]["customer_id"], told["customer_id"]);
    assert_eq!(members["data"][0]["is_primary"], true);
    group(traits);
    assert_eq!(read()["version"], made["version"], "nothing new was said");
    group(json!({ "plan": "solo" }));
    assert_eq!(
        (&read()["attributes"]["plan"], &read()["name"]),
        (&json!("solo"), &json!("Bergsport"))
    );
    // From then on what she does concerns it.
    let seen = sent(&sender, "/v1/page", json!({ "userId": "u1" }));
    assert_eq!(touchpoint(&client, &seen)["organization_id"], json!(id));
}
