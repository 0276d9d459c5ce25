//! Finding customers: filters for lists, predicates for deeper questions, look-up by identity.

use actix_web::{get, post};
use chrono::{DateTime, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use super::identities::{self, IdentityType, Mark};
use super::types::{CustomerFields, CustomerStatus, LifecycleStage, StatsRow};
use super::{Customer, with_stats};
use crate::attributes::{AttributeResource, Definitions};
use crate::auth::{Caller, Scope};
use crate::db::ids::IdRange;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, WorkspaceId};
use crate::error::{Error, Result};
use crate::http::page::Slice;
use crate::http::{AnyOf, Found, Json, List, Page, Query, Reply};
use crate::predicate::{Catalog, Checked, Context, DidColumns, Field, FreeColumn, Kind, Predicate};
use crate::schema::{customer_stats, customers};
use crate::values::text::{like_escape, search_key};

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "customers.id", kind: SortKind::Id },
    SortKey { name: "updated_at", column: "customers.updated_at", kind: SortKind::Time },
    SortKey { name: "first_name", column: "customers.first_name", kind: SortKind::Text },
    SortKey { name: "last_name", column: "customers.last_name", kind: SortKind::Text },
    SortKey { name: "email", column: "customers.email", kind: SortKind::Text },
    SortKey { name: "score", column: "customers.score", kind: SortKind::Number },
];

/// What can be asked about customers in predicates.
pub static CATALOG: Catalog = Catalog {
    fields: &[
        Field { name: "id", column: "customers.id", kind: Kind::Id },
        Field { name: "first_name", column: "customers.first_name", kind: Kind::Text },
        Field { name: "last_name", column: "customers.last_name", kind: Kind::Text },
        Field { name: "display_name", column: "customers.display_name", kind: Kind::Text },
        Field { name: "email", column: "customers.email", kind: Kind::Folded },
        Field { name: "phone", column: "customers.phone", kind: Kind::Text },
        Field { name: "title", column: "customers.title", kind: Kind::Text },
        Field { name: "birth_date", column: "customers.birth_date", kind: Kind::Date },
        Field { name: "gender", column: "customers.gender", kind: Kind::Text },
        Field { name: "locale", column: "customers.locale", kind: Kind::Text },
        Field { name: "timezone", column: "customers.timezone", kind: Kind::Text },
        Field { name: "currency", column: "customers.currency", kind: Kind::Text },
        Field {
            name: "lifecycle_stage",
            column: "customers.lifecycle_stage",
            kind: Kind::Enum(LifecycleStage::ALL),
        },
        Field { name: "status", column: "customers.status", kind: Kind::Enum(CustomerStatus::ALL) },
        Field { name: "owner_id", column: "customers.owner_id", kind: Kind::Id },
        Field { name: "source", column: "customers.source", kind: Kind::Text },
        Field { name: "score", column: "customers.score", kind: Kind::Integer },
        Field { name: "tags", column: "customers.tags", kind: Kind::TextArray },
        Field { name: "created_at", column: "customers.created_at", kind: Kind::Time },
        Field { name: "updated_at", column: "customers.updated_at", kind: Kind::Time },
        Field { name: "restricted_at", column: "customers.restricted_at", kind: Kind::Time },
        Field {
            name: "stats.touchpoints_count",
            column: "customer_stats.touchpoints_count",
            kind: Kind::Integer,
        },
        Field {
            name: "stats.first_seen_at",
            column: "customer_stats.first_seen_at",
            kind: Kind::Time,
        },
        Field {
            name: "stats.last_seen_at",
            column: "customer_stats.last_seen_at",
            kind: Kind::Time,
        },
        Field {
            name: "stats.last_contacted_at",
            column: "customer_stats.last_contacted_at",
            kind: Kind::Time,
        },
    ],
    free: Some(FreeColumn { name: "attributes", column: "customers.attributes" }),
    did: Some(DidColumns { workspace_id: "customers.workspace_id", customer_id: "customers.id" }),
};

/// Which customers to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CustomerFilter {
    /// Part of a name, email, phone number or outside id, in any case.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Exact email address, in any case.
    #[param(example = "ada@shop.example.com")]
    pub email: Option<String>,
    /// Any of these stages.
    #[serde(default)]
    #[param(value_type = Option<Vec<LifecycleStage>>, style = Form, explode = false)]
    pub lifecycle_stage: AnyOf<LifecycleStage>,
    /// Any of these statuses.
    #[serde(default)]
    #[param(value_type = Option<Vec<CustomerStatus>>, style = Form, explode = false)]
    pub status: AnyOf<CustomerStatus>,
    /// Having any of these tags.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub tags: AnyOf<String>,
    /// Any of these sources.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub source: AnyOf<String>,
    /// Looked after by this user.
    pub owner_id: Option<Uuid>,
    /// Made at or after this time.
    pub created_at_gte: Option<DateTime<Utc>>,
    /// Made before this time.
    pub created_at_lt: Option<DateTime<Utc>>,
    /// Changed at or after this time: for keeping a copy in step.
    pub updated_at_gte: Option<DateTime<Utc>>,
    /// Changed before this time.
    pub updated_at_lt: Option<DateTime<Utc>>,
    /// Last seen at or after this time.
    pub last_seen_at_gte: Option<DateTime<Utc>>,
    /// Last seen before this time.
    pub last_seen_at_lt: Option<DateTime<Utc>>,
}

/// A question that filters cannot express.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerSearch {
    /// The condition; absent means every customer.
    pub r#where: Option<Predicate>,
    /// Fields to sort by, `-` for descending.
    #[serde(default)]
    #[validate(length(max = 5))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["-created_at"]), max_items = 5)]
    pub sort: Vec<String>,
    /// How many to return, 1 to 200; 50 unless said otherwise.
    #[schema(minimum = 1, maximum = 200, example = 50)]
    pub limit: Option<i32>,
    /// `next_cursor` of the previous page; same condition and sort.
    pub cursor: Option<String>,
    /// Whether to count all matches as `total`.
    pub include_total: Option<bool>,
}

/// The identity to look a customer up by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CustomerLookup {
    /// What kind of mark it is.
    pub r#type: IdentityType,
    /// The outside system or social network; for `external` and `social` only.
    #[param(max_length = 100)]
    pub source: Option<String>,
    /// The mark itself.
    #[param(example = "ada@shop.example.com", max_length = 512)]
    pub value: String,
}

/// List customers
///
/// Newest first unless sorted otherwise. For conditions on attributes or on what customers did, use
/// the search.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), params(Page, CustomerFilter), responses((status = 200, body = List<Customer>)))]
#[get("/customers")]
pub async fn list_customers(
    caller: Caller,
    page: Query<Page>,
    filter: Query<CustomerFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    let slice = page.slice(&grant, "customers", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let workspace = conn.workspace;
            load(conn, &slice, || filter.apply(workspace))
        })
        .await
}

/// Search customers by a predicate
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), responses((status = 200, body = List<Customer>)))]
#[post("/customers/search")]
pub async fn search_customers(caller: Caller, search: Json<CustomerSearch>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    let page = Page {
        limit: search.limit,
        cursor: search.cursor.clone(),
        sort: (!search.sort.is_empty()).then(|| search.sort.join(",")),
        include_total: search.include_total,
    };
    let slice = page.slice(&grant, "customers_search", SORT, &search.r#where)?;
    grant
        .list(move |conn| {
            let condition = match &search.r#where {
                Some(predicate) => Some(check(conn, predicate)?),
                None => None,
            };
            let workspace = conn.workspace;
            load(conn, &slice, || {
                let all = with_stats(workspace).into_boxed();
                match &condition {
                    Some(condition) => all.filter(condition.clone()),
                    None => all,
                }
            })
        })
        .await
}

/// Look up a customer by an identity
///
/// 404 where nobody has it.
#[utoipa::path(tag = "customers", security(("bearer" = ["customers:read"])), params(CustomerLookup), responses((status = 200, body = Customer), (status = 404)))]
#[get("/customers/lookup")]
pub async fn lookup_customer(caller: Caller, lookup: Query<CustomerLookup>) -> Result<Reply> {
    let grant = caller.must(Scope::CustomersRead)?;
    let mark =
        Mark::parse(lookup.r#type, lookup.source.as_deref(), &lookup.value).map_err(|fault| {
            let name =
                if fault.pointer.as_deref() == Some("#/source") { "source" } else { "value" };
            Error::parameter(name, fault.detail)
        })?;
    grant
        .read(move |conn| {
            identities::holder(conn, &mark).and_then(|id| Customer::find(conn, id)).map(Found)
        })
        .await
}

/// Holds a predicate against the fields and attributes of customers.
pub fn check(conn: &mut Conn, predicate: &Predicate) -> Result<Checked> {
    let kinds = Definitions::load(conn, AttributeResource::Customer)?.kinds();
    predicate.check(&Context {
        catalog: &CATALOG,
        attribute_kinds: &kinds,
        now: conn.now,
        pointer: "#/where",
    })
}

type Matching = IntoBoxed<'static, with_stats, Pg>;

fn load(conn: &mut Conn, slice: &Slice, matching: impl Fn() -> Matching) -> Result<List<Customer>> {
    let total = slice.total(|| matching().count().get_result(conn.pg))?;
    let rows: Vec<(CustomerFields, Option<StatsRow>)> = matching()
        .filter(slice.after.clone())
        .order(slice.order.clone())
        .limit(slice.fetch())
        .select((CustomerFields::as_select(), Option::<StatsRow>::as_select()))
        .load(conn.pg)?;
    slice.list(rows.into_iter().map(Customer::from).collect(), total)
}

/// Which customers are asked for: by the filters of the list, and by a condition.
pub type Asked<'a> = (&'a CustomerFilter, Option<&'a Predicate>);

fn within(conn: &mut Conn, (filter, condition): Asked, ids: IdRange) -> Result<Matching> {
    let found = filter.apply(conn.workspace).filter(ids.holds("customers.id"));
    Ok(match condition {
        Some(condition) => found.filter(check(conn, condition)?),
        None => found,
    })
}

/// How many customers there are of those asked for.
pub fn count_matching(conn: &mut Conn, asked: Asked, ids: IdRange) -> Result<i64> {
    Ok(within(conn, asked, ids)?.count().get_result(conn.pg)?)
}

/// Some of the customers that are asked for, the oldest first.
pub fn matching(conn: &mut Conn, asked: Asked, ids: IdRange, limit: i64) -> Result<Vec<Customer>> {
    let rows: Vec<(CustomerFields, Option<StatsRow>)> = within(conn, asked, ids)?
        .order(customers::id)
        .limit(limit)
        .select((CustomerFields::as_select(), Option::<StatsRow>::as_select()))
        .load(conn.pg)?;
    Ok(rows.into_iter().map(Customer::from).collect())
}

impl CustomerFilter {
    fn apply(&self, workspace: WorkspaceId) -> Matching {
        let mut found = with_stats(workspace).into_boxed();
        if let Some(q) = &self.q {
            let pattern = format!("%{}%", like_escape(&search_key(q)));
            found = found.filter(customers::search_key.like(pattern));
        }
        if let Some(email) = &self.email {
            found = found.filter(customers::email.eq(search_key(email)));
        }
        if let Some(stages) = self.lifecycle_stage.given() {
            found = found.filter(customers::lifecycle_stage.eq_any(stages.clone()));
        }
        if let Some(statuses) = self.status.given() {
            found = found.filter(customers::status.eq_any(statuses.clone()));
        }
        if let Some(tags) = self.tags.given() {
            found = found.filter(customers::tags.overlaps_with(tags.clone()));
        }
        if let Some(sources) = self.source.given() {
            found = found.filter(customers::source.eq_any(sources.clone()));
        }
        if let Some(owner) = self.owner_id {
            found = found.filter(customers::owner_id.eq(owner));
        }
        self.apply_times(found)
    }

    fn apply_times(&self, mut found: Matching) -> Matching {
        if let Some(from) = self.created_at_gte {
            found = found.filter(customers::created_at.ge(from));
        }
        if let Some(until) = self.created_at_lt {
            found = found.filter(customers::created_at.lt(until));
        }
        if let Some(from) = self.updated_at_gte {
            found = found.filter(customers::updated_at.ge(from));
        }
        if let Some(until) = self.updated_at_lt {
            found = found.filter(customers::updated_at.lt(until));
        }
        if let Some(from) = self.last_seen_at_gte {
            found = found.filter(customer_stats::last_seen_at.ge(from));
        }
        if let Some(until) = self.last_seen_at_lt {
            found = found.filter(customer_stats::last_seen_at.lt(until));
        }
        found
    }
}
