//! What shops tell of a customer by the way: names, a language and addresses that nobody had said.

use super::native::postal;
use crate::customers::references::Acquaintance;
use crate::customers::types::{Address, AddressType};
use crate::customers::{Customer, CustomerPatch};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::Result;
use crate::http::IfMatch;
use crate::orders::Order;

/// Addresses that a customer can have.
const ADDRESSES: usize = 20;

/// Fills in what an order tells of its customer and nobody knew. What is known stays.
pub fn acquaint(tx: &mut Tx, order: &Order, told: &Acquaintance) -> Result<()> {
    let Some(id) = order.customer_id else { return Ok(()) };
    let Some(known) = Customer::find_many(tx, &[id])?.pop() else { return Ok(()) };
    let known = known.fields;
    let is_nameless =
        [&known.first_name, &known.last_name, &known.display_name].into_iter().all(Option::is_none);
    let named = Some(names(order, told)).filter(|_| is_nameless).unwrap_or_default();
    let locale = told.profile.as_ref().and_then(|profile| profile.locale.clone());
    let addresses = addresses(order);
    let is_placeless = known.addresses.parse::<Vec<Address>>()?.is_empty();
    let patch = CustomerPatch {
        first_name: named.0.map(Some),
        last_name: named.1.map(Some),
        locale: locale.filter(|_| known.locale.is_none()).map(Some),
        addresses: (is_placeless && !addresses.is_empty()).then_some(Jsonb(addresses)),
        ..CustomerPatch::default()
    };
    let is_news = patch.first_name.is_some()
        || patch.last_name.is_some()
        || patch.locale.is_some()
        || patch.addresses.is_some();
    if is_news && known.restricted_at.is_none() {
        patch.apply(tx, id, IfMatch(None))?;
    }
    Ok(())
}

type Names = (Option<String>, Option<String>);

/// The customer's own names, else those that it is billed or shipped to.
fn names(order: &Order, told: &Acquaintance) -> Names {
    let own = (told.first_name.clone(), told.last_name.clone());
    let places = [&order.billing_address, &order.shipping_address].into_iter().flatten();
    let there = places.map(|at| (at.first_name.clone(), at.last_name.clone()));
    std::iter::once(own).chain(there).find(|names| *names != (None, None)).unwrap_or_default()
}

fn addresses(order: &Order) -> Vec<Address> {
    let billing = order.billing_address.as_ref().map(|at| postal(at, AddressType::Billing));
    let shipping = order.shipping_address.as_ref().map(|at| postal(at, AddressType::Shipping));
    billing.into_iter().chain(shipping).flatten().collect()
}

/// The addresses of somebody who lives there now; none where that was known. Former ones stay behind.
pub fn moved(known: &[Address], told: &[Address]) -> Option<Vec<Address>> {
    let is_same = |one: &Address, other: &Address| {
        Address { is_default: other.is_default, ..one.clone() } == *other
    };
    let mut all = known.to_vec();
    for new in told.iter().filter(|new| !known.contains(new)) {
        all.retain(|old| !is_same(old, new));
        all.iter_mut()
            .filter(|old| old.r#type == new.r#type)
            .for_each(|old| old.is_default = false);
        all.insert(0, new.clone());
    }
    all.truncate(ADDRESSES);
    (all != known).then_some(all)
}
