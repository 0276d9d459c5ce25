//! Passwords and keys of a channel: taken out of its settings, sealed, and never shown again.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::of;
use crate::attributes;
use crate::db::{Conn, WorkspaceId};
use crate::error::{Error, FieldError, Result};
use crate::schema::channels;
use crate::seal::{self, Context, DataKey, Secret};
use crate::values::json::push_segment;

/// What becomes of a channel's secrets: a new text, or none any more.
pub type Changes = BTreeMap<String, Option<Secret>>;

/// Whether a setting is a secret, by its name.
pub fn is_secret(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "secret",
        "password",
        "token",
        "api_key",
        "access_token",
        "client_secret",
        "auth_token",
        "private_key",
    ];
    const ENDINGS: [&str; 4] = ["_secret", "_password", "_token", "_key"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Merges a patch (RFC 7396) into the settings that are shown and gives back what it says about
/// secrets. A secret sent as it is shown is left alone.
pub fn merge(shown: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<Changes> {
    let (mut plain, mut changes, mut faults) = (Map::new(), Changes::new(), Vec::new());
    for (name, value) in patch {
        match value {
            _ if !is_secret(name) => drop(plain.insert(name.clone(), value.clone())),
            Value::Null => {
                shown.remove(name);
                changes.insert(name.clone(), None);
            }
            Value::String(text) if !text.is_empty() => {
                let secret = Secret::from(text.clone());
                let mark = json!({ "has_secret": true, "last4": secret.last4() });
                shown.insert(name.clone(), mark);
                changes.insert(name.clone(), Some(secret));
            }
            _ if is_mark(value) && shown.contains_key(name) => {}
            _ => faults.push(not_a_secret(name)),
        }
    }
    if !faults.is_empty() {
        return Err(Error::invalid(faults));
    }
    attributes::merge(shown, &plain);
    Ok(changes)
}

fn is_mark(value: &Value) -> bool {
    value.get("has_secret") == Some(&Value::Bool(true))
}

fn not_a_secret(name: &str) -> FieldError {
    let mut pointer = String::from("#/config");
    push_segment(&mut pointer, name);
    let detail = "a secret is text; send null to remove it and leave it out to keep it";
    FieldError::at(pointer, "invalid_secret", detail)
}

/// The sealed form of a channel's secrets after some changes; none where none are left.
pub fn seal(
    conn: &mut Conn,
    channel: Uuid,
    sealed: Option<Vec<u8>>,
    changes: &Changes,
) -> Result<Option<Vec<u8>>> {
    if changes.is_empty() {
        return Ok(sealed);
    }
    let key = conn.data_key()?;
    let place = place(conn.workspace, channel);
    let mut secrets = sealed.map_or(Ok(HashMap::new()), |sealed| unseal(&key, &place, &sealed))?;
    for (name, change) in changes {
        match change {
            Some(secret) => drop(secrets.insert(name.clone(), secret.reveal().to_owned())),
            None => drop(secrets.remove(name)),
        }
    }
    if secrets.is_empty() {
        return Ok(None);
    }
    let bytes = serde_json::to_vec(&secrets).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Some(seal::seal(&key, &place, &bytes)))
}

/// The secrets of a channel by their names, for those who send over it.
pub fn open_secrets(conn: &mut Conn, channel: Uuid) -> Result<HashMap<String, String>> {
    let sealed: Option<Vec<u8>> = of(conn.workspace)
        .filter(channels::id.eq(channel))
        .select(channels::sealed_secrets)
        .first(conn.pg)?;
    let Some(sealed) = sealed else { return Ok(HashMap::new()) };
    let key = conn.data_key()?;
    unseal(&key, &place(conn.workspace, channel), &sealed)
}

fn unseal(key: &DataKey, place: &Context, sealed: &[u8]) -> Result<HashMap<String, String>> {
    let bytes = seal::open(key, place, sealed)?;
    // The parser's own words may quote what it read.
    let Ok(secrets) = serde_json::from_slice(&bytes) else {
        return Err(Error::internal("the sealed secrets of a channel are not JSON"));
    };
    Ok(secrets)
}

fn place(workspace: WorkspaceId, channel: Uuid) -> Context {
    Context {
        workspace: workspace.uuid(),
        table: "channels",
        column: "sealed_secrets",
        row: channel,
        version: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    fn texts(changes: &Changes) -> Vec<(&str, Option<&str>)> {
        changes
            .iter()
            .map(|(name, change)| (name.as_str(), change.as_ref().map(Secret::reveal)))
            .collect()
    }

    #[test]
    fn a_secret_is_known_by_its_name() {
        for name in ["secret", "password", "api_key", "smtp_password", "webhook_secret", "X_TOKEN"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["host", "user", "keyboard", "secretary", "tokens", "password_hint"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_secret_is_shown_by_its_last_four_characters_unless_it_is_short() {
        let mut shown = Map::new();
        let patch = json!({ "host": "a", "password": "correct horse", "token": "short" });
        let changes = merge(&mut shown, &object(patch)).unwrap();
        let expected = json!({
            "host": "a",
            "password": { "has_secret": true, "last4": "orse" },
            "token": { "has_secret": true, "last4": null },
        });
        assert_eq!(Value::Object(shown), expected);
        assert_eq!(
            texts(&changes),
            [("password", Some("correct horse")), ("token", Some("short"))]
        );
    }

    #[test]
    fn a_secret_sent_back_as_shown_stays_and_null_removes_it() {
        let mark = json!({ "has_secret": true, "last4": null });
        let mut shown = object(json!({ "password": mark, "token": mark, "host": "a" }));
        let patch = object(json!({ "password": mark, "token": null, "host": null }));
        let changes = merge(&mut shown, &patch).unwrap();
        assert_eq!(Value::Object(shown), json!({ "password": mark }));
        assert_eq!(texts(&changes), [("token", None)]);
    }

    #[test]
    fn what_is_not_text_is_no_secret() {
        let patch = json!({
            "password": 1, "token": "", "api_key": { "a": "b" }, "secret": { "has_secret": true },
        });
        let error = merge(&mut Map::new(), &object(patch)).unwrap_err();
        let faults = error.rejection().errors.clone();
        let pointers: Vec<_> = faults.iter().filter_map(|fault| fault.pointer.as_deref()).collect();
        assert_eq!(
            pointers,
            ["#/config/api_key", "#/config/password", "#/config/secret", "#/config/token"]
        );
        assert!(faults.iter().all(|fault| fault.code == "invalid_secret"));
    }
}
