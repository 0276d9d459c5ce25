//! Creates, starts, takes over and stops the private Postgres of one data folder.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Bool, Text};
use diesel::{Connection, PgConnection, QueryResult, RunQueryDsl};

use super::account::Account;
use super::binaries::{self, Installation};
use super::postmaster::{self, Address, PORT, Postmaster, SOCKET};
use super::{DATABASE, PATIENCE, POLL, Role, StartError};

/// The longest path of a unix socket: 107 bytes on Linux, 103 on macOS.
const LONGEST_SOCKET_PATH: usize = 103;

const SETTINGS: [(&str, &str); 11] = [
    ("listen_addresses", ""),
    ("shared_buffers", "256MB"),
    ("max_connections", "200"),
    // A query over decades of touchpoints locks each of their monthly partitions.
    ("max_locks_per_transaction", "256"),
    ("wal_compression", "on"),
    // A planner knows nothing of a table until it was looked at: that is to be soon after the first import.
    ("autovacuum_naptime", "10s"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    // Failed statements quote personal data; the service logs them itself, without it.
    ("log_min_messages", "log"),
];

/// A power cut may then ruin the database, but commits still become visible in order.
const NOT_DURABLE: [(&str, &str); 2] = [("fsync", "off"), ("full_page_writes", "off")];

/// One Postgres cluster: where it lies, whose it is and which programs run it.
pub struct Cluster {
    account: Account,
    bin_dir: PathBuf,
    home: PathBuf,
    dir: PathBuf,
    socket_dir: PathBuf,
    durable: bool,
}

impl Cluster {
    /// Decides on user, folder and programs; nothing is created yet.
    pub fn locate(data_dir: &Path, durable: bool) -> Result<Self, StartError> {
        let existing = majors(data_dir).first().map(|major| dir_of(data_dir, *major));
        let account = Account::choose(existing.as_deref())?;
        let home = home(data_dir, &account);
        let Installation { bin_dir, major } = binaries::find(&account, &majors(&home))?;
        let (dir, socket_dir) = (dir_of(&home, major), socket_dir(&home));
        Ok(Self { account, bin_dir, home, dir, socket_dir, durable })
    }

    /// The folder that holds the database and its log.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The server's log, which only we may read.
    pub fn log_file(&self) -> PathBuf {
        self.home.join("postgres.log")
    }

    /// Where the server can be reached, once its database is there too.
    pub fn ready_address(&self) -> Option<Address> {
        let address = Postmaster::read(&self.dir)?.address?;
        // The database is created last: whoever may enter it as the service finds all in place.
        PgConnection::establish(&address.url(Role::App, DATABASE)).ok().map(|_| address)
    }

    /// Sees to it that the server runs and has our logins and database. For the owner alone.
    pub fn bring_up(&self) -> Result<(), StartError> {
        if !self.dir.exists() {
            self.create()?;
        }
        let failed = |error| StartError(format!("cannot set up the database: {error}"));
        let mut connection = self.run()?;
        if is_durable(&mut connection).map_err(failed)? != self.durable {
            self.stop();
            connection = self.run()?;
        }
        set_up(&mut connection).map_err(failed)
    }

    /// Stops the server after cutting its connections; what was committed is kept.
    pub fn stop(&self) {
        let wait = format!("--timeout={}", PATIENCE.as_secs());
        let mut command = self.pg_ctl("stop");
        command
            .args(["--mode=fast", "--silent", &wait])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => log::info!("PostgreSQL stopped"),
            outcome => log::warn!("PostgreSQL did not stop: {outcome:?}"),
        }
        // Nothing is lost when it stays, but the one in `/tmp` would be litter.
        fs::remove_dir(&self.socket_dir).unwrap_or_default();
    }

    /// Creates the cluster beside its place, so that it is either complete or not there.
    fn create(&self) -> Result<(), StartError> {
        let unfinished = self.dir.with_extension("new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(StartError::io("remove", &unfinished))?;
        }
        make_home(&self.home)?;
        self.account.make_private_dir(&unfinished)?;
        self.initdb(&unfinished)?;
        fs::rename(&unfinished, &self.dir).map_err(StartError::io("create", &self.dir))?;
        let synced = File::open(&self.home).and_then(|home| home.sync_all());
        synced.map_err(StartError::io("save", &self.home))
    }

    fn initdb(&self, dir: &Path) -> Result<(), StartError> {
        log::info!("creating a PostgreSQL database in {}", self.dir.display());
        let mut command = self.account.command(self.bin_dir.join("initdb"));
        command.args(["--username", Role::Owner.name(), "--auth=trust", "--data-checksums"]);
        command.args(["--locale=C", "--encoding=UTF8", "--pgdata"]).arg(dir);
        if !self.durable {
            command.arg("--no-sync");
        }
        let output = command.output().map_err(StartError::io("run", &self.bin_dir))?;
        if output.status.success() {
            return Ok(());
        }
        let said = complaint(&output.stderr, 0);
        Err(StartError(format!("PostgreSQL's `initdb` failed: {said}")))
    }

    /// Starts the server, or waits for one that is already starting or stopping.
    fn run(&self) -> Result<PgConnection, StartError> {
        let deadline = Instant::now() + PATIENCE;
        let mut problem = None;
        while Instant::now() < deadline {
            let running = Postmaster::read(&self.dir).filter(Postmaster::is_alive);
            if let Some(address) = running.as_ref().and_then(|server| server.address.as_ref()) {
                match PgConnection::establish(&address.url(Role::Owner, "postgres")) {
                    Ok(connection) => return Ok(connection),
                    Err(error) => problem = Some(error.to_string()),
                }
            }
            if running.is_none()
                && let Some(wait) = self.launch()?
            {
                problem = Some(wait);
            }
            std::thread::sleep(POLL);
        }
        Err(StartError(format!(
            "PostgreSQL does not answer: {}; read `{}`, or end the process named in `{}`",
            problem.unwrap_or_else(|| "it is still starting".into()),
            self.log_file().display(),
            postmaster::pid_file(&self.dir).display()
        )))
    }

    /// Starts the server; answers what to wait for when it cannot start yet.
    fn launch(&self) -> Result<Option<String>, StartError> {
        self.account.make_private_dir(&self.socket_dir)?;
        postmaster::disown_dead(&self.dir, &self.socket_dir, &self.account)?;
        let path = self.log_file();
        let log = File::options().create(true).append(true).mode(0o600).open(&path);
        let log = log.map_err(StartError::io("open", &path))?;
        let logged = log.metadata().map_or(0, |found| found.len());
        let started = self.pg_ctl_start(log).map_err(StartError::io("run", &self.bin_dir))?;
        if started.success() {
            log::info!("PostgreSQL started in {}", self.dir.display());
            return Ok(None);
        }
        let said = complaint(&fs::read(&path).unwrap_or_default(), logged);
        // What is left of a server that was killed has to finish first.
        if said.contains("is still in use") {
            return Ok(Some(said));
        }
        Err(StartError(format!("PostgreSQL does not start: {said} (see `{}`)", path.display())))
    }

    /// The server inherits the log, never a pipe of ours: its reader would wait for ever.
    fn pg_ctl_start(&self, log: File) -> std::io::Result<ExitStatus> {
        let wait = format!("--timeout={}", PATIENCE.as_secs());
        let mut command = self.pg_ctl("start");
        command.args(["--wait", "--silent", &wait, "--options", &self.server_options()]);
        command.stdout(log.try_clone()?).stderr(log).status()
    }

    /// A `pg_ctl` out of the terminal's reach: Ctrl-C is for the service, which then stops us.
    fn pg_ctl(&self, action: &str) -> Command {
        let mut command = self.account.command(self.bin_dir.join("pg_ctl"));
        // The folder goes by the environment, since pg_ctl pastes arguments into a shell command.
        command.arg(action).env("PGDATA", &self.dir).process_group(0);
        command
    }

    /// The settings as the shell words that `pg_ctl --options` expects.
    fn server_options(&self) -> String {
        let socket_dir = self.socket_dir.to_string_lossy().replace('"', "\"\"");
        let sockets = ("unix_socket_directories", format!("\"{socket_dir}\""));
        let port = ("port", PORT.to_string());
        let relaxed: &[(&str, &str)] = if self.durable { &[] } else { &NOT_DURABLE };
        let fixed = SETTINGS.iter().chain(relaxed).map(|(name, value)| (*name, (*value).into()));
        let all = fixed.chain([sockets, port]);
        let words =
            all.map(|(name, value)| format!("-c {}", shell_word(&format!("{name}={value}"))));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Major versions of the clusters in a folder, newest first.
fn majors(home: &Path) -> Vec<u32> {
    let names = fs::read_dir(home).into_iter().flatten().flatten().map(|found| found.file_name());
    let mut majors: Vec<u32> =
        names.filter_map(|name| name.to_str()?.strip_prefix("pg")?.parse().ok()).collect();
    majors.sort_unstable_by(|left, right| right.cmp(left));
    majors
}

fn dir_of(home: &Path, major: u32) -> PathBuf {
    home.join(format!("pg{major}"))
}

/// The data folder itself, or one below `/var/lib` where the server's user cannot enter it.
fn home(data_dir: &Path, account: &Account) -> PathBuf {
    if account.can_enter(data_dir) {
        return data_dir.into();
    }
    let home = PathBuf::from("/var/lib").join(short_name(data_dir));
    log::warn!(
        "the user {}, which PostgreSQL runs as, cannot enter {}; the database is kept in {}",
        account.name(),
        data_dir.display(),
        home.display()
    );
    home
}

fn make_home(home: &Path) -> Result<(), StartError> {
    fs::create_dir_all(home).map_err(StartError::io("create the folder", home))
}

/// `run` in the data folder, or a folder in `/tmp` where libpq could not use that path.
fn socket_dir(home: &Path) -> PathBuf {
    let dir = home.join("run");
    let socket = dir.join(SOCKET);
    let socket = socket.as_os_str().as_encoded_bytes();
    // A comma would make it a list of hosts.
    let fits = socket.len() <= LONGEST_SOCKET_PATH && !socket.contains(&b',');
    if fits { dir } else { PathBuf::from("/tmp").join(short_name(home)) }
}

/// A short name that is always the same for the same path.
fn short_name(path: &Path) -> String {
    format!("ecrm-{:08x}", crc32fast::hash(path.as_os_str().as_encoded_bytes()))
}

fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a program wrote since `start` as the reason why it gave up.
fn complaint(log: &[u8], start: u64) -> String {
    let start = usize::try_from(start).unwrap_or(0).min(log.len());
    let text = String::from_utf8_lossy(&log[start..]);
    let said = |mark| text.lines().find_map(|line| line.split_once(mark).map(|(_, said)| said));
    let reason = said("FATAL:").or_else(|| said(" error:")).or(text.lines().last());
    reason.unwrap_or("it gave no reason").trim().to_string()
}

fn is_durable(connection: &mut PgConnection) -> QueryResult<bool> {
    let fsync = diesel::dsl::sql::<Text>("current_setting('fsync')");
    Ok(diesel::select(fsync).get_result::<String>(connection)? == "on")
}

/// Creates the logins and, last, the database, where they are missing.
fn set_up(connection: &mut PgConnection) -> QueryResult<()> {
    for role in [Role::App, Role::ReadOnly] {
        let name = role.name();
        if !exists(connection, &format!("from pg_roles where rolname = '{name}'"))? {
            connection.batch_execute(&format!("create role {name} login"))?;
        }
    }
    if !exists(connection, &format!("from pg_database where datname = '{DATABASE}'"))? {
        connection.batch_execute(&format!("create database {DATABASE}"))?;
    }
    Ok(())
}

/// `query` comes from constants only.
fn exists(connection: &mut PgConnection, query: &str) -> QueryResult<bool> {
    let question = diesel::dsl::sql::<Bool>(&format!("exists (select {query})"));
    diesel::select(question).get_result(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_data_folder_gets_a_short_socket_folder() {
        assert_eq!(socket_dir(Path::new("/data")), Path::new("/data/run"));
        let deep = PathBuf::from("/").join("d".repeat(90));
        let short = socket_dir(&deep);
        assert!(short.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET_PATH, "{short:?}");
        assert_ne!(short, socket_dir(&deep.join("other")));
        assert!(socket_dir(Path::new("/a,b")).starts_with("/tmp"));
    }

    #[test]
    fn settings_survive_the_shell() {
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn the_reason_for_giving_up_is_found_in_the_log() {
        let log = b"FATAL:  old\n12:00 LOG:  x\n12:00 FATAL:  no memory\n12:00 HINT:  y\nbye\n";
        assert_eq!(complaint(log, 12), "no memory");
        assert_eq!(complaint(b"LOG: a\ncannot execute\n", 0), "cannot execute");
        assert_eq!(complaint(b"initdb: error: no room\nremoving files\n", 0), "no room");
        assert_eq!(complaint(b"abc", 3), "it gave no reason");
    }
}
