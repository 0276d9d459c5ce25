//! Lets people sign in with the company's own login service (Okta, Entra ID, Keycloak and others).
//!
//! A workspace names the outside issuers it trusts; their public keys are fetched from the URL
//! they publish them at (JWKS, RFC 7517) and kept. Everything here may wait for the network: call
//! it from a blocking thread and never inside a transaction.

mod fetch;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Instant;
use url::{Host, Url};
use utoipa::ToSchema;
use uuid::Uuid;

use super::scope::{Role, Scope, Scopes};
use crate::error::{Error, Result};

pub use fetch::Jwks;

/// Seconds by which our clock and the issuer's may differ.
const LEEWAY_S: u64 = 5;

/// How an outside issuer signs. There are no shared-secret algorithms: a public key must never
/// be taken for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum SigningAlgorithm {
    /// RSA PKCS#1 v1.5 with SHA-256: what most login services use.
    RS256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    RS384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RS512,
    /// RSA-PSS with SHA-256.
    PS256,
    /// RSA-PSS with SHA-384.
    PS384,
    /// RSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    fn jwt(self) -> Algorithm {
        match self {
            Self::RS256 => Algorithm::RS256,
            Self::RS384 => Algorithm::RS384,
            Self::RS512 => Algorithm::RS512,
            Self::PS256 => Algorithm::PS256,
            Self::PS384 => Algorithm::PS384,
            Self::PS512 => Algorithm::PS512,
            Self::ES256 => Algorithm::ES256,
            Self::ES384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// An outside issuer that a workspace trusts.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// The `aud` its tokens must have: who they are meant for.
    pub audience: String,
    /// Where it publishes its keys.
    pub jwks_url: JwksUrl,
    /// How it signs; any other algorithm is refused.
    pub algorithms: Vec<SigningAlgorithm>,
    /// The workspace that its tokens open.
    pub workspace_id: Uuid,
    /// The claim that lists scopes (`scope`, `permissions`), as a list or space-separated.
    pub scopes_claim: Option<String>,
    /// The claim that lists our roles (`roles`), as a list or space-separated.
    pub roles_claim: Option<String>,
    /// What a token may do that has neither of these claims.
    pub default_scopes: Scopes,
}

/// An address that keys may be fetched from: `https`, or `http` on this machine in development.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JwksUrl(Url);

impl JwksUrl {
    /// Reads an address; `loopback` also allows `http` to this machine, for development.
    pub fn parse(text: &str, loopback: bool) -> Result<Self> {
        let url = Url::parse(text).ok().filter(|url| !url.authority().contains('@'));
        url.filter(|url| url.scheme() == "https" || (loopback && is_loopback(url)))
            .map(Self)
            .ok_or_else(|| {
                Error::field("#/jwks_url", "invalid_url", "`jwks_url` must be an https address")
            })
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

/// Somebody whom a trusted outside issuer vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// Who vouches.
    pub issuer: String,
    /// The name the issuer has for them: the `sub`.
    pub subject: String,
    /// The workspace that they may enter.
    pub workspace_id: Uuid,
    /// What they may do there.
    pub scopes: Scopes,
    /// When this ends, in Unix seconds.
    pub expires_at: i64,
}

/// What a token claims about its origin, unproven.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hint {
    /// The `iss`.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The workspace, where the issuer was told to put it into its tokens.
    #[serde(rename = "wid", default)]
    pub workspace_id: Option<Uuid>,
}

/// Reads whose token this might be, in order to find the [`Issuer`] to verify it with. Proves
/// nothing.
pub fn peek_issuer(token: &str) -> Option<Hint> {
    insecure_decode_claims(token).ok()
}

impl Jwks {
    /// Who the token speaks for, if this issuer signed it and it is valid now. Nothing says why
    /// it is not; that keys could not be fetched is in the log.
    pub fn verify(&self, token: &str, issuer: &Issuer) -> Option<Outsider> {
        self.verify_at(token, issuer, Instant::now())
    }

    fn verify_at(&self, token: &str, issuer: &Issuer, now: Instant) -> Option<Outsider> {
        let header = decode_header(token).ok()?;
        let Header { alg, kid: Some(kid), crit: None, .. } = header else { return None };
        // The algorithm must be pinned before a key is so much as looked for.
        if !issuer.algorithms.iter().any(|pinned| pinned.jwt() == alg) {
            return None;
        }
        let key = self.key(&issuer.jwks_url, &kid, alg, now)?;
        let claims: Map<String, Value> = decode(token, &key, &validation(issuer, alg)).ok()?.claims;
        issuer.outsider(&claims)
    }
}

impl Issuer {
    fn outsider(&self, claims: &Map<String, Value>) -> Option<Outsider> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let elsewhere = claims.get("wid").is_some_and(|wid| uuid(wid) != Some(self.workspace_id));
        // The library also takes a list of issuers; no token has two.
        if text("iss") != Some(&self.issuer) || elsewhere {
            return None;
        }
        let expires_at = claims.get("exp")?;
        Some(Outsider {
            issuer: self.issuer.clone(),
            subject: text("sub").filter(|sub| !sub.is_empty())?.into(),
            workspace_id: self.workspace_id,
            scopes: self.scopes(claims),
            expires_at: expires_at.as_i64().or_else(|| expires_at.as_f64().map(|s| s as i64))?,
        })
    }

    /// Scopes and roles that we know; others, such as `openid`, are for somebody else.
    fn scopes(&self, claims: &Map<String, Value>) -> Scopes {
        let listed = |name: &Option<String>| claims.get(name.as_ref()?).map(words);
        let (scopes, roles) = (listed(&self.scopes_claim), listed(&self.roles_claim));
        if scopes.is_none() && roles.is_none() {
            return self.default_scopes;
        }
        let scopes = scopes.into_iter().flatten().filter_map(Scope::parse);
        let roles = roles.into_iter().flatten().filter_map(|role| role.parse::<Role>().ok());
        roles.map(Role::scopes).fold(Scopes::of(scopes), Scopes::union)
    }
}

fn uuid(claim: &Value) -> Option<Uuid> {
    claim.as_str()?.parse().ok()
}

fn words(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => text.split_ascii_whitespace().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

fn validation(issuer: &Issuer, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_audience(&[&issuer.audience]);
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation
}

#[cfg(test)]
mod tests;
