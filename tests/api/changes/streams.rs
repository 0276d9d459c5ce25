//! The feed as server-sent events.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PATH, after, all, create, cursor, followed, now, report, report_many};
use crate::harness::{App, Client};
use crate::http::wire;

/// A stream that is being read, as `EventSource` does.
pub struct Stream {
    lines: BufReader<TcpStream>,
    pub head: String,
    last_id: String,
}

#[derive(Debug)]
pub struct Message {
    pub id: String,
    pub data: Value,
}

impl Stream {
    pub fn open(client: &Client, query: &str, headers: &str) -> Self {
        let mut stream = wire::connect(client);
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let head = wire::head(client, "GET", &format!("{PATH}/stream{query}"), headers);
        stream.write_all(head.as_bytes()).expect("sent");
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).expect("a head"), 0, "{head}");
        }
        Self { lines, head: head.to_lowercase(), last_id: String::new() }
    }

    /// The next id, of a message with data or without.
    fn id(&mut self) -> Option<String> {
        loop {
            if let Some(id) = self.line()?.strip_prefix("id: ") {
                return Some(id.to_owned());
            }
        }
    }

    pub fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).expect("a line") == 0 {
                return None;
            }
            // Chunks of the transfer encoding are hexadecimal numbers between our lines.
            let line = line.trim_end().to_owned();
            let is_chunk = line.chars().all(|c| c.is_ascii_hexdigit());
            if line.contains(':') || !is_chunk {
                return Some(line);
            }
        }
    }

    /// The next message with data; nothing where the stream is over.
    pub fn next(&mut self) -> Option<Message> {
        loop {
            let line = self.line()?;
            if let Some(id) = line.strip_prefix("id: ") {
                self.last_id = id.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(data).expect("JSON");
                return Some(Message { id: self.last_id.clone(), data });
            }
        }
    }
}

#[test]
fn a_stream_shows_what_was_and_what_happens() {
    let client = followed();
    let begin = now(&client);
    let ada = create(&client, "Ada");
    let mut stream = Stream::open(&client, &format!("?cursor={begin}"), "");
    assert!(stream.head.starts_with("http/1.1 200"), "{}", stream.head);
    for header in ["content-type: text/event-stream", "cache-control: no-store"] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    let first = stream.next().expect("what was");
    assert_eq!(
        (&first.data["type"], &first.data["customer_id"]),
        (&json!("customer.created"), &json!(ada))
    );

    let bob = create(&client, "Bob");
    let second = stream.next().expect("what happens");
    assert_eq!(second.data["customer_id"], json!(bob));
    let shown = after(&client, &first.id, "");
    assert_eq!(shown.json["data"], json!([second.data]), "its ids are cursors");
    assert_eq!(cursor(&shown), second.id);
}

#[test]
fn a_stream_goes_on_after_the_last_id() {
    let client = followed();
    let mut stream = Stream::open(&client, "?types=customer.*", "");
    create(&client, "Ada");
    let ada = stream.next().expect("Ada");
    drop(stream);
    let bob = create(&client, "Bob");
    client.post("/v1/tags", json!({ "name": "vip" })).expect(201);
    let last = format!("Last-Event-ID: {}\r\n", ada.id);
    // The header says where to go on, whatever the address says.
    let mut stream = Stream::open(&client, "?from=snapshot&types=customer.*", &last);
    assert_eq!(stream.next().expect("Bob").data["customer_id"], json!(bob));
    let cleo = create(&client, "Cleo");
    assert_eq!(stream.next().expect("Cleo").data["customer_id"], json!(cleo));
}

#[test]
fn a_filter_holds_for_what_was_and_for_what_happens() {
    let client = followed();
    let (begin, ada) = (now(&client), create(&client, "Ada"));
    create(&client, "Bob");
    let query = format!("?cursor={begin}&customer_id={ada}");
    let mut stream = Stream::open(&client, &query, "");
    assert_eq!(stream.next().expect("Ada").data["type"], "customer.created");
    create(&client, "Cleo");
    client.patch(&format!("/v1/customers/{ada}"), json!({ "title": "Dr" })).expect(200);
    assert_eq!(stream.next().expect("Ada").data["type"], "customer.updated");
}

#[test]
fn a_browser_shows_a_token_in_the_address_and_never_a_key() {
    let client = followed();
    let key = client.token.clone().expect("a key");
    let token = crate::sessions::token_of(&client, &key);
    let token = token.as_str();
    let nobody = Client { token: None, ..client.clone() };
    let path = |token: &str| format!("{PATH}/stream?access_token={token}");
    assert!(nobody.get(&path(token)).expect(200).text.starts_with("retry: "));
    for wrong in [key.as_str(), "nonsense", ""] {
        nobody.get(&path(wrong)).expect_code(401, "unauthorized");
    }
    // Nowhere else.
    let elsewhere = nobody.get(&format!("{PATH}?access_token={token}"));
    elsewhere.expect_code(401, "unauthorized");
}

#[test]
fn a_stream_that_shows_nothing_says_how_far_it_is_whatever_else_happens() {
    let client = followed();
    let mut stream = Stream::open(&client, "?types=cart.*", "");
    let begin = stream.id().expect("where it begins");
    let (is_over, begun) = (AtomicBool::new(false), Instant::now());
    let (later, took) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(60) {
                report(&client, "page.viewed", "2026-03-14T08:00:00Z");
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let later = stream.id();
        is_over.store(true, Ordering::Relaxed);
        (later.expect("a sign of life"), begun.elapsed())
    });
    assert_ne!(later, begin);
    assert!(took < Duration::from_secs(40), "{took:?}");
    let behind = |id: &str| all(&client, id.to_owned(), "&limit=1000").0.len();
    let (first, last) = (behind(&begin), behind(&later));
    assert!(last < first, "{last} of {first} events lie after the later id");
}

#[test]
fn a_stream_that_is_far_behind_says_how_far_it_is() {
    let client = followed();
    let begin = now(&client);
    report_many(&client, 1000);
    report_many(&client, 1000);
    for query in [format!("?cursor={begin}"), "?from=snapshot".to_owned()] {
        let mut stream = Stream::open(&client, &format!("{query}&types=cart.*"), "");
        let ids: Vec<String> = (0..4).map(|_| stream.id().expect("an id")).collect();
        let differ: HashSet<&String> = ids.iter().collect();
        assert_eq!(differ.len(), ids.len(), "{ids:?}");
        // What lies after the last of them is no more than what it did not pass.
        let (rest, _) = all(&client, ids[3].clone(), "&limit=1000");
        assert!(rest.len() < 1000, "{} events are left", rest.len());
    }
}

#[test]
fn a_stream_of_a_service_that_ends_begins_nothing() {
    let app = App::alone(&[]);
    let feed = ecrm::journal::live::start(app.state.clone()).expect("a thread");
    let client = app.workspace(&["*"]);
    let begin = now(&client);
    create(&client, "Ada");
    app.state.drain();
    feed.join().expect("the end");
    let begun = Instant::now();
    // Nobody is there to wake who listens now, and what was is read from another service.
    let mut stream = Stream::open(&client, &format!("?cursor={begin}"), "");
    assert!(stream.next().is_none());
    let waited = client.get(&format!("{PATH}?from=now&wait=30")).expect(200);
    assert_eq!(waited.json["data"], json!([]));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_service_that_ends_lets_its_listeners_go() {
    let app = App::alone(&[]);
    let feed = ecrm::journal::live::start(app.state.clone()).expect("a thread");
    let client = app.workspace(&["*"]);
    let mut stream = Stream::open(&client, "", "");
    let waiting = client.clone();
    let waiting = std::thread::spawn(move || waiting.get(&format!("{PATH}?wait=30")).expect(200));
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    app.state.drain();
    assert!(stream.next().is_none());
    waiting.join().expect("an answer");
    feed.join().expect("the end");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// A customer and another that it is merged into, and what is reported of the first from then on.
fn merge(client: &Client, survivor: &str, source: &str) -> String {
    let path = format!("/v1/customers/{survivor}/merge");
    let done = client.post(&path, json!({ "source_id": source })).expect(200);
    done.json["merge_id"].as_str().expect("a merge").to_owned()
}

fn visit(client: &Client, customer: &str) -> String {
    let body = json!({ "type": "visit.made", "customer": { "id": customer } });
    client.post("/v1/touchpoints", body).expect(201).id()
}

#[test]
fn who_follows_a_customer_follows_it_into_a_merge_and_out_of_it() {
    let client = followed();
    let (ada, bob, other) =
        (create(&client, "Ada"), create(&client, "Bob"), create(&client, "Cleo"));
    let begin = now(&client);
    let query = format!("?customer_id={bob}&types=visit.*,customer.merged,customer.merge_reverted");
    let mut stream = Stream::open(&client, &query, "");
    visit(&client, &ada);
    let first = visit(&client, &bob);
    let merged = merge(&client, &ada, &bob);
    let (by_name, of_survivor) = (visit(&client, &bob), visit(&client, &ada));
    visit(&client, &other);
    client.send("POST", &format!("/v1/merges/{merged}/revert"), &[], None).expect(200);
    visit(&client, &ada);
    let last = visit(&client, &bob);

    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        let event = stream.next().expect("an event").data;
        let visit = event["type"] == "visit.made";
        seen.push(event[if visit { "id" } else { "type" }].as_str().expect("text").to_owned());
    }
    let reverted = "customer.merge_reverted";
    let expected = [&first, "customer.merged", &by_name, &of_survivor, reverted, reverted, &last];
    assert_eq!(seen, expected);
    // Who comes later and reads it all sees the same, and who waits too.
    let more = format!("&{}", &query[1..]);
    assert_eq!(all(&client, begin, &more).0.len(), expected.len());
}

#[test]
fn the_id_of_a_merged_customer_leads_to_the_survivor() {
    let client = followed();
    let (ada, bob) = (create(&client, "Ada"), create(&client, "Bob"));
    let begin = now(&client);
    merge(&client, &ada, &bob);
    let told = visit(&client, &bob);
    let whose = format!("customer_id={bob}&types=visit.*");
    let ids = |answer: Value| -> Vec<String> {
        let events = answer["data"].as_array().expect("events").clone();
        events.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
    };
    for from in [format!("cursor={begin}"), "from=oldest".into(), "from=snapshot".into()] {
        let (mut seen, mut page) =
            (Vec::new(), client.get(&format!("{PATH}?{from}&{whose}")).expect(200));
        loop {
            seen.extend(ids(page.json.clone()));
            if page.json["has_more"] == false {
                break;
            }
            page = after(&client, &cursor(&page), &format!("&{whose}"));
        }
        assert_eq!(seen, [told.as_str()], "{from}");
    }
    let listed = client.get(&format!("/v1/touchpoints?customer_id={bob}&type=visit.made"));
    assert_eq!(ids(listed.expect(200).json), [told.as_str()]);

    // Also for who waits while it is merged.
    let cleo = create(&client, "Cleo");
    let begin = now(&client);
    let waiting = client.clone();
    let query = format!("&wait=10&customer_id={cleo}&types=visit.*");
    let answer = std::thread::spawn(move || after(&waiting, &begin, &query));
    std::thread::sleep(Duration::from_millis(300));
    merge(&client, &ada, &cleo);
    let told = visit(&client, &ada);
    assert_eq!(ids(answer.join().expect("an answer").json), [told.as_str()]);
}
