//! The people who work with the system: who they are and what they may do.

pub mod logins;
pub mod powers;
pub mod signed_in;
mod types;

use actix_web::{delete, get, patch, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

pub use types::{NewUser, User, UserFilter, UserPatch, UserStatus, strong};

use crate::audit;
use crate::auth::{Caller, Identity, Role, Scope, blocking, password};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Code, Error, OnConstraint, Rejection, Result};
use crate::http::{
    Created, Found, IfMatch, Json, List, NoContent, Page, Path, Query, Reply, ServiceConfig,
};
use crate::journal::{Change, differences, record};
use crate::schema::users;
use crate::seal::Secret;
use crate::values::email::Email;
use crate::values::text::{like_escape, search_key};
use powers::{may_manage, must_be_live};

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_users)
        .service(create_user)
        .service(get_user)
        .service(update_user)
        .service(delete_user);
}

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "users.id", kind: SortKind::Id },
    SortKey { name: "name", column: "users.name", kind: SortKind::Text },
    SortKey { name: "email", column: "users.email", kind: SortKind::Text },
];

/// List users
#[utoipa::path(tag = "users", security(("bearer" = ["users:read"])), params(Page, UserFilter), responses((status = 200, body = List<User>)))]
#[get("/users")]
async fn list_users(caller: Caller, page: Query<Page>, filter: Query<UserFilter>) -> Result<Reply> {
    let grant = caller.must(Scope::UsersRead)?;
    let slice = page.slice(&grant, "users", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.home);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(User::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Create a user
///
/// Nobody hands out more than they have, and only an owner makes an owner.
#[utoipa::path(tag = "users", security(("bearer" = ["users:write"])), responses((status = 201, body = User)))]
#[post("/users")]
async fn create_user(caller: Caller, new: Json<NewUser>) -> Result<Reply> {
    let grant = caller.must(Scope::UsersWrite)?;
    must_be_live(&caller.identity)?;
    may_manage(&caller.identity, new.role)?;
    let hash = hashed(new.password.clone()).await?;
    grant.write(move |tx| new.insert(tx, hash.as_deref()).map(Created)).await
}

/// Get a user
#[utoipa::path(tag = "users", security(("bearer" = ["users:read"])), responses((status = 200, body = User)))]
#[get("/users/{id}")]
async fn get_user(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::UsersRead)?;
    grant.read(move |conn| User::find(conn, *id).map(Found)).await
}

/// Change a user
///
/// A new email, role, status or password signs the user out everywhere. The last active owner
/// stays one (409 `last_owner`).
#[utoipa::path(tag = "users", security(("bearer" = ["users:write"])), responses((status = 200, body = User)))]
#[patch("/users/{id}")]
async fn update_user(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<UserPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::UsersWrite)?;
    must_be_live(&caller.identity)?;
    let (app, identity) = (grant.app().clone(), caller.identity.clone());
    let hash = hashed(patch.password.clone()).await?;
    let edit = Edit { patch: patch.0, hash, id: *id, if_match };
    let reply = grant.write(move |tx| edit.apply(tx, &identity).map(Found)).await?;
    app.credentials.forget();
    Ok(reply)
}

/// Delete a user
///
/// For good, with all sessions. Customers keep the id of a deleted owner. Nobody deletes
/// themselves, and the last active owner stays (409 `last_owner`).
#[utoipa::path(tag = "users", security(("bearer" = ["users:write"])), responses((status = 204)))]
#[delete("/users/{id}")]
async fn delete_user(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::UsersWrite)?;
    must_be_live(&caller.identity)?;
    let (app, identity) = (grant.app().clone(), caller.identity.clone());
    let reply = grant.write(move |tx| User::delete(tx, *id, if_match, &identity)).await?;
    app.credentials.forget();
    Ok(reply)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    users::table.filter(users::workspace_id.eq(workspace))
}

type Matching = diesel::helper_types::IntoBoxed<'static, users::table, diesel::pg::Pg>;

impl UserFilter {
    fn apply(&self, home: WorkspaceId) -> Matching {
        let mut found = users::table.into_boxed().filter(users::workspace_id.eq(home));
        if let Some(q) = &self.q {
            let pattern = format!("%{}%", like_escape(&search_key(q)));
            let named = users::name.ilike(pattern.clone());
            found = found.filter(users::email_norm.like(pattern).or(named));
        }
        if let Some(roles) = self.role.given() {
            found = found.filter(users::role.eq_any(roles.clone()));
        }
        if let Some(statuses) = self.status.given() {
            found = found.filter(users::status.eq_any(statuses.clone()));
        }
        found
    }
}

/// The hash of a password that passed [`strong`], worked out on a blocking thread before any
/// transaction. As many run at once as there are blocking threads, which bounds the memory.
async fn hashed(secret: Option<Secret>) -> Result<Option<String>> {
    match secret {
        None => Ok(None),
        Some(secret) => blocking(move || password::hash(secret.reveal()).map(Some)).await,
    }
}

/// Whether the workspace has this user.
pub fn exists(conn: &mut Conn, id: Uuid) -> Result<bool> {
    Ok(!existing(conn, &[id])?.is_empty())
}

/// Those of several ids that are users of the workspace.
pub fn existing(conn: &mut Conn, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(of(conn.home).filter(users::id.eq_any(ids)).select(users::id).load(conn.pg)?)
}

/// Adds a user and the way to find them at sign-in; `None` where the email is taken.
pub fn add(
    pg: &mut PgConnection,
    workspace: WorkspaceId,
    id: Uuid,
    new: &NewUser,
    password_hash: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<User>> {
    let email = parse_email(&new.email)?;
    let added = diesel::insert_into(users::table)
        .values((
            users::workspace_id.eq(workspace),
            users::id.eq(id),
            (users::email.eq(&email.raw), users::email_norm.eq(&email.norm)),
            users::name.eq(&new.name),
            users::role.eq(new.role),
            users::status.eq(UserStatus::Active),
            users::password_hash.eq(password_hash),
            users::token_version.eq(1_i64),
            users::version.eq(1_i64),
            (users::created_at.eq(now), users::updated_at.eq(now)),
        ))
        .on_conflict((users::workspace_id, users::email_norm))
        .do_nothing()
        .returning(User::as_returning())
        .get_result(pg)
        .optional()?;
    if added.is_some() {
        logins::point(pg, workspace, id, &email.norm)?;
    }
    Ok(added)
}

fn parse_email(text: &str) -> Result<Email> {
    let detail = "`email` is not an email address";
    Email::parse(text).ok_or_else(|| Error::field("#/email", "invalid_email", detail))
}

fn email_taken(conn: &mut Conn, norm: &str) -> Result<Error> {
    let holder = of(conn.home).filter(users::email_norm.eq(norm)).select(users::id);
    let holder = holder.first(conn.pg).optional()?;
    let detail = "another user of this workspace signs in with this email";
    Ok(Error::conflict("users_email_taken", detail, holder))
}

impl User {
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.home).filter(users::id.eq(id));
        Ok(query.select(Self::as_select()).first(conn.pg)?)
    }

    fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let query = of(tx.home).filter(users::id.eq(id));
        Ok(query.select(Self::as_select()).for_update().first(tx.pg)?)
    }

    fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch, by: &Identity) -> Result<NoContent> {
        let owners = lock_active_owners(tx)?;
        let gone = Self::lock(tx, id)?;
        if_match.check(gone.version)?;
        may_manage(by, gone.role)?;
        if by.role.is_some() && by.credential_id == id {
            return Err(Error::new(Code::CONFLICT, "nobody deletes themselves; ask somebody else"));
        }
        keep_an_owner(&owners, id)?;
        logins::forget(tx, id)?;
        diesel::delete(of(tx.home).filter(users::id.eq(id))).execute(tx.pg)?;
        record(tx, change("user.deleted", id, json!({})))?;
        audit::deleted(tx, "user.deleted", id, &gone)?;
        Ok(NoContent)
    }
}

impl NewUser {
    fn insert(&self, tx: &mut Tx, password_hash: Option<&str>) -> Result<User> {
        let (home, id, now) = (tx.home, tx.new_id(), tx.now);
        let Some(user) = add(tx.pg, home, id, self, password_hash, now)? else {
            return Err(email_taken(tx, &parse_email(&self.email)?.norm)?);
        };
        record(tx, change("user.created", id, json!({ "role": user.role })))?;
        audit::created(tx, "user.created", id, &user)?;
        Ok(user)
    }
}

/// The change of one user, with the new password hashed.
struct Edit {
    patch: UserPatch,
    hash: Option<String>,
    id: Uuid,
    if_match: IfMatch,
}

impl Edit {
    fn apply(&self, tx: &mut Tx, by: &Identity) -> Result<User> {
        let owners = lock_active_owners(tx)?;
        let before = User::lock(tx, self.id)?;
        self.if_match.check(before.version)?;
        let role = self.patch.role.unwrap_or(before.role);
        may_manage(by, before.role)?;
        may_manage(by, role)?;
        let status = self.patch.status.unwrap_or(before.status);
        if role != Role::Owner || status != UserStatus::Active {
            keep_an_owner(&owners, self.id)?;
        }
        let email = self.patch.email.as_deref().map(parse_email).transpose()?;
        let is_moved = email.as_ref().is_some_and(|email| email.raw != before.email);
        let is_signed_out =
            is_moved || role != before.role || status != before.status || self.hash.is_some();
        if let Some(email) = email.as_ref().filter(|_| is_moved) {
            self.move_login(tx, email)?;
        }
        if is_signed_out {
            signed_in::end_all(tx, self.id)?;
        }
        let after = self.store(tx)?;
        self.note(tx, &before, &after)?;
        Ok(after)
    }

    fn move_login(&self, tx: &mut Tx, email: &Email) -> Result<()> {
        let others = of(tx.home).filter(users::id.ne(self.id));
        let holder = others.filter(users::email_norm.eq(&email.norm)).select(users::id);
        if holder.first::<Uuid>(tx.pg).optional()?.is_some() {
            return Err(email_taken(tx, &email.norm)?);
        }
        diesel::update(of(tx.home).filter(users::id.eq(self.id)))
            .set((users::email.eq(&email.raw), users::email_norm.eq(&email.norm)))
            .execute(tx.pg)
            .on_constraint("users_email_taken", || {
                let detail = "another user of this workspace signs in with this email";
                Error::conflict("users_email_taken", detail, None)
            })?;
        let home = tx.home;
        logins::forget(tx, self.id)?;
        logins::point(tx.pg, home, self.id, &email.norm)
    }

    fn store(&self, tx: &mut Tx) -> Result<User> {
        let patch = &self.patch;
        Ok(diesel::update(of(tx.home).filter(users::id.eq(self.id)))
            .set((
                patch.name.as_ref().map(|name| users::name.eq(name)),
                patch.role.map(|role| users::role.eq(role)),
                patch.status.map(|status| users::status.eq(status)),
                self.hash.as_ref().map(|hash| users::password_hash.eq(hash)),
                users::version.eq(users::version + 1),
                users::updated_at.eq(tx.now),
            ))
            .returning(User::as_returning())
            .get_result(tx.pg)?)
    }

    /// The log says that name, email or password changed, not from what to what: more people read
    /// it than the list of users.
    fn note(&self, tx: &mut Tx, before: &User, after: &User) -> Result<()> {
        let mut changes = differences(&to_json(before)?, &to_json(after)?);
        for private in ["name", "email"] {
            if let Some(change) = changes.get_mut(private) {
                *change = json!({});
            }
        }
        if self.hash.is_some() {
            changes.insert("password".into(), json!({}));
        }
        record(tx, change("user.updated", self.id, json!({ "changes": changes })))?;
        audit::changed(tx, "user.updated", self.id, (before, after))?;
        if self.hash.is_some() {
            audit::done(tx, "user.password_changed", self.id)?;
        }
        Ok(())
    }
}

/// The owners who can sign in, locked: two of them must not demote each other at the same time.
fn lock_active_owners(tx: &mut Tx) -> Result<Vec<Uuid>> {
    Ok(of(tx.home)
        .filter(users::role.eq(Role::Owner))
        .filter(users::status.eq(UserStatus::Active))
        .order(users::id)
        .select(users::id)
        .for_update()
        .load(tx.pg)?)
}

/// 409 where `id` is the only one of `owners`.
fn keep_an_owner(owners: &[Uuid], id: Uuid) -> Result<()> {
    if owners != [id] {
        return Ok(());
    }
    let detail = "this is the last active owner; make somebody else an owner first";
    let mut rejection = Rejection::new(Code::CONFLICT, detail);
    rejection.code = "last_owner".into();
    Err(Error::Problem(Box::new(rejection)))
}

fn to_json(user: &User) -> Result<Value> {
    serde_json::to_value(user).map_err(|error| Error::internal(error.to_string()))
}

fn change(kind: &'static str, id: Uuid, properties: Value) -> Change<'static> {
    Change {
        kind,
        customer_id: None,
        organization_id: None,
        channel_id: None,
        subject: ("user", id),
        properties,
    }
}
