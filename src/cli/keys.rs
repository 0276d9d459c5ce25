//! Workspaces and API keys from the command line, for operators and scripts.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use validator::Validate;

use super::boot::{self, Database};
use super::{Result, print};
use crate::api_keys;
use crate::app::App;
use crate::auth::key::KeyKind;
use crate::config::Config;
use crate::db::Via;
use crate::error::Error;
use crate::http::json::field_errors;
use crate::workspaces::{self, Workspace};

/// What a key made here is like.
pub struct KeyOptions {
    pub name: String,
    pub kind: KeyKind,
    pub scopes: Vec<String>,
    pub livemode: bool,
}

pub(super) fn create_workspace(config: Config, body: &Value) -> Result<()> {
    let database = Database::open(&config)?;
    database.migrate()?;
    let app = boot::app(config, &database)?;
    let made = make_workspace(&app, body).map_err(|error| error.to_string())?;
    print(&format!("{}\n", made.id))
}

pub(super) fn create_key(config: Config, workspace: &str, options: &KeyOptions) -> Result<()> {
    let database = Database::open(&config)?;
    let app = boot::app(config, &database)?;
    let text = make_key(&app, workspace, options).map_err(|error| error.to_string())?;
    print(&format!("{text}\n"))
}

/// Makes a workspace from the body that `POST /v1/workspaces` takes.
pub fn make_workspace(app: &App, body: &Value) -> Result<Workspace, Error> {
    workspaces::create(&app.db, &app.master_key, &checked(body)?, &Via::default())
}

/// Makes a key in the workspace with this slug and returns its text, the only time it is shown.
pub fn make_key(app: &App, slug: &str, options: &KeyOptions) -> Result<String, Error> {
    let workspace = find_workspace(app, slug)?
        .ok_or_else(|| Error::internal(format!("there is no workspace `{slug}`")))?;
    let KeyOptions { name, kind, scopes, livemode } = options;
    let scopes = if *kind == KeyKind::Secret { scopes.clone() } else { Vec::new() };
    let body = json!({ "name": name, "kind": kind, "scopes": scopes, "livemode": livemode });
    let (_, text) = api_keys::create(&app.db, &workspace, &checked(&body)?)?;
    Ok(text.reveal().to_owned())
}

/// The workspace with this slug, where there is one.
pub(super) fn find_workspace(app: &App, slug: &str) -> Result<Option<Workspace>, Error> {
    match app.db.system(|pg| workspaces::find_by_slug(pg, slug)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.status() == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Parses and validates like a request body.
fn checked<T: DeserializeOwned + Validate>(body: &Value) -> Result<T, Error> {
    let parsed: T = serde_json::from_value(body.clone())
        .map_err(|error| Error::field("#", "invalid_type", error.to_string()))?;
    parsed.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
    Ok(parsed)
}
