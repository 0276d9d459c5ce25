//! Signing in and out, as OAuth's libraries do it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, App, Client, workspace, workspace_with};

pub const PASSWORD: &str = "granite skis at dawn";
const TOKEN: &str = "/v1/auth/token";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// An email that nobody has yet.
pub fn address() -> String {
    format!("u-{}@example.com", Uuid::new_v4().simple())
}

fn encode(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn anonymous(client: &Client) -> Client {
    Client { token: None, ..client.clone() }
}

fn ask(client: &Client, pairs: &[(&str, &str)]) -> Answer {
    anonymous(client).send("POST", TOKEN, &[FORM], Some(&encode(pairs)))
}

/// The answer to a sign-in with [`PASSWORD`].
pub fn sign_in(client: &Client, email: &str) -> Answer {
    ask(client, &[("grant_type", "password"), ("username", email), ("password", PASSWORD)])
}

/// The answer to a renewal.
pub fn refresh(client: &Client, token: &str) -> Answer {
    ask(client, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

fn text<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.json[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer:?}"))
}

fn employ(client: &Client, role: &str) -> (String, String) {
    let email = address();
    let body = json!({ "email": email, "name": "Mira", "role": role, "password": PASSWORD });
    (client.post("/v1/users", body).expect(201).id(), email)
}

/// A new user of this role, signed in.
pub fn person(client: &Client, role: &str) -> (String, Client) {
    let (id, email) = employ(client, role);
    let token = sign_in(client, &email).expect(200);
    (id, client.with_token(text(&token, "access_token")))
}

fn is_believed(client: &Client, token: &str) -> bool {
    match client.with_token(token).get("/v1/auth/whoami").status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

fn error(answer: Answer) -> String {
    let answer = answer.expect(400);
    assert_eq!(answer.headers["cache-control"], "no-store");
    text(&answer, "error").to_owned()
}

/// Asks for a key's token; without a refresh token the answer is shorter than the document says.
fn exchange(client: &Client, headers: &[(&str, &str)], pairs: &[(&str, &str)]) -> Answer {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend_from_slice(pairs);
    let headers: Vec<_> = headers.iter().copied().chain([FORM]).collect();
    anonymous(client).send_unchecked("POST", TOKEN, &headers, Some(encode(&form).as_bytes()))
}

/// A token worth what a key is worth.
pub fn token_of(client: &Client, key: &str) -> String {
    let answer = exchange(client, &[], &[("client_secret", key)]).expect(200);
    text(&answer, "access_token").to_owned()
}

#[test]
fn a_password_opens_a_session() {
    let client = workspace();
    let (id, email) = employ(&client, "agent");
    let answer = sign_in(&client, &email.to_uppercase()).expect(200);
    assert_eq!(
        (&answer.json["token_type"], &answer.json["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(text(&answer, "scope").contains("customers:write"));
    let user = client.with_token(text(&answer, "access_token"));
    let who = user.get("/v1/auth/whoami").expect(200).json;
    assert_eq!(who["user"], json!({ "id": id, "email": email, "name": "Mira" }));
    assert_eq!((&who["kind"], &who["role"]), (&json!("user"), &json!("agent")));
    assert_eq!(who["workspace"]["slug"], client.slug);
    assert!(who["expires_at"].is_string());
    user.get("/v1/api_keys").expect(403);
    let seen = client.get(&format!("/v1/users/{id}")).expect(200).json;
    assert!(seen["last_login_at"].is_string());
    assert_eq!(seen["version"], 1, "signing in is no change");
}

#[test]
fn a_request_for_a_token_may_be_json() {
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    let body = json!({ "grant_type": "password", "username": email, "password": PASSWORD });
    anonymous(&client).post(TOKEN, body).expect(200);
}

#[test]
fn every_wrong_sign_in_gets_the_same_answer() {
    let client = workspace();
    let (id, email) = employ(&client, "agent");
    let with = |username: &str, password: &str, workspace: &str| {
        let pairs = [
            ("grant_type", "password"),
            ("username", username),
            ("password", password),
            ("workspace", workspace),
        ];
        ask(&client, &pairs).expect(400).json
    };
    let wrong = with(&email, "granite skis at dusk", &client.slug);
    assert_eq!(wrong["error"], "invalid_grant");
    assert_eq!(with(&address(), PASSWORD, &client.slug), wrong);
    assert_eq!(with("no address", PASSWORD, &client.slug), wrong);
    assert_eq!(with("nul\0@example.com", PASSWORD, "nul\0"), wrong);
    assert_eq!(with(&email, PASSWORD, "another"), wrong);
    assert_eq!(with(&email, PASSWORD, &workspace().slug), wrong);
    let body = json!({ "email": address(), "name": "x", "role": "agent" });
    let without = client.post("/v1/users", body).expect(201).json;
    assert_eq!(with(without["email"].as_str().expect("text"), PASSWORD, &client.slug), wrong);
    client.patch(&format!("/v1/users/{id}"), json!({ "status": "disabled" })).expect(200);
    assert_eq!(with(&email, PASSWORD, &client.slug), wrong);
}

#[test]
fn an_email_of_several_workspaces_needs_the_workspace() {
    let (client, other) = (workspace(), workspace());
    let email = address();
    for client in [&client, &other] {
        let body = json!({ "email": email, "name": "M", "role": "agent", "password": PASSWORD });
        client.post("/v1/users", body).expect(201);
    }
    assert_eq!(error(sign_in(&client, &email)), "invalid_grant");
    let pairs = [
        ("grant_type", "password"),
        ("username", &email),
        ("password", PASSWORD),
        ("workspace", &other.slug),
    ];
    let answer = ask(&client, &pairs).expect(200);
    let who = client.with_token(text(&answer, "access_token")).get("/v1/auth/whoami").expect(200);
    assert_eq!(who.json["workspace"]["id"], json!(other.workspace_id));
}

#[test]
fn a_request_that_says_too_little_or_nonsense_is_invalid() {
    let client = workspace();
    let password = [("grant_type", "password"), ("username", "a@example.com")];
    for (pairs, expected) in [
        (&[][..], "invalid_request"),
        (&[("grant_type", "magic")][..], "unsupported_grant_type"),
        (&password[..1], "invalid_request"),
        (&password, "invalid_request"),
        (&[("grant_type", "password"), ("grant_type", "password")], "invalid_request"),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (&[("grant_type", "refresh_token"), ("refresh_token", "x")], "invalid_grant"),
        (&[("grant_type", "password"), ("livemode", "perhaps")], "invalid_request"),
    ] {
        assert_eq!(error(ask(&client, pairs)), expected, "{pairs:?}");
    }
    let anonymous = anonymous(&client);
    for body in ["{", "[]", r#"{"grant_type": 1}"#] {
        assert_eq!(error(anonymous.send("POST", TOKEN, &[], Some(body))), "invalid_request");
    }
    anonymous.send("POST", TOKEN, &[("Content-Type", "text/plain")], Some("x")).expect(415);
}

#[test]
fn what_oauth_does_not_know_is_ignored() {
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    let pairs =
        [("grant_type", "password"), ("username", &email), ("password", PASSWORD), ("nonce", "7")];
    ask(&client, &pairs).expect(200);
}

#[test]
fn a_refresh_token_works_once_and_twice_ends_the_session() {
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    let first = sign_in(&client, &email).expect(200);
    let second = refresh(&client, text(&first, "refresh_token")).expect(200);
    assert_ne!(text(&first, "refresh_token"), text(&second, "refresh_token"));
    assert!(is_believed(&client, text(&second, "access_token")));
    let other = sign_in(&client, &email).expect(200);
    assert_eq!(error(refresh(&client, text(&first, "refresh_token"))), "invalid_grant");
    assert_eq!(error(refresh(&client, text(&second, "refresh_token"))), "invalid_grant");
    assert!(!is_believed(&client, text(&second, "access_token")), "whoever stole it is out too");
    let other = refresh(&client, text(&other, "refresh_token")).expect(200);
    assert!(is_believed(&client, text(&other, "access_token")), "other sessions go on");
    let log = client.get("/v1/touchpoints?type=user.signed_out").expect(200).json;
    assert_eq!(log["data"][0]["properties"]["reason"], "token_reused");
    // Shown again it changes nothing more.
    assert_eq!(error(refresh(&client, text(&first, "refresh_token"))), "invalid_grant");
    assert!(is_believed(&client, text(&other, "access_token")));
}

#[test]
fn a_renewal_may_ask_for_less_and_asking_for_more_costs_nothing() {
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    let session = sign_in(&client, &email).expect(200);
    let with = |scope: &str, token: &str| {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        ask(&client, &pairs)
    };
    let token = text(&session, "refresh_token");
    assert_eq!(error(with("users:write", token)), "invalid_scope");
    let narrow = with("customers:read", token).expect(200);
    assert_eq!(narrow.json["scope"], "customers:read");
    let wide = refresh(&client, text(&narrow, "refresh_token")).expect(200);
    assert_eq!(wide.json["scope"], session.json["scope"]);
}

#[test]
fn of_two_renewals_at_the_same_time_one_wins() {
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    for _ in 0..5 {
        let session = sign_in(&client, &email).expect(200);
        let token = text(&session, "refresh_token");
        let mut statuses = std::thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(|| refresh(&client, token).status));
            threads.map(|thread| thread.join().expect("an answer"))
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
    }
}

#[test]
fn a_session_that_ran_out_is_over() {
    use diesel::prelude::*;
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    let session = sign_in(&client, &email).expect(200);
    diesel::sql_query("update refresh_tokens set expires_at = created_at where workspace_id = $1")
        .bind::<diesel::sql_types::Uuid, _>(client.workspace_id)
        .execute(&mut App::shared().owner())
        .expect("an update");
    assert_eq!(error(refresh(&client, text(&session, "refresh_token"))), "invalid_grant");
}

#[test]
fn a_token_given_up_ends_its_session() {
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    for name in ["refresh_token", "access_token"] {
        let session = sign_in(&client, &email).expect(200);
        let body = encode(&[("token", text(&session, name)), ("token_type_hint", name)]);
        let revoke = || {
            let revoked = anonymous(&client).send("POST", "/v1/auth/revoke", &[FORM], Some(&body));
            assert_eq!(revoked.expect(200).text, "");
        };
        revoke();
        assert!(!is_believed(&client, text(&session, "access_token")), "{name}");
        assert_eq!(error(refresh(&client, text(&session, "refresh_token"))), "invalid_grant");
        let next = sign_in(&client, &email).expect(200);
        revoke();
        assert!(is_believed(&client, text(&next, "access_token")), "given up twice");
    }
}

#[test]
fn giving_up_what_is_no_token_says_nothing() {
    let client = workspace();
    let anonymous = anonymous(&client);
    let key = client.token.clone().expect("a key");
    for token in ["x", "", key.as_str(), "ecrm_rt_", "a.b.c"] {
        let answer = anonymous.post("/v1/auth/revoke", json!({ "token": token })).expect(200);
        assert_eq!(answer.text, "");
    }
    assert!(is_believed(&client, &key), "keys are revoked elsewhere");
    assert_eq!(error(anonymous.post("/v1/auth/revoke", json!({}))), "invalid_request");
}

#[test]
fn a_key_is_exchanged_for_a_token_that_is_worth_what_the_key_is_worth_now() {
    let client = workspace();
    let body = json!({ "name": "Job", "scopes": ["customers:read", "channels:read"] });
    let key = client.post("/v1/api_keys", body).expect(201);
    let secret = text(&key, "key");
    let answer = exchange(&client, &[], &[("client_id", "job"), ("client_secret", secret)]);
    let answer = answer.expect(200);
    assert_eq!(answer.json.get("refresh_token"), None, "RFC 6749, 4.4.3");
    assert_eq!(answer.json["scope"], "customers:read channels:read");
    let token = client.with_token(text(&answer, "access_token"));
    token.get("/v1/customers").expect(200);
    let path = format!("/v1/api_keys/{}", key.id());
    client.patch(&path, json!({ "scopes": ["channels:read"] })).expect(200);
    token.get("/v1/customers").expect(403);
    client.delete(&path).expect(204);
    token.get("/v1/auth/whoami").expect(401);
    exchange(&client, &[], &[("client_secret", secret)]).expect(401);
}

#[test]
fn a_key_may_come_by_http_basic_and_ask_for_less() {
    let client = workspace_with(&["customers:read", "channels:read"]);
    let key = client.token.clone().expect("a key");
    let basic = format!("Basic {}", STANDARD.encode(format!("job:{key}")));
    let headers = [("Authorization", basic.as_str())];
    let answer = exchange(&client, &headers, &[("scope", "channels:read")]).expect(200);
    assert_eq!(answer.json["scope"], "channels:read");
    client.with_token(text(&answer, "access_token")).get("/v1/customers").expect(403);
    for scope in ["users:read", "openid", "*"] {
        assert_eq!(error(exchange(&client, &headers, &[("scope", scope)])), "invalid_scope");
    }
}

#[test]
fn what_is_no_key_is_no_client() {
    let client = workspace();
    let answer =
        exchange(&client, &[], &[("client_secret", client.token.as_deref().expect("a key"))]);
    let token = text(&answer, "access_token").to_owned();
    for secret in ["", "x", "ecrm_sk_0000", token.as_str()] {
        let refused = exchange(&client, &[], &[("client_secret", secret)]).expect(401);
        assert_eq!(refused.json["error"], "invalid_client");
        assert!(refused.headers["www-authenticate"].starts_with("Basic"));
    }
    exchange(&client, &[], &[]).expect(401);
}

#[test]
fn a_test_session_sees_test_data_and_stays_one() {
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    let pairs = [
        ("grant_type", "password"),
        ("username", &email),
        ("password", PASSWORD),
        ("livemode", "false"),
    ];
    let session = ask(&client, &pairs).expect(200);
    let renewed = refresh(&client, text(&session, "refresh_token")).expect(200);
    client.post("/v1/customers", json!({ "first_name": "Live" })).expect(201);
    for session in [session, renewed] {
        let user = client.with_token(text(&session, "access_token"));
        let who = user.get("/v1/auth/whoami").expect(200).json;
        assert_eq!(
            (&who["livemode"], &who["workspace"]["slug"]),
            (&json!(false), &json!(client.slug))
        );
        assert_eq!(user.get("/v1/customers").expect(200).json["data"], json!([]));
    }
}

#[test]
fn a_sign_in_may_ask_for_less_and_then_ends_with_its_token() {
    let client = workspace();
    let (_, email) = employ(&client, "agent");
    let pairs = [
        ("grant_type", "password"),
        ("username", &email),
        ("password", PASSWORD),
        ("scope", "customers:read"),
    ];
    let body = encode(&pairs);
    let answer = anonymous(&client)
        .send_unchecked("POST", TOKEN, &[FORM], Some(body.as_bytes()))
        .expect(200);
    assert_eq!(
        (&answer.json["scope"], answer.json.get("refresh_token")),
        (&json!("customers:read"), None)
    );
    let reader = client.with_token(text(&answer, "access_token"));
    reader.get("/v1/customers").expect(200);
    reader.post("/v1/customers", json!({ "first_name": "No" })).expect(403);
}

#[test]
fn guessing_is_limited_per_address() {
    let app = App::alone(&[("ECRM_RATE_LIMIT_AUTH", "3")]);
    let client = app.workspace(&["*"]);
    for _ in 0..3 {
        sign_in(&client, &address()).expect(400);
    }
    let refused = sign_in(&client, &address()).expect(429);
    assert_eq!(refused.code(), "too_many_requests");
    assert!(refused.headers.contains_key("retry-after"));
    client.get("/v1/auth/whoami").expect(200);
}

#[test]
fn anybody_with_a_credential_may_ask_who_they_are() {
    let client = workspace_with(&["channels:read"]);
    let who = client.get("/v1/auth/whoami").expect(200).json;
    assert_eq!(who["workspace"]["id"], json!(client.workspace_id));
    assert_eq!((&who["kind"], &who["livemode"]), (&json!("api_key"), &json!(true)));
    for absent in ["role", "user", "expires_at"] {
        assert_eq!(who[absent], Value::Null, "{absent}");
    }
    anonymous(&client).get("/v1/auth/whoami").expect(401);
}
