//! Requests as bytes, kept in files: what two servers in a row could understand differently, and
//! what is no HTTP at all. Each is refused, and never becomes two requests.
//!
//! A file has remarks (`# …`), of which one names the statuses that are right (`# expect 400`; 0 is a
//! connection that was closed without a word), and then the request: line ends of the request are
//! written as `\r\n`, those of the file count for nothing. `\0`, `\t`, `\\` and `\x1f` are known too,
//! and `{token}` stands for a valid credential.

use std::path::PathBuf;

use crate::client::CUSTOMERS;
use crate::postgres::number;
use crate::stage::Stage;
use crate::wire::exchange;

struct Golden {
    name: String,
    expected: Vec<u16>,
    request: Vec<u8>,
}

impl Golden {
    fn read(path: &PathBuf, token: &str) -> Self {
        let text = std::fs::read_to_string(path).expect("a file");
        let expected = text.lines().find_map(|line| line.strip_prefix("# expect "));
        let expected = expected.unwrap_or_else(|| panic!("{path:?} expects nothing"));
        let lines: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            expected: expected.split(' ').map(|status| status.parse().expect("a status")).collect(),
            request: bytes(&lines.replace("{token}", token)),
        }
    }

    /// What is wrong with the answer, where something is.
    fn fault(&self, port: u16) -> Option<String> {
        let answer = exchange(port, &self.request);
        let answers = usize::from(answer.status != 0);
        let is_right = self.expected.contains(&answer.status) && answer.answers == answers;
        let said = || format!("{}: {} answers, {}", self.name, answer.answers, answer.status);
        (!is_right).then(said)
    }
}

/// The bytes that a text with escapes stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        let byte = match (char, if char == '\\' { rest.next() } else { None }) {
            (_, Some('r')) => b'\r',
            (_, Some('n')) => b'\n',
            (_, Some('t')) => b'\t',
            (_, Some('0')) => 0,
            (_, Some('\\')) => b'\\',
            (_, Some('x')) => {
                let digits: String = rest.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
            }
            (_, Some(other)) => panic!("an unknown escape: \\{other}"),
            (plain, None) => u8::try_from(plain).expect("a byte"),
        };
        bytes.push(byte);
    }
    bytes
}

fn all(token: &str) -> Vec<Golden> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/faults/golden");
    let entries = std::fs::read_dir(folder).expect("golden files").flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "http"));
    paths.sort();
    paths.iter().map(|path| Golden::read(path, token)).collect()
}

#[test]
fn a_request_without_one_meaning_is_refused_and_ends_its_connection() {
    let stage = Stage::new();
    let golden = all(&stage.postgres.key);
    assert!(golden.len() >= 25, "only {} golden files", golden.len());
    let faults: Vec<_> = golden.iter().filter_map(|one| one.fault(stage.service.port)).collect();
    assert_eq!(faults, Vec::<String>::new());
    stage.client.get(CUSTOMERS).expect(200);
    assert_eq!(number(&mut stage.connect(), "select count(*) from customers"), 0);
}
