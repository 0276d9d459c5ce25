//! From the text of a credential to the identity it proves.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use moka::sync::Cache;
use serde_json::Value;
use uuid::Uuid;

use super::key::{KeyKind, KeyText};
use super::token::{Claims, Subject};
use super::{Identity, Role, Scopes, jwks};
use crate::app::App;
use crate::db::{Actor, ActorKind, WorkspaceId};
use crate::error::{Error, Result};
use crate::schema::{api_keys, customers, trusted_issuers, users, workspaces};

/// How long a verified credential is believed without asking the database again. A revoked key or
/// a disabled user is refused at once by the process that did it, by others after this time.
pub const BELIEVED_FOR: Duration = Duration::from_secs(10);
const REMEMBERED: u64 = 20_000;

/// What kind of credential opened a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    ApiKey(KeyKind),
    User,
    Customer,
    /// A token of a trusted outside issuer.
    Issuer,
}

/// Verified credentials, remembered by the digest of their text.
pub struct Credentials {
    known: Cache<[u8; 32], Arc<Identity>>,
}

impl Credentials {
    pub fn new() -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED_FOR).build();
        Self { known }
    }

    /// Forgets everything: after a key, user or workspace has changed.
    pub fn forget(&self) {
        self.known.invalidate_all();
    }

    /// The identity of a credential, or 401 without saying why.
    pub async fn identify(&self, app: &App, token: String) -> Result<Arc<Identity>> {
        let name: [u8; 32] = digest(&SHA256, token.as_bytes())
            .as_ref()
            .try_into()
            .expect("BUG: SHA-256 has 32 bytes");
        if let Some(identity) = self.known.get(&name).filter(|known| is_current(known)) {
            return Ok(identity);
        }
        let asked = app.clone();
        let identity = super::blocking(move || verify(&asked, &token)).await?;
        let identity = Arc::new(identity);
        self.known.insert(name, identity.clone());
        Ok(identity)
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self::new()
    }
}

fn is_current(identity: &Identity) -> bool {
    identity.expires_at.is_none_or(|at| at > Utc::now())
}

fn verify(app: &App, token: &str) -> Result<Identity> {
    if let Some(key) = KeyText::parse(token) {
        return verify_key(app, &key);
    }
    if let Some(claims) = app.tokens.verify(token) {
        return match claims.typ {
            Subject::User => verify_user(app, &claims),
            Subject::Key => verify_key_token(app, &claims),
            Subject::Customer => verify_customer(app, &claims),
        };
    }
    verify_outside(app, token)
}

/// The workspace's part of an identity.
#[derive(Queryable, Selectable)]
#[diesel(table_name = workspaces)]
struct Place {
    id: WorkspaceId,
    twin_id: WorkspaceId,
    settings: Value,
}

impl Place {
    fn data(&self, livemode: bool) -> WorkspaceId {
        if livemode { self.id } else { self.twin_id }
    }

    fn origins(&self) -> Arc<[String]> {
        let listed =
            self.settings["cors_origins"].as_array().map(Vec::as_slice).unwrap_or_default();
        listed.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
struct KeyRow {
    id: Uuid,
    kind: KeyKind,
    scopes: Vec<String>,
    livemode: bool,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

fn verify_key(app: &App, text: &KeyText) -> Result<Identity> {
    let workspace = WorkspaceId::trusted(text.workspace());
    let (key, place) = app.db.system(|pg| {
        let found: Option<(KeyRow, Place)> = api_keys::table
            .inner_join(workspaces::table)
            .filter(api_keys::workspace_id.eq(workspace))
            .filter(workspaces::id.eq(workspace))
            .filter(api_keys::hash.eq(text.hash().to_vec()))
            .select((KeyRow::as_select(), Place::as_select()))
            .first(pg)
            .optional()?;
        let (key, place) = found.ok_or_else(Error::unauthorized)?;
        // A read-only database can still be read.
        if let Err(error) = touch(pg, workspace, &key) {
            log::debug!("last use of a key not noted: {error}");
        }
        Ok((key, place))
    })?;
    key_identity(&key, &place, None)
}

fn key_identity(key: &KeyRow, place: &Place, narrowed: Option<Scopes>) -> Result<Identity> {
    let is_valid = key.revoked_at.is_none_or(|at| at > Utc::now())
        && key.expires_at.is_none_or(|at| at > Utc::now());
    if !is_valid {
        return Err(Error::unauthorized());
    }
    let own = stored_scopes(&key.scopes)?.intersection(key.kind.allowed_scopes());
    Ok(Identity {
        credential_id: key.id,
        kind: CredentialKind::ApiKey(key.kind),
        home: place.id,
        workspace: place.data(key.livemode),
        livemode: key.livemode,
        scopes: narrowed.map_or(own, |asked| asked.intersection(own)),
        role: None,
        actor: Actor { kind: ActorKind::Integration, id: Some(key.id) },
        expires_at: [key.expires_at, key.revoked_at].into_iter().flatten().min(),
        origins: place.origins(),
    })
}

/// Notes that a key is in use, at most once a minute.
fn touch(pg: &mut PgConnection, workspace: WorkspaceId, key: &KeyRow) -> Result<()> {
    let now = Utc::now();
    if key.last_used_at.is_none_or(|at| at < now - TimeDelta::minutes(1)) {
        diesel::update(api_keys::table)
            .filter(api_keys::workspace_id.eq(workspace))
            .filter(api_keys::id.eq(key.id))
            .set(api_keys::last_used_at.eq(now))
            .execute(pg)?;
    }
    Ok(())
}

/// A customer's token is good while there is the customer.
fn verify_customer(app: &App, claims: &Claims) -> Result<Identity> {
    let (home, customer) = (WorkspaceId::trusted(claims.wid), claims.sub);
    let place = app.db.system(|pg| {
        let row = workspaces::table.filter(workspaces::id.eq(home)).select(Place::as_select());
        let place: Place = row.first(pg).optional()?.ok_or_else(Error::unauthorized)?;
        let there = customers::table
            .filter(customers::workspace_id.eq(place.data(claims.livemode)))
            .filter(customers::id.eq(customer))
            .filter(customers::deleted_at.is_null());
        let is_there: bool = diesel::select(diesel::dsl::exists(there)).get_result(pg)?;
        if is_there { Ok(place) } else { Err(Error::unauthorized()) }
    })?;
    Ok(Identity {
        credential_id: customer,
        kind: CredentialKind::Customer,
        home: place.id,
        workspace: place.data(claims.livemode),
        livemode: claims.livemode,
        scopes: Scopes::NONE,
        role: None,
        actor: Actor { kind: ActorKind::Customer, id: Some(customer) },
        expires_at: ends(claims.exp),
        origins: place.origins(),
    })
}

/// A token got with a key's client credentials is worth what its key is worth now.
fn verify_key_token(app: &App, claims: &Claims) -> Result<Identity> {
    let workspace = WorkspaceId::trusted(claims.wid);
    let id = claims.sub;
    let found: Option<(KeyRow, Place)> = app.db.system(|pg| {
        Ok(api_keys::table
            .inner_join(workspaces::table)
            .filter(api_keys::workspace_id.eq(workspace))
            .filter(workspaces::id.eq(workspace))
            .filter(api_keys::id.eq(id))
            .select((KeyRow::as_select(), Place::as_select()))
            .first(pg)
            .optional()?)
    })?;
    let (key, place) = found.ok_or_else(Error::unauthorized)?;
    let mut identity = key_identity(&key, &place, Some(claims.scope))?;
    identity.expires_at = identity.expires_at.into_iter().chain(ends(claims.exp)).min();
    Ok(identity)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct UserRow {
    id: Uuid,
    role: Role,
    status: String,
    token_version: i64,
}

fn verify_user(app: &App, claims: &Claims) -> Result<Identity> {
    let workspace = WorkspaceId::trusted(claims.wid);
    let id = claims.sub;
    let found: Option<(UserRow, Place)> = app.db.system(|pg| {
        Ok(users::table
            .inner_join(workspaces::table)
            .filter(users::workspace_id.eq(workspace))
            .filter(workspaces::id.eq(workspace))
            .filter(users::id.eq(id))
            .select((UserRow::as_select(), Place::as_select()))
            .first(pg)
            .optional()?)
    })?;
    let (user, place) = found.ok_or_else(Error::unauthorized)?;
    if user.status != "active" || claims.ver != Some(user.token_version) {
        return Err(Error::unauthorized());
    }
    Ok(Identity {
        credential_id: user.id,
        kind: CredentialKind::User,
        home: place.id,
        workspace: place.data(claims.livemode),
        livemode: claims.livemode,
        scopes: claims.scope.intersection(user.role.scopes()),
        role: Some(user.role),
        actor: Actor { kind: ActorKind::User, id: Some(user.id) },
        expires_at: ends(claims.exp),
        origins: place.origins(),
    })
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = trusted_issuers)]
struct IssuerRow {
    id: Uuid,
    issuer: String,
    audience: String,
    jwks_url: String,
    algorithms: Vec<String>,
    scopes_claim: Option<String>,
    roles_claim: Option<String>,
    default_scopes: Vec<String>,
}

/// A token of an issuer that a workspace trusts. The unverified `iss` and `workspace_id` claims
/// only choose whose keys to check against.
fn verify_outside(app: &App, token: &str) -> Result<Identity> {
    let hint = jwks::peek_issuer(token).ok_or_else(Error::unauthorized)?;
    let named = hint.workspace_id.ok_or_else(Error::unauthorized)?;
    let workspace = WorkspaceId::trusted(named);
    let found: Option<(IssuerRow, Place)> = app.db.system(|pg| {
        Ok(trusted_issuers::table
            .inner_join(workspaces::table)
            .filter(trusted_issuers::workspace_id.eq(workspace))
            .filter(workspaces::id.eq(workspace))
            .filter(trusted_issuers::issuer.eq(&hint.issuer))
            .select((IssuerRow::as_select(), Place::as_select()))
            .first(pg)
            .optional()?)
    })?;
    let (row, place) = found.ok_or_else(Error::unauthorized)?;
    let id = row.id;
    let issuer = row.issuer(&place, app.config.dev || app.config.database_url.is_none())?;
    let verified = app.jwks.verify(token, &issuer).ok_or_else(Error::unauthorized)?;
    Ok(Identity {
        credential_id: id,
        kind: CredentialKind::Issuer,
        home: place.id,
        workspace: place.id,
        livemode: true,
        scopes: verified.scopes,
        role: None,
        actor: Actor { kind: ActorKind::Integration, id: Some(id) },
        expires_at: ends(verified.expires_at),
        origins: place.origins(),
    })
}

impl IssuerRow {
    fn issuer(self, place: &Place, is_development: bool) -> Result<jwks::Issuer> {
        let algorithms = serde_json::to_value(&self.algorithms).and_then(serde_json::from_value);
        Ok(jwks::Issuer {
            issuer: self.issuer,
            audience: self.audience,
            jwks_url: jwks::JwksUrl::parse(&self.jwks_url, is_development)?,
            algorithms: algorithms.map_err(|error| Error::internal(error.to_string()))?,
            workspace_id: place.id.uuid(),
            scopes_claim: self.scopes_claim,
            roles_claim: self.roles_claim,
            default_scopes: stored_scopes(&self.default_scopes)?,
        })
    }
}

/// Scopes as a row holds them.
pub fn stored_scopes(list: &[String]) -> Result<Scopes> {
    Scopes::from_list(list.iter().map(String::as_str))
        .map_err(|unknown| Error::internal(unknown.to_string()))
}

fn ends(unix_s: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(unix_s, 0)
}
