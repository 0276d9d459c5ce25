//! Threads for what waits for the network: those of the service are for the database.

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Four times what a TLS handshake needs in a debug build: a stack that is too small ends the process.
pub const STACK_BYTES: usize = 1024 * 1024;

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
