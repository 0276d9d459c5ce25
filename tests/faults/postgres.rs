//! The one Postgres of all tests: a durable one of their own, which they may stop, kill and start.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::{Connection, QueryableByName, RunQueryDsl};
use ecrm::db::embedded::{Embedded, Options, Role};
use ecrm::db::migrate;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::service;

/// A migrated database with the workspace `faults`, which every test copies.
const TEMPLATE: &str = "faults_template";

/// How Postgres ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Connections are cut, what was committed is written out.
    Fast,
    /// As after a crash: the next start recovers from the log.
    Immediate,
    /// SIGKILL.
    Killed,
}

pub struct Postgres {
    folder: PathBuf,
    running: Mutex<Option<Embedded>>,
    databases: AtomicU32,
    /// A key with all scopes in the workspace of the template.
    pub key: String,
}

static POSTGRES: LazyLock<Mutex<Postgres>> = LazyLock::new(|| Mutex::new(Postgres::create()));

impl Postgres {
    /// The running server, for one test at a time: others would spoil the times it measures.
    pub fn lock() -> MutexGuard<'static, Self> {
        // A test that failed may have left it stopped.
        let postgres = POSTGRES.lock().unwrap_or_else(PoisonError::into_inner);
        if !postgres.is_alive() {
            postgres.start();
        }
        postgres
    }

    fn create() -> Self {
        let folder = format!("faults-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        let (running, databases) = (Mutex::new(None), AtomicU32::new(0));
        let mut postgres = Self { folder, running, databases, key: String::new() };
        postgres.start();
        postgres.stop_after_us();
        let mut pg = postgres.connect("postgres");
        // After a crash Postgres makes sure of every file, one by one, unless told so. The setting
        // is for Linux alone.
        drop(pg.batch_execute("alter system set recovery_init_sync_method = 'syncfs'"));
        pg.batch_execute(&format!("create database {TEMPLATE}")).expect("a database");
        migrate::run(&postgres.url(Role::Owner, TEMPLATE)).expect("migrations");
        let url = postgres.url(Role::Owner, TEMPLATE);
        service::run(&postgres.folder, &url, &["workspace", "create", "faults"]);
        let key = service::run(&postgres.folder, &url, &["key", "create", "--workspace", "faults"]);
        postgres.key = key.trim().to_owned();
        postgres
    }

    /// A test binary has no end to act on, so a small watcher stops the server and tidies up.
    fn stop_after_us(&self) {
        use std::os::unix::process::CommandExt;
        let script = r#"while kill -0 "$1" 2>/dev/null; do sleep 0.3; done
            kill -INT $(head -1 "$2"/pg*/postmaster.pid); sleep 3; rm -rf "$2" "$3""#;
        let mut command = Command::new("sh");
        let home = self.home().expect("it runs");
        command
            .args(["-c", script, "sh", &std::process::id().to_string()])
            .arg(home)
            .arg(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        drop(command.process_group(0).spawn());
    }

    /// Where services keep their files, and their logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it, and waits until it takes connections.
    pub fn start(&self) {
        let mut running = self.running();
        // The share in a server that was killed has to go first.
        *running = None;
        let options = Options { data_dir: &self.folder, durable: true };
        let started = Embedded::start(&options).unwrap_or_else(|error| panic!("{error}"));
        *running = Some(started);
    }

    fn running(&self) -> MutexGuard<'_, Option<Embedded>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of its data, which lies elsewhere where Postgres may not enter ours.
    fn home(&self) -> Option<PathBuf> {
        self.running().as_ref().map(|server| server.data_dir().to_owned())
    }

    /// Ends it, and waits until it is gone.
    pub fn end(&self, how: End) {
        let pid = self.pid().expect("a running server");
        let signal = match how {
            End::Fast => Signal::SIGINT,
            End::Immediate => Signal::SIGQUIT,
            End::Killed => Signal::SIGKILL,
        };
        kill(pid, signal).expect("a signal");
        let asked = Instant::now();
        while service::is_running(pid) {
            assert!(asked.elapsed() < Duration::from_secs(30), "Postgres does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where its data lies.
    pub fn cluster(&self) -> Option<PathBuf> {
        let mut entries = std::fs::read_dir(self.home()?).ok()?.flatten().map(|entry| entry.path());
        entries.find(|path| path.join("PG_VERSION").exists())
    }

    fn pid(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.cluster()?.join("postmaster.pid")).ok()?;
        Some(Pid::from_raw(text.lines().next()?.trim().parse().ok()?))
    }

    fn is_alive(&self) -> bool {
        self.pid().is_some_and(service::is_running)
    }

    pub fn url(&self, role: Role, database: &str) -> String {
        self.running().as_ref().expect("a running server").url(role, database)
    }

    /// The unix socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        let url: url::Url = self.url(Role::Owner, "postgres").parse().expect("a URL");
        let (_, folder) = url.query_pairs().find(|(name, _)| name == "host").expect("a folder");
        Path::new(folder.as_ref()).join(".s.PGSQL.5432")
    }

    /// A superuser's connection.
    pub fn connect(&self, database: &str) -> PgConnection {
        PgConnection::establish(&self.url(Role::Owner, database)).expect("a connection")
    }

    /// A new name for a database.
    pub fn name(&self) -> String {
        format!("faults_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    /// A new database: migrated, with the workspace and its key in it.
    pub fn database(&self) -> String {
        let name = self.name();
        let sql = format!("create database {name} template {TEMPLATE}");
        let asked = Instant::now();
        // A command that is just ending may still be connected to the template.
        while let Err(error) = self.connect("postgres").batch_execute(&sql) {
            assert!(asked.elapsed() < Duration::from_secs(5), "{error}");
            thread::sleep(Duration::from_millis(50));
        }
        name
    }

    pub fn drop_database(&self, name: &str) {
        let sql = format!("drop database if exists {name} with (force)");
        self.connect("postgres").batch_execute(&sql).expect("dropped");
    }
}

/// The one number that a query answers.
pub fn number(pg: &mut PgConnection, sql: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let asked = diesel::sql_query(format!("select ({sql})::bigint as n"));
    asked.get_result::<Row>(pg).unwrap_or_else(|error| panic!("{sql}: {error}")).n
}

/// The texts that a query answers.
pub fn texts(pg: &mut PgConnection, sql: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        t: String,
    }
    let asked = diesel::sql_query(format!("select t::text as t from ({sql}) as rows (t)"));
    let rows: Vec<Row> = asked.load(pg).unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|row| row.t).collect()
}
