//! Browsers: only the pages that a workspace has named may call it (B13).

use serde_json::json;

use crate::harness::{Answer, App, Client};

const PATH: &str = "/v1/customers";
const SHOP: &str = "https://shop.example.com";

/// Origins that look like the allowed one and are not.
const OTHERS: [&str; 9] = [
    "null",
    "*",
    "https://evil.example.com",
    "https://shop.example.com.evil.com",
    "https://evil-shop.example.com",
    "https://SHOP.example.com",
    "http://shop.example.com",
    "https://shop.example.com:8443",
    "https://shop.example.com/",
];

fn get(client: &Client, origin: &str) -> Answer {
    client.send("GET", PATH, &[("Origin", origin)], None).expect(200)
}

fn preflight(client: &Client, origin: &str) -> Answer {
    let anonymous = Client { token: None, ..client.clone() };
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "authorization, if-match"),
    ];
    anonymous.send("OPTIONS", PATH, &headers, None).expect(204)
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").map(String::as_str)
}

#[test]
fn no_origin_is_allowed_unless_somebody_names_it() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    for origin in OTHERS.iter().chain(&[SHOP]) {
        assert_eq!(allowed(&get(&client, origin)), None, "{origin}");
        assert_eq!(allowed(&preflight(&client, origin)), None, "{origin}");
    }
}

#[test]
fn an_origin_of_the_installation_is_allowed_by_its_exact_text() {
    let app = App::alone(&[("ECRM_CORS_ORIGINS", "https://shop.example.com,https://b.example")]);
    let client = app.workspace(&["*"]);
    for origin in [SHOP, "https://b.example"] {
        assert_eq!(allowed(&get(&client, origin)), Some(origin));
        assert_eq!(allowed(&preflight(&client, origin)), Some(origin));
    }
    for origin in OTHERS {
        assert_eq!(allowed(&get(&client, origin)), None, "{origin}");
        assert_eq!(allowed(&preflight(&client, origin)), None, "{origin}");
    }
}

#[test]
fn an_origin_of_one_workspace_is_not_allowed_in_another() {
    let app = App::alone(&[]);
    let (client, other) = (app.workspace(&["*"]), app.workspace(&["*"]));
    let settings = json!({ "settings": { "cors_origins": [SHOP] } });
    client.patch("/v1/workspace", settings).expect(200);
    assert_eq!(allowed(&get(&client, SHOP)), Some(SHOP));
    assert_eq!(allowed(&preflight(&client, SHOP)), Some(SHOP), "known at once where it was set");
    assert_eq!(allowed(&get(&other, SHOP)), None);
    for origin in OTHERS {
        assert_eq!(allowed(&get(&client, origin)), None, "{origin}");
    }
    client.patch("/v1/workspace", json!({ "settings": { "cors_origins": [] } })).expect(200);
    assert_eq!(allowed(&get(&client, SHOP)), None);
}

#[test]
fn a_preflight_says_what_may_be_sent_and_an_answer_what_may_be_read() {
    let app = App::alone(&[("ECRM_CORS_ORIGINS", SHOP)]);
    let client = app.workspace(&["*"]);
    let asked = preflight(&client, SHOP);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(asked.headers["access-control-allow-methods"].contains(method), "{method}");
    }
    let sendable = asked.headers["access-control-allow-headers"].to_lowercase();
    for name in ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match"] {
        assert!(sendable.contains(name), "{name}");
    }
    let answer = get(&client, SHOP);
    let readable = answer.headers["access-control-expose-headers"].to_lowercase();
    for name in
        ["etag", "link", "location", "ratelimit", "ratelimit-policy", "x-request-id", "retry-after"]
    {
        assert!(readable.contains(name), "{name}");
    }
    for answer in [&asked, &answer] {
        assert!(answer.headers["vary"].to_lowercase().contains("origin"));
        assert!(!answer.headers.contains_key("access-control-allow-credentials"), "cookies");
    }
}

#[test]
fn an_error_can_be_read_by_an_allowed_page() {
    let app = App::alone(&[("ECRM_CORS_ORIGINS", SHOP)]);
    let client = app.workspace(&["*"]);
    let anonymous = Client { token: None, ..client.clone() };
    for (caller, method, path, status) in [
        (&client, "GET", "/v1/customers/x", 404),
        (&client, "DELETE", PATH, 405),
        (&client, "GET", "/nowhere", 404),
        (&anonymous, "GET", PATH, 401),
    ] {
        let answer = caller.send(method, path, &[("Origin", SHOP)], None).expect(status);
        assert_eq!(allowed(&answer), Some(SHOP), "{method} {path}");
    }
}

/// A page whose token is over has to see that, and not a failure of the network.
#[test]
fn a_refused_token_can_be_read_by_the_pages_of_a_workspace() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let settings = json!({ "settings": { "cors_origins": [SHOP] } });
    client.patch("/v1/workspace", settings).expect(200);
    ecrm::worker::renew(&app.state).expect("origins");
    let stranger = client.with_token("ecrm_sk_guess");
    let ask = |origin| stranger.send("GET", PATH, &[("Origin", origin)], None).expect(401);
    assert_eq!(allowed(&ask(SHOP)), Some(SHOP));
    for origin in OTHERS {
        assert_eq!(allowed(&ask(origin)), None, "{origin}");
    }
}
