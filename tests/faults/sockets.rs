//! Callers who are slow, never finish, do not listen or send more than they say.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::client::CUSTOMERS;
use crate::postgres::number;
use crate::promise::usual;
use crate::stage::Stage;
use crate::wire::{connect, exchange, head, receive};

/// Writes a byte now and then, until the service has had enough.
fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    let started = Instant::now();
    for byte in bytes.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() || started.elapsed() > Duration::from_secs(12) {
            break;
        }
        thread::sleep(Duration::from_millis(200));
        if stream.take_error().is_ok_and(|error| error.is_some()) || is_closed(stream) {
            break;
        }
    }
}

/// Whether the service has answered, or closed.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a mode");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a mode");
    peeked.is_ok()
}

#[test]
fn a_head_that_comes_too_slowly_is_given_up() {
    let stage = Stage::new();
    let started = Instant::now();
    let mut stream = connect(stage.service.port);
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ").expect("a beginning");
    drip(&mut stream, b"x");
    let answer = receive(&mut stream);
    assert!([0, 408].contains(&answer.status), "{answer:?}");
    let waited = started.elapsed();
    assert!((4..9).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn a_body_that_comes_too_slowly_is_answered_408() {
    let stage = Stage::with(&[("ECRM_BODY_TIMEOUT_MS", "1500")]);
    for more in ["Content-Length: 500\r\n", "Transfer-Encoding: chunked\r\n"] {
        let started = Instant::now();
        let mut stream = connect(stage.service.port);
        stream.write_all(head(&stage.postgres.key, more).as_bytes()).expect("a head");
        drip(&mut stream, b"1\r\n \r\n");
        let answer = receive(&mut stream);
        assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"), "{more}");
        let waited = started.elapsed();
        assert!((1..5).contains(&waited.as_secs()), "{waited:?}");
    }
    let stored = number(&mut stage.connect(), "select count(*) from customers");
    assert_eq!(stored, 0);
}

/// The times of some requests of others, in order.
fn times_of_others(stage: &Stage) -> Vec<Duration> {
    let read = |_| stage.read().expect(200).waited;
    let write = |_| stage.store(&stage.mark()).expect(201).waited;
    let mut times: Vec<_> = (0..20).map(read).chain((0..20).map(write)).collect();
    times.sort_unstable();
    times
}

#[test]
fn a_thousand_stalled_callers_slow_nobody_down_and_are_let_go() {
    let stage = Stage::with(&[("ECRM_BODY_TIMEOUT_MS", "5000")]);
    let undisturbed = times_of_others(&stage);
    let begun = head(&stage.postgres.key, "Content-Length: 1000\r\n") + "{";
    let parts = ["GET /v1/customers HTTP/1.1\r\nHost: x\r\n", begun.as_str()];
    let stalled = if room_for_files() >= 2_500 { 1000 } else { 300 };
    let mut streams: Vec<_> = (0..stalled)
        .map(|n| {
            let mut stream = connect(stage.service.port);
            stream.write_all(parts[n % 2].as_bytes()).expect("a beginning");
            stream
        })
        .collect();
    let disturbed = times_of_others(&stage);
    let (before, after) = (undisturbed[20], disturbed[20]);
    println!("{stalled} stalled: median {before:?} before, {after:?} beside them");
    assert!(after < before * 3 + Duration::from_millis(30), "{after:?} instead of {before:?}");
    assert!(disturbed[39] < Duration::from_secs(2) + usual(), "{disturbed:?}");
    for stream in &mut streams {
        assert!([0, 408].contains(&receive(stream).status));
    }
    stage.audit();
}

/// How many files this process and the service may open.
fn room_for_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(0)
}

#[test]
fn callers_who_do_not_read_their_answers_slow_nobody_down() {
    let stage = Stage::new();
    let _deaf: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = connect(stage.service.port);
            let ask = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(4);
            stream.write_all(ask.as_bytes()).expect("a request");
            stream
        })
        .collect();
    let times = times_of_others(&stage);
    assert!(times[20] < Duration::from_millis(500) + usual(), "{times:?}");
    assert!(times[39] < Duration::from_secs(4) + usual(), "{times:?}");
}

/// A megabyte that would become a gigabyte: gzip allows parts in a row.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 1024 * 1024]).expect("packed");
    let part = encoder.finish().expect("packed");
    part.repeat(1000 * 1000 / part.len())
}

#[test]
fn gzip_bombs_are_answered_413_and_take_no_memory() {
    let stage = Stage::new();
    let bomb = bomb();
    let more = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len());
    let request = [head(&stage.postgres.key, &more).into_bytes(), bomb].concat();
    let before = stage.service.peak_kib();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let started = Instant::now();
                let answer = exchange(stage.service.port, &request);
                let seen = (answer.status, answer.code());
                assert_eq!(seen, (413, "payload_too_large".into()));
                assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
            });
        }
    });
    stage.client.get(CUSTOMERS).expect(200);
    if let (Some(before), Some(after)) = (before, stage.service.peak_kib()) {
        println!("{before} KiB before, {after} KiB at the peak");
        assert!(after < before + 64 * 1024, "{before} KiB became {after} KiB");
    }
}
