//! Answers: a handler says *what* it found or made, this module says it in HTTP.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::error::{Error, Problem, Result};

/// A finished answer, as it is sent and as the idempotency store keeps it.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    /// `ETag`, `Location`, `Link` and the like.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Of a list that goes on: becomes the `Link` to the next page (RFC 8288).
    pub next_cursor: Option<String>,
}

/// Anything a handler's work may return.
pub trait IntoReply {
    fn into_reply(self) -> Result<Reply>;
}

/// A resource with a version and a place: gives answers their `ETag` and `Location`.
pub trait Versioned: Serialize {
    /// Path of the collection, such as `/v1/customers`.
    const COLLECTION: &'static str;
    fn id(&self) -> Uuid;
    fn version(&self) -> i64;
}

/// 200 with a resource.
pub struct Found<T>(pub T);
/// 201 with a new resource.
pub struct Created<T>(pub T);
/// 204.
pub struct NoContent;
/// 201 or 200, as the upsert made or changed the resource.
pub struct Upserted<T> {
    pub resource: T,
    pub is_new: bool,
}
/// 200 with something that has no version: lists, statistics, look-ups.
pub struct Plain<T>(pub T);

impl Reply {
    pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Error::internal(format!("answer is not JSON: {error}")))?;
        let (status, headers) = (status.as_u16(), vec![]);
        Ok(Self { status, content_type: "application/json", headers, body, next_cursor: None })
    }

    /// Puts a secret into the answer that made it and is not among what is kept for replays, which
    /// stay as they are, like refusals.
    pub fn showing(
        mut self,
        field: &str,
        secret: impl FnOnce(&Value) -> Result<String>,
    ) -> Result<Self> {
        if self.header("Idempotent-Replayed").is_some() || self.status >= 300 {
            return Ok(self);
        }
        let broken = |error: serde_json::Error| Error::internal(error.to_string());
        let mut body: Value = serde_json::from_slice(&self.body).map_err(broken)?;
        body[field] = secret(&body)?.into();
        self.body = serde_json::to_vec(&body).map_err(broken)?;
        Ok(self)
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, content_type: "", headers: vec![], body: vec![], next_cursor: None }
    }

    pub fn with(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }

    /// A refusal in the form in which it is stored for replay.
    pub fn problem(error: &Error, instance: &str, request_id: &str) -> Result<Self> {
        let rejection = error.rejection();
        let problem: Problem = rejection.problem(Some(instance), Some(request_id));
        let mut reply = Self::json(rejection.status_code(), &problem)?;
        reply.content_type = PROBLEM_JSON;
        Ok(reply)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.headers.iter();
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the caller holds this very version already (RFC 9110, 13.1.2).
    fn is_known_to(&self, req: &HttpRequest) -> bool {
        let is_read = matches!(*req.method(), Method::GET | Method::HEAD);
        let asked = req.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        match (is_read, self.header("ETag"), asked) {
            (true, Some(tag), Some(asked)) => asked
                .split(',')
                .map(|item| item.trim().trim_start_matches("W/"))
                .any(|item| item == "*" || item == tag),
            _ => false,
        }
    }
}

/// A page that loads nothing, runs nothing and tells nobody its address.
pub fn page(title: &str, content: &str) -> Reply {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title></head>\
         <body>{content}</body></html>\n"
    );
    let policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let mut reply = Reply::empty(200);
    (reply.content_type, reply.body) = ("text/html; charset=utf-8", text.into_bytes());
    reply
        .with("Content-Security-Policy", policy.into())
        .with("Referrer-Policy", "no-referrer".into())
}

pub const PROBLEM_JSON: &str = "application/problem+json";

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, req: &HttpRequest) -> HttpResponse<BoxBody> {
        let is_known = self.status == 200 && self.is_known_to(req);
        let status = StatusCode::from_u16(if is_known { 304 } else { self.status });
        let mut response = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if let Some(link) = self.next_cursor.as_deref().and_then(|cursor| next_page(req, cursor)) {
            response.insert_header((header::LINK, link));
        }
        for (name, value) in self.headers {
            response.insert_header((name, value));
        }
        if is_known || self.body.is_empty() {
            return response.finish();
        }
        response.content_type(self.content_type).body(self.body)
    }
}

/// The next page of a `GET` list: the same request with another cursor, at the public address.
fn next_page(req: &HttpRequest, cursor: &str) -> Option<String> {
    if *req.method() != Method::GET {
        return None;
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(req.query_string().as_bytes()) {
        if name != "cursor" {
            query.append_pair(&name, &value);
        }
    }
    let query = query.append_pair("cursor", cursor).finish();
    let base = &crate::app::App::of(req).config.public_url;
    Some(format!("<{base}{}?{query}>; rel=\"next\"", req.path()))
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply> {
        Ok(self)
    }
}

fn single<T: Versioned>(status: StatusCode, value: &T) -> Result<Reply> {
    Ok(Reply::json(status, value)?.with("ETag", format!("\"{}\"", value.version())))
}

impl<T: Versioned> IntoReply for Found<T> {
    fn into_reply(self) -> Result<Reply> {
        single(StatusCode::OK, &self.0)
    }
}

impl<T: Versioned> IntoReply for Created<T> {
    fn into_reply(self) -> Result<Reply> {
        let location = format!("{}/{}", T::COLLECTION, self.0.id());
        Ok(single(StatusCode::CREATED, &self.0)?.with("Location", location))
    }
}

impl<T: Versioned> IntoReply for Upserted<T> {
    fn into_reply(self) -> Result<Reply> {
        match self.is_new {
            true => Created(self.resource).into_reply(),
            false => Found(self.resource).into_reply(),
        }
    }
}

impl IntoReply for NoContent {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::empty(204))
    }
}

impl<T: Serialize> IntoReply for Plain<T> {
    fn into_reply(self) -> Result<Reply> {
        Reply::json(StatusCode::OK, &self.0)
    }
}
