//! SQL that would work today and fail on a cluster, at midnight or for the wrong tenant.

use super::source::{Source, root, sources};

/// What no statement of the service contains, and why.
const FORBIDDEN: [(&str, &str); 12] = [
    ("now()", "one clock value per request, bound: two calls differ, and a cluster's nodes too"),
    ("current_timestamp", "the same"),
    ("current_date", "the same, and the day depends on the zone"),
    ("clock_timestamp", "the same"),
    ("gen_random_uuid", "ids are made in Rust, in order"),
    ("random()", "a volatile function gives each node another answer"),
    ("deferrable", "a cluster knows no deferred checks"),
    ("merge into", "a cluster takes it in few cases only"),
    ("set null", "done in the transaction, where it is seen"),
    ("create trigger", "nothing happens behind the back of the code"),
    ("nextval", "sequences are no order"),
    ("offset ", "deep pages get slow: keyset only (A7)"),
];

/// What is right in one place: the order of appends is that of the database's clock, which all
/// processes share, and so is the time at which others may take what somebody has leased.
const ALLOWED: [(&str, &str); 3] = [
    ("journal/append.rs", "clock_timestamp"),
    ("jobs.rs", "now()"),
    ("webhooks/queue.rs", "now()"),
];

/// Where a statement is put together from text, and what the text is.
const FORMATTED: [(&str, &str); 4] = [
    ("attributes/", "a table's name, chosen by an enum"),
    ("db/embedded/cluster.rs", "names of roles and databases of ours"),
    ("db/grants.rs", "tables' names, a constant list"),
    ("privacy/", "tables and conditions of the registry, a constant list"),
];

fn lower(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn broken(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        for (_, text) in source.statements() {
            let text = lower(text);
            let words = FORBIDDEN.iter().filter(|(word, _)| {
                text.contains(word) && !ALLOWED.contains(&(source.path.as_str(), *word))
            });
            broken.extend(words.map(|(word, why)| format!("{}: `{word}`: {why}", source.path)));
        }
    }
    broken
}

/// Rules 3, 6 and A7
#[test]
fn no_statement_contains_what_a_cluster_or_a_clock_would_betray() {
    assert_eq!(broken(&sources()), Vec::<String>::new());
}

/// A statement is a constant: what is formatted into one must be listed above.
#[test]
fn no_statement_is_put_together_from_text() {
    let mut found: Vec<String> = Vec::new();
    for source in sources() {
        let formats = source.statements().filter(|(at, text)| {
            let before = source.code[..*at].trim_end();
            before.ends_with("format!(") && text.contains('{')
        });
        found.extend(formats.map(|_| source.path.clone()));
        let argument = ["sql_query(&format!", "sql_query(format!", "push_sql(&format!"];
        found.extend(
            argument.iter().filter(|a| source.code.contains(**a)).map(|_| source.path.clone()),
        );
    }
    found.sort();
    found.dedup();
    let is_known = |path: &&String| FORMATTED.iter().any(|(known, _)| path.starts_with(known));
    let unknown: Vec<_> = found.iter().filter(|path| !is_known(path)).collect();
    assert!(unknown.is_empty(), "SQL is formatted in {unknown:?}");
    for (known, _) in FORMATTED {
        assert!(found.iter().any(|path| path.starts_with(known)), "`{known}` formats no SQL");
    }
}

/// A12: a dropped error in a transaction turns its commit into a silent rollback.
#[test]
fn no_answer_of_the_database_is_thrown_away() {
    let endings = ["pg).ok()", "pg).unwrap_or", "pg)?.ok()", "pg).is_ok()", "pg).is_err()"];
    for source in sources() {
        let code: String = source.code.split_whitespace().collect();
        for ending in endings {
            assert!(!code.contains(ending), "{}: `{ending}` drops an error", source.path);
        }
    }
}

/// A23: nothing waits for the network while it holds a transaction; what talks to others does it through
/// one guard.
#[test]
fn only_keys_are_fetched_and_webhooks_sent_over_the_network() {
    let may = ["auth/jwks", "cli/", "outbound", "app.rs", "webhooks/send", "webhooks/trial"];
    let clients: Vec<String> = sources()
        .into_iter()
        .filter(|source| ["ureq::", "TcpStream", "reqwest"].iter().any(|c| source.code.contains(c)))
        .map(|source| source.path)
        .filter(|path| !may.iter().any(|known| path.starts_with(known)))
        .collect();
    assert_eq!(clients, Vec::<String>::new());
}

/// Rule 11
#[test]
fn no_commit_is_acknowledged_before_it_is_durable() {
    for source in sources() {
        for (_, text) in &source.texts {
            let is_test_cluster = source.path.starts_with("db/embedded");
            let is_weaker = lower(text).contains("synchronous_commit");
            assert!(is_test_cluster || !is_weaker, "{}: {text}", source.path);
        }
    }
}

/// Every folder of migrations with its two scripts, without comments.
fn scripts() -> Vec<(String, String, String)> {
    let folder = std::fs::read_dir(root().join("migrations")).expect("migrations");
    let mut names: Vec<_> =
        folder.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect();
    names.sort();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}", path.display()));
        let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
        lower(&lines.collect::<Vec<_>>().join("\n"))
    };
    names
        .into_iter()
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, read(path.join("up.sql")), read(path.join("down.sql")))
        })
        .collect()
}

/// Rules 2, 3 and 8
#[test]
fn no_migration_makes_what_the_rules_forbid() {
    let forbidden = [
        "deferrable",
        "initially deferred",
        "create trigger",
        "create rule",
        "set null",
        "set default",
        "on update cascade",
        "inherits",
        " default partition",
        "serial",
        "varchar",
        " char(",
        "timestamp without",
        " as identity",
        "generated",
        "default now()",
        "gen_random_uuid",
        "materialized view",
    ];
    for (name, up, _) in scripts() {
        for word in forbidden {
            assert!(!up.contains(word), "{name}: `{word}`");
        }
    }
}

/// Rule 8
#[test]
fn a_migration_that_makes_tables_spreads_them_on_a_cluster() {
    let settings = "set local citus.multi_shard_modify_mode = 'sequential'; \
                    set local citus.enable_local_reference_table_foreign_keys = off;";
    for (name, up, _) in scripts() {
        let tables: Vec<&str> = up
            .split("create table ")
            .skip(1)
            .filter_map(|rest| rest.split(' ').next())
            .filter(|table| table.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .collect();
        assert!(tables.is_empty() || up.starts_with(settings), "{name} begins otherwise");
        for table in tables {
            let spread =
                [format!("scale_out('{table}')"), format!("scale_out_directory('{table}')")];
            assert!(
                spread.iter().any(|call| up.contains(call)),
                "{name}: {table} stays in one place"
            );
        }
    }
}

#[test]
fn every_migration_can_be_undone_and_is_named_by_its_day() {
    for (name, _, down) in scripts() {
        assert!(!down.is_empty(), "{name} has an empty down.sql");
        let (stamp, words) = name.split_at(17);
        assert!(stamp.chars().all(|c| c.is_ascii_digit() || c == '-'), "{name}");
        assert!(words.strip_prefix('_').is_some_and(|words| !words.is_empty()), "{name}");
    }
}
