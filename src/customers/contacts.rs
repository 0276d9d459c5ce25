//! By which addresses customers can be reached, for whoever wants to send them something.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::identities::{self, IdentityType};
use super::of;
use super::types::{Address, Customer, CustomerStatus};
use crate::db::json::Jsonb;
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, Result};
use crate::schema::customers;

/// How often merges are followed from a customer to the one that it was merged into.
const MERGES: usize = 16;

/// What a customer can be reached by.
#[derive(Debug, Clone)]
pub struct Contact {
    pub status: CustomerStatus,
    /// Whether the data may be kept and nothing else.
    pub is_restricted: bool,
    /// The main address of each kind, in the form in which it is compared.
    pub addresses: HashMap<IdentityType, String>,
    pub has_postal_address: bool,
}

type Row = (
    Uuid,
    CustomerStatus,
    Option<DateTime<Utc>>,
    Option<String>,
    Option<String>,
    Jsonb<Vec<Address>>,
);

impl Customer {
    /// The contacts of those customers that are there and not deleted, with two statements.
    pub fn contacts(conn: &mut Conn, ids: &[Uuid]) -> Result<HashMap<Uuid, Contact>> {
        use customers as c;
        let rows: Vec<Row> = of(conn.workspace)
            .filter(c::id.eq_any(ids))
            .select((c::id, c::status, c::restricted_at, c::email, c::phone, c::addresses))
            .load(conn.pg)?;
        let mut found: HashMap<Uuid, Contact> = rows.into_iter().map(contact).collect();
        for (customer, kind, norm) in identities::handles(conn, ids)? {
            if let Some(contact) = found.get_mut(&customer) {
                contact.addresses.entry(kind).or_insert(norm);
            }
        }
        Ok(found)
    }

    /// Keeps others from taking the turn of these customers ([`Customer::lock`]) until the
    /// transaction ends. Whoever waits for the turn of one waits here too.
    pub fn hold(tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
        let held = of(tx.workspace).filter(customers::id.eq_any(ids)).order(customers::id);
        held.select(customers::id).for_key_share().load::<Uuid>(tx.pg)?;
        Ok(())
    }

    /// Locks several customers, always in the same order; returns those that are there and not
    /// deleted.
    pub fn lock_many(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Uuid>> {
        let locked = of(tx.workspace).filter(customers::id.eq_any(ids)).order(customers::id);
        Ok(locked.select(customers::id).for_update().load(tx.pg)?)
    }

    /// The same, also those that are deleted.
    pub fn lock_any(tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
        let all = customers::table.filter(customers::workspace_id.eq(tx.workspace));
        let locked = all.filter(customers::id.eq_any(ids)).order(customers::id).for_update();
        locked.select(customers::id).load::<Uuid>(tx.pg)?;
        Ok(())
    }

    /// Locks the customer that a person's own link or request means: the one that it was merged into,
    /// if it was, and also one that is deleted, for a restore brings it back. 404 where there was
    /// none, or nothing is left of it.
    pub fn lock_for_person(tx: &mut Tx, id: Uuid) -> Result<Uuid> {
        let merged_into = of_person(tx.workspace);
        follow(id, |id| Ok(merged_into.filter(customers::id.eq(id)).for_update().first(tx.pg)?))
    }

    /// The same for looking only.
    pub fn find_for_person(conn: &mut Conn, id: Uuid) -> Result<Uuid> {
        let merged_into = of_person(conn.workspace);
        follow(id, |id| Ok(merged_into.filter(customers::id.eq(id)).first(conn.pg)?))
    }
}

/// Whom a customer was merged into, of those who were not erased.
#[diesel::dsl::auto_type(no_type_alias)]
fn of_person(workspace: WorkspaceId) -> _ {
    let erased: CustomerStatus = CustomerStatus::Erased;
    customers::table
        .filter(customers::workspace_id.eq(workspace))
        .filter(customers::status.ne(erased))
        .select(customers::merged_into_id)
}

/// Goes from a customer to the one that it was merged into, until one is its own.
fn follow(id: Uuid, mut next: impl FnMut(Uuid) -> Result<Option<Uuid>>) -> Result<Uuid> {
    let mut current = id;
    for _ in 0..MERGES {
        match next(current)? {
            Some(survivor) => current = survivor,
            None => return Ok(current),
        }
    }
    Err(Error::internal(format!("customer {id} was merged in a circle")))
}

fn contact((id, status, restricted_at, email, phone, addresses): Row) -> (Uuid, Contact) {
    let marks = [(IdentityType::Email, email), (IdentityType::Phone, phone)];
    let marks = marks.into_iter().filter_map(|(kind, norm)| Some((kind, norm?)));
    let has_postal_address = !addresses.is_empty();
    let (is_restricted, addresses) = (restricted_at.is_some(), marks.collect());
    (id, Contact { status, is_restricted, addresses, has_postal_address })
}
