//! The feed as server-sent events (WHATWG HTML, 9.2): what a browser reads with `EventSource`.

use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use futures_util::stream::unfold;

use super::filter::View;
use super::{Place, Seen, read};
use crate::app::App;
use crate::auth::blocking;
use crate::db::{Session, WorkspaceId};
use crate::error::{Error, Result};
use crate::journal::live::Listener;

/// What an idle stream says something after, so that nobody on the way takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a stream lasts. Its reader comes again by itself, and then its credential is looked at
/// again: so long at most does a stream go on whose key was revoked.
const LASTS: Duration = Duration::from_secs(300);
/// Milliseconds after which a reader comes again.
const RETRY_MS: u32 = 1000;
/// Events read at once.
const EVENTS: i64 = 500;

struct Reader {
    app: App,
    session: Session,
    view: View,
    place: Place,
    listener: Listener,
    ends_at: Instant,
    /// When the reader heard of us; nothing where it did not yet.
    sent_at: Option<Instant>,
    is_over: bool,
}

/// Streams what lies after `place`, and then what happens, until it is time to come again.
pub fn answer(
    app: App,
    session: Session,
    view: View,
    listener: Listener,
    place: Place,
) -> HttpResponse {
    let reader = Reader {
        app,
        session,
        view,
        place,
        listener,
        ends_at: Instant::now() + LASTS,
        sent_at: None,
        is_over: false,
    };
    let events = unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(None) => None,
            Ok(Some(text)) => {
                reader.sent_at = Some(Instant::now());
                Some((Ok::<_, Error>(Bytes::from(text)), Some(reader)))
            }
            Err(error) => {
                log::warn!("a stream was cut off: {error}");
                Some((Err(error), None))
            }
        }
    });
    HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Compression and buffers on the way would keep events back.
        .insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("identity")))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(Box::pin(events))
}

impl Reader {
    /// The next piece of the stream; nothing where it is over. Whoever is shown nothing is told how far
    /// we are: page by page while they are behind, before they take us for dead, and at the end.
    async fn next(&mut self) -> Result<Option<String>> {
        let Some(sent_at) = self.sent_at else {
            return Ok(Some(format!("retry: {RETRY_MS}\n{}", self.mark())));
        };
        while !self.must_end() {
            let text = match self.told() {
                Some(text) => text,
                None => self.read().await?,
            };
            if !text.is_empty() {
                return Ok(Some(text));
            }
            let silence = sent_at.elapsed();
            if self.is_behind() || silence >= HEARTBEAT {
                return Ok(Some(self.mark()));
            }
            let left = self.ends_at.saturating_duration_since(Instant::now());
            timeout(left.min(HEARTBEAT - silence), self.listener.changed()).await.ok();
        }
        let is_told = std::mem::replace(&mut self.is_over, true);
        Ok((!is_told).then(|| self.mark()))
    }

    /// Whether it is time to come again, or the service ends and the reader finds another.
    fn must_end(&self) -> bool {
        let is_ending = self.app.is_draining() || self.listener.has_changed().is_err();
        is_ending || Instant::now() >= self.ends_at
    }

    /// Moves the reader's last id without an event, past what its filter hides.
    fn mark(&self) -> String {
        format!("id: {}\n\n", self.place.close(self.session.workspace))
    }

    /// Whether something is known that was not looked at.
    fn is_behind(&self) -> bool {
        match self.place {
            Place::Snapshot { .. } => true,
            Place::Feed(at) => at < self.listener.borrow().upto(),
        }
    }

    /// What all listeners are told, where that begins no later than what this one has seen.
    fn told(&mut self) -> Option<String> {
        let Place::Feed(at) = self.place else { return None };
        let news = self.listener.borrow_and_update().clone();
        let (events, upto) = news.since(at, EVENTS)?;
        let events = events.into_iter();
        let shown = events.filter(|told| self.view.shows(&told.event.touchpoint));
        let workspace = self.session.workspace;
        let text = shown.map(|told| event(workspace, Place::Feed(told.event.sequence), &told.json));
        let text = text.collect();
        self.place = Place::Feed(upto);
        Some(text)
    }

    /// What the database has, for who is behind.
    async fn read(&mut self) -> Result<String> {
        let (app, session, place) = (self.app.clone(), self.session.clone(), self.place);
        let mut view = self.view.clone();
        let read = move || {
            let seen = read(&app, &session, place, &mut view, EVENTS)?;
            Ok((seen, view))
        };
        let (Seen { shown, place }, view) = blocking(read).await?;
        (self.place, self.view) = (place, view);
        let texts = shown.into_iter().map(|(place, touchpoint)| {
            let json = serde_json::to_string(&touchpoint)
                .map_err(|error| Error::internal(error.to_string()))?;
            Ok(event(self.session.workspace, place, &json))
        });
        texts.collect()
    }
}

fn event(workspace: WorkspaceId, place: Place, json: &str) -> String {
    format!("id: {}\ndata: {json}\n\n", place.close(workspace))
}
