//! Our own sources, taken apart just enough: code here, texts there, comments nowhere.

use std::path::{Path, PathBuf};

/// One file, without comments and tests.
pub struct Source {
    /// Path below `src`, such as `http/page.rs`.
    pub path: String,
    /// Everything but comments; each text stands as `""`.
    pub code: String,
    /// The texts, with their position in `code`.
    pub texts: Vec<(usize, String)>,
}

impl Source {
    /// The module at the top of the crate that the file belongs to.
    pub fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.trim_end_matches(".rs")
    }

    /// The texts that are SQL, with their position.
    pub fn statements(&self) -> impl Iterator<Item = &(usize, String)> {
        self.texts.iter().filter(|(_, text)| is_sql(text))
    }
}

/// Whether a text is a statement, or a part of one: it has two of these words in small letters.
fn is_sql(text: &str) -> bool {
    let words = [
        "select ",
        "insert into ",
        "update ",
        "delete from ",
        " from ",
        " where ",
        "create ",
        "alter ",
        "grant ",
        "revoke ",
        " on ",
        " set ",
        "do $$",
        "returning ",
        " values ",
    ];
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let begins = [
        "select ",
        "insert into ",
        "delete from ",
        "with ",
        "grant ",
        "revoke ",
        "do $$",
        "set local ",
        "create ",
        "alter ",
        "drop ",
        "truncate ",
    ];
    let is_whole = begins.iter().any(|verb| text.starts_with(verb));
    is_whole || words.iter().filter(|word| text.contains(**word)).count() > 2
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source of the service, tests left out.
pub fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    files.sort();
    let relative = |file: &Path| {
        let path = file.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let is_test = path.split('/').any(|step| step.starts_with("test"));
        (!is_test && path.ends_with(".rs")).then_some(path)
    };
    let sources: Vec<Source> = files
        .iter()
        .filter_map(|file| {
            let path = relative(file)?;
            let text = std::fs::read_to_string(file).expect("a source");
            Some(taken_apart(path, without_tests(&text)))
        })
        .collect();
    assert!(sources.len() > 50, "only {} sources", sources.len());
    sources
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

/// Our tests are the last item of a file.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn taken_apart(path: String, text: &str) -> Source {
    let mut source = Source { path, code: String::new(), texts: Vec::new() };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if let Some((length, value)) = text_at(rest, &source.code) {
            source.texts.push((source.code.len(), value));
            source.code.push_str("\"\"");
            rest = &rest[length..];
        } else if let Some(length) = character_at(rest) {
            source.code.push_str("' '");
            rest = &rest[length..];
        } else {
            source.code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    source
}

/// A text that begins here: its length in the source and its value (escapes left as they are).
fn text_at(rest: &str, before: &str) -> Option<(usize, String)> {
    let hashes = rest.strip_prefix('r').map(|raw| raw.len() - raw.trim_start_matches('#').len());
    if let Some(hashes) = hashes
        && !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    {
        let open = format!("r{}\"", "#".repeat(hashes));
        let close = format!("\"{}", "#".repeat(hashes));
        if let Some(body) = rest.strip_prefix(&open) {
            let end = body.find(&close)?;
            return Some((open.len() + end + close.len(), body[..end].to_owned()));
        }
    }
    let body = rest.strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            '"' if !is_escaped => return Some((at + 2, body[..at].to_owned())),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

/// A character such as `'"'`, not a lifetime.
fn character_at(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escaped) = body.strip_prefix('\\') {
        let end = escaped.char_indices().skip(1).find(|(_, c)| *c == '\'')?.0;
        return Some(end + 3);
    }
    let c = body.chars().next()?;
    body[c.len_utf8()..].starts_with('\'').then_some(c.len_utf8() + 2)
}

#[test]
fn a_source_falls_into_code_and_texts() {
    let text =
        "let a = \"x\\\"y\"; // \"no\"\nlet b = r#\"raw \"q\" text\"#; let c = '\"'; f::<'a>(c)";
    let source = taken_apart("x.rs".into(), text);
    let texts: Vec<&str> = source.texts.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["x\\\"y", "raw \"q\" text"]);
    assert_eq!(source.code, "let a = \"\"; \nlet b = \"\"; let c = ' '; f::<'a>(c)");
}
