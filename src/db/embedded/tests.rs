//! Runs the installed Postgres through what happens to it in real life.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, PgConnection, RunQueryDsl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::*;
use crate::db::embedded::postmaster::Postmaster;

/// A data folder of its own, removed with whatever server was left running in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self::named("ecrm-embedded")
    }

    fn named(prefix: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn start(&self) -> Embedded {
        self.try_start().expect("PostgreSQL starts")
    }

    fn try_start(&self) -> Result<Embedded, StartError> {
        Embedded::start(&Options { data_dir: &self.0, durable: false })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(pid) = pid_in(&self.0) {
            kill(pid, Signal::SIGQUIT).unwrap_or_default();
        }
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

fn cluster_in(home: &Path) -> Option<PathBuf> {
    let found = fs::read_dir(home).ok()?.flatten().map(|found| found.path());
    found.into_iter().find(|path| path.join("PG_VERSION").exists())
}

fn pid_in(home: &Path) -> Option<Pid> {
    Some(Pid::from_raw(Postmaster::read(&cluster_in(home)?)?.pid))
}

fn connect(server: &Embedded, role: Role) -> PgConnection {
    PgConnection::establish(&server.url(role, DATABASE)).expect("a connection")
}

fn run(server: &Embedded, sql: &str) {
    connect(server, Role::Owner).batch_execute(sql).expect("the statement runs");
}

fn count(server: &Embedded) -> i64 {
    let rows = diesel::dsl::sql::<BigInt>("(select count(*) from kept)");
    diesel::select(rows).get_result(&mut connect(server, Role::Owner)).expect("a count")
}

fn setting(server: &Embedded, name: &str) -> String {
    let value = diesel::dsl::sql::<Text>(&format!("current_setting('{name}')"));
    diesel::select(value).get_result(&mut connect(server, Role::App)).expect("a setting")
}

/// What remains when the process is killed: the server runs, and the kernel has dropped the locks.
fn abandon(server: Embedded) {
    server.occupancy.release_for_test();
    std::mem::forget(server);
}

#[test]
fn a_first_start_creates_the_database_and_its_logins() {
    let scratch = Scratch::new();
    let server = scratch.start();
    assert!(server.is_owner());
    assert_eq!(setting(&server, "server_encoding"), "UTF8");
    assert_eq!(setting(&server, "listen_addresses"), "");
    assert_eq!(setting(&server, "data_checksums"), "on");
    assert_eq!(setting(&server, "synchronous_commit"), "on");
    for role in [Role::App, Role::ReadOnly] {
        let refused = connect(&server, role).batch_execute("create table t (id int)");
        let refused = refused.expect_err("no DDL").to_string();
        assert!(refused.contains("permission denied"), "{refused}");
    }
}

#[test]
fn the_socket_is_closed_to_other_users() {
    let scratch = Scratch::new();
    let server = scratch.start();
    let mode = fs::metadata(server.data_dir().join("run")).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_second_start_joins_and_does_not_stop_the_server() {
    let scratch = Scratch::new();
    let first = scratch.start();
    let second = scratch.start();
    assert!(first.is_owner());
    assert!(!second.is_owner());
    drop(second);
    run(&first, "select 1");
}

#[test]
fn two_first_starts_at_once_share_one_server() {
    let scratch = Scratch::new();
    let (left, right) = std::thread::scope(|scope| {
        let left = scope.spawn(|| scratch.start());
        let right = scope.spawn(|| scratch.start());
        (left.join().expect("the left one"), right.join().expect("the right one"))
    });
    assert_ne!(left.is_owner(), right.is_owner());
    assert_eq!(left.url(Role::App, DATABASE), right.url(Role::App, DATABASE));
}

#[test]
fn the_last_one_out_stops_the_server() {
    let scratch = Scratch::new();
    let command = scratch.start();
    let service = scratch.start();
    drop(command);
    run(&service, "select 1");
    drop(service);
    assert_eq!(pid_in(&scratch.0), None);
}

#[test]
fn a_restart_keeps_the_data() {
    let scratch = Scratch::new();
    run(&scratch.start(), "create table kept (id int); insert into kept values (1), (2)");
    assert_eq!(pid_in(&scratch.0), None);
    assert_eq!(count(&scratch.start()), 2);
}

#[test]
fn a_killed_server_starts_again_with_its_data() {
    let scratch = Scratch::new();
    let server = scratch.start();
    run(&server, "create table kept (id int); insert into kept values (1)");
    let pid = pid_in(&scratch.0).expect("a server");
    kill(pid, Signal::SIGKILL).expect("killed");
    abandon(server);
    let server = scratch.start();
    assert!(server.is_owner());
    assert_ne!(pid_in(&scratch.0), Some(pid));
    assert_eq!(count(&server), 1);
}

#[test]
fn a_pid_that_now_belongs_to_a_stranger_is_no_obstacle() {
    let scratch = Scratch::new();
    let server = scratch.start();
    run(&server, "create table kept (id int); insert into kept values (1)");
    let pid_file = postmaster::pid_file(&cluster_in(&scratch.0).expect("a cluster"));
    let text = fs::read_to_string(&pid_file).expect("a pid file");
    drop(server);
    let account = account::Account::choose(cluster_in(&scratch.0).as_deref()).expect("an account");
    let mut stranger = account.command("sleep").arg("60").spawn().expect("a process");
    let rest = text.split_once('\n').expect("lines").1;
    fs::write(&pid_file, format!("{}\n{rest}", stranger.id())).expect("written");
    account.own(&pid_file).expect("owned");
    let server = scratch.try_start();
    stranger.kill().expect("killed");
    stranger.wait().expect("gone");
    assert_eq!(count(&server.expect("PostgreSQL starts")), 1);
}

#[test]
fn a_server_left_running_is_taken_over() {
    let scratch = Scratch::new();
    let server = scratch.start();
    let pid = pid_in(&scratch.0);
    abandon(server);
    let server = scratch.start();
    assert!(server.is_owner());
    assert_eq!(pid_in(&scratch.0), pid);
    drop(server);
    assert_eq!(pid_in(&scratch.0), None);
}

#[test]
fn a_server_left_running_without_durability_does_not_stay_so() {
    let scratch = Scratch::new();
    abandon(scratch.start());
    let durable = Options { data_dir: &scratch.0, durable: true };
    let server = Embedded::start(&durable).expect("PostgreSQL starts");
    assert_eq!(setting(&server, "fsync"), "on");
    assert_eq!(setting(&server, "full_page_writes"), "on");
}

#[test]
fn an_interrupted_creation_is_begun_anew() {
    let scratch = Scratch::new();
    drop(scratch.start());
    let cluster = cluster_in(&scratch.0).expect("a cluster");
    fs::remove_file(cluster.join("global/pg_control")).expect("spoilt");
    fs::rename(&cluster, cluster.with_extension("new")).expect("unfinished");
    run(&scratch.start(), "select 1");
}

#[test]
fn odd_and_long_folder_names_work() {
    let long = "long".repeat(25);
    for name in ["ecrm it's \"50%\" $HOME `x` ü", "ecrm,comma", &long] {
        let scratch = Scratch::named(name);
        run(&scratch.start(), "select 1");
    }
}

#[test]
fn a_database_that_cannot_start_says_why() {
    let scratch = Scratch::new();
    drop(scratch.start());
    let cluster = cluster_in(&scratch.0).expect("a cluster");
    fs::remove_file(cluster.join("global/pg_control")).expect("spoilt");
    let error = scratch.try_start().err().expect("it cannot start").to_string();
    assert!(error.contains("PostgreSQL does not start"), "{error}");
    assert!(error.contains("postgres.log"), "{error}");
}

#[test]
fn root_keeps_the_database_elsewhere_when_postgres_cannot_enter_the_data_folder() {
    if !geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    fs::create_dir(&scratch.0).expect("a folder");
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).expect("closed");
    let server = scratch.start();
    let home = Scratch(server.data_dir().to_path_buf());
    assert!(home.0.starts_with("/var/lib"), "{:?}", home.0);
    run(&server, "select 1");
    assert!(!scratch.start().is_owner());
    drop(server);
}
