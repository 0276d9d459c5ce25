//! The edge of the API: what is refused before a handler runs, and how every error leaves.

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody, None as NoBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};

use super::reply::PROBLEM_JSON;
use super::{cors, request_id};
use crate::error::{Code, Error, FieldError, Rejection, Result};
use crate::openapi::EVENT_STREAM;

/// Seconds after which a stream of events that could not be begun is asked for again.
const STREAM_RETRY_S: u64 = 5;

impl ResponseError for Error {
    fn status_code(&self) -> actix_web::http::StatusCode {
        self.rejection().status_code()
    }

    /// Without the request at hand; [`errors`] adds its path and id.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        problem_response(&self.rejection(), None, None)
    }
}

fn problem_response(
    rejection: &Rejection,
    path: Option<&str>,
    request_id: Option<&str>,
) -> HttpResponse<BoxBody> {
    let mut response = HttpResponse::build(rejection.status_code());
    response.content_type(PROBLEM_JSON);
    if rejection.status == 401 {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    if let Some(scope) = &rejection.scope {
        let value = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        response.insert_header((header::WWW_AUTHENTICATE, value));
    }
    if let Some(seconds) = rejection.retry_after_s {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    if let Some(methods) = &rejection.allow {
        response.insert_header((header::ALLOW, methods.clone()));
    }
    let problem = rejection.problem(path, request_id);
    response.body(serde_json::to_vec(&problem).unwrap_or_default())
}

/// Middleware: gives every error its path and request id, and logs our own once.
pub async fn errors(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let path = req.path().to_owned();
    let response = next.call(req).await?.map_into_boxed_body();
    let (req, mut response) = response.into_parts();
    let id = request_id::of(&req);
    if let Some(error) = response.error() {
        let rejection = shown(error, &id);
        response = match matches!(rejection.status, 429 | 503) && is_event_source(&req) {
            true => come_again(&req, rejection.retry_after_s),
            false => problem_response(&rejection, Some(&path), Some(&id)),
        };
    }
    Ok(ServiceResponse::new(req, response))
}

/// Whether the caller reads a stream of events as `EventSource` does.
fn is_event_source(req: &HttpRequest) -> bool {
    let accepted = req.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|types| types.contains(EVENT_STREAM))
        && req.method() == Method::GET
        && crate::api::spec().routes.is_stream(req.path())
}

/// Any status but 200 would end an `EventSource` for good; this one waits, and asks again.
fn come_again(req: &HttpRequest, after_s: Option<u64>) -> HttpResponse<BoxBody> {
    if !req.extensions().contains::<cors::AllowedOrigins>() {
        cors::allow_listed_origin(req);
    }
    let wait_s = after_s.unwrap_or_default().max(STREAM_RETRY_S);
    HttpResponse::Ok()
        .content_type(format!("{EVENT_STREAM}; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(format!("retry: {}\n\n", wait_s * 1000))
}

fn shown(error: &actix_web::Error, request_id: &str) -> Rejection {
    let Some(ours) = error.as_error::<Error>() else { return foreign(error, request_id) };
    if let Some(text) = ours.log_text() {
        let status = ours.status();
        log::error!(request_id, status; "{}", text.replace(['\n', '\r'], " "));
    }
    ours.rejection().into_owned()
}

/// An error of actix itself, in our words.
fn foreign(error: &actix_web::Error, request_id: &str) -> Rejection {
    let status = error.as_response_error().status_code().as_u16();
    let code = match status {
        404 => Code::NOT_FOUND,
        405 => Code::METHOD_NOT_ALLOWED,
        408 => Code::REQUEST_TIMEOUT,
        413 => Code::PAYLOAD_TOO_LARGE,
        415 => Code::UNSUPPORTED_MEDIA_TYPE,
        400..=499 => Code::BAD_REQUEST,
        _ => {
            log::error!(request_id, status; "{error}");
            Code::INTERNAL
        }
    };
    Rejection::new(code, code.title)
}

/// Middleware: refuses paths and queries that cannot mean anything and methods that a path does not
/// know, and lets `HEAD` be a `GET` without its body.
pub async fn admission<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let checked =
        check_text(req.path(), "path").and_then(|()| check_text(req.query_string(), "query"));
    if let Err(error) = checked {
        return Ok(req.error_response(error).map_into_right_body());
    }
    match foreign_method(&req) {
        Some(Ok(response)) => return Ok(req.into_response(response).map_into_right_body()),
        Some(Err(error)) => return Ok(req.error_response(error).map_into_right_body()),
        None => {}
    }
    if req.method() != Method::HEAD {
        return Ok(next.call(req).await?.map_into_left_body());
    }
    // The connection remembers that HEAD was asked and sends no body.
    req.head_mut().method = Method::GET;
    let answer = next.call(req).await?;
    Ok(match answer.response().body().size() {
        // It would be read to its end first, and that of a feed is minutes away.
        BodySize::Stream => answer.map_body(|_, _| EitherBody::right(BoxBody::new(NoBody::new()))),
        _ => answer.map_into_left_body(),
    })
}

/// Percent-escapes must be UTF-8 without NUL: Postgres stores neither.
fn check_text(encoded: &str, place: &str) -> Result<()> {
    if !encoded.contains('%') {
        return Ok(());
    }
    let decoded = percent_decode(encoded.as_bytes());
    if decoded.contains(&0) {
        let detail = format!("the {place} must not contain NUL characters");
        return Err(Error::invalid(vec![FieldError::in_parameter(place, "nul_character", detail)]));
    }
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(Code::BAD_REQUEST, format!("the {place} is not UTF-8"))),
    }
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(h, l)| h * 16 + l),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Middleware of `/v1`: refuses query parameters that the operation does not have, and longer texts
/// than it takes, by the OpenAPI document itself. A typo must not return everything. What
/// follows a standard of others is left to it (RFC 6749 ignores what it does not know).
pub async fn known_parameters<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    if !req.query_string().is_empty()
        && let Err(error) = check_parameters(&req)
    {
        return Ok(req.error_response(error).map_into_right_body());
    }
    Ok(next.call(req).await?.map_into_left_body())
}

fn check_parameters(req: &ServiceRequest) -> Result<()> {
    let Some(pattern) = req.match_pattern() else { return Ok(()) };
    let routes = &crate::api::spec().routes;
    let Some(known) = routes.query_parameters(req.method().as_str(), &pattern) else {
        return Ok(());
    };
    for (name, value) in url::form_urlencoded::parse(req.query_string().as_bytes()) {
        let Some(parameter) = known.get(name.as_ref()) else {
            let detail = format!("this operation has no parameter `{}`", name.escape_debug());
            let mut rejection = Rejection::new(Code::UNKNOWN_PARAMETER, detail.clone());
            rejection.errors = vec![FieldError::in_parameter(&name, "unknown_parameter", detail)];
            return Err(Error::Problem(Box::new(rejection)));
        };
        if parameter.needs_value && value.is_empty() {
            return Err(Error::parameter(&name, format!("`{name}` has no value")));
        }
        if let Some(most) = parameter.max_length.filter(|most| value.chars().count() > *most) {
            let detail = format!("`{name}` takes at most {most} characters");
            return Err(Error::parameter(&name, detail));
        }
    }
    Ok(())
}

/// Answers what no route took.
pub async fn unmatched() -> Result<HttpResponse> {
    Err(Error::new(Code::NOT_FOUND, "there is nothing at this path"))
}

/// Answers a method that a path of the document does not know: 204 to `OPTIONS`, else 405 with
/// `Allow`. The router alone would take `/customers/batch` for a customer's path, or answer 404.
fn foreign_method(req: &ServiceRequest) -> Option<Result<HttpResponse>> {
    let methods = crate::api::spec().routes.methods(req.path())?;
    if req.method() == Method::OPTIONS {
        let allow = (header::ALLOW, methods);
        return Some(Ok(HttpResponse::NoContent().insert_header(allow).finish()));
    }
    if methods.split(", ").any(|method| method == req.method().as_str()) {
        return None;
    }
    let detail = format!("this resource takes {methods}");
    let mut rejection = Rejection::new(Code::METHOD_NOT_ALLOWED, detail);
    rejection.allow = Some(methods.to_owned());
    Some(Err(Error::Problem(Box::new(rejection))))
}

/// Whether the caller wants to see the effect without having it (`?dry_run=true`).
pub fn is_dry_run(req: &HttpRequest) -> Result<bool> {
    let mut pairs = url::form_urlencoded::parse(req.query_string().as_bytes());
    match pairs.find(|(name, _)| name == "dry_run").map(|(_, value)| value) {
        None => Ok(false),
        Some(value) => value
            .parse()
            .map_err(|_error| Error::parameter("dry_run", "`dry_run` takes `true` or `false`")),
    }
}
