//! Making customers: one or a thousand with the same few statements.

use std::cmp::Reverse;
use std::collections::HashMap;

use diesel::prelude::*;
use serde_json::json;
use uuid::Uuid;
use validator::Validate;

use super::customer_change;
use super::erased;
use super::identities::{self, Mark, MarkKey};
use super::requests::NewCustomer;
use super::types::{CustomerFields, CustomerStatus, LifecycleStage};
use super::update::search_text;
use crate::attributes::{AttributeResource, Definitions};
use crate::db::Tx;
use crate::error::{Error, OnConstraint, Result};
use crate::http::json::field_errors;
use crate::journal::record_all;
use crate::schema::customers;

/// A new customer whose fields are all checked.
struct Ready<'a> {
    id: Uuid,
    new: &'a NewCustomer,
    marks: Vec<Mark>,
}

/// Makes one customer or says why not.
pub fn create(tx: &mut Tx, new: &NewCustomer) -> Result<CustomerFields> {
    create_many(tx, std::slice::from_ref(new))?.pop().expect("BUG: one in, one out")
}

/// Makes customers, each or not at all; the results are in the order of `new`. The number of
/// statements does not depend on how many there are.
pub fn create_many(tx: &mut Tx, new: &[NewCustomer]) -> Result<Vec<Result<CustomerFields>>> {
    let definitions = Definitions::load(tx, AttributeResource::Customer)?;
    let owners = known_owners(tx, new)?;
    let mut checked: Vec<Result<Ready>> = Vec::with_capacity(new.len());
    for new in new {
        checked.push(check(new, &definitions, &owners).map(|marks| Ready {
            id: tx.new_id(),
            new,
            marks,
        }));
    }
    refuse_taken(tx, &mut checked, &definitions)?;
    let ready: Vec<&Ready> = checked.iter().flatten().collect();
    let mut made = insert(tx, &ready, &definitions)?;
    let marks: Vec<(Uuid, &Mark)> =
        ready.iter().flat_map(|ready| ready.marks.iter().map(|mark| (ready.id, mark))).collect();
    identities::attach(tx, &marks)?;
    announce(tx, &made)?;
    let mut take = |id| made.remove(&id).expect("BUG: made what was inserted");
    Ok(checked.into_iter().map(|ready| ready.map(|ready| take(ready.id))).collect())
}

fn check(new: &NewCustomer, definitions: &Definitions, owners: &[Uuid]) -> Result<Vec<Mark>> {
    new.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
    crate::external_ids::check_sources(&new.external_ids)?;
    definitions.check(&new.attributes)?;
    if new.owner_id.is_some_and(|owner| !owners.contains(&owner)) {
        return Err(super::unknown_owner());
    }
    identities::marks(
        new.email.as_deref(),
        new.phone.as_deref(),
        &new.external_ids,
        &new.identities,
    )
}

fn known_owners(tx: &mut Tx, new: &[NewCustomer]) -> Result<Vec<Uuid>> {
    let owners: Vec<Uuid> = new.iter().filter_map(|new| new.owner_id).collect();
    crate::users::existing(tx, &owners)
}

/// Refuses those whose marks or unique values somebody has, or an earlier one of the same batch
/// that was not refused itself, and those who were erased.
fn refuse_taken(
    tx: &mut Tx,
    checked: &mut [Result<Ready>],
    definitions: &Definitions,
) -> Result<()> {
    let keys: Vec<MarkKey> =
        checked.iter().flatten().flat_map(|ready| ready.marks.iter().map(Mark::key)).collect();
    let found = erased::look_up(tx, &keys)?;
    let mut held: HashMap<MarkKey, Uuid> =
        found.held.iter().map(|(key, held)| (key.clone(), held.customer_id)).collect();
    for slot in checked {
        let Ok(ready) = slot else { continue };
        if let Err(error) = ready.marks.iter().try_for_each(|mark| found.refuse_erased(mark)) {
            *slot = Err(error);
            continue;
        }
        let taken = ready.marks.iter().filter_map(|mark| Some((mark, *held.get(&mark.key())?)));
        // Where several are taken, the one that tells most says by whom.
        let taken = taken.min_by_key(|(mark, _)| Reverse(mark.kind.strength()));
        if let Some((mark, holder)) = taken {
            *slot = Err(identities::taken(mark, holder));
            continue;
        }
        match definitions.claim(tx, ready.id, &ready.new.attributes) {
            Err(error) if error.is_rejection() => {
                crate::attributes::release(tx, ready.id)?;
                *slot = Err(error);
            }
            done => {
                done?;
                held.extend(ready.marks.iter().map(|mark| (mark.key(), ready.id)));
            }
        }
    }
    Ok(())
}

fn insert(
    tx: &mut Tx,
    ready: &[&Ready],
    definitions: &Definitions,
) -> Result<HashMap<Uuid, CustomerFields>> {
    use customers as c;
    let (workspace, now) = (tx.workspace, tx.now);
    let mut made = HashMap::with_capacity(ready.len());
    // 30 values a row: well below the 65,535 that one statement can bind.
    for chunk in ready.chunks(500) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|ready| {
                let new = ready.new;
                (
                    new,
                    c::workspace_id.eq(workspace),
                    c::id.eq(ready.id),
                    c::email.eq(primary(&ready.marks, identities::IdentityType::Email)),
                    c::phone.eq(primary(&ready.marks, identities::IdentityType::Phone)),
                    c::lifecycle_stage.eq(new.lifecycle_stage.unwrap_or(LifecycleStage::Lead)),
                    c::status.eq(new.status.map_or(CustomerStatus::Active, Into::into)),
                    c::search_key.eq(new_search_key(new, definitions)),
                    c::version.eq(1_i64),
                    c::created_at.eq(now),
                    c::updated_at.eq(now),
                )
            })
            .collect();
        let rows: Vec<CustomerFields> = diesel::insert_into(c::table)
            .values(rows)
            .returning(CustomerFields::as_returning())
            .get_results(tx.pg)
            .on_constraint("customers_merged_into_exists", Error::not_found)?;
        made.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    Ok(made)
}

fn primary(marks: &[Mark], kind: identities::IdentityType) -> Option<&str> {
    marks.iter().find(|mark| mark.kind == kind && mark.is_primary).map(|mark| mark.norm.as_str())
}

fn new_search_key(new: &NewCustomer, definitions: &Definitions) -> String {
    let NewCustomer { first_name, last_name, display_name, email, phone, .. } = new;
    let texts = [first_name, last_name, display_name, email, phone];
    search_text(texts, &new.external_ids, &definitions.search_text(&new.attributes))
}

fn announce(tx: &mut Tx, made: &HashMap<Uuid, CustomerFields>) -> Result<()> {
    let mut made: Vec<&CustomerFields> = made.values().collect();
    made.sort_unstable_by_key(|customer| customer.id);
    let changes = made.into_iter().map(|customer| {
        let properties = json!({ "lifecycle_stage": customer.lifecycle_stage });
        customer_change("customer.created", customer.id, properties)
    });
    record_all(tx, changes)
}
