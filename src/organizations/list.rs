//! Finding organizations: text, industry, owner, group, tags, domain and time.

use actix_web::get;
use chrono::{DateTime, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Organization, of};
use crate::auth::{Caller, Scope};
use crate::db::ids::IdRange;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, WorkspaceId};
use crate::error::Result;
use crate::http::{AnyOf, List, Page, Query, Reply};
use crate::schema::organizations;
use crate::values::text::{like_escape, search_key};

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "organizations.id", kind: SortKind::Id },
    SortKey { name: "updated_at", column: "organizations.updated_at", kind: SortKind::Time },
    SortKey { name: "name", column: "organizations.name", kind: SortKind::Text },
];

/// Which organizations to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrganizationFilter {
    /// Part of a name, domain or outside id, in any case.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Any of these industries.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub industry: AnyOf<String>,
    /// Looked after by any of these users.
    #[serde(default)]
    #[param(value_type = Option<Vec<Uuid>>, style = Form, explode = false)]
    pub owner_id: AnyOf<Uuid>,
    /// Directly part of any of these organizations.
    #[serde(default)]
    #[param(value_type = Option<Vec<Uuid>>, style = Form, explode = false)]
    pub parent_id: AnyOf<Uuid>,
    /// Having any of these tags.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub tags: AnyOf<String>,
    /// Having this internet domain, in any case.
    #[param(example = "bergsport.example.com")]
    pub domain: Option<String>,
    /// Made at or after this time.
    pub created_at_gte: Option<DateTime<Utc>>,
    /// Made before this time.
    pub created_at_lt: Option<DateTime<Utc>>,
    /// Changed at or after this time: for keeping a copy in step.
    pub updated_at_gte: Option<DateTime<Utc>>,
    /// Changed before this time.
    pub updated_at_lt: Option<DateTime<Utc>>,
}

/// List organizations
///
/// Newest first unless sorted otherwise.
#[utoipa::path(tag = "organizations", security(("bearer" = ["organizations:read"])), params(Page, OrganizationFilter), responses((status = 200, body = List<Organization>)))]
#[get("/organizations")]
pub async fn list_organizations(
    caller: Caller,
    page: Query<Page>,
    filter: Query<OrganizationFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::OrganizationsRead)?;
    let slice = page.slice(&grant, "organizations", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.workspace);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Organization::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

type Matching = IntoBoxed<'static, of, Pg>;

/// How many organizations a filter finds.
pub fn count_matching(conn: &mut Conn, filter: &OrganizationFilter, ids: IdRange) -> Result<i64> {
    let found = filter.apply(conn.workspace).filter(ids.holds("organizations.id"));
    Ok(found.count().get_result(conn.pg)?)
}

/// Some of the organizations that a filter finds, the oldest first.
pub fn matching(
    conn: &mut Conn,
    filter: &OrganizationFilter,
    ids: IdRange,
    limit: i64,
) -> Result<Vec<Organization>> {
    let found = filter.apply(conn.workspace).filter(ids.holds("organizations.id"));
    let found = found.order(organizations::id).limit(limit);
    Ok(found.select(Organization::as_select()).load(conn.pg)?)
}

impl OrganizationFilter {
    fn apply(&self, workspace: WorkspaceId) -> Matching {
        let mut found = of(workspace).into_boxed();
        if let Some(q) = &self.q {
            let pattern = format!("%{}%", like_escape(&search_key(q)));
            found = found.filter(organizations::search_key.like(pattern));
        }
        if let Some(industries) = self.industry.given() {
            found = found.filter(organizations::industry.eq_any(industries.clone()));
        }
        if let Some(owners) = self.owner_id.given() {
            found = found.filter(organizations::owner_id.eq_any(owners.clone()));
        }
        if let Some(parents) = self.parent_id.given() {
            found = found.filter(organizations::parent_id.eq_any(parents.clone()));
        }
        if let Some(tags) = self.tags.given() {
            found = found.filter(organizations::tags.overlaps_with(tags.clone()));
        }
        if let Some(domain) = &self.domain {
            found = found.filter(organizations::domains.contains(vec![search_key(domain)]));
        }
        self.apply_times(found)
    }

    fn apply_times(&self, mut found: Matching) -> Matching {
        if let Some(from) = self.created_at_gte {
            found = found.filter(organizations::created_at.ge(from));
        }
        if let Some(until) = self.created_at_lt {
            found = found.filter(organizations::created_at.lt(until));
        }
        if let Some(from) = self.updated_at_gte {
            found = found.filter(organizations::updated_at.ge(from));
        }
        if let Some(until) = self.updated_at_lt {
            found = found.filter(organizations::updated_at.lt(until));
        }
        found
    }
}
