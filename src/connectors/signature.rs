//! Whether a message is the shop's: each provider signs its raw body in its own way.

use actix_web::http::header::HeaderMap;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::Provider;

/// How far the clock of a sender may be off, where its signature has a time.
const TOLERANCE_S: i64 = 5 * 60;

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_mac(secret: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    // Compares in constant time.
    hmac::verify(&key, &parts.concat(), tag).is_ok()
}

fn is_base64_mac(secret: &str, body: &[u8], tag: Option<&str>) -> bool {
    let tag = tag.and_then(|tag| STANDARD.decode(tag.trim()).ok());
    tag.is_some_and(|tag| is_mac(secret.as_bytes(), &[body], &tag))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    let is_even = digits.remainder().is_empty();
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    is_even.then(|| bytes.collect()).flatten()
}

impl Provider {
    /// Whether `secret` signed `body` with these headers.
    pub fn is_signed(
        self,
        headers: &HeaderMap,
        body: &[u8],
        secret: &str,
        now: DateTime<Utc>,
    ) -> bool {
        match self {
            Self::Shopify => is_base64_mac(secret, body, header(headers, "x-shopify-hmac-sha256")),
            Self::Woocommerce => {
                is_base64_mac(secret, body, header(headers, "x-wc-webhook-signature"))
            }
            Self::Stripe => is_stripes(headers, body, secret, now).unwrap_or(false),
            Self::Custom => is_standard(headers, body, secret, now).unwrap_or(false),
        }
    }
}

fn is_recent(seconds: &str, now: DateTime<Utc>) -> bool {
    let at = seconds.parse::<i64>().ok();
    at.is_some_and(|at| at.abs_diff(now.timestamp()) <= TOLERANCE_S.unsigned_abs())
}

/// `Stripe-Signature: t=…,v1=…`, of which one `v1` must fit.
fn is_stripes(headers: &HeaderMap, body: &[u8], secret: &str, now: DateTime<Utc>) -> Option<bool> {
    let pairs = header(headers, "stripe-signature")?.split(',');
    let pairs: Vec<(&str, &str)> = pairs.filter_map(|pair| pair.trim().split_once('=')).collect();
    let (_, at) = pairs.iter().find(|(name, _)| *name == "t")?;
    let fits = |tag: &str| {
        unhex(tag).is_some_and(|tag| is_mac(secret.as_bytes(), &[at.as_bytes(), b".", body], &tag))
    };
    let is_any = pairs.iter().any(|(name, tag)| *name == "v1" && fits(tag));
    Some(is_recent(at, now) && is_any)
}

/// Standard Webhooks 1.0.0: `v1,…` over id, time and body, with the bytes of `whsec_…`.
fn is_standard(headers: &HeaderMap, body: &[u8], secret: &str, now: DateTime<Utc>) -> Option<bool> {
    let (id, at) = (header(headers, "webhook-id")?, header(headers, "webhook-timestamp")?);
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok()?,
        None => secret.as_bytes().to_vec(),
    };
    let signed: [&[u8]; 5] = [id.as_bytes(), b".", at.as_bytes(), b".", body];
    let tags = header(headers, "webhook-signature")?.split(' ');
    let mut tags = tags.filter_map(|tag| STANDARD.decode(tag.strip_prefix("v1,")?).ok());
    Some(is_recent(at, now) && tags.any(|tag| is_mac(&key, &signed, &tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_or_refused() {
        assert_eq!(unhex("00ff1a"), Some(vec![0, 255, 26]));
        assert_eq!((unhex("0"), unhex("zz"), unhex("é0")), (None, None, None));
    }

    /// The example of the Standard Webhooks specification.
    #[test]
    fn the_example_of_the_standard_is_signed() {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &'static str| {
            use actix_web::http::header::{HeaderName, HeaderValue};
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        };
        set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        set("webhook-timestamp", "1614265330");
        set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let (body, secret) = (br#"{"test": 2432232314}"#, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let now = DateTime::from_timestamp(1_614_265_330, 0).expect("a time");
        assert!(Provider::Custom.is_signed(&headers, body, secret, now));
        assert!(!Provider::Custom.is_signed(&headers, b"{}", secret, now));
        let later = now + chrono::TimeDelta::minutes(6);
        assert!(!Provider::Custom.is_signed(&headers, body, secret, later));
    }
}
