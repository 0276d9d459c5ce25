//! A receiver of webhooks, polite or not.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// How a receiver answers.
#[derive(Debug, Clone)]
pub enum Mode {
    Status(u16),
    /// With a status and these lines more in the head.
    Head(u16, &'static str),
    /// Answers with a status after so many milliseconds.
    Slow(u64, u16),
    /// Takes the message and never answers.
    Hang,
    /// Says yes, a byte at a time.
    Drip,
    /// Says yes, and much more.
    Huge,
    /// Closes the connection without a word.
    Reset,
    /// Speaks something else.
    Gibberish,
}

/// A message that came.
#[derive(Debug, Clone)]
pub struct Message {
    pub headers: HashMap<String, String>,
    pub body: String,
    pub json: Value,
    pub at: Instant,
}

impl Message {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// How many of the `v1` signatures were made with a secret.
    pub fn signatures_by(&self, secret: &str) -> usize {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let content = format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac::sign(&key, content.as_bytes())));
        self.headers["webhook-signature"].split(' ').filter(|one| **one == expected).count()
    }
}

#[derive(Clone)]
pub struct Sink {
    pub url: String,
    mode: Arc<Mutex<Mode>>,
    came: Arc<Mutex<Vec<Message>>>,
    /// Most connections at a time.
    most: Arc<Mutex<(usize, usize)>>,
}

impl Sink {
    pub fn new(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let sink = Self {
            url,
            mode: Arc::new(Mutex::new(mode)),
            came: Arc::default(),
            most: Arc::default(),
        };
        let shared = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = shared.clone();
                std::thread::spawn(move || sink.serve(stream));
            }
        });
        sink
    }

    pub fn answer(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn came(&self) -> Vec<Message> {
        self.came.lock().unwrap().clone()
    }

    /// Most connections that were open at a time.
    pub fn most(&self) -> usize {
        self.most.lock().unwrap().1
    }

    fn serve(&self, stream: TcpStream) {
        {
            let mut most = self.most.lock().unwrap();
            most.0 += 1;
            most.1 = most.1.max(most.0);
        }
        if let Some(message) = read(&stream) {
            self.came.lock().unwrap().push(message);
            let mode = self.mode.lock().unwrap().clone();
            reply(stream, &mode);
        }
        self.most.lock().unwrap().0 -= 1;
    }
}

fn read(stream: &TcpStream) -> Option<Message> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    assert!(line.starts_with("POST /hooks"), "{line}");
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    let json = serde_json::from_str(&body).unwrap();
    Some(Message { headers, json, body, at: Instant::now() })
}

/// What goes wrong here is what the other side is tested with.
fn reply(mut stream: TcpStream, mode: &Mode) {
    let plain = |status: u16, lines: &str| {
        format!("HTTP/1.1 {status} Sink\r\n{lines}content-length: 2\r\n\r\nok").into_bytes()
    };
    match mode {
        Mode::Status(status) => drop(stream.write_all(&plain(*status, ""))),
        Mode::Head(status, lines) => drop(stream.write_all(&plain(*status, lines))),
        Mode::Slow(ms, status) => {
            std::thread::sleep(Duration::from_millis(*ms));
            drop(stream.write_all(&plain(*status, "")));
        }
        Mode::Hang => std::thread::sleep(Duration::from_secs(60)),
        Mode::Drip => {
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: very\r\ncontent-length: 2\r\n\r\nok" {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Mode::Huge => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
            let mut sent = stream.write_all(head);
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 65_536]);
            }
        }
        Mode::Reset => {}
        Mode::Gibberish => drop(stream.write_all(b"220 mail.example.com ESMTP\r\n")),
    }
}
