//! Whom we believe when somebody else's login service vouches for a person.

mod service;

use std::time::Duration;

use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::{encoding::AsDer, hmac};
use jsonwebtoken::get_current_timestamp;
use serde_json::json;

use self::service::{GONE, Pair, Service, base64, token};
use super::*;
use crate::outbound::Reach;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_trusted_issuer_signs_with_rsa_p256_or_ed25519() {
    let pairs = [Pair::rsa(), Pair::ec(), Pair::ed()];
    let service = Service::start(&pairs.each_ref().map(|pair| pair.jwk(pair.algorithm())));
    let (jwks, issuer) = (Jwks::new(Reach::Loopback), service.issuer());
    for pair in &pairs {
        let token = pair.token(pair.algorithm(), json!({}));
        let Some(ada) = jwks.verify(&token, &issuer) else { panic!("{}", pair.algorithm()) };
        assert_eq!((ada.subject.as_str(), ada.workspace_id), ("ada", Uuid::nil()));
        assert_eq!(ada.scopes, issuer.default_scopes);
        assert!(ada.expires_at > 1_700_000_000);
    }
    assert_eq!(service.asked(), 1, "the keys are fetched once");
}

#[test]
fn a_token_that_the_issuer_did_not_mean_for_us_is_refused() {
    let pair = Pair::ed();
    let service = Service::start(&[pair.jwk("a")]);
    let (jwks, issuer) = (Jwks::new(Reach::Loopback), service.issuer());
    let now = get_current_timestamp();
    assert!(jwks.verify(&pair.token("a", json!({})), &issuer).is_some());
    for changes in [
        json!({ "aud": "shop" }),
        json!({ "aud": null }),
        json!({ "aud": [] }),
        json!({ "iss": "https://login.example.org" }),
        json!({ "iss": ["https://login.example.com"] }),
        json!({ "iss": null }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "exp": null }),
        json!({ "exp": now - 10 }),
        json!({ "exp": "never" }),
        json!({ "exp": 1e300 }),
        json!({ "nbf": now + 60 }),
        json!({ "nbf": "now" }),
        json!({ "wid": Uuid::now_v7() }),
        json!({ "wid": 7 }),
    ] {
        let token = pair.token("a", changes.clone());
        assert_eq!(jwks.verify(&token, &issuer), None, "{changes}");
    }
    let token = pair.token("a", json!({ "aud": ["shop", "crm"], "wid": Uuid::nil(), "nbf": now }));
    assert!(jwks.verify(&token, &issuer).is_some());
}

#[test]
fn an_algorithm_that_is_not_pinned_is_refused_without_fetching() {
    let pair = Pair::ed();
    let service = Service::start(&[pair.jwk("a")]);
    let issuer = Issuer { algorithms: vec![SigningAlgorithm::RS256], ..service.issuer() };
    assert_eq!(Jwks::new(Reach::Loopback).verify(&pair.token("a", json!({})), &issuer), None);
    assert_eq!(service.asked(), 0);
}

#[test]
fn a_public_key_is_never_taken_for_a_shared_secret() {
    let pair = Pair::rsa();
    let Pair::Rsa(rsa) = &pair else { panic!("RSA") };
    let secret = json!({ "kty": "oct", "kid": "s", "k": base64("shared"), "alg": "HS256" });
    let service = Service::start(&[pair.jwk("a"), secret]);
    let (jwks, issuer) = (Jwks::new(Reach::Loopback), service.issuer());
    let public = rsa.public_key();
    let der = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(public).expect("DER");
    let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
    let texts = [public.as_ref().to_vec(), der.as_ref().to_vec(), modulus, b"shared".to_vec()];
    for (kid, alg) in [("a", "HS256"), ("a", "RS256"), ("s", "HS256"), ("a", "none")] {
        for secret in &texts {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let sign = |message: &[u8]| hmac::sign(&key, message).as_ref().to_vec();
            let token = token(&json!({ "alg": alg, "kid": kid }), json!({}), sign);
            assert_eq!(jwks.verify(&token, &issuer), None, "{alg} with {kid}");
        }
    }
    assert!(jwks.verify(&pair.token("a", json!({})), &issuer).is_some());
}

#[test]
fn a_key_serves_only_what_it_was_published_for() {
    let (pair, other) = (Pair::ed(), Pair::ed());
    let with = |name: &str, value: &str| {
        let mut jwk = pair.jwk(&format!("{name}-{value}"));
        jwk[name] = json!(value);
        jwk
    };
    let odd = json!({ "kty": "new", "kid": 7 });
    let keys = [odd, with("use", "enc"), with("alg", "ES256"), with("use", "sig"), pair.jwk("a")];
    let service = Service::start(&keys);
    let (jwks, issuer) = (Jwks::new(Reach::Loopback), service.issuer());
    let accepts = |token: &str| jwks.verify(token, &issuer).is_some();
    assert!(accepts(&pair.token("use-sig", json!({}))));
    assert!(!accepts(&pair.token("use-enc", json!({}))));
    assert!(!accepts(&pair.token("alg-ES256", json!({}))));
    assert!(!accepts(&other.token("a", json!({}))), "signed by another key");
    for header in [json!({ "alg": "EdDSA" }), json!({ "alg": "EdDSA", "kid": "a", "crit": ["x"] })]
    {
        assert!(!accepts(&token(&header, json!({}), |message| pair.sign(message))), "{header}");
    }
}

#[test]
fn an_unknown_key_is_asked_for_once_a_minute() {
    let (old, new) = (Pair::ed(), Pair::ed());
    let service = Service::start(&[old.jwk("old")]);
    let (jwks, issuer, now) = (Jwks::new(Reach::Loopback), service.issuer(), Instant::now());
    let token = new.token("new", json!({}));
    assert!(jwks.verify_at(&old.token("old", json!({})), &issuer, now).is_some());
    service.publishes(&[new.jwk("new")]);
    for seconds in 0..59 {
        let soon = now + Duration::from_secs(seconds);
        assert!(jwks.verify_at(&token, &issuer, soon).is_none());
    }
    assert_eq!(service.asked(), 1);
    assert!(jwks.verify_at(&token, &issuer, now + MINUTE).is_some());
    assert!(jwks.verify_at(&old.token("old", json!({})), &issuer, now + MINUTE).is_none());
    assert_eq!(service.asked(), 2);
}

#[test]
fn keys_are_asked_for_again_after_ten_minutes_and_kept_when_the_service_is_away() {
    let pair = Pair::ed();
    let service = Service::start(&[pair.jwk("a")]);
    let (jwks, issuer, now) = (Jwks::new(Reach::Loopback), service.issuer(), Instant::now());
    let token = pair.token("a", json!({}));
    let valid = |minutes| jwks.verify_at(&token, &issuer, now + MINUTE * minutes).is_some();
    assert!(valid(0) && valid(9));
    assert_eq!(service.asked(), 1);
    let long = format!(r#"{{"keys":[],"more":"{}"}}"#, "x".repeat(300_000));
    let failures = [(500, ""), (302, ""), (204, ""), (200, "not JSON"), (200, long.as_str())];
    for (minute, (status, body)) in (10..).zip(failures) {
        service.answers(status, body);
        assert!(valid(minute) && valid(minute), "{status} {body:.20}");
    }
    assert_eq!(service.asked(), 6, "one attempt a minute, no redirect followed");
    service.publishes(&[]);
    assert!(!valid(20), "a key that was withdrawn is gone");
}

#[test]
fn keys_are_kept_when_the_service_cannot_even_be_reached() {
    let pair = Pair::ed();
    let service = Service::start(&[pair.jwk("a")]);
    let (jwks, issuer, now) = (Jwks::new(Reach::Loopback), service.issuer(), Instant::now());
    let token = pair.token("a", json!({}));
    let valid = |minutes| jwks.verify_at(&token, &issuer, now + MINUTE * minutes).is_some();
    assert!(valid(0));
    service.answers(GONE, "");
    assert!(valid(10), "the connection is cut");
    assert!(valid(11) && valid(600), "the connection is refused");
    assert_eq!(service.asked(), 2);
}

#[test]
fn the_first_callers_wait_for_one_fetch_together() {
    let pair = Pair::ed();
    let service = Service::start(&[pair.jwk("a")]);
    let (jwks, issuer, token) =
        (Jwks::new(Reach::Loopback), service.issuer(), pair.token("a", json!({})));
    std::thread::scope(|scope| {
        let callers = [(); 8].map(|()| scope.spawn(|| jwks.verify(&token, &issuer)));
        for caller in callers {
            assert!(caller.join().expect("no panic").is_some());
        }
    });
    assert_eq!(service.asked(), 1);
}

#[test]
fn nobody_is_let_in_while_no_keys_are_there() {
    let service = Service::start(&[]);
    service.answers(503, "");
    let (jwks, issuer, now) = (Jwks::new(Reach::Loopback), service.issuer(), Instant::now());
    let pair = Pair::ed();
    let token = pair.token("a", json!({}));
    assert!(jwks.verify_at(&token, &issuer, now).is_none());
    service.publishes(&[pair.jwk("a")]);
    assert!(jwks.verify_at(&token, &issuer, now + MINUTE).is_some());
}

#[test]
fn scopes_come_from_the_claims_that_the_issuer_was_set_up_with() {
    let issuer = Service::start(&[]).issuer();
    let scopes = |claims: Value| issuer.scopes(claims.as_object().expect("an object")).to_string();
    assert_eq!(scopes(json!({})), "channels:read");
    assert_eq!(scopes(json!({ "scope": "openid customers:read" })), "customers:read");
    assert_eq!(scopes(json!({ "scope": ["users:read", 7] })), "users:read");
    assert_eq!(scopes(json!({ "roles": ["owner"] })), "*");
    assert_eq!(scopes(json!({ "roles": "guest", "scope": "*" })), "", "no wildcard from outside");
    assert_eq!(scopes(json!({ "scope": null })), "");
    let fixed = Issuer { scopes_claim: None, roles_claim: None, ..issuer };
    let claims = json!({ "scope": "customers:read" });
    assert_eq!(fixed.scopes(claims.as_object().expect("an object")), fixed.default_scopes);
}

#[test]
fn keys_come_by_https_or_in_development_from_this_machine() {
    assert!(JwksUrl::parse("https://login.example.com/keys", false).is_ok());
    for here in ["http://127.0.0.1:9/keys", "http://localhost/keys", "http://[::1]/keys"] {
        assert!(JwksUrl::parse(here, true).is_ok(), "{here}");
        assert!(JwksUrl::parse(here, false).is_err(), "{here}");
    }
    let odd =
        ["", "keys", "http://login.example.com/keys", "http://10.0.0.1/", "file:///etc/passwd"];
    for text in odd.into_iter().chain([
        "ftp://localhost/",
        "https://me@login.example.com/",
        "https://:me@localhost/",
    ]) {
        assert!(JwksUrl::parse(text, true).is_err(), "{text}");
    }
}

#[test]
fn the_issuer_of_a_token_can_be_read_without_trusting_it() {
    let pair = Pair::ed();
    let hint = peek_issuer(&pair.token("a", json!({ "wid": Uuid::nil() }))).expect("a hint");
    assert_eq!(hint.issuer, "https://login.example.com");
    assert_eq!(hint.workspace_id, Some(Uuid::nil()));
    assert_eq!(peek_issuer(&pair.token("a", json!({}))).expect("a hint").workspace_id, None);
    assert_eq!(peek_issuer(&pair.token("a", json!({ "iss": null }))), None);
    assert_eq!(peek_issuer("a.b.c"), None);
    assert_eq!(peek_issuer("ecrm_sk_0000"), None);
}

#[test]
fn algorithms_are_read_by_their_registered_names_and_never_a_shared_secret() {
    let read = |text: &str| serde_json::from_value::<SigningAlgorithm>(json!(text)).ok();
    assert_eq!(read("EdDSA"), Some(SigningAlgorithm::EdDsa));
    assert_eq!(read("RS256"), Some(SigningAlgorithm::RS256));
    assert!(["HS256", "HS384", "HS512", "none", "rs256"].iter().all(|name| read(name).is_none()));
}
