//! Requests that two servers in a row could understand differently (B8). Each is refused, or at
//! least never becomes two requests.

use std::io::Write;
use std::time::{Duration, Instant};

use super::wire::{connect, exchange, receive};
use crate::harness::workspace;

/// Another request, hidden where a body may be.
const HIDDEN: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

/// Heads that have no one meaning.
const MALFORMED: [(&str, &str); 24] = [
    ("a length and chunks", "Host: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
    ("chunks and a length", "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
    ("two lengths", "Host: x\r\nContent-Length: 4\r\nContent-Length: 40\r\n"),
    ("the same length twice", "Host: x\r\nContent-Length: 4\r\nContent-Length: 4\r\n"),
    ("a list of lengths", "Host: x\r\nContent-Length: 4, 4\r\n"),
    ("a length with a sign", "Host: x\r\nContent-Length: +4\r\n"),
    ("a negative length", "Host: x\r\nContent-Length: -4\r\n"),
    ("a length in hexadecimal", "Host: x\r\nContent-Length: 0x4\r\n"),
    ("a length with a blank", "Host: x\r\nContent-Length: 4 0\r\n"),
    ("a length that is too long", "Host: x\r\nContent-Length: 99999999999999999999\r\n"),
    ("no length in its header", "Host: x\r\nContent-Length: \r\n"),
    ("an unknown coding", "Host: x\r\nTransfer-Encoding: xchunked\r\n"),
    ("a coding after chunks", "Host: x\r\nTransfer-Encoding: chunked, identity\r\n"),
    ("chunks twice", "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    ("chunks behind a tab", "Host: x\r\nTransfer-Encoding:\x0bchunked\r\n"),
    ("a blank before the colon", "Host: x\r\nTransfer-Encoding : chunked\r\n"),
    ("a blank before the name", "Host: x\r\n Transfer-Encoding: chunked\r\n"),
    ("a folded line", "Host: x\r\nX-Folded: a\r\n b\r\n"),
    ("two hosts", "Host: x\r\nHost: y\r\n"),
    ("no host", ""),
    ("NUL in a value", "Host: x\r\nX-Nul: a\0b\r\n"),
    ("NUL in a name", "Host: x\r\nX-N\0ul: a\r\n"),
    ("a line break in a value", "Host: x\r\nX-Break: a\rb\r\n"),
    ("a name of none", "Host: x\r\n: a\r\n"),
];

/// First lines that are none.
const LINES: [&str; 9] = [
    "GET / HTTP/3.0",
    "GET / HTTP/1.",
    "GET /",
    "GET  / HTTP/1.1",
    "GET /a b HTTP/1.1",
    "G\0ET / HTTP/1.1",
    "GET /\0 HTTP/1.1",
    "\u{16}\u{3}\u{1}",
    "nonsense",
];

#[test]
fn a_head_without_one_meaning_is_refused_and_ends_the_connection() {
    let client = workspace();
    let mut accepted = Vec::new();
    for (what, headers) in MALFORMED {
        let request = format!("POST /v1/customers HTTP/1.1\r\n{headers}\r\n{HIDDEN}");
        let answer = exchange(&client, request);
        if answer.status != 400 || answer.answers != 1 {
            accepted.push(format!("{what}: {} answers, {}", answer.answers, answer.status));
        }
    }
    assert_eq!(accepted, Vec::<String>::new());
}

#[test]
fn a_first_line_that_is_none_is_refused() {
    let client = workspace();
    for line in LINES {
        let answer = exchange(&client, format!("{line}\r\nHost: x\r\n\r\n"));
        assert_eq!((answer.status, answer.answers), (400, 1), "{line:?}: {}", answer.head);
    }
}

#[test]
fn chunks_in_a_protocol_without_chunks_are_refused() {
    let client = workspace();
    let head = "POST /v1/customers HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = exchange(&client, format!("{head}0\r\n\r\n{HIDDEN}"));
    assert_eq!((answer.status, answer.answers), (400, 1), "{}", answer.head);
}

#[test]
fn a_broken_chunk_ends_the_connection() {
    let client = workspace();
    let head = format!(
        "POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        client.token.as_deref().unwrap_or_default()
    );
    for chunk in ["x\r\n{}\r\n", "-1\r\n{}\r\n", "ffffffffffffffffff\r\n{}\r\n", "2\r\n{}x\r\n"] {
        let answer = exchange(&client, format!("{head}{chunk}0\r\n\r\n{HIDDEN}"));
        // Refused, or cut off without a word where the fault was seen first.
        let seen = (answer.status, answer.answers);
        assert!(seen == (400, 1) || seen == (0, 0), "{chunk:?}: {}", answer.head);
    }
    let list = client.get("/v1/customers?include_total=true").expect(200);
    assert_eq!(list.json["total"], 0);
}

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
