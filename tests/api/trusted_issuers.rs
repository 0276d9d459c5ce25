//! Trusted issuers: who may let whose tokens in, and what those tokens then may.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, workspace, workspace_with};
use crate::sessions::person;

const PATH: &str = "/v1/trusted_issuers";
const ISSUER: &str = "https://login.example.com/";

fn at(id: &str) -> String {
    format!("{PATH}/{id}")
}

fn new() -> Value {
    json!({
        "issuer": ISSUER,
        "audience": "ecrm",
        "jwks_url": "https://login.example.com/keys",
        "algorithms": ["RS256"],
        "default_scopes": ["customers:read"],
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = new();
    body[name] = value;
    body
}

fn make(client: &Client, body: Value) -> Answer {
    client.post(PATH, body).expect(201)
}

/// A login service of this test: it publishes one key and signs with it.
struct Login {
    pair: Ed25519KeyPair,
    url: String,
}

impl Login {
    fn start() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k", "x": x });
        let body = json!({ "keys": [jwk] }).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                let size = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n"
                );
                drop((&stream).write_all((head + &body).as_bytes()));
            }
        });
        Self { pair, url }
    }

    fn trusted(&self) -> Value {
        json!({ "issuer": ISSUER, "audience": "ecrm", "jwks_url": self.url, "algorithms": ["EdDSA"] })
    }

    fn token(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "EdDSA", "kid": "k" });
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn claims(client: &Client) -> Value {
        json!({
            "iss": ISSUER, "aud": "ecrm", "sub": "ada", "wid": client.workspace_id,
            "exp": chrono::Utc::now().timestamp() + 60,
        })
    }
}

#[test]
fn a_trusted_issuer_keeps_what_it_was_given() {
    let client = workspace();
    let made = make(&client, new());
    for (name, value) in new().as_object().expect("an object") {
        assert_eq!(&made.json[name], value, "{name}");
    }
    assert_eq!(made.headers["location"], at(&made.id()));
    assert_eq!(client.get(&at(&made.id())).expect(200).json, made.json);
    let body = json!({ "audience": "crm", "scopes_claim": "scope", "default_scopes": [] });
    let changed = client.patch(&at(&made.id()), body).expect(200).json;
    assert_eq!((&changed["audience"], &changed["scopes_claim"]), (&json!("crm"), &json!("scope")));
    assert_eq!(changed["algorithms"], json!(["RS256"]));
    let cleared = client.patch(&at(&made.id()), json!({ "scopes_claim": null })).expect(200).json;
    assert_eq!((&cleared["scopes_claim"], &cleared["version"]), (&Value::Null, &json!(3)));
    client.delete(&at(&made.id())).expect(204);
    client.get(&at(&made.id())).expect(404);
}

#[test]
fn a_field_of_an_issuer_that_is_not_valid_is_named() {
    let client = workspace();
    for (body, code, pointer) in [
        (with("issuer", json!("")), "invalid_length", "#/issuer"),
        (with("audience", json!("")), "invalid_length", "#/audience"),
        (with("jwks_url", json!("http://login.example.com/keys")), "invalid_url", "#/jwks_url"),
        (with("jwks_url", json!("file:///etc/passwd")), "invalid_url", "#/jwks_url"),
        (with("algorithms", json!([])), "invalid_length", "#/algorithms"),
        (with("algorithms", json!(["HS256"])), "invalid_type", "#/algorithms/0"),
        (with("algorithms", json!(["none"])), "invalid_type", "#/algorithms/0"),
        (with("default_scopes", json!(["openid"])), "unknown_scope", "#/default_scopes"),
        (with("secret", json!("s")), "unknown_field", "#/secret"),
    ] {
        assert_eq!(client.post(PATH, body).expect(422).fault(), (code, pointer));
    }
    let id = make(&client, new()).id();
    client.patch(&at(&id), json!({ "jwks_url": "http://example.com" })).expect(422);
    let moved = client.patch(&at(&id), json!({ "issuer": "https://other.example" })).expect(422);
    assert_eq!(moved.fault(), ("unknown_field", "#/issuer"));
}

#[test]
fn an_issuer_is_trusted_once_per_workspace() {
    let (client, other) = (workspace(), workspace());
    let id = make(&client, new()).id();
    let refused = client.post(PATH, new()).expect(409);
    assert_eq!(refused.code(), "trusted_issuers_issuer_taken");
    assert_eq!(refused.json["existing_id"], id);
    make(&other, new());
}

#[test]
fn an_issuer_of_another_workspace_is_not_there() {
    let (client, other) = (workspace(), workspace());
    let id = make(&client, new()).id();
    other.get(&at(&id)).expect(404);
    other.patch(&at(&id), json!({ "audience": "x" })).expect(404);
    other.delete(&at(&id)).expect(404);
    assert_eq!(other.get(PATH).expect(200).json["data"], json!([]));
    let found = client.get(&format!("{PATH}?issuer={ISSUER}")).expect(200).json;
    assert_eq!(found["data"][0]["id"], id);
}

#[test]
fn nobody_trusts_an_issuer_further_than_themselves() {
    let client = workspace();
    let open = make(&client, with("roles_claim", json!("roles"))).id();
    let narrow = client.with_scopes(&["workspace:read", "workspace:write", "channels:read"]);
    let mut body = with("issuer", json!("https://other.example"));
    let refused = narrow.post(PATH, body.clone()).expect(403);
    assert!(refused.json["detail"].as_str().expect("a detail").contains("customers:read"));
    body["default_scopes"] = json!(["channels:read"]);
    let mut claiming = body.clone();
    claiming["scopes_claim"] = json!("scope");
    assert_eq!(narrow.post(PATH, claiming).expect(403).code(), "insufficient_scope");
    let own = make(&narrow, body).id();
    narrow.patch(&at(&own), json!({ "roles_claim": "roles" })).expect(403);
    // Other keys for an issuer that may everything would be a way to everything.
    narrow.patch(&at(&open), json!({ "jwks_url": "https://evil.example/keys" })).expect(403);
    assert_eq!(client.get(&at(&own)).expect(200).json["version"], 1);
    let (_, admin) = person(&client, "admin");
    admin.patch(&at(&open), json!({ "audience": "crm" })).expect(200);
}

#[test]
fn trusting_needs_its_scopes_a_live_credential_and_the_present_version() {
    let client = workspace();
    let id = make(&client, new()).id();
    workspace_with(&["workspace:read"]).post(PATH, new()).expect(403);
    workspace_with(&["workspace:write"]).get(PATH).expect(403);
    let test = client.test_mode();
    test.get(&at(&id)).expect(200);
    assert_eq!(test.post(PATH, new()).expect(403).code(), "forbidden");
    test.delete(&at(&id)).expect(403);
    client.send("DELETE", &at(&id), &[("If-Match", "\"9\"")], None).expect(412);
    client.send("PATCH", &at(&id), &[("If-Match", "\"9\"")], Some("{}")).expect(412);
}

#[test]
fn a_repeated_trust_happens_once() {
    let client = workspace();
    let body = new().to_string();
    let send = || client.send("POST", PATH, &[("Idempotency-Key", "i-1")], Some(&body)).expect(201);
    assert_eq!(send().json, send().json);
}

#[test]
fn a_token_of_a_trusted_issuer_opens_the_workspace_it_names() {
    let (client, login) = (workspace(), Login::start());
    let token = login.token(&Login::claims(&client));
    client.with_token(&token).get("/v1/auth/whoami").expect(401);
    let mut body = login.trusted();
    body["default_scopes"] = json!(["channels:read"]);
    body["scopes_claim"] = json!("scope");
    let id = make(&client, body).id();
    let who = client.with_token(&token).get("/v1/auth/whoami").expect(200).json;
    assert_eq!((&who["kind"], &who["credential_id"]), (&json!("issuer"), &json!(id)));
    assert_eq!(who["scopes"], json!(["channels:read"]));
    let mut claims = Login::claims(&client);
    claims["scope"] = json!("openid customers:read");
    let reader = client.with_token(&login.token(&claims));
    assert_eq!(reader.get("/v1/auth/whoami").expect(200).json["scopes"], json!(["customers:read"]));
    reader.get("/v1/users").expect(403);
    client.delete(&at(&id)).expect(204);
    reader.get("/v1/auth/whoami").expect(401);
}

#[test]
fn a_token_for_another_workspace_or_another_audience_opens_nothing() {
    let (client, other, login) = (workspace(), workspace(), Login::start());
    make(&client, login.trusted());
    for (name, value) in [
        ("wid", json!(other.workspace_id)),
        ("wid", Value::Null),
        ("aud", json!("shop")),
        ("exp", json!(1_700_000_000)),
        ("iss", json!("https://login.example.org/")),
    ] {
        let mut claims = Login::claims(&client);
        claims[name] = value;
        client.with_token(&login.token(&claims)).get("/v1/auth/whoami").expect(401);
    }
    let forged = Login::start().token(&Login::claims(&client));
    client.with_token(&forged).get("/v1/auth/whoami").expect(401);
}
