//! The one road to the database: a [`Conn`] for reads and a [`Tx`] for writes, both bound to one
//! workspace.

pub mod blocking;
pub mod constraints;
pub mod data_keys;
pub mod embedded;
mod error_map;
mod expression;
pub mod grants;
pub mod group;
pub mod id;
pub mod ids;
pub mod json;
pub mod keyset;
mod lease;
pub mod migrate;
pub mod pairs;
pub mod partitions;
pub mod pool;
mod workspace_id;

use std::cell::Cell;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::{Connection, RunQueryDsl};
use uuid::Uuid;

pub use lease::Lease;
pub use workspace_id::WorkspaceId;

use crate::config::{Config, Pooler};
use crate::error::{Error, Result};
use crate::journal::{self, Log};
use crate::metrics::Metrics;
use crate::seal::{DataKey, MasterKey};
use data_keys::DataKeys;
use partitions::KnownMonths;
use pool::{CHECKOUT_TIMEOUT, Pool};

/// How often a transaction is run again after a serialization failure or a deadlock.
const ATTEMPTS: u32 = 10;
/// How many dead connections of a pool one request may find before it gives up.
const DEAD_CONNECTIONS: u32 = 64;

/// The pools of one process. Private to the kernel: handlers reach it through a `Grant`.
#[derive(Clone)]
pub struct Db {
    primary: Pool,
    replica: Option<Pool>,
    pooler: Pooler,
    tripwire: bool,
    metrics: Arc<Metrics>,
    known_months: Arc<KnownMonths>,
    data_keys: Arc<DataKeys>,
}

thread_local! {
    /// How long the request that this thread serves has waited for the thread.
    static QUEUED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs the work of a request that waits for a thread since `asked_at`. The wait counts against the
/// time it may wait for a connection, so that nobody waits twice; who waited too long is told so at
/// once, and the queue drains.
pub fn queued_since<T>(asked_at: Instant, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let waited = asked_at.elapsed();
    if waited >= CHECKOUT_TIMEOUT {
        return Err(Error::unavailable("waited too long for a thread"));
    }
    QUEUED.set(waited);
    work()
}

/// Which server may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Primary,
    /// The read replica where one is configured: lists, searches, exports.
    Replica,
}

/// In whose name, and for which workspace, statements run.
#[derive(Debug, Clone)]
pub struct Session {
    /// The workspace of the data: the live one or its test twin.
    pub workspace: WorkspaceId,
    /// The live workspace, which holds users, keys and settings for both.
    pub home: WorkspaceId,
    pub livemode: bool,
    pub actor: Actor,
    pub via: Via,
    /// Of a worker: the job without which nothing is written.
    pub lease: Option<Lease>,
}

/// How something was asked for: by which request, and from which address.
#[derive(Debug, Clone, Default)]
pub struct Via {
    /// Empty for the service's own work.
    pub request_id: String,
    pub ip: Option<IpAddr>,
}

/// Our own work, by a name.
impl From<&str> for Via {
    fn from(name: &str) -> Self {
        Self { request_id: name.to_owned(), ip: None }
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: Option<Uuid>,
}

crate::text_enum! {
    /// What kind of somebody (or something) acted.
    pub enum ActorKind {
        Customer = "customer",
        User = "user",
        System = "system",
        Integration = "integration",
    }
}

impl Actor {
    pub const SYSTEM: Self = Self { kind: ActorKind::System, id: None };
}

/// A connection bound to a workspace; every statement stands alone.
pub struct Conn<'c> {
    pub pg: &'c mut PgConnection,
    pub workspace: WorkspaceId,
    pub home: WorkspaceId,
    pub livemode: bool,
    /// The one clock value of this request, to the microsecond as Postgres keeps it.
    pub now: DateTime<Utc>,
    pub data_keys: &'c DataKeys,
}

/// A transaction bound to a workspace: commits when the closure it was given to returns `Ok`.
///
/// Never drop a `QueryResult` in here: Postgres turns the commit after a failed statement into a
/// silent rollback.
pub struct Tx<'c> {
    conn: Conn<'c>,
    pub session: &'c Session,
    /// Which partitions of the log this database is known to have.
    pub known_months: &'c KnownMonths,
    /// What it has to tell.
    pub log: &'c mut Log,
    sequence: u16,
}

impl Conn<'_> {
    /// The key that seals and signs for the workspace whose data this reads.
    pub fn data_key(&mut self) -> Result<Arc<DataKey>> {
        self.data_keys.of(self.pg, self.workspace)
    }
}

impl<'c> Deref for Tx<'c> {
    type Target = Conn<'c>;

    fn deref(&self) -> &Conn<'c> {
        &self.conn
    }
}

impl<'c> DerefMut for Tx<'c> {
    fn deref_mut(&mut self) -> &mut Conn<'c> {
        &mut self.conn
    }
}

impl Tx<'_> {
    /// A new id for now, in the order in which this transaction asked for them.
    pub fn new_id(&mut self) -> Uuid {
        self.new_id_at(self.now)
    }

    /// A new id for something that happened at `at`.
    pub fn new_id_at(&mut self, at: DateTime<Utc>) -> Uuid {
        self.sequence = self.sequence.wrapping_add(1);
        id::at(at, self.sequence)
    }

    /// Lets what follows happen after `at`, when a record that is now locked was last changed: clocks
    /// differ, and who waited for a lock began before who held it. So the log tells the changes of a
    /// record in the order in which they were made.
    pub fn not_before(&mut self, at: DateTime<Utc>) {
        self.now = self.now.max(at + TimeDelta::microseconds(1));
    }

    /// Runs `work` in a savepoint: an error undoes what `work` did and nothing else.
    pub fn savepoint<T>(&mut self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let Conn { workspace, home, livemode, now, data_keys, .. } = self.conn;
        let (session, known_months, sequence) = (self.session, self.known_months, self.sequence);
        let mark = self.log.mark();
        let log = &mut *self.log;
        let done = self.conn.pg.transaction::<_, Error, _>(|pg| {
            let conn = Conn { pg, workspace, home, livemode, now, data_keys };
            let mut inner = Tx { conn, session, known_months, log, sequence };
            let done = work(&mut inner)?;
            Ok((done, inner.sequence, inner.now))
        });
        if done.is_err() {
            self.log.back_to(mark);
        }
        let (done, sequence, now) = done?;
        (self.sequence, self.conn.now) = (sequence, now);
        Ok(done)
    }
}

/// What a transaction leaves behind.
pub enum Outcome<T> {
    Commit(T),
    /// A dry run: the effect is shown, then undone.
    Rollback(T),
}

enum Abort<T> {
    Error(Error),
    DryRun(T),
}

impl<T> From<Error> for Abort<T> {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl<T> From<diesel::result::Error> for Abort<T> {
    fn from(error: diesel::result::Error) -> Self {
        Self::Error(error.into())
    }
}

impl Db {
    /// Pools for the configured servers; connects only when first used.
    pub fn new(
        config: &Config,
        primary: &str,
        replica: Option<&str>,
        metrics: Arc<Metrics>,
        master: MasterKey,
    ) -> Self {
        let build = |url| pool::build(url, config.pooler, config.pool_size);
        Self {
            primary: build(primary),
            replica: replica.map(build),
            pooler: config.pooler,
            tripwire: config.tripwire,
            metrics,
            known_months: Arc::default(),
            data_keys: Arc::new(DataKeys::new(master)),
        }
    }

    fn on<T>(
        &self,
        server: Server,
        scope: Option<&Session>,
        work: impl FnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        let pool = match (server, &self.replica) {
            (Server::Replica, Some(replica)) => replica,
            _ => &self.primary,
        };
        let asked_at = Instant::now();
        let patience = CHECKOUT_TIMEOUT.saturating_sub(QUEUED.get());
        let pooled = pool.get_timeout(patience);
        self.metrics.pool_wait(asked_at.elapsed());
        let mut pooled = pooled.map_err(|error| Error::unavailable(error.to_string()))?;
        pooled.run(|pg| {
            self.arm_tripwire(pg, scope)?;
            work(pg)
        })
    }

    /// The data keys of the workspaces in this database.
    pub fn data_keys(&self) -> &DataKeys {
        &self.data_keys
    }

    /// Statements for one workspace, each on its own. Blocks.
    pub fn read<T>(
        &self,
        server: Server,
        session: &Session,
        work: &dyn Fn(&mut Conn) -> Result<T>,
    ) -> Result<T> {
        let once = || {
            self.on(server, Some(session), |pg| {
                work(&mut Conn {
                    pg,
                    workspace: session.workspace,
                    home: session.home,
                    livemode: session.livemode,
                    now: now(),
                    data_keys: &self.data_keys,
                })
            })
        };
        for _ in 0..DEAD_CONNECTIONS {
            match once() {
                // A read can be asked again: the connection had died in the pool.
                Err(Error::Unavailable { connection_lost: true, .. }) => {}
                done => return done,
            }
        }
        once()
    }

    /// One transaction for one workspace, run again on deadlock or serialization failure. Blocks.
    pub fn write<T>(
        &self,
        session: &Session,
        work: &dyn Fn(&mut Tx) -> Result<Outcome<T>>,
    ) -> Result<T> {
        let has_begun = Cell::new(false);
        let mut dead = 0;
        for attempt in 1.. {
            match self.write_once(session, work, &has_begun) {
                // It died in the pool, before anything was asked of it.
                Err(Error::Unavailable { connection_lost: true, .. })
                    if !has_begun.get() && dead < DEAD_CONNECTIONS =>
                {
                    dead += 1;
                }
                Err(Error::Retry(_)) if attempt < ATTEMPTS => back_off(attempt),
                Err(Error::Prepare(months)) if attempt < ATTEMPTS => {
                    self.system(|pg| partitions::make(pg, &months))?;
                }
                done => return done,
            }
        }
        unreachable!("BUG: the last attempt returns")
    }

    fn write_once<T>(
        &self,
        session: &Session,
        work: &dyn Fn(&mut Tx) -> Result<Outcome<T>>,
        has_begun: &Cell<bool>,
    ) -> Result<T> {
        self.on(Server::Primary, Some(session), |pg| {
            let done = pg.transaction::<T, Abort<T>, _>(|pg| {
                self.limit_pooled_transaction(pg)?;
                has_begun.set(true);
                if let Some(lease) = &session.lease {
                    lease.hold(pg)?;
                }
                let conn = Conn {
                    pg,
                    workspace: session.workspace,
                    home: session.home,
                    livemode: session.livemode,
                    now: now(),
                    data_keys: &self.data_keys,
                };
                let (known_months, mut log) = (&*self.known_months, Log::default());
                let mut tx = Tx { conn, session, known_months, log: &mut log, sequence: 0 };
                match work(&mut tx) {
                    Ok(Outcome::Commit(value)) => {
                        journal::flush(&mut tx)?;
                        Ok(value)
                    }
                    Ok(Outcome::Rollback(value)) => Err(Abort::DryRun(value)),
                    Err(error) => Err(Abort::Error(error)),
                }
            });
            match done {
                Ok(value) | Err(Abort::DryRun(value)) => Ok(value),
                Err(Abort::Error(error)) => Err(error),
            }
        })
    }

    /// Statements that belong to no workspace yet: directory look-ups, job discovery, health.
    /// Blocks. Only the kernel, sign-in, workspace creation and the worker use it.
    pub fn system<T>(&self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        self.on(Server::Primary, None, work)
    }

    /// The same as [`Db::system`] in one transaction.
    pub fn system_write<T>(&self, work: impl Fn(&mut PgConnection) -> Result<T>) -> Result<T> {
        self.system(|pg| pg.transaction(|pg| work(pg)))
    }

    /// In test suites: tells the database which workspaces this session may touch.
    fn arm_tripwire(&self, pg: &mut PgConnection, session: Option<&Session>) -> Result<()> {
        if self.tripwire {
            let allowed = session.map_or("*".into(), |s| format!("{},{}", s.workspace, s.home));
            diesel::sql_query("select set_config('ecrm.workspaces', $1, false)")
                .bind::<diesel::sql_types::Text, _>(allowed)
                .execute(pg)?;
        }
        Ok(())
    }

    /// Behind a transaction pooler the limits cannot be set per session.
    fn limit_pooled_transaction(&self, pg: &mut PgConnection) -> diesel::QueryResult<()> {
        match self.pooler {
            Pooler::None => Ok(()),
            Pooler::Transaction => pg
                .batch_execute("set local statement_timeout = '5s'; set local lock_timeout = '3s'"),
        }
    }

    /// Open and idle connections per pool, for the metrics.
    pub fn pool_state(&self) -> impl Iterator<Item = (&'static str, r2d2::State)> {
        let replica = self.replica.iter().map(|pool| ("replica", pool.state()));
        std::iter::once(("primary", self.primary.state())).chain(replica)
    }
}

fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Waits a little longer each time, outside any transaction, and never quite as long as another
/// writer does: else the same two would meet again.
fn back_off(attempt: u32) {
    let jitter = Uuid::new_v4().as_u128() % (10 * u128::from(attempt));
    std::thread::sleep(Duration::from_millis(u64::try_from(jitter).unwrap_or(0) + 1));
}
