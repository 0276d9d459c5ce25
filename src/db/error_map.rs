//! What a database error means for the caller: the one place that knows.
//!
//! Diesel names only twelve of Postgres' error codes; the rest arrive as English text
//! (`lc_messages` is `C`), so texts are compared here and tested against a live server.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind as Kind, Error as Diesel};

use crate::error::{Code, ConstraintKind, Error, FieldError};

impl From<Diesel> for Error {
    fn from(error: Diesel) -> Self {
        match error {
            Diesel::NotFound => Self::not_found(),
            Diesel::DatabaseError(kind, info) => from_database(kind, info.as_ref()),
            Diesel::RollbackErrorOnCommit { commit_error, .. } => Self::from(*commit_error),
            Diesel::BrokenTransactionManager => lost("the transaction manager is broken"),
            other => Self::Internal(other.to_string()),
        }
    }
}

fn from_database(kind: Kind, info: &(dyn DatabaseErrorInformation + Send + Sync)) -> Error {
    let constraint = |kind| Error::Constraint { name: constraint_name(info), kind };
    match kind {
        Kind::UniqueViolation => constraint(ConstraintKind::Unique),
        Kind::ForeignKeyViolation => constraint(ConstraintKind::ForeignKey),
        Kind::CheckViolation => constraint(ConstraintKind::Check),
        Kind::NotNullViolation => constraint(ConstraintKind::NotNull),
        Kind::SerializationFailure => Error::Retry(info.message().into()),
        Kind::ReadOnlyTransaction => away(Code::READ_ONLY, info.message()),
        Kind::ClosedConnection | Kind::UnableToSendCommand => lost(info.message()),
        _ => from_text(info.message()),
    }
}

/// The constraint at fault. Citus leaves `constraint_name()` empty and appends the shard number to
/// the name in the message.
fn constraint_name(info: &(dyn DatabaseErrorInformation + Send + Sync)) -> String {
    let named = info.constraint_name().map(str::to_owned);
    let quoted = || info.message().rsplit('"').nth(1).map(str::to_owned);
    let name = named.or_else(quoted).unwrap_or_default();
    let shard = name.rsplit_once('_').filter(|(_, tail)| tail.parse::<u64>().is_ok());
    shard.map_or(name.clone(), |(base, _)| base.to_owned())
}

fn from_text(message: &str) -> Error {
    let says = |part: &str| message.contains(part);
    if says("deadlock detected") || says("could not serialize access") {
        Error::Retry(message.into())
    } else if is_impatience(message) {
        away(Code::TIMEOUT, message)
    } else if says("No space left on device") || says("could not extend file") {
        away(Code::STORAGE_FULL, message)
    } else if says("read-only transaction") {
        away(Code::READ_ONLY, message)
    } else if is_connection_text(message) {
        lost(message)
    } else if says("invalid byte sequence") || says("unsupported Unicode escape") {
        body_value("nul_character", "text must not contain NUL characters")
    } else if says("out of range") || says("numeric field overflow") {
        body_value("value_out_of_range", "a value is outside the range that can be stored")
    } else {
        Error::Statement(message.into())
    }
}

fn is_impatience(message: &str) -> bool {
    message.contains("canceling statement") || message.contains("could not obtain lock")
}

fn is_connection_text(message: &str) -> bool {
    [
        "terminating connection",
        "server closed the connection",
        "no connection to the server",
        "connection to server",
        "connection not open",
        "could not receive data",
        "could not send data",
        "SSL connection has been closed",
        "the database system is",
        "too many clients",
        "remaining connection slots",
        "server conn crashed",
        "server_login_retry",
    ]
    .iter()
    .any(|part| message.contains(part))
}

fn body_value(code: &'static str, detail: &str) -> Error {
    Error::invalid(vec![FieldError::at("#", code, detail)])
}

fn away(code: Code, log: &str) -> Error {
    Error::Unavailable { code, log: log.into(), connection_lost: false }
}

fn lost(log: &str) -> Error {
    Error::Unavailable { code: Code::UNAVAILABLE, log: log.into(), connection_lost: true }
}
