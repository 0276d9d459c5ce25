//! SIGTERM: nobody hears of it but who comes too late, and the process ends in time.

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::client::{CUSTOMERS, Client, NoAnswer};
use crate::proxy::Mode;
use crate::stage::Stage;
use crate::wire;

/// How requests ended: a status, or why there was none.
type Ends = BTreeMap<String, usize>;

/// Reads and writes until nobody listens any more; how each request ended.
fn ask_until_refused(client: &Client, caller: usize) -> Ends {
    let mut ends = Ends::new();
    let started = Instant::now();
    for n in 0.. {
        assert!(started.elapsed() < Duration::from_secs(20), "the service goes on: {ends:?}");
        let key = format!("{caller}-{n}");
        let outcome = match n % 2 {
            0 => client.try_get(CUSTOMERS),
            _ => client.send("POST", CUSTOMERS, Some(&key), Some(&json!({ "last_name": key }))),
        };
        let is_refused = matches!(&outcome, Err(NoAnswer::Refused));
        let end = match outcome {
            Ok(answer) => answer.status.to_string(),
            Err(error) => format!("{error:?}"),
        };
        *ends.entry(end).or_default() += 1;
        if is_refused {
            break;
        }
    }
    ends
}

/// Lets callers ask while the service is told to end; how their requests ended.
fn ends_under_load(client: &Client, stage: &mut Stage) -> Ends {
    let callers: Vec<_> = (0..6)
        .map(|caller| {
            let client = client.clone();
            thread::spawn(move || ask_until_refused(&client, caller))
        })
        .collect();
    thread::sleep(Duration::from_millis(700));
    stage.service.terminate();
    let (status, took) = stage.service.wait(Duration::from_secs(10));
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut all = Ends::new();
    for caller in callers {
        for (end, count) in caller.join().unwrap() {
            *all.entry(end).or_default() += count;
        }
    }
    println!("{all:?}, ended after {took:?}");
    all
}

/// Everybody was served or refused; and enough were served for that to mean something.
fn were_served_or_refused(ends: &Ends) {
    let known = ["200", "201", "Refused"];
    let others: Vec<_> = ends.iter().filter(|(end, _)| !known.contains(&end.as_str())).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(ends["200"] + ends["201"] > 50, "{ends:?}");
}

#[test]
fn a_service_that_ends_under_load_cuts_nobody_off() {
    let mut stage = Stage::new();
    let client = stage.client.without_keep_alive();
    were_served_or_refused(&ends_under_load(&client, &mut stage));
}

#[test]
fn a_service_that_ends_under_load_cuts_nobody_off_who_keeps_connections() {
    let mut stage = Stage::with(&[("ECRM_DRAIN_DELAY_MS", "600")]);
    let client = stage.client.clone();
    were_served_or_refused(&ends_under_load(&client, &mut stage));
}

#[test]
fn a_service_that_ends_says_so_before_it_stops_listening() {
    let mut stage = Stage::with(&[("ECRM_DRAIN_DELAY_MS", "1500")]);
    stage.client.get("/health/ready").expect(200);
    stage.service.terminate();
    thread::sleep(Duration::from_millis(300));
    stage.client.get("/health/ready").expect_503("unavailable");
    stage.client.get("/health/live").expect(200);
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
