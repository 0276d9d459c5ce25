//! What the fuzzer calls, and what the corpus is replayed through by `cargo test`: one function per
//! target, which panics where something is wrong with how these bytes are read.

use std::collections::HashMap;

use actix_web::FromRequest;
use actix_web::test::TestRequest;
use actix_web::web::Bytes;
use ecrm::auth::key::KeyText;
use ecrm::auth::refresh;
use ecrm::customers::{CustomerPatch, NewCustomer};
use ecrm::db::keyset::{Order, SortKey, SortKind, Term};
use ecrm::http::cursor::CursorSeal;
use ecrm::http::idempotency::Idempotency;
use ecrm::http::{IfMatch, IfNoneMatch, Page};
use ecrm::predicate::{Catalog, Context, Field, FreeColumn, Kind, Predicate};
use ecrm::values::{Email, IsoDuration, Money, Phone, json, locale, scan, text, time, timezone};
use serde_json::Value;

/// A target's name and what it does with some bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them; each has a file in `fuzz_targets` and a folder in `corpus`.
pub const TARGETS: [Target; 10] = [
    ("body", body),
    ("credential", credential),
    ("cursor", cursor),
    ("email", email),
    ("headers", headers),
    ("money", money),
    ("phone", phone),
    ("predicate", predicate),
    ("query", query),
    ("text", texts),
];

/// The text in front of the first line break, and what follows.
fn first_line(data: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.split_once('\n').unwrap_or((text, "")))
}

/// A request body: what passes the scan is JSON, and no type chokes on it.
pub fn body(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let scanned = scan::scan(data);
    let read = serde_json::from_slice::<Value>(data);
    assert!(scanned.is_err() || read.is_ok(), "the scan let through what is no JSON");
    let new = ecrm::http::json::parse::<NewCustomer>(&bytes);
    let patch = ecrm::http::json::parse::<CustomerPatch>(&bytes);
    assert!(scanned.is_ok() || (new.is_err() && patch.is_err()), "a body got past the scan");
    if let Ok(patch) = patch {
        patch.into_new().expect("a patch is a customer that does not exist yet");
    }
    if let Ok(value) = read {
        let faults = json::check_json("#", &value, &json::FREE);
        assert!(faults.len() <= 20);
    }
}

/// Keys and tokens: whatever is read is shown again letter by letter.
pub fn credential(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(key) = KeyText::parse(text) {
        assert_eq!(key.reveal(), text);
    }
    if let Some(token) = refresh::parse(text) {
        assert_eq!(token.reveal(), text);
    }
}

const KEYS: [SortKey; 4] = [
    SortKey { name: "created_at", column: "things.id", kind: SortKind::Id },
    SortKey { name: "name", column: "things.name", kind: SortKind::Text },
    SortKey { name: "seen_at", column: "things.seen_at", kind: SortKind::Time },
    SortKey { name: "score", column: "things.score", kind: SortKind::Number },
];

/// A cursor of somebody else's making opens nothing; one of ours over any row does not panic.
pub fn cursor(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"a secret of the fuzzer");
    let seal = CursorSeal::new(key, &"things").expect("a seal");
    let chosen = KEYS.iter().enumerate().filter(|(i, _)| choice & (1 << i) != 0);
    let order = Order(chosen.map(|(_, key)| Term { key: *key, is_descending: true }).collect());
    assert!(seal.open(text, &order).is_err(), "somebody guessed a signature");
    if let Ok(row) = serde_json::from_str::<Value>(text) {
        let own = seal.close(&row, &order).expect("a cursor");
        if let Ok(bounds) = seal.open(&own, &order) {
            assert_eq!(bounds.len(), order.0.len());
        }
    }
}

/// An address in normal form stays as it is.
pub fn email(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(email) = Email::parse(text) {
        assert!(!email.norm.contains(char::is_whitespace) && email.norm.chars().count() <= 254);
        assert_eq!(Email::parse(&email.norm).map(|again| again.norm), Some(email.norm));
    }
}

/// Everything that reads the request's head: `name: value` a line.
pub fn headers(data: &[u8]) {
    let mut request = TestRequest::post().uri("/v1/customers");
    for line in data.split(|byte| *byte == b'\n').take(16) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..at], line[at + 1..].trim_ascii());
        let name = actix_web::http::header::HeaderName::from_bytes(name);
        let value = actix_web::http::header::HeaderValue::from_bytes(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            request = request.append_header((name, value));
        }
    }
    let request = request.to_http_request();
    drop(Idempotency::of(&request, Default::default()));
    drop(IfMatch::extract(&request).into_inner());
    drop(IfNoneMatch::extract(&request).into_inner());
    drop(ecrm::http::body::check_content_type(&request, &["application/merge-patch+json"]));
    for proxies in 0..4 {
        ecrm::http::client_ip::client_ip(&request, proxies);
    }
    if let Some(token) = ecrm::auth::bearer(&request) {
        assert!(!token.is_empty() && token == token.trim());
    }
}

/// A currency in the first line, an amount in the rest.
pub fn money(data: &[u8]) {
    let Some((currency, amount)) = first_line(data) else { return };
    if let Ok(money) = Money::parse_decimal(amount, currency) {
        let shown = money.to_string();
        let (decimal, code) = shown.split_once(' ').expect("amount and currency");
        assert_eq!(Money::parse_decimal(decimal, code), Ok(money));
    }
}

/// A region in the first line (or none), a number in the rest.
pub fn phone(data: &[u8]) {
    let Some((region, number)) = first_line(data) else { return };
    let region = (!region.is_empty()).then_some(region);
    if let Some(phone) = Phone::parse(number, region) {
        let digits = phone.e164.strip_prefix('+').expect("a plus");
        assert!((7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(Phone::parse(&phone.e164, region).map(|again| again.e164), Some(phone.e164));
    }
}

static CATALOG: Catalog = Catalog {
    fields: &[
        Field { name: "name", column: "c.name", kind: Kind::Text },
        Field { name: "email", column: "c.email", kind: Kind::Folded },
        Field { name: "stage", column: "c.stage", kind: Kind::Enum(&["lead", "customer"]) },
        Field { name: "score", column: "c.score", kind: Kind::Integer },
        Field { name: "rating", column: "c.rating", kind: Kind::Number },
        Field { name: "vip", column: "c.vip", kind: Kind::Boolean },
        Field { name: "seen_at", column: "c.seen_at", kind: Kind::Time },
        Field { name: "born_on", column: "c.born_on", kind: Kind::Date },
        Field { name: "id", column: "c.id", kind: Kind::Id },
        Field { name: "tags", column: "c.tags", kind: Kind::TextArray },
    ],
    free: Some(FreeColumn { name: "attributes", column: "c.attributes" }),
    did: None,
};

/// A predicate: what is checked makes SQL and a decision, and its opposite the opposite.
pub fn predicate(data: &[u8]) {
    let Ok(predicate) = serde_json::from_slice::<Predicate>(data) else { return };
    let kinds = HashMap::from([("level".into(), Kind::Integer), ("since".into(), Kind::Date)]);
    let now = time::parse_time("2024-05-01T12:00:00Z").expect("a time");
    let context = Context { pointer: "#", catalog: &CATALOG, attribute_kinds: &kinds, now };
    let Ok(checked) = predicate.check(&context) else { return };
    let sql = diesel::debug_query::<diesel::pg::Pg, _>(&checked).to_string();
    let sql = sql.split(" -- binds").next().unwrap_or_default().replace("collate \"C\"", "");
    assert!(sql.is_ascii() && !sql.contains([';', '"']), "a value is part of {sql}");
    let not = Predicate { not: Some(Box::new(predicate)), ..Predicate::default() };
    // One level more may be one too many.
    let Ok(not) = not.check(&context) else { return };
    let row = serde_json::json!({
        "name": "Ann", "email": "ann@example.com", "score": 1, "rating": 1.5, "vip": true,
        "seen_at": "2024-04-01T00:00:00Z", "tags": ["red"], "attributes": { "level": 3, "x": [1] }
    });
    assert_ne!(checked.matches(&row, &|_| false), not.matches(&row, &|_| false));
}

/// The part of a URL after `?`.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(ecrm::http::query::parse::<Page>(text));
}

/// Everything else that is read from a text.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let key = text::search_key(text);
    assert_eq!(text::search_key(&key), key);
    let locale = locale::normalise(text);
    assert_eq!(locale.as_deref().and_then(locale::normalise), locale);
    if let Some(moment) = time::parse_time(text) {
        assert_eq!(time::parse_time(&time::format(moment)), Some(moment));
        let span = IsoDuration { months: u32::MAX, seconds: i64::MAX };
        assert_eq!(span.before(moment), None);
    }
    if let Some(span) = IsoDuration::parse(text) {
        assert!(span.months > 0 || span.seconds > 0);
    }
    if let Some(day) = time::parse_date(text) {
        assert_eq!(day.to_string(), text);
    }
    timezone::parse(text);
}
