//! The command line: one binary that serves, works, migrates, verifies, seeds and mints keys.

mod boot;
mod import;
pub mod keys;
mod seed;
mod serve;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use crate::auth::key::KeyKind;
use crate::config::{Config, SETTINGS};

/// Errors of the command line are sentences.
type Result<T, E = String> = std::result::Result<T, E>;

#[derive(Parser)]
#[command(name = "ecrm", version, about = "A headless eCRM: customers, channels and touchpoints over Postgres.", after_help = settings_help())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Serve without making demo data on the first start.
    #[arg(long, global = true)]
    no_demo: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API (the default), with a private PostgreSQL unless a `DATABASE_URL` is set.
    Serve,
    /// Carry out queued jobs, without serving.
    Worker,
    /// Bring the database to the schema of this binary.
    Migrate,
    /// Check that a database is whole, such as a restored one; exits with 1 where it is not.
    ///
    /// Reads only, and beside a running service sees one moment. Needs the rights of the owner
    /// (`DATABASE_MIGRATE_URL`) and the `ECRM_MASTER_KEY` that belongs to the database.
    Verify,
    /// Print the OpenAPI document.
    Openapi,
    /// Print the catalogue of events: each type with its JSON Schema and an example.
    Events,
    /// Load the demo workspace, or write its data as files.
    Seed {
        /// Write the example files into this folder instead of loading anything.
        #[arg(long, value_name = "FOLDER")]
        examples: Option<PathBuf>,
    },
    /// Manage workspaces.
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Manage API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Import a file into a running service, with a progress bar.
    Import(import::ImportArgs),
    /// Ask a running service whether it is healthy; for container health checks.
    Health,
}

#[derive(Subcommand)]
enum WorkspaceCommand {
    /// Create a workspace and print its id.
    Create {
        /// Short name in lower case, unique in the installation.
        slug: String,
        /// Name for people; the slug unless given.
        #[arg(long)]
        name: Option<String>,
        /// Currency that figures are kept in, ISO 4217.
        #[arg(long, default_value = "EUR")]
        currency: String,
        /// IANA time zone that figures are cut by.
        #[arg(long, default_value = "UTC")]
        timezone: String,
    },
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Create an API key and print it, alone, on standard output.
    Create {
        /// Slug of the workspace.
        #[arg(long)]
        workspace: String,
        /// Scope to grant, `*` for all; may be repeated.
        #[arg(long = "scope", default_value = "*")]
        scopes: Vec<String>,
        /// `secret` for servers, `write` for browsers and apps (ingest only).
        #[arg(long, default_value = "secret")]
        kind: KeyKind,
        /// A test key: it sees test data only and reaches no real channel.
        #[arg(long)]
        test: bool,
        /// Name for people.
        #[arg(long, default_value = "command line")]
        name: String,
    },
}

fn settings_help() -> String {
    let mut text = String::from("Settings (environment variables; a file .env is read):\n");
    for (name, default, meaning) in SETTINGS {
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        text.push_str(&format!("  {name}{default}\n      {meaning}\n"));
    }
    text
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ecrm: {message}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> Result<()> {
    let command = cli.command.unwrap_or(Command::Serve);
    match command {
        Command::Openapi => return print(&crate::api::spec().text),
        Command::Events => return print(crate::api::events()),
        Command::Seed { examples: Some(folder) } => return seed::write_examples(&folder),
        Command::Import(args) => return import::import(&args),
        _ => {}
    }
    read_env_file()?;
    let config = Config::from_env()?;
    crate::logging::init(boot::log_format()?);
    match command {
        Command::Serve => serve::serve(config, !cli.no_demo),
        Command::Worker => serve::work(config),
        Command::Migrate => serve::migrate(config),
        Command::Verify => verify::verify(config),
        Command::Seed { .. } => seed::load(config),
        Command::Workspace(WorkspaceCommand::Create { slug, name, currency, timezone }) => {
            let name = name.unwrap_or_else(|| slug.clone());
            let body = json!({
                "slug": slug, "name": name, "default_currency": currency, "timezone": timezone,
            });
            keys::create_workspace(config, &body)
        }
        Command::Key(KeyCommand::Create { workspace, scopes, kind, test, name }) => {
            let options = keys::KeyOptions { name, kind, scopes, livemode: !test };
            keys::create_key(config, &workspace, &options)
        }
        Command::Health => serve::health(&config),
        Command::Openapi | Command::Events | Command::Import(_) => {
            unreachable!("BUG: handled above")
        }
    }
}

/// Settings in a file `.env` of this folder; those of the environment win.
fn read_env_file() -> Result<()> {
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => Err(format!("the file .env: {error}")),
        _ => Ok(()),
    }
}

/// Results go to standard output, everything else to standard error.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}
