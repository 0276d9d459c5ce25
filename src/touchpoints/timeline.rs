//! What happened, newest first: with one customer, one organization, or everybody.

use actix_web::get;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::auth::{Caller, Scope};
use crate::customers::{Customer, merge};
use crate::db::{Conn, WorkspaceId, id};
use crate::error::Result;
use crate::http::{AnyOf, Exact, List, Page, Path, Query, Reply};
use crate::journal::read::{self, Question, SORT};
use crate::journal::{Direction, Touchpoint};
use crate::organizations::Organization;
use crate::schema::touchpoints;

/// Which touchpoints to show; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineFilter {
    /// Any of these types.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub r#type: AnyOf<Exact>,
    /// On any of these channels.
    #[serde(default)]
    #[param(value_type = Option<Vec<Uuid>>, style = Form, explode = false)]
    pub channel_id: AnyOf<Uuid>,
    /// Only those that went this way.
    #[param(inline)]
    pub direction: Option<Direction>,
    /// From any of these systems.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub source: AnyOf<String>,
    /// Happened at or after this time.
    pub occurred_at_gte: Option<DateTime<Utc>>,
    /// Happened before this time.
    pub occurred_at_lt: Option<DateTime<Utc>>,
}

/// Whose touchpoints to show, among all.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TouchpointFilter {
    /// Of this customer; for the id of a merged one, of the survivor.
    pub customer_id: Option<Uuid>,
    /// Of this organization.
    pub organization_id: Option<Uuid>,
    /// Of this browser or app, before anybody knew whose it was.
    #[param(max_length = 255)]
    pub anonymous_id: Option<String>,
}

impl TouchpointFilter {
    /// The same of the survivor, where the customer was merged.
    pub fn led(self, conn: &mut Conn) -> Result<Self> {
        let Some(id) = self.customer_id else { return Ok(self) };
        let survivor = merge::survivor(conn, id)?;
        Ok(Self { customer_id: Some(survivor.unwrap_or(id)), ..self })
    }

    /// The touchpoints of whoever is named.
    pub fn apply(&self, workspace: WorkspaceId) -> Question {
        let mut question = read::all(workspace);
        if let Some(customer) = self.customer_id {
            question = question.filter(touchpoints::customer_id.eq(customer));
        }
        if let Some(organization) = self.organization_id {
            question = question.filter(touchpoints::organization_id.eq(organization));
        }
        if let Some(anonymous) = &self.anonymous_id {
            question = question.filter(touchpoints::anonymous_id.eq(anonymous.clone()));
        }
        question
    }
}

impl TimelineFilter {
    /// Those of a question that are asked for.
    pub fn apply(&self, mut question: Question) -> Question {
        if let Some(kinds) = self.r#type.texts() {
            question = question.filter(touchpoints::type_.eq_any(kinds));
        }
        if let Some(channels) = self.channel_id.given() {
            question = question.filter(touchpoints::channel_id.eq_any(channels.clone()));
        }
        if let Some(direction) = self.direction {
            question = question.filter(touchpoints::direction.eq(direction));
        }
        if let Some(sources) = self.source.given() {
            question = question.filter(touchpoints::source.eq_any(sources.clone()));
        }
        if let Some(from) = self.occurred_at_gte {
            question = question.filter(touchpoints::id.ge(id::floor(from)));
        }
        if let Some(until) = self.occurred_at_lt {
            question = question.filter(touchpoints::id.lt(id::floor(until)));
        }
        question
    }
}

/// List touchpoints
#[utoipa::path(tag = "touchpoints", security(("bearer" = ["touchpoints:read"])), params(Page, TouchpointFilter, TimelineFilter), responses((status = 200, body = List<Touchpoint>)))]
#[get("/touchpoints")]
pub async fn list_touchpoints(
    caller: Caller,
    page: Query<Page>,
    whose: Query<TouchpointFilter>,
    filter: Query<TimelineFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::TouchpointsRead)?;
    let slice = page.slice(&grant, "touchpoints", SORT, &(&whose.0, &filter.0))?;
    grant
        .list(move |conn| {
            let (workspace, whose) = (conn.workspace, whose.0.clone().led(conn)?);
            read::list(conn, &slice, || filter.apply(whose.apply(workspace)))
        })
        .await
}

/// List a customer's timeline
///
/// Newest first; `sort=occurred_at` begins at the beginning.
#[utoipa::path(tag = "touchpoints", security(("bearer" = ["touchpoints:read"])), params(Page, TimelineFilter), responses((status = 200, body = List<Touchpoint>)))]
#[get("/customers/{id}/timeline")]
pub async fn list_customer_timeline(
    caller: Caller,
    id: Path<Uuid>,
    page: Query<Page>,
    filter: Query<TimelineFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::TouchpointsRead)?;
    let slice = page.slice(&grant, "customer_timeline", SORT, &(*id, &filter.0))?;
    grant
        .list(move |conn| {
            let customer = Customer::current_id(conn, *id)?;
            let workspace = conn.workspace;
            read::list(conn, &slice, || filter.apply(read::of_customer(workspace, customer)))
        })
        .await
}

/// List an organization's timeline
#[utoipa::path(tag = "touchpoints", security(("bearer" = ["touchpoints:read"])), params(Page, TimelineFilter), responses((status = 200, body = List<Touchpoint>)))]
#[get("/organizations/{id}/timeline")]
pub async fn list_organization_timeline(
    caller: Caller,
    id: Path<Uuid>,
    page: Query<Page>,
    filter: Query<TimelineFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::TouchpointsRead)?;
    let slice = page.slice(&grant, "organization_timeline", SORT, &(*id, &filter.0))?;
    grant
        .list(move |conn| {
            Organization::must_exist(conn, *id)?;
            let workspace = conn.workspace;
            read::list(conn, &slice, || filter.apply(read::of_organization(workspace, *id)))
        })
        .await
}
