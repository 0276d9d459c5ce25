//! The keys with which a company's programs say who they are.
//!
//! The text of a key is shown once, by the answer that made it, and stored nowhere: not even in
//! the answer that is kept for an `Idempotency-Key`.

use std::sync::Arc;

use actix_web::{delete, get, patch, post};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serde_with::rust::double_option;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

use crate::auth::key::{KeyKind, KeyText};
use crate::auth::{Caller, Identity, Scope, Scopes, authenticate::stored_scopes};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Actor, Conn, Db, Outcome, Tx, WorkspaceId};
use crate::error::{Code, Error, OnConstraint, Result};
use crate::http::{
    AnyOf, Created, Found, IfMatch, Json, List, NoContent, Page, Path, Query, Reply, Versioned,
};
use crate::journal::{Change, differences, record};
use crate::schema::api_keys;
use crate::users::powers::{must_be_owner, must_cover};
use crate::workspaces::Workspace;

/// A credential for a program. Its text is not among the fields: nobody has it but its holder.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = api_keys)]
pub struct ApiKey {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// What the key is for.
    #[schema(example = "Web shop")]
    pub name: String,
    /// Who is meant to hold it.
    pub kind: KeyKind,
    /// What it may do; `*` is everything, also what later versions add.
    #[schema(example = json!(["customers:read", "touchpoints:ingest"]))]
    pub scopes: Vec<String>,
    /// Whether it sees live data; a test key sees test data only.
    pub livemode: bool,
    /// How the text begins.
    #[schema(example = "ecrm_sk_0VcQ3kPB")]
    pub prefix: String,
    /// How the text ends.
    #[schema(example = "k3Xw")]
    pub last4: String,
    /// When it stops working; null never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute; null never.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the key was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A new key with its text, which is shown this once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiKeyWithSecret {
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The text to send as `Authorization: Bearer …`; null where the answer is a replay.
    #[schema(example = "ecrm_sk_0VcQ3kPB…k3Xw")]
    pub key: Option<String>,
}

impl Versioned for ApiKey {
    const COLLECTION: &'static str = "/v1/api_keys";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl Versioned for ApiKeyWithSecret {
    const COLLECTION: &'static str = ApiKey::COLLECTION;

    fn id(&self) -> Uuid {
        self.api_key.id
    }

    fn version(&self) -> i64 {
        self.api_key.version
    }
}

/// A key to be made.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What the key is for.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Web shop", min_length = 1, max_length = 200)]
    pub name: String,
    /// Who is meant to hold it: `secret` a server, `write` a web page or app, `portal` a customer
    /// portal.
    #[serde(default = "secret")]
    #[schema(default = "secret", example = "secret")]
    pub kind: KeyKind,
    /// What it may do, at most what the caller may. A `write` key can report touchpoints and
    /// nothing else, a `portal` key has no scope.
    #[serde(default)]
    #[validate(length(max = 100))]
    #[schema(max_items = 100, example = json!(["customers:read", "touchpoints:ingest"]))]
    pub scopes: Vec<String>,
    /// Whether it sees live data; the caller's own mode where absent. A test credential makes test
    /// keys only.
    pub livemode: Option<bool>,
    /// When it stops working.
    #[validate(custom(function = "crate::values::valid::time"))]
    pub expires_at: Option<DateTime<Utc>>,
}

/// Changes to a key.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyPatch {
    /// What the key is for.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Web shop", min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// What it may do, at most what the caller may.
    #[validate(length(max = 100))]
    #[schema(max_items = 100, example = json!(["customers:read"]))]
    pub scopes: Option<Vec<String>>,
    /// When it stops working; null never.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "crate::values::valid::time"))]
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// How a key is to be replaced.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRotation {
    /// Seconds for which the old key still works, up to a week.
    #[serde(default)]
    #[validate(range(min = 0, max = 604_800))]
    #[schema(default = 0, minimum = 0, maximum = 604800, example = 3600)]
    pub overlap_seconds: i32,
}

/// Which keys to list.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ApiKeyFilter {
    /// Any of these kinds.
    #[serde(default)]
    #[param(value_type = Option<Vec<KeyKind>>, style = Form, explode = false)]
    pub kind: AnyOf<KeyKind>,
    /// Only live keys, or only test keys.
    pub livemode: Option<bool>,
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_api_keys)
        .service(create_api_key)
        .service(get_api_key)
        .service(update_api_key)
        .service(rotate_api_key)
        .service(revoke_api_key);
}

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "api_keys.id", kind: SortKind::Id },
    SortKey { name: "name", column: "api_keys.name", kind: SortKind::Text },
];

/// List API keys
///
/// Without those that were revoked. A test credential sees test keys only.
#[utoipa::path(tag = "api_keys", security(("bearer" = ["api_keys:read"])), params(Page, ApiKeyFilter), responses((status = 200, body = List<ApiKey>)))]
#[get("/api_keys")]
async fn list_api_keys(
    caller: Caller,
    page: Query<Page>,
    filter: Query<ApiKeyFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ApiKeysRead)?;
    let slice = page.slice(&grant, "api_keys", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.home, conn.livemode);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(ApiKey::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Create an API key
///
/// The answer shows the text of the key, once: the answer replayed for an `Idempotency-Key` has
/// `key` null; revoke that key and create another. Nobody hands out more than they have (403 names
/// the first missing scope), and only an owner makes a key with `*`.
#[utoipa::path(tag = "api_keys", security(("bearer" = ["api_keys:write"])), responses((status = 201, body = ApiKeyWithSecret)))]
#[post("/api_keys")]
async fn create_api_key(caller: Caller, new: Json<NewApiKey>) -> Result<Reply> {
    let grant = caller.must(Scope::ApiKeysWrite)?;
    let ready = new.ready(caller.identity.livemode)?;
    check_mode(&caller.identity, ready.livemode)?;
    check_powers(&caller.identity, ready.scopes)?;
    let texts = Texts::generate(caller.identity.home);
    let shown = texts.clone();
    let reply = grant.write(move |tx| ready.insert(tx, &texts).map(unshown)).await?;
    shown.show(reply)
}

/// Get an API key
#[utoipa::path(tag = "api_keys", security(("bearer" = ["api_keys:read"])), responses((status = 200, body = ApiKey)))]
#[get("/api_keys/{id}")]
async fn get_api_key(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::ApiKeysRead)?;
    grant.read(move |conn| ApiKey::find(conn, *id).map(Found)).await
}

/// Change an API key
///
/// Only by somebody who may do all that the key may do.
#[utoipa::path(tag = "api_keys", security(("bearer" = ["api_keys:write"])), responses((status = 200, body = ApiKey)))]
#[patch("/api_keys/{id}")]
async fn update_api_key(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<ApiKeyPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ApiKeysWrite)?;
    let (app, identity) = (grant.app().clone(), caller.identity.clone());
    let reply =
        grant.write(move |tx| patch.apply(tx, *id, if_match, &identity).map(Found)).await?;
    app.credentials.forget();
    Ok(reply)
}

/// Replace an API key
///
/// Makes a new key with the same name, scopes and end; the old one stops working after the overlap.
/// The new text is shown once, as on creation.
#[utoipa::path(tag = "api_keys", security(("bearer" = ["api_keys:write"])), responses((status = 201, body = ApiKeyWithSecret)))]
#[post("/api_keys/{id}/rotate")]
async fn rotate_api_key(
    caller: Caller,
    id: Path<Uuid>,
    rotation: Json<ApiKeyRotation>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ApiKeysWrite)?;
    let (app, identity) = (grant.app().clone(), caller.identity.clone());
    let texts = Texts::generate(identity.home);
    let shown = texts.clone();
    let reply = grant
        .write(move |tx| rotation.apply(tx, *id, &identity, &texts).map(unshown))
        .await?;
    app.credentials.forget();
    shown.show(reply)
}

/// Revoke an API key
///
/// At once and for good.
#[utoipa::path(tag = "api_keys", security(("bearer" = ["api_keys:write"])), responses((status = 204)))]
#[delete("/api_keys/{id}")]
async fn revoke_api_key(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::ApiKeysWrite)?;
    let app = grant.app().clone();
    let reply = grant.write(move |tx| ApiKey::revoke(tx, *id, if_match)).await?;
    app.credentials.forget();
    Ok(reply)
}

/// The keys of a workspace that are not revoked and that a credential of this mode may see.
#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId, livemode: bool) -> _ {
    let seen: &'static [bool] = modes(livemode);
    api_keys::table
        .filter(api_keys::workspace_id.eq(workspace))
        .filter(api_keys::revoked_at.is_null())
        .filter(api_keys::livemode.eq_any(seen))
}

/// Live credentials see both modes, test credentials their own.
fn modes(livemode: bool) -> &'static [bool] {
    if livemode { &[true, false] } else { &[false] }
}

type Matching = diesel::helper_types::IntoBoxed<'static, api_keys::table, diesel::pg::Pg>;

impl ApiKeyFilter {
    fn apply(&self, home: WorkspaceId, livemode: bool) -> Matching {
        let mut found = api_keys::table
            .into_boxed()
            .filter(api_keys::workspace_id.eq(home))
            .filter(api_keys::revoked_at.is_null())
            .filter(api_keys::livemode.eq_any(modes(livemode)));
        if let Some(kinds) = self.kind.given() {
            found = found.filter(api_keys::kind.eq_any(kinds.clone()));
        }
        if let Some(livemode) = self.livemode {
            found = found.filter(api_keys::livemode.eq(livemode));
        }
        found
    }
}

/// 403 where a test credential reaches for a live key.
fn check_mode(identity: &Identity, livemode: bool) -> Result<()> {
    if identity.livemode || !livemode {
        return Ok(());
    }
    Err(Error::new(Code::FORBIDDEN, "a test credential makes test keys only"))
}

/// 403 unless the caller may do all that a key may do: whoever holds its text could.
fn check_powers(identity: &Identity, scopes: Scopes) -> Result<()> {
    must_cover(identity, scopes)?;
    // An admin has `*` and still is no owner; a key with `*` counts as one.
    if scopes == Scopes::ALL { must_be_owner(identity) } else { Ok(()) }
}

/// The scopes of a key of this kind, given as a list.
fn scopes_of(kind: KeyKind, list: &[String]) -> Result<Scopes> {
    let given = Scopes::from_list(list.iter().map(String::as_str))
        .map_err(|unknown| Error::field("#/scopes", "unknown_scope", unknown.to_string()))?;
    let fixed = kind.allowed_scopes();
    match kind {
        KeyKind::Secret if given.is_empty() => {
            Err(Error::field("#/scopes", "required", "a secret key needs at least one scope"))
        }
        KeyKind::Secret => Ok(given),
        KeyKind::Write | KeyKind::Portal if given.is_empty() || given == fixed => Ok(fixed),
        KeyKind::Write | KeyKind::Portal => {
            let detail = format!("a `{kind}` key has exactly the scopes `{fixed}`");
            Err(Error::field("#/scopes", "invalid_scopes", detail))
        }
    }
}

fn check_end(end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<()> {
    match end {
        Some(end) if end <= now => {
            Err(Error::field("#/expires_at", "in_the_past", "`expires_at` must lie ahead"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Makes a key from the command line, where nobody's powers limit it. Blocks.
pub fn create(db: &Db, workspace: &Workspace, new: &NewApiKey) -> Result<(ApiKey, KeyText)> {
    let ready = new.ready(true)?;
    let session = workspace.session(ready.livemode, Actor::SYSTEM, Uuid::now_v7().to_string());
    let texts = Texts::generate(workspace.home());
    let made = db.write(&session, &|tx| ready.insert(tx, &texts).map(Outcome::Commit))?;
    let text = texts.take(made.kind, made.livemode).ok_or_else(|| Error::internal("no key text"))?;
    Ok((made, text))
}

/// New texts, one for every kind and mode. Which one a key gets is decided in its transaction, and
/// none may get into the answer that is kept for replays.
#[derive(Clone)]
struct Texts(Arc<Vec<KeyText>>);

impl Texts {
    fn generate(home: WorkspaceId) -> Self {
        let kinds = [KeyKind::Secret, KeyKind::Write, KeyKind::Portal];
        let sorts = kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]);
        let home = home.uuid();
        Self(Arc::new(sorts.map(|(kind, mode)| KeyText::generate(kind, mode, home)).collect()))
    }

    fn of(&self, kind: KeyKind, livemode: bool) -> &KeyText {
        let mut texts = self.0.iter();
        texts
            .find(|text| text.kind() == kind && text.livemode() == livemode)
            .expect("BUG: there is a text of every kind and mode")
    }

    fn take(self, kind: KeyKind, livemode: bool) -> Option<KeyText> {
        KeyText::parse(self.of(kind, livemode).reveal())
    }

    /// Puts the text into the answer that made its key; replays and refusals stay as they are.
    fn show(&self, mut reply: Reply) -> Result<Reply> {
        let is_replay = reply.headers.iter().any(|(name, _)| name == "Idempotent-Replayed");
        if is_replay || reply.status != 201 {
            return Ok(reply);
        }
        let broken = |error: serde_json::Error| Error::internal(error.to_string());
        let mut body: Value = serde_json::from_slice(&reply.body).map_err(broken)?;
        let Sort { kind, livemode } = Sort::deserialize(&body).map_err(broken)?;
        body["key"] = json!(self.of(kind, livemode).reveal());
        reply.body = serde_json::to_vec(&body).map_err(broken)?;
        Ok(reply)
    }
}

#[derive(Deserialize)]
struct Sort {
    kind: KeyKind,
    livemode: bool,
}

fn unshown(api_key: ApiKey) -> Created<ApiKeyWithSecret> {
    Created(ApiKeyWithSecret { api_key, key: None })
}

/// A key with everything decided but its text.
struct Ready {
    name: String,
    kind: KeyKind,
    scopes: Scopes,
    livemode: bool,
    expires_at: Option<DateTime<Utc>>,
}

impl NewApiKey {
    fn ready(&self, livemode: bool) -> Result<Ready> {
        Ok(Ready {
            name: self.name.clone(),
            kind: self.kind,
            scopes: scopes_of(self.kind, &self.scopes)?,
            livemode: self.livemode.unwrap_or(livemode),
            expires_at: self.expires_at,
        })
    }
}

impl Ready {
    fn insert(&self, tx: &mut Tx, texts: &Texts) -> Result<ApiKey> {
        check_end(self.expires_at, tx.now)?;
        let made = self.store(tx, texts.of(self.kind, self.livemode))?;
        let properties = json!({
            "kind": made.kind, "scopes": made.scopes, "livemode": made.livemode,
        });
        record(tx, &change("api_key.created", made.id, properties))?;
        Ok(made)
    }

    fn store(&self, tx: &mut Tx, text: &KeyText) -> Result<ApiKey> {
        use api_keys as k;
        let (id, now) = (tx.new_id(), tx.now);
        diesel::insert_into(k::table)
            .values((
                k::workspace_id.eq(tx.home),
                k::id.eq(id),
                k::name.eq(&self.name),
                (k::kind.eq(self.kind), k::livemode.eq(self.livemode)),
                k::scopes.eq(self.scopes.to_list()),
                k::hash.eq(text.hash().to_vec()),
                (k::prefix.eq(text.prefix()), k::last4.eq(text.last4())),
                k::expires_at.eq(self.expires_at),
                k::version.eq(1_i64),
                (k::created_at.eq(now), k::updated_at.eq(now)),
            ))
            .returning(ApiKey::as_returning())
            .get_result(tx.pg)
            .on_constraint("api_keys_hash_taken", || Error::internal("two random keys are equal"))
    }
}

impl ApiKey {
    fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.home, conn.livemode).filter(api_keys::id.eq(id));
        Ok(query.select(Self::as_select()).first(conn.pg)?)
    }

    fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let query = of(tx.home, tx.livemode).filter(api_keys::id.eq(id));
        Ok(query.select(Self::as_select()).for_update().first(tx.pg)?)
    }

    fn revoke(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<NoContent> {
        let gone = Self::lock(tx, id)?;
        if_match.check(gone.version)?;
        diesel::update(of(tx.home, tx.livemode).filter(api_keys::id.eq(id)))
            .set((
                api_keys::revoked_at.eq(tx.now),
                api_keys::version.eq(api_keys::version + 1),
                api_keys::updated_at.eq(tx.now),
            ))
            .execute(tx.pg)?;
        record(tx, &change("api_key.revoked", id, json!({})))?;
        Ok(NoContent)
    }
}

impl ApiKeyPatch {
    fn apply(&self, tx: &mut Tx, id: Uuid, if_match: IfMatch, by: &Identity) -> Result<ApiKey> {
        use api_keys as k;
        let before = ApiKey::lock(tx, id)?;
        if_match.check(before.version)?;
        check_powers(by, stored_scopes(&before.scopes)?)?;
        check_end(self.expires_at.flatten(), tx.now)?;
        let scopes = self.scopes.as_ref().map(|list| scopes_of(before.kind, list)).transpose()?;
        if let Some(scopes) = scopes {
            check_powers(by, scopes)?;
        }
        let after: ApiKey = diesel::update(of(tx.home, tx.livemode).filter(k::id.eq(id)))
            .set((
                self.name.as_ref().map(|name| k::name.eq(name)),
                scopes.map(|scopes| k::scopes.eq(scopes.to_list())),
                self.expires_at.map(|end| k::expires_at.eq(end)),
                k::version.eq(k::version + 1),
                k::updated_at.eq(tx.now),
            ))
            .returning(ApiKey::as_returning())
            .get_result(tx.pg)?;
        let changes = differences(&to_json(&before)?, &to_json(&after)?);
        record(tx, &change("api_key.updated", id, json!({ "changes": changes })))?;
        Ok(after)
    }
}

impl ApiKeyRotation {
    fn apply(&self, tx: &mut Tx, id: Uuid, by: &Identity, texts: &Texts) -> Result<ApiKey> {
        let old = ApiKey::lock(tx, id)?;
        let scopes = stored_scopes(&old.scopes)?;
        check_powers(by, scopes)?;
        if old.expires_at.is_some_and(|end| end <= tx.now) {
            return Err(Error::new(Code::CONFLICT, "this key has run out; create a new one"));
        }
        let until = tx.now + TimeDelta::seconds(self.overlap_seconds.into());
        let end = old.expires_at.map_or(until, |end| end.min(until));
        diesel::update(of(tx.home, tx.livemode).filter(api_keys::id.eq(id)))
            .set((
                api_keys::expires_at.eq(end),
                api_keys::version.eq(api_keys::version + 1),
                api_keys::updated_at.eq(tx.now),
            ))
            .execute(tx.pg)?;
        let ApiKey { name, kind, livemode, expires_at, .. } = old;
        let ready = Ready { name, kind, scopes, livemode, expires_at };
        let made = ready.store(tx, texts.of(kind, livemode))?;
        let properties = json!({ "replaced_by": made.id, "expires_at": end });
        record(tx, &change("api_key.rotated", id, properties))?;
        Ok(made)
    }
}

fn to_json(key: &ApiKey) -> Result<Value> {
    serde_json::to_value(key).map_err(|error| Error::internal(error.to_string()))
}

fn change(kind: &'static str, id: Uuid, properties: Value) -> Change<'static> {
    Change {
        kind,
        customer_id: None,
        organization_id: None,
        channel_id: None,
        subject: ("api_key", id),
        properties,
    }
}

fn secret() -> KeyKind {
    KeyKind::Secret
}
