//! Those who wait for what happens next. However many they are, the database is asked once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::feed;
pub use super::news::{News, Told};
use crate::app::App;
use crate::db::{Conn, Db, Server, Session, WorkspaceId};
use crate::error::{Code, Error, Rejection, Result};

/// How often is looked for something new: how late a listener learns of it at most.
const EVERY: Duration = Duration::from_millis(100);
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// Events that are read at once, and how often for one feed before the others have their turn.
const MOST: i64 = 1000;
const STRETCHES: usize = 4;
/// When somebody may try again for whom there was no place: polls last half a minute at most.
const FULL_FOR_S: u64 = 30;

/// What one listener watches; an error means that the service ends.
pub type Listener = watch::Receiver<Arc<News>>;

/// The feeds that somebody listens to.
pub struct Feeds {
    /// Nothing any more once the service ends.
    heard: Mutex<Option<HashMap<WorkspaceId, Feed>>>,
    /// How many may listen to one feed.
    most: usize,
}

struct Feed {
    session: Session,
    news: watch::Sender<Arc<News>>,
}

impl Feeds {
    pub fn new(most: usize) -> Self {
        Self { heard: Mutex::new(Some(HashMap::new())), most }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<WorkspaceId, Feed>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to the feed of a workspace, unless too many do; of a service that ends, for no time.
    pub fn listen(&self, session: &Session) -> Result<Listener> {
        let mut feeds = self.lock();
        let Some(feeds) = feeds.as_mut() else { return Ok(watch::channel(Arc::default()).1) };
        let feed = feeds.entry(session.workspace).or_insert_with(|| Feed {
            session: session.clone(),
            news: watch::Sender::new(Arc::default()),
        });
        match feed.news.receiver_count() < self.most {
            true => Ok(feed.news.subscribe()),
            false => Err(self.full()),
        }
    }

    fn full(&self) -> Error {
        let most = self.most;
        let detail = format!(
            "{most} streams and polls of this workspace are open; try again in {FULL_FOR_S} s"
        );
        let mut rejection = Rejection::new(Code::TOO_MANY_LISTENERS, detail);
        rejection.retry_after_s = Some(FULL_FOR_S);
        Error::Problem(Box::new(rejection))
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        let feeds = self.lock();
        feeds.iter().flatten().map(|(_, feed)| feed.news.receiver_count()).sum()
    }

    /// Forgets feeds that nobody listens to; the others, with what they were told.
    fn heard(&self) -> HashMap<WorkspaceId, (Session, Arc<News>)> {
        let mut feeds = self.lock();
        let Some(feeds) = feeds.as_mut() else { return HashMap::new() };
        feeds.retain(|_, feed| feed.news.receiver_count() > 0);
        let state = |feed: &Feed| (feed.session.clone(), feed.news.borrow().clone());
        feeds.iter().map(|(workspace, feed)| (*workspace, state(feed))).collect()
    }

    /// Lets the listeners of a feed have what is known now; they are woken where that is more.
    fn tell(&self, workspace: WorkspaceId, news: News) {
        let feeds = self.lock();
        if let Some(feed) = feeds.as_ref().and_then(|feeds| feeds.get(&workspace)) {
            feed.news.send_if_modified(|known| {
                let is_more = news.upto() > known.upto();
                *known = Arc::new(news);
                is_more
            });
        }
    }

    /// Lets all listeners go.
    fn close(&self) {
        *self.lock() = None;
    }
}

/// Starts the thread that brings feeds forward and passes on what is new; it ends when the app drains.
pub fn start(app: App) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("feed".into()).spawn(move || {
        let mut turn = WorkspaceId::FIRST;
        while !app.is_draining() {
            if let Err(error) = round(&app, &mut turn) {
                log::warn!("feed: {error}");
                std::thread::sleep(AFTER_AN_ERROR);
            }
            std::thread::sleep(EVERY);
        }
        app.feeds.close();
    })
}

/// Bringing feeds forward is work like jobs; a process that leaves that to others does it for its own
/// listeners.
fn round(app: &App, turn: &mut WorkspaceId) -> Result<()> {
    let (db, feeds) = (&app.db, &app.feeds);
    let heard = feeds.heard();
    if app.config.run_jobs || !heard.is_empty() {
        *turn = feed::advance_all(db, *turn)?;
    }
    if heard.is_empty() {
        return Ok(());
    }
    let workspaces: Vec<WorkspaceId> = heard.keys().copied().collect();
    let heads = db.system(|pg| feed::heads(pg, &workspaces))?;
    for (workspace, (session, known)) in heard {
        let head = heads.get(&workspace).copied().unwrap_or(0);
        match news(db, &session, &known, head) {
            Ok(Some(news)) => feeds.tell(workspace, news),
            Ok(None) => {}
            Err(error) => feed::leave_others_alone(workspace, error)?,
        }
    }
    Ok(())
}

/// What is known of a feed now, where that is something else than before. Of one that was told nothing
/// yet it is just how far it is; of one that is far ahead the beginning, and the rest in the next rounds:
/// all listeners have it from here, and nobody asks the database for it.
fn news(db: &Db, session: &Session, known: &News, head: i64) -> Result<Option<News>> {
    if known.upto() == 0 {
        return Ok((head > 0).then(|| News::at(head)));
    }
    let mut news = known.clone();
    let mut is_other = news.forget();
    for _ in 0..STRETCHES {
        let (told, left) = (news.upto(), head - news.upto());
        if left <= 0 {
            break;
        }
        let read = |conn: &mut Conn| feed::read(conn, told, left.min(MOST));
        news.add(db.read(Server::Primary, session, &read)?)?;
        is_other = true;
    }
    Ok(is_other.then_some(news))
}
