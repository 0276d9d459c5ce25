//! A receiver of webhooks that keeps what it was told.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chrono::Utc;
use ecrm::db::id::instant;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Told;
use crate::client::Client;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Willing,
    Slow,
    /// Says 500 to one in 200, the first time.
    Failing,
    /// Takes one in 200 and hangs up without a word, the first time.
    Rude,
}

impl Mood {
    pub const ALL: [Self; 4] = [Self::Willing, Self::Slow, Self::Failing, Self::Rude];
}

/// What came, by the id that a receiver is to tell repeats by.
#[derive(Default)]
struct Book {
    /// What was taken, in its order.
    told: Vec<Told>,
    /// Which content each id had.
    contents: HashMap<Uuid, u64>,
    /// The id of the message that told each event.
    ids: BTreeMap<Uuid, Uuid>,
    refused: usize,
    repeated: usize,
    /// Repeats with another content, and events under more than one id.
    renamed: Vec<Uuid>,
    /// Milliseconds from the event to its arrival.
    lags: Vec<i64>,
}

#[derive(Clone)]
pub struct Sink {
    mood: Mood,
    url: String,
    book: Arc<Mutex<Book>>,
}

impl Sink {
    pub fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
        let sink = Self { mood, url, book: Arc::default() };
        let shared = sink.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = shared.clone();
                thread::spawn(move || while sink.serve(&stream).is_some() {});
            }
        });
        sink
    }

    /// Asks to be told everything.
    pub fn subscribe(&self, client: &Client) {
        let body = json!({ "url": self.url, "max_concurrency": 10 });
        client.post("/v1/webhook_endpoints", &body).expect(201);
    }

    /// How many events were taken.
    pub fn distinct(&self) -> usize {
        self.book.lock().unwrap().told.len()
    }

    /// Takes one message; nothing when the connection is over.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let (id, body) = read(stream)?;
        if self.mood == Mood::Slow {
            thread::sleep(Duration::from_millis(10));
        }
        let status = match self.take(id, &body) {
            Some(status) => status,
            None => {
                drop(stream.shutdown(std::net::Shutdown::Both));
                return None;
            }
        };
        let head = format!("HTTP/1.1 {status} Sink\r\ncontent-length: 0\r\n\r\n");
        (&mut &*stream).write_all(head.as_bytes()).ok()
    }

    /// Notes a message; the status to answer, if any.
    fn take(&self, id: Uuid, body: &str) -> Option<u16> {
        let message: Value = serde_json::from_str(body).expect("JSON");
        let Some(told) = Told::of(&message["data"]) else { return Some(200) };
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let content = hasher.finish();
        let is_chosen = id.as_u128().is_multiple_of(200);
        let mut book = self.book.lock().unwrap();
        let is_first = match book.contents.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(content);
                true
            }
            Entry::Occupied(entry) => {
                if *entry.get() != content {
                    book.renamed.push(id);
                }
                false
            }
        };
        if self.mood == Mood::Failing && is_chosen && is_first {
            book.refused += 1;
            return Some(500);
        }
        match book.ids.insert(told.id, id) {
            None => {
                book.lags.push((Utc::now() - instant(told.id)).num_milliseconds());
                book.told.push(told);
            }
            Some(former) if former == id => book.repeated += 1,
            Some(_) => book.renamed.push(id),
        }
        (self.mood != Mood::Rude || !is_chosen || !is_first).then_some(200)
    }

    pub fn account(&self) -> Account {
        let book = self.book.lock().unwrap();
        let mut lags = book.lags.clone();
        lags.sort_unstable();
        let at = |share: usize| lags.get(lags.len() * share / 100).copied().unwrap_or_default();
        Account {
            mood: self.mood,
            told: book.told.clone(),
            renamed: book.renamed.clone(),
            refused: book.refused,
            repeated: book.repeated,
            lags_ms: [at(50), at(99), lags.last().copied().unwrap_or_default()],
        }
    }
}

/// What a receiver was told in all.
pub struct Account {
    mood: Mood,
    /// Each event once, in the order of their first coming.
    pub told: Vec<Told>,
    pub renamed: Vec<Uuid>,
    refused: usize,
    repeated: usize,
    /// Median, 99th percentile and maximum.
    lags_ms: [i64; 3],
}

impl fmt::Display for Account {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Self { mood, told, refused, repeated, lags_ms: [half, most, longest], .. } = self;
        write!(out, "{mood:?}: {} events, {repeated} repeats, {refused} refused, ", told.len())?;
        write!(out, "after {half} ms (median), {most} ms (99 %), {longest} ms (longest)")
    }
}

/// The id and the body of a message.
fn read(stream: &TcpStream) -> Option<(Uuid, String)> {
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            match line.trim_end() {
                "" => break,
                _ => continue,
            }
        };
        match name.to_lowercase().as_str() {
            "webhook-id" => id = value.trim().parse().ok(),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    // A sender that is killed may be half through.
    reader.read_exact(&mut body).ok()?;
    Some((id.expect("an id"), String::from_utf8(body).expect("text")))
}
