//! What all operations have in common and the document describes once: how they fail, which
//! headers they understand and send, and how a caller identifies itself.

use serde_json::{Map, Value, json};

use super::map_at;
use crate::error::{Code, FieldError, Rejection};

/// An error answer: its name in the document, its code, when it comes, and an example's detail.
struct Failure(&'static str, Code, &'static str, &'static str);

const FAILURES: [Failure; 15] = [
    Failure(
        "BadRequest",
        Code::UNKNOWN_PARAMETER,
        "The request cannot be read: malformed JSON, an unknown or invalid query parameter, or a \
         cursor of another list.",
        "there is no query parameter `emial`",
    ),
    Failure(
        "Unauthorized",
        Code::UNAUTHORIZED,
        "The credential is missing, expired, revoked or wrong.",
        "send a valid API key or token as `Authorization: Bearer …`",
    ),
    Failure(
        "Forbidden",
        Code::INSUFFICIENT_SCOPE,
        "The credential lacks a scope this operation needs; the detail names it.",
        "this operation needs the scope `customers:write`",
    ),
    Failure(
        "NotFound",
        Code::NOT_FOUND,
        "There is no such resource in this workspace.",
        "there is no such resource in this workspace",
    ),
    Failure(
        "MethodNotAllowed",
        Code::METHOD_NOT_ALLOWED,
        "The path exists but does not know this method; `Allow` lists those it does.",
        "`/v1/customers` knows GET, HEAD, POST, OPTIONS",
    ),
    Failure(
        "RequestTimeout",
        Code::REQUEST_TIMEOUT,
        "The body did not arrive in time.",
        "the body did not arrive in time",
    ),
    Failure(
        "Conflict",
        Code::ALREADY_EXISTS,
        "The request contradicts the present state: a duplicate (`existing_id` names the other), a \
         move that is not allowed (`allowed` lists those that are), or a request with the same \
         `Idempotency-Key` that is still running.",
        "another resource already has this key",
    ),
    Failure(
        "Gone",
        Code::CURSOR_EXPIRED,
        "What follows the cursor is no longer remembered.",
        "what followed is no longer remembered; begin again with `from=snapshot`",
    ),
    Failure(
        "PreconditionFailed",
        Code::VERSION_MISMATCH,
        "`If-Match` names another version than the present one, or `If-None-Match: *` was given \
         and the resource exists.",
        "the resource is at version 4 by now; read it again and repeat the change",
    ),
    Failure(
        "PayloadTooLarge",
        Code::PAYLOAD_TOO_LARGE,
        "The body is larger than this operation accepts.",
        "a body may have up to 1 MiB",
    ),
    Failure(
        "UnsupportedMediaType",
        Code::UNSUPPORTED_MEDIA_TYPE,
        "The body has a `Content-Type` or `Content-Encoding` that this operation does not read.",
        "send the body as `application/json`",
    ),
    Failure(
        "ValidationFailed",
        Code::VALIDATION_FAILED,
        "The request can be read but is not valid; `errors` names every field at fault. Also: an \
         `Idempotency-Key` that was used for another request.",
        "`email` is not an email address",
    ),
    Failure(
        "TooManyRequests",
        Code::TOO_MANY_REQUESTS,
        "The rate limit is used up; wait as long as `Retry-After` says.",
        "the rate limit is used up; try again in 1 second",
    ),
    Failure(
        "InternalError",
        Code::INTERNAL,
        "Something broke on our side; quote the `request_id` when you report it.",
        "the request could not be completed; quote the `request_id` when you report it",
    ),
    Failure(
        "Unavailable",
        Code::UNAVAILABLE,
        "The service cannot answer right now and nothing was changed; wait as long as \
         `Retry-After` says.",
        "the request was not completed; try again shortly",
    ),
];

/// Headers of answers: name, type, meaning, example.
const HEADERS: [(&str, &str, &str, &str); 10] = [
    ("Allow", "string", "The methods this path knows (RFC 9110).", "GET, HEAD, POST, OPTIONS"),
    ("ETag", "string", "The version of the resource, for `If-Match` and `If-None-Match`.", "\"3\""),
    (
        "Idempotent-Replayed",
        "boolean",
        "Present where this is the stored answer to an earlier request with the same \
         `Idempotency-Key`.",
        "true",
    ),
    (
        "Link",
        "string",
        "Where the next page is, if there is one (RFC 8288).",
        "</v1/customers?cursor=eyJ2IjoxfQ>; rel=\"next\"",
    ),
    (
        "Location",
        "string",
        "Path of what was created, started or moved.",
        "/v1/customers/0192f0c1-2a3b-7c4d-8e5f-60718293a4b5",
    ),
    (
        "RateLimit",
        "string",
        "What is left of the rate limit (`r`) and the seconds until it is full again (`t`).",
        "\"default\";r=599;t=42",
    ),
    (
        "RateLimit-Policy",
        "string",
        "The rate limit: requests (`q`) in a window of seconds (`w`).",
        "\"default\";q=600;w=60",
    ),
    ("Retry-After", "integer", "Seconds to wait before trying again.", "1"),
    ("WWW-Authenticate", "string", "How to identify oneself (RFC 6750).", "Bearer"),
    (
        "X-Request-Id",
        "string",
        "The id of this request in our log: the caller's own where it sent one.",
        "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5",
    ),
];

/// Headers of requests: name, meaning.
const PARAMETERS: [(&str, &str); 3] = [
    (
        "Idempotency-Key",
        "Up to 255 characters of the caller's choice. The same request with the same key within 24 \
         hours has its effect once and gets the stored answer.",
    ),
    (
        "If-Match",
        "The `ETag` of the version that the change is based on; refused with 412 where the \
         resource has changed since.",
    ),
    (
        "If-None-Match",
        "The `ETag` the caller already has: answered 304 without a body where it is still the \
         present one.",
    ),
];

/// On a write `If-None-Match` has another meaning, and one value.
fn create_only() -> Value {
    json!({
        "name": "If-None-Match",
        "in": "header",
        "required": false,
        "description": "`*`: create only, refused with 412 where the resource exists.",
        "schema": { "type": "string", "enum": ["*"] },
    })
}

/// The one shared query parameter: every change can be tried first.
fn dry_run() -> Value {
    json!({
        "name": "dry_run",
        "in": "query",
        "required": false,
        "description": "Check the request in full and show its effect, without having it.",
        "schema": { "type": "boolean", "default": false },
    })
}

/// Adds the shared answers, headers, parameters and the one security scheme to the document.
pub fn add(document: &mut Value) {
    let components = &mut document["components"];
    map_at(components, "securitySchemes").insert("bearer".into(), bearer());
    let responses = map_at(components, "responses");
    responses.extend(FAILURES.iter().map(|failure| (failure.0.into(), response(failure))));
    responses.insert("NotModified".into(), not_modified());
    map_at(components, "headers")
        .extend(HEADERS.iter().map(|header| (header.0.into(), sent(header))));
    map_at(components, "parameters")
        .extend(PARAMETERS.iter().map(|(name, text)| ((*name).into(), accepted(name, text))));
    map_at(components, "parameters").insert("dry_run".into(), dry_run());
    map_at(components, "parameters").insert("create_only".into(), create_only());
}

/// The name of the shared answer for a status.
pub fn response_for(status: u16) -> Option<&'static str> {
    if status == 304 {
        return Some("NotModified");
    }
    FAILURES.iter().find(|failure| failure.1.status == status).map(|failure| failure.0)
}

fn bearer() -> Value {
    json!({
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`ecrm_sk_…`) or a token from `POST /v1/auth/token`. The scopes \
                        that an operation needs are listed in its `x-required-scopes`.",
    })
}

fn response(failure: &Failure) -> Value {
    let Failure(_, code, description, _) = failure;
    json!({
        "description": description,
        "headers": header_references(extra_headers(code.status)),
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "example": example(failure),
        } },
    })
}

fn not_modified() -> Value {
    json!({
        "description": "The caller already has the present version.",
        "headers": header_references(&["ETag"]),
    })
}

/// The headers that come with an error beside the request's id.
fn extra_headers(status: u16) -> &'static [&'static str] {
    match status {
        401 | 403 => &["WWW-Authenticate"],
        405 => &["Allow"],
        429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        503 => &["Retry-After"],
        _ => &[],
    }
}

fn header_references(names: &[&str]) -> Map<String, Value> {
    let all = names.iter().chain(&["X-Request-Id"]);
    let reference = |name: &&str| json!({ "$ref": format!("#/components/headers/{name}") });
    all.map(|name| ((*name).into(), reference(name))).collect()
}

/// The problem as the service itself would write it.
fn example(Failure(_, code, _, detail): &Failure) -> Value {
    let mut rejection = Rejection::new(*code, *detail);
    match code.status {
        400 => rejection.errors = vec![FieldError::in_parameter("emial", code.name, *detail)],
        409 => rejection.existing_id = Some(super::examples::ID),
        422 => rejection.errors = vec![FieldError::at("#/email", "invalid_email", *detail)],
        _ => {}
    }
    let problem = rejection.problem(Some("/v1/customers"), Some(&super::examples::ID.to_string()));
    serde_json::to_value(problem).expect("BUG: a problem is JSON")
}

fn sent((_, kind, description, example): &(&str, &str, &str, &str)) -> Value {
    let example = match *kind {
        "string" => json!(example),
        _ => serde_json::from_str(example).expect("BUG: examples of other types are JSON"),
    };
    let mut schema = json!({ "type": kind });
    if *kind == "integer" {
        schema["format"] = json!("int32");
    }
    json!({ "description": description, "schema": schema, "example": example })
}

fn accepted(name: &str, description: &str) -> Value {
    // An `ETag` that is none of ours is no fault on reading: it just does not match.
    let schema = match name {
        "If-None-Match" => json!({ "type": "string" }),
        // Not blank, and not a pair of quotes around nothing.
        "Idempotency-Key" => json!({
            "type": "string", "minLength": 1, "maxLength": 255,
            "pattern": "^[ -~]*[!#-~][ -~]*$",
        }),
        _ => json!({ "type": "string", "maxLength": 255 }),
    };
    json!({
        "name": name,
        "in": "header",
        "required": false,
        "description": description,
        "schema": schema,
    })
}
