//! How far a customer has come, and what its fields were before.

use actix_web::{get, put};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use super::types::LifecycleStage;
use super::{Customer, CustomerPatch, customer_change, of};
use crate::auth::{Caller, Scope};
use crate::db::Tx;
use crate::db::keyset::{SortKey, SortKind};
use crate::error::Result;
use crate::http::{Found, IfMatch, Json, Page, Path, Query, Reply};
use crate::journal;
use crate::schema::customers;

/// A manual move to a lifecycle stage.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLifecycleStage {
    /// The stage to move to, forward or back.
    pub lifecycle_stage: LifecycleStage,
}

/// One change of one field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldChange {
    /// The touchpoint that records the change.
    pub id: Uuid,
    /// The field that changed.
    #[schema(example = "lifecycle_stage")]
    pub field: String,
    /// Its value before, any JSON.
    pub from: Value,
    /// Its value after, any JSON.
    pub to: Value,
    /// When it changed.
    pub changed_at: DateTime<Utc>,
    /// Who changed it.
    pub actor: journal::TouchpointActor,
}

/// Which changes to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryFilter {
    /// The field whose history is asked for.
    #[param(example = "lifecycle_stage", max_length = 100)]
    pub field: String,
}

/// Move a customer to a lifecycle stage
///
/// A manual move may go any way; automatic moves only go forward. Each is kept with its time and
/// cause: see the customer's history and timeline.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:write"])), responses((status = 200, body = Customer)))]
#[put("/customers/{id}/lifecycle_stage")]
pub async fn set_lifecycle_stage(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    new: Json<NewLifecycleStage>,
) -> Result<Reply> {
    let patch =
        CustomerPatch { lifecycle_stage: Some(new.lifecycle_stage), ..CustomerPatch::default() };
    let grant = caller.must(Scope::CustomersWrite)?;
    grant.write(move |tx| patch.apply(tx, *id, if_match).map(Found)).await
}

const SORT: &[SortKey] =
    &[SortKey { name: "changed_at", column: "touchpoints.id", kind: SortKind::Id }];

/// List the history of a customer's field
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), params(Page, HistoryFilter), responses((status = 200, body = crate::http::List<FieldChange>)))]
#[get("/customers/{id}/history")]
pub async fn list_customer_history(
    caller: Caller,
    id: Path<Uuid>,
    page: Query<Page>,
    filter: Query<HistoryFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    let slice = page.slice(&grant, "customer_history", SORT, &(*id, &filter.0))?;
    grant
        .list(move |conn| {
            let customer = Customer::current_id(conn, *id)?;
            let workspace = conn.workspace;
            let matching = || journal::read::changes_of(workspace, customer, &filter.field);
            let page = journal::read::list(conn, &slice, matching)?;
            page.try_map(|touchpoint| FieldChange::read(&touchpoint, &filter.field))
        })
        .await
}

impl LifecycleStage {
    /// The stages on the way to this one; `other` is not on the way to anywhere.
    pub(super) fn earlier(self) -> Vec<Self> {
        const WAY: [LifecycleStage; 8] = [
            LifecycleStage::Visitor,
            LifecycleStage::Subscriber,
            LifecycleStage::Lead,
            LifecycleStage::MarketingQualifiedLead,
            LifecycleStage::SalesQualifiedLead,
            LifecycleStage::Opportunity,
            LifecycleStage::Customer,
            LifecycleStage::Evangelist,
        ];
        let position = WAY.iter().position(|stage| *stage == self).unwrap_or(0);
        WAY[..position].to_vec()
    }
}

/// Moves customers forward to a stage for a reason of our own; who is there, further, elsewhere or
/// restricted stays. Three statements at most, however many customers.
pub fn advance(tx: &mut Tx, whom: &[Uuid], to: LifecycleStage, cause: &'static str) -> Result<()> {
    use customers::{id, lifecycle_stage, restricted_at, updated_at, version};
    if whom.is_empty() {
        return Ok(());
    }
    let behind = of(tx.workspace).filter(id.eq_any(whom));
    let behind = behind.filter(restricted_at.is_null());
    let behind = behind.filter(lifecycle_stage.eq_any(to.earlier())).order(id).for_update();
    let behind = behind.select((id, lifecycle_stage, updated_at));
    let moved: Vec<(Uuid, LifecycleStage, DateTime<Utc>)> = behind.load(tx.pg)?;
    if moved.is_empty() {
        return Ok(());
    }
    moved.iter().for_each(|(.., changed_at)| tx.not_before(*changed_at));
    let ids: Vec<Uuid> = moved.iter().map(|(customer, ..)| *customer).collect();
    diesel::update(of(tx.workspace).filter(id.eq_any(ids)))
        .set((lifecycle_stage.eq(to), version.eq(version + 1), updated_at.eq(tx.now)))
        .execute(tx.pg)?;
    let changes = moved.into_iter().map(|(customer, from, _)| {
        let changes = json!({ "lifecycle_stage": { "from": from, "to": to } });
        let properties = json!({ "changes": changes, "cause": cause });
        customer_change("customer.lifecycle_stage_changed", customer, properties)
    });
    journal::record_all(tx, changes)
}

impl FieldChange {
    fn read(touchpoint: &journal::Touchpoint, field: &str) -> Result<Self> {
        let mut properties: Value = touchpoint.properties.parse()?;
        let change = &mut properties["changes"][field];
        Ok(Self {
            id: touchpoint.id,
            field: field.to_owned(),
            from: change["from"].take(),
            to: change["to"].take(),
            changed_at: touchpoint.occurred_at,
            actor: touchpoint.actor.parse()?,
        })
    }
}
