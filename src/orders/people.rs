//! Who ordered: whoever the marks on the order belong to, or somebody new.

use super::requests::OrderPatch;
use super::types::OrderRow;
use crate::customers::references::{self, Acquaintance, CustomerReference, OnUnknownCustomer};
use crate::db::Tx;
use crate::error::Result;

impl OrderPatch {
    /// Finds or makes the customer, where the order says something new about who it is.
    pub(super) fn take_customer(&self, tx: &mut Tx, order: &mut OrderRow) -> Result<()> {
        let Some(reference) = self.reference(order) else { return Ok(()) };
        match references::resolve(tx, &reference, OnUnknownCustomer::Create)? {
            Ok(found) => {
                order.customer_id = found.customer_id;
                order.origin_customer_id = found.origin_customer_id;
                Ok(())
            }
            Err(error) if references::is_erased(&error) => {
                forget(order);
                Ok(())
            }
            Err(error) if self.customer.is_some() => Err(error),
            Err(error) => Err(error.out_of("#/customer")),
        }
    }

    /// Who is meant, if that has to be found out: by what the caller says, and by the email address
    /// and phone number of a guest. An id says it all: what else is on the order may be a friend's.
    fn reference(&self, order: &OrderRow) -> Option<CustomerReference> {
        let mut reference = match &self.customer {
            Some(said) => said.clone(),
            None if order.customer_id.is_some() => return None,
            None => CustomerReference::default(),
        };
        if reference.id.is_none() {
            reference.email = reference.email.or_else(|| order.email.clone());
            reference.phone = reference.phone.or_else(|| order.phone.clone());
        }
        if reference.acquaintance.is_nameless() {
            let profile = reference.acquaintance.profile.take();
            reference.acquaintance = Acquaintance { profile, ..acquaintance(order) };
        }
        let is_said = self.customer.is_some();
        (is_said || reference.marks_count() > 0).then_some(reference)
    }
}

fn acquaintance(order: &OrderRow) -> Acquaintance {
    let mut addresses = [&order.billing_address, &order.shipping_address].into_iter().flatten();
    let is_named = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
    let named = addresses.find(|at| is_named(&at.first_name) || is_named(&at.last_name));
    Acquaintance {
        first_name: named.and_then(|address| address.first_name.clone()),
        last_name: named.and_then(|address| address.last_name.clone()),
        source: Some(order.source.clone()),
        profile: None,
    }
}

/// Whoever was erased does not come back with an order: the sale is kept, and nothing of who it was.
fn forget(order: &mut OrderRow) {
    (order.customer_id, order.origin_customer_id) = (None, None);
    (order.email, order.phone, order.note) = (None, None, None);
    (order.billing_address, order.shipping_address) = (None, None);
}
