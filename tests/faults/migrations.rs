//! Replicas that start at once on an empty database, or die while they migrate it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use ecrm::db::embedded::Role;

use crate::client::Client;
use crate::postgres::{Postgres, texts};
use crate::service::{Service, command};

/// An empty database, dropped in the end.
struct Empty<'p> {
    postgres: &'p Postgres,
    name: String,
}

impl<'p> Empty<'p> {
    fn new(postgres: &'p Postgres) -> Self {
        let name = postgres.name();
        let mut pg = postgres.connect("postgres");
        pg.batch_execute(&format!("create database {name}")).expect("a database");
        // How safely it is stored is no question here, and takes most of the time.
        let hasty = format!("alter database {name} set synchronous_commit = off");
        pg.batch_execute(&hasty).expect("a setting");
        Self { postgres, name }
    }

    fn migrate(&self) -> Command {
        let url = self.postgres.url(Role::Owner, &self.name);
        let mut command = command(self.postgres.folder(), &url, &[]);
        command.arg("migrate").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn applied(&self) -> Vec<String> {
        let sql = "select version from __diesel_schema_migrations order by 1";
        texts(&mut self.postgres.connect(&self.name), sql)
    }
}

impl Drop for Empty<'_> {
    fn drop(&mut self) {
        self.postgres.drop_database(&self.name);
    }
}

/// The versions of all migrations, as their folders tell.
fn wanted() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let entries = std::fs::read_dir(folder).expect("migrations").flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().into_string().expect("text"));
    let versions = names.map(|name| name.split('_').next().unwrap_or_default().replace('-', ""));
    versions.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The lines that a migration printed; fails where it failed.
fn printed(child: Child) -> Vec<String> {
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter(|line| !line.contains("up to date")).map(Into::into).collect()
}

#[test]
fn three_replicas_migrate_an_empty_database_at_once_twenty_times() {
    let postgres = Postgres::lock();
    let wanted = wanted();
    for round in 0..20 {
        let empty = Empty::new(&postgres);
        let replicas = [(); 3].map(|()| empty.migrate().spawn().expect("a replica"));
        let done: Vec<String> = replicas.into_iter().flat_map(printed).collect();
        assert_eq!(done.len(), wanted.len(), "round {round}: each once, not {done:?}");
        assert_eq!(empty.applied(), wanted, "round {round}");
    }
}

#[test]
fn three_services_that_start_at_once_on_an_empty_database_all_serve() {
    let postgres = Postgres::lock();
    let empty = Empty::new(&postgres);
    let owner = postgres.url(Role::Owner, &empty.name);
    let url = postgres.url(Role::App, &empty.name);
    let settings = [("ECRM_MIGRATE_ON_START", "1"), ("DATABASE_MIGRATE_URL", owner.as_str())];
    let start = || {
        let service = Service::start(postgres.folder(), &url, &settings);
        let client = Client::new(&service.base(), None);
        while client.try_get("/health/ready").map_or(true, |answer| answer.status != 200) {
            assert!(service.is_running(), "a replica has ended");
            thread::sleep(Duration::from_millis(50));
        }
    };
    thread::scope(|scope| {
        let replicas = [(); 3].map(|()| scope.spawn(start));
        replicas.into_iter().for_each(|replica| replica.join().expect("a replica that serves"));
    });
    assert_eq!(empty.applied(), wanted());
}

#[test]
fn a_migration_that_was_killed_is_finished_by_the_next() {
    let postgres = Postgres::lock();
    for delay in [20, 60, 120, 200, 300, 450] {
        let empty = Empty::new(&postgres);
        let mut victim = empty.migrate().spawn().expect("a replica");
        thread::sleep(Duration::from_millis(delay));
        victim.kill().expect("killed");
        victim.wait().expect("an end");
        printed(empty.migrate().spawn().expect("a replica"));
        assert_eq!(empty.applied(), wanted(), "killed after {delay} ms");
    }
}
