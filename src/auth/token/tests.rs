//! Which tokens open the door and which of the many odd ones must not.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::auth::scope::Scope;

const SECRET: &[u8] = b"an old secret of at least 32 bytes";
const NEXT: &[u8] = b"a new secret of at least 32 bytes!";
const ISSUER: &str = "https://crm.example.com";

fn now() -> i64 {
    i64::try_from(get_current_timestamp()).expect("this century")
}

fn tokens() -> Tokens {
    Tokens::new(SECRET, None, ISSUER).expect("a good secret")
}

fn claims() -> Claims {
    Claims {
        sub: Uuid::now_v7(),
        jti: Uuid::now_v7(),
        iat: now(),
        exp: now() + 900,
        nbf: None,
        wid: Uuid::now_v7(),
        livemode: true,
        typ: Subject::User,
        scope: Scopes::of([Scope::CustomersRead, Scope::ChannelsRead]),
        sid: Some(Uuid::now_v7()),
        ver: Some(3),
    }
}

fn header() -> Value {
    json!({ "alg": "HS256", "typ": "JWT", "kid": key_id(SECRET) })
}

fn payload() -> Value {
    let claims = claims();
    serde_json::to_value(Signed { iss: ISSUER.into(), aud: AUDIENCE.into(), claims })
        .expect("claims are JSON")
}

/// Any header over any payload, signed as asked: what an attacker or a bug may send.
fn forge(header: &str, payload: &str, algorithm: hmac::Algorithm, secret: &[u8]) -> String {
    let message = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn sign(header: &Value, payload: &Value) -> String {
    forge(&header.to_string(), &payload.to_string(), hmac::HMAC_SHA256, SECRET)
}

/// A well signed token with some claims replaced; null takes a claim away.
fn with(changes: Value) -> String {
    sign(&header(), &merged(payload(), changes))
}

fn with_header(changes: Value) -> String {
    sign(&merged(header(), changes), &payload())
}

fn merged(mut whole: Value, changes: Value) -> Value {
    let map = whole.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(map.remove(name)),
            value => drop(map.insert(name.clone(), value.clone())),
        }
    }
    whole
}

/// The payload as text with one more member, which may repeat a name.
fn with_text(member: &str) -> String {
    let payload = payload().to_string().replacen('{', &format!("{{{member},"), 1);
    forge(&header().to_string(), &payload, hmac::HMAC_SHA256, SECRET)
}

#[test]
fn what_was_issued_is_what_is_verified() {
    for claims in [
        claims(),
        Claims { typ: Subject::Customer, livemode: false, nbf: Some(now()), ..claims() },
        Claims { typ: Subject::Key, sid: None, ver: None, scope: Scopes::ALL, ..claims() },
        Claims { scope: Scopes::NONE, exp: now() + MAX_LIFETIME_S, ..claims() },
    ] {
        let token = tokens().issue(&claims).expect("signed");
        assert_eq!(tokens().verify(&token), Some(claims));
    }
}

#[test]
fn a_token_that_is_forged_or_odd_is_refused() {
    let (tokens, now) = (tokens(), now());
    let good = with(json!({}));
    assert!(tokens.verify(&good).is_some(), "the table starts from a good token");
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, tag] = parts[..] else { panic!("three parts") };
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let long = (header().to_string(), payload().to_string());
    let table = [
        ("empty", String::new()),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{good}.{tag}")),
        ("no signature", format!("{head}.{body}.")),
        ("alg none without signature", format!("{none}.{body}.")),
        ("alg none with signature", format!("{none}.{body}.{tag}")),
        ("alg in other case", with_header(json!({ "alg": "hs256" }))),
        ("HS512 by our secret", {
            let header = merged(header(), json!({ "alg": "HS512" })).to_string();
            forge(&header, &long.1, hmac::HMAC_SHA512, SECRET)
        }),
        ("HS512 in name", with_header(json!({ "alg": "HS512" }))),
        ("RS256 in name", with_header(json!({ "alg": "RS256" }))),
        ("another secret", forge(&long.0, &long.1, hmac::HMAC_SHA256, NEXT)),
        ("an empty secret", forge(&long.0, &long.1, hmac::HMAC_SHA256, b"")),
        ("another payload", {
            let other = with(json!({ "sub": Uuid::now_v7() }));
            format!("{head}.{}.{tag}", other.split('.').nth(1).expect("a payload"))
        }),
        ("no kid", with_header(json!({ "kid": null }))),
        ("unknown kid", with_header(json!({ "kid": "00000000" }))),
        ("critical extension", with_header(json!({ "crit": ["b64"], "b64": false }))),
        ("trailing character", format!("{good}A")),
        ("trailing padding", format!("{good}=")),
        ("trailing newline", format!("{good}\n")),
        ("leading space", format!(" {good}")),
        ("no exp", with(json!({ "exp": null }))),
        ("no iat", with(json!({ "iat": null }))),
        ("no sub", with(json!({ "sub": null }))),
        ("no aud", with(json!({ "aud": null }))),
        ("no iss", with(json!({ "iss": null }))),
        ("no jti", with(json!({ "jti": null }))),
        ("no wid", with(json!({ "wid": null }))),
        ("no typ", with(json!({ "typ": null }))),
        ("no scope", with(json!({ "scope": null }))),
        ("no livemode", with(json!({ "livemode": null }))),
        ("wrong aud", with(json!({ "aud": "crm" }))),
        ("aud as a list", with(json!({ "aud": ["ecrm", "other"] }))),
        ("wrong iss", with(json!({ "iss": "https://crm.example.org" }))),
        ("iss as a list", with(json!({ "iss": [ISSUER] }))),
        ("iss with a slash", with(json!({ "iss": format!("{ISSUER}/") }))),
        ("expired", with(json!({ "iat": now - 900, "exp": now - 10 }))),
        ("not yet", with(json!({ "nbf": now + 60 }))),
        ("nbf as a string", with(json!({ "nbf": "0" }))),
        ("issued in the future", with(json!({ "iat": now + 60 }))),
        ("issued before time began", with(json!({ "iat": -1, "exp": now + 60 }))),
        ("ends before it was issued", with(json!({ "iat": now + 3, "exp": now + 2 }))),
        ("lives too long", with(json!({ "exp": now + MAX_LIFETIME_S + 60 }))),
        ("exp as a string", with(json!({ "exp": (now + 900).to_string() }))),
        ("exp as a float", with(json!({ "exp": now as f64 + 900.5 }))),
        ("exp of 1e300", with(json!({ "exp": 1e300 }))),
        ("exp negative", with(json!({ "exp": -1 }))),
        ("exp of 2^64 - 1", with(json!({ "exp": u64::MAX }))),
        ("exp of 2^63 - 1", with(json!({ "exp": i64::MAX }))),
        ("exp true", with(json!({ "exp": true }))),
        ("exp twice", with_text(&format!(r#""exp":{}"#, now + 900))),
        ("wid twice", with_text(&format!(r#""wid":"{}""#, Uuid::nil()))),
        ("sub not an id", with(json!({ "sub": "admin" }))),
        ("wid not an id", with(json!({ "wid": "*" }))),
        ("livemode as text", with(json!({ "livemode": "true" }))),
        ("unknown typ", with(json!({ "typ": "admin" }))),
        ("unknown scope", with(json!({ "scope": "customers:read customers:fly" }))),
        ("scope as a list", with(json!({ "scope": ["customers:read"] }))),
        ("payload not an object", sign(&header(), &json!([1, 2]))),
        ("payload not JSON", forge(&long.0, "{", hmac::HMAC_SHA256, SECRET)),
        ("an API key", "ecrm_sk_0000".into()),
    ];
    for (what, token) in &table {
        assert_eq!(tokens.verify(token), None, "{what}: {token}");
    }
}

#[test]
fn clocks_may_differ_by_five_seconds() {
    let early = with(json!({ "nbf": now() + 3, "iat": now() + 3 }));
    let late = with(json!({ "iat": now() - 60, "exp": now() - 2 }));
    assert!(tokens().verify(&early).is_some());
    assert!(tokens().verify(&late).is_some());
}

#[test]
fn a_new_secret_signs_while_the_old_one_still_verifies() {
    let both = Tokens::new(NEXT, Some(SECRET), ISSUER).expect("good secrets");
    let after = Tokens::new(NEXT, None, ISSUER).expect("a good secret");
    let (old, new) = (tokens().issue(&claims()), both.issue(&claims()));
    let (old, new) = (old.expect("signed"), new.expect("signed"));
    assert!(both.verify(&old).is_some() && both.verify(&new).is_some());
    assert!(after.verify(&new).is_some());
    assert!(after.verify(&old).is_none(), "the old secret is gone");
    assert!(tokens().verify(&new).is_none(), "the old server does not know the new secret");
}

#[test]
fn a_short_secret_does_not_start() {
    assert!(Tokens::new(&SECRET[..31], None, ISSUER).is_err());
    assert!(Tokens::new(SECRET, Some(b""), ISSUER).is_err());
    assert!(Tokens::new(&SECRET[..32], None, ISSUER).is_ok());
}

#[test]
fn a_token_for_more_than_a_day_is_not_issued() {
    for (iat, exp) in [(now(), now() + MAX_LIFETIME_S + 1), (now(), now()), (now() + 60, now())] {
        assert!(tokens().issue(&Claims { iat, exp, ..claims() }).is_err());
    }
}
