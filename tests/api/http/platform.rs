//! The service about itself: health, metrics, its document and the page that shows it.

use serde_json::json;

use super::wire::{exchange, head};
use crate::harness::{App, Client, workspace};

fn anonymous() -> Client {
    Client { token: None, ..workspace() }
}

fn fetch(path: &str) -> crate::harness::Answer {
    anonymous().send_unchecked("GET", path, &[], None)
}

#[test]
fn a_service_that_works_says_so() {
    let client = anonymous();
    for path in ["/health/live", "/health/ready"] {
        let answer = client.get(path).expect(200);
        let expected = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
        assert_eq!(answer.json, expected, "{path}");
    }
}

#[test]
fn a_service_that_is_shutting_down_lives_but_is_not_ready() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    client.get("/health/ready").expect(200);
    app.state.drain();
    client.get("/health/live").expect(200);
    let refused = client.get("/health/ready").expect(503);
    assert_eq!(refused.headers["retry-after"], "1");
    // Who is still here is still served.
    client.get("/v1/customers").expect(200);
}

#[test]
fn metrics_count_requests_by_pattern_and_never_by_path() {
    let app = App::alone(&[]);
    let client = app.workspace(&["*"]);
    let id = client.post("/v1/customers", json!({ "first_name": "Canary" })).expect(201).id();
    client.get(&format!("/v1/customers/{id}")).expect(200);
    client.get("/v1/customers/x").expect(404);
    client.send("GET", "/canary/path", &[], None).expect(404);
    let metrics = client.get("/metrics").expect(200);
    assert!(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    for line in [
        r#"ecrm_http_requests_total{method="GET",route="/v1/customers/{id}",status="200"} 1"#,
        r#"ecrm_http_requests_total{method="GET",route="/v1/customers/{id}",status="404"} 1"#,
        r#"ecrm_http_requests_total{method="POST",route="/v1/customers",status="201"} 1"#,
        r#"ecrm_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"ecrm_db_pool_connections{pool="primary",state="in_use"} 0"#,
    ] {
        assert!(metrics.text.contains(line), "{line}\n{}", metrics.text);
    }
    for name in ["ecrm_http_request_duration_seconds_bucket", "ecrm_db_pool_wait_seconds_count"] {
        assert!(metrics.text.contains(name), "{name}");
    }
    for secret in [id.as_str(), "canary", &client.workspace_id.to_string(), &client.slug] {
        assert!(!metrics.text.to_lowercase().contains(secret), "`{secret}` is in the metrics");
    }
}

#[test]
fn the_root_leads_to_the_docs_page() {
    for path in ["/", "/docs"] {
        let answer = fetch(path).expect(302);
        assert_eq!(answer.headers["location"], "/docs/");
    }
}

/// The targets of `src="…"` and `href="…"`.
fn links(html: &str) -> Vec<String> {
    let parts = ["src=\"", "href=\""].into_iter().flat_map(|key| html.split(key).skip(1));
    parts.filter_map(|rest| rest.split('"').next()).map(String::from).collect()
}

#[test]
fn the_docs_page_is_served_with_all_its_parts_and_nothing_from_elsewhere() {
    let page = fetch("/docs/").expect(200);
    assert!(page.headers["content-type"].starts_with("text/html"));
    let links = links(&page.text);
    assert!(links.len() >= 4, "{links:?}");
    let mut scripts = String::new();
    for link in &links {
        assert!(!link.contains("//"), "{link} is elsewhere");
        let client = anonymous();
        let part = exchange(&client, head(&client, "GET", &docs(link), ""));
        assert_eq!((part.status, part.body.is_empty()), (200, false), "{link}");
        if link.ends_with(".js") {
            scripts.push_str(&String::from_utf8_lossy(&part.body));
        }
    }
    assert!(scripts.contains("/openapi.json"), "the page does not load our document");
}

fn docs(link: &str) -> String {
    format!("/docs/{}", link.trim_start_matches("./"))
}

#[test]
fn the_document_may_be_fetched_by_everybody_and_names_every_path_that_is_served() {
    let document = fetch("/openapi.json").expect(200);
    assert_eq!(document.json["openapi"], "3.1.0");
    for path in ["/v1/customers", "/v1/touchpoints/batch", "/health/live"] {
        assert!(document.json["paths"][path].is_object(), "{path}");
    }
}
