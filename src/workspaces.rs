//! One company's place in the system: its name, its settings and the keys that lock its secrets.
//!
//! A workspace has two rows: the live one, and a test twin in which all data of test credentials
//! lies. Users, keys and settings belong to the live row and hold for both.

mod create;
mod settings;

use std::collections::HashSet;

use actix_web::http::StatusCode;
use actix_web::{get, patch, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

pub use create::create;
pub use settings::{
    MergePolicy, QuietHours, WorkspaceSettings, WorkspaceSettingsPatch, time_of_day,
};

use crate::app::App;
use crate::audit;
use crate::auth::operator::Operator;
use crate::auth::{Caller, Scope, blocking};
use crate::db::json::Jsonb;
use crate::db::{Actor, Conn, Db, Session, Tx, Via, WorkspaceId};
use crate::error::{Error, Result};
use crate::http::json::never_null;
use crate::http::{Found, IfMatch, Json, Reply, ServiceConfig, Versioned};
use crate::jobs::{self, NewJob, Priority};
use crate::journal::{Change, differences, record};
use crate::schema::{cors_origins, workspace_slugs, workspaces};
use crate::seal::Secret;
use crate::users::powers::must_be_live;

/// A company's workspace.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = workspaces)]
pub struct Workspace {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Name of the company or brand.
    #[schema(example = "Alpenglow")]
    pub name: String,
    /// Short name, unique in the installation; it stays.
    #[schema(example = "alpenglow")]
    pub slug: String,
    /// Currency of figures over several orders, ISO 4217.
    #[schema(example = "EUR")]
    pub default_currency: String,
    /// IANA time zone of the company's days.
    #[schema(example = "Europe/Vienna")]
    pub timezone: String,
    /// What the company decided.
    #[schema(value_type = WorkspaceSettings)]
    pub settings: Jsonb<WorkspaceSettings>,
    #[serde(skip)]
    twin_id: WorkspaceId,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the workspace was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for Workspace {
    const COLLECTION: &'static str = "/v1/workspaces";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// A workspace to be made.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWorkspace {
    /// Name of the company or brand.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Alpenglow", min_length = 1, max_length = 200)]
    pub name: String,
    /// Short name: lower-case letters, digits and `-`.
    #[validate(custom(function = "valid_slug"))]
    #[schema(
        example = "alpenglow",
        min_length = 1,
        max_length = 63,
        pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
    )]
    pub slug: String,
    /// Currency of figures over several orders, ISO 4217.
    #[serde(default = "euro")]
    #[validate(custom(function = "crate::values::valid::currency"))]
    #[schema(default = "EUR", example = "EUR", min_length = 3, max_length = 3)]
    pub default_currency: String,
    /// IANA time zone of the company's days.
    #[serde(default = "utc")]
    #[validate(custom(function = "crate::values::valid::timezone"))]
    #[schema(default = "UTC", example = "Europe/Vienna", max_length = 64)]
    pub timezone: String,
    /// What the company decides.
    #[serde(default)]
    #[validate(nested)]
    pub settings: WorkspaceSettings,
    /// The first user; without one, keys are made on the command line.
    #[validate(nested)]
    pub owner: Option<NewOwner>,
}

/// The first user of a workspace.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOwner {
    /// Address to sign in with.
    #[validate(custom(function = "crate::values::valid::email"))]
    #[schema(example = "mira@shop.example.com", max_length = 254)]
    pub email: String,
    /// Name to show.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Mira Berg", min_length = 1, max_length = 200)]
    pub name: String,
    /// Password to sign in with, at least 12 characters.
    #[validate(custom(function = "crate::users::strong"))]
    #[schema(value_type = String, format = Password, write_only, min_length = 12, max_length = 128, example = "granite skis at dawn")]
    pub password: Secret,
}

/// Changes to a workspace.
#[derive(Debug, Clone, Deserialize, Validate, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = workspaces)]
pub struct WorkspacePatch {
    /// Name of the company or brand.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Alpenglow", min_length = 1, max_length = 200, nullable = false)]
    pub name: Option<String>,
    /// Currency of figures over several orders, ISO 4217. After a change, what customers
    /// spent is counted again in the background.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "crate::values::valid::currency"))]
    #[schema(example = "EUR", min_length = 3, max_length = 3, nullable = false)]
    pub default_currency: Option<String>,
    /// IANA time zone of the company's days.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "crate::values::valid::timezone"))]
    #[schema(example = "Europe/Vienna", max_length = 64, nullable = false)]
    pub timezone: Option<String>,
    /// Changes to the settings; what is absent stays.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(nested)]
    #[diesel(skip_update)]
    #[schema(nullable = false)]
    pub settings: Option<WorkspaceSettingsPatch>,
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(create_workspace).service(get_workspace).service(update_workspace);
}

/// Create a workspace
///
/// For the operator of the installation, with the token of `ECRM_OPERATOR_TOKEN`. Sent twice, the
/// second request is refused because the `slug` is taken.
#[utoipa::path(tag = "workspaces", security(("bearer" = ["operator"])), responses((status = 201, body = Workspace)))]
#[post("/workspaces")]
async fn create_workspace(operator: Operator, new: Json<NewWorkspace>) -> Result<Reply> {
    let Operator { app, via } = operator;
    let renewed = app.clone();
    let made = blocking(move || create(&app.db, &app.master_key, &new, &via)).await?;
    renew_origins(renewed).await;
    let reply = Reply::json(StatusCode::CREATED, &made)?.with("Location", "/v1/workspace".into());
    Ok(reply.with("ETag", format!("\"{}\"", made.version)))
}

/// Get the workspace
///
/// The one that the credential belongs to; test credentials see the live workspace's settings.
#[utoipa::path(tag = "workspaces", security(("bearer" = ["workspace:read"])), responses((status = 200, body = Workspace)))]
#[get("/workspace")]
async fn get_workspace(caller: Caller) -> Result<Reply> {
    let grant = caller.must(Scope::WorkspaceRead)?;
    grant.read(|conn| Workspace::current(conn).map(Found)).await
}

/// Change the workspace
#[utoipa::path(tag = "workspaces", security(("bearer" = ["workspace:write"])), responses((status = 200, body = Workspace), (status = 412)))]
#[patch("/workspace")]
async fn update_workspace(
    caller: Caller,
    if_match: IfMatch,
    patch: Json<WorkspacePatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::WorkspaceWrite)?;
    must_be_live(&caller.identity)?;
    let app = grant.app().clone();
    let reply = grant.write(move |tx| patch.apply(tx, if_match).map(Found)).await?;
    app.credentials.forget();
    renew_origins(app).await;
    Ok(reply)
}

/// Lets this process answer preflights by what was just changed; others look every ten seconds.
async fn renew_origins(app: App) {
    let asked = app.clone();
    match blocking(move || asked.db.system(all_origins)).await {
        Ok(origins) => app.origins.replace(origins),
        Err(error) => log::warn!("new origins wait for their next renewal: {error}"),
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    workspaces::table.filter(workspaces::id.eq(workspace))
}

impl Workspace {
    /// The workspace of a request: the live one, also for test credentials.
    pub fn current(conn: &mut Conn) -> Result<Self> {
        Self::get(conn.pg, conn.home)
    }

    /// The live workspace of an id that a row of ours holds.
    pub fn get(pg: &mut PgConnection, home: WorkspaceId) -> Result<Self> {
        Ok(of(home).select(Self::as_select()).first(pg)?)
    }

    /// The live workspace that a credential's text names, if there is one.
    pub fn named_by_credential(pg: &mut PgConnection, id: Uuid) -> Result<Option<Self>> {
        let found = of(WorkspaceId::trusted(id)).filter(workspaces::livemode.eq(true));
        Ok(found.select(Self::as_select()).first(pg).optional()?)
    }

    /// The id that users, keys and settings are stored under.
    pub fn home(&self) -> WorkspaceId {
        WorkspaceId::trusted(self.id)
    }

    /// What statements for this workspace run as, for live or for test data.
    pub fn session(&self, livemode: bool, actor: Actor, via: Via) -> Session {
        let workspace = if livemode { self.home() } else { self.twin_id };
        Session { workspace, home: self.home(), livemode, actor, via, lease: None }
    }
}

/// In whose name the service itself works in a workspace, the live one or its test twin.
pub fn own_session(pg: &mut PgConnection, workspace: WorkspaceId) -> Result<Session> {
    let row = of(workspace).select((workspaces::livemode, workspaces::twin_id));
    let (livemode, twin): (bool, WorkspaceId) = row.first(pg)?;
    let home = if livemode { workspace } else { twin };
    let (actor, via) = (Actor::SYSTEM, Via::default());
    Ok(Session { workspace, home, livemode, actor, via, lease: None })
}

/// The workspace that a link of ours names, for operations that need no credential. What the link
/// says is not proved yet. Blocks.
pub fn named_by_link(db: &Db, id: Uuid) -> Result<Option<Workspace>> {
    db.system(|pg| Workspace::named_by_credential(pg, id))
}

/// In whose name somebody looks who has a link that names where its data lie, live or test. What the
/// link says is not proved yet; 404 where there is no such place. Blocks.
pub fn session_of_link(db: &Db, id: Uuid, via: Via) -> Result<Session> {
    let session = db.system(|pg| own_session(pg, WorkspaceId::trusted(id)))?;
    Ok(Session { via, ..session })
}

/// The live workspace with this slug, or 404.
pub fn find_by_slug(pg: &mut PgConnection, slug: &str) -> Result<Workspace> {
    let named = workspace_slugs::table.filter(workspace_slugs::slug.eq(slug));
    let home = named.select(workspace_slugs::workspace_id).first(pg)?;
    Workspace::get(pg, home)
}

/// Every browser origin that some workspace allows, for preflights, which carry no credential.
pub fn all_origins(pg: &mut PgConnection) -> Result<HashSet<String>> {
    let origins = cors_origins::table.select(cors_origins::origin).distinct();
    Ok(origins.load::<String>(pg)?.into_iter().collect())
}

/// Brings the directory of origins in step with a workspace's own list.
fn allow_origins(pg: &mut PgConnection, home: WorkspaceId, origins: &[String]) -> Result<()> {
    diesel::delete(cors_origins::table.filter(cors_origins::workspace_id.eq(home))).execute(pg)?;
    let rows: Vec<_> = origins
        .iter()
        .map(|origin| (cors_origins::origin.eq(origin), cors_origins::workspace_id.eq(home)))
        .collect();
    diesel::insert_into(cors_origins::table).values(rows).on_conflict_do_nothing().execute(pg)?;
    Ok(())
}

impl WorkspacePatch {
    fn apply(&self, tx: &mut Tx, if_match: IfMatch) -> Result<Workspace> {
        use workspaces as w;
        let home = tx.home;
        let before: Workspace =
            of(home).select(Workspace::as_select()).for_update().first(tx.pg)?;
        if_match.check(before.version)?;
        let mut settings = before.settings.0.clone();
        if let Some(patch) = &self.settings {
            settings = settings.merged(patch);
            allow_origins(tx.pg, home, &settings.cors_origins)?;
        }
        let after: Workspace = diesel::update(of(home))
            .set((
                self,
                w::settings.eq(Jsonb(settings)),
                w::version.eq(w::version + 1),
                w::updated_at.eq(tx.now),
            ))
            .returning(Workspace::as_returning())
            .get_result(tx.pg)?;
        let changes = differences(&to_json(&before)?, &to_json(&after)?);
        record(tx, change(after.id, json!({ "changes": changes })))?;
        audit::changed(tx, "workspace.updated", after.id, (&before, &after))?;
        recount(tx, &before, &after)?;
        Ok(after)
    }
}

/// What customers spent is kept in the default currency: with another one it is counted again.
fn recount(tx: &mut Tx, before: &Workspace, after: &Workspace) -> Result<()> {
    if before.default_currency == after.default_currency {
        return Ok(());
    }
    let (workspace, now) = (tx.workspace, tx.now);
    let job = NewJob {
        queue: "orders",
        priority: Priority::Bulk,
        kind: "orders.recount",
        payload: json!({}),
        run_at: now,
        unique_key: Some(format!("recount:{}", after.version)),
    };
    jobs::enqueue(tx.pg, workspace, &job, now).map(drop)
}

fn to_json(workspace: &Workspace) -> Result<Value> {
    serde_json::to_value(workspace).map_err(|error| Error::internal(error.to_string()))
}

fn change(workspace: Uuid, properties: Value) -> Change<'static> {
    Change {
        kind: "workspace.updated",
        customer_id: None,
        organization_id: None,
        channel_id: None,
        subject: ("workspace", workspace),
        properties,
    }
}

fn valid_slug(slug: &str) -> Result<(), ValidationError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_valid = (1..=63).contains(&slug.len())
        && slug.chars().all(is_plain)
        && !slug.starts_with('-')
        && !slug.ends_with('-');
    let expected = "must be 1 to 63 lower-case letters, digits and `-`, not at either end";
    if is_valid {
        Ok(())
    } else {
        Err(ValidationError::new("invalid_slug").with_message(expected.into()))
    }
}

fn euro() -> String {
    "EUR".into()
}

fn utc() -> String {
    "UTC".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_could_be_the_name_of_a_host() {
        for good in ["a", "alpenglow", "shop-24", &"x".repeat(63)] {
            assert!(valid_slug(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Shop", "my_shop", "söld", "a.b", &"x".repeat(64)] {
            assert!(valid_slug(bad).is_err(), "{bad}");
        }
    }
}
