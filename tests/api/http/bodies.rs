//! How a body arrives: its type, its packing, its size, its time.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::wire::{Then, chunked, connect, exchange, head, send};
use crate::guards::fixtures::quiet_keys;
use crate::harness::{Answer, App, Client, workspace};

const PATH: &str = "/v1/customers";
const LIMIT: usize = 1024 * 1024;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

fn posted(client: &Client, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    client.send_unchecked("POST", PATH, headers, Some(body))
}

fn customer() -> Vec<u8> {
    json!({ "first_name": "Ada" }).to_string().into_bytes()
}

/// A customer whose JSON has exactly this many bytes.
fn customer_of(bytes: usize) -> Vec<u8> {
    let mut body = customer();
    body.resize(bytes, b' ');
    body
}

fn count(client: &Client) -> Value {
    client.get(&format!("{PATH}?include_total=true")).expect(200).json["total"].clone()
}

/// B4
#[test]
fn a_gzip_body_is_unpacked() {
    let client = workspace();
    for encoding in ["gzip", "GZIP"] {
        let answer = posted(&client, &[("Content-Encoding", encoding)], &gzip(&customer()));
        assert_eq!(answer.expect(201).json["first_name"], "Ada");
    }
}

/// B4
#[test]
fn a_body_that_is_not_whole_gzip_is_refused() {
    let client = workspace();
    let whole = gzip(&customer());
    let mut flipped = whole.clone();
    flipped[whole.len() - 6] ^= 1;
    let cut = whole[..whole.len() - 4].to_vec();
    for body in [customer(), Vec::new(), flipped, cut, [&whole[..], b"more"].concat()] {
        let answer = posted(&client, &[("Content-Encoding", "gzip")], &body);
        assert_eq!((answer.status, answer.code()), (400, "invalid_encoding"), "{body:?}");
    }
    assert_eq!(count(&client), 0);
}

/// B4: some kilobytes that would become a hundred megabytes.
#[test]
fn a_gzip_bomb_is_refused_at_the_limit() {
    let client = workspace();
    let bomb = gzip(&vec![b' '; 100 * LIMIT]);
    assert!(bomb.len() < LIMIT / 4, "{} bytes are no bomb", bomb.len());
    let started = Instant::now();
    let answer = posted(&client, &[("Content-Encoding", "gzip")], &bomb);
    assert_eq!((answer.status, answer.code()), (413, "payload_too_large"));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // Packed twice it is not JSON, and not unpacked twice either.
    let answer = posted(&client, &[("Content-Encoding", "gzip")], &gzip(&bomb));
    assert_eq!((answer.status, answer.code()), (400, "invalid_json"));
}

/// B4
#[test]
fn an_encoding_other_than_one_gzip_is_refused() {
    let client = workspace();
    for encoding in ["zzz", "br", "deflate", "compress", "gzip, gzip", "identity, gzip", ""] {
        let answer = posted(&client, &[("Content-Encoding", encoding)], &gzip(&customer()));
        let place = format!("`{encoding}`: {}", answer.text);
        assert_eq!((answer.status, answer.code()), (415, "unsupported_media_type"), "{place}");
    }
    let twice = [("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")];
    assert_eq!(posted(&client, &twice, &gzip(&gzip(&customer()))).status, 415);
    assert_eq!(count(&client), 0);
}

/// B4, the way out.
#[test]
fn an_answer_is_packed_for_those_who_ask() {
    let client = workspace();
    for i in 0..20 {
        client.post(PATH, json!({ "first_name": format!("Ada {i}") })).expect(201);
    }
    let plain = exchange(&client, head(&client, "GET", PATH, ""));
    let packed = exchange(&client, head(&client, "GET", PATH, "Accept-Encoding: gzip\r\n"));
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.header("vary").is_some_and(|vary| vary.contains("accept-encoding")));
    assert!(packed.body.len() < plain.body.len() / 2);
    let mut unpacked = Vec::new();
    GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain.body);
}

/// B5
#[test]
fn json_is_taken_under_all_its_names() {
    let client = workspace();
    for kind in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
        "application/merge-patch+json",
        "application/vnd.x+json",
    ] {
        posted(&client, &[("Content-Type", kind)], &customer()).expect(201);
    }
}

/// B5
#[test]
fn what_does_not_say_that_it_is_json_in_utf_8_is_refused() {
    let client = workspace();
    for kind in [
        "",
        "nonsense",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-16",
    ] {
        let answer = posted(&client, &[("Content-Type", kind)], &customer());
        let place = format!("`{kind}`: {}", answer.text);
        assert_eq!((answer.status, answer.code()), (415, "unsupported_media_type"), "{place}");
    }
    let without = format!("Content-Length: {}\r\n", customer().len());
    let bytes = [head(&client, "POST", PATH, &without).into_bytes(), customer()].concat();
    assert_eq!(exchange(&client, bytes).status, 415);
    assert_eq!(count(&client), 0);
}

/// B3
#[test]
fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let client = workspace();
    posted(&client, &[], &customer_of(LIMIT - 1)).expect(201);
    posted(&client, &[], &customer_of(LIMIT)).expect(201);
    for packed in [false, true] {
        let body = customer_of(LIMIT + 1);
        let answer = match packed {
            false => posted(&client, &[], &body),
            true => posted(&client, &[("Content-Encoding", "gzip")], &gzip(&body)),
        };
        assert_eq!((answer.status, answer.code()), (413, "payload_too_large"));
    }
    assert_eq!(count(&client), 2);
}

/// B3: nobody waits for a body that is too long already.
#[test]
fn a_declared_length_above_the_limit_is_refused_at_once() {
    let client = workspace();
    let more = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", LIMIT + 1);
    let started = Instant::now();
    let answer = exchange(&client, head(&client, "POST", PATH, &more));
    assert_eq!((answer.status, answer.code().as_str()), (413, "payload_too_large"));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

const CHUNKED: &str = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";

/// B3
#[test]
fn a_body_in_chunks_is_read_to_the_limit_and_no_further() {
    let client = workspace();
    let head = head(&client, "POST", PATH, CHUNKED).into_bytes();
    for (bytes, size) in [(customer(), 1), (customer_of(LIMIT), 65_536)] {
        let answer = exchange(&client, [head.clone(), chunked(&bytes, size)].concat());
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }
    let answer = exchange(&client, [head, chunked(&customer_of(LIMIT + 1), 65_536)].concat());
    assert_eq!((answer.status, answer.code().as_str()), (413, "payload_too_large"));
    assert_eq!(count(&client), 2);
}

fn impatient() -> App {
    App::alone(&[("ECRM_BODY_TIMEOUT_MS", "400")])
}

/// B2
#[test]
fn a_body_that_stalls_is_given_up() {
    let app = impatient();
    let client = app.workspace(&["*"]);
    let whole = "Content-Type: application/json\r\nContent-Length: 100\r\n";
    for more in [whole, CHUNKED] {
        let started = Instant::now();
        let bytes = format!("{}1\r\n{{", head(&client, "POST", PATH, more));
        let answer = exchange(&client, bytes);
        assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"));
        let elapsed = started.elapsed();
        let expected = Duration::from_millis(400)..Duration::from_secs(4);
        assert!(expected.contains(&elapsed), "{elapsed:?}");
    }
    assert_eq!(count(&client), 0);
}

/// B2: many callers who never finish do not keep others from being served.
#[test]
fn stalled_bodies_slow_nobody_else_down() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let more = "Content-Type: application/json\r\nContent-Length: 1000\r\n";
    let stalled: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = connect(&client);
            let begun = format!("{}{{", head(&client, "POST", PATH, more));
            stream.write_all(begun.as_bytes()).expect("a beginning");
            stream
        })
        .collect();
    let started = Instant::now();
    for _ in 0..20 {
        client.post(PATH, json!({ "first_name": "Ada" })).expect(201);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(stalled);
}

#[test]
fn a_client_that_hangs_up_half_way_has_stored_nothing() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    client.get(PATH).expect(200);
    quiet_keys(&app);
    let before = app.checksums();
    let more = "Content-Type: application/json\r\nContent-Length: 100\r\n";
    let bytes = format!("{}{{\"first_name\": \"Ada\"}}", head(&client, "POST", PATH, more));
    let answer = send(connect(&client), bytes.as_bytes(), Then::HangUp);
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"));
    assert_eq!(app.checksums(), before);
}

#[test]
fn a_body_where_none_is_expected_is_ignored() {
    let client = workspace();
    let answer = client.send_unchecked("DELETE", "/v1/customers/x", &[], Some(b"{not json"));
    assert_eq!(answer.status, 404);
    let id = client.post(PATH, json!({})).expect(201).id();
    let path = format!("{PATH}/{id}");
    assert_eq!(client.send_unchecked("DELETE", &path, &[], Some(b"{not json")).status, 204);
}
