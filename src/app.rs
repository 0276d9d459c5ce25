//! Everything a request can reach, made once per process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, web};
use aws_lc_rs::hmac;
use tokio::sync::Semaphore;
use ureq::Agent;
use uuid::Uuid;

use crate::auth::authenticate::Credentials;
use crate::auth::jwks::Jwks;
use crate::auth::token::Tokens;
use crate::config::Config;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::http::rate_limit::Limits;
use crate::journal::live::Feeds;
use crate::metrics::Metrics;
use crate::outbound::{self, Reach};
use crate::seal::MasterKey;

/// Time that sending one event to one endpoint may take, with everything.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// How far webhooks may be sent.
pub fn reach_of_webhooks(config: &Config) -> Reach {
    if config.webhook_allow_private { Reach::Anywhere } else { Reach::Public }
}

/// How far the keys of outside login services are fetched from.
fn reach_of_keys(config: &Config) -> Reach {
    let is_development = config.dev || config.database_url.is_none();
    match reach_of_webhooks(config) {
        Reach::Public if is_development => Reach::Loopback,
        reach => reach,
    }
}

/// Shared state; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    pub config: Config,
    pub db: Db,
    pub tokens: Tokens,
    pub jwks: Jwks,
    /// Sends webhooks.
    pub outbound: Agent,
    pub master_key: MasterKey,
    /// Signs list cursors.
    pub cursor_key: hmac::Key,
    pub credentials: Credentials,
    pub limits: Limits,
    /// Turns for requests with large bodies: what they are parsed into is many times their size.
    pub large_bodies: Arc<Semaphore>,
    pub metrics: Arc<Metrics>,
    /// Browser origins that some workspace allows.
    pub origins: Origins,
    pub scheduled: Scheduled,
    /// Who holds the jobs that this process does.
    pub worker_id: Uuid,
    /// Who waits for what happens next.
    pub feeds: Feeds,
    draining_since: OnceLock<Instant>,
}

/// Which upkeep this process has queued for which period.
#[derive(Default)]
pub struct Scheduled(Mutex<HashMap<&'static str, i64>>);

impl Scheduled {
    /// Whether the upkeep of a period is queued.
    pub fn knows(&self, kind: &str, period: i64) -> bool {
        self.0.lock().is_ok_and(|known| known.get(kind) == Some(&period))
    }

    /// Notes that it is.
    pub fn note(&self, kind: &'static str, period: i64) {
        if let Ok(mut known) = self.0.lock() {
            known.insert(kind, period);
        }
    }
}

/// A set of browser origins that is renewed in the background.
#[derive(Clone, Default)]
pub struct Origins(Arc<RwLock<HashSet<String>>>);

impl Origins {
    pub fn contains(&self, origin: &str) -> bool {
        self.0.read().is_ok_and(|known| known.contains(origin))
    }

    pub fn replace(&self, origins: HashSet<String>) {
        if let Ok(mut known) = self.0.write() {
            *known = origins;
        }
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Assembles the state from settings with their secrets filled in.
    pub fn new(config: Config, database_url: &str) -> Result<Self> {
        let secret =
            config.jwt_secret.clone().ok_or_else(|| Error::internal("no ECRM_JWT_SECRET"))?;
        let master =
            config.master_key.clone().ok_or_else(|| Error::internal("no ECRM_MASTER_KEY"))?;
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
        let replica = config.database_read_url.as_deref();
        let key = || MasterKey::from_env_text(&master);
        let db = Db::new(&config, database_url, replica, metrics.clone(), key()?);
        let previous = config.jwt_secret_previous.as_deref();
        Ok(Self(Arc::new(Parts {
            tokens: Tokens::new(
                secret.as_bytes(),
                previous.map(str::as_bytes),
                &config.public_url,
            )?,
            jwks: Jwks::new(reach_of_keys(&config)),
            outbound: outbound::agent(reach_of_webhooks(&config), WEBHOOK_TIMEOUT),
            master_key: key()?,
            cursor_key: hmac::Key::new(hmac::HMAC_SHA256, format!("cursor:{secret}").as_bytes()),
            credentials: Credentials::new(),
            limits: Limits::new(config.rate_limits),
            large_bodies: Arc::new(Semaphore::new(config.pool_size as usize)),
            metrics,
            origins: Origins::default(),
            scheduled: Scheduled::default(),
            worker_id: Uuid::now_v7(),
            feeds: Feeds::new(config.streams_per_workspace as usize),
            draining_since: OnceLock::new(),
            db,
            config,
        })))
    }

    /// The state of the service that took this request.
    pub fn of(req: &HttpRequest) -> Self {
        let data = req.app_data::<web::Data<Self>>().expect("BUG: the server sets the state");
        Self::clone(data)
    }

    /// After SIGTERM: readiness fails and no new job starts. Returns when that was asked first.
    pub fn drain(&self) -> Instant {
        *self.draining_since.get_or_init(Instant::now)
    }

    pub fn is_draining(&self) -> bool {
        self.draining_since.get().is_some()
    }
}
