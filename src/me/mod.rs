//! Self-service: what customers see and change of their own data, with a token that reaches nothing
//! else.

mod export;
mod orders;
mod token;
mod types;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, delete, get, patch, put};

use crate::auth::Me;
use crate::consents::ledger;
use crate::consents::preferences::{PreferenceCenter, PreferenceChoices, evidence};
use crate::customers::Customer;
use crate::error::Result;
use crate::http::reply::Plain;
use crate::http::{Found, IfMatch, Json, List, Page, Query, Reply, ServiceConfig};
use crate::journal::read;
use crate::privacy::{self, DataRequest, DataRequestKind};
use types::{MyProfile, MyProfilePatch, MyTouchpoint};

pub fn routes(api: &mut ServiceConfig) {
    api.service(token::create_customer_token)
        .service(get_my_profile)
        .service(update_my_profile)
        .service(delete_my_profile)
        .service(get_my_consents)
        .service(set_my_consents)
        .service(list_my_touchpoints)
        .service(orders::list_my_orders)
        .service(export::get_my_export)
        .service(export::create_my_export)
        .service(export::create_my_export_link);
}

/// Get my profile
#[utoipa::path(tag = "me", security(("bearer" = ["me:read"])), responses((status = 200, body = MyProfile)))]
#[get("/me")]
async fn get_my_profile(me: Me) -> Result<Reply> {
    let customer = me.customer;
    me.grant()?
        .read(move |conn| Customer::find(conn, customer).map(MyProfile::from).map(Found))
        .await
}

/// Change my profile
///
/// Email address and phone number are not among it: whoever says that one is theirs has to prove it,
/// which is the company's to ask for.
#[utoipa::path(tag = "me", security(("bearer" = ["me:write"])), responses((status = 200, body = MyProfile)))]
#[patch("/me")]
async fn update_my_profile(
    me: Me,
    if_match: IfMatch,
    patch: Json<MyProfilePatch>,
) -> Result<Reply> {
    let customer = me.customer;
    me.grant()?
        .write(move |tx| {
            let id = Customer::current_id(tx, customer)?;
            patch.to_patch().apply(tx, id, if_match).map(MyProfile::from).map(Found)
        })
        .await
}

/// Be forgotten
///
/// Everything about me goes, and cannot come back by itself. It begins at once and goes on in the
/// background; the answer is the request, which the company keeps with its certificate. My token ends
/// with it. Asked again, the answer is the same request.
#[utoipa::path(tag = "me", security(("bearer" = ["me:write"])), responses((status = 202, body = DataRequest)))]
#[delete("/me")]
async fn delete_my_profile(me: Me) -> Result<Reply> {
    let customer = me.customer;
    me.grant()?
        .write(move |tx| {
            let asked = privacy::ask_in_person(tx, customer, DataRequestKind::Erasure)?;
            Reply::json(StatusCode::ACCEPTED, &asked)
        })
        .await
}

/// Show what I agreed to
#[utoipa::path(tag = "me", security(("bearer" = ["me:read"])), responses((status = 200, body = PreferenceCenter)))]
#[get("/me/consents")]
async fn get_my_consents(me: Me) -> Result<Reply> {
    let customer = me.customer;
    me.grant()?
        .read(move |conn| {
            let customer = Customer::find_for_person(conn, customer)?;
            let all = ledger::of_customer(conn, customer)?;
            Ok(Plain(PreferenceCenter::of(&all, conn.now)))
        })
        .await
}

/// Change what I agree to
///
/// My own word: it may also end a refusal. Said twice, the second time changes nothing.
#[utoipa::path(tag = "me", security(("bearer" = ["me:write"])), responses((status = 200, body = PreferenceCenter)))]
#[put("/me/consents")]
async fn set_my_consents(
    req: HttpRequest,
    me: Me,
    choices: Json<PreferenceChoices>,
) -> Result<Reply> {
    let (customer, evidence) = (me.customer, evidence(&req));
    me.grant()?.write(move |tx| choices.record(tx, customer, &evidence).map(Plain)).await
}

/// List what happened between the company and me
///
/// Newest first. What the company noted for itself is not among it; an export has everything.
#[utoipa::path(tag = "me", security(("bearer" = ["me:read"])), params(Page), responses((status = 200, body = List<MyTouchpoint>)))]
#[get("/me/touchpoints")]
async fn list_my_touchpoints(me: Me, page: Query<Page>) -> Result<Reply> {
    let (customer, grant) = (me.customer, me.grant()?);
    let slice = page.slice(&grant, "my_touchpoints", read::SORT, &customer)?;
    grant
        .list(move |conn| {
            let customer = Customer::find_for_person(conn, customer)?;
            let workspace = conn.workspace;
            let page = read::list(conn, &slice, || read::seen_by_customer(workspace, customer))?;
            page.try_map(|touchpoint| Ok(MyTouchpoint::from(touchpoint)))
        })
        .await
}
