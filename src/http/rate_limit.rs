//! Keeps one busy caller from slowing everybody else down, and tells callers where they stand.
//!
//! Each credential and each address has a bucket that holds a minute's worth of requests and fills
//! up again evenly. The headers are those of the IETF `RateLimit` draft.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use super::client_ip::client_ip;
use crate::app::App;
use crate::error::{Code, Error, Rejection, Result};

/// Names the quota and its window.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Names what is left of the quota and when it is whole again.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

const WINDOW_S: u64 = 60;

/// Buckets that are full again are forgotten after this many checks, which bounds the memory.
const CHECKS_BETWEEN_CLEANINGS: u64 = 10_000;

/// How many requests (batches: items) each kind of bucket lets through per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    pub per_key_per_minute: NonZeroU32,
    pub per_ip_per_minute: NonZeroU32,
    /// For logins and token requests, where guessing pays.
    pub auth_per_ip_per_minute: NonZeroU32,
}

/// Who pays for a request. IPv6 addresses count by their /64, which one household or server owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// The credential's id.
    Key(Uuid),
    Ip(IpAddr),
    /// Attempts to log in from an address.
    AuthIp(IpAddr),
    /// Attempts to log in to an account, from wherever: the digest of its name.
    Login([u8; 32]),
}

/// Where a caller stands after a request was let through or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests per minute.
    pub limit: u32,
    /// Requests that would be let through right now; 0 after a refusal.
    pub remaining: u32,
    /// Seconds until the quota is whole again; after a refusal, until the same request is let
    /// through.
    pub reset_s: u64,
}

/// All buckets of one process.
pub struct Limits {
    keys: Gate<Uuid>,
    ips: Gate<IpAddr>,
    auth_ips: Gate<IpAddr>,
    logins: Gate<[u8; 32]>,
}

impl Limits {
    pub fn new(settings: RateLimits) -> Self {
        Self {
            keys: Gate::new(settings.per_key_per_minute),
            ips: Gate::new(settings.per_ip_per_minute),
            auth_ips: Gate::new(settings.auth_per_ip_per_minute),
            logins: Gate::new(settings.auth_per_ip_per_minute),
        }
    }

    /// Takes `cost` requests from a bucket: 1, or the number of items of a batch.
    ///
    /// A batch larger than the whole quota is charged the whole quota, so that it passes once the
    /// bucket is full instead of never. Refuses with 429 and the seconds to wait.
    pub fn admit(&self, bucket: Bucket, cost: u32) -> Result<Standing> {
        self.decide(bucket, cost).map_err(Standing::refusal)
    }

    /// As [`Limits::admit`], and leaves the standing on the request for [`announce`]. Where several
    /// buckets pay for one request, the one with the least left is announced.
    pub fn charge(&self, req: &HttpRequest, bucket: Bucket, cost: u32) -> Result<()> {
        let decision = self.decide(bucket, cost);
        let (Ok(standing) | Err(standing)) = decision;
        let mut extensions = req.extensions_mut();
        if extensions.get::<Standing>().is_none_or(|known| standing.remaining <= known.remaining) {
            extensions.insert(standing);
        }
        decision.map(drop).map_err(Standing::refusal)
    }

    /// Charges the address that a request comes from, which nobody has to name.
    pub fn charge_address(&self, req: &HttpRequest) -> Result<()> {
        let ip = client_ip(req, App::of(req).config.trusted_proxies);
        self.charge(req, Bucket::Ip(ip), 1)
    }

    fn decide(&self, bucket: Bucket, cost: u32) -> Result<Standing, Standing> {
        match bucket {
            Bucket::Key(id) => self.keys.decide(&id, cost),
            Bucket::Ip(ip) => self.ips.decide(&network(ip), cost),
            Bucket::AuthIp(ip) => self.auth_ips.decide(&network(ip), cost),
            Bucket::Login(name) => self.logins.decide(&name, cost),
        }
    }
}

impl Standing {
    /// The two headers of the draft, for answers of every status.
    pub fn headers(&self) -> [(HeaderName, HeaderValue); 2] {
        let Self { limit, remaining, reset_s } = self;
        let value = |text: String| {
            HeaderValue::from_str(&text).expect("BUG: a rate limit is no header value")
        };
        [
            (RATELIMIT_POLICY, value(format!(r#""default";q={limit};w={WINDOW_S}"#))),
            (RATELIMIT, value(format!(r#""default";r={remaining};t={reset_s}"#))),
        ]
    }

    fn refusal(self) -> Error {
        let Self { limit, reset_s, .. } = self;
        let detail =
            format!("the limit of {limit} per minute is used up; try again in {reset_s} s");
        let mut rejection = Rejection::new(Code::TOO_MANY_REQUESTS, detail);
        rejection.retry_after_s = Some(reset_s);
        Error::Problem(Box::new(rejection))
    }
}

/// Adds the headers of the standing that [`Limits::charge`] left on the request.
pub async fn announce<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let mut response = next.call(req).await?;
    let standing = response.request().extensions().get::<Standing>().copied();
    for (name, value) in standing.iter().flat_map(Standing::headers) {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// One kind of bucket, one bucket per key.
struct Gate<K: Hash + Eq + Clone> {
    limit: NonZeroU32,
    limiter: DefaultKeyedRateLimiter<K, StateInformationMiddleware>,
    checks: AtomicU64,
}

impl<K: Hash + Eq + Clone> Gate<K> {
    fn new(limit: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_minute(limit)).with_middleware();
        Self { limit, limiter, checks: AtomicU64::new(1) }
    }

    /// The standing of a caller who is let through, or of one who is not.
    fn decide(&self, key: &K, cost: u32) -> Result<Standing, Standing> {
        self.clean_now_and_then();
        let limit = self.limit.get();
        let cost = NonZeroU32::new(cost).map_or(NonZeroU32::MIN, |cost| cost.min(self.limit));
        let outcome = self.limiter.check_key_n(key, cost).expect("BUG: a cost exceeds its burst");
        match outcome {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let missing = u64::from(limit.saturating_sub(remaining));
                let reset_s = (missing * WINDOW_S).div_ceil(limit.into());
                Ok(Standing { limit, remaining, reset_s })
            }
            Err(refused) => {
                let wait = refused.wait_time_from(self.limiter.clock().now());
                let reset_s = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
                Err(Standing { limit, remaining: 0, reset_s })
            }
        }
    }

    fn clean_now_and_then(&self) {
        let check = self.checks.fetch_add(1, Ordering::Relaxed);
        if check.is_multiple_of(CHECKS_BETWEEN_CLEANINGS) {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

/// Nobody gets more by using all the IPv6 addresses that were given to them.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    fn limits(per_key: u32, per_ip: u32, auth_per_ip: u32) -> Limits {
        let number = |n| NonZeroU32::new(n).unwrap();
        Limits::new(RateLimits {
            per_key_per_minute: number(per_key),
            per_ip_per_minute: number(per_ip),
            auth_per_ip_per_minute: number(auth_per_ip),
        })
    }

    fn retry_after(refused: Result<Standing>) -> u64 {
        let error = refused.unwrap_err();
        assert_eq!(error.status(), 429);
        let rejection = error.rejection();
        assert_eq!(rejection.code, "too_many_requests");
        rejection.retry_after_s.unwrap()
    }

    #[test]
    fn a_bucket_lets_its_limit_through_and_then_says_how_long_to_wait() {
        let limits = limits(6, 1, 1);
        let key = Bucket::Key(Uuid::now_v7());
        for remaining in (0..6).rev() {
            let standing = limits.admit(key, 1).unwrap();
            let reset_s = u64::from(6 - remaining) * 10;
            assert_eq!(standing, Standing { limit: 6, remaining, reset_s });
        }
        assert_eq!(retry_after(limits.admit(key, 1)), 10);
    }

    #[test]
    fn credentials_addresses_and_logins_have_buckets_of_their_own() {
        let limits = limits(1, 1, 1);
        let ip = "203.0.113.7".parse().unwrap();
        for bucket in [
            Bucket::Key(Uuid::now_v7()),
            Bucket::Key(Uuid::now_v7()),
            Bucket::Ip(ip),
            Bucket::Ip("203.0.113.8".parse().unwrap()),
            Bucket::AuthIp(ip),
        ] {
            assert!(limits.admit(bucket, 1).is_ok(), "{bucket:?}");
            assert!(limits.admit(bucket, 1).is_err(), "{bucket:?}");
        }
    }

    #[test]
    fn each_item_of_a_batch_counts() {
        let limits = limits(600, 1, 1);
        let key = Bucket::Key(Uuid::now_v7());
        assert_eq!(limits.admit(key, 599).unwrap().remaining, 1);
        assert_eq!(retry_after(limits.admit(key, 20)), 2);
        assert_eq!(limits.admit(key, 1).unwrap().remaining, 0);
    }

    #[test]
    fn a_batch_above_the_quota_costs_the_whole_quota_and_passes() {
        let limits = limits(60, 1, 1);
        let key = Bucket::Key(Uuid::now_v7());
        assert_eq!(limits.admit(key, 1000).unwrap().remaining, 0);
        assert_eq!(retry_after(limits.admit(key, 1000)), 60);
    }

    #[test]
    fn an_empty_batch_counts_as_one_request() {
        let limits = limits(2, 1, 1);
        assert_eq!(limits.admit(Bucket::Key(Uuid::now_v7()), 0).unwrap().remaining, 1);
    }

    #[test]
    fn a_bucket_fills_again_at_the_rate_of_its_quota() {
        let limits = limits(12_000, 1, 1);
        let key = Bucket::Key(Uuid::now_v7());
        let start = Instant::now();
        limits.admit(key, 12_000).unwrap();
        let mut admitted = 0.0_f64;
        while start.elapsed() < Duration::from_millis(500) {
            admitted += if limits.admit(key, 1).is_ok() { 1.0 } else { 0.0 };
            sleep(Duration::from_millis(1));
        }
        let expected = start.elapsed().as_secs_f64() * 200.0;
        assert!((admitted - expected).abs() < 0.1 * expected, "{admitted} of {expected}");
    }

    #[test]
    fn an_ipv6_network_shares_one_bucket_and_mapped_addresses_are_ipv4() {
        let limits = limits(1, 2, 1);
        let ip = |text: &str| Bucket::Ip(text.parse().unwrap());
        assert!(limits.admit(ip("2001:db8:1:2::1"), 1).is_ok());
        assert!(limits.admit(ip("2001:db8:1:2:ffff:ffff:ffff:ffff"), 1).is_ok());
        assert!(limits.admit(ip("2001:db8:1:2:3::1"), 1).is_err());
        assert!(limits.admit(ip("2001:db8:1:3::1"), 1).is_ok());
        assert!(limits.admit(ip("::ffff:203.0.113.7"), 2).is_ok());
        assert!(limits.admit(ip("203.0.113.7"), 1).is_err());
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        // A bucket is full again after a microsecond, so only the last cleaning's keys may remain.
        let gate = Gate::new(NonZeroU32::new(60_000_000).unwrap());
        for key in 0..3 * CHECKS_BETWEEN_CLEANINGS {
            gate.decide(&key, 1).unwrap();
        }
        let len = gate.limiter.len();
        assert!(len as u64 <= CHECKS_BETWEEN_CLEANINGS + 1, "{len} buckets are remembered");
    }

    #[test]
    fn the_headers_are_those_of_the_draft() {
        let headers = Standing { limit: 600, remaining: 599, reset_s: 42 }.headers();
        let [policy, standing] = headers.map(|(name, value)| (name.to_string(), value));
        assert_eq!(policy, ("ratelimit-policy".into(), r#""default";q=600;w=60"#.parse().unwrap()));
        assert_eq!(standing, ("ratelimit".into(), r#""default";r=599;t=42"#.parse().unwrap()));
    }

    async fn charged(req: HttpRequest, limits: web::Data<Limits>) -> HttpResponse {
        let ip = Bucket::Ip("203.0.113.7".parse().unwrap());
        let key = Bucket::Key(Uuid::nil());
        match limits.charge(&req, ip, 1).and_then(|()| limits.charge(&req, key, 1)) {
            Ok(()) => HttpResponse::Ok().finish(),
            Err(error) => HttpResponse::build(error.rejection().status_code()).finish(),
        }
    }

    #[actix_web::test]
    async fn answers_announce_the_tightest_bucket_also_when_it_refuses() {
        let app = App::new()
            .app_data(web::Data::new(limits(1, 100, 1)))
            .wrap(from_fn(announce))
            .route("/", web::get().to(charged))
            .route("/free", web::get().to(HttpResponse::Ok));
        let app = init_service(app).await;
        for (status, standing) in [(200, r#""default";r=0;t=60"#), (429, r#""default";r=0;t=60"#)] {
            let response = call_service(&app, TestRequest::default().to_request()).await;
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().get(RATELIMIT).unwrap(), standing);
            let policy = response.headers().get(RATELIMIT_POLICY).unwrap();
            assert_eq!(policy, r#""default";q=1;w=60"#);
        }
        let response = call_service(&app, TestRequest::with_uri("/free").to_request()).await;
        assert!(!response.headers().contains_key(RATELIMIT));
    }
}
