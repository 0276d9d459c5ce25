//! Lets the service run without a database to set up: it brings up a private Postgres of its own.
//!
//! The server is started from the programs installed on the machine, keeps its data in the data
//! folder and listens on a unix socket that only its own user may enter. The processes that share
//! a data folder share one server: the first starts it, the last one out stops it.

mod account;
mod binaries;
mod cluster;
mod occupancy;
mod postmaster;
#[cfg(test)]
mod tests;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster::Cluster;
use occupancy::Occupancy;
use postmaster::Address;

/// How long a start waits for a server that is being started, recovering or stopping.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// The database the service works in; tests add their own beside it.
pub const DATABASE: &str = "ecrm";

/// Where the data lives and how safe it has to be.
pub struct Options<'a> {
    /// Folder for the data, the log and the locks; created when it is missing.
    pub data_dir: &'a Path,
    /// Whether commits survive a power cut; `false` is for test suites only, in their own folder.
    pub durable: bool,
}

/// A database login, with the rights it is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Superuser and owner of the tables: migrations.
    Owner,
    /// Reads and writes rows, changes no tables: the running service.
    App,
    /// Reads rows: reports.
    ReadOnly,
}

impl Role {
    /// The login's name in Postgres.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "postgres",
            Self::App => "ecrm_app",
            Self::ReadOnly => "ecrm_readonly",
        }
    }
}

/// Why the private Postgres did not come up, in a sentence for the person at the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError(String);

impl StartError {
    /// Turns an I/O error into a sentence: `cannot create the folder `/x`: permission denied`.
    fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("cannot {doing} `{}`", path.display());
        move |error| Self(format!("{what}: {error}"))
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// One process's share in the private Postgres of a data folder.
///
/// Dropping it stops the server, unless another process still uses it: then the last one does.
/// A process that is killed leaves the server running, and the next start takes it over.
pub struct Embedded {
    cluster: Cluster,
    occupancy: Occupancy,
    address: Address,
}

impl Embedded {
    /// Joins the running server of this data folder, or starts it, creating it when it is new.
    ///
    /// Waits up to a minute for another process that is just starting it. A server that was left
    /// running is taken over as it is, restarted only when its durability differs from `options`.
    ///
    /// # Errors
    /// When Postgres is not installed, or cannot be started; the error says what to do.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let data_dir = open_data_dir(options.data_dir)?;
        let mut occupancy = Occupancy::open(&data_dir)?;
        let cluster = Cluster::locate(&data_dir, options.durable)?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if occupancy.claim()? {
                cluster.bring_up()?;
            }
            if occupancy.enter()? {
                if let Some(address) = cluster.ready_address() {
                    return Ok(Self { cluster, occupancy, address });
                }
                occupancy.leave()?;
            }
            std::thread::sleep(POLL);
        }
        Err(StartError(format!(
            "another ecrm process uses `{}`, but its PostgreSQL does not answer; stop that process \
             and start again, or read `{}`",
            data_dir.display(),
            cluster.log_file().display()
        )))
    }

    /// Whether this process started the server (or took over one that was left running).
    pub fn is_owner(&self) -> bool {
        self.occupancy.is_owner()
    }

    /// Connection URL for libpq, as one login to one database.
    ///
    /// Only this process's user (and the server's, and root) may enter the socket's folder.
    pub fn url(&self, role: Role, database: &str) -> String {
        self.address.url(role, database)
    }

    /// The folder that holds the database and its log.
    ///
    /// It differs from the one asked for when root started the service and the unprivileged user
    /// that Postgres needs could not enter that one.
    pub fn data_dir(&self) -> &Path {
        self.cluster.home()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        match self.occupancy.is_last_out() {
            Ok(true) => self.cluster.stop(),
            Ok(false) => {}
            Err(error) => log::warn!("PostgreSQL is left running: {error}"),
        }
    }
}

/// The data folder, made when it is missing, by its one real path.
fn open_data_dir(path: &Path) -> Result<PathBuf, StartError> {
    // Secrets may lie here too: others may pass through to the database (as root, PostgreSQL runs
    // as another user), but not list it.
    let mode = if nix::unistd::geteuid().is_root() { 0o711 } else { 0o700 };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(StartError::io("create the data folder", path))?;
    let path = path.canonicalize().map_err(StartError::io("open the data folder", path))?;
    match path.to_str() {
        Some(text) if !text.contains('\n') => Ok(path),
        _ => Err(StartError(format!(
            "the data folder `{}` must have a name in UTF-8 without line breaks",
            path.display()
        ))),
    }
}
