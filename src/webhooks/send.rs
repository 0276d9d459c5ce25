//! One message to one address, and what came back.

use std::io::Read;
use std::time::Instant;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Map, Value, json};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, Error};
use uuid::Uuid;

use super::schedule;
use super::sign::Signer;
use crate::outbound::{self, is_private};

/// Bytes that are read of an answer, and how many of them are kept.
const READ_BYTES: u64 = 64 * 1024;
const KEPT_BYTES: usize = 1024;
/// How much is kept of an answer's head.
const KEPT_HEADERS: usize = 40;
const KEPT_CHARS: usize = 300;

/// What is sent.
pub struct Message {
    pub url: String,
    /// The id of the event: the same however often it is sent, and wherever.
    pub id: Uuid,
    pub body: Vec<u8>,
    pub signer: Signer,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub at: DateTime<Utc>,
    pub latency_ms: i32,
    pub status_code: Option<i32>,
    /// Why there was no answer.
    pub error: Option<&'static str>,
    pub request_headers: Value,
    pub response_headers: Value,
    /// How it begins.
    pub body: Option<String>,
    /// When the endpoint wants to be asked again, where it refused.
    pub retry_after: Option<DateTime<Utc>>,
}

impl Answer {
    /// Only 2xx is: where a redirect leads nobody has checked.
    pub fn is_success(&self) -> bool {
        self.status_code.is_some_and(|code| (200..300).contains(&code))
    }

    /// The endpoint says that it is no more.
    pub fn is_gone(&self) -> bool {
        self.status_code == Some(410)
    }
}

impl Message {
    /// Sends it and waits for the answer, for as long as the agent does.
    pub fn send(&self, agent: &Agent) -> Answer {
        let at = Utc::now().trunc_subsecs(6);
        let (id, timestamp) = (self.id.to_string(), at.timestamp());
        let signature = self.signer.sign(&id, timestamp, &self.body);
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
        ];
        let begun = Instant::now();
        let answered = self.post(agent, &headers);
        let latency_ms = i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX);
        let request_headers: Map<String, Value> =
            headers.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let request_headers = Value::Object(request_headers);
        let nothing = Answer {
            at,
            latency_ms,
            status_code: None,
            error: None,
            request_headers,
            response_headers: json!({}),
            body: None,
            retry_after: None,
        };
        match answered {
            Ok((head, body)) => nothing.with(&head, body),
            Err(error) => Answer { error: Some(name(&error)), ..nothing },
        }
    }

    fn post(
        &self,
        agent: &Agent,
        headers: &[(&str, String)],
    ) -> Result<(Response<()>, Vec<u8>), Error> {
        // Written as the guard's own check reads it: `0x7f.1` is no name to look up.
        let url = url::Url::parse(&self.url).map_err(|error| Error::BadUri(error.to_string()))?;
        let mut request = agent.post(url.as_str());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let (head, body) = request.send(&self.body)?.into_parts();
        Ok((Response::from_parts(head, ()), beginning(body)))
    }
}

/// How a body begins. The head has decided already, so what cannot be read of it is left.
fn beginning(mut body: Body) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 8192]);
    let mut rest = body.as_reader().take(READ_BYTES);
    while let Ok(read @ 1..) = rest.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..read.min(KEPT_BYTES - kept.len())]);
    }
    kept
}

impl Answer {
    fn with(self, head: &Response<()>, body: Vec<u8>) -> Self {
        let code = head.status().as_u16();
        let wait = head.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let wait = wait.filter(|_| !head.status().is_success());
        Self {
            status_code: Some(code.into()),
            response_headers: shown(head.headers()),
            body: (!body.is_empty()).then(|| text(&body)),
            retry_after: wait.and_then(|wait| schedule::retry_after(wait, self.at)),
            ..self
        }
    }
}

fn shown(headers: &HeaderMap) -> Value {
    let shown = headers.iter().take(KEPT_HEADERS).map(|(name, value)| {
        let value: String = text(value.as_bytes()).chars().take(KEPT_CHARS).collect();
        (name.as_str().chars().take(KEPT_CHARS).collect(), Value::String(value))
    });
    Value::Object(shown.collect())
}

/// Bytes as text that the database can hold.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// A short word for why there was no answer.
fn name(error: &Error) -> &'static str {
    match error {
        error if is_private(error) => outbound::PRIVATE_ADDRESS,
        Error::Timeout(_) => "timeout",
        Error::HostNotFound => "host_not_found",
        Error::Tls(_) | Error::Rustls(_) => "tls_failed",
        Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => "tls_failed",
        Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection_refused"
        }
        Error::Protocol(_) | Error::Http(_) | Error::BodyStalled => "invalid_answer",
        _ => "connection_failed",
    }
}
