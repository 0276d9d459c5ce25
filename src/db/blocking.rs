//! Work that blocks, on the threads that may, and how long a caller waits for it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::rt::time::timeout;
use actix_web::web;

use super::pool::CHECKOUT_TIMEOUT;
use crate::db;
use crate::error::{Code, Error, Result};

/// How long a caller waits in all; a statement may take half of it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs `work` on a blocking thread; there are as many as database connections. What has begun goes
/// on, even if nobody waits for it any more.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let asked_at = Instant::now();
    let has_begun = Arc::new(AtomicBool::new(false));
    let begun = has_begun.clone();
    let running = web::block(move || {
        begun.store(true, Ordering::Relaxed);
        db::queued_since(asked_at, work)
    });
    let done = in_time(running, asked_at, &has_begun).await?;
    done.map_err(|error| Error::internal(format!("a blocking task panicked: {error}")))?
}

/// Waits for something to begin no longer than for a connection, and for its end not for ever.
///
/// A database that falls silent ends no connection, and would hold threads and callers for as long
/// as the network does: they are answered 503, and what they wanted may yet be stored.
pub async fn in_time<T>(
    running: impl Future<Output = T>,
    asked_at: Instant,
    has_begun: &AtomicBool,
) -> Result<T> {
    let mut running = pin!(running);
    let mut done = timeout(CHECKOUT_TIMEOUT, &mut running).await;
    if done.is_err() && has_begun.load(Ordering::Relaxed) {
        done = timeout(ANSWER_TIMEOUT.saturating_sub(asked_at.elapsed()), running).await;
    }
    match done {
        Ok(done) => Ok(done),
        Err(_elapsed) if has_begun.load(Ordering::Relaxed) => {
            let log = "the database does not answer".into();
            Err(Error::Unavailable { code: Code::TIMEOUT, log, connection_lost: false })
        }
        Err(_elapsed) => Err(Error::unavailable("waited too long for its turn")),
    }
}
