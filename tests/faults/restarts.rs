//! Postgres restarts under load: it is missed no longer than it is away, and nothing is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Answer;
use crate::is_long;
use crate::postgres::End;
use crate::promise::{NOISE, TO_FAIL, TO_RECOVER, are_away, kept, usual};
use crate::stage::Stage;

/// Writers and a reader that go on until told to stop; what was not acknowledged comes back.
fn load(stage: &Stage, is_over: &AtomicBool) -> Vec<(String, Answer)> {
    thread::scope(|scope| {
        let write = || {
            let mut unanswered = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let mark = stage.mark();
                let answer = stage.store(&mark);
                if !answer.is_success() {
                    answer.expect_503("unavailable");
                    unanswered.push((mark, answer));
                }
            }
            unanswered
        };
        let read = || {
            while !is_over.load(Ordering::Relaxed) {
                let answer = stage.read();
                if !answer.is_success() {
                    answer.expect_503("unavailable");
                }
            }
        };
        scope.spawn(read);
        let writers = [(); 3].map(|()| scope.spawn(write));
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

/// Restarts Postgres under load and returns how long it was missed once it was back.
fn restart(stage: &Stage, how: End, away: Duration) -> Duration {
    let is_over = AtomicBool::new(false);
    let (recovery, unanswered) = thread::scope(|scope| {
        let load = scope.spawn(|| load(stage, &is_over));
        thread::sleep(Duration::from_millis(300));
        stage.postgres.end(how);
        thread::sleep(away);
        stage.postgres.start();
        let recovery = stage.recovery(Instant::now());
        is_over.store(true, Ordering::Relaxed);
        (recovery, load.join().unwrap())
    });
    let times: Vec<Duration> = unanswered.iter().map(|(_, answer)| answer.waited).collect();
    assert!(times.iter().all(|waited| *waited < TO_FAIL + NOISE + usual()), "{times:?}");
    unanswered.iter().for_each(|(mark, _)| assert!(stage.store(mark).is_success(), "{mark}"));
    recovery
}

fn restarts(how: End) {
    let stage = Stage::new();
    let rounds = if is_long() { 25 } else { 3 };
    let away = Duration::from_millis(300);
    let recoveries: Vec<_> = (0..rounds).map(|_| restart(&stage, how, away)).collect();
    println!("{how:?}: served again after {recoveries:?}");
    stage.audit();
    kept(&recoveries, TO_RECOVER);
}

#[test]
fn a_database_that_was_restarted_is_back_within_two_seconds() {
    restarts(End::Fast);
}

#[test]
fn a_database_that_was_restarted_at_once_is_back_within_two_seconds() {
    restarts(End::Immediate);
}

#[test]
fn a_database_that_was_killed_is_back_within_two_seconds() {
    restarts(End::Killed);
}

#[test]
fn a_database_that_is_away_for_long_is_missed_no_longer_than_that() {
    let stage = Stage::new();
    let away = Duration::from_secs(if is_long() { 20 } else { 6 });
    stage.fill_the_pool();
    stage.postgres.end(End::Fast);
    let gone = Instant::now();
    let mut unanswered = Vec::new();
    while gone.elapsed() < away {
        let (reads, writes) = stage.crowd(4);
        are_away(&reads);
        are_away(&writes.iter().map(|(_, answer)| answer.clone()).collect::<Vec<_>>());
        stage.the_rest_works();
        unanswered.extend(writes);
    }
    stage.postgres.start();
    kept(&[stage.recovery(Instant::now())], TO_RECOVER);
    stage.repeat(&unanswered);
    stage.audit();
}
