//! Making a workspace: two rows, two keys, a slug and somebody to begin with.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use uuid::Uuid;

use super::{NewOwner, NewWorkspace, Workspace, allow_origins};
use crate::audit::{self, By, Event};
use crate::auth::{Role, password};
use crate::db::json::Jsonb;
use crate::db::{Actor, Db, Via, id};
use crate::error::{Error, Result};
use crate::schema::{workspace_slugs, workspaces};
use crate::seal::{DataKey, MasterKey};
use crate::users::NewUser;

/// Makes a workspace, its test twin, their keys and the first user, all or nothing. `new` has been
/// validated. Blocks: hashing the owner's password takes its time, before the transaction.
pub fn create(db: &Db, master: &MasterKey, new: &NewWorkspace, via: &Via) -> Result<Workspace> {
    let now = Utc::now();
    let owner = new.owner.as_ref().map(FirstUser::of).transpose()?;
    db.system_write(|pg| {
        let (home, twin) = (id::at(now, 1), id::at(now, 2));
        take_slug(pg, &new.slug, home)?;
        insert(pg, master, new, Pair { id: twin, twin: home, livemode: false }, now)?;
        let made = insert(pg, master, new, Pair { id: home, twin, livemode: true }, now)?;
        allow_origins(pg, made.home(), &new.settings.cors_origins)?;
        if let Some(FirstUser { user, hash }) = &owner {
            let id = id::at(now, 3);
            let added = crate::users::add(pg, made.home(), id, user, Some(hash.as_str()), now)?;
            note(pg, &made, via, ("user.created", id, 5), &added)?;
        }
        note(pg, &made, via, ("workspace.created", made.id, 4), &made)?;
        Ok(made)
    })
}

/// The audit event of something made with the workspace, before there is anybody in it.
fn note(
    pg: &mut PgConnection,
    workspace: &Workspace,
    via: &Via,
    (action, made, sequence): (&'static str, Uuid, u16),
    after: &impl Serialize,
) -> Result<()> {
    let (at, home) = (workspace.created_at, workspace.home());
    let id = id::at(at, sequence);
    let by = By { workspace: home, actor: &Actor::SYSTEM, via, at, id };
    let after = serde_json::to_value(after).map_err(|error| Error::internal(error.to_string()))?;
    let event = Event { action, resource_id: Some(made), before: None, after: Some(after) };
    audit::record_as(pg, &by, event)
}

/// The owner as the users know one.
struct FirstUser {
    user: NewUser,
    hash: String,
}

impl FirstUser {
    fn of(owner: &NewOwner) -> Result<Self> {
        let NewOwner { email, name, password } = owner.clone();
        let hash = password::hash(password.reveal())?;
        Ok(Self { user: NewUser { email, name, role: Role::Owner, password: None }, hash })
    }
}

/// One of the two rows of a workspace, and the other.
struct Pair {
    id: Uuid,
    twin: Uuid,
    livemode: bool,
}

fn insert(
    pg: &mut PgConnection,
    master: &MasterKey,
    new: &NewWorkspace,
    pair: Pair,
    now: DateTime<Utc>,
) -> Result<Workspace> {
    use workspaces as w;
    Ok(diesel::insert_into(w::table)
        .values((
            w::id.eq(pair.id),
            (w::twin_id.eq(pair.twin), w::livemode.eq(pair.livemode)),
            w::name.eq(&new.name),
            w::slug.eq(&new.slug),
            w::default_currency.eq(&new.default_currency),
            w::timezone.eq(&new.timezone),
            w::settings.eq(Jsonb(new.settings.clone())),
            w::data_key.eq(DataKey::generate().wrap(master, pair.id)),
            w::version.eq(1_i64),
            (w::created_at.eq(now), w::updated_at.eq(now)),
        ))
        .returning(Workspace::as_returning())
        .get_result(pg)?)
}

/// Takes the slug (`workspace_slugs_pkey`). Whose it is remains their secret.
fn take_slug(pg: &mut PgConnection, slug: &str, home: Uuid) -> Result<()> {
    let taken = diesel::insert_into(workspace_slugs::table)
        .values((workspace_slugs::slug.eq(slug), workspace_slugs::workspace_id.eq(home)))
        .on_conflict_do_nothing()
        .execute(pg)?;
    if taken == 1 {
        return Ok(());
    }
    let detail = "another workspace has this `slug`; choose a different one";
    Err(Error::conflict("workspaces_slug_taken", detail, None))
}
