//! How people are found when they sign in, before it is known where they work.

use diesel::prelude::*;
use uuid::Uuid;

use super::{UserStatus, of};
use crate::auth::Role;
use crate::db::{Tx, WorkspaceId};
use crate::error::Result;
use crate::schema::{login_emails, users};

/// What signing in looks at.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Account {
    pub id: Uuid,
    pub role: Role,
    pub status: UserStatus,
    pub password_hash: Option<String>,
    /// What a token must carry to be believed.
    pub token_version: i64,
}

impl Account {
    /// The account of a user, if there is one.
    pub fn find(pg: &mut PgConnection, workspace: WorkspaceId, id: Uuid) -> Result<Option<Self>> {
        let found = of(workspace).filter(users::id.eq(id)).select(Self::as_select());
        Ok(found.first(pg).optional()?)
    }

    /// The same, locked: whoever changes a user or their sessions takes turns.
    pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let found = of(tx.home).filter(users::id.eq(id)).select(Self::as_select());
        Ok(found.for_update().first(tx.pg).optional()?)
    }

    pub fn is_active(&self) -> bool {
        self.status == UserStatus::Active
    }
}

/// The users who sign in with an email, at most one per workspace.
pub fn with_email(pg: &mut PgConnection, norm: &str) -> Result<Vec<(WorkspaceId, Uuid)>> {
    Ok(login_emails::table
        .filter(login_emails::email_norm.eq(norm))
        .select((login_emails::workspace_id, login_emails::user_id))
        .load(pg)?)
}

/// Lets an email lead to a user; the caller has made sure that it is free.
pub fn point(pg: &mut PgConnection, workspace: WorkspaceId, user: Uuid, norm: &str) -> Result<()> {
    diesel::insert_into(login_emails::table)
        .values((
            login_emails::email_norm.eq(norm),
            login_emails::workspace_id.eq(workspace),
            login_emails::user_id.eq(user),
        ))
        .on_conflict((login_emails::email_norm, login_emails::workspace_id))
        .do_update()
        .set(login_emails::user_id.eq(user))
        .execute(pg)?;
    Ok(())
}

/// Lets no email lead to a user any more.
pub fn forget(tx: &mut Tx, user: Uuid) -> Result<()> {
    diesel::delete(login_emails::table)
        .filter(login_emails::workspace_id.eq(tx.home))
        .filter(login_emails::user_id.eq(user))
        .execute(tx.pg)?;
    Ok(())
}
