//! Who follows the change feed, and goes to another service whenever one is gone.

use std::io::BufRead;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Told;
use crate::client::{Client, NoAnswer};

/// How long a stream lasts: short, so that it is taken up again often.
const STREAM: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Reader {
    seen: Mutex<Vec<Told>>,
    returns: AtomicUsize,
}

impl Reader {
    pub fn seen(&self) -> Vec<Told> {
        self.seen.lock().unwrap().clone()
    }

    /// How often it had to come again.
    pub fn returns(&self) -> usize {
        self.returns.load(Ordering::Relaxed)
    }

    fn note(&self, touchpoints: &[Value]) {
        self.seen.lock().unwrap().extend(touchpoints.iter().filter_map(Told::of));
    }

    /// Follows by long polling. What an answer tells counts with its cursor, or not at all.
    pub fn poll(&self, clients: &[Client], is_over: &AtomicBool) {
        let mut place = "from=oldest".to_owned();
        for client in clients.iter().cycle() {
            while let Ok(answer) = client.try_get(&format!("/v1/changes?wait=2&{place}")) {
                if !answer.is_success() {
                    assert_eq!(answer.status, 503, "{answer:?}");
                    break;
                }
                self.note(answer.json["data"].as_array().expect("events"));
                let next = answer.json["next_cursor"].as_str().expect("a cursor");
                place = format!("cursor={next}");
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
            if self.must_end(is_over) {
                return;
            }
        }
    }

    /// Follows by server-sent events, with the id of the last event that came whole.
    pub fn stream(&self, clients: &[Client], is_over: &AtomicBool) {
        let mut last = None;
        for client in clients.iter().cycle() {
            let client = client.with_patience(STREAM);
            let path = "/v1/changes/stream?from=oldest";
            match client.lines(path, last.as_deref()) {
                Ok((200, lines)) => self.listen(lines, &mut last),
                Ok((status, _)) => assert_eq!(status, 503),
                Err(NoAnswer::Refused | NoAnswer::Cut(_)) => {}
            }
            if self.must_end(is_over) {
                return;
            }
        }
    }

    /// Takes events until the stream is cut.
    fn listen(&self, lines: impl BufRead, last: &mut Option<String>) {
        let (mut id, mut data) = (None, None);
        for line in lines.lines().map_while(Result::ok) {
            match line.split_once(": ") {
                Some(("id", text)) => id = Some(text.to_owned()),
                Some(("data", text)) => data = serde_json::from_str::<Value>(text).ok(),
                Some(_) => {}
                None => {
                    self.note(data.take().as_slice());
                    *last = id.take().or_else(|| last.take());
                }
            }
        }
    }

    fn must_end(&self, is_over: &AtomicBool) -> bool {
        self.returns.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(50));
        is_over.load(Ordering::Relaxed)
    }
}
