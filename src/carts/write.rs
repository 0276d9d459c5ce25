//! Recording a cart: what is in it, whose it is, and what the customer did with it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::awaited;
use super::of;
use super::steps::{self, Step};
use super::types::{
    Cart, CartLineItem, CartPatch, CartProgress, CartReference, CartRow, CartStatus, NewCart,
    NewCartLineItem,
};
use crate::channels;
use crate::customers::references::{self, CustomerReference, OnUnknownCustomer};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, FieldError, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::{IfMatch, IfNoneMatch, Upserted};
use crate::journal;
use crate::products::{self, Named};
use crate::schema::carts as c;
use crate::sources::{Told, is_older};
use crate::values::Email;
use crate::values::money::{MOST, Money};

/// Records one new cart or says why not.
pub fn create(tx: &mut Tx, new: &NewCart) -> Result<Cart> {
    let source = new.source.clone().unwrap_or_else(|| "api".into());
    CartPatch::from(new.clone()).make(tx, source)
}

/// Records the cart that an outside system calls `reference`, or changes it.
pub fn upsert(
    tx: &mut Tx,
    patch: &CartPatch,
    reference: &ExternalId,
    (if_match, if_none_match): (IfMatch, IfNoneMatch),
    told: Told,
) -> Result<Upserted<Cart>> {
    let mut patch = patch.clone();
    match external_ids::find(tx, Owner::Cart, &reference.source, &reference.id)? {
        Some(_) if if_none_match.create_only => {
            Err(Error::new(Code::PRECONDITION_FAILED, "a cart with this outside id exists already"))
        }
        Some(id) => {
            patch.external_ids =
                patch.external_ids.map(|Jsonb(ids)| Jsonb(reference.joined_to(ids)));
            let before = lock(tx, id)?;
            if_match.check(before.version)?;
            Ok(Upserted { resource: patch.save(tx, before, told)?, is_new: false })
        }
        None => {
            if_match.check(0)?;
            let given = patch.external_ids.take().unwrap_or_default();
            patch.external_ids = Some(Jsonb(reference.joined_to(given.0)));
            let made = patch.make(tx, reference.source.clone()).or_else(|error| {
                Err(external_ids::unless_raced(tx, Owner::Cart, error, reference)?)
            })?;
            Ok(Upserted { resource: made, is_new: true })
        }
    }
}

/// A cart to be changed, locked until the transaction ends.
pub fn lock(tx: &mut Tx, id: Uuid) -> Result<CartRow> {
    let found = of(tx.workspace).filter(c::id.eq(id)).select(CartRow::as_select());
    let row: CartRow = found.for_no_key_update().first(tx.pg)?;
    tx.not_before(row.updated_at);
    Ok(row)
}

impl CartPatch {
    fn make(&self, tx: &mut Tx, source: String) -> Result<Cart> {
        let Some(currency) = self.currency.clone() else {
            return Err(Error::field("#/currency", "required", "`currency` is required"));
        };
        let row = CartRow::blank(tx, source, currency);
        self.finish(tx, None, row)
    }

    /// Records what is new about a cart. What is older than what is known changes nothing, and so
    /// does what a shop says, or anybody repeats, of a cart that is over.
    pub fn save(&self, tx: &mut Tx, before: CartRow, told: Told) -> Result<Cart> {
        let is_over = before.status.is_over();
        let is_repeat = is_over
            && self.source_updated_at.is_some()
            && self.source_updated_at == before.source_updated_at;
        let is_older = is_older(self.source_updated_at, before.source_updated_at) || is_repeat;
        match (is_older || is_over && told == Told::ByShop, is_over) {
            (true, _) => return Ok(before.into()),
            (_, true) => {
                let detail = format!("a cart that is `{}` is over", before.status);
                return Err(Error::transition(detail, &[]));
            }
            _ => {}
        }
        if self.currency.as_ref().is_some_and(|currency| *currency != before.currency) {
            let detail = "a cart stays in its currency";
            return Err(Error::field("#/currency", "immutable", detail));
        }
        let row = before.clone();
        self.finish(tx, Some(before), row)
    }

    fn finish(&self, tx: &mut Tx, before: Option<CartRow>, mut row: CartRow) -> Result<Cart> {
        self.take_fields(tx, &mut row)?;
        self.take_lines(tx, &mut row)?;
        self.take_customer(tx, &mut row)?;
        let steps = self.take_progress(tx.now, before.as_ref(), &mut row)?;
        if before.as_ref() == Some(&row) {
            return Ok(row.into());
        }
        (row.version, row.updated_at) = (row.version + 1, tx.now);
        store(tx, before.is_none(), &row)?;
        if before.is_none() {
            external_ids::claim(tx, Owner::Cart, row.id, &row.external_ids)?;
        } else if self.external_ids.is_some() {
            external_ids::replace(tx, Owner::Cart, row.id, &row.external_ids)?;
        }
        steps::tell(tx, &row, steps)?;
        if (before.is_none() || self.external_ids.is_some())
            && let Some((order, placed_at)) = awaited::take(tx, &row)?
        {
            row = converted(tx, row, Some(order), placed_at)?;
        }
        Ok(row.into())
    }

    fn take_fields(&self, tx: &mut Tx, row: &mut CartRow) -> Result<()> {
        if let Some(Jsonb(references)) = &self.external_ids {
            external_ids::check_sources(references)?;
            row.external_ids = Jsonb(references.clone());
        }
        if let Some(email) = &self.email {
            row.email = email.as_deref().and_then(Email::parse).map(|email| email.norm);
        }
        if let Some(url) = &self.recovery_url {
            row.recovery_url.clone_from(url);
        }
        if let Some(channel) = self.channel_id {
            channels::check_reference(tx, channel)?;
            row.channel_id = channel;
        }
        row.source_updated_at = self.source_updated_at.or(row.source_updated_at);
        Ok(())
    }

    fn take_lines(&self, tx: &mut Tx, row: &mut CartRow) -> Result<()> {
        if let Some(new) = &self.line_items {
            row.line_items = Jsonb(lines(tx, row, new)?);
            let sum: i128 = row.line_items.0.iter().map(|line| i128::from(line.total.amount)).sum();
            let sum = i64::try_from(sum).ok().filter(|sum| *sum <= MOST);
            row.total = sum.ok_or_else(|| {
                let detail = format!("the lines add up to more than {MOST} minor units");
                Error::field("#/line_items", "out_of_range", detail)
            })?;
        }
        if let Some(total) = &self.total {
            row.total = total.within(&row.currency, "#/total")?;
        }
        Ok(())
    }

    /// Finds or makes the customer, where the cart says something new about whose it is.
    fn take_customer(&self, tx: &mut Tx, row: &mut CartRow) -> Result<()> {
        let mut reference = match &self.customer {
            Some(said) => said.clone(),
            None if row.customer_id.is_some() => return Ok(()),
            None => CustomerReference::default(),
        };
        if reference.id.is_none() {
            reference.email = reference.email.or_else(|| row.email.clone());
        }
        if self.customer.is_none() && reference.marks_count() == 0 {
            return Ok(());
        }
        if reference.anonymous_id.is_some() {
            row.anonymous_id.clone_from(&reference.anonymous_id);
        }
        reference.acquaintance.source = Some(row.source.clone());
        let unknown = match reference.is_anonymous() {
            true => OnUnknownCustomer::Reject,
            false => OnUnknownCustomer::Create,
        };
        match references::resolve(tx, &reference, unknown)? {
            Ok(found) if found.customer_id.is_some() => {
                row.customer_id = found.customer_id;
                row.origin_customer_id = found.origin_customer_id;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if references::is_erased(&error) => {
                (row.email, row.anonymous_id, row.recovery_url) = (None, None, None);
                Ok(())
            }
            Err(error) if self.customer.is_some() => Err(error),
            Err(error) => Err(error.out_of("#/customer")),
        }
    }

    /// What the customer did, and what that makes of the cart.
    fn take_progress(
        &self,
        now: DateTime<Utc>,
        before: Option<&CartRow>,
        row: &mut CartRow,
    ) -> Result<Vec<Step>> {
        let at = journal::instant(self.active_at.or(self.source_updated_at), now, "#/active_at")?;
        let mut steps = steps::of_lines(before, row, at);
        let begins_checkout = self.status == Some(CartProgress::Checkout);
        let is_active = !steps.is_empty()
            || self.active_at.is_some_and(|at| at > row.active_at)
            || self.status.is_some_and(|said| said.as_str() != row.status.as_str());
        if before.is_none() || is_active {
            row.active_at = if before.is_none() { at } else { at.max(row.active_at) };
        }
        let is_left = row.is_left_since(at, now);
        if is_active && !is_left {
            steps.extend(row.come_back(at));
        }
        let was_checkout = row.status == CartStatus::Checkout;
        if begins_checkout && !was_checkout && !is_left {
            (row.status, row.checkout_at) = (CartStatus::Checkout, Some(at));
            steps.push(Step::new("checkout.started", at));
        }
        if self.status == Some(CartProgress::Active) && was_checkout {
            row.status = CartStatus::Active;
        }
        if steps.is_empty() {
            let kind = if before.is_none() { "cart.created" } else { "cart.updated" };
            steps.push(Step::new(kind, at));
        }
        Ok(steps)
    }
}

fn lines(tx: &mut Tx, row: &CartRow, new: &[NewCartLineItem]) -> Result<Vec<CartLineItem>> {
    let named: Vec<Named> = new.iter().map(NewCartLineItem::product).collect();
    let (products, mut faults) = products::of_lines(tx, &row.source, &named)?;
    let mut lines = Vec::with_capacity(new.len());
    for (at, (line, product_id)) in new.iter().zip(products).enumerate() {
        match line.kept(&row.currency, product_id, &format!("#/line_items/{at}")) {
            Ok(line) => lines.push(line),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(lines) } else { Err(Error::invalid(faults)) }
}

impl NewCartLineItem {
    fn product(&self) -> Named<'_> {
        let (external_id, sku) = (self.product_external_id.as_deref(), self.sku.as_deref());
        Named { id: self.product_id, external_id, sku }
    }

    fn kept(
        &self,
        currency: &str,
        product_id: Option<Uuid>,
        pointer: &str,
    ) -> Result<CartLineItem, FieldError> {
        let price = self.unit_price.within(currency, &format!("{pointer}/unit_price"))?;
        let total = i64::from(self.quantity).checked_mul(price).filter(|total| *total <= MOST);
        let total = total.ok_or_else(|| {
            let detail = format!("the line costs more than {MOST} minor units");
            FieldError::at(format!("{pointer}/quantity"), "out_of_range", detail)
        })?;
        Ok(CartLineItem {
            external_id: self.external_id.clone(),
            product_id,
            product_external_id: self.product_external_id.clone(),
            sku: self.sku.clone(),
            name: self.name.clone(),
            variant: self.variant.clone(),
            quantity: self.quantity,
            unit_price: self.unit_price.clone(),
            total: Money { amount: total, currency: currency.to_owned() },
        })
    }
}

impl CartRow {
    /// Whether it was abandoned, and what was done before that and is told only now was not later than the
    /// hour that it takes.
    fn is_left_since(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.status == CartStatus::Abandoned
            && self.abandoned_at.is_some_and(|left| at < left)
            && self.active_at + steps::ABANDONED_AFTER <= now
    }

    /// What it is, if it was abandoned, to somebody who did something with it. What was done before it
    /// was abandoned, and is told late, says that nobody had left it.
    fn come_back(&mut self, at: DateTime<Utc>) -> Option<Step> {
        if self.status != CartStatus::Abandoned {
            return None;
        }
        if self.abandoned_at.is_some_and(|left| at < left) {
            let is_checkout = self.checkout_at.is_some();
            self.status = if is_checkout { CartStatus::Checkout } else { CartStatus::Active };
            self.abandoned_at = None;
            return None;
        }
        (self.status, self.recovered_at) = (CartStatus::Recovered, Some(at));
        Some(Step::new("cart.recovered", at))
    }

    fn blank(tx: &mut Tx, source: String, currency: String) -> Self {
        let (id, now) = (tx.new_id(), tx.now);
        Self {
            id,
            external_ids: Jsonb::default(),
            source,
            customer_id: None,
            origin_customer_id: None,
            anonymous_id: None,
            email: None,
            status: CartStatus::Active,
            currency,
            total: 0,
            line_items: Jsonb::default(),
            channel_id: None,
            recovery_url: None,
            order_id: None,
            active_at: now,
            checkout_at: None,
            abandoned_at: None,
            recovered_at: None,
            converted_at: None,
            source_updated_at: None,
            version: 0,
            created_at: now,
            updated_at: now,
        }
    }
}

fn store(tx: &mut Tx, is_new: bool, row: &CartRow) -> Result<()> {
    if is_new {
        let workspace = c::workspace_id.eq(tx.workspace);
        diesel::insert_into(c::table).values((row, workspace)).execute(tx.pg)?;
    } else {
        let target = of(tx.workspace).filter(c::id.eq(row.id));
        diesel::update(target).set(row).execute(tx.pg)?;
    }
    Ok(())
}

/// Makes a cart the order it became, unless it is over.
pub fn convert(tx: &mut Tx, id: Uuid, if_match: IfMatch, order: Option<Uuid>) -> Result<Cart> {
    let before = lock(tx, id)?;
    if_match.check(before.version)?;
    if before.status.is_over() {
        let detail = format!("a cart that is `{}` is over", before.status);
        return Err(Error::transition(detail, &[]));
    }
    let at = tx.now;
    converted(tx, before, order, at).map(Into::into)
}

/// Makes a cart the order it became, whatever it was.
pub fn converted(
    tx: &mut Tx,
    mut row: CartRow,
    order: Option<Uuid>,
    at: DateTime<Utc>,
) -> Result<CartRow> {
    let mut steps = Vec::from_iter(row.come_back(at));
    steps.push(Step::new("cart.converted", at));
    (row.status, row.order_id, row.converted_at) = (CartStatus::Converted, order, Some(at));
    (row.version, row.updated_at) = (row.version + 1, tx.now);
    store(tx, false, &row)?;
    steps::tell(tx, &row, steps)?;
    Ok(row)
}

/// The same without an order, where the cart is not over yet.
pub fn close(tx: &mut Tx, id: Uuid) -> Result<()> {
    let cart = lock(tx, id)?;
    if cart.status.is_over() {
        return Ok(());
    }
    let at = tx.now;
    converted(tx, cart, None, at).map(drop)
}

/// The same for an order that says which cart it was; 422 where it names one by an id that is none.
/// A cart that has become another order stays that one's; one that is not known yet is awaited.
pub fn convert_into(
    tx: &mut Tx,
    reference: &CartReference,
    order: Uuid,
    at: DateTime<Utc>,
) -> Result<Option<Uuid>> {
    let known = match (reference.id, &reference.external_id) {
        (Some(id), _) => Some(id),
        (None, Some(outside)) => external_ids::find(tx, Owner::Cart, &outside.source, &outside.id)?,
        (None, None) => None,
    };
    let Some(id) = known else {
        if let Some(outside) = &reference.external_id {
            awaited::note(tx, outside, order)?;
        }
        return Ok(None);
    };
    let found = of(tx.workspace).filter(c::id.eq(id)).select(CartRow::as_select());
    let found: Option<CartRow> = found.for_no_key_update().first(tx.pg).optional()?;
    let Some(cart) = found else {
        let detail = "there is no such cart in this workspace";
        return Err(Error::field("#/cart/id", "not_found", detail));
    };
    match cart.status {
        // Its shop said that it became an order before that was there.
        CartStatus::Converted if cart.order_id.is_none() => name_order(tx, cart, order),
        CartStatus::Converted => Ok((cart.order_id == Some(order)).then_some(id)),
        _ => converted(tx, cart, Some(order), at).map(|cart| Some(cart.id)),
    }
}

fn name_order(tx: &mut Tx, mut cart: CartRow, order: Uuid) -> Result<Option<Uuid>> {
    (cart.order_id, cart.version, cart.updated_at) = (Some(order), cart.version + 1, tx.now);
    store(tx, false, &cart)?;
    let at = tx.now;
    steps::tell(tx, &cart, vec![Step::new("cart.updated", at)])?;
    Ok(Some(cart.id))
}
