//! What calls say of customers, told to them one after the other.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::traits::Profile;
use super::write::{Surroundings, faults};
use crate::attributes::Attributes;
use crate::customers::types::{Address, CustomerFields};
use crate::customers::{self, Customer, CustomerPatch, LifecycleStage, NewCustomer};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{FieldError, Result};
use crate::http::IfMatch;
use crate::values::{Email, Phone};

/// How often a change is tried again without what was wrong with it.
const ATTEMPTS: usize = 4;

/// The customers of whom something is said.
pub struct People {
    known: HashMap<Uuid, CustomerFields>,
    /// Visitors who said who they are.
    met: Vec<Uuid>,
}

impl People {
    pub fn load(tx: &mut Tx, ids: &[Uuid]) -> Result<Self> {
        let found = if ids.is_empty() { Vec::new() } else { Customer::find_many(tx, ids)? };
        let known = found.into_iter().map(|customer| (customer.fields.id, customer.fields));
        Ok(Self { known: known.collect(), met: Vec::new() })
    }

    /// Tells one customer what a call says; what says nothing new leaves no trace.
    pub fn tell(
        &mut self,
        tx: &mut Tx,
        around: &Surroundings,
        customer: Uuid,
        profile: &Profile,
        is_known: bool,
        ignored: &mut Vec<FieldError>,
    ) -> Result<()> {
        let Some(before) = self.known.get(&customer) else { return Ok(()) };
        let mut patch = profile.patch.clone();
        if let Some(Jsonb(new)) = patch.addresses.take() {
            patch.addresses = Some(Jsonb(beside(before.addresses.parse()?, new)));
        }
        if around.sender.may_change_customers {
            patch.email = profile.email.clone().map(Some);
            patch.phone = profile.phone.clone().map(Some);
        } else {
            ignored.extend(kept(before, profile));
        }
        if is_known && before.lifecycle_stage == LifecycleStage::Visitor {
            self.met.push(customer);
        }
        if let Some(after) = change(tx, around, before, patch, ignored)? {
            self.known.insert(customer, after);
        }
        Ok(())
    }

    /// Who said who they are is no mere visitor any more.
    pub fn greet(self, tx: &mut Tx) -> Result<()> {
        customers::advance(tx, &self.met, LifecycleStage::Lead, "identified")
    }
}

/// Changes a customer as far as that can be done: without what was wrong, the rest is tried again.
fn change(
    tx: &mut Tx,
    around: &Surroundings,
    before: &CustomerFields,
    mut patch: CustomerPatch,
    ignored: &mut Vec<FieldError>,
) -> Result<Option<CustomerFields>> {
    for _ in 0..ATTEMPTS {
        let tried = match patch.changes(before, &around.definitions) {
            Ok(false) => return Ok(None),
            Ok(true) => tx.savepoint(|tx| patch.apply(tx, before.id, IfMatch(None))),
            Err(error) => Err(error),
        };
        match tried {
            Ok(after) => return Ok(Some(after.fields)),
            Err(error) if error.is_rejection() => {
                let mut is_less = false;
                for fault in faults(&error, "#") {
                    is_less |= leave_out(&mut patch, fault.pointer.as_deref().unwrap_or_default());
                    ignored.push(as_trait(fault));
                }
                if !is_less {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn leave_out(patch: &mut CustomerPatch, pointer: &str) -> bool {
    match pointer {
        "#/email" => patch.email.take().is_some(),
        "#/phone" => patch.phone.take().is_some(),
        _ => {
            let Some(rest) = pointer.strip_prefix("#/attributes") else { return false };
            let key = rest.trim_start_matches('/').replace("~1", "/").replace("~0", "~");
            let Some(attributes) = &mut patch.attributes else { return false };
            // What is wrong with all of them together goes with all of them.
            attributes.0.0.remove(&key).is_some() || patch.attributes.take().is_some()
        }
    }
}

/// The same fault in the words of the call.
pub fn as_trait(mut fault: FieldError) -> FieldError {
    let pointer = fault.pointer.take().unwrap_or_default();
    let rest = pointer.strip_prefix("#/attributes").or(pointer.strip_prefix('#'));
    fault.pointer = Some(format!("#/traits{}", rest.unwrap_or_default()));
    fault
}

/// The addresses of a customer with a new one, in place of the one of its kind.
fn beside(mut old: Vec<Address>, new: Vec<Address>) -> Vec<Address> {
    for new in new {
        match old.iter_mut().find(|address| address.r#type == new.r#type) {
            Some(same) => *same = new,
            None => old.push(new),
        }
    }
    old
}

/// Addresses that stay as they are: the new ones are further identities of the customer.
fn kept(before: &CustomerFields, profile: &Profile) -> Vec<FieldError> {
    let email = profile.email.as_deref().and_then(Email::parse).map(|email| email.norm);
    let phone = profile.phone.as_deref().and_then(|raw| Phone::parse(raw, None));
    let phone = phone.map(|phone| phone.e164);
    let both = [("email", &before.email, email), ("phone", &before.phone, phone)];
    let others =
        both.into_iter().filter(|(_, old, new)| old.is_some() && new.is_some() && *old != new);
    let detail = |name| format!("a write key adds a further `{name}` and replaces none");
    others
        .map(|(name, ..)| FieldError::at(format!("#/traits/{name}"), "not_replaced", detail(name)))
        .collect()
}

/// A customer as it is made from traits. What only one can have is told to it afterwards: that it is
/// somebody else's must not keep the customer from being made.
pub fn begun(around: &Surroundings, profile: &Profile) -> NewCustomer {
    let mut attributes = profile.patch.attributes.clone().unwrap_or_default().0.0;
    attributes
        .retain(|key, value: &mut Value| !value.is_null() && !around.definitions.is_unique(key));
    profile.begin(Attributes(attributes))
}
