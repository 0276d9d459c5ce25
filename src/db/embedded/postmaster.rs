//! Reads what a running Postgres server tells about itself, and where it can be reached.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::{Role, StartError};

/// The port is only part of the socket's name: nothing listens on the network.
pub const PORT: u16 = 5432;

/// The socket's file name within its folder.
pub const SOCKET: &str = ".s.PGSQL.5432";

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    socket_dir: String,
    port: String,
}

impl Address {
    /// Connection URL for libpq; the user comes as a parameter, as URLs have no user without host.
    pub fn url(&self, role: Role, database: &str) -> String {
        let database = percent_encoded(database);
        let host = percent_encoded(&self.socket_dir);
        format!("postgresql:///{database}?host={host}&port={}&user={}", self.port, role.name())
    }
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The content of `postmaster.pid`, which a server writes into its data while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postmaster {
    pub pid: i32,
    /// Absent while the server is still starting.
    pub address: Option<Address>,
}

impl Postmaster {
    /// The server that runs on this cluster, or ran when the machine or the server was killed.
    pub fn read(cluster: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(pid_file(cluster)).ok()?)
    }

    /// Lines: pid, data folder, start time, port, socket folder, … (Postgres's `pidfile.h`).
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let address = match (lines.get(3), lines.get(4)) {
            (Some(port), Some(dir)) if !dir.is_empty() => {
                Some(Address { socket_dir: (*dir).into(), port: (*port).into() })
            }
            _ => None,
        };
        Some(Self { pid: lines.first()?.parse().ok()?, address })
    }

    /// Whether a server still has this process id, rather than nobody or a stranger.
    pub fn is_alive(&self) -> bool {
        if Path::new("/proc/self/stat").exists() {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
            return is_live_postgres(&stat);
        }
        let pid = self.pid.to_string();
        let found = Command::new("ps").args(["-o", "state=,comm=", "-p", &pid]).output();
        found.is_ok_and(|found| is_live_postgres_by_ps(&found.stdout))
    }
}

/// `12 (postgres) S 1 …`; a zombie (`Z`) is dead, though its process id still exists.
fn is_live_postgres(stat: &str) -> bool {
    stat.split_once("(postgres) ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

fn is_live_postgres_by_ps(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    line.contains("postgres") && !line.trim_start().starts_with('Z')
}

/// Lets a server start after one that died, though a stranger or a zombie has its process id.
///
/// Postgres takes any process with that id for the old server. It makes an exception for the
/// process that called `pg_ctl`, so our own id is written over it. Removing the file would do,
/// but it also names the shared memory by which Postgres notices that parts of the old server
/// are still at work.
pub fn disown_dead(cluster: &Path, socket_dir: &Path, account: &Account) -> Result<(), StartError> {
    let path = pid_file(cluster);
    if let Ok(text) = fs::read_to_string(&path) {
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        let next = cluster.with_extension("pid");
        fs::write(&next, format!("{}\n{rest}", std::process::id()))
            .map_err(StartError::io("write", &next))?;
        account.own(&next)?;
        fs::rename(&next, &path).map_err(StartError::io("replace", &path))?;
    }
    let lock = socket_dir.join(format!("{SOCKET}.lock"));
    match fs::remove_file(&lock) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StartError::io("remove", &lock)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The file by which a server tells of itself.
pub fn pid_file(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_tells_process_and_socket() {
        let text = "4711\n/data/pg15\n1700000000\n5432\n/data/run\n\n  123 4\nready   \n";
        let found = Postmaster::parse(text).expect("a server");
        let address = Address { socket_dir: "/data/run".into(), port: "5432".into() };
        assert_eq!(found, Postmaster { pid: 4711, address: Some(address) });
    }

    #[test]
    fn a_pid_file_that_is_being_written_tells_no_address() {
        let found = Postmaster::parse("4711\n/data/pg15\n1700000000\n5432\n").expect("a server");
        assert_eq!(found, Postmaster { pid: 4711, address: None });
        assert_eq!(Postmaster::parse(""), None);
    }

    #[test]
    fn zombies_and_strangers_are_no_servers() {
        assert!(is_live_postgres("12 (postgres) S 1 12 12"));
        assert!(!is_live_postgres("12 (postgres) Z 1 12 12"));
        assert!(!is_live_postgres("12 (bash) S 1 12 12"));
        assert!(!is_live_postgres(""));
    }

    #[test]
    fn a_url_keeps_odd_folder_names_whole() {
        let address = Address { socket_dir: "/my data/50%&ü".into(), port: "5432".into() };
        assert_eq!(
            address.url(Role::App, "a b"),
            "postgresql:///a%20b?host=/my%20data/50%25%26%C3%BC&port=5432&user=ecrm_app"
        );
    }
}
