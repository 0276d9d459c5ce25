//! Everything that happens, for other systems: a feed that misses nothing and repeats nothing.

mod cursor;
mod filter;
mod stream;

use std::time::{Duration, Instant};

use actix_web::rt::time::timeout;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Caller, Scope, TokenInAddress, blocking};
use crate::customers::merge;
use crate::db::{Server, Session};
use crate::error::{Error, Result};
use crate::http::reply::{IntoReply, Plain};
use crate::http::{Query, Reply, ServiceConfig};
use crate::journal::live::{Listener, News};
use crate::journal::{Touchpoint, feed};
use cursor::Place;
use filter::{ChangeFilter, View};
pub use filter::{check_patterns, is_pattern, likes, wants};

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_changes).service(get_change_stream);
}

const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1000;
const MAX_WAIT_S: u64 = 30;

/// Where a reader without a cursor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangesFrom {
    /// With what happens from now on.
    Now,
    /// With the oldest that the feed remembers.
    Oldest,
    /// With the whole log as it is now, by time, and then with what happens; each event once.
    Snapshot,
}

/// Where to begin.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesStart {
    /// `next_cursor` of the answer before, or the id of an event of the stream. It goes on exactly
    /// there, also with another filter. 410 when what follows is no longer remembered (30 days).
    pub cursor: Option<String>,
    /// Where to begin without a cursor; `now` unless said otherwise.
    #[param(inline)]
    pub from: Option<ChangesFrom>,
}

/// How much to read, and how long to wait for it.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesPage {
    /// How many events to look at, 1 to 1000; a filter shows some of them.
    #[param(minimum = 1, maximum = 1000, default = 100, example = 100)]
    pub limit: Option<i32>,
    /// Seconds to wait for an event where there is none yet, 0 to 30.
    #[param(minimum = 0, maximum = 30, default = 0, example = 30)]
    pub wait: Option<i32>,
}

/// A part of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeList {
    /// What happened, in the order in which it became visible; of one customer in the order in which
    /// it was done. May be empty, also where `has_more` is true: then the filter showed none.
    pub data: Vec<Touchpoint>,
    /// Whether more is there already.
    pub has_more: bool,
    /// Where to go on; there always is one. Keep it with what you made of the events.
    #[schema(example = "ZgAAAAAAAAAAAAAAAQ")]
    pub next_cursor: String,
}

/// What was read, and where that ends.
struct Seen {
    shown: Vec<(Place, Touchpoint)>,
    place: Place,
}

/// Events after a place, `limit` of them looked at. What was acknowledged before is among them.
fn read(app: &App, session: &Session, place: Place, view: &mut View, limit: i64) -> Result<Seen> {
    match place {
        Place::Feed(after) => {
            feed::advance(&app.db, session.workspace)?;
            let stretch =
                app.db.read(Server::Primary, session, &|conn| feed::read(conn, after, limit))?;
            let events = stretch.events.into_iter();
            let shown = events.filter(|event| view.shows(&event.touchpoint));
            let shown = shown.map(|event| (Place::Feed(event.sequence), event.touchpoint));
            Ok(Seen { shown: shown.collect(), place: Place::Feed(stretch.upto) })
        }
        Place::Snapshot { head, after } => {
            let page = app.db.read(Server::Primary, session, &|conn| {
                feed::snapshot(conn, (head, after), view.whose(), limit)
            })?;
            let last = page.last().map(|touchpoint| touchpoint.id);
            let shown = page.into_iter().filter(|touchpoint| view.shows(touchpoint));
            let at = |it: &Touchpoint| Place::Snapshot { head, after: it.id };
            let shown = shown.map(|touchpoint| (at(&touchpoint), touchpoint)).collect();
            let on = last.map_or(Place::Feed(head), |after| Place::Snapshot { head, after });
            Ok(Seen { shown, place: on })
        }
    }
}

/// The same of what all listeners were told; nothing where the place lies before that.
fn told(news: &News, place: Place, view: &mut View, limit: i64) -> Option<Seen> {
    let Place::Feed(after) = place else { return None };
    let (events, upto) = news.since(after, limit)?;
    let events = events.into_iter().map(|told| &told.event);
    let shown = events.filter(|event| view.shows(&event.touchpoint));
    let shown = shown.map(|event| (Place::Feed(event.sequence), event.touchpoint.clone()));
    Some(Seen { shown: shown.collect(), place: Place::Feed(upto) })
}

impl ChangesStart {
    /// Where to begin: at the cursor, or where `from` says.
    fn place(&self, app: &App, session: &Session, last: Option<&str>) -> Result<Place> {
        if let Some(cursor) = last.or(self.cursor.as_deref()) {
            return Place::open(cursor, session.workspace);
        }
        let from = self.from.unwrap_or(ChangesFrom::Now);
        if !feed::advance(&app.db, session.workspace)? && from == ChangesFrom::Now {
            return Err(Error::unavailable(
                "too much is on its way into the feed to say where it ends",
            ));
        }
        app.db.read(Server::Primary, session, &|conn| {
            Ok(match from {
                ChangesFrom::Now => Place::Feed(feed::head(conn)?),
                ChangesFrom::Oldest => Place::Feed(feed::oldest(conn)?),
                ChangesFrom::Snapshot => {
                    Place::Snapshot { head: feed::head(conn)?, after: Uuid::nil() }
                }
            })
        })
    }
}

impl ChangesPage {
    fn limit(&self) -> Result<i64> {
        let limit = self.limit.map_or(DEFAULT_LIMIT, i64::from);
        match (1..=MAX_LIMIT).contains(&limit) {
            true => Ok(limit),
            false => Err(Error::parameter("limit", "`limit` must be from 1 to 1000")),
        }
    }

    fn patience(&self) -> Result<Duration> {
        match u64::try_from(self.wait.unwrap_or(0)) {
            Ok(seconds @ 0..=MAX_WAIT_S) => Ok(Duration::from_secs(seconds)),
            _ => Err(Error::parameter("wait", "`wait` must be from 0 to 30")),
        }
    }
}

/// Follow the change feed
///
/// Every touchpoint, those of state changes among them, once per cursor: begin with `from`, keep
/// `next_cursor`, and come again with it. With `wait` the answer comes as soon as there is something.
/// Waiting polls are counted with the streams (429 `too_many_listeners`), until their wait is over.
#[utoipa::path(tag = "changes", security(("bearer" = ["touchpoints:read"])), params(ChangesStart, ChangesPage, ChangeFilter), responses((status = 200, body = ChangeList), (status = 410)))]
#[get("/changes")]
async fn list_changes(
    caller: Caller,
    start: Query<ChangesStart>,
    page: Query<ChangesPage>,
    filter: Query<ChangeFilter>,
) -> Result<Reply> {
    let (app, session) = caller.must(Scope::TouchpointsRead)?.steps();
    filter.check()?;
    let (limit, patience) = (page.limit()?, page.patience()?);
    let until = Instant::now() + patience;
    let (place, view) = begin(&app, &session, start.0, None, filter.0).await?;
    let mut poll = Poll { app, session, view, limit, until };
    // What was acknowledged before is in the database, and may not have been told yet.
    let seen = poll.read(place).await?;
    let seen = if patience.is_zero() { seen } else { poll.wait(seen).await? };
    poll.answer(seen).await
}

/// Somebody who asks for a part of the feed, and how long they wait for it.
struct Poll {
    app: App,
    session: Session,
    view: View,
    limit: i64,
    until: Instant,
}

impl Poll {
    /// What the database has.
    async fn read(&mut self, place: Place) -> Result<Seen> {
        let (app, session) = (self.app.clone(), self.session.clone());
        let (mut view, limit) = (self.view.clone(), self.limit);
        let read = move || {
            let seen = read(&app, &session, place, &mut view, limit)?;
            Ok((seen, view))
        };
        let (seen, view) = blocking(read).await?;
        self.view = view;
        Ok(seen)
    }

    /// Reads on until there is something to show, or it is time to answer.
    async fn wait(&mut self, mut seen: Seen) -> Result<Seen> {
        if !seen.shown.is_empty() {
            return Ok(seen);
        }
        let mut listener = self.app.feeds.listen(&self.session)?;
        while seen.shown.is_empty() && !self.is_over(&listener) {
            let place = seen.place;
            seen = self.read_on(&mut listener, place).await?;
            if seen.shown.is_empty() && seen.place == place {
                let left = self.until.saturating_duration_since(Instant::now());
                timeout(left, listener.changed()).await.ok();
            }
        }
        Ok(seen)
    }

    /// A service that ends answers at once.
    fn is_over(&self, listener: &Listener) -> bool {
        Instant::now() >= self.until || self.app.is_draining() || listener.has_changed().is_err()
    }

    /// What comes next, from what all listeners are told or, for who is behind, from the database.
    async fn read_on(&mut self, listener: &mut Listener, place: Place) -> Result<Seen> {
        let news = listener.borrow_and_update().clone();
        match told(&news, place, &mut self.view, self.limit) {
            Some(seen) => Ok(seen),
            None => self.read(place).await,
        }
    }

    async fn answer(&self, seen: Seen) -> Result<Reply> {
        let (app, session, place) = (self.app.clone(), self.session.clone(), seen.place);
        let is_more = move |at: i64| {
            let is_whole = feed::advance(&app.db, session.workspace)?;
            let head = app.db.read(Server::Primary, &session, &|conn| feed::head(conn))?;
            Ok(!is_whole || at < head)
        };
        let has_more = match place {
            Place::Snapshot { .. } => true,
            Place::Feed(at) => blocking(move || is_more(at)).await?,
        };
        let data = seen.shown.into_iter().map(|(_, touchpoint)| touchpoint).collect();
        let next_cursor = place.close(self.session.workspace);
        let mut reply = Plain(ChangeList { data, has_more, next_cursor }).into_reply()?;
        reply.next_cursor = Some(place.close(self.session.workspace));
        Ok(reply)
    }
}

/// Stream the change feed
///
/// The same as server-sent events, for `EventSource`: each has the touchpoint as `data` and its cursor
/// as `id`. A stream lasts five minutes; a browser comes again by itself and goes on after the last id
/// (`Last-Event-ID`). At least every 15 seconds something is sent: where there is nothing to show, an
/// empty message that moves the id past what the filter hides.
///
/// A browser gives a stream up at any status but 200. So where others get 503, or 429, who accepts
/// `text/event-stream` is answered with an empty stream that says when to come again (`retry: …`).
/// 429 `too_many_listeners`: as many streams and waiting polls of the workspace are open as may be
/// (`ECRM_STREAMS_PER_WORKSPACE`).
#[utoipa::path(tag = "changes", security(("bearer" = ["touchpoints:read"])), params(ChangesStart, ChangeFilter, TokenInAddress), responses((status = 200, body = String, content_type = "text/event-stream", description = "The stream."), (status = 410)))]
#[get("/changes/stream")]
async fn get_change_stream(
    caller: Caller,
    start: Query<ChangesStart>,
    filter: Query<ChangeFilter>,
    req: HttpRequest,
) -> Result<HttpResponse> {
    let (app, session) = caller.must(Scope::TouchpointsRead)?.steps();
    filter.check()?;
    let last = req.headers().get("Last-Event-ID").and_then(|id| id.to_str().ok());
    let last = last.filter(|id| !id.is_empty()).map(str::to_owned);
    let listener = app.feeds.listen(&session)?;
    let (place, view) = begin(&app, &session, start.0, last, filter.0).await?;
    let (asked, asking, mut looking) = (app.clone(), session.clone(), view.clone());
    // A place that is gone is said at once, as an answer and not as a broken stream.
    blocking(move || read(&asked, &asking, place, &mut looking, 1).map(drop)).await?;
    Ok(stream::answer(app, session, view, listener, place))
}

/// Where a reader begins, and what it is shown from there.
async fn begin(
    app: &App,
    session: &Session,
    start: ChangesStart,
    last: Option<String>,
    filter: ChangeFilter,
) -> Result<(Place, View)> {
    let (app, session) = (app.clone(), session.clone());
    blocking(move || {
        let place = start.place(&app, &session, last.as_deref())?;
        let way = match filter.customer_id {
            None => Vec::new(),
            Some(id) => app.db.read(Server::Primary, &session, &|conn| merge::way(conn, id))?,
        };
        Ok((place, View::new(filter, way)))
    })
    .await
}
