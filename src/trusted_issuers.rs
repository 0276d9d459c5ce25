//! The login services whose tokens a company accepts in place of our own.
//!
//! A token of such an issuer must carry the workspace's id in the claim `wid`, besides `iss`,
//! `aud`, `sub` and `exp`; it opens live data only.

use actix_web::{delete, get, patch, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serde_with::rust::double_option;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use crate::app::App;
use crate::audit;
use crate::auth::jwks::{JwksUrl, SigningAlgorithm};
use crate::auth::{Caller, Identity, Scope, Scopes, authenticate::stored_scopes};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::http::json::{never_null, null_empties};
use crate::http::{
    Created, Found, IfMatch, Json, List, NoContent, Page, Path, Query, Reply, ServiceConfig,
    Versioned,
};
use crate::journal::{Change, differences, record};
use crate::schema::trusted_issuers;
use crate::users::powers::{must_be_live, must_cover};

/// A login service whose tokens are accepted.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = trusted_issuers)]
pub struct TrustedIssuer {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The exact `iss` of its tokens.
    #[schema(example = "https://login.example.com/")]
    pub issuer: String,
    /// The `aud` its tokens must have.
    #[schema(example = "ecrm")]
    pub audience: String,
    /// Where it publishes its keys.
    #[schema(example = "https://login.example.com/.well-known/jwks.json")]
    pub jwks_url: String,
    /// How it signs; any other algorithm is refused.
    #[schema(example = json!(["RS256"]))]
    pub algorithms: Vec<String>,
    /// The claim that lists scopes.
    #[schema(example = "permissions")]
    pub scopes_claim: Option<String>,
    /// The claim that lists our roles.
    #[schema(example = "roles")]
    pub roles_claim: Option<String>,
    /// What a token may do that has neither of these claims.
    #[schema(example = json!(["customers:read"]))]
    pub default_scopes: Vec<String>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the issuer was trusted.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for TrustedIssuer {
    const COLLECTION: &'static str = "/v1/trusted_issuers";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// A login service to be trusted.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrustedIssuer {
    /// The exact `iss` of its tokens.
    #[validate(length(min = 1, max = 500))]
    #[schema(example = "https://login.example.com/", min_length = 1, max_length = 500)]
    pub issuer: String,
    /// The `aud` its tokens must have: who they are meant for.
    #[validate(length(min = 1, max = 500))]
    #[schema(example = "ecrm", min_length = 1, max_length = 500)]
    pub audience: String,
    /// Where it publishes its keys, an `https` address.
    #[validate(length(max = 2000))]
    #[schema(example = "https://login.example.com/.well-known/jwks.json", max_length = 2000)]
    pub jwks_url: String,
    /// How it signs: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA.
    #[validate(length(min = 1, max = 9))]
    #[schema(example = json!(["RS256"]), min_items = 1, max_items = 9)]
    pub algorithms: Vec<SigningAlgorithm>,
    /// The claim that lists scopes, such as `scope` or `permissions`.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub scopes_claim: Option<String>,
    /// The claim that lists our roles.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub roles_claim: Option<String>,
    /// What a token may do that has neither of these claims; at most what the caller may.
    #[serde(default)]
    #[validate(length(max = 100))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["customers:read"]), max_items = 100)]
    pub default_scopes: Vec<String>,
}

/// Changes to a trusted login service.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuerPatch {
    /// The `aud` its tokens must have.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 500))]
    #[schema(example = "ecrm", min_length = 1, max_length = 500, nullable = false)]
    pub audience: Option<String>,
    /// Where it publishes its keys, an `https` address.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000, nullable = false)]
    pub jwks_url: Option<String>,
    /// How it signs.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 9))]
    #[schema(min_items = 1, max_items = 9, nullable = false)]
    pub algorithms: Option<Vec<SigningAlgorithm>>,
    /// The claim that lists scopes; null for none.
    #[serde(default, with = "double_option")]
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub scopes_claim: Option<Option<String>>,
    /// The claim that lists our roles; null for none.
    #[serde(default, with = "double_option")]
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub roles_claim: Option<Option<String>>,
    /// What a token may do that has neither of these claims.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 100))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, max_items = 100)]
    pub default_scopes: Option<Vec<String>>,
}

/// Which issuers to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TrustedIssuerFilter {
    /// Only the one with this `iss`.
    #[param(max_length = 500)]
    pub issuer: Option<String>,
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_trusted_issuers)
        .service(create_trusted_issuer)
        .service(get_trusted_issuer)
        .service(update_trusted_issuer)
        .service(delete_trusted_issuer);
}

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "trusted_issuers.id", kind: SortKind::Id },
    SortKey { name: "issuer", column: "trusted_issuers.issuer", kind: SortKind::Text },
];

/// List trusted issuers
#[utoipa::path(tag = "trusted_issuers", security(("bearer" = ["workspace:read"])), params(Page, TrustedIssuerFilter), responses((status = 200, body = List<TrustedIssuer>)))]
#[get("/trusted_issuers")]
async fn list_trusted_issuers(
    caller: Caller,
    page: Query<Page>,
    filter: Query<TrustedIssuerFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::WorkspaceRead)?;
    let slice = page.slice(&grant, "trusted_issuers", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || {
                let query = of(conn.home).into_boxed();
                match filter.issuer.clone() {
                    Some(issuer) => query.filter(trusted_issuers::issuer.eq(issuer)),
                    None => query,
                }
            };
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(TrustedIssuer::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Trust an issuer
///
/// Its tokens must carry the id of the workspace in the claim `wid`. With `scopes_claim` or
/// `roles_claim` the issuer decides what its tokens may do, so only somebody who may do everything
/// can set them.
#[utoipa::path(tag = "trusted_issuers", security(("bearer" = ["workspace:write"])), responses((status = 201, body = TrustedIssuer)))]
#[post("/trusted_issuers")]
async fn create_trusted_issuer(caller: Caller, new: Json<NewTrustedIssuer>) -> Result<Reply> {
    let grant = caller.must(Scope::WorkspaceWrite)?;
    must_be_live(&caller.identity)?;
    let reach = new.check(grant.app())?;
    must_cover(&caller.identity, reach)?;
    grant.write(move |tx| new.insert(tx).map(Created)).await
}

/// Get a trusted issuer
#[utoipa::path(tag = "trusted_issuers", security(("bearer" = ["workspace:read"])), responses((status = 200, body = TrustedIssuer)))]
#[get("/trusted_issuers/{id}")]
async fn get_trusted_issuer(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::WorkspaceRead)?;
    grant.read(move |conn| TrustedIssuer::find(conn, *id).map(Found)).await
}

/// Change a trusted issuer
///
/// Only by somebody who may do all that its tokens may do, before and after.
#[utoipa::path(tag = "trusted_issuers", security(("bearer" = ["workspace:write"])), responses((status = 200, body = TrustedIssuer)))]
#[patch("/trusted_issuers/{id}")]
async fn update_trusted_issuer(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<TrustedIssuerPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::WorkspaceWrite)?;
    must_be_live(&caller.identity)?;
    patch.check(grant.app())?;
    let (app, identity) = (grant.app().clone(), caller.identity.clone());
    let reply = grant.write(move |tx| patch.apply(tx, *id, if_match, &identity).map(Found)).await?;
    app.credentials.forget();
    Ok(reply)
}

/// Stop trusting an issuer
///
/// Its tokens are refused at once.
#[utoipa::path(tag = "trusted_issuers", security(("bearer" = ["workspace:write"])), responses((status = 204)))]
#[delete("/trusted_issuers/{id}")]
async fn delete_trusted_issuer(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::WorkspaceWrite)?;
    must_be_live(&caller.identity)?;
    let app = grant.app().clone();
    let reply = grant.write(move |tx| TrustedIssuer::delete(tx, *id, if_match)).await?;
    app.credentials.forget();
    Ok(reply)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    trusted_issuers::table.filter(trusted_issuers::workspace_id.eq(workspace))
}

/// 422 unless keys may be fetched from the address.
fn check_url(app: &App, url: &str) -> Result<()> {
    let is_development = app.config.dev || app.config.database_url.is_none();
    JwksUrl::parse(url, is_development).map(drop)
}

fn parse_scopes(list: &[String]) -> Result<Scopes> {
    Scopes::from_list(list.iter().map(String::as_str))
        .map_err(|unknown| Error::field("#/default_scopes", "unknown_scope", unknown.to_string()))
}

/// The names of algorithms as tokens carry them.
fn names(algorithms: &[SigningAlgorithm]) -> Result<Vec<String>> {
    serde_json::to_value(algorithms)
        .and_then(serde_json::from_value)
        .map_err(|error| Error::internal(error.to_string()))
}

impl TrustedIssuer {
    fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.home).filter(trusted_issuers::id.eq(id));
        Ok(query.select(Self::as_select()).first(conn.pg)?)
    }

    fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let query = of(tx.home).filter(trusted_issuers::id.eq(id));
        Ok(query.select(Self::as_select()).for_update().first(tx.pg)?)
    }

    /// The most that a token of this issuer can do: everything, where the token itself says.
    fn reach(&self) -> Result<Scopes> {
        if self.scopes_claim.is_some() || self.roles_claim.is_some() {
            return Ok(Scopes::ALL);
        }
        stored_scopes(&self.default_scopes)
    }

    fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<NoContent> {
        let gone = Self::lock(tx, id)?;
        if_match.check(gone.version)?;
        diesel::delete(of(tx.home).filter(trusted_issuers::id.eq(id))).execute(tx.pg)?;
        record(tx, change("trusted_issuer.deleted", id, json!({ "issuer": gone.issuer })))?;
        audit::deleted(tx, "trusted_issuer.deleted", id, &gone)?;
        Ok(NoContent)
    }
}

impl NewTrustedIssuer {
    /// Checks what the validator cannot; the most that a token of this issuer could do.
    fn check(&self, app: &App) -> Result<Scopes> {
        check_url(app, &self.jwks_url)?;
        let scopes = parse_scopes(&self.default_scopes)?;
        let is_open = self.scopes_claim.is_some() || self.roles_claim.is_some();
        Ok(if is_open { Scopes::ALL } else { scopes })
    }

    fn insert(&self, tx: &mut Tx) -> Result<TrustedIssuer> {
        use trusted_issuers as t;
        let (id, now) = (tx.new_id(), tx.now);
        let made = diesel::insert_into(t::table)
            .values((
                t::workspace_id.eq(tx.home),
                t::id.eq(id),
                (t::issuer.eq(&self.issuer), t::audience.eq(&self.audience)),
                t::jwks_url.eq(&self.jwks_url),
                t::algorithms.eq(names(&self.algorithms)?),
                (t::scopes_claim.eq(&self.scopes_claim), t::roles_claim.eq(&self.roles_claim)),
                t::default_scopes.eq(parse_scopes(&self.default_scopes)?.to_list()),
                t::version.eq(1_i64),
                (t::created_at.eq(now), t::updated_at.eq(now)),
            ))
            .on_conflict((t::workspace_id, t::issuer))
            .do_nothing()
            .returning(TrustedIssuer::as_returning())
            .get_result(tx.pg)
            .optional()?;
        let Some(made) = made else { return Err(self.taken(tx)?) };
        record(tx, change("trusted_issuer.created", id, json!({ "issuer": made.issuer })))?;
        audit::created(tx, "trusted_issuer.created", id, &made)?;
        Ok(made)
    }

    fn taken(&self, tx: &mut Tx) -> Result<Error> {
        let holder = of(tx.home).filter(trusted_issuers::issuer.eq(&self.issuer));
        let holder = holder.select(trusted_issuers::id).first(tx.pg).optional()?;
        let detail = "this `issuer` is trusted already";
        Ok(Error::conflict("trusted_issuers_issuer_taken", detail, holder))
    }
}

impl TrustedIssuerPatch {
    fn check(&self, app: &App) -> Result<()> {
        self.jwks_url.as_deref().map_or(Ok(()), |url| check_url(app, url))?;
        self.default_scopes.as_deref().map_or(Ok(()), |list| parse_scopes(list).map(drop))
    }

    fn apply(
        &self,
        tx: &mut Tx,
        id: Uuid,
        if_match: IfMatch,
        by: &Identity,
    ) -> Result<TrustedIssuer> {
        let before = TrustedIssuer::lock(tx, id)?;
        if_match.check(before.version)?;
        must_cover(by, before.reach()?)?;
        let after = self.store(tx, id)?;
        must_cover(by, after.reach()?)?;
        let changes = differences(&to_json(&before)?, &to_json(&after)?);
        record(tx, change("trusted_issuer.updated", id, json!({ "changes": changes })))?;
        audit::changed(tx, "trusted_issuer.updated", id, (&before, &after))?;
        Ok(after)
    }

    fn store(&self, tx: &mut Tx, id: Uuid) -> Result<TrustedIssuer> {
        use trusted_issuers as t;
        let algorithms = self.algorithms.as_deref().map(names).transpose()?;
        let scopes = self.default_scopes.as_deref().map(parse_scopes).transpose()?;
        diesel::update(of(tx.home).filter(t::id.eq(id)))
            .set((
                self.audience.as_ref().map(|audience| t::audience.eq(audience)),
                self.jwks_url.as_ref().map(|url| t::jwks_url.eq(url)),
                algorithms.map(|names| t::algorithms.eq(names)),
                self.scopes_claim.as_ref().map(|claim| t::scopes_claim.eq(claim)),
                self.roles_claim.as_ref().map(|claim| t::roles_claim.eq(claim)),
                scopes.map(|scopes| t::default_scopes.eq(scopes.to_list())),
                t::version.eq(t::version + 1),
                t::updated_at.eq(tx.now),
            ))
            .returning(TrustedIssuer::as_returning())
            .get_result(tx.pg)
            .map_err(Error::from)
    }
}

fn to_json(issuer: &TrustedIssuer) -> Result<Value> {
    serde_json::to_value(issuer).map_err(|error| Error::internal(error.to_string()))
}

fn change(kind: &'static str, id: Uuid, properties: Value) -> Change<'static> {
    Change {
        kind,
        customer_id: None,
        organization_id: None,
        channel_id: None,
        subject: ("trusted_issuer", id),
        properties,
    }
}
