//! The figures an operator watches: requests, database connections and work that waits.
//!
//! Every label comes from a short closed list, so that no caller can grow the number of series.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// The route label of requests that no route of ours answers.
pub const UNMATCHED: &str = "unmatched";

/// Upper bounds in seconds: 1 ms to 10 s.
const SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All series of one process, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    pool_connections: IntGaugeVec,
    pool_wait: Histogram,
    jobs: IntGaugeVec,
    jobs_oldest_due: IntGauge,
    job_attempts: IntCounterVec,
    webhooks: IntCounterVec,
    webhooks_pending: IntGauge,
    webhooks_oldest_pending: IntGauge,
}

/// Counts one request as running until it is dropped, also when the client goes away.
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// `version` is shown as the label of `ecrm_build_info`.
    pub fn new(version: &str) -> Self {
        let registry = Registry::new();
        let of = &registry;
        let build = gauges(of, "ecrm_build_info", "Always 1; the version", &["version"]);
        build.with_label_values(&[version]).set(1);
        Self {
            requests: register(
                of,
                IntCounterVec::new(
                    Opts::new("ecrm_http_requests_total", "Requests answered"),
                    &["method", "route", "status"],
                ),
            ),
            durations: register(
                of,
                HistogramVec::new(
                    seconds("ecrm_http_request_duration_seconds", "Time to the answer's head"),
                    &["method", "route"],
                ),
            ),
            in_flight: register(
                of,
                IntGauge::new("ecrm_http_in_flight", "Requests being answered now"),
            ),
            pool_connections: gauges(
                of,
                "ecrm_db_pool_connections",
                "Database connections of a pool",
                &["pool", "state"],
            ),
            pool_wait: register(
                of,
                Histogram::with_opts(seconds(
                    "ecrm_db_pool_wait_seconds",
                    "Wait for a database connection",
                )),
            ),
            jobs: gauges(of, "ecrm_jobs", "Jobs in the queue", &["queue", "state"]),
            jobs_oldest_due: register(
                of,
                IntGauge::new(
                    "ecrm_jobs_oldest_due_seconds",
                    "How long the oldest due job has waited, 0 when none is due",
                ),
            ),
            job_attempts: register(
                of,
                IntCounterVec::new(
                    Opts::new("ecrm_job_attempts_total", "Attempts at jobs, by how they ended"),
                    &["queue", "end"],
                ),
            ),
            webhooks: register(
                of,
                IntCounterVec::new(
                    Opts::new("ecrm_webhook_attempts_total", "Attempts to deliver an event"),
                    &["outcome"],
                ),
            ),
            webhooks_pending: register(
                of,
                IntGauge::new("ecrm_webhook_pending", "Events that wait to be delivered"),
            ),
            webhooks_oldest_pending: register(
                of,
                IntGauge::new(
                    "ecrm_webhook_oldest_pending_seconds",
                    "How long the oldest event has waited, 0 when none does",
                ),
            ),
            registry,
        }
    }

    /// Counts one answered request; `route` is the pattern, `None` where no route matched.
    pub fn request(
        &self,
        method: &Method,
        route: Option<&str>,
        status: StatusCode,
        elapsed: Duration,
    ) {
        let (method, route) = (method_label(method), route.unwrap_or(UNMATCHED));
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
        self.durations.with_label_values(&[method, route]).observe(elapsed.as_secs_f64());
    }

    /// Counts a request as running for as long as the guard lives.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// The state of one connection pool, by its name (`primary`, `replica`).
    pub fn pool(&self, pool: &str, idle: u32, in_use: u32) {
        self.pool_connections.with_label_values(&[pool, "idle"]).set(idle.into());
        self.pool_connections.with_label_values(&[pool, "in_use"]).set(in_use.into());
    }

    /// One wait for a database connection, successful or not.
    pub fn pool_wait(&self, waited: Duration) {
        self.pool_wait.observe(waited.as_secs_f64());
    }

    /// The whole queue as rows of queue, state and count; what is not in them is gone.
    pub fn jobs<'a>(&self, rows: impl IntoIterator<Item = (&'a str, &'a str, i64)>) {
        self.jobs.reset();
        for (queue, state, count) in rows {
            self.jobs.with_label_values(&[queue, state]).set(count);
        }
    }

    /// How long the oldest due job has waited, in seconds; 0 when none is due.
    pub fn jobs_oldest_due(&self, seconds: i64) {
        self.jobs_oldest_due.set(seconds);
    }

    /// One attempt at a job of a queue, and how it ended.
    pub fn job_attempt(&self, queue: &str, end: &str) {
        self.job_attempts.with_label_values(&[queue, end]).inc();
    }

    /// One attempt to deliver an event.
    pub fn webhook(&self, outcome: &str) {
        self.webhooks.with_label_values(&[outcome]).inc();
    }

    /// How many events wait to be delivered, and for how many seconds the oldest does.
    pub fn webhooks_waiting(&self, pending: i64, oldest_s: i64) {
        self.webhooks_pending.set(pending);
        self.webhooks_oldest_pending.set(oldest_s);
    }

    /// All series in the Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("BUG: a metric cannot be written as text")
    }
}

fn seconds(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(SECONDS.to_vec())
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: prometheus::Result<C>,
) -> C {
    let collector = collector.expect("BUG: a metric is badly named");
    registry.register(Box::new(collector.clone())).expect("BUG: a metric is registered twice");
    collector
}

/// Callers may invent methods; they share one label.
fn method_label(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_and_timed_by_its_route() {
        let metrics = Metrics::new("1.2.3");
        let route = Some("/v1/customers/{id}");
        metrics.request(&Method::GET, route, StatusCode::OK, Duration::from_millis(3));
        let text = metrics.render();
        let labels = r#"method="GET",route="/v1/customers/{id}""#;
        for line in [
            format!("ecrm_http_requests_total{{{labels},status=\"200\"}} 1"),
            format!("ecrm_http_request_duration_seconds_bucket{{{labels},le=\"0.0025\"}} 0"),
            format!("ecrm_http_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            "ecrm_build_info{version=\"1.2.3\"} 1".into(),
        ] {
            assert!(text.lines().any(|found| found == line), "`{line}` not in\n{text}");
        }
    }

    #[test]
    fn unknown_routes_and_invented_methods_share_one_series() {
        let metrics = Metrics::new("0");
        for method in ["BREW", "PROPFIND"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            metrics.request(&method, None, StatusCode::NOT_FOUND, Duration::ZERO);
        }
        let expected =
            r#"ecrm_http_requests_total{method="OTHER",route="unmatched",status="404"} 2"#;
        assert!(metrics.render().contains(expected));
    }

    #[test]
    fn a_request_is_in_flight_until_its_guard_is_dropped() {
        let metrics = Metrics::new("0");
        let guard = metrics.in_flight();
        assert!(metrics.render().contains("ecrm_http_in_flight 1\n"));
        drop(guard);
        assert!(metrics.render().contains("ecrm_http_in_flight 0\n"));
    }

    #[test]
    fn pools_and_jobs_show_their_last_state_only() {
        let metrics = Metrics::new("0");
        metrics.pool("primary", 6, 2);
        metrics.pool_wait(Duration::from_millis(20));
        metrics.jobs([("mail", "due", 7), ("webhooks", "failed", 1)]);
        metrics.jobs([("mail", "due", 5)]);
        metrics.jobs_oldest_due(42);
        let text = metrics.render();
        for line in [
            r#"ecrm_db_pool_connections{pool="primary",state="idle"} 6"#,
            r#"ecrm_db_pool_connections{pool="primary",state="in_use"} 2"#,
            "ecrm_db_pool_wait_seconds_count 1",
            r#"ecrm_jobs{queue="mail",state="due"} 5"#,
            "ecrm_jobs_oldest_due_seconds 42",
        ] {
            assert!(text.lines().any(|found| found == line), "`{line}` not in\n{text}");
        }
        assert!(!text.contains("webhooks"));
    }
}
