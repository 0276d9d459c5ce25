//! What the bodies of all shops come down to, on its way to our own resources.

use chrono::{DateTime, Utc};

use super::fields::Fields;
use crate::carts::CartReference;
use crate::carts::types::NewCartLineItem;
use crate::channels::ChannelType;
use crate::consents::SettableConsentState;
use crate::customers::NewCustomer;
use crate::customers::references::{Acquaintance, CustomerReference};
use crate::customers::types::{Address, AddressType};
use crate::db::json::Jsonb;
use crate::external_ids::ExternalId;
use crate::orders::types::{FinancialStatus, FulfillmentStatus, OrderAddress, OrderStatus, Utm};
use crate::orders::{NewFulfillment, NewLineItem, NewRefund, OrderPatch};
use crate::values::money::Money;

/// Somebody as a shop knows them.
#[derive(Debug, Clone, Default)]
pub struct NativePerson {
    pub external_id: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub tags: Vec<String>,
    pub locale: Option<String>,
    /// One of a type at most.
    pub addresses: Vec<Address>,
    pub consents: Vec<NativeConsent>,
    /// When the shop last changed what it says here.
    pub updated_at: Option<DateTime<Utc>>,
}

/// What somebody said to marketing, in the shop.
#[derive(Debug, Clone, Copy)]
pub struct NativeConsent {
    pub channel_type: ChannelType,
    pub state: SettableConsentState,
    pub at: Option<DateTime<Utc>>,
}

impl NativePerson {
    /// By what the person is recognised, where it is by anything.
    pub fn reference(&self, source: &str) -> Option<CustomerReference> {
        let reference = CustomerReference {
            external_id: self
                .external_id
                .clone()
                .map(|id| ExternalId { source: source.to_owned(), id }),
            email: self.email.clone(),
            phone: self.phone.clone(),
            acquaintance: Acquaintance {
                first_name: self.first_name.clone(),
                last_name: self.last_name.clone(),
                source: Some(source.to_owned()),
                profile: Some(Box::new(NewCustomer {
                    locale: self.locale.clone(),
                    addresses: Jsonb(self.addresses.clone()),
                    ..NewCustomer::default()
                })),
            },
            ..CustomerReference::default()
        };
        (reference.marks_count() > 0).then_some(reference)
    }
}

/// What an order costs, as its shop says, in minor units.
#[derive(Debug, Clone, Copy, Default)]
pub struct Priced {
    pub discount: i64,
    pub tax: i64,
    pub shipping: i64,
    pub fee: i64,
    pub total: i64,
    pub paid: Option<i64>,
    pub is_tax_included: bool,
}

/// An order as its shop tells of it.
#[derive(Debug, Clone)]
pub struct NativeOrder {
    pub external_id: String,
    pub currency: String,
    pub number: Option<String>,
    pub person: NativePerson,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub status: OrderStatus,
    pub financial_status: FinancialStatus,
    /// None where the shop does not tell.
    pub fulfillment_status: Option<FulfillmentStatus>,
    pub lines: Vec<NewLineItem>,
    pub priced: Priced,
    pub cart: Option<ExternalId>,
    pub billing_address: Option<OrderAddress>,
    pub shipping_address: Option<OrderAddress>,
    pub discount_codes: Vec<String>,
    pub utm: Option<Utm>,
    pub note: Option<String>,
    pub cancel_reason: Option<String>,
    pub placed_at: Option<DateTime<Utc>>,
    pub paid_at: Option<DateTime<Utc>>,
    pub fulfilled_at: Option<DateTime<Utc>>,
    pub cancelled_at: Option<DateTime<Utc>>,
    pub source_updated_at: Option<DateTime<Utc>>,
    pub refunds: Vec<NewRefund>,
    pub fulfillments: Vec<NewFulfillment>,
    pub tags: Vec<String>,
}

impl NativeOrder {
    /// The order as anybody would send it.
    pub fn into_patch(self, source: &str) -> OrderPatch {
        let priced = self.settled();
        let money = |amount| Some(Money { amount, currency: self.currency.clone() });
        let addresses = [
            (AddressType::Billing, &self.billing_address),
            (AddressType::Shipping, &self.shipping_address),
        ];
        let addresses =
            addresses.into_iter().filter_map(|(r#type, at)| postal(at.as_ref()?, r#type));
        let person = NativePerson {
            email: self.person.email.clone().or_else(|| self.email.clone()),
            phone: self.person.phone.clone().or_else(|| self.phone.clone()),
            addresses: addresses.collect(),
            ..self.person.clone()
        };
        OrderPatch {
            number: self.number.map(Some),
            customer: person.reference(source),
            email: self.email.map(Some),
            phone: self.phone.map(Some),
            status: Some(self.status),
            financial_status: Some(self.financial_status),
            fulfillment_status: self.fulfillment_status,
            subtotal: None,
            discount_total: money(priced.discount),
            tax_total: money(priced.tax),
            shipping_total: money(priced.shipping),
            fee_total: money(priced.fee),
            total: money(priced.total),
            paid_total: priced.paid.and_then(money),
            is_tax_included: Some(priced.is_tax_included),
            line_items: Some(self.lines),
            cart: self.cart.map(|outside| CartReference { id: None, external_id: Some(outside) }),
            billing_address: self.billing_address.map(|address| Some(Jsonb(address))),
            shipping_address: self.shipping_address.map(|address| Some(Jsonb(address))),
            discount_codes: Some(self.discount_codes),
            utm: self.utm.map(|utm| Some(Jsonb(utm))),
            note: self.note.map(Some),
            cancel_reason: self.cancel_reason.map(Some),
            placed_at: self.placed_at,
            paid_at: self.paid_at,
            fulfilled_at: self.fulfilled_at,
            cancelled_at: self.cancelled_at,
            source_updated_at: self.source_updated_at,
            refunds: Some(self.refunds),
            fulfillments: Some(self.fulfillments),
            tags: Some(self.tags),
            currency: Some(self.currency),
            external_ids: None,
            channel_id: None,
            attributes: None,
            payment: None,
        }
    }

    /// What the shop adds or takes away without telling for what is a fee, or a discount: its total
    /// stands. Some payment has to be known where the shop says that there was one.
    fn settled(&self) -> Priced {
        let mut priced = self.priced;
        if !self.lines.is_empty() {
            let lines: i128 = self.lines.iter().map(total).sum();
            let tax = if priced.is_tax_included { 0 } else { priced.tax };
            let rest = i128::from(priced.shipping) + i128::from(priced.fee) + i128::from(tax);
            let parts = lines + rest - i128::from(priced.discount);
            let off = i128::from(priced.total) - parts;
            // More than an order can have is refused in the end.
            let by = i64::try_from(off.abs()).unwrap_or(i64::MAX);
            let part = if off > 0 { &mut priced.fee } else { &mut priced.discount };
            *part = part.saturating_add(by);
        }
        priced.paid = match self.financial_status {
            FinancialStatus::PartiallyPaid => Some(priced.paid.unwrap_or(0)),
            // A deposit of which something was paid back. Where all was paid, the word says so.
            FinancialStatus::PartiallyRefunded => priced.paid.filter(|paid| *paid < priced.total),
            _ => None,
        };
        priced
    }
}

fn total(line: &NewLineItem) -> i128 {
    let discount = line.discount_total.as_ref().map_or(0, |money| money.amount);
    i128::from(line.unit_price.amount) * i128::from(line.quantity) - i128::from(discount)
}

/// A cart or checkout as its shop tells of it.
#[derive(Debug, Clone)]
pub struct NativeCart {
    pub external_id: ExternalId,
    pub currency: String,
    pub person: NativePerson,
    pub email: Option<String>,
    pub lines: Vec<NewCartLineItem>,
    pub total: i64,
    pub recovery_url: Option<String>,
    pub source_updated_at: Option<DateTime<Utc>>,
    pub is_completed: bool,
}

/// An address, by what its parts are called there, in the order of our own; nothing where there is
/// nothing in it.
pub fn address(from: &Fields, names: &[&str; 10]) -> Option<OrderAddress> {
    const LENGTHS: [usize; 10] = [200, 200, 200, 40, 200, 200, 100, 100, 20, 2];
    let part = |at: usize| from.text(names[at], LENGTHS[at]);
    let address = OrderAddress {
        first_name: part(0),
        last_name: part(1),
        company: part(2),
        phone: part(3),
        line1: part(4),
        line2: part(5),
        city: part(6),
        region: part(7),
        postal_code: part(8),
        country: from.country(names[9]),
    };
    (address != OrderAddress::default()).then_some(address)
}

/// The same as one of a customer's; nothing where it is no more than a name.
pub fn postal(at: &OrderAddress, r#type: AddressType) -> Option<Address> {
    let is_place = at.line1.is_some() || at.city.is_some() || at.postal_code.is_some();
    let at = at.clone();
    is_place.then_some(Address {
        r#type,
        is_default: true,
        line1: at.line1,
        line2: at.line2,
        city: at.city,
        region: at.region,
        postal_code: at.postal_code,
        country: at.country,
    })
}

/// The codes that gave a discount, each once.
pub fn codes(list: &[Fields]) -> Vec<String> {
    let mut codes: Vec<String> = list.iter().filter_map(|one| one.text("code", 100)).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.truncate(50);
    codes
}
