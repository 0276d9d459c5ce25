//! The link by which a customer gets the archive: it works once, and for a while.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::archive;
use super::requests;
use super::types::Row;
use crate::app::App;
use crate::audit;
use crate::auth::secret_text::SecretText;
use crate::auth::{Caller, Scope, blocking};
use crate::db::{Conn, Outcome, Server, Session, Tx, Via};
use crate::error::{Error, Result};
use crate::http::reply::{IntoReply, page};
use crate::http::{Path, Reply};
use crate::schema::data_requests;
use crate::workspaces;

const PREFIX: &str = "ecrm_dl_";
/// How long a link works.
const WORKS_FOR: TimeDelta = TimeDelta::hours(24);

/// A link to an archive. Whoever has it may have the archive, once.
#[derive(Debug, Serialize, ToSchema)]
pub struct DownloadLink {
    /// The address to give to the customer.
    #[schema(example = "https://crm.example.com/downloads/ecrm_dl_4Vx…")]
    pub url: String,
    /// Until when it works.
    pub expires_at: DateTime<Utc>,
}

/// Make a link to an archive
///
/// For the customer: it works once and for 24 hours, and a new one ends the one before. 409 while there
/// is no archive.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 201, body = DownloadLink)))]
#[post("/data_requests/{id}/download_links")]
pub async fn create_download_link(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsWrite)?;
    let app = grant.app().clone();
    grant.write(move |tx| issue(tx, &app.config.public_url, *id)).await
}

/// Makes the one link that works to the archive of a request.
pub fn issue(tx: &mut Tx, public_url: &str, id: Uuid) -> Result<Reply> {
    use data_requests as d;
    let row = Row::lock(tx, id)?;
    let end = row.archive_expires_at.filter(|end| *end > tx.now);
    let end = end.ok_or_else(|| {
        let detail =
            "the request has no archive: none was asked for, it is not made yet, or is over";
        Error::transition(detail, &[])
    })?;
    let expires_at = end.min(tx.now + WORKS_FOR);
    let link = SecretText::generate(PREFIX, tx.workspace.uuid());
    diesel::update(requests::of(tx.workspace).filter(d::id.eq(id)))
        .set((d::link_hash.eq(link.hash().to_vec()), d::link_expires_at.eq(expires_at)))
        .execute(tx.pg)?;
    audit::done(tx, "data_request.link_created", id)?;
    let url = format!("{public_url}/downloads/{}", link.reveal());
    let made = Reply::json(StatusCode::CREATED, &DownloadLink { url: url.clone(), expires_at })?;
    Ok(made.with("Location", url))
}

/// Show the page to download an archive
///
/// For people who follow the link: a small page with one button. Mail programs and scanners that look
/// at it do not use the link up.
#[utoipa::path(tag = "data_requests", security(()), params(("token" = String, Path, description = "The token of a download link", example = "ecrm_dl_4Vx")), responses((status = 200, body = String, content_type = "text/html", description = "A page with one button.")))]
#[get("/downloads/{token}")]
pub async fn get_download_page(req: HttpRequest, token: Path<String>) -> Result<Reply> {
    let visit = Visit::of(&req, &token)?;
    visit
        .read(move |conn, link| {
            let row = find(conn, link)?;
            let until = row.link_expires_at.map(crate::values::time::format);
            Ok(page(
                "Your data",
                &format!(
                    "<p>All that we know about you, in one file. This link works once, and until {}.\
                     </p><form method=\"post\" action=\"/downloads/{}\">\
                     <button type=\"submit\">Download</button></form>",
                    until.unwrap_or_default(),
                    *token
                ),
            ))
        })
        .await
}

/// Download an archive
///
/// A ZIP file with everything about the customer as JSON and CSV, and a manifest. Afterwards the link is
/// used up.
#[utoipa::path(tag = "data_requests", security(()), params(("token" = String, Path, description = "The token of a download link", example = "ecrm_dl_4Vx")), responses((status = 200, body = String, content_type = "application/zip", description = "The archive.")))]
#[post("/downloads/{token}")]
pub async fn download_archive(req: HttpRequest, token: Path<String>) -> Result<Reply> {
    let visit = Visit::of(&req, &token)?;
    visit
        .write(|tx, link| {
            use data_requests as d;
            let row = find(tx, link)?;
            let target = requests::of(tx.workspace)
                .filter(d::id.eq(row.id))
                .filter(d::link_hash.eq(link.hash().to_vec()));
            let used =
                diesel::update(target).set(d::link_hash.eq(None::<Vec<u8>>)).execute(tx.pg)?;
            if used == 0 {
                return Err(Error::not_found());
            }
            audit::done(tx, "data_request.downloaded", row.id)?;
            file(archive::load(tx, row.id)?, row.id)
        })
        .await
}

fn file(bytes: Vec<u8>, id: Uuid) -> Result<Reply> {
    let mut reply = Reply::empty(200);
    (reply.content_type, reply.body) = ("application/zip", bytes);
    let name = format!("attachment; filename=\"data-{id}.zip\"");
    Ok(reply.with("Content-Disposition", name).with("Referrer-Policy", "no-referrer".into()))
}

/// The request whose archive a link leads to; 404 for one that is forged, used or over.
fn find(conn: &mut Conn, link: &SecretText) -> Result<Row> {
    use data_requests as d;
    Ok(requests::of(conn.workspace)
        .filter(d::link_hash.eq(link.hash().to_vec()))
        .filter(d::link_expires_at.gt(conn.now))
        .filter(d::archive_expires_at.gt(conn.now))
        .select(Row::as_select())
        .first(conn.pg)?)
}

/// A request that carries a link.
struct Visit {
    app: App,
    link: SecretText,
    via: Via,
}

impl Visit {
    fn of(req: &HttpRequest, token: &str) -> Result<Self> {
        let app = App::of(req);
        app.limits.charge_address(req)?;
        let link = SecretText::parse(PREFIX, token).ok_or_else(Error::not_found)?;
        Ok(Self { app, link, via: Via::of(req) })
    }

    /// The workspace that the link names; whether it is right, only the stored hash knows.
    fn session(&self) -> Result<Session> {
        workspaces::session_of_link(&self.app.db, self.link.workspace(), self.via.clone())
    }

    async fn read(
        self,
        work: impl Fn(&mut Conn, &SecretText) -> Result<Reply> + Send + 'static,
    ) -> Result<Reply> {
        blocking(move || {
            let session = self.session()?;
            self.app
                .db
                .read(Server::Primary, &session, &|conn| work(conn, &self.link)?.into_reply())
        })
        .await
    }

    async fn write(
        self,
        work: impl Fn(&mut Tx, &SecretText) -> Result<Reply> + Send + 'static,
    ) -> Result<Reply> {
        blocking(move || {
            let session = self.session()?;
            self.app.db.write(&session, &|tx| work(tx, &self.link).map(Outcome::Commit))
        })
        .await
    }
}
