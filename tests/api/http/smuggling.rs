//! Requests that two servers in a row could understand differently (B8): those that are taken, and
//! what they mean. The ones that are refused stand in `tests/faults/golden`.

use std::io::Write;
use std::time::{Duration, Instant};

use super::wire::{connect, exchange, receive};
use crate::harness::workspace;

/// Another request, hidden where a body may be.
const HIDDEN: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

/// The host of a request line or header never gets into an answer.
#[test]
fn a_foreign_host_is_believed_by_nobody() {
    let client = workspace();
    for line in ["GET http://evil.example.com/ HTTP/1.1", "GET / HTTP/1.1"] {
        let request = format!(
            "{line}\r\nHost: evil.example.com\r\nConnection: close\r\n\
                     X-Forwarded-Host: evil.example.com\r\n\r\n"
        );
        let answer = exchange(&client, request);
        assert_eq!(answer.status, 302, "{line}");
        assert!(!answer.head.contains("evil"), "{}", answer.head);
        assert_eq!(answer.header("location"), Some("/docs/"));
    }
}

/// Two requests on one connection are two answers, in their order.
#[test]
fn requests_may_follow_each_other_on_one_connection() {
    let client = workspace();
    let last = HIDDEN.replace("Host: x", "Host: x\r\nConnection: close");
    let answer = exchange(&client, format!("{HIDDEN}{HIDDEN}{last}"));
    assert_eq!((answer.status, answer.answers), (200, 3));
}

/// B1
#[test]
fn a_head_that_never_ends_is_given_up() {
    let client = workspace();
    let started = Instant::now();
    let mut stream = connect(&client);
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n").expect("a beginning");
    let answer = receive(stream);
    assert!([0, 408].contains(&answer.status), "{}", answer.head);
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
}
