//! What a caller is told when something cannot be done, and what the operator finds in the log.
//!
//! A caller always gets an RFC 9457 problem with a stable `code`; the details of our own faults go
//! to the log only, once, at the boundary.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A stable error code with its HTTP status and what it means; `GET /problems/{code}` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub name: &'static str,
    pub status: u16,
    pub title: &'static str,
}

macro_rules! codes {
    ($($constant:ident $status:literal $name:literal $title:literal;)*) => {
        impl Code {
            $(#[doc = $title] pub const $constant: Code = Code { name: $name, status: $status, title: $title };)*
            /// Every code that is not the name of a database constraint.
            pub const ALL: &'static [Code] = &[$(Code::$constant),*];
        }
    };
}

codes! {
    BAD_REQUEST 400 "bad_request" "The request cannot be read";
    INVALID_JSON 400 "invalid_json" "The body is not the JSON this operation expects";
    INVALID_PARAMETER 400 "invalid_parameter" "A query parameter or header has a value that is not allowed";
    UNKNOWN_PARAMETER 400 "unknown_parameter" "The operation has no such query parameter";
    INVALID_CURSOR 400 "invalid_cursor" "The cursor does not belong to this list, its sort and its filters";
    INVALID_ENCODING 400 "invalid_encoding" "The body does not match its Content-Encoding";
    CALL_TOO_LARGE 400 "call_too_large" "A tracking call or batch is larger than the protocol allows";
    UNAUTHORIZED 401 "unauthorized" "The request carries no valid credential";
    INVALID_SIGNATURE 401 "invalid_signature" "The message is not signed with the secret of its channel";
    INSUFFICIENT_SCOPE 403 "insufficient_scope" "The credential lacks a scope this operation needs";
    FORBIDDEN 403 "forbidden" "The credential may not do this";
    NOT_FOUND 404 "not_found" "There is no such resource";
    METHOD_NOT_ALLOWED 405 "method_not_allowed" "The resource does not know this method";
    REQUEST_TIMEOUT 408 "request_timeout" "The request did not arrive in time";
    CUSTOMER_MERGED 409 "customer_merged" "The customer was merged into another one";
    CUSTOMER_ERASED 409 "customer_erased" "The customer was erased and cannot be brought back";
    IDENTITY_ERASED 409 "identity_erased" "The owner of this identity was erased";
    PROCESSING_RESTRICTED 409 "processing_restricted" "The customer's data may be kept and nothing else";
    CONFLICT 409 "conflict" "The request contradicts the present state";
    ALREADY_EXISTS 409 "already_exists" "Another resource already has this key";
    INVALID_TRANSITION 409 "invalid_transition" "The present state does not allow this move";
    CHANNEL_PAUSED 409 "channel_paused" "The channel is paused and takes nothing in";
    STILL_REFERENCED 409 "still_referenced" "Other resources still refer to this one";
    IDEMPOTENCY_IN_PROGRESS 409 "idempotency_in_progress" "A request with this Idempotency-Key is still running";
    CURSOR_EXPIRED 410 "cursor_expired" "What follows the cursor is no longer remembered";
    VERSION_MISMATCH 412 "version_mismatch" "The resource has changed since the version named in If-Match";
    PRECONDITION_FAILED 412 "precondition_failed" "The resource exists already and If-None-Match was given";
    PAYLOAD_TOO_LARGE 413 "payload_too_large" "The body is larger than this operation accepts";
    UNSUPPORTED_MEDIA_TYPE 415 "unsupported_media_type" "The body must be JSON in UTF-8, plain or gzip";
    VALIDATION_FAILED 422 "validation_failed" "One or more fields are not valid";
    IDEMPOTENCY_KEY_REUSED 422 "idempotency_key_reused" "This Idempotency-Key was used for a different request";
    TOO_MANY_REQUESTS 429 "too_many_requests" "The rate limit is used up";
    TOO_MANY_LISTENERS 429 "too_many_listeners" "As many as may already follow the workspace's feed";
    INTERNAL 500 "internal_error" "Something broke on our side";
    UNAVAILABLE 503 "unavailable" "The service cannot answer right now";
    TIMEOUT 503 "timeout" "The database took too long";
    STORAGE_FULL 503 "storage_full" "The database has no room left";
    READ_ONLY 503 "read_only" "The database accepts no writes right now";
}

/// One thing that is wrong with one field, query parameter or header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON Pointer into the body, as a URI fragment (`#/email`).
    #[schema(example = "#/email")]
    pub pointer: Option<String>,
    /// Name of the query parameter or header at fault.
    pub parameter: Option<String>,
    /// What is wrong, for programs.
    #[schema(example = "invalid_email")]
    pub code: Cow<'static, str>,
    /// What is wrong, for people.
    #[schema(example = "`email` is not an email address")]
    pub detail: String,
}

impl FieldError {
    /// A fault in the body at a pointer such as `#/email`.
    pub fn at(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            parameter: None,
            code: code.into(),
            detail: detail.into(),
        }
    }

    /// A fault in a query parameter or header.
    pub fn in_parameter(name: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: None,
            parameter: Some(name.into()),
            code: code.into(),
            detail: detail.into(),
        }
    }

    /// The same fault seen from the document that holds this one under `prefix` (`#/items/3`).
    pub fn under(mut self, prefix: &str) -> Self {
        if let Some(pointer) = self.pointer.take() {
            self.pointer = Some(format!("{prefix}{}", pointer.trim_start_matches('#')));
        }
        self
    }
}

/// The body of every error answer (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Where the code is explained, relative to the service.
    #[serde(rename = "type")]
    #[schema(example = "/problems/validation_failed")]
    pub kind: String,
    /// The code in words; the same for every occurrence.
    #[schema(example = "One or more fields are not valid")]
    pub title: String,
    /// The HTTP status, repeated.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened this time and what to do about it.
    #[schema(example = "`email` is not an email address")]
    pub detail: String,
    /// Path of the request.
    #[schema(example = "/v1/customers")]
    pub instance: Option<String>,
    /// Stable code for programs.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// The request id, also in the `X-Request-Id` header and the log.
    #[schema(example = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5")]
    pub request_id: Option<String>,
    /// Every field at fault, empty where the fault is not in a field.
    pub errors: Vec<FieldError>,
    /// On duplicates: the resource that already has the key.
    pub existing_id: Option<Uuid>,
    /// On an illegal move: the states that can be reached from here.
    pub allowed: Option<Vec<String>>,
}

/// Why an operation did not happen.
#[derive(Debug, Clone)]
pub enum Error {
    /// The caller can do something about it.
    Problem(Box<Rejection>),
    /// A database constraint that nobody explained with [`OnConstraint`]: a bug, answered 500.
    Constraint { name: String, kind: ConstraintKind },
    /// Serialization failure or deadlock: the transaction may be run again.
    Retry(String),
    /// The transaction needs the log's partitions of these months and may then be run again.
    Prepare(Vec<chrono::NaiveDate>),
    /// The database is away, slow, full or read-only: answered 503. The text is for the log.
    Unavailable { code: Code, log: String, connection_lost: bool },
    /// The database does not take a statement of ours: answered 500. The text is for the log.
    Statement(String),
    /// Our fault: answered 500 without detail. The text is for the log.
    Internal(String),
}

/// Which kind of database constraint refused a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    Unique,
    ForeignKey,
    Check,
    NotNull,
}

/// A refusal before it is bound to a request (which adds `instance` and `request_id`).
#[derive(Debug, Clone)]
pub struct Rejection {
    pub status: u16,
    pub code: Cow<'static, str>,
    pub title: &'static str,
    pub detail: String,
    pub errors: Vec<FieldError>,
    pub existing_id: Option<Uuid>,
    pub allowed: Option<Vec<String>>,
    pub retry_after_s: Option<u64>,
    /// Methods for the `Allow` header of a 405.
    pub allow: Option<String>,
    /// The scope named in the `WWW-Authenticate` header of a 403.
    pub scope: Option<String>,
}

impl Error {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::Problem(Box::new(Rejection::new(code, detail)))
    }

    /// 404, the same for what is absent and for what belongs to another workspace.
    pub fn not_found() -> Self {
        Self::new(Code::NOT_FOUND, "there is no such resource in this workspace")
    }

    pub fn unauthorized() -> Self {
        Self::new(Code::UNAUTHORIZED, "send a valid API key or token as `Authorization: Bearer …`")
    }

    /// 422 with every field at fault.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            many => format!("{} fields are not valid", many.len()),
        };
        let mut rejection = Rejection::new(Code::VALIDATION_FAILED, detail);
        rejection.errors = errors;
        Self::Problem(Box::new(rejection))
    }

    /// 422 about one field of the body.
    pub fn field(
        pointer: impl Into<String>,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self::invalid(vec![FieldError::at(pointer, code, detail)])
    }

    /// 400 about one query parameter or header.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut rejection = Rejection::new(Code::INVALID_PARAMETER, detail.clone());
        rejection.errors = vec![FieldError::in_parameter(name, "invalid_parameter", detail)];
        Self::Problem(Box::new(rejection))
    }

    /// 409 under a constraint's own name, which is its code.
    pub fn conflict(code: &'static str, detail: impl Into<String>, existing: Option<Uuid>) -> Self {
        let mut rejection = Rejection::new(Code::ALREADY_EXISTS, detail);
        rejection.code = code.into();
        rejection.existing_id = existing;
        Self::Problem(Box::new(rejection))
    }

    /// 409 for a move that the state machine does not know, with the moves that it does.
    pub fn transition(detail: impl Into<String>, allowed: &[&str]) -> Self {
        let mut rejection = Rejection::new(Code::INVALID_TRANSITION, detail);
        rejection.allowed = Some(allowed.iter().map(ToString::to_string).collect());
        Self::Problem(Box::new(rejection))
    }

    /// The same refusal about a part of a larger body, whose faults lie below `prefix`.
    pub fn under(mut self, prefix: &str) -> Self {
        if let Self::Problem(rejection) = &mut self {
            let faults = std::mem::take(&mut rejection.errors).into_iter();
            rejection.errors = faults.map(|fault| fault.under(prefix)).collect();
        }
        self
    }

    /// The reverse of [`Error::under`]: the part below `prefix` was the whole body.
    pub fn out_of(mut self, prefix: &str) -> Self {
        if let Self::Problem(rejection) = &mut self {
            for pointer in rejection.errors.iter_mut().filter_map(|fault| fault.pointer.as_mut()) {
                if let Some(rest) = pointer.strip_prefix(prefix) {
                    *pointer = format!("#{rest}");
                }
            }
        }
        self
    }

    /// The same refusal, naming the field of the body that is at fault.
    pub fn at(mut self, pointer: &str, code: &'static str) -> Self {
        if let Self::Problem(rejection) = &mut self {
            rejection.errors = vec![FieldError::at(pointer, code, rejection.detail.clone())];
        }
        self
    }

    pub fn insufficient_scope(scope: &str) -> Self {
        let detail = format!("this operation needs the scope `{scope}`");
        let mut rejection = Rejection::new(Code::INSUFFICIENT_SCOPE, detail);
        rejection.scope = Some(scope.into());
        Self::Problem(Box::new(rejection))
    }

    pub fn internal(log: impl Into<String>) -> Self {
        Self::Internal(log.into())
    }

    pub fn unavailable(log: impl Into<String>) -> Self {
        Self::Unavailable { code: Code::UNAVAILABLE, log: log.into(), connection_lost: false }
    }

    /// The HTTP status this error is answered with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Problem(rejection) => rejection.status,
            Self::Constraint { .. } | Self::Statement(_) | Self::Internal(_) => 500,
            Self::Retry(_) | Self::Prepare(_) | Self::Unavailable { .. } => 503,
        }
    }

    /// Whether the caller, not we, has to change something: such an error may be stored and replayed.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Problem(rejection) if rejection.status < 500 && rejection.status != 429)
    }

    /// Whether it is our own fault, which may lie with one write of several.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Constraint { .. } | Self::Statement(_) | Self::Internal(_))
    }

    /// What the caller is shown; our own faults lose their text here.
    pub fn rejection(&self) -> Cow<'_, Rejection> {
        let mut shown = match self {
            Self::Problem(rejection) => return Cow::Borrowed(rejection),
            Self::Constraint { .. } | Self::Statement(_) | Self::Internal(_) => Rejection::new(
                Code::INTERNAL,
                "the request could not be completed; quote the `request_id` when you report it",
            ),
            Self::Retry(_) | Self::Prepare(_) => {
                Rejection::new(Code::UNAVAILABLE, "too many writers at once; try again")
            }
            Self::Unavailable { code, .. } => {
                Rejection::new(*code, "the request was not completed; try again shortly")
            }
        };
        if shown.status == 503 {
            shown.retry_after_s = Some(1);
        }
        Cow::Owned(shown)
    }

    /// The text for the log, where there is something for us to look at.
    pub fn log_text(&self) -> Option<String> {
        match self {
            Self::Problem(_) => None,
            Self::Constraint { name, kind } => {
                Some(format!("unexplained {kind:?} constraint `{name}`"))
            }
            Self::Retry(log) | Self::Statement(log) | Self::Internal(log) => Some(log.clone()),
            Self::Prepare(months) => Some(format!("no partitions for {months:?}")),
            Self::Unavailable { log, .. } => Some(log.clone()),
        }
    }
}

/// 422 about one field.
impl From<FieldError> for Error {
    fn from(fault: FieldError) -> Self {
        Self::invalid(vec![fault])
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem(rejection) => write!(f, "{}: {}", rejection.code, rejection.detail),
            other => f.write_str(&other.log_text().unwrap_or_default()),
        }
    }
}

impl std::error::Error for Error {}

impl Rejection {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            status: code.status,
            code: code.name.into(),
            title: code.title,
            detail: detail.into(),
            errors: Vec::new(),
            existing_id: None,
            allowed: None,
            retry_after_s: None,
            allow: None,
            scope: None,
        }
    }

    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body for one request.
    pub fn problem(&self, instance: Option<&str>, request_id: Option<&str>) -> Problem {
        Problem {
            kind: format!("/problems/{}", self.code),
            title: self.title.into(),
            status: self.status,
            detail: self.detail.clone(),
            instance: instance.map(Into::into),
            code: self.code.to_string(),
            request_id: request_id.map(Into::into),
            errors: self.errors.clone(),
            existing_id: self.existing_id,
            allowed: self.allowed.clone(),
        }
    }
}

/// Explains a constraint beside the query that can break it; its name is the error code.
pub trait OnConstraint<T> {
    /// When `name` refused the row, answer with `explain()` instead.
    fn on_constraint(self, name: &str, explain: impl FnOnce() -> Error) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T> {
    fn on_constraint(self, name: &str, explain: impl FnOnce() -> Error) -> Result<T> {
        match self {
            Err(Error::Constraint { name: broken, .. }) if broken == name => Err(explain()),
            other => other,
        }
    }
}

impl<T> OnConstraint<T> for diesel::QueryResult<T> {
    fn on_constraint(self, name: &str, explain: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(Error::from).on_constraint(name, explain)
    }
}
