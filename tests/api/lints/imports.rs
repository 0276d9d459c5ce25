//! Who knows whom. The kernel knows no resource, a resource keeps its tables to itself, and nobody
//! knows each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, root, sources};

/// Tables and the module that owns them; the others use its functions.
const OWNERS: [(&str, &[&str]); 23] = [
    ("api_keys", &["api_keys"]),
    ("attributes", &["attribute_definitions", "unique_attributes"]),
    ("audit", &["audit_events", "audit_seals"]),
    ("bulk", &["bulk_jobs", "bulk_pieces", "import_changes", "import_errors"]),
    ("carts", &["carts"]),
    ("channels", &["channels"]),
    ("connectors", &["connector_events"]),
    ("consents", &["consents", "consent_events"]),
    ("customers", &["customers", "customer_stats", "identities", "merges", "merge_candidates"]),
    ("external_ids", &["external_ids"]),
    ("http", &["idempotency_keys"]),
    ("jobs", &["jobs"]),
    (
        "journal",
        &[
            "touchpoints",
            "touchpoint_keys",
            "touchpoint_counts",
            "customer_activity",
            "outbox",
            "changes",
            "feed_heads",
        ],
    ),
    ("orders", &["orders", "order_line_items", "order_refunds", "order_fulfillments"]),
    ("organizations", &["organizations", "memberships"]),
    ("products", &["products"]),
    ("privacy", &["data_requests", "data_request_pieces"]),
    ("suppressions", &["suppressions"]),
    ("tags", &["tags"]),
    ("trusted_issuers", &["trusted_issuers"]),
    ("users", &["users", "login_emails", "refresh_tokens"]),
    ("webhooks", &["webhook_attempts", "webhook_deliveries", "webhook_endpoints"]),
    ("workspaces", &["workspaces", "workspace_slugs", "cors_origins"]),
];

/// Modules that reach into tables of others, and why.
const GUESTS: [(&str, &[&str], &str); 11] = [
    (
        "analytics",
        &[
            "channels",
            "customer_stats",
            "customers",
            "order_line_items",
            "orders",
            "products",
            "touchpoint_counts",
            "touchpoints",
        ],
        "figures are asked of the rows as they are, in one statement each",
    ),
    (
        "auth",
        &["api_keys", "customers", "trusted_issuers", "users", "workspaces"],
        "the kernel checks credentials before there is any resource",
    ),
    ("carts", &["orders"], "a cart that comes after its order becomes it at once"),
    (
        "customers",
        &[
            "carts",
            "consents",
            "customer_activity",
            "memberships",
            "orders",
            "touchpoints",
            "unique_attributes",
        ],
        "a merge moves the rows of every table that names a customer",
    ),
    (
        "db",
        &["jobs", "workspaces"],
        "opens the data key of the workspace whose data is read, and holds the job of a worker",
    ),
    ("journal", &["customer_stats"], "the figures of a customer are a rollup of the log"),
    ("orders", &["customer_stats"], "the figures of a customer are a rollup of the orders"),
    ("predicate", &["touchpoints", "customer_activity"], "asks the log what somebody did"),
    (
        "privacy",
        &[
            "carts",
            "connector_events",
            "consents",
            "customers",
            "idempotency_keys",
            "import_changes",
            "jobs",
            "memberships",
            "merge_candidates",
            "merges",
            "order_fulfillments",
            "order_refunds",
            "orders",
            "touchpoints",
            "unique_attributes",
            "webhook_attempts",
            "webhook_deliveries",
        ],
        "an erasure goes through every table that says something about a customer",
    ),
    ("touchpoints", &["touchpoints", "touchpoint_keys"], "the public side of the journal"),
    (
        "worker",
        &["idempotency_keys", "refresh_tokens", "touchpoint_keys"],
        "prunes what has expired, in all workspaces",
    ),
];

/// The modules that know all others: they stand above everything.
const TOP: [&str; 4] = ["api", "cli", "demo", "main"];

/// What serves the document or asks it.
const EDGE: [&str; 3] = ["auth", "http", "platform"];

/// The kernel as `src/lib.rs` lists it, under its first comment.
fn kernel() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let block = text.split("// The kernel").nth(1).and_then(|rest| rest.split("\n\n").next());
    let names = block.expect("a kernel").lines().filter_map(|line| line.strip_suffix(';'));
    let kernel: BTreeSet<String> =
        names.filter_map(|line| line.rsplit("mod ").next()).map(String::from).collect();
    assert!(kernel.contains("db") && kernel.len() > 10, "{kernel:?}");
    kernel
}

/// The modules that a source names: `crate::a::…` and `crate::{a, b::c}`.
fn named(source: &Source) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in source.code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(identifier(rest)),
        }
    }
    names.remove(source.module());
    names
}

fn identifier(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let is_module = text.starts_with(|c: char| c.is_ascii_lowercase());
    is_module.then(|| text[..end].to_owned())
}

/// The first names inside the braces of a `use`.
fn heads(group: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut is_head) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_head = true,
            c if is_head && c.is_alphabetic() => {
                found.extend(identifier(&group[at..]));
                is_head = false;
            }
            _ => {}
        }
    }
    found
}

/// What each module names, over all its files.
fn graph(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        graph.entry(source.module().to_owned()).or_default().extend(named(source));
    }
    graph.remove("lib");
    graph
}

#[test]
fn the_kernel_knows_no_resource() {
    let (kernel, graph) = (kernel(), graph(&sources()));
    for (module, known) in graph.iter().filter(|(module, _)| kernel.contains(*module)) {
        let outside: BTreeSet<_> = known.iter().filter(|name| !kernel.contains(*name)).collect();
        // The one exception: the edge asks the document which operations there are.
        let allowed: &[&str] = if EDGE.contains(&module.as_str()) { &["api"] } else { &[] };
        let wrong: Vec<_> =
            outside.into_iter().filter(|n| !allowed.contains(&n.as_str())).collect();
        assert!(wrong.is_empty(), "`{module}` is kernel and knows {wrong:?}");
    }
}

/// Values, errors and predicates could be a crate of their own.
#[test]
fn the_lowest_modules_know_hardly_anything() {
    let graph = graph(&sources());
    for (module, allowed) in [
        ("error", &[][..]),
        ("crypto", &[]),
        ("outbound", &["crypto"]),
        ("metrics", &[]),
        ("logging", &[]),
        ("schema", &[]),
        ("values", &["error"]),
        ("seal", &["crypto", "error"]),
        ("predicate", &["error", "values"]),
        ("external_ids", &["db", "error", "schema"]),
    ] {
        let known = graph.get(module).cloned().unwrap_or_default();
        let wrong: Vec<_> = known.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "`{module}` knows {wrong:?}");
    }
}

#[test]
fn nobody_knows_each_other_in_a_circle() {
    let kernel = kernel();
    let mut graph = graph(&sources());
    // The kernel is one thing here: what counts is what is built on it.
    graph.retain(|module, _| !kernel.contains(module));
    for (module, known) in &mut graph {
        let is_document = |name: &String| name == "api" && module == "platform";
        known.retain(|name| !kernel.contains(name) && !is_document(name));
    }
    let circles: Vec<String> = graph
        .keys()
        .filter(|module| reachable(&graph, module).contains(*module))
        .map(|module| format!("{module} knows {:?}", graph[module]))
        .collect();
    assert_eq!(circles, Vec::<String>::new());
}

fn reachable(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = graph.get(from).into_iter().flatten().collect();
    while let Some(name) = open.pop() {
        if seen.insert(name.clone()) {
            open.extend(graph.get(name).into_iter().flatten());
        }
    }
    seen
}

/// `api` and the command line alone know all resources.
#[test]
fn no_resource_knows_what_stands_above_it() {
    for (module, known) in graph(&sources()) {
        let wrong: Vec<_> = known.iter().filter(|name| TOP.contains(&name.as_str())).collect();
        let may = TOP.contains(&module.as_str()) || EDGE.contains(&module.as_str());
        assert!(may || wrong.is_empty(), "`{module}` knows {wrong:?}");
    }
}

/// The tables that a source reads or writes, by the builder or in SQL.
fn tables(source: &Source) -> BTreeSet<&'static str> {
    let all = || OWNERS.iter().flat_map(|(_, tables)| tables.iter().copied());
    let mut found = BTreeSet::new();
    for rest in source.code.split("schema::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(group) => heads(group),
            None => identifier(rest).into_iter().collect(),
        };
        found.extend(all().filter(|table| names.iter().any(|name| name == table)));
    }
    for (_, text) in source.statements() {
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let verbs = ["from", "join", "into", "update"];
        let named = words.windows(2).filter(|pair| verbs.contains(&pair[0])).map(|pair| pair[1]);
        found.extend(named.filter_map(|name| all().find(|table| *table == name)));
    }
    found
}

#[test]
fn every_table_is_used_by_its_owner_and_those_listed() {
    let mut used: BTreeSet<(String, &str)> = BTreeSet::new();
    for source in sources().iter().filter(|source| !["demo", "schema"].contains(&source.module())) {
        for table in tables(source) {
            used.insert((source.module().to_owned(), table));
        }
    }
    let owns = |module: &str, table: &str| {
        let owner = OWNERS.iter().find(|(_, tables)| tables.contains(&table));
        owner.is_some_and(|(owner, _)| *owner == module)
    };
    let visits = |module: &str, table: &str| {
        GUESTS.iter().any(|(guest, tables, _)| *guest == module && tables.contains(&table))
    };
    let wrong: Vec<_> = used.iter().filter(|(m, t)| !owns(m, t) && !visits(m, t)).collect();
    assert!(wrong.is_empty(), "tables of others: {wrong:?}");
    for (guest, tables, _) in GUESTS {
        for table in tables {
            assert!(used.contains(&(guest.into(), table)), "`{guest}` no longer uses `{table}`");
        }
    }
}

#[test]
fn every_table_has_one_owner() {
    let listed: Vec<String> = OWNERS
        .iter()
        .flat_map(|(_, tables)| tables.iter().map(ToString::to_string))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let sql = "select relname::text as line from pg_class
                where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
                  and not relispartition and relname not like '\\_\\_%'";
    assert_eq!(super::pg::catalog(sql), listed);
    let count: usize = OWNERS.iter().map(|(_, tables)| tables.len()).sum();
    assert_eq!(count, listed.len(), "a table has two owners");
}

/// A workspace is trusted where a credential or a row of ours said so, nowhere else.
#[test]
fn only_the_kernel_the_workspaces_and_the_worker_trust_an_id() {
    let kernel = kernel();
    for source in sources() {
        let trusts = source.code.contains("WorkspaceId::trusted");
        let may =
            kernel.contains(source.module()) || ["workspaces", "worker"].contains(&source.module());
        assert!(may || !trusts, "{} trusts a workspace", source.path);
    }
}

/// `Db::system` sees all workspaces: sign-in, directories, health and upkeep alone may use it.
#[test]
fn only_what_has_no_workspace_yet_uses_the_database_without_one() {
    let may = ["api_keys", "auth", "cli", "db", "demo", "jobs", "platform", "sessions", "worker"];
    // Which endpoints have something to be sent, like which workspaces have jobs.
    let also = ["journal", "workspaces", "users", "main", "webhooks"];
    for source in sources() {
        let uses = [".system(", ".system_write("].iter().any(|call| source.code.contains(call));
        let module = source.module();
        let is_known = may.contains(&module) || also.contains(&module);
        assert!(is_known || !uses, "{} works without a workspace", source.path);
    }
}

#[test]
fn modules_are_read_from_all_forms_of_a_path() {
    let code = "use crate::{a, b::{c, d}, e::F}; crate::g::h(); pub use crate::i; crate::J";
    let source = Source { path: "x.rs".into(), code: code.into(), texts: Vec::new() };
    let names: Vec<String> = named(&source).into_iter().collect();
    assert_eq!(names, ["a", "b", "e", "g", "i"]);
}
