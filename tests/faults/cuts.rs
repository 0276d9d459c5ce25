//! The connection to the database is cut at every byte of a write, and around its COMMIT: the write
//! is stored once or not at all, and its key tells which.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Answer, CUSTOMERS, TOUCHPOINTS};
use crate::is_long;
use crate::postgres::number;
use crate::proxy::{Mode, Way};
use crate::stage::Stage;

/// A write that leaves a mark, and where to find the mark.
#[derive(Clone, Copy)]
struct Write {
    path: &'static str,
    body: fn(&str) -> Value,
    count: &'static str,
}

const CUSTOMER: Write = Write {
    path: CUSTOMERS,
    body: |mark| json!({ "last_name": mark }),
    count: "select count(*) from customers where last_name = ",
};

const TOUCHPOINT: Write = Write {
    path: TOUCHPOINTS,
    body: |mark| json!({ "type": "page.viewed", "properties": { "mark": mark } }),
    count: "select count(*) from touchpoints where properties->>'mark' = ",
};

const BATCH: Write = Write {
    path: "/v1/touchpoints/batch",
    body: |mark| json!({ "items": [(TOUCHPOINT.body)(mark)] }),
    count: TOUCHPOINT.count,
};

impl Write {
    fn send(&self, stage: &Stage, mark: &str) -> Answer {
        stage.client.write("POST", self.path, mark, &(self.body)(mark))
    }

    fn stored(&self, stage: &Stage, mark: &str) -> i64 {
        number(&mut stage.connect(), &format!("{} '{mark}'", self.count))
    }

    /// Bytes that it sends to the database and gets back, once its statements are prepared.
    fn size(&self, stage: &Stage) -> [u64; 2] {
        (0..4).for_each(|_| assert!(self.send(stage, &stage.mark()).is_success()));
        stage.proxy.set(Mode::Pass);
        assert!(self.send(stage, &stage.mark()).is_success());
        stage.proxy.passed()
    }
}

/// What became of a write whose connection was cut.
#[derive(Debug, Default)]
struct Fates {
    acknowledged: usize,
    /// Answered 503, and not stored.
    failed: usize,
    /// Answered 503, and stored all the same.
    unknown: usize,
}

/// A COMMIT that arrived is carried out even where nobody waits for it any more.
fn wait_for_the_database(stage: &Stage) {
    let mut pg = stage.connect();
    let busy = "select count(*) from pg_stat_activity where datname = current_database()
                   and pid <> pg_backend_pid() and xact_start is not null";
    let asked = Instant::now();
    while number(&mut pg, busy) > 0 {
        assert!(asked.elapsed() < Duration::from_secs(5), "a transaction does not end");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a write while the network is in this mode, and again until it is acknowledged.
fn cut(stage: &Stage, write: Write, mode: Mode, fates: &mut Fates) {
    let mark = stage.mark();
    stage.proxy.set(mode);
    let answer = write.send(stage, &mark);
    stage.proxy.set(Mode::Pass);
    wait_for_the_database(stage);
    let is_stored = write.stored(stage, &mark) == 1;
    if answer.is_success() {
        assert!(is_stored, "acknowledged and lost, {mode:?}");
        fates.acknowledged += 1;
        return;
    }
    answer.expect_503("unavailable");
    let again = write.send(stage, &mark);
    assert!(again.is_success(), "{mode:?}: {again:?}");
    assert_eq!(again.is_replay(), is_stored, "{mode:?}");
    assert_eq!(write.stored(stage, &mark), 1, "{mode:?}");
    *(if is_stored { &mut fates.unknown } else { &mut fates.failed }) += 1;
}

/// One connection, and no worker that would send bytes of its own.
fn lone_writer() -> Stage {
    Stage::with(&[("ECRM_POOL_SIZE", "2"), ("ECRM_WORKERS", "1"), ("ECRM_RUN_JOBS", "0")])
}

fn cut_anywhere(write: Write) {
    let stage = lone_writer();
    let points = if is_long() { 200 } else { 20 };
    let mut fates = Fates::default();
    let [up, down] = write.size(&stage);
    for (way, size) in [(Way::Up, up), (Way::Down, down)] {
        for point in 1..=points {
            let mode = Mode::CutAfter(way, (size * point).div_ceil(points));
            cut(&stage, write, mode, &mut fates);
        }
    }
    println!("{} of {up} bytes up and {down} down: {fates:?}", write.path);
    assert!(fates.failed > 0 && fates.unknown > 0, "{fates:?}");
}

#[test]
fn a_customer_cut_off_at_any_byte_is_stored_once_or_not_at_all() {
    cut_anywhere(CUSTOMER);
}

#[test]
fn a_touchpoint_cut_off_at_any_byte_is_stored_once_or_not_at_all() {
    cut_anywhere(TOUCHPOINT);
}

#[test]
fn a_batch_cut_off_at_any_byte_is_stored_once_or_not_at_all() {
    cut_anywhere(BATCH);
}

#[test]
fn a_commit_that_never_arrives_stores_nothing() {
    let stage = lone_writer();
    for write in [CUSTOMER, TOUCHPOINT, BATCH] {
        write.size(&stage);
        let mut fates = Fates::default();
        let mode = Mode::CutAt { text: b"COMMIT\0", arrives: false };
        (0..5).for_each(|_| cut(&stage, write, mode, &mut fates));
        assert_eq!(fates.unknown, 0, "{}: {fates:?}", write.path);
        assert!(fates.failed > 0, "{}: {fates:?}", write.path);
    }
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_by_its_key() {
    let stage = lone_writer();
    for write in [CUSTOMER, TOUCHPOINT, BATCH] {
        write.size(&stage);
        let mut fates = Fates::default();
        let mode = Mode::CutAt { text: b"COMMIT\0", arrives: true };
        (0..5).for_each(|_| cut(&stage, write, mode, &mut fates));
        assert_eq!(fates.failed, 0, "{}: {fates:?}", write.path);
        assert!(fates.unknown > 0, "{}: {fates:?}", write.path);
    }
}

/// A caller who goes away does not take the write with it.
#[test]
fn a_write_whose_caller_has_gone_is_found_by_its_key() {
    let stage = Stage::new();
    stage.proxy.set(Mode::Latency(Duration::from_millis(40)));
    let mark = stage.mark();
    let impatient = stage.client.with_patience(Duration::from_millis(150));
    let body = (CUSTOMER.body)(&mark);
    assert!(impatient.send("POST", CUSTOMERS, Some(&mark), Some(&body)).is_err());
    stage.proxy.set(Mode::Pass);
    thread::sleep(Duration::from_secs(1));
    assert!(CUSTOMER.send(&stage, &mark).expect(201).is_replay());
    assert_eq!(CUSTOMER.stored(&stage, &mark), 1);
}
