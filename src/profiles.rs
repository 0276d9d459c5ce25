//! A customer at a glance: who, how reached, where a member, what happened last.

use actix_web::get;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Caller, Scope};
use crate::customers::{Customer, Identity, identities};
use crate::error::Result;
use crate::http::reply::Plain;
use crate::http::{Path, Reply, ServiceConfig};
use crate::journal::{self, Touchpoint};
use crate::organizations::{self, Membership};

/// How many of the latest touchpoints a profile shows.
const LATEST: i64 = 20;

/// Everything a front end shows about a customer on its first page.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerProfile {
    /// The customer.
    pub customer: Customer,
    /// By what it is recognised.
    pub identities: Vec<Identity>,
    /// Where it is a member.
    pub memberships: Vec<Membership>,
    /// The latest touchpoints, newest first; at most 20.
    pub touchpoints: Vec<Touchpoint>,
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(get_customer_profile);
}

/// Get a customer's profile
///
/// All in one answer, with a fixed number of statements. It shows memberships and touchpoints, so
/// the key must be allowed to read those as well.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read", "organizations:read", "touchpoints:read"])), responses((status = 200, body = CustomerProfile)))]
#[get("/customers/{id}/profile")]
async fn get_customer_profile(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    caller.must(Scope::OrganizationsRead)?;
    caller.must(Scope::TouchpointsRead)?;
    let grant = caller.must(Scope::CustomersRead)?;
    grant
        .list(move |conn| {
            let customer = Customer::find(conn, *id)?;
            let id = customer.fields.id;
            let timeline = journal::read::of_customer(conn.workspace, id);
            Ok(Plain(CustomerProfile {
                customer,
                identities: identities::of_customer(conn, id)?,
                memberships: organizations::memberships_of(conn, id)?,
                touchpoints: journal::read::latest(conn, timeline, LATEST)?,
            }))
        })
        .await
}
