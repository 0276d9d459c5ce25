//! Which paths exist, which methods each knows and which query parameters each understands: read
//! from the published document, so that the service and its description cannot disagree.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::walk::METHODS;

/// The media type of server-sent events (WHATWG HTML, 9.2).
pub const EVENT_STREAM: &str = "text/event-stream";

/// The paths of a finished document, ready to be asked on every request.
#[derive(Debug, Default)]
pub struct Routes {
    root: Segment,
    /// Path pattern, then method in upper case, to its query parameters.
    query_parameters: HashMap<String, HashMap<String, QueryParameters>>,
    /// Path pattern to the methods, in upper case, that need a workspace's credential.
    secured: HashMap<String, HashSet<String>>,
}

/// Query parameters by name.
pub type QueryParameters = HashMap<String, QueryParameter>;

/// What the document says about a query parameter.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct QueryParameter {
    /// Characters that it takes at most.
    pub max_length: Option<usize>,
    /// Whether it is a number, a word of a list or an id, of which none is empty.
    pub needs_value: bool,
}

/// One step of a path: the literal steps that may follow it, and the parameter that may.
#[derive(Debug, Default)]
struct Segment {
    literals: HashMap<String, Segment>,
    parameter: Option<Box<Segment>>,
    /// Value of the `Allow` header, where a path ends here.
    allow: Option<String>,
    takes_write_keys: bool,
    is_stream: bool,
}

impl Routes {
    /// Reads the paths of a document that [`finish`](super::finish) made.
    pub fn of(document: &Value) -> Self {
        let mut routes = Self::default();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let end = routes.root.grow(path);
            end.allow = Some(allow(item));
            let content = &item["get"]["responses"]["200"]["content"];
            end.is_stream = content[EVENT_STREAM].is_object();
            end.takes_write_keys = METHODS.iter().any(|m| item[*m]["x-write-keys"] == true);
            let methods = METHODS
                .iter()
                .filter(|method| item[**method].is_object() && is_ours(&item[**method]));
            let needs_credential = |method: &&&str| {
                let operation = &item[**method];
                let scopes = operation["x-required-scopes"].as_array();
                scopes.is_some_and(|scopes| !scopes.contains(&json!("operator")))
            };
            let secured =
                METHODS.iter().filter(needs_credential).map(|method| method.to_uppercase());
            routes.secured.insert(path.clone(), secured.collect());
            let shared = &document["components"]["parameters"];
            let parameters =
                methods.map(|method| (method.to_uppercase(), in_query(&item[*method], shared)));
            routes.query_parameters.insert(path.clone(), parameters.collect());
        }
        routes
    }

    /// The value of the `Allow` header for a request path, such as
    /// `GET, HEAD, PATCH, DELETE, OPTIONS`; `None` where there is no such path.
    pub fn methods(&self, path: &str) -> Option<&str> {
        let segments: Vec<&str> = split(path).collect();
        self.root.find(&segments)?.allow.as_deref()
    }

    /// Whether a request path is there for public keys in web pages and apps: such a key may stand
    /// where tracking libraries put it, and pages of every origin may read the answer.
    pub fn takes_write_keys(&self, path: &str) -> bool {
        let segments: Vec<&str> = split(path).collect();
        self.root.find(&segments).is_some_and(|end| end.takes_write_keys)
    }

    /// Whether what stands at a request path is read as a stream of events.
    pub fn is_stream(&self, path: &str) -> bool {
        let segments: Vec<&str> = split(path).collect();
        self.root.find(&segments).is_some_and(|end| end.is_stream)
    }

    /// Whether an operation needs a workspace's credential; the operator's token is another matter.
    pub fn is_secured(&self, method: &str, pattern: &str) -> bool {
        self.secured.get(pattern).is_some_and(|methods| methods.contains(method))
    }

    /// The query parameters of an operation, by the pattern of its path (`/v1/customers/{id}`);
    /// `None` where there is no such operation. HEAD understands what GET does.
    pub fn query_parameters(&self, method: &str, pattern: &str) -> Option<&QueryParameters> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.query_parameters.get(pattern)?.get(method)
    }
}

impl Segment {
    /// The segment that a path pattern ends in, made where it is missing.
    fn grow(&mut self, pattern: &str) -> &mut Self {
        let mut here = self;
        for step in split(pattern) {
            here = if step.starts_with('{') {
                here.parameter.get_or_insert_default()
            } else {
                here.literals.entry(step.into()).or_default()
            };
        }
        here
    }

    /// The segment that a request path ends in; a literal step wins over a parameter.
    fn find(&self, path: &[&str]) -> Option<&Self> {
        let Some((step, rest)) = path.split_first() else {
            return self.allow.is_some().then_some(self);
        };
        let literal = self.literals.get(*step).and_then(|segment| segment.find(rest));
        let parameter = || self.parameter.as_ref().filter(|_| !step.is_empty());
        literal.or_else(|| parameter()?.find(rest))
    }
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn allow(item: &Value) -> String {
    let mut methods = Vec::new();
    for method in METHODS.iter().filter(|method| item[**method].is_object()) {
        methods.push(method.to_uppercase());
        if *method == "get" {
            methods.push("HEAD".into());
        }
    }
    methods.push("OPTIONS".into());
    methods.join(", ")
}

/// Whether an operation refuses in our words: those of other standards ignore what they do not know.
fn is_ours(operation: &Value) -> bool {
    operation["x-public"] != true || operation["responses"]["400"]["$ref"].is_string()
}

fn in_query(operation: &Value, shared: &Value) -> QueryParameters {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters = parameters.map(|parameter| match parameter["$ref"].as_str() {
        Some(target) => &shared[target.rsplit('/').next().unwrap_or_default()],
        None => parameter,
    });
    let query = parameters.filter(|parameter| parameter["in"] == "query");
    let named =
        |it: &Value| Some((it["name"].as_str()?.to_owned(), QueryParameter::of(&it["schema"])));
    query.filter_map(named).collect()
}

impl QueryParameter {
    fn of(schema: &Value) -> Self {
        let most = schema["maxLength"].as_u64();
        let is_text = schema["type"] == "string" || schema["type"] == json!(["string", "null"]);
        let is_free = is_text && schema["format"].is_null() && schema["enum"].is_null();
        Self { max_length: most.and_then(|most| usize::try_from(most).ok()), needs_value: !is_free }
    }
}
