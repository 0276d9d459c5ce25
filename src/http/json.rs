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
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let app = App::of(&req);
            super::body::check_content_type(&req, &["application/merge-patch+json"])?;
            let (limit, deadline) = (app.config.body_limit_bytes, app.config.body_timeout);
            let bytes = super::body::read(&mut payload, &req, limit, deadline).await?;
            BodyDigest::remember(&req, &bytes);
            in_turn(&req, bytes, parse).await.map(Json)
        })
    }
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
pub fn parse<T: DeserializeOwned + Validate>(bytes: &Bytes) -> Result<T> {
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

fn parse_unchecked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
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
    Error::field(parent, "invalid_type", without_value(text))
}

/// Serde quotes the value it did not expect; a problem never echoes values, nor names of our types.
fn without_value(text: &str) -> String {
    match (text.strip_prefix("invalid type: "), text.split_once(", expected ")) {
        (Some(rest), Some((_, expected))) => {
            let kind = rest.split([' ', ',']).next().unwrap_or("value");
            format!("expected {}, found {}", in_words(expected), found(kind))
        }
        (None, Some((_, expected))) => format!("expected {}", in_words(expected)),
        _ if UNREADABLE_TIMES.iter().any(|known| text.starts_with(known)) => {
            "expected a day such as `2024-05-31`, or of what has a time of day one such as \
             `2024-05-31T10:00:00Z`"
                .into()
        }
        _ => text.to_owned(),
    }
}

/// What chrono says of a text that is no day and no time.
const UNREADABLE_TIMES: [&str; 5] = [
    "input contains invalid characters",
    "input is out of range",
    "premature end of input",
    "trailing input",
    "no possible date and time",
];

/// What is expected, for people who know no Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "u8" | "u16" | "u32" => "a whole number of up to nine digits",
        "i64" | "u64" | "usize" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" | "boolean" => "`true` or `false`",
        "a string" | "string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

fn found(kind: &str) -> &str {
    match kind {
        "string" => "a text",
        "integer" | "floating" => "a number",
        "boolean" => "`true` or `false`",
        "sequence" => "a list",
        "map" => "an object",
        other => other,
    }
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
