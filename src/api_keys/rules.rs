//! What a key may be: nobody makes one that may more than they may themselves.

use chrono::{DateTime, Utc};

use crate::auth::key::KeyKind;
use crate::auth::{Identity, Scopes};
use crate::error::{Code, Error, Result};
use crate::users::powers::{must_be_owner, must_cover};

/// 403 where a test credential reaches for a live key.
pub fn check_mode(identity: &Identity, livemode: bool) -> Result<()> {
    if identity.livemode || !livemode {
        return Ok(());
    }
    Err(Error::new(Code::FORBIDDEN, "a test credential makes test keys only"))
}

/// 403 unless the caller may do all that a key may do: whoever holds its text could.
pub fn check_powers(identity: &Identity, scopes: Scopes) -> Result<()> {
    must_cover(identity, scopes)?;
    // An admin has `*` and still is no owner; a key with `*` counts as one.
    if scopes == Scopes::ALL { must_be_owner(identity) } else { Ok(()) }
}

/// The scopes of a key of this kind, given as a list.
pub fn scopes_of(kind: KeyKind, list: &[String]) -> Result<Scopes> {
    let given = Scopes::from_list(list.iter().map(String::as_str))
        .map_err(|unknown| Error::field("#/scopes", "unknown_scope", unknown.to_string()))?;
    let fixed = kind.allowed_scopes();
    match kind {
        KeyKind::Secret if given.is_empty() => {
            Err(Error::field("#/scopes", "required", "a secret key needs at least one scope"))
        }
        KeyKind::Secret => Ok(given),
        KeyKind::Write | KeyKind::Portal if given.is_empty() || given == fixed => Ok(fixed),
        KeyKind::Write | KeyKind::Portal => {
            let detail = format!("a `{kind}` key has exactly the scopes `{fixed}`");
            Err(Error::field("#/scopes", "invalid_scopes", detail))
        }
    }
}

pub fn check_end(end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<()> {
    match end {
        Some(end) if end <= now => {
            Err(Error::field("#/expires_at", "in_the_past", "`expires_at` must lie ahead"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(kind: KeyKind, list: &[&str]) -> Option<String> {
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        scopes_of(kind, &list).ok().map(|scopes| scopes.to_string())
    }

    #[test]
    fn a_public_key_reports_touchpoints_and_nothing_else() {
        let ingest = Some("touchpoints:ingest".to_owned());
        assert_eq!(scopes(KeyKind::Write, &[]), ingest);
        assert_eq!(scopes(KeyKind::Write, &["touchpoints:ingest"]), ingest);
        assert_eq!(scopes(KeyKind::Write, &["touchpoints:ingest", "customers:read"]), None);
        assert_eq!(scopes(KeyKind::Write, &["*"]), None);
        assert_eq!(scopes(KeyKind::Portal, &[]).as_deref(), Some("customer_tokens:write"));
        assert_eq!(scopes(KeyKind::Portal, &["customers:read"]), None);
    }

    #[test]
    fn a_secret_key_has_the_scopes_that_are_named() {
        assert_eq!(scopes(KeyKind::Secret, &["*"]).as_deref(), Some("*"));
        assert_eq!(scopes(KeyKind::Secret, &["channels:read"]).as_deref(), Some("channels:read"));
        assert_eq!(scopes(KeyKind::Secret, &[]), None);
        assert_eq!(scopes(KeyKind::Secret, &["channels:fly"]), None);
    }
}
