//! Requests written byte by byte, for what no client library would send.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// What came back until the service closed the connection.
#[derive(Debug)]
pub struct Raw {
    /// 0 where there was no answer.
    pub status: u16,
    pub body: Vec<u8>,
    /// How many answers there were.
    pub answers: usize,
}

impl Raw {
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    stream
}

/// The head of a request that stores a customer, with these lines of headers besides.
pub fn head(token: &str, more: &str) -> String {
    format!(
        "POST /v1/customers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n{more}\r\n"
    )
}

/// Sends bytes as they are and reads until the service closes.
pub fn exchange(port: u16, bytes: &[u8]) -> Raw {
    let mut stream = connect(port);
    // A service that has seen enough may close before everything is written.
    stream.write_all(bytes).unwrap_or_default();
    receive(&mut stream)
}

/// Reads until the service closes, which it has to do.
pub fn receive(stream: &mut TcpStream) -> Raw {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the service does not close");
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let answers = bytes.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
    Raw { status, body: bytes.get(end + 4..).unwrap_or_default().to_vec(), answers }
}
