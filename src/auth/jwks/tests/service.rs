//! A login service that lives for one test, and the keys it signs with.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::get_current_timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::jwks::{Issuer, JwksUrl, SigningAlgorithm};
use crate::auth::scope::{Scope, Scopes};

/// The answer of a service that hangs up and is never seen again.
pub const GONE: u16 = 0;

/// A login service: an address that answers with what the test put there.
pub struct Service {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Service {
    pub fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let service = Self {
            url: format!("http://{}/keys", listener.local_addr().expect("an address")),
            answer: Arc::new(Mutex::new((200, json!({ "keys": keys }).to_string()))),
            asked: Arc::default(),
        };
        let (answer, asked) = (service.answer.clone(), service.asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                asked.fetch_add(1, Ordering::SeqCst);
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                std::thread::sleep(Duration::from_millis(10));
                let (status, body) = answer.lock().expect("answer").clone();
                if status == GONE {
                    return;
                }
                let head = format!("HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\n");
                let size = format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len());
                // The client hangs up on an answer that is too long.
                drop((&stream).write_all((head + &size + &body).as_bytes()));
            }
        });
        service
    }

    pub fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().expect("answer") = (status, body.into());
    }

    pub fn publishes(&self, keys: &[Value]) {
        self.answers(200, &json!({ "keys": keys }).to_string());
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn issuer(&self) -> Issuer {
        Issuer {
            issuer: "https://login.example.com".into(),
            audience: "crm".into(),
            jwks_url: JwksUrl::parse(&self.url, true).expect("loopback"),
            algorithms: vec![
                SigningAlgorithm::RS256,
                SigningAlgorithm::ES256,
                SigningAlgorithm::EdDsa,
            ],
            workspace_id: Uuid::nil(),
            scopes_claim: Some("scope".into()),
            roles_claim: Some("roles".into()),
            default_scopes: Scopes::of([Scope::ChannelsRead]),
        }
    }
}

pub enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Pair {
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("RSA"))
    }

    pub fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("P-256"))
    }

    pub fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().expect("Ed25519"))
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let n = base64(n.big_endian_without_leading_zero());
                let e = base64(e.big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n, "e": e })
            }
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (base64(x), base64(y));
                json!({ "kty": "EC", "kid": kid, "crv": "P-256", "x": x, "y": y })
            }
            Self::Ed(pair) => {
                let x = base64(pair.public_key().as_ref());
                json!({ "kty": "OKP", "kid": kid, "crv": "Ed25519", "x": x })
            }
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).expect("signed").as_ref().into(),
            Self::Ed(pair) => pair.sign(message).as_ref().into(),
        }
    }

    pub fn token(&self, kid: &str, changes: Value) -> String {
        let header = json!({ "alg": self.algorithm(), "kid": kid });
        token(&header, changes, |message| self.sign(message))
    }
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with some claims replaced; null takes a claim away.
pub fn token(header: &Value, changes: Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let now = get_current_timestamp();
    let mut claims = json!({
        "iss": "https://login.example.com", "aud": "crm", "sub": "ada",
        "iat": now, "exp": now + 600,
    });
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    let claims = claims.as_object_mut().expect("an object");
    claims.retain(|_, value| !value.is_null());
    let message = [header.to_string(), json!(claims).to_string()].map(base64).join(".");
    let signature = base64(sign(message.as_bytes()));
    format!("{message}.{signature}")
}
