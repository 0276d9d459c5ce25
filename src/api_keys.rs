//! The keys with which a company's programs say who they are.
//!
//! The text of a key is shown once, by the answer that made it, and stored nowhere: not even in
//! the answer that is kept for an `Idempotency-Key`.

mod rules;
mod texts;
mod types;

use actix_web::{HttpRequest, delete, get, patch, post};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

pub use types::{ApiKey, ApiKeyFilter, ApiKeyPatch, ApiKeyRotation, ApiKeyWithSecret, NewApiKey};

use crate::audit;
use crate::auth::key::{KeyKind, KeyText};
use crate::auth::{Caller, Identity, Scope, Scopes, authenticate::stored_scopes};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Actor, Conn, Db, Outcome, Tx, Via, WorkspaceId};
use crate::error::{Code, Error, OnConstraint, Result};
use crate::http::boundary::is_dry_run;
use crate::http::{
    Created, Found, IfMatch, Json, List, NoContent, Page, Path, Query, Reply, ServiceConfig,
};
use crate::journal::{Change, differences, record};
use crate::schema::api_keys;
use crate::workspaces::Workspace;
use rules::{check_end, check_mode, check_powers, scopes_of};
use texts::Texts;

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
async fn create_api_key(req: HttpRequest, caller: Caller, new: Json<NewApiKey>) -> Result<Reply> {
    let grant = caller.must(Scope::ApiKeysWrite)?;
    let ready = new.ready(caller.identity.livemode)?;
    check_mode(&caller.identity, ready.livemode)?;
    check_powers(&caller.identity, ready.scopes)?;
    let texts = Texts::generate(caller.identity.home);
    let shown = texts.clone();
    let reply = grant.write(move |tx| ready.insert(tx, &texts).map(unshown)).await?;
    if is_dry_run(&req)? { Ok(reply) } else { shown.show(reply) }
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
    let reply = grant.write(move |tx| patch.apply(tx, *id, if_match, &identity).map(Found)).await?;
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
    req: HttpRequest,
    caller: Caller,
    id: Path<Uuid>,
    rotation: Json<ApiKeyRotation>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ApiKeysWrite)?;
    let (app, identity) = (grant.app().clone(), caller.identity.clone());
    let texts = Texts::generate(identity.home);
    let shown = texts.clone();
    let reply =
        grant.write(move |tx| rotation.apply(tx, *id, &identity, &texts).map(unshown)).await?;
    app.credentials.forget();
    if is_dry_run(&req)? { Ok(reply) } else { shown.show(reply) }
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

/// Makes a key from the command line, where nobody's powers limit it. Blocks.
pub fn create(db: &Db, workspace: &Workspace, new: &NewApiKey) -> Result<(ApiKey, KeyText)> {
    let ready = new.ready(true)?;
    let session = workspace.session(ready.livemode, Actor::SYSTEM, Via::default());
    let texts = Texts::generate(workspace.home());
    let made = db.write(&session, &|tx| ready.insert(tx, &texts).map(Outcome::Commit))?;
    let text =
        texts.take(made.kind, made.livemode).ok_or_else(|| Error::internal("no key text"))?;
    Ok((made, text))
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
        record(tx, change("api_key.created", made.id, properties))?;
        audit::created(tx, "api_key.created", made.id, &made)?;
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
        record(tx, change("api_key.revoked", id, json!({})))?;
        audit::deleted(tx, "api_key.revoked", id, &gone)?;
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
        record(tx, change("api_key.updated", id, json!({ "changes": changes })))?;
        audit::changed(tx, "api_key.updated", id, (&before, &after))?;
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
        let ended: ApiKey = diesel::update(of(tx.home, tx.livemode).filter(api_keys::id.eq(id)))
            .set((
                api_keys::expires_at.eq(end),
                api_keys::version.eq(api_keys::version + 1),
                api_keys::updated_at.eq(tx.now),
            ))
            .returning(ApiKey::as_returning())
            .get_result(tx.pg)?;
        audit::changed(tx, "api_key.rotated", id, (&old, &ended))?;
        let ApiKey { name, kind, livemode, expires_at, .. } = old;
        let ready = Ready { name, kind, scopes, livemode, expires_at };
        let made = ready.store(tx, texts.of(kind, livemode))?;
        let properties = json!({ "replaced_by": made.id, "expires_at": end });
        record(tx, change("api_key.rotated", id, properties))?;
        audit::created(tx, "api_key.created", made.id, &made)?;
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
