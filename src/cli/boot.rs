//! What every command needs before it can start: a database and secrets.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::app::App;
use crate::config::Config;
use crate::crypto;
use crate::db::embedded::{Embedded, Options, Role};
use crate::db::migrate;
use crate::logging::Format;
use crate::seal::MasterKey;

use super::Result;

/// The database a command works on; dropping it stops a private server that this process started.
pub struct Database {
    embedded: Option<Embedded>,
    url: String,
    migrate_url: String,
}

impl Database {
    /// The server of `DATABASE_URL`, or the private one, started where it does not run yet.
    pub fn open(config: &Config) -> Result<Self> {
        if let Some(url) = &config.database_url {
            let migrate_url = config.database_migrate_url.clone().unwrap_or_else(|| url.clone());
            return Ok(Self { embedded: None, url: url.clone(), migrate_url });
        }
        let data_dir = absolute(&config.data_dir)?;
        let options = Options { data_dir: &data_dir, durable: true };
        let embedded = Embedded::start(&options).map_err(|error| error.to_string())?;
        Ok(Self {
            url: embedded.url(Role::App, "ecrm"),
            migrate_url: embedded.url(Role::Owner, "ecrm"),
            embedded: Some(embedded),
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A direct connection of the owning role, where one is named.
    pub fn migrate_url(&self) -> &str {
        &self.migrate_url
    }

    pub fn is_private(&self) -> bool {
        self.embedded.is_some()
    }

    pub fn migrate(&self) -> Result<Vec<String>> {
        migrate::run(&self.migrate_url).map_err(|error| error.to_string())
    }
}

/// The state of the service over an open database.
pub fn app(mut config: Config, database: &Database) -> Result<App> {
    fill_secrets(&mut config, database.is_private())?;
    App::new(config, database.url()).map_err(|error| error.to_string())
}

fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Takes missing secrets from the data folder, where they are made on first use: for development
/// only, so a foreign database refuses to start without real ones.
fn fill_secrets(config: &mut Config, is_private: bool) -> Result<()> {
    let missing: Vec<&str> = [
        ("ECRM_MASTER_KEY", config.master_key.is_none()),
        ("ECRM_JWT_SECRET", config.jwt_secret.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, is_missing)| is_missing.then_some(name))
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" and ");
    if !is_private && !config.dev {
        return Err(format!(
            "set {names}: DATABASE_URL names a database of its own, and secrets made up here would \
             be lost with this folder (ECRM_DEV=1 allows that for development)"
        ));
    }
    log::warn!("{names} not set: using development secrets from the data folder");
    let folder = absolute(&config.data_dir)?.join("secrets");
    if config.master_key.is_none() {
        let key = kept_secret(&folder, "master_key", || MasterKey::generate().reveal())?;
        config.master_key = Some(key);
    }
    if config.jwt_secret.is_none() {
        config.jwt_secret = Some(kept_secret(&folder, "jwt_secret", random_secret)?);
    }
    Ok(())
}

/// A secret from its file, or a new one written there for the owner's eyes only.
fn kept_secret(folder: &Path, name: &str, make: impl FnOnce() -> String) -> Result<String> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let path = folder.join(name);
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Ok(text) = fs::read_to_string(&path) {
        return Ok(text.trim().to_owned());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let secret = make();
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match file {
        Ok(mut file) => file.write_all(secret.as_bytes()).map_err(failed).map(|()| secret),
        // Another process was faster; its secret counts.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::read_to_string(&path).map(|text| text.trim().to_owned()).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// How log lines are written.
pub fn log_format() -> Result<Format> {
    match std::env::var("LOG_FORMAT") {
        Ok(text) if !text.is_empty() => text
            .parse()
            .map_err(|_error| format!("LOG_FORMAT: `{text}` is neither `text` nor `json`")),
        _ => Ok(Format::Text),
    }
}

/// 32 random bytes as text.
pub(super) fn random_secret() -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(crypto::random::<32>())
}
