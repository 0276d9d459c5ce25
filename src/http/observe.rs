//! Watches every request: how long it took, how it ended, and what to do when a handler breaks.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, web};
use uuid::Uuid;

use crate::error::Error;
use crate::http::request_id::{RequestId, TraceId};
use crate::metrics::{Metrics, UNMATCHED};

/// The route of requests whose handler panicked: the request, and with it its route, is lost.
const PANICKED: &str = "panicked";

/// Who asked, for the access log: whoever checks the credential puts it into the request's
/// extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogFields {
    pub workspace_id: Option<Uuid>,
    /// The API key, or the subject of the token.
    pub credential_id: Option<Uuid>,
}

/// The layer inside [`super::request_id::identify`]: counts, times and logs each request once, and
/// answers 500 in place of a handler that panics. Needs `web::Data<Metrics>`.
pub async fn observe<B: MessageBody + 'static>(
    metrics: web::Data<Metrics>,
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let started = Instant::now();
    let _in_flight = metrics.in_flight();
    let mut seen = Seen::of(&req);
    let uri = req.uri().clone();
    let result = match unpanicked(async { next.call(req).await }).await {
        Ok(result) => result,
        Err(panic) => {
            seen.route = Some(PANICKED.into());
            Err(seen.broken(uri.path(), &panic))
        }
    };
    let status = match &result {
        Ok(response) => {
            seen.route = response.request().match_pattern();
            seen.fields = response.request().extensions().get().copied().unwrap_or_default();
            response.status()
        }
        Err(error) => error.as_response_error().status_code(),
    };
    let latency = started.elapsed();
    metrics.request(&seen.method, seen.route.as_deref(), status, latency);
    seen.log(status, latency);
    result
}

/// What the log shows of a request: no path, no query, no body, so no personal data.
struct Seen {
    method: Method,
    route: Option<String>,
    request_id: Option<RequestId>,
    trace_id: Option<TraceId>,
    fields: LogFields,
}

impl Seen {
    fn of(req: &ServiceRequest) -> Self {
        let extensions = req.extensions();
        Self {
            method: req.method().clone(),
            route: None,
            request_id: extensions.get().cloned(),
            trace_id: extensions.get().cloned(),
            fields: LogFields::default(),
        }
    }

    fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(|id| &*id.0)
    }

    fn log(&self, status: StatusCode, latency: Duration) {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string());
        log::info!(
            target: "ecrm::http",
            method = self.method.as_str(),
            route = self.route.as_deref().unwrap_or(UNMATCHED),
            status = status.as_u16(),
            latency_ms = milliseconds(latency),
            request_id = self.request_id(),
            trace_id = self.trace_id.as_ref().map(|id| &*id.0),
            workspace_id = id(self.fields.workspace_id).as_deref(),
            credential_id = id(self.fields.credential_id).as_deref();
            "request"
        );
    }

    /// The 500 for a panic; its text goes to the log only.
    fn broken(&self, path: &str, panic: &Panic) -> actix_web::Error {
        let text = panic_text(panic);
        let request_id = self.request_id();
        log::error!(target: "ecrm::http", request_id; "a handler panicked: {text}");
        let error = Error::internal(text);
        let rejection = error.rejection();
        let response = HttpResponse::build(rejection.status_code())
            .content_type("application/problem+json")
            .json(rejection.problem(Some(path), request_id));
        InternalError::from_response(error, response).into()
    }
}

/// Milliseconds to the microsecond.
fn milliseconds(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}

type Panic = Box<dyn Any + Send>;

/// Runs a future to its end, or to its panic. Nothing of the future is touched after a panic, so no
/// half-changed state of it can be seen; what is shared (pools, caches) guards itself.
async fn unpanicked<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn panic_text(panic: &Panic) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::{Arc, Once};

    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, try_call_service};
    use actix_web::{App, HttpRequest};

    use super::*;
    use crate::http::request_id::{self, TRACEPARENT, X_REQUEST_ID};
    use crate::http::testing::{Then, send, serve};
    use crate::http::{cors, rate_limit, unread};
    use crate::logging;

    thread_local! {
        static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Keeps the log of the thread that a test runs on.
    struct Kept;

    impl log::Log for Kept {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            if record.target() == "ecrm::http" {
                let line = logging::line(logging::Format::Json, Default::default(), record);
                LINES.with_borrow_mut(|lines| lines.push(line));
            }
        }

        fn flush(&self) {}
    }

    fn keep_log() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&Kept).unwrap();
            log::set_max_level(log::LevelFilter::Info);
        });
    }

    fn kept_log() -> Vec<serde_json::Value> {
        LINES.take().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn show(req: HttpRequest) -> HttpResponse {
        req.extensions_mut().insert(LogFields {
            workspace_id: Some(Uuid::nil()),
            credential_id: Some(Uuid::max()),
        });
        HttpResponse::Created().finish()
    }

    async fn break_now() -> HttpResponse {
        panic!("the secret reason")
    }

    async fn break_later() -> HttpResponse {
        actix_web::rt::task::yield_now().await;
        panic!("{} broke", "something")
    }

    /// All layers, in the order that the service has.
    fn routes(config: &mut web::ServiceConfig) {
        let cors = cors::Cors { instance: vec![], any_workspace: Arc::new(|_| false) };
        config.service(
            web::scope("")
                .wrap(from_fn(rate_limit::announce))
                .wrap(from_fn(cors::apply))
                .wrap(from_fn(observe))
                .wrap(from_fn(unread::hang_up))
                .wrap(from_fn(request_id::identify))
                .app_data(web::Data::new(Metrics::new("0")))
                .app_data(web::Data::new(cors))
                .route("/customers/{id}", web::get().to(show))
                .route("/break", web::get().to(break_now))
                .route("/break-later", web::get().to(break_later))
                .route("/metrics", web::get().to(async |m: web::Data<Metrics>| m.render())),
        );
    }

    #[actix_web::test]
    async fn a_request_is_logged_once_by_its_pattern_and_without_what_was_in_its_path() {
        keep_log();
        let app = init_service(App::new().configure(routes)).await;
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let req = TestRequest::with_uri("/customers/ada@example.com?email=ada@example.com")
            .insert_header((X_REQUEST_ID, "quoted"))
            .insert_header((TRACEPARENT, format!("00-{trace}-00f067aa0ba902b7-01")));
        call_service(&app, req.to_request()).await;
        let lines = kept_log();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(!line.to_string().contains("ada"), "{line}");
        assert_eq!(line["message"], "request");
        assert_eq!(line["method"], "GET");
        assert_eq!(line["route"], "/customers/{id}");
        assert_eq!(line["status"], 201);
        assert_eq!(line["request_id"], "quoted");
        assert_eq!(line["trace_id"], trace);
        assert_eq!(line["workspace_id"], Uuid::nil().to_string());
        assert_eq!(line["credential_id"], Uuid::max().to_string());
        assert!(line["latency_ms"].as_f64().unwrap() > 0.0);
    }

    #[actix_web::test]
    async fn an_unknown_path_is_logged_and_counted_as_unmatched() {
        keep_log();
        let app = App::new()
            .wrap(from_fn(observe))
            .wrap(from_fn(request_id::identify))
            .app_data(web::Data::new(Metrics::new("0")))
            .route("/metrics", web::get().to(async |m: web::Data<Metrics>| m.render()));
        let app = init_service(app).await;
        for path in ["/nowhere/1", "/nowhere/2"] {
            call_service(&app, TestRequest::with_uri(path).to_request()).await;
        }
        let lines = kept_log();
        assert!(lines.iter().all(|line| line["route"] == "unmatched" && line["status"] == 404));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].get("workspace_id"), None);
        let req = TestRequest::with_uri("/metrics").to_request();
        let text = actix_web::test::call_and_read_body(&app, req).await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        let counted = r#"ecrm_http_requests_total{method="GET",route="unmatched",status="404"} 2"#;
        assert!(text.contains(counted), "{text}");
        assert!(text.contains("ecrm_http_in_flight 1\n"), "{text}");
    }

    #[actix_web::test]
    async fn a_panic_is_logged_and_counted_and_leaves_nothing_in_flight() {
        keep_log();
        let app = init_service(App::new().configure(routes)).await;
        for path in ["/break", "/break-later"] {
            let req = TestRequest::with_uri(path).insert_header((X_REQUEST_ID, "quoted"));
            let error = try_call_service(&app, req.to_request()).await.unwrap_err();
            assert_eq!(error.error_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
        let lines = kept_log();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0]["message"], "a handler panicked: the secret reason");
        assert_eq!(lines[0]["request_id"], "quoted");
        assert_eq!(lines[1]["route"], "panicked");
        assert_eq!(lines[1]["status"], 500);
        assert_eq!(lines[2]["message"], "a handler panicked: something broke");
        let req = TestRequest::with_uri("/metrics").to_request();
        let text = actix_web::test::call_and_read_body(&app, req).await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains(r#"route="panicked",status="500"} 2"#), "{text}");
        assert!(text.contains("ecrm_http_in_flight 1\n"), "{text}");
    }

    #[actix_web::test]
    async fn a_panic_is_answered_with_a_problem_and_the_server_stays_up() {
        let address = serve(routes);
        for path in ["/break", "/break-later", "/break"] {
            let request = format!(
                "GET {path}?q=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: a\r\n\r\n"
            );
            let answer = send(address, request, Then::Wait).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 500"), "{answer}");
            let head = head.to_ascii_lowercase();
            assert!(head.contains("content-type: application/problem+json"), "{answer}");
            assert!(head.contains("x-request-id: a\r\n"), "{answer}");
            assert!(head.contains("cache-control: no-store"), "{answer}");
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(problem["code"], "internal_error");
            assert_eq!(problem["request_id"], "a");
            assert_eq!(problem["instance"], path);
            assert!(!body.contains("secret"), "{body}");
        }
    }
}
