//! The times that callers are promised, and what a busy machine may add to them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::client::Answer;

/// What a caller waits for at most while the database is away.
pub const TO_FAIL: Duration = Duration::from_millis(2300);
/// What a caller waits for at most whose statement is under way when the database falls silent.
pub const TO_ANSWER: Duration = Duration::from_secs(10);
/// What a caller waits for at most once the database is back.
pub const TO_RECOVER: Duration = Duration::from_secs(2);
/// What a machine that runs service, database and callers on two cores may add now and then.
pub const NOISE: Duration = Duration::from_millis(1200);

/// What the slowest of some callers at once has waited lately while nothing was amiss, in
/// milliseconds: on a busy machine that is not the service's fault, and added to every promise.
static USUAL: AtomicU64 = AtomicU64::new(0);

/// Notes what callers wait while nothing is amiss.
pub fn is_usual(times: &[Duration]) {
    let slowest = times.iter().max().map_or(0, Duration::as_millis);
    USUAL.store(u64::try_from(slowest).unwrap_or(u64::MAX), Ordering::Relaxed);
}

pub fn usual() -> Duration {
    Duration::from_millis(USUAL.load(Ordering::Relaxed))
}

/// The promise holds for the median, and with some noise for each.
#[track_caller]
pub fn kept(times: &[Duration], promise: Duration) {
    let mut times = times.to_vec();
    times.sort_unstable();
    assert!(!times.is_empty(), "nothing was measured");
    let (promise, usual) = (promise + usual(), usual());
    let said = format!("{promise:?} with the usual {usual:?}, not {times:?}");
    assert!(times[times.len() / 2] <= promise, "{said}");
    assert!(times[times.len() - 1] <= promise + NOISE, "{said}");
}

/// All were told so, in time, that the service cannot answer now.
#[track_caller]
pub fn are_away(answers: &[Answer]) {
    answers.iter().for_each(|answer| answer.expect_503("unavailable"));
    let times: Vec<Duration> = answers.iter().map(|answer| answer.waited).collect();
    kept(&times, TO_FAIL);
}
