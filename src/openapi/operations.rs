//! What every operation says besides what its handler says: who may call it, which headers it
//! understands and sends, and every way in which it can fail.

use serde_json::{Map, Value, json};

use super::{map_at, shared, walk};

/// Completes what is asked of a caller and lists the failures, by the kind of operation.
pub fn finish(document: &mut Value) {
    for operation in walk::operations(document) {
        secure(operation.value);
        mind_media_types(operation.method, operation.value);
        one_tag_each(operation.value);
        describe(operation.value);
    }
    let versioned = versioned_schemas(document);
    let versioned_paths = versioned_paths(document, &versioned);
    for operation in walk::operations(document) {
        let mut kind = Kind::of(&operation, &versioned);
        kind.is_versioned |= versioned_paths.contains(&operation.path.to_string());
        accept_headers(&kind, operation.value);
        list_failures(&kind, operation.value);
        send_headers(&kind, &versioned, operation.value);
    }
}

/// What decides how an operation can fail and which headers it understands (R12, R18).
struct Kind {
    method: &'static str,
    public: bool,
    /// Needs a scope that allows more than looking.
    is_change: bool,
    has_body: bool,
    has_parameters: bool,
    has_path_parameters: bool,
    /// Answers a resource that carries its version, and so an `ETag`; or is at its path.
    is_versioned: bool,
    /// Makes or changes a resource by an outside key.
    is_keyed_upsert: bool,
}

impl Kind {
    fn of(operation: &walk::Operation<'_>, versioned: &[String]) -> Self {
        let value = &operation.value;
        let parameters = value["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let answers = value["responses"].as_object().into_iter().flatten();
        Self {
            method: operation.method,
            public: value["x-public"] == true,
            is_change: is_change(value),
            has_body: value["requestBody"].is_object(),
            has_parameters: !parameters.is_empty(),
            has_path_parameters: operation.path.contains('{'),
            is_keyed_upsert: operation.path.ends_with("{external_id}"),
            is_versioned: answers
                .filter(|(status, _)| is_success(status))
                .any(|(_, answer)| body_name(answer).is_some_and(|n| versioned.contains(&n))),
        }
    }

    fn writes(&self) -> bool {
        self.method != "get"
    }

    /// Whether a stored answer is replayed for the same `Idempotency-Key`: all that a workspace's
    /// credential can change. A search changes nothing, though it is a POST.
    fn is_repeatable(&self) -> bool {
        self.is_change && matches!(self.method, "post" | "patch" | "put")
    }

    /// Whether it can be tried without effect.
    fn is_dryable(&self) -> bool {
        self.is_change && self.writes()
    }

    /// Whether it changes the one resource, known by its version, that its path names.
    fn changes_one(&self) -> bool {
        let is_change = matches!(self.method, "patch" | "put" | "delete");
        is_change && (self.is_versioned || self.method == "patch")
    }

    /// Whether a caller who holds the present version is spared the body.
    fn is_conditional_read(&self) -> bool {
        self.method == "get" && self.is_versioned
    }

    /// The shared parameters it understands.
    fn headers(&self) -> impl Iterator<Item = &'static str> {
        let headers = [
            ("Idempotency-Key", self.is_repeatable()),
            ("If-Match", self.changes_one()),
            ("If-None-Match", self.is_conditional_read()),
            ("create_only", self.method == "put" && self.is_keyed_upsert),
            ("dry_run", self.is_dryable()),
        ];
        headers.into_iter().filter_map(|(name, understood)| understood.then_some(name))
    }

    /// The statuses it can answer besides success.
    fn failures(&self) -> Vec<u16> {
        let asks =
            self.has_parameters || self.has_body || self.is_dryable() || self.is_conditional_read();
        let kinds: [(bool, &[u16]); 8] = [
            (true, &[400, 429, 500, 503]),
            (!self.public, &[401, 403]),
            (self.has_path_parameters, &[404]),
            (self.has_body, &[408, 413, 415]),
            (self.writes(), &[409]),
            (self.changes_one(), &[412]),
            (asks, &[422]),
            (self.is_conditional_read(), &[304]),
        ];
        kinds.iter().filter(|(applies, _)| *applies).flat_map(|(_, s)| *s).copied().collect()
    }
}

fn is_change(operation: &Value) -> bool {
    let mut scopes = operation["x-required-scopes"].as_array().into_iter().flatten();
    scopes.any(|scope| {
        scope.as_str().is_some_and(|scope| scope.contains(':') && !scope.ends_with(":read"))
    })
}

/// Moves scopes to `x-required-scopes`, since a bearer scheme carries none; an operation that says
/// nothing needs a credential.
fn secure(operation: &mut Value) {
    let requirements = operation["security"].as_array().cloned();
    let public = requirements
        .as_ref()
        .is_some_and(|all| all.iter().all(|one| one.as_object().is_none_or(Map::is_empty)));
    if public {
        operation["security"] = json!([]);
        operation["x-public"] = json!(true);
        return;
    }
    let scopes = requirements.iter().flatten().filter_map(|one| one["bearer"].as_array()).flatten();
    operation["x-required-scopes"] = scopes.cloned().collect();
    operation["security"] = json!([{ "bearer": [] }]);
}

/// Merge patches say so (RFC 7396), and whatever is neither JSON, a form nor text is a file (R11).
fn mind_media_types(method: &str, operation: &mut Value) {
    if method == "patch"
        && let Some(content) = operation.pointer_mut("/requestBody/content")
        && let Some(body) = content.as_object_mut().and_then(|c| c.remove("application/json"))
    {
        content["application/merge-patch+json"] = body;
    }
    let Some(operation) = operation.as_object_mut() else { return };
    for (key, part) in operation {
        match key.as_str() {
            "requestBody" => binary_files(part),
            "responses" => {
                part.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(binary_files);
            }
            _ => {}
        }
    }
}

fn binary_files(holder: &mut Value) {
    let content = holder.get_mut("content").and_then(Value::as_object_mut);
    for (media_type, body) in content.into_iter().flatten() {
        let text = ["text/plain", "text/html", "application/x-www-form-urlencoded"];
        if !media_type.ends_with("json") && !text.contains(&media_type.as_str()) {
            body["schema"] = json!({ "type": "string", "format": "binary" });
        }
    }
}

/// A handler in a tagged scope names its tag twice.
fn one_tag_each(operation: &mut Value) {
    if let Some(tags) = operation.get_mut("tags").and_then(Value::as_array_mut) {
        tags.dedup();
    }
}

/// What a summary says all of needs no second text.
fn describe(operation: &mut Value) {
    if operation["description"].as_str().is_none_or(str::is_empty) {
        operation["description"] = operation["summary"].clone();
    }
}

/// Names of the component schemas that carry a `version`.
fn versioned_schemas(document: &Value) -> Vec<String> {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let versioned =
        schemas.filter(|(_, schema)| schema["properties"]["version"]["type"] == "integer");
    versioned.map(|(name, _)| name.clone()).collect()
}

/// Paths whose `GET` answers such a schema: a `DELETE` there has a version to match.
fn versioned_paths(document: &mut Value, versioned: &[String]) -> Vec<String> {
    let reads =
        walk::operations(document).into_iter().filter(|operation| operation.method == "get");
    let is_versioned = |operation: &walk::Operation<'_>| {
        body_name(&operation.value["responses"]["200"])
            .is_some_and(|name| versioned.contains(&name))
    };
    reads.filter(is_versioned).map(|operation| operation.path.to_string()).collect()
}

/// Adds the shared headers, and the meaning of the path parameter that every resource has.
fn accept_headers(kind: &Kind, operation: &mut Value) {
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    for parameter in &mut parameters {
        if parameter["name"] == "id" && parameter["description"].is_null() {
            parameter["description"] = json!("Id of the resource.");
        }
        // A list that is given has items; a word among them is not empty and has no comma, also
        // percent-encoded.
        if let Some(schema) = parameter.get_mut("schema").filter(|schema| schema["type"] == "array")
        {
            let fewest = schema["minItems"].as_u64().unwrap_or(1).max(1);
            schema["minItems"] = json!(fewest);
        }
        if let Some(items) = parameter.pointer_mut("/schema/items")
            && items["type"] == "string"
            && items.get("enum").is_none()
            && items.get("format").is_none()
        {
            items["minLength"] = json!(1);
            items["pattern"] = json!("^[^,]+$");
        }
    }
    parameters.extend(
        kind.headers().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })),
    );
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
}

/// Refers to the shared answer for every way to fail. A public operation may describe an error in
/// the shape of another standard, such as OAuth's.
fn list_failures(kind: &Kind, operation: &mut Value) {
    let responses = map_at(operation, "responses");
    let named = responses.keys().filter_map(|status| status.parse().ok());
    let mut failures: Vec<u16> = named.filter(|status| *status == 304 || *status >= 400).collect();
    failures.extend(kind.failures());
    for status in failures {
        let own = responses.get(&status.to_string()).is_some_and(|r| r["content"].is_object());
        if let Some(name) = shared::response_for(status).filter(|_| !(own && kind.public)) {
            let shared = json!({ "$ref": format!("#/components/responses/{name}") });
            responses.insert(status.to_string(), shared);
        }
    }
}

/// Names the headers of each success, by what it answers.
fn send_headers(kind: &Kind, versioned: &[String], operation: &mut Value) {
    for (status, answer) in map_at(operation, "responses") {
        if !is_success(status) {
            continue;
        }
        let body = body_name(answer).unwrap_or_default();
        let is_elsewhere = matches!(status.as_str(), "201" | "202") || status.starts_with('3');
        let sent = [
            ("X-Request-Id", true),
            ("RateLimit", true),
            ("RateLimit-Policy", true),
            ("ETag", versioned.contains(&body)),
            ("Location", is_elsewhere),
            ("Link", kind.method == "get" && body.ends_with("List")),
            ("Idempotent-Replayed", kind.is_repeatable()),
        ];
        let headers = map_at(answer, "headers");
        for (name, _) in sent.into_iter().filter(|(_, sent)| *sent) {
            let shared = json!({ "$ref": format!("#/components/headers/{name}") });
            headers.entry(name).or_insert(shared);
        }
    }
}

/// Gives each success the description the format demands: what its body is, or what its status
/// means (RFC 9110).
pub fn describe_answers(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    for operation in walk::operations(document) {
        for (status, answer) in map_at(operation.value, "responses") {
            let described = answer["description"].as_str().is_some_and(|text| !text.is_empty());
            if described || answer["$ref"].is_string() {
                continue;
            }
            let body = body_name(answer).and_then(|name| schemas[name]["description"].as_str());
            answer["description"] = json!(body.unwrap_or_else(|| reason(status)));
        }
    }
}

fn reason(status: &str) -> &'static str {
    let status = actix_web::http::StatusCode::from_bytes(status.as_bytes()).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Answer")
}

fn is_success(status: &str) -> bool {
    status.starts_with('2') || (status.starts_with('3') && status != "304")
}

/// The component schema that an answer holds.
fn body_name(answer: &Value) -> Option<String> {
    let mut bodies = answer["content"].as_object()?.values();
    let schema = bodies.next()?["schema"].as_object()?;
    walk::reference(schema).map(String::from)
}
