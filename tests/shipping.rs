//! What a newcomer and an operator get: the README, the image, the compose file and the documents say
//! what is true, and nothing in the tree belongs to one machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ecrm::config::SETTINGS;

/// Variables of the examples and of the compose file, which the service does not read.
const NOT_OURS: [&str; 3] = ["ECRM_URL", "ECRM_KEY", "ECRM_APP_PASSWORD"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file of the project, by its path from the root.
fn tree() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let name = entry.file_name();
            let is_foreign = ["target", ".git", ".ecrm", ".env", "node_modules", "__pycache__"]
                .iter()
                .any(|foreign| name == *foreign);
            let path = entry.path();
            if path.is_dir() && !is_foreign {
                folders.push(path);
            } else if let (false, Ok(text)) = (is_foreign, fs::read_to_string(&path)) {
                let relative = path.strip_prefix(root()).expect("below the root");
                found.push((relative.display().to_string(), text));
            }
        }
    }
    found
}

fn documents() -> Vec<(String, String)> {
    tree().into_iter().filter(|(path, _)| path.ends_with(".md")).collect()
}

/// The lines of a Dockerfile, those that go on joined, comments left out.
fn instructions(dockerfile: &str) -> Vec<String> {
    let joined = dockerfile.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Into::into).collect()
}

fn argument<'a>(instructions: &'a [String], name: &str) -> Vec<&'a str> {
    instructions.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect()
}

/// Whether the text is a JSON array of words: an exec form, which needs no shell.
fn is_exec_form(text: &str) -> bool {
    serde_json::from_str::<Vec<String>>(text).is_ok_and(|words| !words.is_empty())
}

/// Whether an image has a version in its name, or is a stage of the same file.
fn is_pinned(image: &str) -> bool {
    let tag = image.rsplit_once(':').map(|(_, tag)| tag);
    tag.is_some_and(|tag| tag != "latest" && tag.contains(|c: char| c.is_alphanumeric()))
}

#[test]
fn the_image_runs_as_nobody_and_says_how_it_is() {
    let all = instructions(&read("Dockerfile"));
    for image in argument(&all, "FROM") {
        assert!(is_pinned(image.split(' ').next().unwrap_or_default()), "FROM {image}");
    }
    assert_eq!(argument(&all, "FROM").len(), 2, "what builds is not what runs");
    let last_stage = all.iter().rposition(|line| line.starts_with("FROM ")).expect("a stage");
    let stage = &all[last_stage..];
    let user = argument(stage, "USER");
    let [user] = user.as_slice() else { panic!("one USER, not {user:?}") };
    for id in user.split(':') {
        assert!(id.parse::<u32>().is_ok_and(|id| id > 0), "USER {user} is no number but root's");
    }
    assert_eq!(argument(stage, "STOPSIGNAL"), ["SIGTERM"]);
    for name in ["ENTRYPOINT", "CMD"] {
        let forms = argument(stage, name);
        assert!(forms.len() == 1 && is_exec_form(forms[0]), "{name} {forms:?}");
    }
    let health = argument(stage, "HEALTHCHECK").concat();
    let (_, command) = health.split_once("CMD ").expect("a health check");
    assert!(is_exec_form(command) && command.contains("\"health\""), "HEALTHCHECK {command}");
}

#[test]
fn the_image_is_built_from_what_the_build_context_has() {
    let ignored = read(".dockerignore");
    let lines: Vec<&str> = ignored.lines().collect();
    assert!(lines.contains(&"*"), "everything is left out but what is named");
    for copy in argument(&instructions(&read("Dockerfile")), "COPY") {
        if copy.starts_with("--from=") {
            continue;
        }
        let words: Vec<&str> = copy.split(' ').collect();
        for source in &words[..words.len() - 1] {
            assert!(root().join(source).exists(), "COPY {source}");
            assert!(lines.contains(&format!("!{source}").as_str()), ".dockerignore hides {source}");
        }
    }
    let embedded = read("src/db/migrate.rs");
    assert!(embedded.contains("embed_migrations!(\"migrations\")"), "the build needs migrations/");
}

#[test]
fn the_image_holds_no_secret() {
    let all = instructions(&read("Dockerfile"));
    assert!(argument(&all, "ARG").is_empty(), "build arguments stay in the image's history");
    for line in argument(&all, "ENV") {
        let is_secret = ["KEY", "SECRET", "TOKEN", "PASSWORD", "DATABASE"];
        assert!(!is_secret.iter().any(|word| line.contains(word)), "ENV {line}");
    }
}

/// `name: value` of a line of YAML, with the depth of its indent.
fn entry(line: &str) -> Option<(usize, &str, &str)> {
    let indent = line.len() - line.trim_start().len();
    let (name, value) = line.trim().split_once(':')?;
    let is_entry = !name.starts_with(['#', '-']) && !name.contains(' ');
    is_entry.then_some((indent, name, value.trim()))
}

/// The entries below every `environment:` of the compose file.
fn environment(compose: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut depth = None;
    for line in compose.lines() {
        let Some((indent, name, value)) = entry(line) else { continue };
        if depth.is_some_and(|depth| indent > depth) {
            found.push((name.to_owned(), value.to_owned()));
        } else {
            depth = (name == "environment").then_some(indent);
        }
    }
    found
}

#[test]
fn compose_sets_what_exists_and_takes_secrets_from_outside() {
    let compose = read("compose.yaml");
    let entries = environment(&compose);
    assert!(entries.len() >= 8, "{entries:?}");
    for (name, value) in &entries {
        let is_known = SETTINGS.iter().any(|(known, ..)| known == name);
        assert!(is_known || name.starts_with("POSTGRES_"), "there is no setting {name}");
        let is_secret = ["KEY", "SECRET", "PASSWORD"].iter().any(|word| name.contains(word));
        let is_given = value.starts_with("${") && value.contains(":?");
        assert!(!is_secret || is_given, "{name} must come from the environment");
        if value.starts_with("postgres://") {
            let (_, password) = value
                .split_once("//")
                .and_then(|(_, rest)| rest.split_once(':'))
                .expect("a password");
            assert!(password.starts_with("${"), "{name} holds a password");
        }
    }
    for needed in ["DATABASE_URL", "DATABASE_MIGRATE_URL", "ECRM_MASTER_KEY", "ECRM_JWT_SECRET"] {
        assert!(entries.iter().any(|(name, _)| name == needed), "{needed} is missing");
    }
}

#[test]
fn compose_is_tidy_waits_for_the_database_and_pins_images() {
    let compose = read("compose.yaml");
    for (number, line) in compose.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        assert!(!line.contains('\t') && indent % 2 == 0, "line {}: {line}", number + 1);
        assert_eq!(line.trim_end(), line, "line {}", number + 1);
    }
    let images = compose.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    assert!(images.clone().count() >= 1 && images.clone().all(is_pinned));
    for part in ["healthcheck:", "condition: service_healthy", "volumes:", "build: ."] {
        assert!(compose.contains(part), "compose.yaml has no `{part}`");
    }
    assert!(!compose.contains("privileged: true"));
}

/// Words of capitals and underscores that begin like a setting of ours.
fn settings_named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    let prefixes = ["ECRM_", "DATABASE_", "PG_BIN", "LOG_FORMAT", "RUST_LOG"];
    words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix))).collect()
}

#[test]
fn every_setting_that_is_named_anywhere_exists() {
    let mut texts = documents();
    for path in ["compose.yaml", "Dockerfile", ".ci/run", ".ci/quickstart", "examples/load.sh"] {
        texts.push((path.into(), read(path)));
    }
    for (path, text) in &texts {
        for word in settings_named(text) {
            // `ECRM_RATE_LIMIT_…` names a family.
            let is_known = SETTINGS.iter().any(|(known, ..)| {
                *known == word || word.ends_with('_') && known.starts_with(word)
            });
            assert!(is_known || NOT_OURS.contains(&word), "{path} names {word}");
        }
    }
}

#[test]
fn every_metric_that_is_named_in_a_document_exists() {
    let mut count = 0;
    let code = read("src/metrics.rs");
    for (path, text) in documents() {
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let families = ["ecrm_http_", "ecrm_db_", "ecrm_jobs", "ecrm_build_"];
        for word in words.filter(|word| families.iter().any(|family| word.starts_with(family))) {
            let name = word.trim_end_matches("_bucket");
            assert!(code.contains(&format!("\"{name}\"")), "{path} names {word}");
            count += 1;
        }
    }
    assert!(count > 15, "only {count} metrics were found");
}

#[test]
fn every_setting_stands_in_the_example_and_in_help() {
    let example = read(".env.example");
    let help = ecrm(&["--help"]);
    for (name, _, meaning) in SETTINGS {
        assert!(example.contains(&format!("\n#{name}=")), ".env.example lacks {name}");
        assert!(help.contains(name) && help.contains(meaning), "--help lacks {name}");
    }
}

fn ecrm(arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ecrm"));
    let output = command.args(arguments).output().expect("the binary runs");
    assert!(output.status.success(), "ecrm {arguments:?} failed");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_readme_names_the_commands_that_there_are() {
    let (help, readme) = (ecrm(&["--help"]), read("README.md"));
    let commands = [
        "serve",
        "worker",
        "migrate",
        "verify",
        "seed",
        "openapi",
        "workspace",
        "key",
        "import",
        "health",
    ];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "--help has no {command}");
        assert!(
            readme.contains(&format!("`{command}")) || readme.contains(&format!("`ecrm {command}")),
            "{command}"
        );
    }
}

/// Targets of Markdown links, without those to other sites and without the part after `#`.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let local = targets.map(|(target, _)| target).filter(|target| !target.contains("://"));
    local.filter_map(|target| target.split('#').next()).filter(|path| !path.is_empty()).collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut count = 0;
    for (path, text) in documents() {
        let folder = Path::new(&path).parent().expect("a folder").to_owned();
        for link in links(&text) {
            assert!(root().join(&folder).join(link).exists(), "{path} links to {link}");
            count += 1;
        }
    }
    assert!(count > 30, "only {count} links were found");
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_promise_of_safety_is_shown_by_tests_that_exist() {
    let security = read("docs/security.md");
    let (_, rest) = security.split_once("\n## What is promised\n").expect("promises");
    let (promises, _) = rest.split_once("\n## ").expect("a next section");
    let is_code = |path: &String| [".rs", ".py"].iter().any(|ending| path.ends_with(ending));
    let code: Vec<String> =
        tree().into_iter().filter(|(path, _)| is_code(path)).map(|(_, text)| text).collect();
    let mut count = 0;
    for row in promises.lines().filter(|line| line.starts_with("| ") && !line.contains("shown by"))
    {
        let (_, cell) = row.trim_end_matches(" |").rsplit_once(" | ").expect("two cells");
        assert!(quoted(cell).count() > 0, "no test shows: {row}");
        for test in quoted(cell) {
            let is_there = ["fn ", "def "].iter().any(|word| {
                let head = format!("{word}{test}(");
                code.iter().any(|text| text.contains(&head))
            });
            assert!(is_there, "docs/security.md names `{test}`, which is no test");
            count += 1;
        }
    }
    assert!(count > 80, "only {count} tests are named");
}

#[test]
fn every_link_within_the_readme_leads_to_a_heading() {
    let readme = read("README.md");
    let headings = readme.lines().filter(|line| line.starts_with('#'));
    let anchors: Vec<String> = headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .collect();
    for target in readme.split("](#").skip(1).filter_map(|rest| rest.split_once(')')) {
        assert!(anchors.iter().any(|anchor| anchor == target.0), "#{} is no heading", target.0);
    }
}

#[test]
fn the_quick_start_is_one_command_and_five_calls() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("\n## Quick start\n").expect("a quick start");
    let (quick_start, _) = rest.split_once("\n## ").expect("a next section");
    let first = quick_start.split("```sh\n").nth(1).expect("a block");
    assert!(first.starts_with("cargo run\n```"), "it begins with `cargo run`");
    assert_eq!(quick_start.matches("curl -s ").count(), 5);
    assert!(readme.contains("```sh\ncargo test\n```"), "the one test command");
    assert!(read(".ci/run").contains("cargo test --locked"), "CI runs the tests");
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for path in [".ci/run", ".ci/quickstart", ".ci/supply-chain", ".ci/sbom", "examples/load.sh"] {
        let mode = fs::metadata(root().join(path)).expect("a script").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{path} is not executable");
        assert!(read(path).starts_with("#!/usr/bin/env "), "{path} has no interpreter");
    }
}

#[test]
fn the_examples_hold_as_many_lines_as_is_said() {
    let readme = read("examples/README.md");
    for (name, said) in [
        ("attribute_definitions", "6"),
        ("organizations", "8"),
        ("channels", "14"),
        ("customers", "200"),
        ("touchpoints", "2,893"),
    ] {
        let lines = read(&format!("examples/{name}.ndjson")).lines().count().to_string();
        assert_eq!(lines, said.replace(',', ""), "{name}");
        let row = readme.lines().find(|line| line.contains(&format!("`{name}.ndjson`")));
        assert!(row.is_some_and(|row| row.contains(said)), "examples/README.md about {name}");
    }
}

#[test]
fn the_picture_of_the_data_shows_every_table() {
    let (schema, picture) = (read("src/schema.rs"), read("docs/data-model.md"));
    let tables = schema.split("diesel::table! {\n    ").skip(1);
    let names: Vec<&str> = tables.filter_map(|rest| rest.split(' ').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let is_drawn =
            picture.contains(&format!(" {name} ")) || picture.contains(&format!("`{name}`"));
        assert!(is_drawn, "docs/data-model.md lacks {name}");
    }
}

#[test]
fn every_migration_can_be_undone_and_keeps_its_name() {
    let folders = fs::read_dir(root().join("migrations")).expect("migrations");
    let names = folders.map(|entry| entry.expect("an entry").file_name());
    let names: Vec<String> = names.map(|name| name.into_string().expect("text")).collect();
    for name in names.iter().filter(|name| *name != "README.md") {
        let (stamp, what) = name.split_once('_').expect("a stamp and a name");
        let digits: Vec<usize> = stamp.split('-').map(str::len).collect();
        assert_eq!(digits, [4, 2, 2, 6], "{name}");
        assert!(
            stamp.chars().all(|c| c.is_ascii_digit() || c == '-') && !what.is_empty(),
            "{name}"
        );
        for file in ["up.sql", "down.sql"] {
            assert!(!read(&format!("migrations/{name}/{file}")).trim().is_empty(), "{name}/{file}");
        }
    }
}

#[test]
fn the_rules_of_the_document_are_listed() {
    let conventions = read("docs/CONVENTIONS.md");
    for rule in 1..=20 {
        assert!(conventions.contains(&format!("\n| R{rule} | ")), "R{rule}");
    }
}

#[test]
fn version_and_licence_agree() {
    let cargo = read("Cargo.toml");
    assert!(cargo.contains("license = \"Apache-2.0 OR MIT\""));
    assert!(read("CHANGELOG.md").contains(env!("CARGO_PKG_VERSION")));
    for path in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(read(path).contains("the ecrm authors"), "{path}");
        assert!(read("README.md").contains(path), "README.md links to {path}");
    }
}

/// The lines below a heading of a TOML file, up to the next.
fn section<'a>(toml: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, rest) = toml.split_once(&format!("\n[{heading}]\n")).expect(heading);
    rest.split("\n[").next().unwrap_or_default().lines().collect()
}

#[test]
fn unsafe_code_stays_forbidden_and_overflow_is_noticed_in_release() {
    let cargo = read("Cargo.toml");
    assert!(section(&cargo, "lints.rust").contains(&"unsafe_code = \"forbid\""));
    let release = section(&cargo, "profile.release");
    assert!(release.contains(&"overflow-checks = true"), "{release:?}");
    // A request that panics is answered 500; with `abort` it would end the process.
    assert!(!release.iter().any(|line| line.starts_with("panic")), "{release:?}");
}

#[test]
fn the_dependency_policy_names_one_crypto_library_and_no_foreign_source() {
    let policy = read("deny.toml");
    for banned in ["ring", "rsa", "openssl", "native-tls", "serde_yml", "h2:<0.4", "diesel:<2.3.10"]
    {
        assert!(policy.contains(&format!("{{ crate = \"{banned}\"")), "deny.toml allows {banned}");
    }
    let sources = section(&policy, "sources");
    for rule in ["unknown-registry = \"deny\"", "unknown-git = \"deny\""] {
        assert!(sources.contains(&rule), "{sources:?}");
    }
}

#[test]
fn nothing_in_the_tree_belongs_to_one_machine() {
    // Written apart, so that this file is not found.
    let needles: Vec<String> = [
        "/ro|ot/",
        "/ho|me/",
        "/wo|rk/",
        "/tm|p/",
        "/Us|ers/",
        "registry.npm|js.org",
        "files.python|hosted.org",
    ]
    .iter()
    .map(|text| text.replace('|', ""))
    .collect();
    let mut count = 0;
    for (path, text) in tree() {
        for needle in &needles {
            assert!(!text.contains(needle.as_str()), "{path} names {needle}");
        }
        count += 1;
    }
    assert!(count > 100, "only {count} files were looked at");
}
