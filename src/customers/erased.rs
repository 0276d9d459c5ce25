//! What stays of the identities of people who were erased: a keyed hash, by which they are recognised
//! and refused when an old file or a late message brings them back.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::hmac;
use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::identities::{Held, Mark, MarkKey, holders};
use super::marks::IdentityType;
use crate::crypto::hex;
use crate::db::{Conn, Tx};
use crate::error::{Code, Error, Result};
use crate::schema::identities;

/// Begins what stands in place of a mark. A mark as it is compared never begins with a space.
const PREFIX: &str = " erased:";

/// Whether a mark is refused when it comes back. A browser's is not: it says nothing of a person, and
/// whoever was erased may go on looking at the shop.
fn is_refused(kind: IdentityType) -> bool {
    kind.strength() > 0
}

/// Turns marks into what stands in their place, with a key of the workspace.
struct Hasher(hmac::Key);

impl Hasher {
    fn load(conn: &mut Conn) -> Result<Self> {
        Ok(Self(conn.data_key()?.signing_key("erased_identities")))
    }

    fn key(&self, (kind, norm): &MarkKey) -> MarkKey {
        let hash = hmac::sign(&self.0, format!("{kind}|{norm}").as_bytes());
        (*kind, format!("{PREFIX}{}", hex(hash.as_ref())))
    }
}

/// Who holds marks, and which of them nobody may hold.
pub struct Found {
    pub held: HashMap<MarkKey, Held>,
    erased: HashSet<MarkKey>,
}

/// Asks for both with one statement.
pub fn look_up(conn: &mut Conn, keys: &[MarkKey]) -> Result<Found> {
    let hasher = Hasher::load(conn)?;
    let refused = keys.iter().filter(|(kind, _)| is_refused(*kind));
    let hashed: HashMap<MarkKey, &MarkKey> = refused.map(|key| (hasher.key(key), key)).collect();
    let all: Vec<MarkKey> = keys.iter().chain(hashed.keys()).cloned().collect();
    let mut held = holders(conn, &all)?;
    let erased = hashed.iter().filter(|(hash, _)| held.remove(hash).is_some());
    let erased = erased.map(|(_, key)| (*key).clone()).collect();
    Ok(Found { held, erased })
}

impl Found {
    /// Where nobody has asked who was erased.
    pub fn of(held: HashMap<MarkKey, Held>) -> Self {
        Self { held, erased: HashSet::new() }
    }

    /// Whether the owner of a mark was erased.
    pub fn is_erased(&self, mark: &Mark) -> bool {
        self.erased.contains(&mark.key())
    }

    /// 409 for a mark whose owner was erased.
    pub fn refuse_erased(&self, mark: &Mark) -> Result<()> {
        if !self.is_erased(mark) {
            return Ok(());
        }
        let detail = format!(
            "the owner of this `{}` was erased; `POST /v1/readmissions` lets them come back",
            mark.kind
        );
        Err(Error::new(Code::IDENTITY_ERASED, detail).at(&mark.pointer, "identity_erased"))
    }
}

/// Takes the identities of erased customers away and leaves hashes of them, except where somebody else
/// has come to the same mark since. Returns what they were.
pub fn forget(tx: &mut Tx, customers: &[Uuid]) -> Result<Vec<MarkKey>> {
    let workspace = tx.workspace;
    let own = || {
        identities::table
            .filter(identities::workspace_id.eq(workspace))
            .filter(identities::customer_id.eq_any(customers))
    };
    let rows: Vec<(Uuid, IdentityType, String)> = own()
        .select((identities::id, identities::type_, identities::value_norm))
        .order(identities::id)
        .load(tx.pg)?;
    let keys: Vec<MarkKey> = rows.iter().map(|(_, kind, norm)| (*kind, norm.clone())).collect();
    let found = look_up(tx, &keys)?;
    let hasher = Hasher::load(tx)?;
    let (mut ids, mut hashes, mut seen) = (Vec::new(), Vec::new(), found.erased);
    for ((id, ..), key) in rows.iter().zip(&keys) {
        let holder = found.held.get(key).map(|held| held.customer_id);
        let is_theirs = holder.is_none_or(|holder| customers.contains(&holder));
        if is_refused(key.0) && is_theirs && seen.insert(key.clone()) {
            ids.push(*id);
            hashes.push(hasher.key(key).1);
        }
    }
    diesel::delete(own().filter(identities::id.ne_all(&ids))).execute(tx.pg)?;
    diesel::sql_query(
        "update identities
            set value = hash, value_norm = hash, source = null, verified_at = null,
                is_primary = false, released_at = null
           from unnest($2, $3) as erased(id, hash)
          where identities.workspace_id = $1 and identities.id = erased.id",
    )
    .bind::<SqlUuid, _>(tx.workspace)
    .bind::<Array<SqlUuid>, _>(&ids)
    .bind::<Array<Text>, _>(&hashes)
    .execute(tx.pg)?;
    Ok(keys)
}

/// How many hashes of identities these customers have left.
pub fn count(conn: &mut Conn, customers: &[Uuid]) -> Result<i64> {
    let left = identities::table
        .filter(identities::workspace_id.eq(conn.workspace))
        .filter(identities::customer_id.eq_any(customers));
    Ok(left.count().get_result(conn.pg)?)
}

/// Lets these marks be held again; returns how many were refused until now.
pub fn readmit(tx: &mut Tx, marks: &[Mark]) -> Result<usize> {
    let hasher = Hasher::load(tx)?;
    let mut readmitted = 0;
    for mark in marks {
        let (kind, hash) = hasher.key(&mark.key());
        let target = identities::table
            .filter(identities::workspace_id.eq(tx.workspace))
            .filter(identities::type_.eq(kind))
            .filter(identities::value_norm.eq(hash));
        readmitted += diesel::delete(target).execute(tx.pg)?;
    }
    Ok(readmitted)
}
