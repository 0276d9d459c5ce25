//! The network between service and database fails, in every way that a proxy can make it fail.
//!
//! Each outage happens several times. Readers and writers are told so in time, what needs no
//! database works, the first success comes soon after the end, and nothing acknowledged is lost.

use std::time::{Duration, Instant};

use crate::promise::{NOISE, TO_ANSWER, TO_RECOVER, are_away, kept, usual};
use crate::proxy::Mode;
use crate::stage::Stage;
use crate::wire;

fn rounds() -> usize {
    if crate::is_long() { 10 } else { 2 }
}

/// Whether connections that exist end with the beginning of an outage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Cut,
    Kept,
}

/// An outage in which nobody can be served.
fn outage(mode: Mode, existing: Existing) {
    let stage = Stage::with(&[("ECRM_POOL_SIZE", "4")]);
    let mut recoveries = Vec::new();
    for _ in 0..rounds() {
        stage.fill_the_pool();
        stage.proxy.set(mode);
        if existing == Existing::Cut {
            stage.proxy.sever();
        }
        let (reads, writes) = stage.crowd(4);
        are_away(&reads);
        are_away(&writes.iter().map(|(_, answer)| answer.clone()).collect::<Vec<_>>());
        stage.client.get("/health/ready").expect_503("unavailable");
        stage.the_rest_works();
        stage.proxy.set(Mode::Pass);
        recoveries.push(stage.recovery(Instant::now()));
        stage.repeat(&writes);
    }
    stage.audit();
    kept(&recoveries, TO_RECOVER);
}

/// A disturbance that nobody may notice but by the time it takes.
fn disturbance(mode: Mode, existing: Existing) -> Vec<Duration> {
    let stage = Stage::with(&[("ECRM_POOL_SIZE", "4")]);
    let mut times = Vec::new();
    for _ in 0..rounds() {
        stage.fill_the_pool();
        stage.proxy.set(mode);
        if existing == Existing::Cut {
            stage.proxy.sever();
        }
        let (reads, writes) = stage.crowd(4);
        times.extend(reads.into_iter().map(|answer| answer.expect(200).waited));
        times.extend(writes.into_iter().map(|(_, answer)| answer.expect(201).waited));
        stage.proxy.set(Mode::Pass);
        kept(&[stage.recovery(Instant::now())], TO_RECOVER);
    }
    stage.audit();
    times
}

#[test]
fn a_database_that_refuses_connections_is_answered_503_and_missed_no_longer_than_it_is_away() {
    outage(Mode::Refuse, Existing::Cut);
}

#[test]
fn a_database_that_refuses_new_connections_is_used_through_those_there_are() {
    disturbance(Mode::Refuse, Existing::Kept);
}

#[test]
fn a_database_that_does_not_answer_new_connections_is_answered_503() {
    outage(Mode::Blackhole, Existing::Cut);
}

#[test]
fn a_database_that_falls_silent_is_answered_503() {
    let stage = Stage::with(&[("ECRM_POOL_SIZE", "4")]);
    stage.fill_the_pool();
    stage.proxy.set(Mode::Blackhole);
    // Those under way wait longer than any statement may take, everybody else no longer than ever.
    let (reads, first) = stage.crowd(4);
    let codes = ["timeout", "unavailable"];
    for answer in reads.iter().chain(first.iter().map(|(_, answer)| answer)) {
        assert!(codes.contains(&answer.code()), "{answer:?}");
        answer.expect_503(answer.code());
        assert!(answer.waited < TO_ANSWER + NOISE + usual(), "{answer:?}");
    }
    assert!(reads.iter().chain(first.iter().map(|(_, a)| a)).any(|a| a.code() == "timeout"));
    let (reads, second) = stage.crowd(4);
    are_away(&reads);
    are_away(&second.iter().map(|(_, answer)| answer.clone()).collect::<Vec<_>>());
    stage.client.get("/health/ready").expect_503("unavailable");
    stage.the_rest_works();
    stage.proxy.set(Mode::Pass);
    kept(&[stage.recovery(Instant::now())], TO_RECOVER);
    // What was under way went on, so these may be answered with what is stored by now.
    stage.repeat(&[first, second].concat());
    stage.audit();
}

#[test]
fn a_database_that_ends_its_side_of_every_connection_is_answered_503() {
    outage(Mode::HalfClose, Existing::Kept);
}

#[test]
fn a_database_that_resets_every_connection_is_answered_503() {
    outage(Mode::Reset, Existing::Kept);
}

#[test]
fn a_browser_that_asks_for_a_stream_while_the_database_is_away_is_told_to_come_again() {
    let mut stage = Stage::new();
    stage.proxy.set(Mode::Refuse);
    stage.proxy.sever();
    // Of a credential that is known, and of one that would have to be looked up.
    for is_known in [true, false] {
        if !is_known {
            stage.service.kill_and_restart();
        }
        let ask = |more: &str| {
            let head = format!(
                "GET /v1/changes/stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                 Authorization: Bearer {}\r\n{more}\r\n",
                stage.postgres.key
            );
            wire::exchange(stage.service.port, head.as_bytes())
        };
        let told = ask("Accept: text/event-stream\r\n");
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert_eq!((told.status, text.as_str()), (200, "retry: 5000\n\n"), "{is_known}");
        assert_eq!(ask("").status, 503);
    }
}

#[test]
fn connections_that_were_cut_once_are_replaced_without_a_failed_request() {
    disturbance(Mode::Pass, Existing::Cut);
}

#[test]
fn a_slow_network_makes_requests_slow_and_fails_none() {
    let delay = Duration::from_millis(15);
    let times = disturbance(Mode::Latency(delay), Existing::Kept);
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*least >= 2 * delay, "nothing was slowed down: {least:?}");
    assert!(*most < Duration::from_secs(4) + usual(), "{most:?}");
}
