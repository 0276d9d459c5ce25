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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::auth::key::KeyKind;
    use crate::db::{Actor, WorkspaceId};

    fn identity(kind: CredentialKind, role: Option<Role>, scopes: Scopes) -> Identity {
        let workspace = WorkspaceId::trusted(Uuid::nil());
        Identity {
            credential_id: Uuid::nil(),
            kind,
            home: workspace,
            workspace,
            livemode: true,
            scopes,
            role,
            actor: Actor::SYSTEM,
            expires_at: None,
            origins: [].into(),
        }
    }

    fn user(role: Role) -> Identity {
        identity(CredentialKind::User, Some(role), role.scopes())
    }

    fn key(scopes: Scopes) -> Identity {
        identity(CredentialKind::ApiKey(KeyKind::Secret), None, scopes)
    }

    #[test]
    fn an_admin_manages_everybody_but_owners() {
        for role in [Role::Admin, Role::Agent, Role::Analyst, Role::ReadOnly] {
            assert!(may_manage(&user(Role::Admin), role).is_ok(), "{role}");
            assert!(may_manage(&user(Role::Owner), role).is_ok(), "{role}");
        }
        assert!(may_manage(&user(Role::Owner), Role::Owner).is_ok());
        let refused = may_manage(&user(Role::Admin), Role::Owner).unwrap_err();
        assert_eq!(refused.rejection().code, "forbidden");
    }

    #[test]
    fn only_a_key_with_everything_counts_as_an_owner() {
        let today = Scopes::of(Scope::EVERY.iter().copied());
        assert!(must_be_owner(&key(Scopes::ALL)).is_ok());
        assert!(must_be_owner(&key(today)).is_err());
        assert!(must_be_owner(&identity(CredentialKind::Issuer, None, Scopes::ALL)).is_err());
    }

    #[test]
    fn the_first_missing_scope_is_named() {
        let named = |has, wants| {
            let error = must_cover(&key(has), wants).unwrap_err();
            error.rejection().scope.clone().unwrap()
        };
        let writer = Scopes::of([Scope::UsersWrite, Scope::CustomersRead]);
        assert_eq!(named(writer, Role::Agent.scopes()), "customers:write");
        assert_eq!(named(Scopes::of(Scope::EVERY.iter().copied()), Scopes::ALL), "*");
        assert!(must_cover(&key(Scopes::ALL), Scopes::ALL).is_ok());
    }
}
