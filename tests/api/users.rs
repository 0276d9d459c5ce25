//! Users: who may make, change and remove whom, and what that does to their sessions.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, workspace, workspace_with};
use crate::sessions::{PASSWORD, address, person, refresh, sign_in};

const PATH: &str = "/v1/users";

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

fn new(email: &str, role: &str) -> Value {
    json!({ "email": email, "name": "Mira Berg", "role": role })
}

fn make(client: &Client, role: &str) -> Answer {
    client.post(PATH, new(&address(), role)).expect(201)
}

fn emails(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("{PATH}?{query}")).expect(200).json;
    let rows = list["data"].as_array().expect("a list").iter();
    rows.map(|row| row["email"].as_str().expect("an email").to_owned()).collect()
}

#[test]
fn a_user_keeps_what_it_was_given_and_never_shows_the_password() {
    let client = workspace();
    let email = format!("Mira.{}", address());
    let mut body = new(&email, "agent");
    body["password"] = json!(PASSWORD);
    let made = client.post(PATH, body).expect(201);
    assert_eq!(made.json["email"], email);
    assert_eq!((&made.json["role"], &made.json["status"]), (&json!("agent"), &json!("active")));
    assert_eq!(made.json["last_login_at"], Value::Null);
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
    assert!(!made.text.contains(PASSWORD) && !made.text.contains("argon2"));
}

#[test]
fn a_field_of_a_user_that_is_not_valid_is_named() {
    let client = workspace();
    let with = |name: &str, value: Value| {
        let mut body = new(&address(), "agent");
        body[name] = value;
        body
    };
    for (body, code, pointer) in [
        (json!({ "name": "a", "role": "agent" }), "required", "#/email"),
        (with("email", json!("mira")), "invalid_email", "#/email"),
        (with("name", json!("")), "invalid_length", "#/name"),
        (with("role", json!("king")), "invalid_type", "#/role"),
        (with("password", json!("too short")), "weak_password", "#/password"),
        (with("password", json!("abababababab")), "weak_password", "#/password"),
        (with("status", json!("active")), "unknown_field", "#/status"),
    ] {
        assert_eq!(client.post(PATH, body).expect(422).fault(), (code, pointer));
    }
    let id = make(&client, "agent").id();
    let weak = client.patch(&at(&id), json!({ "password": "too short" })).expect(422);
    assert_eq!(weak.fault(), ("weak_password", "#/password"));
    assert!(!weak.text.contains("too short"));
}

#[test]
fn an_email_belongs_to_one_user_of_a_workspace() {
    let (client, other) = (workspace(), workspace());
    let email = address();
    let holder = client.post(PATH, new(&email, "agent")).expect(201).id();
    let refused = client.post(PATH, new(&email.to_uppercase(), "agent")).expect(409);
    assert_eq!(refused.code(), "users_email_taken");
    assert_eq!(refused.json["existing_id"], holder);
    let second = make(&client, "agent").id();
    let refused = client.patch(&at(&second), json!({ "email": email })).expect(409);
    assert_eq!(
        (refused.code(), &refused.json["existing_id"]),
        ("users_email_taken", &json!(holder))
    );
    other.post(PATH, new(&email, "agent")).expect(201);
    client.delete(&at(&holder)).expect(204);
    client.patch(&at(&second), json!({ "email": email })).expect(200);
}

#[test]
fn users_are_listed_by_role_status_and_part_of_a_name() {
    let client = workspace();
    let mut made: Vec<_> = ["agent", "analyst", "owner"].map(|role| make(&client, role)).into();
    let found = |query: &str| emails(&client, query);
    let email = |answer: &Answer| answer.json["email"].as_str().expect("an email").to_owned();
    assert_eq!(found("role=agent,owner&sort=created_at"), [email(&made[0]), email(&made[2])]);
    client.patch(&at(&made[1].id()), json!({ "status": "disabled" })).expect(200);
    assert_eq!(found("status=disabled"), [email(&made[1])]);
    client.patch(&at(&made[0].id()), json!({ "name": "Zoë 50%" })).expect(200);
    assert_eq!(found("q=zo%C3%8B"), [email(&made[0])]);
    assert_eq!(found("q=0%25"), [email(&made[0])]);
    assert_eq!(found(&format!("q={}", email(&made[2]).to_uppercase())), [email(&made[2])]);
    assert_eq!(found("sort=-name").first(), Some(&email(&made[0])));
    let page = client.get(&format!("{PATH}?limit=2&include_total=true")).expect(200).json;
    assert_eq!((&page["total"], &page["has_more"]), (&json!(3), &json!(true)));
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    assert_eq!(found(&format!("limit=2&cursor={cursor}")), [email(&made.remove(0))]);
}

#[test]
fn a_user_of_another_workspace_is_not_there() {
    let (client, other) = (workspace(), workspace());
    let id = make(&client, "agent").id();
    other.get(&at(&id)).expect(404);
    other.patch(&at(&id), json!({ "name": "x" })).expect(404);
    other.delete(&at(&id)).expect(404);
    assert_eq!(emails(&other, ""), [] as [String; 0]);
    client.get(&at(&id)).expect(200);
}

#[test]
fn a_stale_change_of_a_user_is_refused() {
    let client = workspace();
    let id = make(&client, "agent").id();
    let body = json!({ "name": "Second" }).to_string();
    let send = |method, body| client.send(method, &at(&id), &[("If-Match", "\"1\"")], body);
    send("PATCH", Some(body.as_str())).expect(200);
    assert_eq!(send("PATCH", Some(body.as_str())).expect(412).code(), "version_mismatch");
    send("DELETE", None).expect(412);
}

#[test]
fn a_repeated_creation_of_a_user_happens_once() {
    let client = workspace();
    let body = new(&address(), "agent").to_string();
    let send = || client.send("POST", PATH, &[("Idempotency-Key", "u-1")], Some(&body)).expect(201);
    assert_eq!(send().json, send().json);
    assert_eq!(emails(&client, "").len(), 1);
}

#[test]
fn the_last_active_owner_stays() {
    let client = workspace();
    let [first, second] = [make(&client, "owner").id(), make(&client, "owner").id()];
    client.patch(&at(&second), json!({ "status": "disabled" })).expect(200);
    for body in [json!({ "role": "admin" }), json!({ "status": "disabled" })] {
        assert_eq!(client.patch(&at(&first), body).expect(409).code(), "last_owner");
    }
    assert_eq!(client.delete(&at(&first)).expect(409).code(), "last_owner");
    client.patch(&at(&first), json!({ "name": "Still here", "role": "owner" })).expect(200);
    client.patch(&at(&second), json!({ "status": "active" })).expect(200);
    client.delete(&at(&first)).expect(204);
}

#[test]
fn two_owners_cannot_demote_each_other_at_the_same_time() {
    for _ in 0..5 {
        let client = workspace();
        let ids = [make(&client, "owner").id(), make(&client, "owner").id()];
        let demote = |id: &String| client.patch(&at(id), json!({ "role": "admin" })).status;
        let mut statuses = std::thread::scope(|scope| {
            let threads = ids.each_ref().map(|id| scope.spawn(move || demote(id)));
            threads.map(|thread| thread.join().expect("an answer"))
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

#[test]
fn nobody_deletes_themselves() {
    let client = workspace();
    make(&client, "owner");
    let (id, owner) = person(&client, "owner");
    assert_eq!(owner.delete(&at(&id)).expect(409).code(), "conflict");
}

#[test]
fn only_an_owner_makes_changes_or_removes_an_owner() {
    let client = workspace();
    let (owner_id, owner) = person(&client, "owner");
    let (_, admin) = person(&client, "admin");
    assert_eq!(admin.post(PATH, new(&address(), "owner")).expect(403).code(), "forbidden");
    for body in
        [json!({ "password": PASSWORD }), json!({ "name": "x" }), json!({ "role": "agent" })]
    {
        admin.patch(&at(&owner_id), body).expect(403);
    }
    admin.delete(&at(&owner_id)).expect(403);
    let colleague = make(&admin, "admin").id();
    admin.patch(&at(&colleague), json!({ "role": "owner" })).expect(403);
    owner.patch(&at(&colleague), json!({ "role": "owner" })).expect(200);
}

#[test]
fn nobody_gives_a_role_that_may_more_than_they_may() {
    let client = workspace();
    let (admin_id, _) = person(&client, "admin");
    let writer = client.with_scopes(&["users:read", "users:write"]);
    let refused = writer.post(PATH, new(&address(), "admin")).expect(403);
    assert_eq!(refused.code(), "insufficient_scope");
    assert!(refused.json["detail"].as_str().expect("a detail").contains("customers:read"));
    // A new password for an admin would be a way in as one.
    writer.patch(&at(&admin_id), json!({ "password": PASSWORD })).expect(403);
    writer.delete(&at(&admin_id)).expect(403);
}

#[test]
fn a_key_with_every_scope_of_today_counts_as_an_owner_no_more_than_an_admin_does() {
    let client = workspace();
    let today: Vec<&str> = ecrm::auth::Scope::EVERY.iter().map(|scope| scope.as_str()).collect();
    let refused = client.with_scopes(&today).post(PATH, new(&address(), "owner")).expect(403);
    assert!(refused.json["detail"].as_str().expect("a detail").contains("`*`"));
    client.post(PATH, new(&address(), "owner")).expect(201);
}

#[test]
fn reading_and_writing_users_need_their_scopes() {
    let client = workspace_with(&["users:read"]);
    let missing = client.post(PATH, new(&address(), "agent")).expect(403);
    assert!(missing.json["detail"].as_str().expect("a detail").contains("users:write"));
    workspace_with(&["users:write"]).get(PATH).expect(403);
}

#[test]
fn a_test_credential_sees_the_users_and_cannot_change_them() {
    let client = workspace();
    let id = make(&client, "agent").id();
    let test = client.test_mode();
    test.get(&at(&id)).expect(200);
    assert_eq!(test.post(PATH, new(&address(), "owner")).expect(403).code(), "forbidden");
    test.patch(&at(&id), json!({ "password": PASSWORD })).expect(403);
    test.delete(&at(&id)).expect(403);
}

#[test]
fn a_new_role_password_email_or_status_signs_a_user_out_everywhere() {
    let client = workspace();
    make(&client, "owner");
    for body in [
        json!({ "role": "analyst" }),
        json!({ "password": "another long password" }),
        json!({ "email": address() }),
        json!({ "status": "disabled" }),
    ] {
        let email = address();
        let mut new = new(&email, "agent");
        new["password"] = json!(PASSWORD);
        let id = client.post(PATH, new).expect(201).id();
        let session = sign_in(&client, &email).expect(200).json;
        let user = client.with_token(session["access_token"].as_str().expect("a token"));
        user.get("/v1/auth/whoami").expect(200);
        client.patch(&at(&id), json!({ "name": "Same session" })).expect(200);
        user.get("/v1/auth/whoami").expect(200);
        client.patch(&at(&id), body.clone()).expect(200);
        user.get("/v1/auth/whoami").expect(401);
        let token = session["refresh_token"].as_str().expect("a token");
        assert_eq!(refresh(&client, token).expect(400).json["error"], "invalid_grant", "{body}");
    }
}

#[test]
fn a_deleted_user_cannot_sign_in_and_has_no_session() {
    let client = workspace();
    let (id, user) = person(&client, "agent");
    let email = client.get(&at(&id)).expect(200).json["email"].as_str().expect("text").to_owned();
    client.delete(&at(&id)).expect(204);
    user.get("/v1/auth/whoami").expect(401);
    sign_in(&client, &email).expect(400);
    client.get(&at(&id)).expect(404);
}

#[test]
fn the_log_says_what_changed_without_names_emails_and_passwords() {
    let client = workspace();
    let id = make(&client, "agent").id();
    let email = address();
    let body =
        json!({ "name": "Nora Tal", "email": email, "role": "analyst", "password": PASSWORD });
    client.patch(&at(&id), body).expect(200);
    let log = client.get("/v1/touchpoints?type=user.updated").expect(200);
    let changes = &log.json["data"][0]["properties"]["changes"];
    assert_eq!(changes["role"], json!({ "from": "agent", "to": "analyst" }));
    for private in ["name", "email", "password"] {
        assert_eq!(changes[private], json!({}), "{private}");
    }
    assert!(!log.text.contains(&email) && !log.text.contains("Nora"));
}
