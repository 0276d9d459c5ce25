//! What most tests need: a database of its own, a service, the proxy between them, and a ledger of
//! what the service has acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use ecrm::db::embedded::Role;
use serde_json::json;

use crate::client::{Answer, CUSTOMERS, Client};
use crate::postgres::{Postgres, number, texts};
use crate::promise;
use crate::proxy::Proxy;
use crate::service::Service;

pub struct Stage {
    // Ended in this order: service, proxy, database.
    pub service: Service,
    pub proxy: Proxy,
    pub client: Client,
    pub database: String,
    pub postgres: MutexGuard<'static, Postgres>,
    ledger: Mutex<BTreeSet<String>>,
    marks: AtomicU32,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(&[])
    }

    pub fn with(settings: &[(&str, &str)]) -> Self {
        let postgres = Postgres::lock();
        let database = postgres.database();
        let proxy = Proxy::start(&postgres.socket());
        let url = proxy.url(Role::App.name(), &database);
        let service = Service::start(postgres.folder(), &url, settings);
        let client = Client::new(&service.base(), Some(&postgres.key));
        let (ledger, marks) = (Mutex::default(), AtomicU32::new(0));
        let stage = Self { service, proxy, client, database, postgres, ledger, marks };
        stage.fill_the_pool();
        stage
    }

    /// A superuser's connection that does not pass the proxy.
    pub fn connect(&self) -> PgConnection {
        self.postgres.connect(&self.database)
    }

    pub fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Something unique to store.
    pub fn mark(&self) -> String {
        format!("mark-{:05}", self.marks.fetch_add(1, Ordering::Relaxed))
    }

    /// Stores a mark as a customer's name; a 2xx goes into the ledger.
    pub fn store(&self, mark: &str) -> Answer {
        let body = json!({ "last_name": mark });
        let answer = self.client.write("POST", CUSTOMERS, mark, &body);
        if answer.is_success() {
            self.ledger.lock().unwrap().insert(mark.to_owned());
        }
        answer
    }

    pub fn read(&self) -> Answer {
        self.client.get(&format!("{CUSTOMERS}?limit=1"))
    }

    /// How often a mark is stored, past service and proxy.
    pub fn stored(&self, mark: &str) -> i64 {
        let sql = format!("select count(*) from customers where last_name = '{mark}'");
        number(&mut self.connect(), &sql)
    }

    /// What was acknowledged is stored, and nothing is stored twice.
    pub fn audit(&self) {
        let sql = "select last_name from customers where last_name is not null order by 1";
        let stored = texts(&mut self.connect(), sql);
        let once: BTreeSet<String> = stored.iter().cloned().collect();
        assert_eq!(once.len(), stored.len(), "stored twice: {stored:?}");
        let acknowledged = self.ledger.lock().unwrap();
        let lost: Vec<_> = acknowledged.difference(&once).collect();
        assert!(!acknowledged.is_empty() && lost.is_empty(), "acknowledged and lost: {lost:?}");
    }

    /// Lets readers and writers ask at the same moment; the answers of each, and what was to be
    /// written.
    pub fn crowd(&self, each: usize) -> (Vec<Answer>, Vec<(String, Answer)>) {
        let marks: Vec<String> = (0..each).map(|_| self.mark()).collect();
        thread::scope(|scope| {
            let readers: Vec<_> =
                (0..each).map(|_| scope.spawn(|| self.client.get(CUSTOMERS))).collect();
            let writers: Vec<_> = marks
                .iter()
                .map(|mark| scope.spawn(move || (mark.clone(), self.store(mark))))
                .collect();
            let reads = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
            (reads, writers.into_iter().map(|writer| writer.join().unwrap()).collect())
        })
    }

    /// Opens as many connections as the pool may have, and notes what that many callers wait.
    pub fn fill_the_pool(&self) {
        let read = || [(); 4].map(|()| self.read().expect(200).waited);
        let times: Vec<Duration> = thread::scope(|scope| {
            let readers = [(); 8].map(|()| scope.spawn(read));
            readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
        });
        promise::is_usual(&times);
    }

    /// While the database is away, what needs none is answered at once.
    pub fn the_rest_works(&self) {
        let started = Instant::now();
        self.client.get("/health/live").expect(200);
        self.client.get("/nowhere").expect(404);
        self.client.without_credential().get(CUSTOMERS).expect(401);
        promise::kept(&[started.elapsed()], Duration::from_millis(1000));
    }

    /// Until when readers and writers were served again, from `back` on.
    pub fn recovery(&self, back: Instant) -> Duration {
        let mark = self.mark();
        let limit = Duration::from_secs(20);
        loop {
            if self.read().is_success() && self.store(&mark).is_success() {
                return back.elapsed();
            }
            assert!(back.elapsed() < limit, "not served {:?} after the database", back.elapsed());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends again what got no 2xx, with the same keys.
    pub fn repeat(&self, writes: &[(String, Answer)]) {
        for (mark, _) in writes.iter().filter(|(_, answer)| !answer.is_success()) {
            self.store(mark).expect(201);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A test that failed may have stopped Postgres; its database then stays until the end.
        if !thread::panicking() {
            self.postgres.drop_database(&self.database);
        }
    }
}
