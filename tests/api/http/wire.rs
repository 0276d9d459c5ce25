//! Requests written byte by byte, for what no client library would send.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::harness::Client;

/// What came back until the server closed the connection.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    /// The head of the first answer, in lower case.
    pub head: String,
    /// The body of the first answer, with chunks put together.
    pub body: Vec<u8>,
    /// How many answers there were.
    pub answers: usize,
}

/// What the client does after its last byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Wait,
    HangUp,
}

impl Raw {
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// The head of a request of this client that ends the connection; `more` are lines of headers.
pub fn head(client: &Client, method: &str, path: &str, more: &str) -> String {
    let token = client.token.as_deref().unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\n{more}\r\n"
    )
}

pub fn connect(client: &Client) -> TcpStream {
    let address = client.base.trim_start_matches("http://");
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(12))).expect("a timeout");
    stream
}

/// Sends bytes as they are and reads until the server closes.
pub fn exchange(client: &Client, bytes: impl AsRef<[u8]>) -> Raw {
    send(connect(client), bytes.as_ref(), Then::Wait)
}

pub fn send(mut stream: TcpStream, bytes: &[u8], then: Then) -> Raw {
    // A server that has seen enough may close before everything is written.
    let written = stream.write_all(bytes);
    if then == Then::HangUp && written.is_ok() {
        stream.shutdown(Shutdown::Write).expect("a half-closed connection");
    }
    receive(stream)
}

pub fn receive(mut stream: TcpStream) -> Raw {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        let kind = error.kind();
        let is_reset = kind == std::io::ErrorKind::ConnectionReset;
        assert!(is_reset, "the server does not close: {kind}, after {} bytes", bytes.len());
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Raw {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let body = bytes.get(end + 4..).unwrap_or_default();
    let body = if head.contains("transfer-encoding: chunked") { joined(body) } else { body.into() };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let answers = bytes.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
    Raw { status, head, body, answers }
}

/// A chunked body without its chunks.
fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}

/// A body in chunks of this many bytes.
pub fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}
