//! Carrying out what a shop told: one transaction for the event and all that follows from it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use validator::Validate;

use super::acquaint::{acquaint, moved};
use super::fields::Fields;
use super::native::{NativeCart, NativeConsent, NativeOrder, NativePerson};
use super::{Provider, Shop, custom, shopify, stripe, woocommerce};
use crate::carts::types::CartProgress;
use crate::carts::{self, CartPatch};
use crate::channels::{self, ChannelStatus};
use crate::consents::{self, ConsentPurpose, NewConsent};
use crate::customers::references::{self, CustomerReference, OnUnknownCustomer};
use crate::customers::types::Address;
use crate::customers::{Customer, CustomerPatch, identities};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::IfMatch;
use crate::http::conditional::UNCONDITIONAL;
use crate::http::json::field_errors;
use crate::orders::{self, NewRefund, Order, OrderPatch};
use crate::privacy::{DataRequestKind, NewDataRequest};
use crate::products::{self, ProductPatch};
use crate::sources::Told;
use crate::values::money::Money;
use crate::values::text::added;

/// Tags that a customer can have.
const TAGS: usize = 100;

/// What became of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    pub resource: Option<(&'static str, Uuid)>,
    pub customer: Option<Uuid>,
    /// Whether something was made that nobody knew.
    pub is_new: bool,
    /// Why nothing was to be done.
    pub ignored: Option<String>,
}

impl Done {
    pub fn ignored(why: &str) -> Self {
        Self { ignored: Some(why.to_owned()), ..Self::default() }
    }

    fn with(resource: &'static str, id: Uuid, customer: Option<Uuid>, is_new: bool) -> Self {
        Self { resource: Some((resource, id)), customer, is_new, ignored: None }
    }
}

/// A payment, and which order it says that it is for.
#[derive(Debug, Clone)]
pub struct Payment {
    pub external_id: String,
    pub currency: Option<String>,
    pub order_id: Option<String>,
    pub order_source: Option<String>,
    /// What may be an order, and may be anything else.
    pub hint: Option<String>,
}

impl Payment {
    /// What the order is told of it, in minor units.
    pub fn settled(&self, paid: i64, refunded: i64, at: Option<DateTime<Utc>>) -> orders::Payment {
        orders::Payment { id: self.external_id.clone(), paid, refunded, at }
    }

    fn check_currency(&self, order: &Order) -> Result<()> {
        match &self.currency {
            Some(currency) if *currency != order.currency => {
                let detail = format!("the order is in {}, not in {currency}", order.currency);
                Err(Error::field("#/data/object/currency", "currency_mismatch", detail))
            }
            _ => Ok(()),
        }
    }
}

/// A transaction in which a shop's news are taken in.
pub struct News<'n, 't> {
    pub tx: &'n mut Tx<'t>,
    channel: Uuid,
    provider: Provider,
    /// What the records of the shop are called ours by: `source` in their outside ids.
    pub source: String,
    /// What a payment's order is called by, where it does not say that itself.
    order_source: Option<String>,
    /// Whether what people said to marketing is entered, too.
    pub takes_consent: bool,
}

impl<'n, 't> News<'n, 't> {
    pub fn of(tx: &'n mut Tx<'t>, shop: &Shop, takes_consent: bool) -> Self {
        let Shop { channel, provider, .. } = *shop;
        let (source, order_source) = (shop.source.clone(), shop.order_source.clone());
        Self { tx, channel, provider, source, order_source, takes_consent }
    }
}

impl News<'_, '_> {
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Takes a message in, as its provider means it.
    pub fn take(&mut self, topic: &str, body: &Value) -> Result<Done> {
        match self.provider {
            Provider::Shopify => shopify::take(self, topic, body),
            Provider::Woocommerce => woocommerce::take(self, topic, body),
            Provider::Stripe => stripe::take(self, topic, body),
            Provider::Custom => custom::take(self, topic, body),
        }
    }

    fn reference(&self, id: &str) -> ExternalId {
        ExternalId { source: self.source.clone(), id: id.to_owned() }
    }

    /// Records an order, and what its customer said to marketing. What was made of a shop's words is
    /// held against the same limits as what a caller sends.
    pub fn order(&mut self, native: Option<NativeOrder>) -> Result<Done> {
        let Some(native) = native else {
            let detail = "an order needs an `id` and a `currency`";
            return Err(Error::field("#", "required", detail));
        };
        let (id, consents) = (native.external_id.clone(), native.person.consents.clone());
        let patch = native.into_patch(&self.source);
        patch.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
        let done = self.order_patch(&id, patch)?;
        self.consent(done.customer, &consents)?;
        Ok(done)
    }

    pub fn order_patch(&mut self, id: &str, mut patch: OrderPatch) -> Result<Done> {
        patch.channel_id = patch.channel_id.or(Some(Some(self.channel)));
        let reference = self.reference(id);
        let saved = orders::upsert(self.tx, &patch, &reference, UNCONDITIONAL, Told::ByShop)?;
        let order = saved.resource;
        let told = patch.customer.map(|customer| customer.acquaintance).unwrap_or_default();
        acquaint(self.tx, &order, &told)?;
        Ok(Done::with("order", order.id, order.customer_id, saved.is_new))
    }

    /// Hides an order that the shop has deleted.
    pub fn forget_order(&mut self, body: &Fields) -> Result<Done> {
        let reference = self.reference(&body.id("id").unwrap_or_default());
        match external_ids::find(self.tx, Owner::Order, &reference.source, &reference.id)? {
            None => Ok(Done::ignored("nobody knew the order")),
            Some(id) => {
                orders::delete(self.tx, id, IfMatch(None))?;
                Ok(Done::with("order", id, None, false))
            }
        }
    }

    /// Enters a refund of an order that is known, where that makes one of it.
    pub fn refund(
        &mut self,
        order: &str,
        refund: impl Fn(&Order) -> Option<NewRefund>,
    ) -> Result<Done> {
        let id = self.known_order(order)?;
        let kept = Order::find(self.tx, id)?;
        let Some(refund) = refund(&kept) else {
            return Ok(Done::ignored("no money went back yet, and no goods came"));
        };
        orders::refund(self.tx, id, &refund, Told::ByShop)?;
        Ok(Done::with("order", id, kept.customer_id, false))
    }

    /// 404 where the order has not been told of yet: it may come, and then this is tried again.
    fn known_order(&mut self, id: &str) -> Result<Uuid> {
        let known = external_ids::find(self.tx, Owner::Order, &self.source, id)?;
        known.ok_or_else(|| {
            Error::new(
                Code::NOT_FOUND,
                format!("no order of `{}` has the id `{id}` yet", self.source),
            )
        })
    }

    /// Changes the order that a payment is for. Where it says for none, `otherwise` is that order.
    pub fn payment(
        &mut self,
        payment: &Payment,
        otherwise: Option<NativeOrder>,
        change: impl Fn(&Order) -> Option<OrderPatch>,
    ) -> Result<Done> {
        match (self.paid_order(payment)?, &payment.order_id, otherwise) {
            (Some(id), ..) => {
                let kept = Order::find(self.tx, id)?;
                payment.check_currency(&kept)?;
                let Some(patch) = change(&kept) else {
                    return Ok(Done::ignored("the order is past that"));
                };
                self.give_way(payment, id)?;
                let reference = self.reference(&payment.external_id);
                external_ids::point(self.tx, Owner::Payment, &reference, id)?;
                let patch = OrderPatch {
                    external_ids: Some(Jsonb(reference.joined_to(kept.external_ids.clone()))),
                    ..patch
                };
                orders::change(self.tx, id, IfMatch(None), &patch, Told::ByShop)?;
                Ok(Done::with("order", id, kept.customer_id, false))
            }
            (None, None, Some(order)) => self.order(Some(order)),
            (None, ..) => {
                let detail = "the order that this payment is for is not known yet; where another system \
                              than a shop calls it so, say which by `order_source`";
                Err(Error::new(Code::NOT_FOUND, detail))
            }
        }
    }

    /// Whether any order is known to be what a payment is for.
    pub fn knows_payment(&mut self, payment: &Payment) -> Result<bool> {
        Ok(self.paid_order(payment)?.is_some())
    }

    /// An order that was made of this payment alone, before an event told which one it is for, is none.
    fn give_way(&mut self, payment: &Payment, order: Uuid) -> Result<()> {
        let reference = self.reference(&payment.external_id);
        let holder = external_ids::find(self.tx, Owner::Order, &reference.source, &reference.id)?;
        let Some(other) = holder.filter(|holder| *holder != order) else { return Ok(()) };
        let made = Order::find(self.tx, other)?;
        if made.line_items.is_empty() && made.external_ids == [reference] {
            orders::delete(self.tx, other, IfMatch(None))?;
        }
        Ok(())
    }

    fn paid_order(&mut self, payment: &Payment) -> Result<Option<Uuid>> {
        let named = match (&payment.order_id, &payment.order_source) {
            (Some(id), Some(source)) => {
                return external_ids::find(self.tx, Owner::Order, source, id);
            }
            // One that is named and not known yet will come: what was made of the payment alone is not it.
            (Some(id), None) => {
                return match self.named_order(id)? {
                    Some(order) => Ok(Some(order)),
                    None => self.order_pointed_to(payment),
                };
            }
            // Customers have numbers, too: where nobody says that it is an order's, ours alone are sure.
            (None, _) => match &payment.hint {
                Some(id) if self.order_source.is_some() || id.parse::<Uuid>().is_ok() => {
                    self.named_order(id)?
                }
                _ => None,
            },
        };
        match named {
            Some(order) => Ok(Some(order)),
            None => self.order_told_before(payment),
        }
    }

    /// The order that is called so: by us, by the system that the channel names, or else by one of the
    /// workspace's shops. 422 where several have such an order.
    fn named_order(&mut self, id: &str) -> Result<Option<Uuid>> {
        if let Ok(own) = id.parse()
            && Order::exists(self.tx, own)?
        {
            return Ok(Some(own));
        }
        let sources = match &self.order_source {
            Some(source) => vec![source.clone()],
            None => Shop::sources(self.tx)?,
        };
        let references: Vec<_> =
            sources.into_iter().map(|source| ExternalId { source, id: id.to_owned() }).collect();
        let references: Vec<&ExternalId> = references.iter().collect();
        let mut found = external_ids::find_many(self.tx, Owner::Order, &references)?;
        found.sort_unstable_by_key(|(.., order)| *order);
        found.dedup_by_key(|(.., order)| *order);
        match &found[..] {
            [] => Ok(None),
            [(.., order)] => Ok(Some(*order)),
            _ => {
                let detail = "several shops have an order of this id: say which by `order_source` in the \
                              metadata or in the channel's `config`";
                Err(Error::field("#/data/object/metadata/order_id", "ambiguous_reference", detail))
            }
        }
    }

    /// The order that an earlier event named, though this one does not.
    fn order_pointed_to(&mut self, payment: &Payment) -> Result<Option<Uuid>> {
        let reference = self.reference(&payment.external_id);
        let paid = external_ids::find(self.tx, Owner::Payment, &reference.source, &reference.id)?;
        match paid {
            Some(id) if Order::exists(self.tx, id)? => Ok(Some(id)),
            _ => Ok(None),
        }
    }

    /// The same, or the one that was made of the payment.
    fn order_told_before(&mut self, payment: &Payment) -> Result<Option<Uuid>> {
        let reference = self.reference(&payment.external_id);
        match self.order_pointed_to(payment)? {
            Some(id) => Ok(Some(id)),
            None => external_ids::find(self.tx, Owner::Order, &reference.source, &reference.id),
        }
    }

    /// Records a customer as the shop knows them.
    pub fn person(&mut self, person: NativePerson) -> Result<Done> {
        let Some(reference) = person.reference(&self.source) else {
            return Ok(Done::ignored("nothing to be recognised by"));
        };
        let found = match references::resolve(self.tx, &reference, OnUnknownCustomer::Create)? {
            Err(error) if references::is_erased(&error) => {
                return Ok(Done::ignored("who this was has been erased"));
            }
            found => found?.customer_id,
        };
        let Some(customer) = found else { return Ok(Done::ignored("nobody")) };
        if !self.is_news(&reference, person.updated_at)? {
            return Ok(Done::ignored("older than what is known"));
        }
        let kept = Customer::lock(self.tx, customer)?;
        let (known, addresses) = (kept.tags, kept.addresses.parse::<Vec<Address>>()?);
        // What the company calls its customers beside the shop stays.
        let mut tags = added(&known, person.tags);
        tags.truncate(TAGS);
        let patch = CustomerPatch {
            first_name: person.first_name.map(Some),
            last_name: person.last_name.map(Some),
            locale: person.locale.map(Some),
            addresses: moved(&addresses, &person.addresses).map(Jsonb),
            tags: (tags.len() > known.len()).then_some(tags),
            ..CustomerPatch::default()
        };
        patch.apply(self.tx, customer, IfMatch(None))?;
        if reference.external_id.is_some() {
            // Where the shop writes to them now. The former address still leads to them.
            references::prefer(self.tx, customer, &reference)?;
        }
        self.consent(Some(customer), &person.consents)?;
        Ok(Done::with("customer", customer, Some(customer), false))
    }

    /// Whether the shop has told nothing newer of somebody whom it calls by an id.
    fn is_news(
        &mut self,
        reference: &CustomerReference,
        at: Option<DateTime<Utc>>,
    ) -> Result<bool> {
        match (&reference.external_id, at) {
            (Some(outside), Some(at)) => identities::is_news(self.tx, outside, at),
            _ => Ok(true),
        }
    }

    /// Enters what somebody said in the shop. A refusal that was said here is not ended by it.
    fn consent(&mut self, customer: Option<Uuid>, said: &[NativeConsent]) -> Result<()> {
        let Some(customer) = customer.filter(|_| self.takes_consent) else { return Ok(()) };
        for said in said {
            let consent = NewConsent {
                channel_type: said.channel_type,
                purpose: ConsentPurpose::Marketing,
                topic: None,
                state: said.state,
                lawful_basis: None,
                soft_opt_in: false,
                source: Some(self.source.clone()),
                evidence: None,
                consented_at: said.at,
                expires_at: None,
            };
            consents::told_elsewhere(self.tx, customer, &consent)?;
        }
        Ok(())
    }

    /// Records what a customer asks about their own data, and begins to answer it: the shop knows who
    /// asks.
    pub fn privacy(&mut self, person: &NativePerson, kind: DataRequestKind) -> Result<Done> {
        let Some(reference) = person.reference(&self.source) else {
            return Ok(Done::ignored("nothing to be recognised by"));
        };
        let unknown = OnUnknownCustomer::KeepAnonymous;
        let found = match references::resolve(self.tx, &reference, unknown)? {
            Err(error) if references::is_erased(&error) => None,
            found => found?.customer_id,
        };
        let Some(customer) = found else { return Ok(Done::ignored("nobody is known by this")) };
        let asked = NewDataRequest {
            customer_id: customer,
            kind,
            note: Some(format!("Asked in `{}`", self.source)),
            purposes: Vec::new(),
            received_at: None,
            is_verified: true,
        };
        match asked.insert(self.tx) {
            Ok(request) => Ok(Done::with("data_request", request.id, Some(customer), true)),
            Err(Error::Problem(refused)) if refused.status == 409 => {
                Ok(Done::ignored("the same is asked already"))
            }
            Err(error) => Err(error),
        }
    }

    /// Nothing more comes from this shop.
    pub fn pause(&mut self) -> Result<Done> {
        let (id, paused) = (self.channel, ChannelStatus::Paused);
        if channels::Channel::find(self.tx, id)?.status != paused {
            channels::set_status(self.tx, id, paused, "channel.paused")?;
        }
        Ok(Done::with("channel", id, None, false))
    }

    pub fn cart(&mut self, native: Option<NativeCart>) -> Result<Done> {
        let Some(native) = native else {
            let detail = "a checkout needs a `token` and a `currency`";
            return Err(Error::field("#", "required", detail));
        };
        let (reference, is_completed) = (native.external_id.clone(), native.is_completed);
        let consents = native.person.consents.clone();
        let patch = native.into_patch(&self.source);
        patch.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
        let done = self.cart_patch(&reference.id, &patch)?;
        if let (Some((_, id)), true) = (done.resource, is_completed) {
            carts::close(self.tx, id)?;
        }
        self.consent(done.customer, &consents)?;
        Ok(done)
    }

    pub fn cart_patch(&mut self, id: &str, patch: &CartPatch) -> Result<Done> {
        let mut patch = patch.clone();
        patch.channel_id = patch.channel_id.or(Some(Some(self.channel)));
        let reference = self.reference(id);
        let saved = carts::upsert(self.tx, &patch, &reference, UNCONDITIONAL, Told::ByShop)?;
        let cart = saved.resource;
        Ok(Done::with("cart", cart.id, cart.customer_id, saved.is_new))
    }

    pub fn product(&mut self, id: &str, patch: &ProductPatch) -> Result<Done> {
        let reference = self.reference(id);
        let saved = products::upsert(self.tx, patch, &reference, UNCONDITIONAL)?;
        Ok(Done::with("product", saved.resource.id, None, saved.is_new))
    }
}

impl NativeCart {
    fn into_patch(self, source: &str) -> CartPatch {
        let money = |amount| Money { amount, currency: self.currency.clone() };
        let person =
            NativePerson { email: self.person.email.clone().or(self.email.clone()), ..self.person };
        CartPatch {
            external_ids: None,
            customer: person.reference(source),
            email: self.email.map(Some),
            status: Some(CartProgress::Checkout),
            line_items: Some(self.lines),
            total: Some(money(self.total)),
            channel_id: None,
            recovery_url: self.recovery_url.map(Some),
            active_at: None,
            source_updated_at: self.source_updated_at,
            currency: Some(self.currency),
        }
    }
}
