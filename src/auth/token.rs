//! The short-lived signed tokens that we hand out after a login.
//!
//! JWTs (RFC 7519) signed with HMAC-SHA-256. Two secrets can be live at once: the current one
//! signs, both verify, so a secret is changed without signing anybody out.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use jsonwebtoken::{decode, decode_header, encode, get_current_timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::scope::Scopes;
use crate::crypto::key_id;
use crate::error::{Error, Result};

/// The `aud` of all our tokens.
pub const AUDIENCE: &str = "ecrm";
/// Bytes that a signing secret has at least (RFC 7518, 3.2: as many as the hash).
pub const MIN_SECRET_BYTES: usize = 32;
/// Seconds that a token lives at most.
pub const MAX_LIFETIME_S: i64 = 24 * 60 * 60;
/// Seconds by which clocks may differ.
const LEEWAY_S: u64 = 5;

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Somebody who works here; `sub` is the user's id.
    User,
    /// A program; `sub` is the id of the API key that was exchanged for the token.
    Key,
    /// A customer, in self-service; `sub` is the customer's id.
    Customer,
}

/// What a token says, beside `iss` and `aud`, which are always ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who, of the kind that `typ` says.
    pub sub: Uuid,
    /// The token itself, for the audit log.
    pub jti: Uuid,
    /// When it was issued, in Unix seconds.
    pub iat: i64,
    /// When it ends, in Unix seconds, at most [`MAX_LIFETIME_S`] after `iat`.
    pub exp: i64,
    /// When it begins, in Unix seconds, if not at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The home workspace.
    pub wid: Uuid,
    /// Whether it sees live data or test data.
    pub livemode: bool,
    /// Who it speaks for.
    pub typ: Subject,
    /// What it may do at most.
    pub scope: Scopes,
    /// The session (family of refresh tokens) it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// The user's token version; raising it in the database ends all older tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ver: Option<i64>,
}

/// Issues our tokens and verifies them.
pub struct Tokens {
    current: Secret,
    previous: Option<Secret>,
    issuer: String,
    validation: Validation,
}

struct Secret {
    kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// The claims as they travel. `iss` and `aud` are single strings: a list of several is refused.
#[derive(Serialize, Deserialize)]
struct Signed {
    iss: String,
    aud: String,
    #[serde(flatten)]
    claims: Claims,
}

impl Tokens {
    /// Fails where a secret is shorter than [`MIN_SECRET_BYTES`]. `issuer` becomes the `iss`: the
    /// public URL, or `ecrm`.
    pub fn new(current: &[u8], previous: Option<&[u8]>, issuer: &str) -> Result<Self> {
        Ok(Self {
            current: Secret::new(current)?,
            previous: previous.map(Secret::new).transpose()?,
            issuer: issuer.into(),
            validation: validation(issuer),
        })
    }

    /// Signs a token with the current secret. Claims that [`Tokens::verify`] would refuse are our
    /// fault and an internal error.
    pub fn issue(&self, claims: &Claims) -> Result<String> {
        if !claims.is_sound() {
            return Err(Error::internal("a token was to be issued with times that are not valid"));
        }
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.current.kid.clone());
        let signed =
            Signed { iss: self.issuer.clone(), aud: AUDIENCE.into(), claims: claims.clone() };
        encode(&header, &signed, &self.current.signing)
            .map_err(|error| Error::internal(format!("signing a token: {error}")))
    }

    /// The claims of a token that we issued and that is valid now; nothing says why it is not.
    pub fn verify(&self, token: &str) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        // An extension that must be understood is one we do not know (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return None;
        }
        let secret = self.secret(&header.kid?)?;
        let signed = decode::<Signed>(token, &secret.verifying, &self.validation).ok()?.claims;
        Some(signed.claims).filter(Claims::is_sound)
    }

    fn secret(&self, kid: &str) -> Option<&Secret> {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|secret| secret.kid == kid)
    }
}

impl Secret {
    fn new(secret: &[u8]) -> Result<Self> {
        if secret.len() < MIN_SECRET_BYTES {
            let length = secret.len();
            return Err(Error::internal(format!(
                "a token secret needs at least {MIN_SECRET_BYTES} bytes, this one has {length}"
            )));
        }
        Ok(Self {
            kid: key_id(secret),
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
        })
    }
}

impl Claims {
    /// What the library does not look at: issued in the past, ends later, lives no longer than
    /// a day.
    fn is_sound(&self) -> bool {
        let latest = i64::try_from(get_current_timestamp() + LEEWAY_S).unwrap_or(i64::MAX);
        let lifetime = self.exp.saturating_sub(self.iat);
        (0..=latest).contains(&self.iat) && (1..=MAX_LIFETIME_S).contains(&lifetime)
    }
}

/// The library's defaults are too kind: a minute of leeway, `nbf` ignored, `aud` optional.
fn validation(issuer: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation
}

#[cfg(test)]
mod tests;
