//! Request bodies: read with a limit and a deadline, parsed strictly, validated before any SQL.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use actix_web::dev::Payload;
use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize as _;
use serde::de::{DeserializeOwned, Error as _};
use tokio::sync::OwnedSemaphorePermit;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::idempotency::BodyDigest;
use super::objects::Strict;
use super::words;
use crate::app::App;
use crate::db::pool::CHECKOUT_TIMEOUT;
use crate::error::{Code, Error, FieldError, Result};
use crate::values::scan::scan;

/// Bodies above this size are parsed on a blocking thread, when it is their turn: no more of them
/// are worked on at once than there are database connections.
const LARGE_BYTES: usize = 64 * 1024;

/// A JSON body that parsed and passed its validator.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: DeserializeOwned + Validate + Send + 'static> FromRequest for Json<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = taken_in(req, payload, |bytes| parse(bytes));
        Box::pin(async move { body.await.map(Json) })
    }
}

/// Takes in a JSON body and has it parsed when it is its turn.
pub fn taken_in<T: Send + 'static>(
    req: &HttpRequest,
    payload: &mut Payload,
    parse: fn(&Bytes) -> Result<T>,
) -> LocalBoxFuture<'static, Result<T>> {
    let (req, mut payload) = (req.clone(), payload.take());
    Box::pin(async move {
        let app = App::of(&req);
        super::body::check_content_type(&req, &["application/merge-patch+json"])?;
        let (limit, deadline) = (app.config.body_limit_bytes, app.config.body_timeout);
        let bytes = super::body::read(&mut payload, &req, limit, deadline).await?;
        BodyDigest::remember(&req, &bytes);
        in_turn(&req, bytes, parse).await
    })
}

/// Parses a body; a large one when it is its turn, which is given back when the request is answered.
pub async fn in_turn<T: Send + 'static>(
    req: &HttpRequest,
    bytes: Bytes,
    parse: fn(&Bytes) -> Result<T>,
) -> Result<T> {
    if bytes.len() <= LARGE_BYTES {
        return parse(&bytes);
    }
    let turn = turn(&App::of(req)).await?;
    req.extensions_mut().insert(turn);
    let parsed = actix_web::web::block(move || parse(&bytes)).await;
    parsed.map_err(|error| Error::internal(error.to_string()))?
}

async fn turn(app: &App) -> Result<OwnedSemaphorePermit> {
    let turn = timeout(CHECKOUT_TIMEOUT, app.large_bodies.clone().acquire_owned()).await;
    let waited_too_long = || Error::unavailable("waited too long for its turn");
    turn.ok().and_then(Result::ok).ok_or_else(waited_too_long)
}

/// Scans, parses and validates one JSON document.
pub fn parse<T: DeserializeOwned + Validate>(bytes: &[u8]) -> Result<T> {
    scan(bytes)?;
    let value: T = parse_unchecked(bytes)?;
    value.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
    Ok(value)
}

/// Reads and validates one part of a document that was scanned before.
pub fn part<T: DeserializeOwned + Validate>(value: serde_json::Value) -> Result<T> {
    let value: T =
        serde_path_to_error::deserialize(Strict(value)).map_err(|error| explain(&error))?;
    value.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
    Ok(value)
}

/// Parses what the caller checks.
pub fn parse_unchecked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut source = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(Strict(&mut source)).map_err(|error| explain(&error))
}

/// The same for a value that was read already; the caller validates.
pub fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| explain(&error))
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let text = error.inner().to_string();
    if !error.inner().is_data() {
        return Error::new(Code::INVALID_JSON, format!("the body is not JSON: {text}"));
    }
    let text = text.split(" at line ").next().unwrap_or_default();
    let parent = pointer(error.path());
    let named = || text.split('`').nth(1).unwrap_or_default().replace('~', "~0").replace('/', "~1");
    if text.starts_with("unknown field") {
        // The path may or may not end in the unknown name itself.
        let name = named();
        let at = parent.strip_suffix(&format!("/{name}")).unwrap_or(&parent);
        return Error::field(format!("{at}/{name}"), "unknown_field", text);
    }
    if text.starts_with("missing field") {
        let name = named();
        return Error::field(
            format!("{parent}/{name}"),
            "required",
            format!("`{name}` is required"),
        );
    }
    let detail = in_words(&parent, text);
    Error::field(parent, "invalid_type", detail)
}

/// What has to be sent at a place of the body.
fn in_words(pointer: &str, said: &str) -> String {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    let wrong = words::plain(name, said);
    match pointer.strip_prefix("#/") {
        _ if !words::is_demand(&wrong) => wrong,
        None => format!("the body {wrong}"),
        Some(place) => format!("`{place}` {wrong}"),
    }
}

/// For `deserialize_with`: a time that is named like a day.
pub fn time<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(source).map_err(|_not_a_time| D::Error::custom(words::TIME))
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::from("#");
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// For lists in patches: null empties them (RFC 7396 removes what is null).
pub fn null_empties<'de, D, T>(source: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    Option::<T>::deserialize(source).map(|value| Some(value.unwrap_or_default()))
}

/// For what a record always has: null cannot take it away.
pub fn never_null<'de, D, T>(source: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    let given = Option::<T>::deserialize(source)?;
    let given = given.ok_or_else(|| D::Error::custom("null cannot clear this field"));
    given.map(Some)
}

/// The validator's findings as field errors; never the values it saw.
pub fn field_errors(errors: &ValidationErrors) -> Vec<FieldError> {
    let mut found = Vec::new();
    collect("#", errors, &mut found);
    found.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    found
}

fn collect(prefix: &str, errors: &ValidationErrors, found: &mut Vec<FieldError>) {
    for (field, kind) in errors.errors() {
        let field = field.trim_start_matches("r#");
        let at = if field == "__all__" { prefix.into() } else { format!("{prefix}/{field}") };
        match kind {
            ValidationErrorsKind::Field(list) => {
                found.extend(list.iter().map(|error| field_error(&at, field, error)));
            }
            ValidationErrorsKind::Struct(inner) => collect(&at, inner, found),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    collect(&format!("{at}/{index}"), inner, found);
                }
            }
        }
    }
}

fn field_error(at: &str, field: &str, error: &ValidationError) -> FieldError {
    let param = |name: &str| error.params.get(name).map(ToString::to_string);
    let limits = match (param("min"), param("max"), param("equal")) {
        (_, _, Some(equal)) => format!("exactly {equal}"),
        (Some(min), Some(max), _) => format!("from {min} to {max}"),
        (Some(min), None, _) => format!("at least {min}"),
        (None, Some(max), _) => format!("at most {max}"),
        (None, None, _) => String::new(),
    };
    let (code, default): (Cow<'static, str>, String) = match error.code.as_ref() {
        "length" => ("invalid_length".into(), format!("the length of `{field}` must be {limits}")),
        "range" => ("out_of_range".into(), format!("`{field}` must be {limits}")),
        "email" => ("invalid_email".into(), format!("`{field}` is not an email address")),
        "url" => ("invalid_url".into(), format!("`{field}` is not a URL")),
        _ => (error.code.clone(), format!("`{field}` is not valid")),
    };
    let at = match error.params.get("pointer").and_then(|inner| inner.as_str()) {
        Some(inner) => format!("{at}{inner}"),
        None => at.to_owned(),
    };
    let detail = error.message.as_ref().map_or(default, |message| format!("`{field}`: {message}"));
    FieldError { pointer: Some(at), parameter: None, code, detail }
}
