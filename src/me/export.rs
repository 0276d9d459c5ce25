//! Everything about me, in one file.

use actix_web::http::StatusCode;
use actix_web::{get, post};

use crate::auth::Me;
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::http::{Found, Reply};
use crate::privacy::{self, DataRequest, DataRequestKind, DownloadLink};

/// Ask for everything about me
///
/// The archive is made in the background: `GET /v1/me/export` says when it is there. While one is being
/// made, or can be had, the answer is that one.
#[utoipa::path(tag = "me", security(("bearer" = ["me:write"])), responses((status = 202, body = DataRequest)))]
#[post("/me/export")]
pub async fn create_my_export(me: Me) -> Result<Reply> {
    let customer = me.customer;
    me.grant()?
        .write(move |tx| {
            let id = Customer::lock_for_person(tx, customer)?;
            let asked = match privacy::export_of(tx, id)? {
                Some(known) => known,
                None => privacy::ask_in_person(tx, customer, DataRequestKind::Access)?,
            };
            Reply::json(StatusCode::ACCEPTED, &asked)
        })
        .await
}

/// See how far my export is
///
/// 404 where I have asked for none, or it is over.
#[utoipa::path(tag = "me", security(("bearer" = ["me:read"])), responses((status = 200, body = DataRequest), (status = 404)))]
#[get("/me/export")]
pub async fn get_my_export(me: Me) -> Result<Reply> {
    let customer = me.customer;
    me.grant()?
        .read(move |conn| {
            let id = Customer::find_for_person(conn, customer)?;
            let known = privacy::export_of(conn, id)?;
            known.ok_or_else(Error::not_found).map(Found)
        })
        .await
}

/// Make a link to my export
///
/// It works once and for 24 hours, and a new one ends the one before. 404 while there is no archive.
#[utoipa::path(tag = "me", security(("bearer" = ["me:write"])), responses((status = 201, body = DownloadLink), (status = 404)))]
#[post("/me/export/link")]
pub async fn create_my_export_link(me: Me) -> Result<Reply> {
    let (customer, grant) = (me.customer, me.grant()?);
    let app = grant.app().clone();
    grant
        .write(move |tx| {
            let id = Customer::lock_for_person(tx, customer)?;
            let known = privacy::export_of(tx, id)?.ok_or_else(Error::not_found)?;
            privacy::download_link(tx, &app.config.public_url, known.id)
        })
        .await
}
