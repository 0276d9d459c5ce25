//! What people may ask about their own data, and the answers: an archive of everything, erasure with
//! a certificate, restriction, objection (GDPR, articles 15 to 21).

mod archive;
pub mod columns;
mod download;
mod erase;
mod readmission;
pub mod registry;
mod requests;
mod subject;
pub mod types;

use actix_web::{get, post};
use diesel::prelude::*;
use uuid::Uuid;

pub use archive::work as make_archive;
pub use download::{DownloadLink, issue as download_link};
pub use erase::{sweep, work as erase};
pub use requests::{ask_in_person, export_of, prune};
pub use types::{DataRequest, DataRequestKind, DataRequestStatus, NewDataRequest};

use crate::auth::{Caller, Scope, Scopes};
use crate::db::keyset::{SortKey, SortKind};
use crate::error::{Error, Result};
use crate::http::reply::Plain;
use crate::http::{Created, Found, IfMatch, Json, List, Page, Path, Query, Reply, ServiceConfig};
use types::{DataRequestFilter, DataRequestReason, ErasureCertificate, Row};

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_data_requests)
        .service(create_data_request)
        .service(get_data_request)
        .service(verify_data_request)
        .service(process_data_request)
        .service(complete_data_request)
        .service(reject_data_request)
        .service(extend_data_request)
        .service(lift_restriction)
        .service(get_erasure_certificate)
        .service(download::create_download_link)
        .service(readmission::readmit_identities);
}

/// What the customers themselves reach, outside `/v1` and without a credential.
pub fn public_routes(api: &mut ServiceConfig) {
    api.service(download::get_download_page).service(download::download_archive);
}

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "data_requests.id", kind: SortKind::Id },
    SortKey { name: "due_at", column: "data_requests.due_at", kind: SortKind::Time },
];

/// List data requests
///
/// `status=received,verifying,processing&sort=due_at` are those to be answered, the most urgent first.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:read"])), params(Page, DataRequestFilter), responses((status = 200, body = List<DataRequest>)))]
#[get("/data_requests")]
async fn list_data_requests(
    caller: Caller,
    page: Query<Page>,
    filter: Query<DataRequestFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsRead)?;
    let slice = page.slice(&grant, "data_requests", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.workspace);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows: Vec<Row> = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Row::as_select())
                .load(conn.pg)?;
            slice.list(rows.into_iter().map(DataRequest::from).collect(), total)
        })
        .await
}

/// Record a data request
///
/// It is due 30 days after the customer asked. With `is_verified` it is processed at once; otherwise
/// `POST …/process` does, when it is certain who asks. 409 where the customer has an open request of
/// this kind.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 201, body = DataRequest)))]
#[post("/data_requests")]
async fn create_data_request(caller: Caller, new: Json<NewDataRequest>) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsWrite)?;
    if new.is_verified {
        may_process(grant.identity().scopes, new.kind)?;
    }
    grant.write(move |tx| new.insert(tx).map(Created)).await
}

/// Get a data request
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:read"])), responses((status = 200, body = DataRequest)))]
#[get("/data_requests/{id}")]
async fn get_data_request(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsRead)?;
    grant.read(move |conn| Row::find(conn, *id).map(DataRequest::from).map(Found)).await
}

/// Ask who sent a data request
///
/// Notes that the person was asked to show who they are.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 200, body = DataRequest)))]
#[post("/data_requests/{id}/verify")]
async fn verify_data_request(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsWrite)?;
    grant.write(move |tx| requests::verify(tx, *id, if_match).map(Found)).await
}

/// Process a data request
///
/// It is certain who asks. Access and portability make an archive and erasure forgets the customer,
/// both in the background: the request is `completed` when they have. Restriction and objection hold
/// at once. For a rectification, put the record right and then `POST …/complete`. An erasure also needs
/// the scope `customers:erase`, and cannot be undone.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 200, body = DataRequest)))]
#[post("/data_requests/{id}/process")]
async fn process_data_request(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsWrite)?;
    let scopes = grant.identity().scopes;
    grant
        .write(move |tx| {
            may_process(scopes, Row::find(tx, *id)?.kind)?;
            requests::process(tx, *id, if_match).map(Found)
        })
        .await
}

/// Forgetting somebody takes a right of its own.
fn may_process(scopes: Scopes, kind: DataRequestKind) -> Result<()> {
    if kind == DataRequestKind::Erasure && !scopes.contains(Scope::CustomersErase) {
        return Err(Error::insufficient_scope(Scope::CustomersErase.as_str()));
    }
    Ok(())
}

/// Complete a rectification
///
/// Says that the record was put right. All other requests are completed by what answers them.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 200, body = DataRequest)))]
#[post("/data_requests/{id}/complete")]
async fn complete_data_request(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsWrite)?;
    grant.write(move |tx| requests::complete(tx, *id, if_match).map(Found)).await
}

/// Reject a data request
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 200, body = DataRequest)))]
#[post("/data_requests/{id}/reject")]
async fn reject_data_request(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    why: Json<DataRequestReason>,
) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsWrite)?;
    grant.write(move |tx| requests::reject(tx, *id, if_match, &why.reason).map(Found)).await
}

/// Take longer for a data request
///
/// Two months more, once, with a reason that the customer must be told (GDPR, article 12).
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 200, body = DataRequest)))]
#[post("/data_requests/{id}/extend")]
async fn extend_data_request(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    why: Json<DataRequestReason>,
) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsWrite)?;
    grant.write(move |tx| requests::extend(tx, *id, if_match, &why.reason).map(Found)).await
}

/// Lift a restriction
///
/// The customer, who must be told before, can be used again.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 200, body = DataRequest)))]
#[post("/data_requests/{id}/lift")]
async fn lift_restriction(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsWrite)?;
    grant.write(move |tx| requests::lift(tx, *id, if_match).map(Found)).await
}

/// Get the certificate of an erasure
///
/// What there was and what became of it. 404 until the erasure is completed.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:read"])), responses((status = 200, body = ErasureCertificate)))]
#[get("/data_requests/{id}/certificate")]
async fn get_erasure_certificate(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::DataRequestsRead)?;
    grant
        .read(move |conn| {
            let certificate = Row::find(conn, *id)?.certificate.ok_or_else(Error::not_found)?;
            Ok(Plain(certificate.parse::<ErasureCertificate>()?))
        })
        .await
}
