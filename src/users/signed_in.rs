//! Who is signed in: sessions, each a chain of refresh tokens of which every one works once.
//!
//! A token that comes back after its use was copied: its whole session ends. Whatever reads or
//! changes sessions locks the user first, so that it takes turns and never waits crosswise.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::logins::Account;
use super::{UserStatus, change};
use crate::audit;
use crate::auth::refresh;
use crate::auth::secret_text::SecretText;
use crate::db::{Tx, WorkspaceId};
use crate::error::{Error, OnConstraint, Result};
use crate::journal::record;
use crate::schema::{refresh_tokens, users};

/// How long somebody stays signed in without using it.
const IDLE: TimeDelta = TimeDelta::days(30);

/// A session that was begun or carried on.
pub struct Opened {
    pub account: Account,
    pub livemode: bool,
    /// The session and the token that carries it on, unless it ends with the access token.
    pub refresh: Option<(Uuid, SecretText)>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = refresh_tokens)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    family_id: Uuid,
    livemode: bool,
    expires_at: DateTime<Utc>,
    used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    refresh_tokens::table.filter(refresh_tokens::workspace_id.eq(workspace))
}

/// Begins a session for somebody who has just proved who they are; `None` where the account was
/// changed or closed in the meantime. Without `lasts` there is no refresh token.
pub fn begin(tx: &mut Tx, account: Account, lasts: bool) -> Result<Option<Opened>> {
    let same = super::of(tx.home)
        .filter(users::id.eq(account.id))
        .filter(users::token_version.eq(account.token_version))
        .filter(users::status.eq(UserStatus::Active));
    let noted = diesel::update(same).set(users::last_login_at.eq(tx.now)).execute(tx.pg)?;
    if noted == 0 {
        return Ok(None);
    }
    forget_expired(tx, account.id)?;
    let livemode = tx.livemode;
    let family = tx.new_id();
    let refresh = match lasts {
        true => Some((family, issue(tx, account.id, family, livemode)?)),
        false => None,
    };
    record(tx, change("user.signed_in", account.id, json!({})))?;
    audit::created(tx, "user.signed_in", account.id, &json!({ "livemode": livemode }))?;
    Ok(Some(Opened { account, livemode, refresh }))
}

/// Carries a session on: the token is used up and followed by a new one. `None` where it is not
/// valid; commit also then, for a token used before ends its session.
pub fn renew(tx: &mut Tx, presented: &SecretText) -> Result<Option<Opened>> {
    let Some((account, row)) = lock(tx, presented)? else { return Ok(None) };
    if row.used_at.is_some() {
        end(tx, row.user_id, row.family_id, "token_reused")?;
        return Ok(None);
    }
    if row.revoked_at.is_some() || row.expires_at <= tx.now || !account.is_active() {
        return Ok(None);
    }
    diesel::update(of(tx.home).filter(refresh_tokens::id.eq(row.id)))
        .set(refresh_tokens::used_at.eq(tx.now))
        .execute(tx.pg)?;
    let text = issue(tx, row.user_id, row.family_id, row.livemode)?;
    Ok(Some(Opened { account, livemode: row.livemode, refresh: Some((row.family_id, text)) }))
}

/// Ends the session of a refresh token, if it is one of ours.
pub fn end_by_token(tx: &mut Tx, presented: &SecretText) -> Result<()> {
    match lock(tx, presented)? {
        Some((_, row)) => end(tx, row.user_id, row.family_id, "signed_out"),
        None => Ok(()),
    }
}

/// Ends the session of an access token that is still believed, by its claims.
pub fn end_by_claims(tx: &mut Tx, user: Uuid, version: i64, family: Option<Uuid>) -> Result<()> {
    let account = Account::lock(tx, user)?;
    if account.is_none_or(|account| account.token_version != version) {
        return Ok(());
    }
    match family {
        Some(family) => end(tx, user, family, "signed_out"),
        None => refuse_access_tokens(tx, user),
    }
}

/// Ends every session of a user.
pub fn end_all(tx: &mut Tx, user: Uuid) -> Result<()> {
    diesel::update(of(tx.home).filter(refresh_tokens::user_id.eq(user)))
        .filter(refresh_tokens::revoked_at.is_null())
        .set(refresh_tokens::revoked_at.eq(tx.now))
        .execute(tx.pg)?;
    refuse_access_tokens(tx, user)
}

/// The token's row and its user, both locked.
fn lock(tx: &mut Tx, presented: &SecretText) -> Result<Option<(Account, Row)>> {
    let hash = presented.hash().to_vec();
    let found = of(tx.home).filter(refresh_tokens::hash.eq(&hash));
    let user: Option<Uuid> = found.select(refresh_tokens::user_id).first(tx.pg).optional()?;
    let Some(user) = user else { return Ok(None) };
    let Some(account) = Account::lock(tx, user)? else { return Ok(None) };
    let found = of(tx.home).filter(refresh_tokens::hash.eq(&hash));
    let row = found.select(Row::as_select()).for_update().first(tx.pg).optional()?;
    Ok(row.map(|row| (account, row)))
}

/// Ends one session that has not ended. The access tokens of the user's other sessions are refused
/// with it; those sessions get new ones.
fn end(tx: &mut Tx, user: Uuid, family: Uuid, reason: &str) -> Result<()> {
    let ended = diesel::update(of(tx.home).filter(refresh_tokens::user_id.eq(user)))
        .filter(refresh_tokens::family_id.eq(family))
        .filter(refresh_tokens::revoked_at.is_null())
        .set(refresh_tokens::revoked_at.eq(tx.now))
        .execute(tx.pg)?;
    if ended == 0 {
        return Ok(());
    }
    refuse_access_tokens(tx, user)?;
    record(tx, change("user.signed_out", user, json!({ "reason": reason })))?;
    audit::created(tx, "user.signed_out", user, &json!({ "reason": reason }))
}

/// Refuses every access token that the user has now.
fn refuse_access_tokens(tx: &mut Tx, user: Uuid) -> Result<()> {
    diesel::update(super::of(tx.home).filter(users::id.eq(user)))
        .set(users::token_version.eq(users::token_version + 1))
        .execute(tx.pg)?;
    Ok(())
}

fn issue(tx: &mut Tx, user: Uuid, family: Uuid, livemode: bool) -> Result<SecretText> {
    use refresh_tokens as r;
    let text = refresh::generate(tx.home.uuid());
    let id = tx.new_id();
    diesel::insert_into(r::table)
        .values((
            r::workspace_id.eq(tx.home),
            r::id.eq(id),
            r::user_id.eq(user),
            r::family_id.eq(family),
            r::hash.eq(text.hash().to_vec()),
            r::livemode.eq(livemode),
            r::expires_at.eq(tx.now + IDLE),
            r::created_at.eq(tx.now),
        ))
        .execute(tx.pg)
        .on_constraint("refresh_tokens_user_exists", Error::not_found)
        .on_constraint("refresh_tokens_hash_taken", || {
            Error::internal("two random tokens are equal")
        })?;
    Ok(text)
}

/// Keeps the table from growing with people who sign in: there is nothing to recognise in tokens
/// that have run out.
fn forget_expired(tx: &mut Tx, user: Uuid) -> Result<()> {
    diesel::delete(of(tx.home).filter(refresh_tokens::user_id.eq(user)))
        .filter(refresh_tokens::expires_at.lt(tx.now))
        .execute(tx.pg)?;
    Ok(())
}
