//! Files as answers: sent while they are read, a page at a time, whatever their size.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::stream::unfold;

use crate::app::App;
use crate::auth::blocking;
use crate::db::{Conn, Server, Session};
use crate::error::Result;

/// What a browser is told of a file.
pub struct File {
    pub content_type: &'static str,
    pub name: String,
}

/// Answers with what `next` reads, from one place to the next, until it reads nothing. A failure on the
/// way cuts the answer off, so that nobody takes a part for the whole.
pub fn answer<P: Copy + Send + 'static>(
    app: App,
    session: Session,
    file: File,
    first: P,
    next: impl Fn(&mut Conn, P) -> Result<Option<(Vec<u8>, P)>> + Clone + Send + 'static,
) -> HttpResponse {
    let pages = unfold(Some(first), move |place| {
        let (app, session, next) = (app.clone(), session.clone(), next.clone());
        async move {
            let place = place?;
            let read =
                blocking(move || app.db.read(Server::Primary, &session, &|conn| next(conn, place)));
            match read.await {
                Ok(None) => None,
                Ok(Some((bytes, place))) => Some((Ok(Bytes::from(bytes)), Some(place))),
                Err(error) => {
                    log::warn!("a file was cut off: {error}");
                    Some((Err(error), None))
                }
            }
        }
    });
    let disposition = format!("attachment; filename=\"{}\"", file.name);
    HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .streaming(Box::pin(pages))
}
