//! A caller that keeps what it was answered, when, and whether it was answered at all.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const CUSTOMERS: &str = "/v1/customers";
pub const TOUCHPOINTS: &str = "/v1/touchpoints";

#[derive(Clone)]
pub struct Client {
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub json: Value,
    pub headers: HashMap<String, String>,
    /// From the first byte of the request to the last of the answer.
    pub waited: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nobody listens.
    Refused,
    /// The connection ended, or nothing came.
    Cut(String),
}

pub type Outcome = Result<Answer, NoAnswer>;

impl Client {
    pub fn new(base: &str, token: Option<&str>) -> Self {
        let token = token.map(str::to_owned);
        Self { base: base.to_owned(), token, agent: agent(Duration::from_secs(30), 8) }
    }

    /// The same caller with a connection of its own for every request.
    pub fn without_keep_alive(&self) -> Self {
        Self { agent: agent(Duration::from_secs(30), 0), ..self.clone() }
    }

    /// The same caller, who hangs up after so long.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { agent: agent(patience, 0), ..self.clone() }
    }

    pub fn without_credential(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error:?}"))
    }

    pub fn try_get(&self, path: &str) -> Outcome {
        self.send("GET", path, None, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let done = self.send("POST", path, None, Some(body));
        done.unwrap_or_else(|error| panic!("POST {path}: {error:?}"))
    }

    /// A write that may be sent again: its key makes sure that it happens once.
    pub fn write(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let done = self.send(method, path, Some(key), Some(body));
        done.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    pub fn send(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Outcome {
        let started = Instant::now();
        let request = self.request(method, path, key);
        let sent = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string()).expect("a request"))
            }
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut response = sent.map_err(no_answer)?;
        let text = response.body_mut().read_to_string().map_err(no_answer)?;
        Ok(Answer {
            status: response.status().as_u16(),
            json: serde_json::from_str(&text).unwrap_or_default(),
            headers: response.headers().iter().map(header).collect(),
            waited: started.elapsed(),
        })
    }

    /// The lines of an answer, as they come: of a stream, from behind `last` on.
    pub fn lines(
        &self,
        path: &str,
        last: Option<&str>,
    ) -> Result<(u16, impl BufRead + use<>), NoAnswer> {
        let mut request = self.request("GET", path, None);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = self.agent.run(request.body(()).expect("a request")).map_err(no_answer)?;
        let (head, body) = response.into_parts();
        Ok((head.status.as_u16(), BufReader::new(body.into_reader())))
    }

    fn request(&self, method: &str, path: &str, key: Option<&str>) -> ureq::http::request::Builder {
        let request = ureq::http::Request::builder();
        let mut request = request.method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request
    }
}

fn header((name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)) -> (String, String) {
    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn agent(patience: Duration, kept_alive: usize) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_connections(kept_alive)
        .max_idle_connections_per_host(kept_alive)
        .timeout_global(Some(patience));
    config.build().into()
}

fn no_answer(error: ureq::Error) -> NoAnswer {
    match error {
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            NoAnswer::Refused
        }
        ureq::Error::ConnectionFailed => NoAnswer::Refused,
        other => NoAnswer::Cut(other.to_string()),
    }
}

impl Answer {
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    pub fn id(&self) -> &str {
        self.json["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}"))
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the answer is the stored one of an earlier request with the same key.
    pub fn is_replay(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The documented answer of a service that cannot answer now: with a code, and when to ask again.
    #[track_caller]
    pub fn expect_503(&self, code: &str) {
        assert_eq!((self.status, self.code()), (503, code), "{self:?}");
        assert_eq!(self.headers["retry-after"], "1", "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
    }
}
