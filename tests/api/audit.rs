//! The audit log: who administered what, and that nobody can change it unnoticed.

pub mod sealing;

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{App, Client, workspace};
use crate::sessions::{PASSWORD, address, person, refresh, sign_in};

const PATH: &str = "/v1/audit_events";

fn events(client: &Client, query: &str) -> Vec<Value> {
    let list = client.get(&format!("{PATH}?limit=200&{query}")).expect(200).json;
    list["data"].as_array().expect("a list").clone()
}

/// The newest event of an action.
fn newest(client: &Client, action: &str) -> Value {
    let found = events(client, &format!("action={action}"));
    found.first().unwrap_or_else(|| panic!("no `{action}`")).clone()
}

fn actions(client: &Client) -> Vec<String> {
    let all = events(client, "sort=occurred_at");
    all.iter().map(|event| event["action"].as_str().expect("an action").to_owned()).collect()
}

fn key(client: &Client) -> Value {
    let body = json!({ "name": "Shop", "scopes": ["customers:read"] });
    client.post("/v1/api_keys", body).expect(201).json
}

fn at(event: &Value) -> String {
    format!("{PATH}/{}", event["id"].as_str().expect("an id"))
}

#[test]
fn the_life_of_a_key_is_told_with_what_changed() {
    let client = workspace();
    let made = key(&client);
    let path = format!("/v1/api_keys/{}", made["id"].as_str().expect("an id"));
    client.patch(&path, json!({ "name": "Till", "scopes": ["channels:read"] })).expect(200);
    client.post(&format!("{path}/rotate"), json!({ "overlap_seconds": 60 })).expect(201);
    client.delete(&path).expect(204);
    let told = [
        "workspace.created",
        "api_key.created",
        "api_key.created",
        "api_key.updated",
        "api_key.rotated",
        "api_key.created",
        "api_key.revoked",
    ];
    assert_eq!(actions(&client), told);
    let mut shown = made.clone();
    shown.as_object_mut().expect("a key").remove("key");
    let created = events(
        &client,
        &format!("resource_id={}&action=api_key.created", made["id"].as_str().expect("an id")),
    );
    assert_eq!((&created[0]["before"], &created[0]["after"]), (&Value::Null, &shown));
    let updated = newest(&client, "api_key.updated");
    assert_eq!(updated["before"], json!({ "name": "Shop", "scopes": ["customers:read"] }));
    assert_eq!(updated["after"], json!({ "name": "Till", "scopes": ["channels:read"] }));
    assert_eq!(updated["resource_type"], "api_key");
    let revoked = newest(&client, "api_key.revoked");
    assert_eq!((&revoked["before"]["name"], &revoked["after"]), (&json!("Till"), &Value::Null));
}

#[test]
fn an_event_names_actor_request_and_address() {
    let client = workspace();
    let body = json!({ "name": "vip" }).to_string();
    client.send("POST", "/v1/tags", &[("X-Request-Id", "till-7")], Some(&body)).expect(201);
    let event = newest(&client, "tag.created");
    let own = client.get("/v1/auth/whoami").expect(200).json;
    assert_eq!(
        (&event["actor_type"], &event["actor_id"]),
        (&json!("integration"), &own["credential_id"])
    );
    assert_eq!((&event["request_id"], &event["ip"]), (&json!("till-7"), &json!("127.0.0.1")));
    let made = newest(&client, "workspace.created");
    assert_eq!(
        (&made["actor_type"], &made["actor_id"], &made["ip"]),
        (&json!("system"), &Value::Null, &Value::Null)
    );
}

#[test]
fn who_signs_in_and_out_is_told() {
    let client = workspace();
    let email = address();
    let body = json!({ "email": email, "name": "Mira", "role": "agent", "password": PASSWORD });
    let user = client.post("/v1/users", body).expect(201).id();
    let token = sign_in(&client, &email).expect(200).json;
    let token = token["refresh_token"].as_str().expect("a token");
    refresh(&client, token).expect(200);
    // A token used twice was copied.
    refresh(&client, token).expect(400);
    let signed_in = newest(&client, "user.signed_in");
    assert_eq!((&signed_in["actor_id"], &signed_in["resource_id"]), (&json!(user), &json!(user)));
    assert_eq!(signed_in["ip"], "127.0.0.1");
    assert_eq!(newest(&client, "user.signed_out")["after"], json!({ "reason": "token_reused" }));
    let path = format!("/v1/users/{user}");
    client
        .patch(&path, json!({ "role": "analyst", "password": "basalt skis at dusk" }))
        .expect(200);
    let updated = newest(&client, "user.updated");
    assert_eq!(
        (&updated["before"]["role"], &updated["after"]["role"]),
        (&json!("agent"), &json!("analyst"))
    );
    assert_eq!(newest(&client, "user.password_changed")["resource_id"], user);
}

#[test]
fn what_did_not_happen_is_not_told_and_what_happened_once_is_told_once() {
    let client = workspace();
    let before = actions(&client);
    client.post("/v1/tags?dry_run=true", json!({ "name": "vip" })).expect(201);
    client.post("/v1/tags", json!({ "name": "" })).expect(422);
    assert_eq!(actions(&client), before);
    let body = json!({ "name": "vip" }).to_string();
    for _ in 0..2 {
        client.send("POST", "/v1/tags", &[("Idempotency-Key", "one")], Some(&body)).expect(201);
    }
    client.post("/v1/tags", json!({ "name": "vip" })).expect(409);
    assert_eq!(actions(&client).len(), before.len() + 1);
    // An atomic batch that fails at its end leaves nothing of its beginning.
    let item = |kind: &str| json!({ "type": kind, "name": "Mail", "config": { "secret": if kind == "sms" { json!(1) } else { json!("abcd efgh") } } });
    let batch = json!({ "items": [item("email"), item("sms")] });
    client.post("/v1/channels/batch?atomic=true", batch).expect(422);
    assert_eq!(actions(&client).len(), before.len() + 1);
}

#[test]
fn everyday_work_is_told_by_the_journal_alone() {
    let client = workspace();
    let before = actions(&client);
    let ada = client.post("/v1/customers", json!({ "first_name": "Ada" })).expect(201).id();
    client.patch(&format!("/v1/customers/{ada}"), json!({ "score": 7 })).expect(200);
    client.post("/v1/organizations", json!({ "name": "Club" })).expect(201);
    client
        .post("/v1/touchpoints", json!({ "type": "page.viewed", "customer": { "id": ada } }))
        .expect(201);
    assert_eq!(actions(&client), before);
}

#[test]
fn a_workspace_sees_its_own_events_and_its_twin_those_of_test_data() {
    let (client, other) = (workspace(), workspace());
    client.post("/v1/tags", json!({ "name": "vip" })).expect(201);
    let event = newest(&client, "tag.created");
    other.get(&at(&event)).expect(404);
    assert_eq!(events(&other, "action=tag.created"), Vec::<Value>::new());
    let test = client.test_mode();
    test.get(&at(&event)).expect(404);
    test.post("/v1/tags", json!({ "name": "test" })).expect(201);
    test.post("/v1/api_keys", json!({ "name": "Test", "scopes": ["customers:read"] })).expect(201);
    // What test credentials change in the live workspace is told there.
    assert_eq!(actions(&test), ["tag.created"]);
    assert_eq!(newest(&client, "api_key.created")["after"]["name"], "Test");
}

#[test]
fn the_list_is_filtered_and_newest_first() {
    let client = workspace();
    for name in ["one", "two"] {
        client.post("/v1/tags", json!({ "name": name })).expect(201);
    }
    let tags = events(&client, "resource_type=tag");
    assert_eq!(
        tags.iter().map(|event| event["after"]["name"].clone()).collect::<Vec<_>>(),
        ["two", "one"]
    );
    let time = |event: &Value| event["occurred_at"].as_str().expect("a time").to_owned();
    let since = events(&client, &format!("resource_type=tag&occurred_at_gte={}", time(&tags[0])));
    let until = events(&client, &format!("resource_type=tag&occurred_at_lt={}", time(&tags[0])));
    assert_eq!((since, until), (vec![tags[0].clone()], vec![tags[1].clone()]));
    let actor = tags[0]["actor_id"].as_str().expect("a key");
    assert_eq!(events(&client, &format!("actor_id={actor}&action=tag.created,tag.deleted")), tags);
    assert_eq!(
        events(
            &client,
            &format!("resource_id={}", tags[1]["resource_id"].as_str().expect("an id"))
        ),
        tags[1..]
    );
}

#[test]
fn those_who_only_look_do_not_see_who_works_here() {
    let client = workspace();
    for (role, status) in [("analyst", 200), ("admin", 200), ("agent", 403), ("read_only", 403)] {
        let (_, person) = person(&client, role);
        for path in [PATH, "/v1/audit_seals"] {
            person.get(path).expect(status);
        }
    }
}

/// Nothing that opens anything, nor what a customer is called, wherever it was sent.
#[test]
fn no_secret_and_no_customer_is_in_the_log() {
    let client = workspace();
    let made = key(&client);
    let (password, secret) = ("canary password one", "canary-secret-two");
    let user = json!({ "email": address(), "name": "Mira", "role": "agent", "password": password });
    let user = client.post("/v1/users", user).expect(201).id();
    client
        .patch(&format!("/v1/users/{user}"), json!({ "password": "canary password three" }))
        .expect(200);
    let channel = json!({ "type": "email", "name": "Mail", "config": { "password": secret } });
    let channel = client.post("/v1/channels", channel).expect(201).id();
    let config = json!({ "config": { "password": "canary-secret-four" } });
    client.patch(&format!("/v1/channels/{channel}"), config).expect(200);
    let address = "canary-five@shop.example.com";
    let new = json!({ "channel_type": "email", "address": address, "reason": "manual" });
    client.post("/v1/suppressions", new).expect(201);
    let person = |body| client.post("/v1/customers", body).expect(201).id();
    let ada = person(json!({ "first_name": "Canary", "email": "canary-six@shop.example.com" }));
    let eva = person(json!({ "first_name": "Canary", "phone": "+436641234567" }));
    client.post(&format!("/v1/customers/{ada}/merge"), json!({ "source_id": eva })).expect(200);
    let text = lines(&format!(
        "select e::text as line from audit_events e where workspace_id = '{}'",
        client.workspace_id
    ))
    .join("\n");
    for canary in ["anary", "+43664", "argon2", made["key"].as_str().expect("a text")] {
        assert!(!text.contains(canary), "`{canary}` is in\n{text}");
    }
    let shown = newest(&client, "channel.updated");
    let mark =
        |last4: &str| json!({ "config": { "password": { "has_secret": true, "last4": last4 } } });
    assert_eq!((&shown["before"], &shown["after"]), (&mark("-two"), &mark("four")));
    assert_eq!(newest(&client, "customer.merged")["after"]["source_id"], eva);
}

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

fn lines(sql: &str) -> Vec<String> {
    let rows: Vec<Line> = diesel::sql_query(sql).load(&mut App::shared().owner()).expect("rows");
    rows.into_iter().map(|row| row.line).collect()
}

/// The role that the service has adds events and takes away what an erasure must, nothing else.
#[test]
fn the_log_can_be_added_to_and_nothing_else() {
    let app = App::shared();
    let url = app.state.config.database_url.clone().expect("a database");
    let mut pg = <diesel::PgConnection as diesel::Connection>::establish(&url).expect("the role");
    pg.batch_execute("set ecrm.workspaces = '*'").expect("no tripwire");
    for statement in [
        "update audit_events set action = 'tag.created'",
        "update audit_events set hash = ''",
        "delete from audit_events",
        "truncate audit_events",
        "update audit_seals set sequence = 1",
        "delete from audit_seals",
        "truncate audit_seals",
    ] {
        let refused = pg.batch_execute(statement).expect_err("no right to do that").to_string();
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
}

/// What an erasure does.
fn forget(client: &Client, resource: &str) -> usize {
    let app = App::shared();
    let session = app.session(client, true);
    let id: Uuid = resource.parse().expect("an id");
    let done = app
        .state
        .db
        .write(&session, &|tx| ecrm::audit::forget(tx, &[id]).map(ecrm::db::Outcome::Commit));
    done.expect("forgotten")
}

#[test]
fn what_is_forgotten_leaves_its_hashes() {
    let client = workspace();
    let tag = client.post("/v1/tags", json!({ "name": "vip" })).expect(201).id();
    let before = newest(&client, "tag.created");
    assert_eq!((forget(&client, &tag), forget(&client, &tag)), (1, 0));
    let after = newest(&client, "tag.created");
    assert_eq!((&after["after"], &after["ip"]), (&Value::Null, &Value::Null));
    for kept in ["after_hash", "ip_hash", "hash", "action", "resource_id", "request_id"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
}
