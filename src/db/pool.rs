//! Connections that notice when the database went away.
//!
//! r2d2 tests a connection at every checkout, which costs a round trip a request; diesel's own
//! manager hands dead connections out again. This one asks the server only after a pause, and
//! drops a connection at the first error that speaks of the connection itself.

use std::time::{Duration, Instant};

use diesel::connection::{CacheSize, SimpleConnection};
use diesel::pg::PgConnection;
use diesel::{Connection, ConnectionError};

use crate::config::Pooler;
use crate::error::{Error, Result};

/// A pause after which a connection is tested before it is used.
const TRUSTED_FOR: Duration = Duration::from_millis(500);
/// How long a request waits for a connection before it is answered 503.
pub const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(2);

/// Limits that hold for every statement of a request; the workers' own are wider. Compiling a query
/// over years of monthly partitions (JIT) takes seconds, running it milliseconds.
const SESSION: &str = "set statement_timeout = '5s'; set lock_timeout = '3s'; \
     set idle_in_transaction_session_timeout = '10s'; set timezone = 'UTC'; set jit = off";

/// How long libpq waits for a server that does not answer: 2 s to connect; 3 s for what was sent to
/// be acknowledged; and one that died after that is noticed within 11 s (5 + 3 × 2).
const TIMEOUTS: [(&str, &str); 5] = [
    ("connect_timeout", "2"),
    ("tcp_user_timeout", "3000"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_count", "3"),
];

pub type Pool = r2d2::Pool<Manager>;

pub struct Manager {
    url: String,
    pooler: Pooler,
}

pub struct Pooled {
    pub pg: PgConnection,
    used_at: Instant,
    is_lost: bool,
}

impl Pooled {
    /// Runs `work` and remembers whether the connection survived it.
    pub fn run<T>(&mut self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let done = work(&mut self.pg);
        self.used_at = Instant::now();
        self.is_lost |= matches!(&done, Err(Error::Unavailable { connection_lost: true, .. }));
        done
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Pooled, ConnectionError> {
        let mut pg = PgConnection::establish(&self.url)?;
        match self.pooler {
            Pooler::None => {
                pg.batch_execute(SESSION).map_err(ConnectionError::CouldntSetupConfiguration)?;
                // Errors are recognised by their English texts; not every role may ask for them.
                if let Err(error) = pg.batch_execute("set lc_messages = 'C'") {
                    log::debug!("lc_messages stays as the server has it: {error}");
                }
            }
            // Session settings and prepared statements would reach other clients of the pooler.
            Pooler::Transaction => pg.set_prepared_statement_cache_size(CacheSize::Disabled),
        }
        Ok(Pooled { pg, used_at: Instant::now(), is_lost: false })
    }

    fn is_valid(&self, connection: &mut Pooled) -> Result<(), ConnectionError> {
        if connection.used_at.elapsed() > TRUSTED_FOR {
            let asked = connection.pg.batch_execute("select 1");
            asked.map_err(ConnectionError::CouldntSetupConfiguration)?;
            connection.used_at = Instant::now();
        }
        Ok(())
    }

    fn has_broken(&self, connection: &mut Pooled) -> bool {
        connection.is_lost || std::thread::panicking()
    }
}

/// A pool that connects lazily: the service starts, and recovers, without the database.
pub fn build(url: &str, pooler: Pooler, size: u32) -> Pool {
    r2d2::Pool::builder()
        .max_size(size)
        .min_idle(Some(0))
        .connection_timeout(CHECKOUT_TIMEOUT)
        .idle_timeout(Some(Duration::from_secs(600)))
        .error_handler(Box::new(ReportOnce))
        .build_unchecked(Manager { url: with_timeouts(url), pooler })
}

#[derive(Debug)]
struct ReportOnce;

impl r2d2::HandleError<ConnectionError> for ReportOnce {
    fn handle_error(&self, error: ConnectionError) {
        // libpq's text names host and role, never the password.
        log::warn!("no database connection: {}", error.to_string().replace('\n', " "));
    }
}

/// Adds connect and TCP timeouts where the operator named none, in either syntax of libpq.
fn with_timeouts(url: &str) -> String {
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let mut text = url.to_owned();
    for (name, value) in TIMEOUTS {
        if text.contains(name) {
            continue;
        }
        let separator = match (is_url, text.contains('?')) {
            (true, true) => '&',
            (true, false) => '?',
            (false, _) => ' ',
        };
        text.push_str(&format!("{separator}{name}={value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_timeouts;

    #[test]
    fn timeouts_are_added_in_the_syntax_of_the_url() {
        let added = "connect_timeout=2&tcp_user_timeout=3000&keepalives_idle=5\
                     &keepalives_interval=2&keepalives_count=3";
        assert_eq!(with_timeouts("postgres://h/d"), format!("postgres://h/d?{added}"));
        assert_eq!(with_timeouts("postgres://h/d?a=b"), format!("postgres://h/d?a=b&{added}"));
        assert_eq!(
            with_timeouts("host=/tmp connect_timeout=9 keepalives_idle=60"),
            "host=/tmp connect_timeout=9 keepalives_idle=60 tcp_user_timeout=3000 \
             keepalives_interval=2 keepalives_count=3"
        );
    }
}
