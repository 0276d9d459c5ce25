//! What makes the audit log tell when it was changed: hashes of events and trees of hashes.
//!
//! Everything is SHA-256. The encodings stand in `docs/security.md`: an auditor must be able to
//! compute them without us.

use std::fmt;

use chrono::{DateTime, Utc};
use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{Output, ToSql};
use diesel::sql_types;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::crypto::sha256;

/// 32 bytes of SHA-256, in hexadecimal wherever people see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Binary)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::crypto::hex(&self.0))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl ToSql<sql_types::Binary, Pg> for Hash {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        ToSql::<sql_types::Binary, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<sql_types::Binary, Pg> for Hash {
    fn from_sql(value: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        let Ok(bytes) = value.as_bytes().try_into() else {
            return Err("a stored hash is not 32 bytes long".into());
        };
        Ok(Self(bytes))
    }
}

/// Fields in the one form that is hashed: each is a 0 byte where it is absent, else a 1, its length
/// as 4 bytes and itself. So no two lists of fields look the same.
pub struct Fields(Vec<u8>);

impl Fields {
    /// Begins with what the fields are of, so that no hash of one thing is a hash of another.
    pub fn of(kind: &str) -> Self {
        Self(Vec::with_capacity(512)).text(kind)
    }

    pub fn bytes(mut self, field: Option<&[u8]>) -> Self {
        let Some(field) = field else {
            self.0.push(0);
            return self;
        };
        let length = u32::try_from(field.len()).expect("BUG: a field of 4 GiB");
        self.0.push(1);
        self.0.extend(length.to_be_bytes());
        self.0.extend(field);
        self
    }

    pub fn text(self, field: &str) -> Self {
        self.bytes(Some(field.as_bytes()))
    }

    pub fn id(self, field: Uuid) -> Self {
        self.bytes(Some(field.as_bytes()))
    }

    pub fn number(self, field: i64) -> Self {
        self.bytes(Some(&field.to_be_bytes()))
    }

    /// Microseconds since 1970, which is what Postgres keeps.
    pub fn time(self, field: DateTime<Utc>) -> Self {
        self.number(field.timestamp_micros())
    }

    pub fn hash(self, field: Option<Hash>) -> Self {
        self.bytes(field.as_ref().map(|hash| hash.0.as_slice()))
    }

    pub fn digest(self) -> Hash {
        Hash(sha256(&self.0))
    }
}

/// The hash of something that can be taken away later. Under a salt, because who knows the hash
/// must not be able to guess what it was of once the salt is gone.
pub fn hidden(salt: &[u8], name: &str, text: &str) -> Hash {
    Fields::of("ecrm.audit.hidden").bytes(Some(salt)).text(name).text(text).digest()
}

/// What the hash of an event covers.
pub struct EventFields<'a> {
    pub workspace: Uuid,
    pub id: Uuid,
    pub occurred_at: DateTime<Utc>,
    pub actor_type: &'a str,
    pub actor_id: Option<Uuid>,
    pub action: &'a str,
    pub resource_type: &'a str,
    pub resource_id: Option<Uuid>,
    pub request_id: Option<&'a str>,
    pub before_hash: Option<Hash>,
    pub after_hash: Option<Hash>,
    pub ip_hash: Option<Hash>,
}

impl EventFields<'_> {
    pub fn digest(&self) -> Hash {
        Fields::of("ecrm.audit.event")
            .id(self.workspace)
            .id(self.id)
            .time(self.occurred_at)
            .text(self.actor_type)
            .bytes(self.actor_id.as_ref().map(|id| id.as_bytes().as_slice()))
            .text(self.action)
            .text(self.resource_type)
            .bytes(self.resource_id.as_ref().map(|id| id.as_bytes().as_slice()))
            .bytes(self.request_id.map(str::as_bytes))
            .hash(self.before_hash)
            .hash(self.after_hash)
            .hash(self.ip_hash)
            .digest()
    }
}

fn leaf(event: Hash) -> Hash {
    let mut bytes = vec![0x00];
    bytes.extend(event.0);
    Hash(sha256(&bytes))
}

fn node(left: Hash, right: Hash) -> Hash {
    let mut bytes = vec![0x01];
    bytes.extend(left.0);
    bytes.extend(right.0);
    Hash(sha256(&bytes))
}

/// Where a tree of so many leaves parts: at the largest power of two that leaves something over.
fn split(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

/// The Merkle tree hash of RFC 6962, 2.1, over the hashes of at least one event.
pub fn root(events: &[Hash]) -> Hash {
    match events {
        [] => Hash(sha256(&[])),
        [event] => leaf(*event),
        _ => {
            let (left, right) = events.split_at(split(events.len()));
            node(root(left), root(right))
        }
    }
}

crate::text_enum! {
    /// On which side a hash of a proof stands.
    pub enum ProofSide {
        Left = "left",
        Right = "right",
    }
}

/// The audit path of RFC 6962, 2.1.1: what the leaf at `index` is joined with, one after the other,
/// to arrive at the root.
pub fn path(index: usize, events: &[Hash]) -> Vec<(ProofSide, Hash)> {
    if events.len() < 2 {
        return Vec::new();
    }
    let middle = split(events.len());
    let (left, right) = events.split_at(middle);
    let (mut steps, sibling) = match index.checked_sub(middle) {
        None => (path(index, left), (ProofSide::Right, root(right))),
        Some(index) => (path(index, right), (ProofSide::Left, root(left))),
    };
    steps.push(sibling);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: u8) -> Vec<Hash> {
        (0..count).map(|n| Hash(sha256(&[n]))).collect()
    }

    #[test]
    fn every_path_leads_to_the_root() {
        for count in 1..40 {
            let events = events(count);
            for (index, event) in events.iter().enumerate() {
                let joined =
                    path(index, &events).into_iter().fold(
                        leaf(*event),
                        |so_far, step| match step {
                            (ProofSide::Left, hash) => node(hash, so_far),
                            (ProofSide::Right, hash) => node(so_far, hash),
                        },
                    );
                assert_eq!(joined, root(&events), "{index} of {count}");
            }
        }
    }

    #[test]
    fn order_number_and_every_leaf_count() {
        let whole = root(&events(7));
        let mut turned = events(7);
        turned.swap(1, 2);
        assert_ne!(root(&turned), whole);
        assert_ne!(root(&events(8)), whole);
        assert_ne!(root(&[whole]), whole, "a node is no leaf");
    }

    #[test]
    fn fields_that_are_divided_differently_differ() {
        let digest = |one, two| Fields::of("x").text(one).text(two).digest();
        assert_ne!(digest("ab", "c"), digest("a", "bc"));
        let absent = Fields::of("x").bytes(None).bytes(Some(b"")).digest();
        assert_ne!(absent, Fields::of("x").bytes(Some(b"")).bytes(None).digest());
    }
}
