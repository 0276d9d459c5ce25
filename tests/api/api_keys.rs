//! API keys: shown once, never worth more than whoever made them, replaced and revoked.

use chrono::{TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Answer, App, Client, workspace, workspace_with};
use crate::sessions::person;

const PATH: &str = "/v1/api_keys";

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

fn new(scopes: &[&str]) -> Value {
    json!({ "name": "Web shop", "scopes": scopes })
}

fn make(client: &Client, body: Value) -> Answer {
    client.post(PATH, body).expect(201)
}

fn text(answer: &Answer) -> String {
    answer.json["key"].as_str().expect("a text").to_owned()
}

fn works(client: &Client, key: &str) -> bool {
    match client.with_token(key).get("/v1/auth/whoami").status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a_key_is_shown_once_and_works() {
    let client = workspace();
    let made = make(&client, new(&["customers:read", "channels:read"]));
    let key = text(&made);
    assert!(key.starts_with("ecrm_sk_") && !key.starts_with("ecrm_sk_test_"));
    assert!(key.starts_with(made.json["prefix"].as_str().expect("a prefix")));
    assert!(key.ends_with(made.json["last4"].as_str().expect("an end")));
    assert_eq!(made.headers["location"], at(&made.id()));
    let found = client.get(&at(&made.id())).expect(200);
    assert!(!found.text.contains(&key));
    assert_eq!(found.json["key"], Value::Null);
    let shop = client.with_token(&key);
    let who = shop.get("/v1/auth/whoami").expect(200).json;
    assert_eq!(who["scopes"], json!(["customers:read", "channels:read"]));
    assert_eq!((&who["kind"], &who["credential_id"]), (&json!("api_key"), &made.json["id"]));
    assert!(client.get(&at(&made.id())).expect(200).json["last_used_at"].is_string());
    shop.get(PATH).expect(403);
}

#[test]
fn the_text_of_a_key_is_stored_nowhere() {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let client = workspace();
    let body = new(&["channels:read"]).to_string();
    let send = || client.send("POST", PATH, &[("Idempotency-Key", "k-1")], Some(&body)).expect(201);
    let (first, replayed) = (send(), send());
    assert_eq!(replayed.headers["idempotent-replayed"], "true");
    assert_eq!((replayed.id(), &replayed.json["key"]), (first.id(), &Value::Null));
    let key = text(&first);
    assert!(works(&client, &key));
    let random = &key[30..57];
    let mut pg = App::shared().owner();
    for (table, column) in [
        ("idempotency_keys", "convert_from(body, 'UTF8')"),
        ("api_keys", "t::text"),
        ("touchpoints", "t::text"),
    ] {
        let sql = format!("select count(*) as n from {table} t where strpos({column}, $1) > 0");
        let found = diesel::sql_query(sql).bind::<diesel::sql_types::Text, _>(random);
        assert_eq!(found.get_result::<Count>(&mut pg).expect("a count").n, 0, "{table}");
    }
}

#[test]
fn a_field_of_a_key_that_is_not_valid_is_named() {
    let client = workspace();
    let past = (Utc::now() - TimeDelta::hours(1)).to_rfc3339();
    for (body, code, pointer) in [
        (json!({ "scopes": ["*"] }), "required", "#/name"),
        (json!({ "name": "", "scopes": ["*"] }), "invalid_length", "#/name"),
        (json!({ "name": "a" }), "required", "#/scopes"),
        (new(&["customers:fly"]), "unknown_scope", "#/scopes"),
        (json!({ "name": "a", "kind": "root" }), "invalid_type", "#/kind"),
        (json!({ "name": "a", "kind": "write", "scopes": ["*"] }), "invalid_scopes", "#/scopes"),
        (
            json!({ "name": "a", "scopes": ["*"], "expires_at": past }),
            "in_the_past",
            "#/expires_at",
        ),
        (json!({ "name": "a", "scopes": ["*"], "hash": "" }), "unknown_field", "#/hash"),
    ] {
        assert_eq!(client.post(PATH, body).expect(422).fault(), (code, pointer));
    }
}

#[test]
fn a_write_key_reports_touchpoints_and_nothing_else() {
    let client = workspace();
    let made = make(&client, json!({ "name": "Tag", "kind": "write" }));
    assert!(text(&made).starts_with("ecrm_wk_"));
    assert_eq!(made.json["scopes"], json!(["touchpoints:ingest"]));
    client.with_token(&text(&made)).get("/v1/customers").expect(403);
    let wider = client.patch(&at(&made.id()), json!({ "scopes": ["*"] })).expect(422);
    assert_eq!(wider.fault(), ("invalid_scopes", "#/scopes"));
}

#[test]
fn nobody_makes_a_key_that_may_more_than_they_may() {
    let client = workspace();
    let strong = make(&client, new(&["*"])).id();
    let narrow = client.with_scopes(&["api_keys:read", "api_keys:write", "channels:read"]);
    let refused = narrow.post(PATH, new(&["channels:read", "customers:write"])).expect(403);
    assert_eq!(refused.code(), "insufficient_scope");
    assert!(refused.json["detail"].as_str().expect("a detail").contains("customers:write"));
    narrow.post(PATH, new(&["*"])).expect(403);
    narrow.post(PATH, json!({ "name": "Tag", "kind": "write" })).expect(403);
    let own = make(&narrow, new(&["channels:read"]));
    narrow.patch(&at(&own.id()), json!({ "scopes": ["users:write"] })).expect(403);
    // The text of a replacement would be the strong key's power.
    narrow.post(&format!("{}/rotate", at(&strong)), json!({})).expect(403);
    narrow.patch(&at(&strong), json!({ "expires_at": null })).expect(403);
    narrow.delete(&at(&strong)).expect(204);
}

#[test]
fn only_an_owner_makes_a_key_that_counts_as_one() {
    let client = workspace();
    let (_, owner) = person(&client, "owner");
    let (_, admin) = person(&client, "admin");
    assert_eq!(admin.post(PATH, new(&["*"])).expect(403).code(), "forbidden");
    let id = make(&owner, new(&["*"])).id();
    admin.post(&format!("{}/rotate", at(&id)), json!({})).expect(403);
    make(&admin, new(&["users:write", "customers:read"]));
}

#[test]
fn a_test_credential_makes_and_sees_test_keys_only() {
    let client = workspace();
    let live = make(&client, new(&["channels:read"])).id();
    let test = client.test_mode();
    let made = make(&test, new(&["channels:read"]));
    assert!(text(&made).starts_with("ecrm_sk_test_"));
    assert_eq!(made.json["livemode"], false);
    test.get(&at(&live)).expect(404);
    test.patch(&at(&live), json!({ "name": "x" })).expect(404);
    test.post(&format!("{}/rotate", at(&live)), json!({})).expect(404);
    test.delete(&at(&live)).expect(404);
    let mut body = new(&["channels:read"]);
    body["livemode"] = json!(true);
    assert_eq!(test.post(PATH, body).expect(403).code(), "forbidden");
    let list = test.get(PATH).expect(200).json;
    assert!(list["data"].as_array().expect("a list").iter().all(|key| key["livemode"] == false));
    let live_only = client.get(&format!("{PATH}?livemode=true&kind=secret")).expect(200).json;
    assert!(
        live_only["data"].as_array().expect("a list").iter().all(|key| key["livemode"] == true)
    );
    client.get(&at(&made.id())).expect(200);
}

#[test]
fn a_key_of_another_workspace_is_not_there() {
    let (client, other) = (workspace(), workspace());
    let id = make(&client, new(&["channels:read"])).id();
    other.get(&at(&id)).expect(404);
    other.patch(&at(&id), json!({ "name": "x" })).expect(404);
    other.post(&format!("{}/rotate", at(&id)), json!({})).expect(404);
    other.delete(&at(&id)).expect(404);
}

#[test]
fn a_changed_key_is_believed_as_it_is_now() {
    let client = workspace();
    let made = make(&client, new(&["customers:read", "channels:read"]));
    let shop = client.with_token(&text(&made));
    shop.get("/v1/customers").expect(200);
    let body = json!({ "name": "Renamed", "scopes": ["channels:read"] });
    let changed = client.patch(&at(&made.id()), body).expect(200).json;
    assert_eq!((&changed["name"], &changed["version"]), (&json!("Renamed"), &json!(2)));
    shop.get("/v1/customers").expect(403);
    let stale = client.send("PATCH", &at(&made.id()), &[("If-Match", "\"1\"")], Some("{}"));
    assert_eq!(stale.expect(412).code(), "version_mismatch");
}

#[test]
fn a_replaced_key_works_until_the_overlap_is_over() {
    let client = workspace();
    let old = make(&client, new(&["channels:read"]));
    let rotate = format!("{}/rotate", at(&old.id()));
    let new = client.post(&rotate, json!({ "overlap_seconds": 3600 })).expect(201);
    assert_ne!(new.id(), old.id());
    assert_eq!((&new.json["name"], &new.json["scopes"]), (&old.json["name"], &old.json["scopes"]));
    assert!(works(&client, &text(&old)) && works(&client, &text(&new)));
    assert!(client.get(&at(&old.id())).expect(200).json["expires_at"].is_string());
    assert_eq!(new.json["expires_at"], Value::Null);
    let last = client.post(&rotate, json!({})).expect(201);
    assert!(!works(&client, &text(&old)) && works(&client, &text(&last)));
    assert_eq!(client.post(&rotate, json!({})).expect(409).code(), "conflict");
    let long = client.post(&rotate, json!({ "overlap_seconds": 604_801 })).expect(422);
    assert_eq!(long.fault(), ("out_of_range", "#/overlap_seconds"));
}

#[test]
fn a_repeated_replacement_happens_once_and_shows_the_text_once() {
    let client = workspace();
    let id = make(&client, new(&["channels:read"])).id();
    let path = format!("{}/rotate", at(&id));
    let send = || client.send("POST", &path, &[("Idempotency-Key", "r-1")], Some("{}")).expect(201);
    let (first, second) = (send(), send());
    assert!(works(&client, &text(&first)));
    assert_eq!((first.id(), &second.json["key"]), (second.id(), &Value::Null));
}

#[test]
fn a_key_that_is_only_tried_has_no_text() {
    let client = workspace();
    let id = make(&client, new(&["channels:read"])).id();
    for (path, body) in
        [(PATH.to_owned(), new(&["channels:read"])), (format!("{}/rotate", at(&id)), json!({}))]
    {
        let tried = client.post(&format!("{path}?dry_run=true"), body).expect(201);
        assert_eq!(tried.json["key"], Value::Null);
        client.get(&at(&tried.id())).expect(404);
    }
    assert_eq!(client.get(&at(&id)).expect(200).json["expires_at"], Value::Null);
}

#[test]
fn a_revoked_key_is_refused_at_once_and_gone() {
    let client = workspace();
    let made = make(&client, new(&["channels:read"]));
    assert!(works(&client, &text(&made)));
    client.send("DELETE", &at(&made.id()), &[("If-Match", "\"7\"")], None).expect(412);
    client.delete(&at(&made.id())).expect(204);
    assert!(!works(&client, &text(&made)));
    client.get(&at(&made.id())).expect(404);
    client.delete(&at(&made.id())).expect(404);
    let list = client.get(PATH).expect(200);
    assert!(!list.text.contains(&made.id()));
    let log = client.get("/v1/touchpoints?type=api_key.revoked").expect(200).json;
    assert_eq!(log["data"][0]["subject"]["id"], made.json["id"]);
}

#[test]
fn reading_and_making_keys_need_their_scopes() {
    workspace_with(&["api_keys:write"]).get(PATH).expect(403);
    workspace_with(&["api_keys:read"]).post(PATH, new(&["api_keys:read"])).expect(403);
}
