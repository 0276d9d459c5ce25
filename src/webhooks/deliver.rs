//! Sending: one desk that hands messages out and notes what became of them, and many hands that wait
//! for answers.
//!
//! The desk alone talks to the database, so that slow endpoints never take connections from callers;
//! no transaction is open while a message is under way. It takes no more than there are free hands,
//! so nothing that was taken waits.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::Utc;
use uuid::Uuid;

use super::aside::STACK_BYTES;
use super::fan_out::fan_out_all;
use super::queue::{self, Due, Taken, Waiting};
use super::settle::{self, Sent};
use super::shares::Shares;
use crate::app::App;
use crate::crypto::random;
use crate::db::{Outcome, Session, WorkspaceId};
use crate::error::{Error, Result};
use crate::workspaces;

/// How many messages are under way at a time. Their threads wait, and are made when they are needed.
const HANDS: usize = 128;
/// Hands of a workspace's share that are kept for endpoints to which nothing is under way: a few slow
/// ones never have all.
const KEPT_FREE: usize = 8;
/// How long the desk rests when there was something to do, and when not.
const BUSY: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(1);
/// How often the feed is looked at, at most.
const FEED_EVERY: Duration = Duration::from_millis(100);
/// For what else came back while it was woken.
const GATHER: Duration = Duration::from_millis(5);
/// How often interrupted work and figures are looked at.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts sending; it ends when the app drains and everything under way has come back.
pub fn start(app: App) -> std::io::Result<JoinHandle<()>> {
    let mut desk = Desk::open(app);
    std::thread::Builder::new().name("webhooks".into()).spawn(move || desk.run())
}

/// A message on its way out.
struct Task {
    session: Session,
    endpoint: Uuid,
    taken: Taken,
}

/// A message with its answer.
struct Done {
    session: Session,
    endpoint: Uuid,
    sent: Sent,
}

struct Desk {
    app: App,
    /// How many threads carry messages: as many as were ever under way at a time.
    hands: usize,
    out: Sender<Task>,
    /// What each of them takes from and brings back to.
    tasks: Arc<Mutex<Receiver<Task>>>,
    results: Sender<Done>,
    back: Receiver<Done>,
    /// Whose messages the hands carry, live and test data of a workspace together.
    shares: Shares,
    /// How many messages are under way to each endpoint.
    under_way: HashMap<Uuid, usize>,
    /// What came back and is not noted yet.
    done: Vec<Done>,
    /// Endpoints that had nothing more to hand out a moment ago, until when.
    resting: HashMap<Uuid, Instant>,
    /// In whose name the service works in each workspace.
    sessions: HashMap<WorkspaceId, Session>,
    /// In which order endpoints have their turn; another each time, and in each process.
    draw: i64,
    told_at: Option<Instant>,
    upkeep_at: Instant,
}

impl Desk {
    fn open(app: App) -> Self {
        let (out, tasks) = mpsc::channel();
        let (results, back) = mpsc::channel();
        Self {
            app,
            hands: 0,
            out,
            tasks: Arc::new(Mutex::new(tasks)),
            results,
            back,
            shares: Shares::of(HANDS),
            under_way: HashMap::new(),
            done: Vec::new(),
            resting: HashMap::new(),
            sessions: HashMap::new(),
            draw: i64::from_le_bytes(random()),
            told_at: None,
            upkeep_at: Instant::now(),
        }
    }

    /// Errors are logged and waited out: sending outlives its database.
    fn run(&mut self) {
        let mut rest = Duration::ZERO;
        while !self.is_over() {
            self.gather(rest);
            rest = match self.round() {
                Ok(true) => BUSY,
                Ok(false) => IDLE,
                Err(error) => {
                    log::warn!("webhooks: {error}");
                    IDLE
                }
            };
        }
    }

    /// What is not noted when the time to stop is over is sent again by others.
    fn is_over(&self) -> bool {
        self.app.is_draining() && self.under_way.is_empty()
    }

    /// Waits for answers, or until it is time to look for something new.
    fn gather(&mut self, rest: Duration) {
        match self.back.recv_timeout(rest) {
            Ok(done) => self.done.push(done),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
        std::thread::sleep(GATHER);
        self.done.extend(self.back.try_iter());
    }

    /// Notes what came back and hands out what is due; whether there was anything to do.
    fn round(&mut self) -> Result<bool> {
        let noted = self.note();
        if self.app.is_draining() {
            return Ok(true);
        }
        self.keep_up()?;
        let told = self.tell()?;
        let handed = self.hand_out()?;
        Ok(noted || told || handed)
    }

    /// Looks for what happened, not each time that a message comes back.
    fn tell(&mut self) -> Result<bool> {
        if self.told_at.is_some_and(|at| at.elapsed() < FEED_EVERY) {
            return Ok(false);
        }
        let told = fan_out_all(&self.app)?;
        self.told_at = Some(Instant::now());
        Ok(told)
    }

    fn keep_up(&mut self) -> Result<()> {
        if Instant::now() < self.upkeep_at {
            return Ok(());
        }
        self.upkeep_at = Instant::now() + UPKEEP;
        let now = Utc::now();
        self.app.db.system(|pg| queue::release_expired(pg, now))?;
        let Waiting { pending, oldest } = self.app.db.system(queue::waiting)?;
        let age = oldest.map_or(0, |at| (now - at).num_seconds().max(0));
        self.app.metrics.webhooks_waiting(pending, age);
        Ok(())
    }

    /// Notes what came back, endpoint by endpoint. What cannot be noted is tried again until its lease
    /// is over, or the time to stop has come; then others have it.
    fn note(&mut self) -> bool {
        let any = !self.done.is_empty();
        let mut left = Vec::new();
        while let Some(first) = self.done.first() {
            let (session, endpoint) = (first.session.clone(), first.endpoint);
            let (of_endpoint, others): (Vec<Done>, Vec<Done>) =
                self.done.drain(..).partition(|done| done.endpoint == endpoint);
            self.done = others;
            let sent: Vec<Sent> = of_endpoint.into_iter().map(|done| done.sent).collect();
            let noted = self
                .app
                .db
                .write(&session, &|tx| settle::finish(tx, endpoint, &sent).map(Outcome::Commit));
            match noted {
                Ok(outcomes) => {
                    self.came_back(&session, endpoint, sent.len());
                    outcomes.into_iter().for_each(|one| self.app.metrics.webhook(one.as_str()));
                }
                Err(error) => {
                    log::warn!("webhook endpoint {endpoint}: {error}");
                    let done = |sent| Done { session: session.clone(), endpoint, sent };
                    left.extend(sent.into_iter().map(done));
                }
            }
        }
        let is_stopping = self.app.is_draining();
        let is_over = |done: &Done| is_stopping || settle::is_lease_over(&done.sent, Utc::now());
        let (over, left): (Vec<Done>, Vec<Done>) = left.into_iter().partition(is_over);
        self.done = left;
        over.into_iter().for_each(|done| self.came_back(&done.session, done.endpoint, 1));
        any
    }

    fn came_back(&mut self, session: &Session, endpoint: Uuid, n: usize) {
        self.resting.remove(&endpoint);
        (0..n).for_each(|_| self.shares.give_back(session.home));
        if let Some(count) = self.under_way.get_mut(&endpoint) {
            *count = count.saturating_sub(n);
            if *count == 0 {
                self.under_way.remove(&endpoint);
            }
        }
    }

    fn hand_out(&mut self) -> Result<bool> {
        if self.shares.taken() == HANDS {
            return Ok(false);
        }
        self.draw = self.draw.wrapping_add(1);
        let (draw, now) = (self.draw, Instant::now());
        self.resting.retain(|_, until| *until > now);
        let due = self.app.db.system(|pg| queue::due(pg, draw, Utc::now()))?;
        let mut any = false;
        for Due { workspace_id, id } in due {
            if self.resting.contains_key(&id) {
                continue;
            }
            match self.serve(workspace_id, id) {
                Ok(handed) => any |= handed,
                // What is wrong with one endpoint must not stop the others.
                Err(error) => {
                    log::warn!("webhook endpoint {id}: {error}");
                    self.resting.insert(id, Instant::now() + IDLE);
                }
            }
        }
        Ok(any)
    }

    /// Hands out what an endpoint has, as far as there is room.
    fn serve(&mut self, workspace: WorkspaceId, endpoint: Uuid) -> Result<bool> {
        let session = self.session(workspace)?;
        let room = self.room(&session, endpoint);
        if room == 0 {
            return Ok(false);
        }
        let most = i64::try_from(room).unwrap_or(i64::MAX);
        let taken = self
            .app
            .db
            .write(&session, &|tx| queue::claim(tx, endpoint, most).map(Outcome::Commit))?;
        if taken.len() < room {
            self.resting.insert(endpoint, Instant::now() + BUSY);
        }
        let any = !taken.is_empty();
        for taken in taken {
            *self.under_way.entry(endpoint).or_default() += 1;
            self.shares.take(session.home);
            self.man();
            let task = Task { session: session.clone(), endpoint, taken };
            let gone = |_| Error::internal("nobody is left to send webhooks");
            self.out.send(task).map_err(gone)?;
        }
        Ok(any)
    }

    /// Sees to it that there is a hand for each message under way. Without another thread the
    /// message waits for one of those that there are.
    fn man(&mut self) {
        if self.shares.taken() <= self.hands {
            return;
        }
        let (app, tasks, results) = (self.app.clone(), self.tasks.clone(), self.results.clone());
        let hand = std::thread::Builder::new().name("webhook".into()).stack_size(STACK_BYTES);
        match hand.spawn(move || carry(&app, &tasks, &results)) {
            Ok(_) => self.hands += 1,
            Err(error) => log::warn!("no thread for webhooks: {error}"),
        }
    }

    fn session(&mut self, workspace: WorkspaceId) -> Result<Session> {
        if let Some(known) = self.sessions.get(&workspace) {
            return Ok(known.clone());
        }
        let session = self.app.db.system(|pg| workspaces::own_session(pg, workspace))?;
        self.sessions.insert(workspace, session.clone());
        Ok(session)
    }

    /// How many messages an endpoint may be handed: one where it has none, more while many hands are
    /// left of its workspace's share.
    fn room(&self, session: &Session, endpoint: Uuid) -> usize {
        let left = self.shares.room(session.home);
        let first = usize::from(!self.under_way.contains_key(&endpoint)).min(left);
        first.max(left.saturating_sub(KEPT_FREE))
    }
}

/// Carries one message after the other, until the desk is closed.
fn carry(app: &App, tasks: &Mutex<Receiver<Task>>, results: &Sender<Done>) {
    let next = || tasks.lock().ok()?.recv().ok();
    while let Some(Task { session, endpoint, taken }) = next() {
        let answer = taken.message.send(&app.outbound);
        let done = Done { session, endpoint, sent: Sent { taken, answer } };
        if results.send(done).is_err() {
            return;
        }
    }
}
