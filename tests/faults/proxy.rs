//! A proxy between the service and its database that can be told to misbehave.
//!
//! The service reaches it over TCP, it reaches Postgres over the unix socket. Each connection is
//! pumped by two threads, which ask the mode before every piece they pass on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::service::free_port;

/// Which way bytes go, seen from the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// How the proxy treats connections, those that exist and new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nobody listens. Connections that exist go on.
    Refuse,
    /// Nothing arrives, either way, until the mode ends; then all of it, as TCP would send it again.
    Blackhole,
    /// Every piece arrives later.
    Latency(Duration),
    /// The database's side of every connection ends; what the service sends is still taken.
    HalfClose,
    /// Whoever sends something is answered by RST.
    Reset,
    /// The connection that carries this byte is cut behind it; the others go on.
    CutAfter(Way, u64),
    /// The connection on which the service says this is cut: before it arrives, or once it has been
    /// answered, with the answer.
    CutAt {
        text: &'static [u8],
        arrives: bool,
    },
}

/// One connection of the service and its counterpart.
struct Link {
    service: TcpStream,
    database: UnixStream,
    is_severed: AtomicBool,
    is_reset: AtomicBool,
    /// The next answer ends the connection.
    is_doomed: AtomicBool,
}

impl Link {
    fn sever(&self) {
        self.is_severed.store(true, SeqCst);
        // An end that is gone already needs no more.
        self.service.shutdown(Shutdown::Both).unwrap_or_default();
        self.database.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

struct State {
    mode: Mode,
    /// Bytes passed since the mode was set, up and down.
    passed: [u64; 2],
    links: Vec<Weak<Link>>,
    /// Whether the listener has done what the mode asks for.
    is_applied: bool,
    is_over: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Proxy {
    pub fn start(socket: &Path) -> Self {
        let port = free_port();
        let state = State {
            mode: Mode::Pass,
            passed: [0; 2],
            links: Vec::new(),
            is_applied: false,
            is_over: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (listening, socket) = (shared.clone(), socket.to_owned());
        thread::spawn(move || listen(&listening, port, &socket));
        let proxy = Self { shared, port };
        proxy.set(Mode::Pass);
        proxy
    }

    /// What the service connects to instead of the database.
    pub fn url(&self, role: &str, database: &str) -> String {
        // Without TLS and Kerberos the bytes of a request are always as many.
        format!(
            "postgres://{role}@127.0.0.1:{}/{database}?sslmode=disable&gssencmode=disable",
            self.port
        )
    }

    /// Changes the mode and waits until it holds.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.lock();
        (state.mode, state.passed, state.is_applied) = (mode, [0; 2], false);
        if mode == Mode::HalfClose {
            for link in state.links.iter().filter_map(Weak::upgrade) {
                link.service.shutdown(Shutdown::Write).unwrap_or_default();
            }
        }
        self.shared.changed.notify_all();
        while !state.is_applied {
            state = self.shared.wait(state);
        }
    }

    /// Ends every connection that exists.
    pub fn sever(&self) {
        let links = std::mem::take(&mut self.shared.lock().links);
        links.iter().filter_map(Weak::upgrade).for_each(|link| link.sever());
        self.shared.changed.notify_all();
    }

    /// Bytes passed since the mode was set, up and down.
    pub fn passed(&self) -> [u64; 2] {
        self.shared.lock().passed
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.sever();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes of a piece may go on, and whether the connection goes on after them.
    fn admit(&self, way: Way, link: &Link, bytes: &[u8]) -> (usize, bool) {
        let mut state = self.lock();
        while state.mode == Mode::Blackhole && !link.is_severed.load(SeqCst) {
            state = self.wait(state);
        }
        if let Mode::Latency(delay) = state.mode {
            drop(state);
            thread::sleep(delay);
            state = self.lock();
        }
        let is_lost = way == Way::Down && link.is_doomed.load(SeqCst);
        let (length, goes_on) = if is_lost { (0, false) } else { state.judge(way, link, bytes) };
        state.passed[way as usize] += length as u64;
        (length, goes_on)
    }
}

impl State {
    /// Cuts a connection where the mode says so, which it does once.
    fn judge(&mut self, way: Way, link: &Link, bytes: &[u8]) -> (usize, bool) {
        let passed = self.passed[way as usize];
        match self.mode {
            Mode::CutAfter(cut, limit) if cut == way && passed + bytes.len() as u64 >= limit => {
                self.mode = Mode::Pass;
                (usize::try_from(limit - passed).unwrap(), false)
            }
            Mode::CutAt { text, arrives } if way == Way::Up && contains(bytes, text) => {
                self.mode = Mode::Pass;
                link.is_doomed.store(arrives, SeqCst);
                (if arrives { bytes.len() } else { 0 }, arrives)
            }
            _ => (bytes.len(), true),
        }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// Accepts connections for as long as the proxy lives, except while nobody is to listen.
fn listen(shared: &Arc<Shared>, port: u16, socket: &PathBuf) {
    let mut listener = None;
    loop {
        let mut state = shared.lock();
        if state.is_over {
            return;
        }
        match (state.mode, &listener) {
            (Mode::Refuse, _) => listener = None,
            (_, None) => listener = Some(bind(port)),
            _ => {}
        }
        state.is_applied = true;
        drop(state);
        shared.changed.notify_all();
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((service, _))) => connect(shared, service, socket),
            Some(Err(error)) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
            _ => thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn bind(port: u16) -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the proxy's own port");
    listener.set_nonblocking(true).expect("a listener that does not block");
    listener
}

fn connect(shared: &Arc<Shared>, service: TcpStream, socket: &PathBuf) {
    // While Postgres is away, the connection ends as if it had been refused a little late.
    let Ok(database) = UnixStream::connect(socket) else { return };
    service.set_nonblocking(false).expect("a stream that blocks");
    service.set_nodelay(true).expect("a stream without delay");
    let flag = || AtomicBool::new(false);
    let (is_severed, is_reset, is_doomed) = (flag(), flag(), flag());
    let link = Arc::new(Link { service, database, is_severed, is_reset, is_doomed });
    let mut state = shared.lock();
    state.links.retain(|known| known.strong_count() > 0);
    state.links.push(Arc::downgrade(&link));
    if state.mode == Mode::HalfClose {
        link.service.shutdown(Shutdown::Write).unwrap_or_default();
    }
    drop(state);
    let (up, down) = ((shared.clone(), link.clone()), (shared.clone(), link));
    thread::spawn(move || pump_up(&up.0, &up.1));
    thread::spawn(move || pump_down(&down.0, &down.1));
}

fn pump_up(shared: &Shared, link: &Link) {
    let mut buffer = [0; 16 * 1024];
    // Looked at before they are read: a socket closed with unread bytes in it is what sends RST.
    while matches!(link.service.peek(&mut buffer[..1]), Ok(1)) {
        if shared.lock().mode == Mode::Reset {
            link.is_reset.store(true, SeqCst);
            link.database.shutdown(Shutdown::Both).unwrap_or_default();
            return;
        }
        let Ok(length) = (&link.service).read(&mut buffer) else { break };
        let (length, goes_on) = shared.admit(Way::Up, link, &buffer[..length]);
        if (&link.database).write_all(&buffer[..length]).is_err() || !goes_on {
            break;
        }
    }
    link.sever();
}

fn pump_down(shared: &Shared, link: &Link) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = (&link.database).read(&mut buffer) {
        let (length, goes_on) = shared.admit(Way::Down, link, &buffer[..length]);
        if (&link.service).write_all(&buffer[..length]).is_err() || !goes_on {
            break;
        }
    }
    if !link.is_reset.load(SeqCst) {
        link.sever();
    }
}
