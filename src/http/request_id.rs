//! Gives every request a name that support, log and customer can quote, and every answer its
//! protective headers.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};
use uuid::Uuid;

/// Carries the request id in both directions.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's place in a distributed trace (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const MAX_LENGTH: usize = 128;

/// The name of one request, in the request's extensions: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// The trace a request belongs to, in the request's extensions where the caller sent one: 32 hex
/// digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceId(pub Arc<str>);

impl RequestId {
    /// What the caller sent in `X-Request-Id`, or a new `UUIDv7` where that is absent or not fit to
    /// be repeated.
    fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        match sent.filter(|id| is_fit(id)) {
            Some(id) => Self(id.into()),
            None => Self(Uuid::now_v7().to_string().into()),
        }
    }
}

impl TraceId {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut parts = headers.get(TRACEPARENT)?.to_str().ok()?.split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        let (parent, flags) = (parts.next()?, parts.next()?);
        let lengths = [version, trace, parent, flags].map(str::len);
        let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let is_valid = lengths == [2, 32, 16, 2]
            && version != "ff"
            && [version, trace, parent, flags].iter().all(|part| part.chars().all(is_hex))
            && [trace, parent].iter().all(|part| part.contains(|c| c != '0'));
        is_valid.then(|| Self(trace.into()))
    }
}

fn is_fit(id: &str) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The id of a request, as text.
pub fn of(req: &HttpRequest) -> String {
    req.extensions().get::<RequestId>().map(|id| id.0.to_string()).unwrap_or_default()
}

/// The outermost layer: puts [`RequestId`] and [`TraceId`] into the request's extensions and the
/// standing headers on every answer, also where a layer inside failed.
pub async fn identify<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let id = RequestId::of(req.headers());
    let trace = TraceId::of(req.headers());
    req.extensions_mut().insert(id.clone());
    if let Some(trace) = trace {
        req.extensions_mut().insert(trace);
    }
    match next.call(req).await {
        Ok(mut response) => {
            stamp(response.headers_mut(), &id);
            Ok(response)
        }
        Err(error) => {
            let mut response = error.error_response();
            stamp(response.headers_mut(), &id);
            Err(InternalError::from_response(error, response).into())
        }
    }
}

fn stamp(headers: &mut HeaderMap, id: &RequestId) {
    let value = HeaderValue::from_str(&id.0).expect("BUG: a request id is no header value");
    headers.insert(X_REQUEST_ID, value);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, read_body, try_call_service};
    use actix_web::{App, HttpRequest, HttpResponse, Responder, web};

    use super::*;

    async fn echo(req: HttpRequest) -> String {
        let extensions = req.extensions();
        let trace = extensions.get::<TraceId>().map_or("none", |trace| &trace.0);
        format!("{} {trace}", extensions.get::<RequestId>().unwrap().0)
    }

    async fn sent(headers: &[(HeaderName, &str)]) -> (String, String) {
        let app = App::new().wrap(from_fn(identify)).route("/", web::get().to(echo));
        let mut req = TestRequest::default();
        for header in headers {
            req = req.append_header((header.0.clone(), header.1));
        }
        let response = call_service(&init_service(app).await, req.to_request()).await;
        let id = response.headers().get(X_REQUEST_ID).unwrap().to_str().unwrap().to_owned();
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        let (seen, trace) = body.split_once(' ').unwrap();
        assert_eq!(seen, id);
        (id, trace.into())
    }

    #[actix_web::test]
    async fn a_fit_request_id_is_kept_and_given_back() {
        let longest = "x".repeat(128);
        for id in ["a", "Root=1-67891233-abcdef", "~!{}", &longest] {
            assert_eq!(sent(&[(X_REQUEST_ID, id)]).await.0, id);
        }
    }

    #[actix_web::test]
    async fn an_absent_or_unfit_request_id_is_replaced_by_a_uuid_v7() {
        let too_long = "x".repeat(129);
        let unfit = ["", "two words", "tab\tbed", "ünicode", &too_long];
        let unfit = unfit.iter().map(|id| vec![(X_REQUEST_ID, *id)]);
        for headers in unfit.chain([vec![]]) {
            let id: Uuid = sent(&headers).await.0.parse().unwrap();
            assert_eq!(id.get_version_num(), 7, "{headers:?}");
        }
    }

    #[actix_web::test]
    async fn the_trace_id_is_read_from_a_valid_traceparent_only() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let valid = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(sent(&[(TRACEPARENT, &valid)]).await.1, trace);
        let newer = format!("cc-{trace}-00f067aa0ba902b7-01-what-comes-later");
        assert_eq!(sent(&[(TRACEPARENT, &newer)]).await.1, trace);
        for invalid in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f35-00f067aa0ba902b7-01",
            "nonsense",
        ] {
            assert_eq!(sent(&[(TRACEPARENT, invalid)]).await.1, "none", "{invalid}");
        }
    }

    #[actix_web::test]
    async fn every_answer_is_protected_unless_the_handler_says_how_it_may_be_cached() {
        async fn cached() -> impl Responder {
            HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "max-age=60")).finish()
        }
        let app = App::new().wrap(from_fn(identify)).route("/docs", web::get().to(cached));
        let app = init_service(app).await;
        for (path, status, caching) in [("/docs", 200, "max-age=60"), ("/nowhere", 404, "no-store")]
        {
            let response = call_service(&app, TestRequest::with_uri(path).to_request()).await;
            assert_eq!(response.status().as_u16(), status);
            let headers = response.headers();
            assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), caching);
            assert_eq!(headers.get(header::X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
            assert!(headers.contains_key(X_REQUEST_ID));
        }
    }

    #[actix_web::test]
    async fn an_error_of_an_inner_layer_carries_the_headers_too() {
        async fn fail(
            _: ServiceRequest,
            _: Next<impl MessageBody>,
        ) -> Result<ServiceResponse, actix_web::Error> {
            Err(actix_web::error::ErrorServiceUnavailable("later"))
        }
        let app = init_service(App::new().wrap(from_fn(fail)).wrap(from_fn(identify))).await;
        let req = TestRequest::default().insert_header((X_REQUEST_ID, "quoted")).to_request();
        let response = try_call_service(&app, req).await.unwrap_err().error_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(X_REQUEST_ID).unwrap(), "quoted");
        assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
    }
}
