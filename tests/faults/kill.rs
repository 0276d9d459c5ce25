//! Service and Postgres are killed at random while writers write: what was acknowledged is stored,
//! each exactly once, and the figures agree with the rows.
//!
//! Whatever gets no answer, or 5xx, is sent again with its key until it is acknowledged. The seed is
//! printed; `FAULTS_SEED` sets it. Which request a kill hits depends on the machine all the same.

pub mod audit;
pub mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ecrm::db::embedded::Role;

use crate::client::Client;
use crate::is_long;
use crate::postgres::{End, Postgres};
use crate::service::Service;
use writer::{Acknowledged, Figures, Writer};

const WRITERS: u64 = 8;

/// How much a run has to see, and how long it may take.
struct Goal {
    kills: usize,
    acknowledged: u64,
    limit: Duration,
    /// The longest pause between two kills.
    pause_ms: u64,
}

fn goal() -> Goal {
    if is_long() {
        let limit = Duration::from_secs(3600);
        return Goal { kills: 40, acknowledged: 100_000, limit, pause_ms: 12_000 };
    }
    Goal { kills: 6, acknowledged: 5_000, limit: Duration::from_secs(120), pause_ms: 4_000 }
}

/// A small generator: the same numbers for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

pub fn seed() -> u64 {
    let given = std::env::var("FAULTS_SEED").ok();
    given.map_or_else(
        || u64::from(uuid::Uuid::new_v4().as_fields().0),
        |text| text.parse().expect("FAULTS_SEED is a number"),
    )
}

/// How often what was killed.
#[derive(Debug, Default)]
struct Kills {
    service: usize,
    postgres_killed: usize,
    postgres_immediate: usize,
    both: usize,
}

impl Kills {
    fn total(&self) -> usize {
        self.service + self.postgres_killed + self.postgres_immediate + self.both
    }

    /// Kills something and starts it again; each kind comes before chance decides.
    fn one(&mut self, random: &mut Random, service: &mut Service, postgres: &Postgres) {
        let kind = if self.total() < 4 { self.total() as u64 } else { random.below(4) };
        match kind {
            0 => self.service += 1,
            1 => self.postgres_killed += 1,
            2 => self.postgres_immediate += 1,
            _ => self.both += 1,
        }
        if kind > 0 {
            postgres.end(if kind == 2 { End::Immediate } else { End::Killed });
        }
        if kind == 0 || kind == 3 {
            service.kill_and_restart();
        }
        if kind > 0 {
            thread::sleep(Duration::from_millis(random.below(500)));
            postgres.start();
        }
    }
}

/// What the writers of a run were acknowledged, and what was killed meanwhile.
fn run(
    goal: &Goal,
    seed: u64,
    service: &mut Service,
    postgres: &Postgres,
    figures: &Figures,
) -> (Kills, Acknowledged) {
    let (mut random, mut kills) = (Random::new(seed), Kills::default());
    let (is_over, begun) = (AtomicBool::new(false), Instant::now());
    let client = Client::new(&service.base(), Some(&postgres.key));
    let goes_on = || !is_over.load(Ordering::Relaxed);
    let write = |number| Writer::new(number, seed, &client, figures).run(goes_on);
    let all = thread::scope(|scope| {
        let writers: Vec<_> = (1..=WRITERS)
            .map(|number| {
                scope.spawn({
                    let write = &write;
                    move || write(number)
                })
            })
            .collect();
        let acknowledged = || figures.acknowledged.load(Ordering::Relaxed);
        while kills.total() < goal.kills || acknowledged() < goal.acknowledged {
            let is_stuck = begun.elapsed() > goal.limit;
            if is_stuck || writers.iter().any(thread::ScopedJoinHandle::is_finished) {
                break;
            }
            if kills.total() < goal.kills {
                thread::sleep(Duration::from_millis(500 + random.below(goal.pause_ms)));
                kills.one(&mut random, service, postgres);
            }
            thread::sleep(Duration::from_millis(50));
        }
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    (kills, Acknowledged::all(all))
}

#[test]
fn what_was_acknowledged_is_stored_exactly_once_whatever_is_killed() {
    let (goal, seed, begun) = (goal(), seed(), Instant::now());
    let postgres = Postgres::lock();
    let database = postgres.database();
    let url = postgres.url(Role::App, &database);
    let mut service = Service::start(postgres.folder(), &url, &[]);
    let figures = Figures::default();
    let (kills, all) = run(&goal, seed, &mut service, &postgres, &figures);
    let mut pg = postgres.connect(&database);
    let faults = audit::audit(&mut pg, &all);
    println!("seed {seed}, {:.1} s: {kills:?}, {figures:?}", begun.elapsed().as_secs_f64());
    println!("lost {}, doubled {}", faults.lost.len(), faults.doubled.len());
    assert_eq!(faults, audit::Faults::default());
    audit::figures_agree(&mut pg);
    assert!(kills.total() >= goal.kills, "{kills:?}");
    assert!(figures.acknowledged.load(Ordering::Relaxed) >= goal.acknowledged, "{figures:?}");
    assert!(figures.cut.load(Ordering::Relaxed) > 0, "no kill has hit anybody: {figures:?}");
    drop((service, pg));
    postgres.drop_database(&database);
}
