//! A call of every operation, filled with the examples of the document.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Answer, Client, document};

/// Characters that stand for themselves in a path.
const PLAIN: &str = "-._~";

/// An operation of the document.
pub struct Operation {
    /// In upper case.
    pub method: String,
    pub path: &'static str,
    pub value: &'static Value,
}

/// A request body as the document describes it.
pub struct Body {
    pub media_type: &'static str,
    pub schema: &'static Value,
    pub example: Value,
}

/// A request that can be sent.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub media_type: Option<&'static str>,
    pub body: Option<String>,
}

/// What is wrong, for all operations at once.
#[derive(Default)]
pub struct Faults(Vec<String>);

impl Faults {
    pub fn expect<T: PartialEq + std::fmt::Debug>(&mut self, place: &str, actual: T, expected: T) {
        if actual != expected {
            self.0.push(format!("{place}\n    is {actual:?}\n   not {expected:?}"));
        }
    }

    pub fn add(&mut self, fault: String) {
        self.0.push(fault);
    }

    #[track_caller]
    pub fn none(self) {
        let faults = self.0;
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }
}

/// The operations that a test has tried.
#[derive(Default)]
pub struct Coverage(BTreeSet<String>);

impl Coverage {
    pub fn saw(&mut self, operation: &Operation) {
        self.0.insert(operation.place());
    }

    /// Fails unless the operations of the document that were not tried are the listed ones, one a
    /// line.
    #[track_caller]
    pub fn leaves_out(self, listed: &str) {
        let listed = listed.lines().filter(|line| !line.starts_with('#')).map(String::from);
        let paths = document()["paths"].as_object().expect("paths").iter();
        let described = paths.flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path item").keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        let left_out = described.filter(|place| !self.0.contains(place)).collect::<BTreeSet<_>>();
        assert_eq!(left_out, listed.collect(), "tried are {} operations", self.0.len());
    }
}

/// Every operation, by path and method.
pub fn operations() -> Vec<Operation> {
    let paths = document()["paths"].as_object().expect("paths");
    let described = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path item").iter();
        methods.map(move |(method, value)| Operation { method: method.to_uppercase(), path, value })
    });
    described.collect()
}

/// Every operation that needs a credential.
pub fn closed() -> Vec<Operation> {
    operations().into_iter().filter(|operation| !operation.is_public()).collect()
}

/// Those that staff and programs use; the others are for a customer's own token.
pub fn secured() -> Vec<Operation> {
    closed().into_iter().filter(|operation| !operation.is_customers()).collect()
}

/// What a `$ref` leads to, or the value itself.
pub fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(target) => document().pointer(&target[1..]).expect("a target"),
        None => value,
    }
}

/// The one schema behind a reference or behind a choice between it and null.
pub fn plain(schema: &'static Value) -> &'static Value {
    let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    let chosen = choices.and_then(|all| all.iter().find(|one| one["type"] != "null"));
    resolve(chosen.unwrap_or(schema))
}

impl Operation {
    /// How a failure names it.
    pub fn place(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn id(&self) -> &'static str {
        self.value["operationId"].as_str().unwrap_or_default()
    }

    pub fn is_public(&self) -> bool {
        self.value["x-public"] == true
    }

    /// Reads, and changes nothing.
    pub fn is_question(&self) -> bool {
        let asks = ["search_", "query_"].iter().any(|verb| self.id().starts_with(verb));
        self.method == "GET" || asks
    }

    /// For the operator of the installation, not for a workspace.
    pub fn is_operators(&self) -> bool {
        self.scopes() == ["operator"]
    }

    /// For customers themselves.
    pub fn is_customers(&self) -> bool {
        self.scopes().iter().any(|scope| scope.starts_with("me:"))
    }

    pub fn scopes(&self) -> Vec<&'static str> {
        let scopes = self.value["x-required-scopes"].as_array().into_iter().flatten();
        scopes.filter_map(Value::as_str).collect()
    }

    /// Its parameters in the path or the query, those of the path in their order.
    pub fn parameters(&self, place: &str) -> Vec<&'static Value> {
        let all = self.value["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut found: Vec<_> = all.iter().map(resolve).filter(|p| p["in"] == place).collect();
        found.sort_by_key(|p| self.path.find(&format!("{{{}}}", name(p))));
        found
    }

    /// Names of the path parameters that are ids.
    pub fn ids(&self) -> Vec<&'static str> {
        let all = self.parameters("path").into_iter();
        all.filter(|parameter| parameter["schema"]["format"] == "uuid").map(name).collect()
    }

    /// The resource that an id in the path belongs to: `customers` for `/customers/{id}` as for
    /// `{customer_id}`.
    pub fn resource(&self, parameter: &str) -> String {
        if parameter == "id" {
            let before = self.path.split("/{id}").next().unwrap_or_default();
            return before.rsplit('/').next().unwrap_or_default().to_owned();
        }
        let noun = parameter.trim_end_matches("_id");
        noun.strip_suffix('y').map_or_else(|| format!("{noun}s"), |stem| format!("{stem}ies"))
    }

    pub fn body(&self) -> Option<Body> {
        let content = self.value["requestBody"]["content"].as_object()?;
        let (media_type, body) = content.iter().next()?;
        let example = body["example"].clone();
        Some(Body { media_type, schema: resolve(&body["schema"]), example })
    }

    /// The same for JSON bodies only.
    pub fn json_body(&self) -> Option<Body> {
        self.body().filter(|body| body.media_type.ends_with("json"))
    }

    /// A request with the examples of the document and these ids in the path.
    pub fn call(&self, id_of: impl Fn(&str) -> String) -> Call {
        let mut path = self.path.to_owned();
        for parameter in self.parameters("path") {
            let is_id = parameter["schema"]["format"] == "uuid";
            let value = if is_id { id_of(name(parameter)) } else { sample(parameter) };
            path = path.replace(&format!("{{{}}}", name(parameter)), &escape(&value));
        }
        let required = self.parameters("query").into_iter().filter(|p| p["required"] == true);
        let query: Vec<String> =
            required.map(|p| format!("{}={}", name(p), escape(&sample(p)))).collect();
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let body = self.body();
        Call {
            method: self.method.clone(),
            path,
            media_type: body.as_ref().map(|body| body.media_type),
            body: body.map(|body| written(body.media_type, &body.example)),
        }
    }
}

impl Call {
    /// Sends it and holds the answer against the document.
    pub fn send(&self, client: &Client) -> Answer {
        self.send_with(client, &[])
    }

    pub fn send_with(&self, client: &Client, headers: &[(&str, &str)]) -> Answer {
        let kind = self.media_type.map(|media_type| ("Content-Type", media_type));
        let headers: Vec<_> = kind.into_iter().chain(headers.iter().copied()).collect();
        client.send(&self.method, &self.path, &headers, self.body.as_deref())
    }

    /// The same with one more query parameter.
    pub fn asking(mut self, query: &str) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{separator}{query}", self.path);
        self
    }

    /// The same with another JSON body.
    pub fn saying(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }
}

pub fn name(parameter: &'static Value) -> &'static str {
    parameter["name"].as_str().expect("a name")
}

/// A value that a parameter takes.
fn sample(parameter: &'static Value) -> String {
    let schema = plain(&parameter["schema"]);
    let given = [&parameter["example"], &schema["example"], &schema["enum"][0]];
    match given.into_iter().find(|value| !value.is_null()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "guard".into(),
    }
}

/// Percent-encodes everything that could mean something in a URL.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || PLAIN.contains(c) {
            escaped.push(c);
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn written(media_type: &str, example: &Value) -> String {
    if media_type.ends_with("json") {
        return example.to_string();
    }
    if let Some(text) = example.as_str() {
        return text.to_owned();
    }
    let fields = example.as_object().into_iter().flatten();
    let pairs = fields.map(|(key, value)| {
        format!("{}={}", escape(key), escape(value.as_str().unwrap_or(&value.to_string())))
    });
    pairs.collect::<Vec<_>>().join("&")
}
