//! Every setting, read from the environment once at start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::http::rate_limit::RateLimits;

/// Name, default and meaning of every environment variable; `.env.example` and `--help` show it.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    ("ECRM_BIND", "127.0.0.1:8080", "Address and port to listen on."),
    (
        "ECRM_PUBLIC_URL",
        "",
        "Where callers reach the service; issuer of its tokens. Empty: http at ECRM_BIND.",
    ),
    (
        "ECRM_DATA_DIR",
        ".ecrm",
        "Folder of the private PostgreSQL and of generated development secrets.",
    ),
    ("DATABASE_URL", "", "An existing PostgreSQL ≥ 15. Empty: a private one is started."),
    ("DATABASE_READ_URL", "", "A read replica for lists and searches. Empty: the primary."),
    (
        "DATABASE_MIGRATE_URL",
        "",
        "Direct connection of the owning role for migrations. Empty: DATABASE_URL.",
    ),
    (
        "DATABASE_POOLER",
        "none",
        "`transaction` behind a transaction pooler such as pgbouncer, else `none`.",
    ),
    (
        "PG_BIN_DIR",
        "",
        "Folder of the PostgreSQL binaries for the private server. Empty: searched for.",
    ),
    ("ECRM_POOL_SIZE", "8", "Database connections per process; also its blocking threads."),
    ("ECRM_WORKERS", "0", "HTTP worker threads; 0 means one per core."),
    (
        "ECRM_MIGRATE_ON_START",
        "1",
        "Whether `serve` migrates the database; 0 leaves it to `ecrm migrate`.",
    ),
    ("ECRM_RUN_JOBS", "1", "Whether `serve` also works off jobs; 0 leaves it to `ecrm worker`."),
    (
        "ECRM_JOB_THREADS",
        "3",
        "Jobs done at once per process, 2 or more; one thread is kept free of those that take long.",
    ),
    (
        "ECRM_WORKER_BIND",
        "",
        "Address and port where `ecrm worker` shows its health and metrics. Empty: nowhere.",
    ),
    (
        "ECRM_MASTER_KEY",
        "",
        "32 bytes in base64 or hex that wrap every workspace's key. Generated in development.",
    ),
    ("ECRM_JWT_SECRET", "", "At least 32 bytes that sign access tokens. Generated in development."),
    (
        "ECRM_JWT_SECRET_PREVIOUS",
        "",
        "The secret before the last rotation: still verifies, never signs.",
    ),
    (
        "ECRM_OPERATOR_TOKEN",
        "",
        "Bearer token for creating workspaces over HTTP, 32 characters or more. Empty: off.",
    ),
    ("ECRM_DEV", "0", "1 allows generated secrets together with DATABASE_URL."),
    (
        "ECRM_REQUIRE_LEAST_PRIVILEGE",
        "0",
        "1 refuses to serve as a superuser or as owner of the tables.",
    ),
    ("ECRM_CORS_ORIGINS", "", "Browser origins allowed for every workspace, separated by commas."),
    ("ECRM_TRUSTED_PROXIES", "0", "Number of proxies in front that append to X-Forwarded-For."),
    ("ECRM_RATE_LIMIT_PER_KEY", "6000", "Requests (or batch items) a minute per credential."),
    ("ECRM_RATE_LIMIT_PER_IP", "12000", "Requests a minute per client address."),
    ("ECRM_RATE_LIMIT_AUTH", "60", "Token requests a minute per client address."),
    (
        "ECRM_STREAMS_PER_WORKSPACE",
        "2000",
        "Streams and waiting polls of one workspace's change feed that are open at once, per process.",
    ),
    ("ECRM_BODY_LIMIT_BYTES", "1048576", "Largest request body, counted after decompression."),
    (
        "ECRM_IMPORT_LIMIT_BYTES",
        "2147483648",
        "Largest file of an import, counted after decompression.",
    ),
    ("ECRM_BODY_TIMEOUT_MS", "10000", "Time for a request body to arrive."),
    (
        "ECRM_DRAIN_DELAY_MS",
        "0",
        "Time between SIGTERM and closing the listener, for load balancers.",
    ),
    ("ECRM_SHUTDOWN_TIMEOUT_S", "25", "Time for running requests to finish after SIGTERM."),
    (
        "ECRM_WEBHOOK_ALLOW_PRIVATE",
        "0",
        "1 lets webhooks and key fetches reach private addresses, and webhooks use http.",
    ),
    ("LOG_FORMAT", "text", "`text` or `json`."),
    ("RUST_LOG", "info", "Log level, also per module (`info,ecrm=debug`)."),
];

/// Whether a transaction pooler stands between us and Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    None,
    Transaction,
}

#[derive(Debug, Clone)]
pub struct Config {
    pub bind: SocketAddr,
    pub public_url: String,
    pub data_dir: PathBuf,
    pub database_url: Option<String>,
    pub database_read_url: Option<String>,
    pub database_migrate_url: Option<String>,
    pub pooler: Pooler,
    pub pool_size: u32,
    pub workers: usize,
    pub migrate_on_start: bool,
    pub run_jobs: bool,
    pub job_threads: u32,
    pub worker_bind: Option<SocketAddr>,
    pub master_key: Option<String>,
    pub jwt_secret: Option<String>,
    pub jwt_secret_previous: Option<String>,
    pub operator_token: Option<String>,
    pub dev: bool,
    pub require_least_privilege: bool,
    pub cors_origins: Vec<String>,
    pub trusted_proxies: u8,
    pub rate_limits: RateLimits,
    pub streams_per_workspace: u32,
    pub body_limit_bytes: usize,
    pub import_limit_bytes: u64,
    pub body_timeout: Duration,
    pub drain_delay: Duration,
    pub shutdown_timeout_s: u64,
    pub webhook_allow_private: bool,
    /// Test suites only: names the workspace of every statement to the database, so that policies
    /// can refuse a row of another one.
    pub tripwire: bool,
}

impl Config {
    /// Reads the environment; the message names the variable at fault.
    pub fn from_env() -> Result<Self, String> {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// Reads any source of names and values, so that tests need no process environment.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let env = Env(lookup);
        let bind = env.parse("ECRM_BIND")?;
        Ok(Self {
            bind,
            public_url: env.public_url(bind),
            data_dir: env.text("ECRM_DATA_DIR").into(),
            database_url: env.optional("DATABASE_URL"),
            database_read_url: env.optional("DATABASE_READ_URL"),
            database_migrate_url: env.optional("DATABASE_MIGRATE_URL"),
            pooler: env.pooler()?,
            pool_size: env.at_least("ECRM_POOL_SIZE", 2)?,
            workers: env.parse("ECRM_WORKERS")?,
            migrate_on_start: env.flag("ECRM_MIGRATE_ON_START")?,
            run_jobs: env.flag("ECRM_RUN_JOBS")?,
            job_threads: env.at_least("ECRM_JOB_THREADS", 2)?,
            worker_bind: env.address("ECRM_WORKER_BIND")?,
            master_key: env.optional("ECRM_MASTER_KEY"),
            jwt_secret: env.optional("ECRM_JWT_SECRET"),
            jwt_secret_previous: env.optional("ECRM_JWT_SECRET_PREVIOUS"),
            operator_token: env.operator_token()?,
            dev: env.flag("ECRM_DEV")?,
            require_least_privilege: env.flag("ECRM_REQUIRE_LEAST_PRIVILEGE")?,
            cors_origins: env.list("ECRM_CORS_ORIGINS"),
            trusted_proxies: env.parse("ECRM_TRUSTED_PROXIES")?,
            rate_limits: RateLimits {
                per_key_per_minute: env.parse("ECRM_RATE_LIMIT_PER_KEY")?,
                per_ip_per_minute: env.parse("ECRM_RATE_LIMIT_PER_IP")?,
                auth_per_ip_per_minute: env.parse("ECRM_RATE_LIMIT_AUTH")?,
            },
            streams_per_workspace: env.at_least("ECRM_STREAMS_PER_WORKSPACE", 1)?,
            body_limit_bytes: env.parse("ECRM_BODY_LIMIT_BYTES")?,
            import_limit_bytes: env.parse("ECRM_IMPORT_LIMIT_BYTES")?,
            body_timeout: Duration::from_millis(env.parse("ECRM_BODY_TIMEOUT_MS")?),
            drain_delay: Duration::from_millis(env.parse("ECRM_DRAIN_DELAY_MS")?),
            shutdown_timeout_s: env.parse("ECRM_SHUTDOWN_TIMEOUT_S")?,
            webhook_allow_private: env.flag("ECRM_WEBHOOK_ALLOW_PRIVATE")?,
            tripwire: false,
        })
    }
}

struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> String {
        let default =
            SETTINGS.iter().find(|(known, ..)| *known == name).map(|(_, value, _)| *value);
        self.optional(name).unwrap_or_else(|| default.expect("BUG: setting not listed").into())
    }

    fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<T, String> {
        let text = self.text(name);
        text.parse()
            .map_err(|_error| format!("{name}: `{text}` is not a value this setting can take"))
    }

    fn public_url(&self, bind: SocketAddr) -> String {
        let url = self.optional("ECRM_PUBLIC_URL").unwrap_or_else(|| local_url(bind));
        url.trim_end_matches('/').into()
    }

    fn address(&self, name: &str) -> Result<Option<SocketAddr>, String> {
        self.optional(name).map(|_| self.parse(name)).transpose()
    }

    fn at_least(&self, name: &str, least: u32) -> Result<u32, String> {
        let value: u32 = self.parse(name)?;
        if value < least {
            return Err(format!("{name} must be at least {least}"));
        }
        Ok(value)
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        match self.text(name).as_str() {
            "1" | "true" | "yes" => Ok(true),
            "0" | "false" | "no" => Ok(false),
            other => Err(format!("{name}: `{other}` is neither 1 nor 0")),
        }
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name);
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect()
    }

    fn pooler(&self) -> Result<Pooler, String> {
        match self.text("DATABASE_POOLER").as_str() {
            "none" => Ok(Pooler::None),
            "transaction" => Ok(Pooler::Transaction),
            other => Err(format!("DATABASE_POOLER: `{other}` is neither `none` nor `transaction`")),
        }
    }

    fn operator_token(&self) -> Result<Option<String>, String> {
        match self.optional("ECRM_OPERATOR_TOKEN") {
            Some(token) if token.len() < 32 => {
                Err("ECRM_OPERATOR_TOKEN must have 32 characters or more".into())
            }
            token => Ok(token),
        }
    }
}

/// Where a caller on this machine reaches what listens on an address.
fn local_url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// The text of `.env.example`.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Every setting of ecrm with its default. Copy to `.env` or set in the environment.\n",
    );
    for (name, default, meaning) in SETTINGS {
        text.push_str(&format!("\n# {meaning}\n#{name}={default}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Config, String> {
        Config::from_lookup(&|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn an_empty_environment_is_a_working_development_setup() {
        let config = Config::from_lookup(&|_| None).unwrap();
        assert_eq!(config.bind.port(), 8080);
        assert_eq!(config.database_url, None);
        assert_eq!(config.pooler, Pooler::None);
    }

    #[test]
    fn without_a_public_url_callers_are_sent_to_where_the_service_listens() {
        let url = |bind| with("ECRM_BIND", bind).unwrap().public_url;
        assert_eq!(url("127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(url("0.0.0.0:9000"), "http://127.0.0.1:9000");
        assert_eq!(url("[::1]:9000"), "http://[::1]:9000");
        let stated = with("ECRM_PUBLIC_URL", "https://crm.example.com/").unwrap();
        assert_eq!(stated.public_url, "https://crm.example.com");
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        for (name, value) in [
            ("ECRM_BIND", "nowhere"),
            ("DATABASE_POOLER", "session"),
            ("ECRM_POOL_SIZE", "0"),
            ("ECRM_WORKER_BIND", "9090"),
            ("ECRM_DEV", "maybe"),
            ("ECRM_OPERATOR_TOKEN", "short"),
        ] {
            assert!(with(name, value).unwrap_err().starts_with(name), "{name}");
        }
    }

    #[test]
    fn env_example_is_what_the_settings_say() {
        let committed = include_str!("../.env.example");
        assert_eq!(committed, env_example(), "write the output of env_example() to .env.example");
    }
}
