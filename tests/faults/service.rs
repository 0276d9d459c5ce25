//! The service as a process: started, signalled, killed, and watched.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What the process inherits; everything else, a `DATABASE_URL` above all, is not for it.
const INHERITED: [&str; 3] = ["PATH", "HOME", "LD_LIBRARY_PATH"];

/// What every service of these tests has, unless a test says otherwise.
const SETTINGS: [(&str, &str); 9] = [
    ("ECRM_JWT_SECRET", "a secret of the fault tests, 32 bytes and more"),
    ("ECRM_MASTER_KEY", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("ECRM_MIGRATE_ON_START", "0"),
    ("ECRM_WORKERS", "2"),
    ("ECRM_POOL_SIZE", "8"),
    ("ECRM_RATE_LIMIT_PER_KEY", "100000000"),
    ("ECRM_RATE_LIMIT_PER_IP", "100000000"),
    ("ECRM_RATE_LIMIT_AUTH", "100000000"),
    ("RUST_LOG", "warn"),
];

/// The binary with the settings of the tests, run in their folder, where no `.env` lies.
pub fn command(folder: &Path, url: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecrm"));
    command.env_clear().current_dir(folder).env("ECRM_DATA_DIR", folder).env("DATABASE_URL", url);
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(SETTINGS).envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a command of the binary and returns what it printed.
pub fn run(folder: &Path, url: &str, arguments: &[&str]) -> String {
    let output = command(folder, url, &[]).args(arguments).output().expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ecrm {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// A port outside the range that the system gives to clients: one of those could be taken while a
/// service is restarted, or a client could even connect to itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 200).expect("a small number") * 50;
    loop {
        let port = 20_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Whether a process still runs; a zombie does not.
pub fn is_running(pid: Pid) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        return kill(pid, None).is_ok();
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// A running `ecrm serve`, or `ecrm worker`.
pub struct Service {
    child: Child,
    mode: &'static str,
    pub port: u16,
    folder: PathBuf,
    url: String,
    settings: Vec<(String, String)>,
}

impl Service {
    /// Starts it and waits until it answers.
    pub fn start(folder: &Path, url: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_as("serve", folder, url, settings)
    }

    pub fn start_as(
        mode: &'static str,
        folder: &Path,
        url: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let port = free_port();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings: Vec<_> = settings.iter().map(owned).collect();
        let child = launch(mode, folder, url, port, &settings);
        let service =
            Self { child, mode, port, folder: folder.to_owned(), url: url.to_owned(), settings };
        service.wait_until_live();
        service
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn wait_until_live(&self) {
        let asked = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(asked.elapsed() < Duration::from_secs(20), "the service does not start");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Kills it and starts it again on the same port.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.child = launch(self.mode, &self.folder, &self.url, self.port, &self.settings);
        self.wait_until_live();
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().expect("an end");
    }

    /// Asks it to end, as an operator does.
    pub fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).expect("a signal");
    }

    /// How it ended, and how long that took; fails when it has not ended within `limit`.
    pub fn wait(&mut self, limit: Duration) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status, asked.elapsed());
            }
            assert!(asked.elapsed() < limit, "the service has not ended after {limit:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The most memory it has ever had, in KiB, where the system tells.
    pub fn peak_kib(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    pub fn is_running(&self) -> bool {
        is_running(self.pid())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = std::fs::read_to_string(log_file(&self.folder, self.port));
            let log = log.unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            println!("the service's log ends with:");
            lines[lines.len().saturating_sub(20)..].iter().for_each(|line| println!("  {line}"));
        }
    }
}

fn log_file(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!("service-{port}.log"))
}

fn launch(mode: &str, folder: &Path, url: &str, port: u16, settings: &[(String, String)]) -> Child {
    let settings: Vec<_> = settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let path = log_file(folder, port);
    let log = File::options().create(true).append(true).open(path).expect("a log");
    let mut command = command(folder, url, &settings);
    let address = format!("127.0.0.1:{port}");
    command.env("ECRM_BIND", &address).env("ECRM_WORKER_BIND", &address).arg(mode);
    command.stdout(Stdio::null()).stderr(log).spawn().expect("the service starts")
}
