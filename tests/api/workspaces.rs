//! Workspaces: made by the operator, looked at and changed by their own people.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, App, Client, OPERATOR_TOKEN, workspace, workspace_with};
use crate::sessions::{PASSWORD, sign_in};

const PATH: &str = "/v1/workspace";

fn operator() -> Client {
    workspace().with_token(OPERATOR_TOKEN)
}

fn slug() -> String {
    format!("w-{}", Uuid::new_v4().simple())
}

fn make(body: Value) -> Answer {
    operator().post("/v1/workspaces", body)
}

fn change(client: &Client, settings: Value) -> Answer {
    client.patch(PATH, json!({ "settings": settings }))
}

#[test]
fn the_operator_makes_a_workspace_whose_owner_can_sign_in() {
    let slug = slug();
    let email = format!("{slug}@example.com");
    let made = make(json!({
        "name": "Bergsport",
        "slug": slug,
        "default_currency": "CHF",
        "timezone": "Europe/Zurich",
        "settings": { "retention_days": 365 },
        "owner": { "email": email, "name": "Mira Berg", "password": PASSWORD },
    }));
    let made = made.expect(201);
    assert_eq!(made.headers["location"], PATH);
    assert_eq!(made.headers["etag"], "\"1\"");
    assert!(!made.text.contains(PASSWORD));
    let client = Client { token: None, slug, ..operator() };
    let owner = sign_in(&client, &email).expect(200);
    let owner = client.with_token(owner.json["access_token"].as_str().expect("a token"));
    assert_eq!(owner.get(PATH).expect(200).json, made.json);
    let who = owner.get("/v1/auth/whoami").expect(200).json;
    assert_eq!((&who["role"], &who["scopes"]), (&json!("owner"), &json!(["*"])));
}

#[test]
fn a_workspace_has_defaults_for_all_but_its_name() {
    let made = make(json!({ "name": "Bergsport", "slug": slug() })).expect(201).json;
    assert_eq!((&made["default_currency"], &made["timezone"]), (&json!("EUR"), &json!("UTC")));
    let settings = json!({
        "merge_policy": "verified", "quiet_hours": null, "retention_days": null, "cors_origins": [],
    });
    assert_eq!(made["settings"], settings);
}

#[test]
fn a_slug_is_taken_once_in_the_installation() {
    let slug = slug();
    make(json!({ "name": "First", "slug": slug })).expect(201);
    let refused = make(json!({ "name": "Second", "slug": slug })).expect(409);
    assert_eq!(refused.code(), "workspaces_slug_taken");
    assert_eq!(refused.json["existing_id"], Value::Null, "whose it is remains their secret");
}

#[test]
fn only_the_operator_makes_workspaces() {
    let client = workspace();
    let body = json!({ "name": "Bergsport", "slug": slug() });
    for token in [client.token.clone(), None, Some(format!("{OPERATOR_TOKEN}x")), Some("x".into())]
    {
        let other = Client { token, ..client.clone() };
        other.post("/v1/workspaces", body.clone()).expect(401);
    }
    operator().get(PATH).expect(401);
}

#[test]
fn a_field_of_a_new_workspace_that_is_not_valid_is_named() {
    let with = |name: &str, value: Value| {
        let mut body = json!({ "name": "Bergsport", "slug": slug() });
        body[name] = value;
        body
    };
    let owner = |password: &str| json!({ "email": "mira@example.com", "name": "Mira", "password": password });
    let quiet = json!({ "quiet_hours": { "from": "9:00", "to": "08:00" } });
    for (body, code, pointer) in [
        (json!({ "slug": "a" }), "required", "#/name"),
        (with("name", json!("")), "invalid_length", "#/name"),
        (with("slug", json!("Berg Sport")), "invalid_slug", "#/slug"),
        (with("default_currency", json!("EURO")), "invalid_currency", "#/default_currency"),
        (with("timezone", json!("Innsbruck")), "invalid_timezone", "#/timezone"),
        (with("settings", json!({ "color": 1 })), "unknown_field", "#/settings/color"),
        (
            with("settings", json!({ "retention_days": 0 })),
            "out_of_range",
            "#/settings/retention_days",
        ),
        (
            with("settings", json!({ "cors_origins": ["*"] })),
            "invalid_origin",
            "#/settings/cors_origins",
        ),
        (with("settings", quiet), "invalid_time_of_day", "#/settings/quiet_hours/from"),
        (with("owner", owner("short")), "weak_password", "#/owner/password"),
        (with("livemode", json!(true)), "unknown_field", "#/livemode"),
    ] {
        assert_eq!(make(body).expect(422).fault(), (code, pointer));
    }
}

#[test]
fn a_change_of_the_workspace_keeps_what_it_does_not_name() {
    let client = workspace();
    let quiet = json!({ "from": "21:00", "to": "08:00" });
    change(&client, json!({ "quiet_hours": quiet, "retention_days": 30 })).expect(200);
    let body = json!({ "name": "New name", "settings": { "retention_days": null, "merge_policy": "strict" } });
    let changed = client.patch(PATH, body).expect(200);
    let settings = &changed.json["settings"];
    assert_eq!(settings["quiet_hours"], quiet);
    assert_eq!(settings["retention_days"], Value::Null);
    assert_eq!(settings["merge_policy"], "strict");
    assert_eq!(changed.json["name"], "New name");
    assert_eq!((&changed.json["version"], &changed.json["slug"]), (&json!(3), &json!(client.slug)));
    assert_eq!(client.get(PATH).expect(200).json, changed.json);
    let log = client.get("/v1/touchpoints?type=workspace.updated").expect(200).json;
    let changes = &log["data"][0]["properties"]["changes"];
    assert_eq!(changes["name"], json!({ "from": client.slug, "to": "New name" }));
}

#[test]
fn a_change_of_the_workspace_that_is_not_valid_changes_nothing() {
    let client = workspace();
    for (body, code) in [
        (json!({ "slug": "another" }), "unknown_field"),
        (json!({ "name": "" }), "invalid_length"),
        (json!({ "settings": { "merge_policy": "never" } }), "invalid_type"),
        (json!({ "settings": { "cors_origins": ["https://a.example/"] } }), "invalid_origin"),
        (
            json!({ "settings": { "cors_origins": ["https://a.example", "https://a.example"] } }),
            "duplicate_origin",
        ),
    ] {
        assert_eq!(client.patch(PATH, body).expect(422).fault().0, code);
    }
    assert_eq!(client.get(PATH).expect(200).json["version"], 1);
}

#[test]
fn a_stale_change_of_the_workspace_is_refused() {
    let client = workspace();
    let body = json!({ "name": "Second" }).to_string();
    client.send("PATCH", PATH, &[("If-Match", "\"1\"")], Some(&body)).expect(200);
    let stale = client.send("PATCH", PATH, &[("If-Match", "\"1\"")], Some(&body)).expect(412);
    assert_eq!(stale.code(), "version_mismatch");
    client.send("GET", PATH, &[("If-None-Match", "\"2\"")], None).expect(304);
}

#[test]
fn a_repeated_change_of_the_workspace_happens_once() {
    let client = workspace();
    let body = json!({ "name": "Once" }).to_string();
    let send =
        || client.send("PATCH", PATH, &[("Idempotency-Key", "once")], Some(&body)).expect(200);
    let (first, second) = (send(), send());
    assert_eq!(first.json, second.json);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_eq!(client.get(PATH).expect(200).json["version"], 2);
}

#[test]
fn reading_and_changing_the_workspace_need_their_scopes() {
    let client = workspace_with(&["customers:read"]);
    let scope =
        |answer: Answer| answer.expect(403).json["detail"].as_str().unwrap_or("").to_owned();
    assert!(scope(client.get(PATH)).contains("workspace:read"));
    assert!(scope(client.patch(PATH, json!({}))).contains("workspace:write"));
}

#[test]
fn a_test_credential_sees_the_live_settings_and_cannot_change_them() {
    let client = workspace();
    let test = client.test_mode();
    change(&client, json!({ "retention_days": 7 })).expect(200);
    assert_eq!(test.get(PATH).expect(200).json, client.get(PATH).expect(200).json);
    assert_eq!(change(&test, json!({ "retention_days": 8 })).expect(403).code(), "forbidden");
}

#[test]
fn an_origin_is_allowed_as_soon_as_the_workspace_lists_it() {
    let client = workspace();
    let origin = format!("https://{}.example", client.slug);
    let allowed = |client: &Client| {
        let answer = client.send("GET", PATH, &[("Origin", &origin)], None).expect(200);
        answer.headers.get("access-control-allow-origin").cloned()
    };
    assert_eq!(allowed(&client), None);
    change(&client, json!({ "cors_origins": [origin] })).expect(200);
    assert_eq!(allowed(&client).as_deref(), Some(origin.as_str()));
    assert_eq!(allowed(&workspace()), None, "another workspace lists nothing");
    let known = || App::shared().state.db.system(ecrm::workspaces::all_origins).expect("origins");
    assert!(known().contains(&origin));
    change(&client, json!({ "cors_origins": [] })).expect(200);
    assert_eq!(allowed(&client), None);
    assert!(!known().contains(&origin));
}

#[test]
fn live_and_test_secrets_are_sealed_with_different_keys() {
    use ecrm::db::{Actor, Server};
    use ecrm::seal::{self, Context};
    let client = workspace();
    let state = &App::shared().state;
    let found = state.db.system(|pg| ecrm::workspaces::find_by_slug(pg, &client.slug));
    let found = found.expect("a workspace");
    let key = |livemode| {
        let session = found.session(livemode, Actor::SYSTEM, "test".into());
        let read = |conn: &mut ecrm::db::Conn| conn.data_key();
        state.db.read(Server::Primary, &session, &read).expect("a key")
    };
    let place = Context {
        workspace: client.workspace_id,
        table: "channels",
        column: "secret",
        row: Uuid::nil(),
        version: 1,
    };
    let sealed = seal::seal(&key(true), &place, b"smtp password");
    assert_eq!(seal::open(&key(true), &place, &sealed).expect("the same key"), b"smtp password");
    assert!(seal::open(&key(false), &place, &sealed).is_err());
}
