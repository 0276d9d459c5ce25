//! The rules about operations: names, parameters, bodies, statuses and credentials.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::walk::{
    Operation, body_name, components, entries, is_nullable, is_success, list, operations,
    reference, resolve,
};

/// The places among `(place, holds)` where something does not hold.
fn broken(checks: impl IntoIterator<Item = (String, bool)>) -> Vec<String> {
    checks.into_iter().filter(|(_, holds)| !holds).map(|(place, _)| place).collect()
}

/// Whether a name is `snake_case`.
fn is_snake(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain)
        && !name.contains("__")
        && !name.ends_with('_')
}

/// Explicit, unique operation ids of the form `verb_noun`.
pub fn r1(document: &Value) -> Vec<String> {
    let mut seen = BTreeSet::new();
    broken(operations(document).map(|operation| {
        let id = operation.value["operationId"].as_str().unwrap_or_default();
        let holds = is_snake(id) && id.contains('_') && seen.insert(id.to_owned());
        (format!("{}: operationId `{id}` is not a unique verb_noun", operation.place()), holds)
    }))
}

/// Exactly one tag per operation, and every tag described.
pub fn r2(document: &Value) -> Vec<String> {
    let described: BTreeSet<&str> = list(&document["tags"])
        .filter(|tag| tag["description"].as_str().is_some_and(|text| !text.is_empty()))
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    broken(operations(document).map(|operation| {
        let tags: Vec<&str> = list(&operation.value["tags"]).filter_map(Value::as_str).collect();
        let holds = matches!(tags.as_slice(), [tag] if described.contains(tag));
        (format!("{}: needs exactly one described tag, has {tags:?}", operation.place()), holds)
    }))
}

/// Plain parameter names: `snake_case` in paths and queries, the usual form in headers. A path's
/// parameters are all described, and nothing in a URL or header is null.
pub fn r9(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for operation in operations(document) {
        let parameters = operation.parameters(document);
        for parameter in &parameters {
            let name = parameter["name"].as_str().unwrap_or_default();
            let in_header = parameter["in"] == "header";
            if !(if in_header { is_usual_header(name) } else { is_snake(name) }) {
                found.push(format!("{}: parameter name `{name}`", operation.place()));
            }
            if is_nullable(&parameter["schema"]) {
                found.push(format!("{}: parameter `{name}` is nullable", operation.place()));
            }
        }
        let steps = operation.path.split('/').filter_map(|step| step.strip_prefix('{'));
        for name in steps.map(|step| step.trim_end_matches('}')) {
            if !parameters.iter().any(|p| p["in"] == "path" && p["name"] == name) {
                found.push(format!("{}: `{name}` is no path parameter", operation.place()));
            }
        }
    }
    found
}

fn is_usual_header(name: &str) -> bool {
    name.split('-').all(|word| {
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// One media type per request body and per success answer.
pub fn r10(document: &Value) -> Vec<String> {
    broken(operations(document).flat_map(|operation| {
        let body = ("body", &operation.value["requestBody"]);
        let successes = operation.successes().map(|(status, answer)| (status.as_str(), answer));
        let holders = std::iter::once(body).chain(successes);
        let checks = holders.map(|(place, holder)| {
            let count = entries(&holder["content"]).count();
            let missing = place == "body" && holder.is_object() && count == 0;
            (format!("{} {place}: {count} media types", operation.place()), count < 2 && !missing)
        });
        checks.collect::<Vec<_>>()
    }))
}

/// Bodies that are neither JSON, a form nor text are files: `string` and `binary`. Merge patches
/// carry their own media type.
pub fn r11(document: &Value) -> Vec<String> {
    let text = ["text/plain", "text/html", "application/x-www-form-urlencoded"];
    let file = json!({ "type": "string", "format": "binary" });
    let mut found = Vec::new();
    for operation in operations(document) {
        let body = &operation.value["requestBody"];
        let answers = operation.responses().map(|(_, answer)| resolve(document, answer));
        for (media, content) in answers.chain([body]).flat_map(|h| entries(&h["content"])) {
            let is_file = !media.ends_with("json") && !text.contains(&media.as_str());
            if is_file != (content["schema"] == file) {
                found.push(format!("{}: {media} with another schema", operation.place()));
            }
        }
        let media = entries(&body["content"]).map(|(media, _)| media.as_str());
        let merges = media.into_iter().any(|media| media == "application/merge-patch+json");
        if body.is_object() && merges != (operation.method == "patch") {
            found.push(format!("{}: merge-patch belongs to PATCH alone", operation.place()));
        }
    }
    found
}

/// The shared answer of each status.
const SHARED: [(&str, &str); 16] = [
    ("304", "NotModified"),
    ("400", "BadRequest"),
    ("401", "Unauthorized"),
    ("403", "Forbidden"),
    ("404", "NotFound"),
    ("405", "MethodNotAllowed"),
    ("408", "RequestTimeout"),
    ("409", "Conflict"),
    ("410", "Gone"),
    ("412", "PreconditionFailed"),
    ("413", "PayloadTooLarge"),
    ("415", "UnsupportedMediaType"),
    ("422", "ValidationFailed"),
    ("429", "TooManyRequests"),
    ("500", "InternalError"),
    ("503", "Unavailable"),
];

/// Errors only through shared answers that hold a problem. A public operation may also speak
/// another standard's error (OAuth's), with a schema of its own.
pub fn r12(document: &Value) -> Vec<String> {
    let shared: BTreeMap<_, _> = SHARED.into_iter().collect();
    let mut found = Vec::new();
    for operation in operations(document) {
        for (status, answer) in operation.responses().filter(|(status, _)| !is_success(status)) {
            let name = shared.get(status.as_str()).copied().unwrap_or_default();
            let refers = answer["$ref"] == format!("#/components/responses/{name}");
            let own = operation.is_public() && body_name(answer).is_some();
            if !refers && !own {
                found.push(format!("{}: {status} is not the shared answer", operation.place()));
            }
        }
    }
    found.extend(SHARED.into_iter().filter_map(|(status, name)| {
        let answer = &document["components"]["responses"][name];
        (!is_sound(status, answer)).then(|| format!("components.responses.{name} is not sound"))
    }));
    found
}

/// Whether a shared answer is described, holds a problem and says when to try again.
fn is_sound(status: &str, answer: &Value) -> bool {
    let content = &answer["content"];
    let problem = &content["application/problem+json"];
    let holds_problem = entries(content).count() == 1
        && reference(&problem["schema"]) == Some("Problem")
        && problem["example"]["status"].as_u64() == status.parse().ok();
    let patient = !["429", "503"].contains(&status) || answer["headers"]["Retry-After"].is_object();
    let bodiless = status == "304" && content.is_null();
    answer["description"].is_string() && patient && (bodiless || holds_problem)
}

/// One success status; a PUT that creates or updates has two, with the same body.
pub fn r13(document: &Value) -> Vec<String> {
    broken(operations(document).map(|operation| {
        let successes: Vec<_> = operation.successes().collect();
        let holds = match successes.as_slice() {
            [_] => true,
            [(first, ok), (second, created)] => {
                operation.method == "put"
                    && [first.as_str(), second.as_str()] == ["200", "201"]
                    && body_name(ok) == body_name(created)
            }
            _ => false,
        };
        (format!("{}: {} success statuses", operation.place(), successes.len()), holds)
    }))
}

/// One scheme, bearer; public operations say that they are.
pub fn r14(document: &Value) -> Vec<String> {
    let bearer = json!([{ "bearer": [] }]);
    let schemes = &document["components"]["securitySchemes"];
    let only = entries(schemes).count() == 1
        && schemes["bearer"]["type"] == "http"
        && schemes["bearer"]["scheme"] == "bearer"
        && schemes["bearer"]["description"].is_string();
    let general = [
        ("components.securitySchemes: bearer alone".to_owned(), only),
        ("security: bearer for all".to_owned(), document["security"] == bearer),
    ];
    let each = operations(document).map(|operation| {
        let (security, scopes) =
            (&operation.value["security"], &operation.value["x-required-scopes"]);
        let holds = if operation.is_public() {
            *security == json!([]) && scopes.is_null()
        } else {
            *security == bearer && list(scopes).all(Value::is_string) && scopes.is_array()
        };
        (format!("{}: security", operation.place()), holds)
    });
    broken(general.into_iter().chain(each))
}

/// Every status that can come is described, and so is every header that comes with success.
pub fn r18(document: &Value) -> Vec<String> {
    broken(operations(document).flat_map(|operation| {
        let statuses: BTreeSet<_> =
            operation.responses().map(|(status, _)| status.clone()).collect();
        let missing = expected_failures(document, &operation);
        let status_checks = missing.into_iter().map(|status| {
            let holds = statuses.contains(&status.to_string());
            (format!("{}: {status} can come", operation.place()), holds)
        });
        let header_checks = expected_headers(document, &operation).into_iter().map(|name| {
            let holds = operation.successes().any(|(_, a)| a["headers"][name].is_object());
            (format!("{}: header {name} is sent", operation.place()), holds)
        });
        let parameter_checks = expected_parameters(document, &operation).into_iter().map(|name| {
            let parameters = operation.parameters(document);
            let holds = parameters.iter().any(|p| p["name"] == name && p["required"] != true);
            (format!("{}: header {name} is understood", operation.place()), holds)
        });
        status_checks.chain(header_checks).chain(parameter_checks).collect::<Vec<_>>()
    }))
}

fn is_versioned(document: &Value, operation: &Operation<'_>) -> bool {
    let answer =
        operation.answer_name().and_then(|name| components(document).find(|c| c.0 == name));
    answer.is_some_and(|(_, schema)| schema["properties"]["version"]["type"] == "integer")
}

fn expected_failures(document: &Value, operation: &Operation<'_>) -> Vec<u16> {
    let mut expected = vec![400, 429, 500, 503];
    let mut when = |applies: bool, statuses: &[u16]| {
        if applies {
            expected.extend(statuses);
        }
    };
    let has_path_parameter = operation.path.contains('{');
    when(!operation.is_public(), &[401, 403]);
    when(has_path_parameter, &[404]);
    when(operation.value["requestBody"].is_object(), &[408, 413, 415, 422]);
    when(!operation.parameters(document).is_empty(), &[422]);
    when(operation.method != "get", &[409]);
    when(changes_one(document, operation), &[412]);
    when(operation.method == "get" && is_versioned(document, operation), &[304]);
    expected
}

fn expected_headers(document: &Value, operation: &Operation<'_>) -> Vec<&'static str> {
    let answer = operation.answer_name().unwrap_or_default();
    let creates = operation.successes().any(|(status, _)| status == "201" || status == "202");
    let all = [
        ("X-Request-Id", true),
        ("RateLimit", true),
        ("RateLimit-Policy", true),
        ("ETag", is_versioned(document, operation)),
        ("Location", creates),
        ("Link", operation.method == "get" && answer.ends_with("List")),
        ("Idempotent-Replayed", is_repeatable(operation)),
    ];
    all.into_iter().filter_map(|(name, sent)| sent.then_some(name)).collect()
}

/// Whether it needs a scope that allows more than looking.
fn is_change(operation: &Operation<'_>) -> bool {
    let scopes = list(&operation.value["x-required-scopes"]).filter_map(Value::as_str);
    scopes.into_iter().any(|scope| scope.contains(':') && !scope.ends_with(":read"))
}

fn is_repeatable(operation: &Operation<'_>) -> bool {
    is_change(operation) && ["post", "patch", "put"].contains(&operation.method)
}

/// Whether it changes one resource that is known by its version.
fn changes_one(document: &Value, operation: &Operation<'_>) -> bool {
    let is_at = |other: &Operation<'_>| other.path == operation.path && other.method == "get";
    let is_read_with_version =
        || operations(document).any(|other| is_at(&other) && is_versioned(document, &other));
    match operation.method {
        "patch" => true,
        "put" | "delete" => is_versioned(document, operation) || is_read_with_version(),
        _ => false,
    }
}

fn expected_parameters(document: &Value, operation: &Operation<'_>) -> Vec<&'static str> {
    let changes = changes_one(document, operation);
    let is_upsert = operation.method == "put" && operation.path.ends_with("{external_id}");
    let reads = operation.method == "get" && is_versioned(document, operation);
    let all = [
        ("Idempotency-Key", is_repeatable(operation)),
        ("If-Match", changes),
        ("If-None-Match", reads || is_upsert),
    ];
    all.into_iter().filter_map(|(name, understood)| understood.then_some(name)).collect()
}
