//! Those who wait for what happens next. However many they are, the database is asked once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::feed::{self, Event};
use crate::app::App;
use crate::db::{Db, Server, Session, WorkspaceId};
use crate::error::Result;

/// How often is looked for something new: how late a listener learns of it at most.
const EVERY: Duration = Duration::from_millis(100);
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// Events that are passed on at once; who is farther behind reads them for himself.
const MOST: i64 = 1000;

/// The last stretch of a feed, as all its listeners get it.
#[derive(Debug, Default)]
pub struct News {
    /// The place before the first event.
    pub after: i64,
    /// The place of the last.
    pub upto: i64,
    pub events: Vec<Told>,
}

/// An event, written once for all.
#[derive(Debug)]
pub struct Told {
    pub event: Event,
    pub json: String,
}

impl Told {
    /// The touchpoint as the API shows it.
    pub fn of(event: Event) -> Result<Self> {
        let json = serde_json::to_string(&event.touchpoint)
            .map_err(|error| crate::error::Error::internal(error.to_string()))?;
        Ok(Self { event, json })
    }
}

/// What one listener watches; an error means that the service ends.
pub type Listener = watch::Receiver<Arc<News>>;

/// The feeds that somebody listens to.
#[derive(Default)]
pub struct Feeds(Mutex<HashMap<WorkspaceId, Feed>>);

struct Feed {
    session: Session,
    news: watch::Sender<Arc<News>>,
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Feed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to the feed of a workspace.
    pub fn listen(&self, session: &Session) -> Listener {
        let mut feeds = self.lock();
        let feed = feeds.entry(session.workspace).or_insert_with(|| Feed {
            session: session.clone(),
            news: watch::Sender::new(Arc::default()),
        });
        feed.news.subscribe()
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.lock().values().map(|feed| feed.news.receiver_count()).sum()
    }

    /// Forgets feeds that nobody listens to; the others, with the places up to which they were told.
    fn heard(&self) -> HashMap<WorkspaceId, (Session, i64)> {
        let mut feeds = self.lock();
        feeds.retain(|_, feed| feed.news.receiver_count() > 0);
        let state = |feed: &Feed| (feed.session.clone(), feed.news.borrow().upto);
        feeds.iter().map(|(workspace, feed)| (*workspace, state(feed))).collect()
    }

    fn tell(&self, workspace: WorkspaceId, news: News) {
        if let Some(feed) = self.lock().get(&workspace) {
            feed.news.send_replace(Arc::new(news));
        }
    }

    /// Lets all listeners go.
    fn close(&self) {
        self.lock().clear();
    }
}

/// Starts the thread that brings feeds forward and passes on what is new; it ends when the app drains.
pub fn start(app: App) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("feed".into()).spawn(move || {
        while !app.is_draining() {
            if let Err(error) = round(&app) {
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
fn round(app: &App) -> Result<()> {
    let (db, feeds) = (&app.db, &app.feeds);
    let heard = feeds.heard();
    if app.config.run_jobs || !heard.is_empty() {
        feed::advance_all(db)?;
    }
    if heard.is_empty() {
        return Ok(());
    }
    let workspaces: Vec<WorkspaceId> = heard.keys().copied().collect();
    let heads = db.system(|pg| feed::heads(pg, &workspaces))?;
    for (workspace, (session, told)) in heard {
        let head = heads.get(&workspace).copied().unwrap_or(0);
        if head > told {
            feeds.tell(workspace, news(db, &session, told, head)?);
        }
    }
    Ok(())
}

/// What is new since `told`; of a feed that was told nothing yet, or is far ahead, just how far it is.
fn news(db: &Db, session: &Session, told: i64, head: i64) -> Result<News> {
    if told == 0 || head - told > MOST {
        return Ok(News { after: head, upto: head, events: Vec::new() });
    }
    let stretch = db.read(Server::Primary, session, &|conn| feed::read(conn, told, head - told))?;
    let events = stretch.events.into_iter().map(Told::of).collect::<Result<_>>()?;
    Ok(News { after: told, upto: stretch.upto, events })
}
