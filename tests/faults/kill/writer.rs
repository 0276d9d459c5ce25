//! A writer that sends everything until it is acknowledged, and remembers what that was.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Random;
use crate::client::{Answer, CUSTOMERS, Client, NoAnswer, TOUCHPOINTS};

/// Touchpoints of a batch.
const ITEMS: u64 = 10;
/// How long one call may go without an answer: longer than any outage of the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all writers together have seen.
#[derive(Debug, Default)]
pub struct Figures {
    pub acknowledged: AtomicU64,
    pub replayed: AtomicU64,
    pub cut: AtomicU64,
    pub refused: AtomicU64,
    pub unavailable: AtomicU64,
    pub in_progress: AtomicU64,
    /// Entries of the log that came of it.
    pub events: AtomicU64,
}

/// What has to be in the database in the end.
#[derive(Default)]
pub struct Acknowledged {
    /// Names of customers.
    pub customers: Vec<String>,
    /// Marks in the properties of touchpoints.
    pub touchpoints: Vec<String>,
    /// Titles that patches gave, and the customer.
    pub patches: Vec<(String, String)>,
}

impl Acknowledged {
    pub fn all(parts: Vec<Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.customers.extend(part.customers);
            all.touchpoints.extend(part.touchpoints);
            all.patches.extend(part.patches);
        }
        all
    }
}

pub struct Writer<'a> {
    number: u64,
    client: Client,
    random: Random,
    figures: &'a Figures,
    calls: u64,
    /// Own customers, by id.
    people: Vec<String>,
    done: Acknowledged,
}

impl<'a> Writer<'a> {
    pub fn new(number: u64, seed: u64, client: &Client, figures: &'a Figures) -> Self {
        let random = Random::new(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let (client, people, done) = (client.clone(), Vec::new(), Acknowledged::default());
        Self { number, client, random, figures, calls: 0, people, done }
    }

    /// Writes until told to stop.
    pub fn run(mut self, goes_on: impl Fn() -> bool) -> Acknowledged {
        while goes_on() {
            match self.random.below(10) {
                0 | 1 => self.create(),
                2 | 3 => self.patch(),
                4 => self.batch(),
                _ => self.touch(),
            }
        }
        self.done
    }

    fn mark(&mut self) -> String {
        self.calls += 1;
        format!("w{}-{:06}", self.number, self.calls)
    }

    fn create(&mut self) {
        let mark = self.mark();
        let made = self.insist("POST", CUSTOMERS, &mark, &json!({ "last_name": mark }));
        self.figures.events.fetch_add(1, Relaxed);
        self.people.push(made.id().to_owned());
        self.done.customers.push(mark);
    }

    fn patch(&mut self) {
        let Some(person) = self.person() else { return self.create() };
        let mark = self.mark();
        let path = format!("{CUSTOMERS}/{person}");
        self.insist("PATCH", &path, &mark, &json!({ "title": mark }));
        self.figures.events.fetch_add(1, Relaxed);
        self.done.patches.push((mark, person));
    }

    fn touch(&mut self) {
        let mark = self.mark();
        let body = self.touchpoint(&mark);
        self.insist("POST", TOUCHPOINTS, &mark, &body);
        self.figures.events.fetch_add(1, Relaxed);
        self.done.touchpoints.push(mark);
    }

    fn batch(&mut self) {
        let mark = self.mark();
        let marks: Vec<String> = (0..ITEMS).map(|item| format!("{mark}-{item}")).collect();
        let items: Vec<Value> = marks.iter().map(|mark| self.touchpoint(mark)).collect();
        let path = format!("{TOUCHPOINTS}/batch");
        let answer = self.insist("POST", &path, &mark, &json!({ "items": items }));
        assert_eq!(answer.json["failed"], 0, "{answer:?}");
        self.figures.events.fetch_add(ITEMS, Relaxed);
        self.done.touchpoints.extend(marks);
    }

    fn person(&mut self) -> Option<String> {
        let count = self.people.len() as u64;
        let at = usize::try_from(self.random.below(count.max(1))).unwrap();
        self.people.get(at).cloned()
    }

    /// Half of them have an id of the sender's, by which repeats are recognised as well.
    fn touchpoint(&mut self, mark: &str) -> Value {
        let kinds = ["page.viewed", "order.placed", "mail.sent"];
        let directions = ["inbound", "outbound", "internal"];
        let pick = usize::try_from(self.random.below(3)).unwrap();
        let mut body = json!({
            "type": kinds[pick], "direction": directions[pick], "properties": { "mark": mark },
        });
        if self.random.below(2) == 0 {
            body["source"] = "kill".into();
            body["message_id"] = mark.into();
        }
        if let (Some(person), true) = (self.person(), self.random.below(4) > 0) {
            body["customer"] = json!({ "id": person });
        }
        body
    }

    /// Sends a call, always with the same key, until it is acknowledged.
    fn insist(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let started = Instant::now();
        loop {
            match self.client.send(method, path, Some(key), Some(body)) {
                Ok(answer) if answer.is_success() => {
                    self.figures.acknowledged.fetch_add(1, Relaxed);
                    self.figures.replayed.fetch_add(u64::from(answer.is_replay()), Relaxed);
                    return answer;
                }
                Ok(answer) if answer.code() == "idempotency_in_progress" => {
                    self.figures.in_progress.fetch_add(1, Relaxed);
                }
                Ok(answer) => {
                    // Only what says that it may be asked again: 500 is a bug.
                    answer.expect_503(answer.code());
                    self.figures.unavailable.fetch_add(1, Relaxed);
                }
                Err(NoAnswer::Refused) => {
                    self.figures.refused.fetch_add(1, Relaxed);
                }
                Err(NoAnswer::Cut(_)) => {
                    self.figures.cut.fetch_add(1, Relaxed);
                }
            }
            assert!(started.elapsed() < PATIENCE, "{method} {path} is never acknowledged");
            thread::sleep(Duration::from_millis(30));
        }
    }
}
