//! Lets the web pages that a workspace has named call the API from a browser, and no others.
//!
//! Nothing is allowed by default. An origin is allowed by its exact text only, never by pattern,
//! never as `*`, never `null`, and never together with cookies (Fetch standard, CORS protocol).
//!
//! Tracking is the exception: a write key is public, can only report, and comes from whatever page it
//! stands on, so every origin may send there and read the answer.

use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const REQUEST_HEADERS: &str = "Authorization, Content-Type, Content-Encoding, Idempotency-Key, \
                               If-Match, If-None-Match, Last-Event-ID, X-Request-Id, traceparent";

/// What tracking libraries in browsers send besides.
const TRACKING_HEADERS: &str = "Authorization, Content-Type, Content-Encoding, Idempotency-Key, \
                                X-Request-Id, traceparent, AnonymousId";

const EXPOSED_HEADERS: &str = "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, \
                               X-Request-Id, Idempotent-Replayed";

/// Seconds a browser may remember a preflight; a withdrawn origin is out after that.
const MAX_AGE_S: &str = "600";

/// Which origins are allowed where no credential has said so yet.
pub struct Cors {
    /// Origins for every workspace (`ECRM_CORS_ORIGINS`).
    pub instance: Vec<String>,
    /// Whether any workspace lists the origin: a preflight carries no credential, so it cannot say
    /// which one is meant. Called on the event loop, so it must not wait for the database.
    pub any_workspace: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

/// The origins of the caller's workspace; whoever checks the credential puts them into the
/// request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigins(pub Arc<[String]>);

/// Lets web pages that any workspace names read the answer: for who has no credential that could
/// say which workspace is meant.
pub fn allow_listed_origin(req: &HttpRequest) {
    let cors = req.app_data::<web::Data<Cors>>();
    let origin = req.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok());
    if let (Some(cors), Some(origin)) = (cors, origin)
        && (cors.any_workspace)(origin)
    {
        req.extensions_mut().insert(AllowedOrigins([origin.to_owned()].into()));
    }
}

/// The layer that answers preflights and names the allowed origin on all other answers. Needs
/// `web::Data<Cors>`.
pub async fn apply<B: MessageBody + 'static>(
    cors: web::Data<Cors>,
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let origin = origin(req.headers()).cloned();
    let is_open = origin.is_some() && crate::api::spec().routes.takes_write_keys(req.path());
    if is_preflight(&req) {
        let response = if is_open { open_preflight() } else { cors.preflight(origin.as_ref()) };
        return Ok(req.into_response(response).map_into_right_body());
    }
    let mut response = next.call(req).await?;
    let named = match is_open {
        true => Some(EVERY_ORIGIN),
        false => origin.filter(|origin| cors.allows(origin, &response)),
    };
    if let Some(origin) = named {
        let headers = response.headers_mut();
        name(headers, origin);
        let exposed = HeaderValue::from_static(EXPOSED_HEADERS);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    Ok(response.map_into_left_body())
}

impl Cors {
    fn preflight(&self, origin: Option<&HeaderValue>) -> HttpResponse {
        let mut response = HttpResponse::NoContent().finish();
        let is_allowed = |origin: &&HeaderValue| {
            text(origin).is_some_and(|text| self.lists(text) || (self.any_workspace)(text))
        };
        if let Some(origin) = origin.filter(is_allowed) {
            answer_preflight(&mut response, origin.clone(), METHODS, REQUEST_HEADERS);
        }
        response
    }

    fn allows<B>(&self, origin: &HeaderValue, response: &ServiceResponse<B>) -> bool {
        let Some(origin) = text(origin) else { return false };
        let extensions = response.request().extensions();
        let is_listed = match extensions.get::<AllowedOrigins>() {
            Some(workspace) => workspace.0.iter().any(|listed| listed == origin),
            // Whoever was refused before we knew who they are has to learn that their token is over.
            None => !response.status().is_success() && (self.any_workspace)(origin),
        };
        is_listed || self.lists(origin)
    }

    fn lists(&self, origin: &str) -> bool {
        self.instance.iter().any(|listed| listed == origin)
    }
}

const EVERY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

fn open_preflight() -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    answer_preflight(&mut response, EVERY_ORIGIN, "GET, POST, OPTIONS", TRACKING_HEADERS);
    response
}

fn answer_preflight(
    response: &mut HttpResponse,
    origin: HeaderValue,
    methods: &'static str,
    request_headers: &'static str,
) {
    let headers = response.headers_mut();
    name(headers, origin);
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, request_headers),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn is_preflight(req: &ServiceRequest) -> bool {
    let asks = |name| req.headers().contains_key(name);
    req.method() == Method::OPTIONS
        && asks(header::ORIGIN)
        && asks(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The request's one origin; a browser never sends two.
fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut origins = headers.get_all(header::ORIGIN);
    let first = origins.next()?;
    origins.next().is_none().then_some(first)
}

/// The origin as text, unless it is the one that every sandboxed page has.
fn text(origin: &HeaderValue) -> Option<&str> {
    origin.to_str().ok().filter(|origin| *origin != "null")
}

fn name(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    const INSTANCE: &str = "https://admin.example";
    const MINE: &str = "https://shop.example";
    const OTHERS: &str = "https://other.example";

    /// Origins that look like [`MINE`], and those that must not be allowed even when listed.
    const TRICKS: [&str; 9] = [
        "null",
        "*",
        "https://SHOP.example",
        "https://evil-shop.example",
        "https://shop.example.evil.example",
        "https://shop.example:8443",
        "http://shop.example",
        "https://shop.example/",
        "shop.example",
    ];

    /// A handler behind a login: the caller's workspace lists [`MINE`] only (and, by mistake,
    /// `null`).
    async fn handler(req: HttpRequest) -> HttpResponse {
        let listed = AllowedOrigins([MINE.to_owned(), "null".to_owned()].into());
        req.extensions_mut().insert(listed);
        HttpResponse::Ok().insert_header((header::VARY, "Accept-Encoding")).finish()
    }

    async fn answer(req: TestRequest) -> HttpResponse {
        let cors = Cors {
            instance: vec![INSTANCE.into()],
            any_workspace: Arc::new(|origin| [MINE, OTHERS, "null"].contains(&origin)),
        };
        let app = App::new()
            .wrap(from_fn(apply))
            .app_data(web::Data::new(cors))
            .route("/", web::get().to(handler))
            .route("/closed", web::get().to(HttpResponse::Unauthorized))
            .route("/public", web::get().to(HttpResponse::Ok))
            .route("/", web::method(Method::OPTIONS).to(HttpResponse::NoContent));
        let response = call_service(&init_service(app).await, req.to_request()).await;
        response.into_parts().1.map_into_boxed_body()
    }

    async fn get(origin: &str) -> HttpResponse {
        answer(TestRequest::get().insert_header((header::ORIGIN, origin))).await
    }

    async fn preflight(origin: &str) -> HttpResponse {
        let req = TestRequest::with_uri("/anywhere").method(Method::OPTIONS);
        let req = req.insert_header((header::ORIGIN, origin));
        answer(req.insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "PATCH"))).await
    }

    fn cors_headers(response: &HttpResponse) -> Vec<(String, String)> {
        let mut found: Vec<_> = response
            .headers()
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("access-control"))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        found.sort();
        found
    }

    #[actix_web::test]
    async fn a_preflight_is_allowed_for_an_origin_that_any_workspace_or_the_instance_lists() {
        for origin in [INSTANCE, MINE, OTHERS] {
            let response = preflight(origin).await;
            assert_eq!(response.status().as_u16(), 204);
            let expected = [
                ("access-control-allow-headers", REQUEST_HEADERS),
                ("access-control-allow-methods", METHODS),
                ("access-control-allow-origin", origin),
                ("access-control-max-age", "600"),
            ];
            assert_eq!(cors_headers(&response), expected.map(|(n, v)| (n.into(), v.into())));
            assert_eq!(response.headers().get(header::VARY).unwrap(), "Origin");
        }
    }

    #[actix_web::test]
    async fn a_page_may_say_where_its_stream_goes_on() {
        let response = preflight(MINE).await;
        let allowed = response.headers().get(header::ACCESS_CONTROL_ALLOW_HEADERS).unwrap();
        let mut names = allowed.to_str().unwrap().split(',').map(str::trim);
        assert!(names.any(|name| name == "Last-Event-ID"), "{allowed:?}");
    }

    #[actix_web::test]
    async fn an_answer_names_an_origin_of_the_callers_workspace_or_the_instance() {
        for origin in [INSTANCE, MINE] {
            let response = get(origin).await;
            let expected = [
                ("access-control-allow-origin", origin),
                ("access-control-expose-headers", EXPOSED_HEADERS),
            ];
            assert_eq!(cors_headers(&response), expected.map(|(n, v)| (n.into(), v.into())));
            let vary: Vec<_> = response.headers().get_all(header::VARY).collect();
            assert_eq!(vary, ["Accept-Encoding", "Origin"]);
        }
    }

    #[actix_web::test]
    async fn an_origin_of_another_workspace_gets_an_answer_its_page_cannot_read() {
        let response = get(OTHERS).await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(cors_headers(&response), []);
    }

    #[actix_web::test]
    async fn a_refusal_of_nobody_in_particular_is_read_by_the_pages_of_any_workspace() {
        let ask = |path, origin| {
            answer(TestRequest::with_uri(path).insert_header((header::ORIGIN, origin)))
        };
        for origin in [INSTANCE, MINE, OTHERS] {
            let refused = ask("/closed", origin).await;
            let named = refused.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(named.and_then(text), Some(origin));
        }
        for origin in TRICKS {
            assert_eq!(cors_headers(&ask("/closed", origin).await), [], "{origin}");
        }
        assert_eq!(cors_headers(&ask("/public", OTHERS).await), []);
    }

    #[actix_web::test]
    async fn null_case_suffix_port_and_scheme_tricks_are_refused() {
        for origin in TRICKS {
            let response = preflight(origin).await;
            assert_eq!(response.status().as_u16(), 204, "{origin}");
            assert_eq!(cors_headers(&response), [], "{origin}");
            assert_eq!(cors_headers(&get(origin).await), [], "{origin}");
        }
    }

    #[actix_web::test]
    async fn two_origins_are_none() {
        let req = TestRequest::get().append_header((header::ORIGIN, MINE));
        let response = answer(req.append_header((header::ORIGIN, MINE))).await;
        assert_eq!(cors_headers(&response), []);
    }

    #[actix_web::test]
    async fn options_without_a_requested_method_and_requests_without_an_origin_reach_their_handler()
    {
        let req = TestRequest::with_uri("/").method(Method::OPTIONS);
        let response = answer(req.insert_header((header::ORIGIN, INSTANCE))).await;
        assert_eq!(response.status().as_u16(), 204);
        assert!(response.headers().contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS));
        assert_eq!(cors_headers(&answer(TestRequest::get()).await), []);
    }
}
