//! SIGTERM: nobody hears of it but who comes too late, and the process ends in time.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use ecrm::db::embedded::Role;
use serde_json::json;

use crate::client::{CUSTOMERS, Client, NoAnswer};
use crate::postgres::Postgres;
use crate::promise::usual;
use crate::proxy::Mode;
use crate::service::Service;
use crate::stage::Stage;
use crate::wire;

/// How the requests of some callers ended.
#[derive(Debug, Default)]
struct Ends {
    statuses: BTreeMap<u16, usize>,
    refused: usize,
    /// What was sent on a connection that ended without an answer.
    cut: Vec<String>,
}

/// Reads and writes until nobody listens any more.
fn ask_until_refused(client: &Client, caller: usize, answered: &AtomicUsize) -> Ends {
    let mut ends = Ends::default();
    let started = Instant::now();
    for n in 0.. {
        assert!(started.elapsed() < Duration::from_secs(60), "the service goes on: {ends:?}");
        let key = format!("{caller}-{n}");
        let outcome = match n % 2 {
            0 => client.try_get(CUSTOMERS),
            _ => client.send("POST", CUSTOMERS, Some(&key), Some(&json!({ "last_name": key }))),
        };
        match outcome {
            Ok(answer) => {
                *ends.statuses.entry(answer.status).or_default() += 1;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(NoAnswer::Cut(_)) => ends.cut.push(key),
            Err(NoAnswer::Refused) => {
                ends.refused += 1;
                break;
            }
        }
    }
    ends
}

/// Callers who ask while the service is told to end are served or refused. Where the system cannot turn
/// them away, some are cut off, and nothing of theirs is done.
fn ends_under_load(mut stage: Stage, client: &Client) {
    let answered = AtomicUsize::new(0);
    let ask = |caller| ask_until_refused(client, caller, &answered);
    let (ends, took): (Vec<Ends>, _) = thread::scope(|scope| {
        let callers: Vec<_> = (0..6)
            .map(|caller| {
                scope.spawn({
                    let ask = &ask;
                    move || ask(caller)
                })
            })
            .collect();
        while answered.load(Ordering::Relaxed) < 150 {
            assert!(!callers.iter().all(ScopedJoinHandle::is_finished), "nobody asks any more");
            thread::sleep(Duration::from_millis(10));
        }
        stage.service.terminate();
        let (status, took) = stage.service.wait(Duration::from_secs(10));
        assert!(status.success(), "{status}");
        (callers.into_iter().map(|caller| caller.join().unwrap()).collect(), took)
    });
    assert!(took < Duration::from_secs(5) + usual(), "{took:?}");
    println!("{ends:?}, ended after {took:?}");
    let mut statuses = ends.iter().flat_map(|ends| ends.statuses.keys());
    assert!(statuses.all(|status| [200, 201].contains(status)), "{ends:?}");
    assert!(ends.iter().all(|ends| ends.refused == 1), "{ends:?}");
    assert!(!cfg!(target_os = "linux") || ends.iter().all(|ends| ends.cut.is_empty()), "{ends:?}");
    let cut = ends.iter().flat_map(|ends| &ends.cut);
    cut.for_each(|mark| assert_eq!(stage.stored(mark), 0, "{mark} was stored without an answer"));
}

#[test]
fn a_service_that_ends_under_load_cuts_nobody_off() {
    let stage = Stage::new();
    let client = stage.client.without_keep_alive();
    ends_under_load(stage, &client);
}

#[test]
fn a_service_that_ends_under_load_cuts_nobody_off_who_keeps_connections() {
    let stage = Stage::with(&[("ECRM_DRAIN_DELAY_MS", "600")]);
    let client = stage.client.clone();
    ends_under_load(stage, &client);
}

#[test]
fn a_service_that_ends_says_so_before_it_stops_listening() {
    let mut stage = Stage::with(&[("ECRM_DRAIN_DELAY_MS", "1500")]);
    stage.client.get("/health/ready").expect(200);
    stage.service.terminate();
    thread::sleep(Duration::from_millis(300));
    stage.client.get("/health/ready").expect_503("unavailable");
    let alive = stage.client.get("/health/live").expect(200);
    assert_eq!(alive.headers["connection"], "close", "nobody keeps a connection that ends");
    stage.store(&stage.mark()).expect(201);
    let (status, took) = stage.service.wait(Duration::from_secs(5));
    assert!(status.success(), "{status}");
    assert!(took > Duration::from_millis(800), "it did not wait: {took:?}");
    stage.audit();
}

#[test]
fn a_request_under_way_is_finished_before_the_service_ends() {
    let mut stage = Stage::new();
    let made = stage.store(&stage.mark()).expect(201);
    let path = format!("{CUSTOMERS}/{}", made.id());
    let mut holder = stage.connect();
    holder.batch_execute("begin; select 1 from customers for update").expect("a lock");
    let client = stage.client.clone();
    let writer =
        thread::spawn(move || client.write("PATCH", &path, "patch", &json!({ "score": 1 })));
    thread::sleep(Duration::from_millis(400));
    stage.service.terminate();
    thread::sleep(Duration::from_millis(1000));
    assert!(!writer.is_finished() && stage.service.is_running());
    drop(holder);
    writer.join().unwrap().expect(200);
    assert!(stage.service.wait(Duration::from_secs(5)).0.success());
}

#[test]
fn callers_who_never_finish_do_not_keep_the_service_from_ending() {
    let mut stage = Stage::with(&[("ECRM_SHUTDOWN_TIMEOUT_S", "1")]);
    let head = wire::head(&stage.postgres.key, "Content-Length: 100\r\n");
    let _stalled: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = wire::connect(stage.service.port);
            stream.write_all(head.as_bytes()).expect("a head");
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    stage.service.terminate();
    let (status, took) = stage.service.wait(Duration::from_secs(4));
    assert!(status.success(), "{status}");
    println!("ended after {took:?}");
}

#[test]
fn a_database_that_is_away_does_not_keep_the_service_from_ending() {
    let mut stage = Stage::with(&[("ECRM_SHUTDOWN_TIMEOUT_S", "2")]);
    stage.proxy.set(Mode::Refuse);
    stage.proxy.sever();
    stage.read().expect_503("unavailable");
    stage.service.terminate();
    assert!(stage.service.wait(Duration::from_secs(6)).0.success());
}

#[test]
fn a_database_that_has_fallen_silent_does_not_keep_the_service_from_ending() {
    let mut stage = Stage::with(&[("ECRM_SHUTDOWN_TIMEOUT_S", "2")]);
    stage.fill_the_pool();
    stage.proxy.set(Mode::Blackhole);
    let client = stage.client.with_patience(Duration::from_millis(500));
    assert!(client.try_get(CUSTOMERS).is_err());
    // The worker, too, has asked for something by now.
    thread::sleep(Duration::from_secs(2));
    stage.service.terminate();
    let (status, took) = stage.service.wait(Duration::from_secs(6));
    assert!(status.success(), "{status}");
    println!("ended after {took:?}");
}

#[test]
fn a_worker_shows_its_health_and_figures_until_it_is_told_to_end() {
    let postgres = Postgres::lock();
    let database = postgres.database();
    let failed =
        "insert into jobs (workspace_id, id, queue, kind, payload, state, run_at, attempts,
                                    max_attempts, created_at, finished_at)
                  values (gen_random_uuid(), gen_random_uuid(), 'mail', 'mail.send', '{}', 'failed',
                          now(), 10, 10, now(), now())";
    postgres.connect(&database).batch_execute(failed).expect("a job that has failed");
    let url = postgres.url(Role::App, &database);
    let mut worker = Service::start_as("worker", postgres.folder(), &url, &[]);
    let client = Client::new(&worker.base(), Some(&postgres.key));
    client.get("/health/live").expect(200);
    client.get("/health/ready").expect(200);
    client.get(CUSTOMERS).expect(404);
    let figures = || {
        let mut answer = ureq::get(format!("{}/metrics", worker.base())).call().expect("metrics");
        answer.body_mut().read_to_string().expect("text")
    };
    let asked = Instant::now();
    while !figures().contains(r#"ecrm_jobs{queue="mail",state="failed"} 1"#) {
        assert!(asked.elapsed() < Duration::from_secs(10), "{}", figures());
        thread::sleep(Duration::from_millis(50));
    }
    worker.terminate();
    let (status, _) = worker.wait(Duration::from_secs(5));
    assert!(status.success(), "{status}");
}
