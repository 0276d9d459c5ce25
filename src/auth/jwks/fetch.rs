//! Fetches the public keys of outside login services, seldom, and keeps them when one is away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::Value;
use ureq::Agent;

use super::JwksUrl;
use crate::outbound::{self, Reach};

/// Time that one fetch may take, with everything.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes that a set of keys may have.
const MAX_BODY: u64 = 256 * 1024;
/// Time for which keys are used without asking again.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// Time between two attempts, whether for an unknown key or after a failure.
const PAUSE: Duration = Duration::from_secs(60);
/// Addresses whose keys are kept.
const MAX_ISSUERS: u64 = 1000;

/// The keys of all outside issuers. One for the process; it is shared by reference.
pub struct Jwks {
    agent: Agent,
    sets: Cache<JwksUrl, Arc<Slot>>,
}

/// The keys at one address. `fetching` is held during a fetch, so that there is one at a time;
/// `keys` never is, so that those who have their key need not wait.
#[derive(Default)]
struct Slot {
    keys: Mutex<KeySet>,
    fetching: Mutex<()>,
}

#[derive(Default)]
struct KeySet {
    by_id: HashMap<String, Jwk>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Jwks {
    /// An empty store of keys that are fetched no further away than this.
    pub fn new(reach: Reach) -> Self {
        // Least recently used: an issuer turned away at the door would be fetched every time.
        let sets =
            Cache::builder().max_capacity(MAX_ISSUERS).eviction_policy(EvictionPolicy::lru());
        Self { agent: outbound::agent(reach, TIMEOUT), sets: sets.build() }
    }

    /// The key with this id, if it may be used with this algorithm; fetched where need be.
    pub(super) fn key(
        &self,
        url: &JwksUrl,
        id: &str,
        algorithm: Algorithm,
        now: Instant,
    ) -> Option<DecodingKey> {
        let slot = self.sets.get_with_by_ref(url, Arc::default);
        if slot.keys().is_due(id, now) {
            self.refresh(&slot, url, id, now);
        }
        slot.keys().find(id, algorithm)
    }

    fn refresh(&self, slot: &Slot, url: &JwksUrl, id: &str, now: Instant) {
        let Some(_one_at_a_time) = slot.turn() else { return };
        if !slot.keys().is_due(id, now) {
            return; // Somebody else fetched while we waited.
        }
        let fetched = self.fetch(url);
        let mut keys = slot.keys();
        keys.tried_at = Some(now);
        match fetched {
            Ok(by_id) => (keys.by_id, keys.fetched_at) = (by_id, Some(now)),
            Err(error) => log::warn!("no keys from `{}`: {error}", url.as_str()),
        }
    }

    fn fetch(&self, url: &JwksUrl) -> Result<HashMap<String, Jwk>, ureq::Error> {
        let mut answer = self.agent.get(url.as_str()).call()?;
        if answer.status() != 200 {
            return Err(ureq::Error::StatusCode(answer.status().as_u16()));
        }
        let set: KeyList = answer.body_mut().with_config().limit(MAX_BODY).read_json()?;
        // A key of a kind we do not know must not spoil the others (RFC 7517, 5).
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.filter_map(|key: Jwk| Some((key.common.key_id.clone()?, key))).collect())
    }
}

#[derive(Deserialize)]
struct KeyList {
    keys: Vec<Value>,
}

impl Slot {
    fn keys(&self) -> MutexGuard<'_, KeySet> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to fetch. Where there are no keys at all yet, everybody waits for the first ones;
    /// later nobody waits for somebody else's fetch, or made-up key ids could tie up all threads.
    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if self.keys().fetched_at.is_none() {
            return Some(self.fetching.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.fetching.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl KeySet {
    fn is_due(&self, id: &str, now: Instant) -> bool {
        let older =
            |at: Option<Instant>, age| at.is_none_or(|at| now.saturating_duration_since(at) >= age);
        let wanted = !self.by_id.contains_key(id) || older(self.fetched_at, FRESH);
        wanted && older(self.tried_at, PAUSE)
    }

    fn find(&self, id: &str, algorithm: Algorithm) -> Option<DecodingKey> {
        let jwk = self.by_id.get(id)?;
        let common = &jwk.common;
        let other_use =
            common.public_key_use.as_ref().is_some_and(|u| *u != PublicKeyUse::Signature);
        let other_algorithm =
            common.key_algorithm.is_some_and(|a| a != KeyAlgorithm::from(algorithm));
        if other_use || other_algorithm {
            return None;
        }
        // The family also keeps a shared secret (`oct`) out: no issuer has such an algorithm.
        DecodingKey::from_jwk(jwk).ok().filter(|key| key.family() == algorithm.family())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn https_speaks_tls_with_the_crypto_library_that_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("https://{}/", listener.local_addr().expect("an address"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("written");
        });
        let error = outbound::agent(Reach::Loopback, TIMEOUT)
            .get(url)
            .call()
            .expect_err("no TLS on the other side");
        server.join().expect("no panic");
        assert!(format!("{error:?}").contains("InvalidMessage"), "{error:?}");
    }
}
