//! Nobody hands out more than they have: what a caller may give to users, keys and issuers.

use crate::auth::{CredentialKind, Identity, Role, Scope, Scopes};
use crate::error::{Code, Error, Result};

/// 403 unless the caller has all of `scopes`; names the first that is missing.
pub fn must_cover(identity: &Identity, scopes: Scopes) -> Result<()> {
    let missing = scopes.minus(identity.scopes);
    if missing.is_empty() {
        return Ok(());
    }
    // Scopes without a name are those to come, which only `*` has.
    Err(Error::insufficient_scope(missing.iter().next().map_or("*", Scope::as_str)))
}

/// 403 unless the caller is an owner, or a program that an owner has given everything.
pub fn must_be_owner(identity: &Identity) -> Result<()> {
    let is_key = matches!(identity.kind, CredentialKind::ApiKey(_));
    if identity.role == Some(Role::Owner) || (is_key && identity.scopes == Scopes::ALL) {
        return Ok(());
    }
    Err(Error::new(Code::FORBIDDEN, "only an owner of the workspace may do this"))
}

/// 403 for test credentials: users and settings are those of the live workspace.
pub fn must_be_live(identity: &Identity) -> Result<()> {
    if identity.livemode {
        return Ok(());
    }
    Err(Error::new(Code::FORBIDDEN, "a test credential must not change what live data depends on"))
}

/// 403 unless the caller may make, change or remove somebody with this role.
pub fn may_manage(identity: &Identity, role: Role) -> Result<()> {
    must_cover(identity, role.scopes())?;
    if role == Role::Owner { must_be_owner(identity) } else { Ok(()) }
}
