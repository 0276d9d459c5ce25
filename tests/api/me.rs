//! What customers do with their own data, and that their token reaches nothing else.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::guards::calls::secured;
use crate::harness::{App, Client, workspace};

fn customer(client: &Client, body: Value) -> String {
    client.post("/v1/customers", body).expect(201).id()
}

fn token(client: &Client, customer: &str) -> String {
    let path = format!("/v1/customers/{customer}/tokens");
    let made = client.post(&path, json!({})).expect(201);
    made.json["token"].as_str().expect("a token").to_owned()
}

/// Somebody, and the same in person.
fn in_person(client: &Client) -> (String, Client) {
    let email = format!("{}@shop.example.com", Uuid::new_v4().simple());
    let ada = customer(client, json!({ "first_name": "Ada", "email": email, "score": 7 }));
    let me = client.with_token(&token(client, &ada));
    (ada, me)
}

#[test]
fn i_see_and_change_my_own_record() {
    let client = workspace();
    let (ada, me) = in_person(&client);
    let profile = me.get("/v1/me").expect(200);
    assert_eq!((&profile.json["id"], &profile.json["first_name"]), (&json!(ada), &json!("Ada")));
    assert_eq!(profile.json.get("score"), None, "what the company thinks of me is its own");
    let change = json!({ "first_name": "Adele", "locale": "de-AT", "birth_date": null });
    let tag = profile.headers["etag"].clone();
    let changed =
        me.send("PATCH", "/v1/me", &[("If-Match", &tag)], Some(&change.to_string())).expect(200);
    assert_eq!(
        (&changed.json["first_name"], &changed.json["version"]),
        (&json!("Adele"), &json!(2))
    );
    me.send("PATCH", "/v1/me", &[("If-Match", &tag)], Some(&change.to_string()))
        .expect_code(412, "version_mismatch");
    let path = format!("/v1/customers/{ada}/history?field=first_name");
    let history = client.get(&path).expect(200).json;
    let actor = json!({ "type": "customer", "id": ada });
    assert_eq!(
        (&history["data"][0]["to"], &history["data"][0]["actor"]),
        (&json!("Adele"), &actor)
    );
}

#[test]
fn an_address_to_sign_in_with_is_not_changed_by_saying_so() {
    let client = workspace();
    let (_, me) = in_person(&client);
    for field in ["email", "phone", "score", "lifecycle_stage", "owner_id", "attributes", "tags"] {
        let refused = me.patch("/v1/me", json!({ field: null })).expect(422);
        assert_eq!(refused.fault(), ("unknown_field", format!("#/{field}").as_str()));
    }
    me.patch("/v1/me", json!({ "locale": "nonsense!" })).expect_code(422, "validation_failed");
}

#[test]
fn my_word_about_consent_is_my_own() {
    let client = workspace();
    let (ada, me) = in_person(&client);
    let says = json!({ "items": [
        { "channel_type": "email", "purpose": "marketing", "state": "denied" } ] });
    client.put(&format!("/v1/customers/{ada}/consents"), says).expect(200);
    assert_eq!(me.get("/v1/me/consents").expect(200).json["preferences"][0]["state"], "denied");
    let yes = json!({ "items": [
        { "channel_type": "email", "purpose": "marketing", "is_granted": true } ] });
    for _ in 0..2 {
        let now = me.put("/v1/me/consents", yes.clone()).expect(200).json;
        assert_eq!(now["preferences"][0]["state"], "granted");
    }
    let path = format!("/v1/customers/{ada}/consents/history");
    let ledger = client.get(&path).expect(200).json;
    assert_eq!(ledger["data"].as_array().expect("events").len(), 2, "{ledger}");
    assert_eq!(ledger["data"][0]["actor"]["type"], "customer");
}

#[test]
fn i_see_what_happened_and_not_what_was_noted() {
    let client = workspace();
    let (ada, me) = in_person(&client);
    for (name, direction) in [("Called", "inbound"), ("Answered", "outbound"), ("Note", "internal")]
    {
        let body = json!({ "type": "call.made", "name": name, "direction": direction,
                           "customer": { "id": ada } });
        client.post("/v1/touchpoints", body).expect(201);
    }
    let list = me.get("/v1/me/touchpoints").expect(200).json;
    let names: Vec<&Value> =
        list["data"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Answered", "Called"]);
    let first = me.get("/v1/me/touchpoints?limit=1").expect(200).json;
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = me.get(&format!("/v1/me/touchpoints?limit=1&cursor={cursor}")).expect(200).json;
    assert_eq!(second["data"][0]["name"], "Called");
    let (_, other) = in_person(&client);
    other
        .get(&format!("/v1/me/touchpoints?limit=1&cursor={cursor}"))
        .expect_code(400, "invalid_cursor");
}

#[test]
fn i_get_everything_about_me_in_a_file() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, me) = in_person(&client);
    me.get("/v1/me/export").expect(404);
    me.send("POST", "/v1/me/export/link", &[], None).expect(404);
    let asked = me.send("POST", "/v1/me/export", &[], None).expect(202);
    assert_eq!(
        (&asked.json["kind"], &asked.json["status"]),
        (&json!("access"), &json!("processing"))
    );
    let again = me.send("POST", "/v1/me/export", &[], None).expect(202);
    assert_eq!(again.id(), asked.id(), "one at a time");
    me.send("POST", "/v1/me/export/link", &[], None).expect_code(409, "invalid_transition");
    while ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round") > 0 {}
    assert_eq!(me.get("/v1/me/export").expect(200).json["status"], "completed");
    assert_eq!(me.send("POST", "/v1/me/export", &[], None).expect(202).id(), asked.id());
    let link = me.send("POST", "/v1/me/export/link", &[], None).expect(201);
    let url = link.json["url"].as_str().expect("a link");
    let path = &url[url.find("/downloads/").expect("a path")..];
    let bytes = me.send("POST", path, &[], None).expect(200).bytes;
    assert!(bytes.starts_with(b"PK"), "a ZIP file");
    let seen = client.get(&format!("/v1/data_requests?customer_id={ada}")).expect(200).json;
    assert_eq!(seen["data"][0]["actor"], json!({ "type": "customer", "id": ada }));
}

/// What the company wrote down and has not answered, a customer in person need not ask again.
#[test]
fn what_was_recorded_before_is_answered_now() {
    let client = workspace();
    let (ada, me) = in_person(&client);
    let asked = json!({ "customer_id": ada, "kind": "access" });
    let asked = client.post("/v1/data_requests", asked).expect(201).id();
    let now = me.send("POST", "/v1/me/export", &[], None).expect(202);
    assert_eq!((now.id(), &now.json["status"]), (asked, &json!("processing")));
}

#[test]
fn i_can_go_and_my_token_goes_with_me() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, me) = in_person(&client);
    let gone = me.delete("/v1/me").expect(202);
    assert_eq!(
        (&gone.json["kind"], &gone.json["status"]),
        (&json!("erasure"), &json!("processing"))
    );
    assert_eq!(me.delete("/v1/me").expect(202).id(), gone.id(), "asked twice");
    while ecrm::worker::round(&app.state, Uuid::now_v7()).expect("a round") > 0 {}
    client.get(&format!("/v1/customers/{ada}")).expect(404);
    app.state.credentials.forget();
    me.get("/v1/me").expect_code(401, "unauthorized");
    client.post(&format!("/v1/customers/{ada}/tokens"), json!({})).expect(404);
}

#[test]
fn a_customers_token_reaches_nothing_else() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let (ada, me) = in_person(&client);
    for operation in secured().iter().filter(|operation| !operation.is_operators()) {
        let call = operation.call(|parameter| match operation.resource(parameter).as_str() {
            "customers" => ada.clone(),
            _ => Uuid::now_v7().to_string(),
        });
        let answer = call.send(&me);
        // Where keys can be given in more ways, nothing but a key is looked for.
        let takes_keys_alone = operation.value["x-write-keys"] == true;
        let refused = if takes_keys_alone { (401, "unauthorized") } else { (403, "forbidden") };
        let found = (answer.status, answer.code());
        assert_eq!(found, refused, "{}: {}", operation.place(), answer.text);
    }
}

#[test]
fn nobody_else_reaches_what_is_a_customers_own() {
    let client = workspace();
    for (method, path) in [
        ("GET", "/v1/me"),
        ("DELETE", "/v1/me"),
        ("GET", "/v1/me/consents"),
        ("GET", "/v1/me/touchpoints"),
        ("GET", "/v1/me/export"),
        ("POST", "/v1/me/export"),
        ("POST", "/v1/me/export/link"),
    ] {
        let refused = client.send(method, path, &[], None).expect_code(403, "insufficient_scope");
        assert!(refused.headers["www-authenticate"].contains("scope=\"me\""), "{path}");
    }
    let yes = json!({ "items": [
        { "channel_type": "email", "purpose": "marketing", "is_granted": true } ] });
    client.put("/v1/me/consents", yes).expect_code(403, "insufficient_scope");
    client.patch("/v1/me", json!({})).expect_code(403, "insufficient_scope");
}

#[test]
fn a_portals_key_lets_customers_in_and_reads_nothing() {
    let client = workspace();
    let (ada, _) = in_person(&client);
    let key =
        client.post("/v1/api_keys", json!({ "name": "Portal", "kind": "portal" })).expect(201);
    let portal = client.with_token(key.json["key"].as_str().expect("a key"));
    let path = format!("/v1/customers/{ada}/tokens");
    let made = portal.post(&path, json!({ "expires_in_seconds": 60 })).expect(201).json;
    let me = client.with_token(made["token"].as_str().expect("a token"));
    me.get("/v1/me").expect(200);
    portal.get(&format!("/v1/customers/{ada}")).expect_code(403, "insufficient_scope");
    let week = json!({ "expires_in_seconds": 604_800 });
    portal.post(&path, week).expect_code(422, "validation_failed");
    portal.post(&format!("/v1/customers/{}/tokens", Uuid::now_v7()), json!({})).expect(404);
}

#[test]
fn a_token_of_the_test_mode_sees_the_test_mode_only() {
    let client = workspace();
    let (_, me) = in_person(&client);
    let test = client.test_mode();
    let bea = customer(&test, json!({ "first_name": "Bea" }));
    let bea = client.with_token(&token(&test, &bea));
    assert_eq!(bea.get("/v1/me").expect(200).json["first_name"], "Bea");
    assert_eq!(me.get("/v1/me").expect(200).json["first_name"], "Ada");
}

#[test]
fn after_a_merge_my_old_token_is_still_mine() {
    let client = workspace();
    let (double, me) = in_person(&client);
    let ada = customer(&client, json!({ "first_name": "Adele" }));
    let merge = json!({ "source_id": double });
    client.post(&format!("/v1/customers/{ada}/merge"), merge).expect(200);
    assert_eq!(me.get("/v1/me").expect(200).json["id"], ada.as_str());
    let changed = me.patch("/v1/me", json!({ "first_name": "Ada" })).expect(200).json;
    assert_eq!(changed["first_name"], "Ada");
    me.get("/v1/me/touchpoints").expect(200);
    me.get("/v1/me/consents").expect(200);
}
