//! Four services and four workers tell what happens, by webhooks and by the change feed, while they
//! and Postgres are killed at random: what was committed arrives, a repeat under the same id, of one
//! customer in its order; and who follows the feed sees each event once.
//!
//! The seed is printed; `FAULTS_SEED` sets it. `FAULTS_KILLS=0` measures how fast it goes undisturbed.

mod fleet;
mod reader;
mod sink;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;
use ecrm::db::embedded::Role;
use serde_json::Value;
use uuid::Uuid;

use crate::is_long;
use crate::kill::audit::{self, Faults};
use crate::kill::writer::{Acknowledged, Figures, Writer};
use crate::kill::{Random, seed};
use crate::postgres::{Postgres, number, texts};
use fleet::{Fleet, Kills};
use reader::Reader;
use sink::{Mood, Sink};

const WRITERS: u64 = 8;
/// How many events the writers may be ahead of the slowest endpoint.
const LEAD: u64 = 2_000;

/// How much a run has to see, and how long it may take.
struct Goal {
    kills: usize,
    deliveries: usize,
    limit: Duration,
    /// The longest pause between two kills.
    pause_ms: u64,
}

fn goal() -> Goal {
    let mut goal = if is_long() {
        let limit = Duration::from_secs(3600);
        Goal { kills: 40, deliveries: 100_000, limit, pause_ms: 30_000 }
    } else {
        Goal { kills: 6, deliveries: 2_000, limit: Duration::from_secs(120), pause_ms: 2_000 }
    };
    if let Ok(kills) = std::env::var("FAULTS_KILLS") {
        goal.kills = kills.parse().expect("FAULTS_KILLS is a number");
    }
    goal
}

/// An event as somebody was told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub id: Uuid,
    customer: Option<String>,
    /// What its writer called it: of one customer, each is greater than the one before.
    mark: Option<String>,
}

impl Told {
    /// From a touchpoint; nothing where it tells of the making of the test itself.
    pub fn of(touchpoint: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let kind = touchpoint["type"].as_str().expect("a type");
        let properties = &touchpoint["properties"];
        let mark = match kind {
            "customer.created" => Some(String::new()),
            "customer.updated" => text(&properties["changes"]["title"]["to"]),
            _ => text(&properties["mark"]),
        };
        let id = touchpoint["id"].as_str().expect("an id").parse().expect("a UUID");
        let told = Self { id, customer: text(&touchpoint["customer_id"]), mark };
        (!kind.starts_with("webhook_endpoint.") && !kind.starts_with("api_key.")).then_some(told)
    }
}

/// Sets its flag when it goes, so that whoever waits for it ends even where a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// All that takes part in a run.
struct Run<'a> {
    goal: Goal,
    seed: u64,
    postgres: &'a Postgres,
    database: &'a str,
    sinks: Vec<Sink>,
    readers: [Reader; 2],
    figures: Figures,
}

impl Run<'_> {
    fn delivered(&self) -> usize {
        self.sinks.iter().map(Sink::distinct).sum()
    }

    /// Whether writers may go on; waits while they are far ahead of what was told.
    fn goes_on(&self, is_over: &AtomicBool) -> bool {
        let slowest = || self.sinks.iter().map(Sink::distinct).min().unwrap_or_default() as u64;
        let written = || self.figures.events.load(Ordering::Relaxed);
        while !is_over.load(Ordering::Relaxed) && written() > slowest() + LEAD {
            thread::sleep(Duration::from_millis(20));
        }
        !is_over.load(Ordering::Relaxed)
    }

    /// Writes, kills and reads until enough was seen, and then until nothing is left to tell.
    fn play(&self, fleet: &mut Fleet) -> (Kills, Acknowledged, Duration) {
        let (is_written, is_read, begun) =
            (AtomicBool::new(false), AtomicBool::new(false), Instant::now());
        let clients = fleet.clients(self.postgres);
        let write = |number: u64| {
            let client = &clients[usize::try_from(number).unwrap() % clients.len()];
            let goes_on = || self.goes_on(&is_written);
            Writer::new(number, self.seed, client, &self.figures).run(goes_on)
        };
        let write = &write;
        thread::scope(|scope| {
            let _reading = Ends(&is_read);
            let writing = Ends(&is_written);
            scope.spawn(|| self.readers[0].poll(&clients, &is_read));
            scope.spawn(|| self.readers[1].stream(&clients, &is_read));
            let writers: Vec<_> =
                (1..=WRITERS).map(|number| scope.spawn(move || write(number))).collect();
            let is_stuck = || begun.elapsed() > self.goal.limit;
            let is_broken = || writers.iter().any(thread::ScopedJoinHandle::is_finished);
            let (mut random, mut kills) = (Random::new(self.seed), Kills::default());
            while kills.total() < self.goal.kills || self.delivered() < self.goal.deliveries {
                if is_stuck() || is_broken() {
                    break;
                }
                if kills.total() < self.goal.kills {
                    let pause = 500 + random.below(self.goal.pause_ms);
                    thread::sleep(Duration::from_millis(pause));
                    kills.one(&mut random, fleet, self.postgres);
                }
                thread::sleep(Duration::from_millis(20));
            }
            drop(writing);
            let all = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
            self.wait_until_told();
            (kills, Acknowledged::all(all), begun.elapsed())
        })
    }

    /// Waits until all is delivered and read, but not for ever: what is missing then, is missing.
    fn wait_until_told(&self) {
        let (mut pg, asked) = (self.postgres.connect(self.database), Instant::now());
        let total = usize::try_from(number(&mut pg, &format!("select count(*) {EVENTS}"))).unwrap();
        let unsettled = "select count(*) from webhook_deliveries where status <> 'delivered'";
        let is_told = || self.delivered() >= total * self.sinks.len();
        let is_read = || self.readers.iter().all(|reader| reader.seen().len() >= total);
        while asked.elapsed() < Duration::from_secs(120) {
            if is_told() && is_read() && number(&mut pg, unsettled) == 0 {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        println!("not all is told after two minutes");
    }
}

/// What happened, but for the making of the key and the endpoints.
const EVENTS: &str =
    "from touchpoints where type not like all (array['webhook_endpoint.%', 'api_key.%'])";

/// What is wrong with what somebody was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wrong {
    missed: Vec<Uuid>,
    /// Told, though it is not in the log.
    invented: Vec<Uuid>,
    /// Not in the order of the feed, or not in that in which it was written.
    disordered: Vec<Uuid>,
}

/// Holds what somebody was told, each event once, against the log and its order.
fn compare(told: &[Told], order: &BTreeMap<Uuid, usize>) -> Wrong {
    let known: BTreeSet<Uuid> = told.iter().map(|told| told.id).collect();
    let missed = order.keys().filter(|id| !known.contains(id)).copied().collect();
    let mut wrong = Wrong { missed, ..Wrong::default() };
    let mut last: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for Told { id, customer, mark } in told {
        let Some(place) = order.get(id) else {
            wrong.invented.push(*id);
            continue;
        };
        let Some(customer) = customer else { continue };
        let (before, mark_before) = last.get(customer.as_str()).copied().unwrap_or_default();
        let mark = mark.as_deref().unwrap_or(mark_before);
        if *place < before || mark < mark_before {
            wrong.disordered.push(*id);
        }
        last.insert(customer, (*place, mark));
    }
    wrong
}

/// The place of each event in the feed.
fn order(pg: &mut PgConnection) -> BTreeMap<Uuid, usize> {
    let sql = format!(
        "select id from changes, unnest(touchpoint_ids) with ordinality as told (id, place)
          where id in (select id {EVENTS}) order by sequence, place"
    );
    let ids = texts(pg, &sql);
    ids.iter().enumerate().map(|(place, id)| (id.parse().expect("a UUID"), place)).collect()
}

#[test]
fn what_was_committed_is_told_whatever_is_killed() {
    let seed = seed();
    let postgres = Postgres::lock();
    let database = postgres.database();
    let mut fleet = Fleet::start(&postgres, &postgres.url(Role::App, &database));
    let sinks: Vec<Sink> = Mood::ALL.into_iter().map(Sink::start).collect();
    let client = &fleet.clients(&postgres)[0];
    sinks.iter().for_each(|sink| sink.subscribe(client));
    let (goal, readers, figures) = (goal(), Default::default(), Figures::default());
    let run = Run { goal, seed, postgres: &postgres, database: &database, sinks, readers, figures };
    let (kills, all, took) = run.play(&mut fleet);

    let mut pg = postgres.connect(&database);
    println!("seed {seed}, {:.1} s: {kills:?}, {:?}", took.as_secs_f64(), run.figures);
    let order = order(&mut pg);
    let committed = number(&mut pg, &format!("select count(*) {EVENTS}"));
    println!("{committed} events to {} endpoints and 2 readers", run.sinks.len());
    let (mut wrong, mut delivered) = (Vec::new(), 0);
    for sink in &run.sinks {
        let account = sink.account();
        println!("{account}");
        delivered += account.told.len();
        assert!(account.renamed.is_empty(), "repeated as something else: {:?}", account.renamed);
        wrong.push(compare(&account.told, &order));
    }
    for reader in &run.readers {
        let seen = reader.seen();
        println!("reader: {} events, came again {} times", seen.len(), reader.returns());
        let once: BTreeSet<Uuid> = seen.iter().map(|told| told.id).collect();
        assert_eq!(once.len(), seen.len(), "a reader saw an event twice");
        wrong.push(compare(&seen, &order));
    }
    let rate = delivered as f64 / took.as_secs_f64();
    let sum = |count: fn(&Wrong) -> usize| wrong.iter().map(count).sum::<usize>();
    let (missed, disordered) = (sum(|it| it.missed.len()), sum(|it| it.disordered.len()));
    println!("{delivered} deliveries, {rate:.0}/s; missed {missed}, out of order {disordered}");
    assert_eq!(order.len(), usize::try_from(committed).unwrap(), "the feed is complete");
    assert!(wrong.iter().all(|wrong| *wrong == Wrong::default()), "{wrong:?}");
    assert_eq!(audit::audit(&mut pg, &all), Faults::default());
    assert!(kills.total() >= run.goal.kills, "{kills:?}");
    assert!(delivered >= run.goal.deliveries, "only {delivered} deliveries");
    drop((fleet, pg));
    postgres.drop_database(&database);
}
