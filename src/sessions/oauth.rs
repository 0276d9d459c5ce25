//! OAuth's own way of asking and refusing, so that its libraries work with us as they are.
//!
//! Requests are forms (RFC 6749, 4), refusals have two fields (5.2) and are no problem+json. JSON
//! bodies with the same fields are understood too.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use validator::Validate;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::client_ip::client_ip;
use crate::http::cors::allow_listed_origin;
use crate::http::rate_limit::Bucket;
use crate::http::{Reply, body, json};
use crate::seal::Secret;

/// Bytes that a request for a token has at most.
const LIMIT: usize = 16 * 1024;

/// Why there is no token (RFC 6749, 5.2).
#[derive(Debug, Serialize, ToSchema)]
pub struct OAuthError {
    /// `invalid_request`, `invalid_client`, `invalid_grant`, `unsupported_grant_type` or
    /// `invalid_scope`.
    #[schema(example = "invalid_grant")]
    pub error: String,
    /// The same for people.
    #[schema(example = "user name, password or workspace is wrong")]
    pub error_description: String,
}

/// Why a request was not answered: in OAuth's words, or for reasons that any request can have.
pub enum Refusal {
    OAuth { error: &'static str, description: String },
    Other(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Refusal {
    pub fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self::OAuth { error, description: description.into() }
    }
}

/// What a request for a token finds out before it fails.
pub type Answer<T> = Result<T, Refusal>;

/// An answer that nobody may keep (RFC 6749, 5.1).
pub fn reply(done: Answer<Reply>) -> Result<Reply> {
    let reply = match done {
        Ok(reply) => reply,
        Err(Refusal::Other(error)) => return Err(error),
        Err(Refusal::OAuth { error, description }) => refusal(error, description)?,
    };
    Ok(reply.with("Cache-Control", "no-store".into()).with("Pragma", "no-cache".into()))
}

fn refusal(error: &str, description: String) -> Result<Reply> {
    let body = OAuthError { error: error.into(), error_description: description };
    if error == "invalid_client" {
        let challenge = "Basic realm=\"ecrm\", charset=\"UTF-8\"".into();
        let reply = Reply::json(StatusCode::UNAUTHORIZED, &body)?;
        return Ok(reply.with("WWW-Authenticate", challenge));
    }
    Reply::json(StatusCode::BAD_REQUEST, &body)
}

/// Charges the caller's address, then reads a form or the same as JSON. What we do not know is
/// ignored, as RFC 6749, 3.2 demands.
pub async fn form<T: DeserializeOwned + Validate>(
    req: &HttpRequest,
    payload: web::Payload,
) -> Answer<T> {
    let app = App::of(req);
    let ip = client_ip(req, app.config.trusted_proxies);
    app.limits.charge(req, Bucket::AuthIp(ip), 1)?;
    allow_listed_origin(req);
    body::check_content_type(req, &[FORM])?;
    let deadline = app.config.body_timeout;
    let bytes = body::read(&mut payload.into_inner(), req, LIMIT, deadline).await?;
    if req.content_type() != FORM {
        return json::parse(&bytes).map_err(unreadable);
    }
    let form: T =
        serde_html_form::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
    form.validate().map_err(|errors| unreadable(Error::invalid(json::field_errors(&errors))))?;
    Ok(form)
}

const FORM: &str = "application/x-www-form-urlencoded";

fn unreadable(error: Error) -> Refusal {
    invalid(error.rejection().detail.clone())
}

fn invalid(description: String) -> Refusal {
    Refusal::new("invalid_request", description)
}

/// The client's secret from the `Authorization` header (RFC 6749, 2.3.1; RFC 7617). The name before
/// it says nothing that the secret does not.
pub fn basic_secret(req: &HttpRequest) -> Option<Secret> {
    let value = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, secret)| Secret::from(secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn secret(authorization: &str) -> Option<String> {
        let req = TestRequest::default().insert_header((header::AUTHORIZATION, authorization));
        basic_secret(&req.to_http_request()).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn the_secret_is_what_follows_the_first_colon() {
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(secret(&basic("shop:ecrm_sk_x")).as_deref(), Some("ecrm_sk_x"));
        assert_eq!(secret(&basic(":ecrm_sk_x")).as_deref(), Some("ecrm_sk_x"));
        assert_eq!(secret(&basic("a:b:c").replace("Basic", "basic")).as_deref(), Some("b:c"));
        for bad in ["Basic", "Basic !", "Bearer x", &basic("no colon")] {
            assert_eq!(secret(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_refused_client_is_told_how_to_identify_itself() {
        let reply = reply(Err(Refusal::new("invalid_client", "no"))).expect("an answer");
        assert_eq!(reply.status, 401);
        assert!(reply.headers.iter().any(|(name, _)| name == "WWW-Authenticate"));
        assert_eq!(reply.body, br#"{"error":"invalid_client","error_description":"no"}"#);
    }
}
