//! Threads for what waits for the network: those of the service are for the database.

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// What a request of ours needs of its thread's stack is a fraction of this.
pub const STACK_BYTES: usize = 512 * 1024;

/// Does something on a thread of its own, and waits for it.
pub async fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.into())
        .stack_size(STACK_BYTES)
        .spawn(move || drop(tell.send(work())))
        .map_err(|error| Error::unavailable(error.to_string()))?;
    told.await.map_err(|gone| Error::internal(gone.to_string()))
}
