//! Limits per key and per address (B15).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, App, Client};

const PATH: &str = "/v1/customers";

fn limited(setting: &'static str, per_minute: &'static str) -> (App, Client) {
    let app = App::alone(&[(setting, per_minute)]);
    let client = app.workspace(&["*"]);
    (app, client)
}

/// The `r` of the `RateLimit` header.
fn left(answer: &Answer) -> u32 {
    let header = &answer.headers["ratelimit"];
    let part = header.split(';').find_map(|part| part.strip_prefix("r="));
    part.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{header}"))
}

fn is_refused(answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (429, "too_many_requests"), "{}", answer.text);
    let wait: u64 = answer.headers["retry-after"].parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(left(answer), 0);
}

#[test]
fn a_key_has_its_requests_and_then_waits() {
    let (app, client) = limited("ECRM_RATE_LIMIT_PER_KEY", "6");
    for used in 1..=6 {
        let answer = client.get(PATH).expect(200);
        assert_eq!(answer.headers["ratelimit-policy"], "\"default\";q=6;w=60");
        assert_eq!(left(&answer), 6 - used);
    }
    is_refused(&client.get(PATH));
    is_refused(&client.post(PATH, json!({})));
    // Others have their own.
    client.with_token(&app.key(&client, &["*"], true)).get(PATH).expect(200);
    app.workspace(&["*"]).get(PATH).expect(200);
}

#[test]
fn a_refused_caller_is_let_in_again_after_the_time_it_was_told() {
    let (_app, client) = limited("ECRM_RATE_LIMIT_PER_KEY", "60");
    while client.get(PATH).status == 200 {}
    let refused = client.get(PATH);
    is_refused(&refused);
    let wait: u64 = refused.headers["retry-after"].parse().expect("seconds");
    assert!(wait <= 2, "{wait}");
    std::thread::sleep(Duration::from_secs(wait));
    client.get(PATH).expect(200);
}

#[test]
fn a_refused_write_has_not_happened() {
    let (app, client) = limited("ECRM_RATE_LIMIT_PER_KEY", "2");
    client.post(PATH, json!({ "first_name": "Ada" })).expect(201);
    client.get(PATH).expect(200);
    let before = app.checksums();
    is_refused(&client.post(PATH, json!({ "first_name": "Eva" })));
    assert_eq!(app.checksums(), before);
}

#[test]
fn each_item_of_a_batch_counts() {
    let (_app, client) = limited("ECRM_RATE_LIMIT_PER_KEY", "10");
    let batch = |items: usize| {
        let items: Vec<Value> = (0..items).map(|i| json!({ "last_name": i.to_string() })).collect();
        client.post(&format!("{PATH}/batch"), json!({ "items": items }))
    };
    batch(7).expect(207);
    let refused = batch(7);
    assert_eq!((refused.status, refused.code()), (429, "too_many_requests"), "{}", refused.text);
    assert_eq!(client.get(PATH).expect(200).json["data"].as_array().map(Vec::len), Some(7));
}

#[test]
fn an_address_has_a_limit_over_all_its_keys() {
    let (app, client) = limited("ECRM_RATE_LIMIT_PER_IP", "5");
    for _ in 0..5 {
        client.with_token(&app.key(&client, &["*"], true)).get(PATH).expect(200);
    }
    is_refused(&client.with_token(&app.key(&client, &["*"], true)).get(PATH));
}

/// Guessing is limited before it is checked.
#[test]
fn wrong_credentials_use_up_the_address() {
    let (_app, client) = limited("ECRM_RATE_LIMIT_PER_IP", "5");
    let guess = client.with_token("ecrm_sk_guess");
    for _ in 0..5 {
        guess.get(PATH).expect(401);
    }
    is_refused(&guess.get(PATH));
    is_refused(&client.get(PATH));
}

#[test]
fn attempts_to_sign_in_have_a_limit_of_their_own() {
    let (_app, client) = limited("ECRM_RATE_LIMIT_AUTH", "3");
    let anonymous = Client { token: None, ..client.clone() };
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = "grant_type=password&username=a%40example.com&password=guess+guess+guess";
    let attempt =
        || anonymous.send_unchecked("POST", "/v1/auth/token", &kind, Some(body.as_bytes()));
    for _ in 0..3 {
        let answer = attempt();
        assert!([400, 401].contains(&answer.status), "{}", answer.text);
    }
    let refused = attempt();
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    client.get(PATH).expect(200);
}

#[test]
fn health_and_metrics_are_never_limited() {
    let (_app, client) = limited("ECRM_RATE_LIMIT_PER_IP", "2");
    while client.get(PATH).status == 200 {}
    let started = Instant::now();
    for _ in 0..20 {
        client.get("/health/live").expect(200);
        client.get("/metrics").expect(200);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}
