//! The times that callers are promised, and what a busy machine may add to them.

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

/// The promise holds for the median, and with some noise for each.
#[track_caller]
pub fn kept(times: &[Duration], promise: Duration) {
    let mut times = times.to_vec();
    times.sort_unstable();
    assert!(!times.is_empty(), "nothing was measured");
    assert!(times[times.len() / 2] <= promise, "more than {promise:?}: {times:?}");
    assert!(times[times.len() - 1] <= promise + NOISE, "more than {promise:?}: {times:?}");
}

/// All were told so, in time, that the service cannot answer now.
#[track_caller]
pub fn are_away(answers: &[Answer]) {
    answers.iter().for_each(|answer| answer.expect_503("unavailable"));
    let times: Vec<Duration> = answers.iter().map(|answer| answer.waited).collect();
    kept(&times, TO_FAIL);
}
