//! Who belongs to which organization, in which role, since when and until when.

use std::collections::{HashMap, HashSet};

use actix_web::{delete, get, put};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::exists;
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::Organization;
use crate::auth::{Caller, Scope};
use crate::customers::Customer;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, OnConstraint, Result};
use crate::http::page::Slice;
use crate::http::reply::Plain;
use crate::http::{Json, List, NoContent, Page, Path, Query, Reply};
use crate::journal::{Change, differences, record};
use crate::schema::{memberships, organizations};
use crate::values::valid;

/// A customer's place in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = memberships)]
pub struct Membership {
    /// The organization.
    pub organization_id: Uuid,
    /// The customer who belongs to it.
    pub customer_id: Uuid,
    /// What the customer does there.
    #[schema(example = "purchasing")]
    pub role: Option<String>,
    /// Whether it is the customer's main organization.
    pub is_primary: bool,
    /// First day.
    pub since: Option<NaiveDate>,
    /// Last day; null while it goes on.
    pub until: Option<NaiveDate>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A place in an organization to give to a customer; absent fields are empty.
#[derive(Debug, Clone, Default, Deserialize, Validate, Insertable, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[diesel(table_name = memberships)]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewMembership {
    /// What the customer does there.
    #[validate(length(max = 100))]
    #[schema(example = "purchasing", max_length = 100)]
    pub role: Option<String>,
    /// Whether it is the customer's main organization; the former one then no longer is.
    pub is_primary: bool,
    /// First day.
    #[validate(custom(function = "valid::date"))]
    pub since: Option<NaiveDate>,
    /// Last day, not before `since`.
    #[validate(custom(function = "valid::date"))]
    pub until: Option<NaiveDate>,
}

/// Ids sort by age: the newest customers come first.
const BY_CUSTOMER: &[SortKey] = &[
    SortKey { name: "customer_id", column: "memberships.customer_id::text", kind: SortKind::Text },
    SortKey { name: "created_at", column: "memberships.created_at", kind: SortKind::Time },
];

const BY_ORGANIZATION: &[SortKey] = &[
    SortKey {
        name: "organization_id",
        column: "memberships.organization_id::text",
        kind: SortKind::Text,
    },
    SortKey { name: "created_at", column: "memberships.created_at", kind: SortKind::Time },
];

/// List the members of an organization
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:read"])), params(Page), responses((status = 200, body = List<Membership>)))]
#[get("/organizations/{id}/members")]
pub async fn list_organization_members(
    caller: Caller,
    id: Path<Uuid>,
    page: Query<Page>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsRead)?;
    let slice = page.slice(&grant, "organization_members", BY_CUSTOMER, &*id)?;
    grant
        .list(move |conn| {
            Organization::must_exist(conn, *id)?;
            let workspace = conn.workspace;
            let list = load(conn, &slice, || {
                of(workspace).filter(memberships::organization_id.eq(*id)).into_boxed()
            })?;
            without_deleted_customers(conn, list)
        })
        .await
}

/// List the organizations of a customer
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:read"])), params(Page), responses((status = 200, body = List<Membership>)))]
#[get("/customers/{id}/organizations")]
pub async fn list_customer_organizations(
    caller: Caller,
    id: Path<Uuid>,
    page: Query<Page>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsRead)?;
    let slice = page.slice(&grant, "customer_organizations", BY_ORGANIZATION, &*id)?;
    grant
        .list(move |conn| {
            let customer = Customer::current_id(conn, *id)?;
            let workspace = conn.workspace;
            load(conn, &slice, || {
                of(workspace).filter(memberships::customer_id.eq(customer)).into_boxed()
            })
        })
        .await
}

/// Make a customer a member of an organization
///
/// Replaces the membership where there is one.
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:write"])), params(("id" = Uuid, Path, description = "Id of the organization"), ("customer_id" = Uuid, Path, description = "Id of the customer")), responses((status = 200, body = Membership)))]
#[put("/organizations/{id}/members/{customer_id}")]
pub async fn put_organization_member(
    caller: Caller,
    ids: Path<(Uuid, Uuid)>,
    new: Json<NewMembership>,
) -> Result<Reply> {
    new.check()?;
    let grant = caller.must(Scope::OrganizationsWrite)?;
    let (organization, customer) = *ids;
    grant.write(move |tx| new.put(tx, organization, customer).map(Plain)).await
}

/// Remove a customer from an organization
///
/// To keep that the customer was a member, set `until` instead.
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:write"])), params(("id" = Uuid, Path, description = "Id of the organization"), ("customer_id" = Uuid, Path, description = "Id of the customer")), responses((status = 204)))]
#[delete("/organizations/{id}/members/{customer_id}")]
pub async fn remove_organization_member(caller: Caller, ids: Path<(Uuid, Uuid)>) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsWrite)?;
    let (organization, customer) = *ids;
    grant
        .write(move |tx| {
            Organization::must_exist(tx, organization)?;
            Customer::lock(tx, customer)?;
            let gone =
                Membership::find(tx, organization, customer)?.ok_or_else(Error::not_found)?;
            let target = of(tx.workspace)
                .filter(memberships::organization_id.eq(organization))
                .filter(memberships::customer_id.eq(customer));
            diesel::delete(target).execute(tx.pg)?;
            note(tx, "membership.deleted", &gone, json!({}))?;
            Ok(NoContent)
        })
        .await
}

/// Every membership of a workspace whose organization is not deleted.
#[diesel::dsl::auto_type]
fn of(workspace: WorkspaceId) -> _ {
    let organization = organizations::table
        .filter(organizations::workspace_id.eq(memberships::workspace_id))
        .filter(organizations::id.eq(memberships::organization_id))
        .filter(organizations::deleted_at.is_null());
    memberships::table.filter(memberships::workspace_id.eq(workspace)).filter(exists(organization))
}

type Matching = IntoBoxed<'static, of, Pg>;

fn load(
    conn: &mut Conn,
    slice: &Slice,
    matching: impl Fn() -> Matching,
) -> Result<List<Membership>> {
    let total = slice.total(|| matching().count().get_result(conn.pg))?;
    let rows = matching()
        .filter(slice.after.clone())
        .order(slice.order.clone())
        .limit(slice.fetch())
        .select(Membership::as_select())
        .load(conn.pg)?;
    slice.list(rows, total)
}

/// A page may so become shorter than its limit; `has_more` and the cursor still hold.
fn without_deleted_customers(
    conn: &mut Conn,
    mut list: List<Membership>,
) -> Result<List<Membership>> {
    let ids: Vec<Uuid> = list.data.iter().map(|membership| membership.customer_id).collect();
    let there: HashSet<Uuid> = Customer::existing(conn, &ids)?.into_iter().collect();
    list.data.retain(|membership| there.contains(&membership.customer_id));
    Ok(list)
}

/// Every membership of a customer, the main organization first.
pub fn memberships_of(conn: &mut Conn, customer: Uuid) -> Result<Vec<Membership>> {
    Ok(of(conn.workspace)
        .filter(memberships::customer_id.eq(customer))
        .order((memberships::is_primary.desc(), memberships::organization_id.desc()))
        .select(Membership::as_select())
        .load(conn.pg)?)
}

/// The main organization of each customer that has one today, for touchpoints that name none.
pub fn primary_organizations(conn: &mut Conn, customers: &[Uuid]) -> Result<HashMap<Uuid, Uuid>> {
    use memberships as m;
    let today = conn.now.date_naive();
    let rows: Vec<(Uuid, Uuid)> = of(conn.workspace)
        .filter(m::customer_id.eq_any(customers))
        .filter(m::is_primary)
        .filter(m::until.is_null().or(m::until.ge(today)))
        .select((m::customer_id, m::organization_id))
        .load(conn.pg)?;
    Ok(rows.into_iter().collect())
}

/// Makes a customer a member, where it is none yet; the first organization is its main one.
pub fn join(tx: &mut Tx, organization: Uuid, customer: Uuid) -> Result<()> {
    if Membership::find(tx, organization, customer)?.is_some() {
        return Ok(());
    }
    let is_primary = !primary_organizations(tx, &[customer])?.contains_key(&customer);
    let new = NewMembership { is_primary, ..NewMembership::default() };
    new.put(tx, organization, customer).map(drop)
}

impl Membership {
    fn find(conn: &mut Conn, organization: Uuid, customer: Uuid) -> Result<Option<Self>> {
        Ok(of(conn.workspace)
            .filter(memberships::organization_id.eq(organization))
            .filter(memberships::customer_id.eq(customer))
            .select(Self::as_select())
            .first(conn.pg)
            .optional()?)
    }
}

impl NewMembership {
    fn check(&self) -> Result<()> {
        // The same as the constraint `memberships_period_ordered`.
        match (self.since, self.until) {
            (Some(since), Some(until)) if until < since => {
                let detail = "`until` must not be before `since`";
                Err(Error::field("#/until", "invalid_period", detail))
            }
            _ => Ok(()),
        }
    }

    /// Writes the membership. The customer is locked, so that of two main organizations set at once
    /// one is left.
    fn put(&self, tx: &mut Tx, organization: Uuid, customer: Uuid) -> Result<Membership> {
        Organization::must_exist(tx, organization)?;
        Customer::lock(tx, customer)?;
        let before = Membership::find(tx, organization, customer)?;
        if let Some(before) = before.as_ref().filter(|before| self.is_like(before)) {
            return Ok(before.clone());
        }
        if self.is_primary {
            demote_others(tx, organization, customer)?;
        }
        let after = self.store(tx, organization, customer)?;
        match before {
            None => note(tx, "membership.created", &after, json!({}))?,
            Some(before) => note_changes(tx, &before, &after)?,
        }
        Ok(after)
    }

    fn is_like(&self, other: &Membership) -> bool {
        self.role == other.role
            && self.is_primary == other.is_primary
            && self.since == other.since
            && self.until == other.until
    }

    fn store(&self, tx: &mut Tx, organization: Uuid, customer: Uuid) -> Result<Membership> {
        use memberships as m;
        let now = tx.now;
        diesel::insert_into(m::table)
            .values((
                self,
                m::workspace_id.eq(tx.workspace),
                m::organization_id.eq(organization),
                m::customer_id.eq(customer),
                m::origin_customer_id.eq(customer),
                m::created_at.eq(now),
                m::updated_at.eq(now),
            ))
            .on_conflict((m::workspace_id, m::organization_id, m::customer_id))
            .do_update()
            .set((self, m::updated_at.eq(now)))
            .returning(Membership::as_returning())
            .get_result(tx.pg)
            .on_constraint("memberships_organization_exists", Error::not_found)
            .on_constraint("memberships_customer_exists", Error::not_found)
    }
}

/// A customer has one main organization: the others no longer are.
fn demote_others(tx: &mut Tx, organization: Uuid, customer: Uuid) -> Result<()> {
    use memberships as m;
    let others = m::table
        .filter(m::workspace_id.eq(tx.workspace))
        .filter(m::customer_id.eq(customer))
        .filter(m::organization_id.ne(organization))
        .filter(m::is_primary);
    let demoted: Vec<Membership> = diesel::update(others)
        .set((m::is_primary.eq(false), m::updated_at.eq(tx.now)))
        .returning(Membership::as_returning())
        .get_results(tx.pg)?;
    for after in demoted {
        let before = Membership { is_primary: true, ..after.clone() };
        note_changes(tx, &before, &after)?;
    }
    Ok(())
}

fn note_changes(tx: &mut Tx, before: &Membership, after: &Membership) -> Result<()> {
    let to_json = |membership| {
        serde_json::to_value(membership).map_err(|error| Error::internal(error.to_string()))
    };
    let changes = differences(&to_json(before)?, &to_json(after)?);
    note(tx, "membership.updated", after, json!({ "changes": changes }))
}

fn note(tx: &mut Tx, kind: &'static str, membership: &Membership, properties: Value) -> Result<()> {
    record(
        tx,
        Change {
            kind,
            customer_id: Some(membership.customer_id),
            organization_id: Some(membership.organization_id),
            channel_id: None,
            subject: ("organization", membership.organization_id),
            properties,
        },
    )
}
