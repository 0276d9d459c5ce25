//! Recording an order: one road for what is new, what changed and what is told once more.
//!
//! A draft is made of what is stored and what was sent; money, states and people are settled on it;
//! then the record, its lines, its place in the log and the figures of its customer are written in one
//! transaction.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::fulfillments::{self, Fulfillment};
use super::lines;
use super::milestones;
use super::payments;
use super::refunds::{self, Entered, NewRefund, RefundRow};
use super::requests::{NewOrder, OrderPatch};
use super::states::check_moves;
use super::stats;
use super::types::{FinancialStatus, FulfillmentStatus, LineRow, Order, OrderRow, OrderStatus};
use super::{of, with_deleted};
use crate::attributes::{self, AttributeResource, Attributes, Definitions};
use crate::carts;
use crate::channels;
use crate::customers::{self, LifecycleStage};
use crate::db::Tx;
use crate::db::json::Jsonb;
use crate::error::{Code, Error, Result};
use crate::external_ids::{self, ExternalId, Owner};
use crate::http::batch::one_by_one;
use crate::http::{Batch, IfMatch, IfNoneMatch, Items, Upserted};
use crate::journal;
use crate::schema::orders as o;
use crate::sources::{Told, is_older};
use crate::values::text::search_key;
use crate::values::{Email, Phone};

/// What is stored of an order.
#[derive(Debug, Clone)]
pub struct Stored {
    pub row: OrderRow,
    pub lines: Vec<LineRow>,
}

/// An order on its way into the database.
#[derive(Debug)]
pub struct Draft {
    pub row: OrderRow,
    pub lines: Vec<LineRow>,
    pub lines_changed: bool,
    /// Refunds and fulfillments that were not there before.
    pub refunds: Vec<Entered>,
    pub fulfillments: Vec<Fulfillment>,
    /// Fulfillments that were cancelled.
    pub cancelled_fulfillments: Vec<Uuid>,
    /// Refunds that had been deduced, with as much of them as nobody has told yet.
    pub outdated_refunds: Vec<RefundRow>,
}

/// An order that was recorded, with what was entered just now.
pub struct Saved {
    pub order: Order,
    pub refunds: Vec<RefundRow>,
    pub fulfillments: Vec<Fulfillment>,
}

/// Records one new order or says why not.
pub fn create(tx: &mut Tx, new: &NewOrder, told: Told) -> Result<Order> {
    let source = new.source.clone().unwrap_or_else(|| "api".into());
    let patch = OrderPatch::from(new.clone());
    Ok(patch.make(tx, source, told)?.order)
}

/// Records orders, each in its own savepoint: what an outside id is known of already is changed.
pub fn record_many(tx: &mut Tx, items: &Items<NewOrder>, is_atomic: bool) -> Result<Batch> {
    journal::expect(tx, items.read().iter().flat_map(NewOrder::times))?;
    one_by_one(tx, items, is_atomic, |tx, new| {
        let references: Vec<&ExternalId> = new.external_ids.iter().collect();
        let known = external_ids::find_many(tx, Owner::Order, &references)?;
        match known.first() {
            None => Ok((201, create(tx, new, Told::ByCaller)?.id)),
            Some((.., id)) => {
                change(tx, *id, IfMatch(None), &OrderPatch::from(new.clone()), Told::ByCaller)?;
                Ok((200, *id))
            }
        }
    })
}

/// Records valid orders, each in its own savepoint or not at all; the results are in the order of `new`.
pub fn create_each(tx: &mut Tx, new: &[NewOrder]) -> Result<Vec<Result<Uuid>>> {
    journal::expect(tx, new.iter().flat_map(NewOrder::times))?;
    let references: Vec<&ExternalId> = new.iter().flat_map(|new| new.external_ids.iter()).collect();
    let known = external_ids::find_many(tx, Owner::Order, &references)?;
    let known: HashMap<(&str, &str), Uuid> =
        known.iter().map(|(source, id, order)| ((&**source, &**id), *order)).collect();
    let mut results = Vec::with_capacity(new.len());
    for new in new {
        let of = |one: &ExternalId| known.get(&(&*one.source, &*one.id)).copied();
        // Asked for before the order is made: a file that is taken in again makes nothing in vain.
        let made = match new.external_ids.iter().find_map(of) {
            Some(order) => Err(external_ids::taken_by(order)),
            None => tx.savepoint(|tx| Ok(create(tx, new, Told::ByCaller)?.id)),
        };
        match made {
            Err(error) if !error.is_rejection() => return Err(error),
            made => results.push(made),
        }
    }
    Ok(results)
}

/// Records the order that an outside system calls `reference`, or changes it.
pub fn upsert(
    tx: &mut Tx,
    patch: &OrderPatch,
    reference: &ExternalId,
    (if_match, if_none_match): (IfMatch, IfNoneMatch),
    told: Told,
) -> Result<Upserted<Order>> {
    let mut patch = patch.clone();
    match external_ids::find(tx, Owner::Order, &reference.source, &reference.id)? {
        Some(_) if if_none_match.create_only => Err(Error::new(
            Code::PRECONDITION_FAILED,
            "an order with this outside id exists already",
        )),
        Some(id) => {
            patch.external_ids =
                patch.external_ids.map(|Jsonb(ids)| Jsonb(reference.joined_to(ids)));
            Ok(Upserted { resource: change(tx, id, if_match, &patch, told)?, is_new: false })
        }
        None => {
            if_match.check(0)?;
            let given = patch.external_ids.take().unwrap_or_default();
            patch.external_ids = Some(Jsonb(reference.joined_to(given.0)));
            if told == Told::ByShop
                && let Some(gone) = deleted(tx, reference)?
            {
                return patch.revive(tx, gone);
            }
            let made = patch.make(tx, reference.source.clone(), told).or_else(|error| {
                Err(external_ids::unless_raced(tx, Owner::Order, error, reference)?)
            })?;
            Ok(Upserted { resource: made.order, is_new: true })
        }
    }
}

/// The order that was called so before it was deleted, the last of several.
fn deleted(tx: &mut Tx, reference: &ExternalId) -> Result<Option<OrderRow>> {
    let found = with_deleted(tx.workspace).filter(o::deleted_at.is_not_null());
    let found = found.filter(o::external_ids.contains(Jsonb(vec![reference.clone()])));
    let found = found.order(o::deleted_at.desc()).select(OrderRow::as_select());
    Ok(found.first(tx.pg).optional()?)
}

/// Whether an order was called so that was deleted.
pub fn was_deleted(tx: &mut Tx, reference: &ExternalId) -> Result<bool> {
    Ok(deleted(tx, reference)?.is_some())
}

/// An order to be changed, locked until the transaction ends.
pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Stored> {
    let found = of(tx.workspace).filter(o::id.eq(id)).select(OrderRow::as_select());
    let row: OrderRow = found.for_no_key_update().first(tx.pg)?;
    tx.not_before(row.updated_at);
    let lines = lines::of_orders(tx, &[id])?.remove(&id).unwrap_or_default();
    Ok(Stored { row, lines })
}

/// The same as it is shown.
pub fn locked(tx: &mut Tx, id: Uuid) -> Result<Order> {
    lock(tx, id).map(|Stored { row, lines }| Order::new(row, lines))
}

/// Changes an order that is there.
pub fn change(
    tx: &mut Tx,
    id: Uuid,
    if_match: IfMatch,
    patch: &OrderPatch,
    told: Told,
) -> Result<Order> {
    let before = lock(tx, id)?;
    if_match.check(before.row.version)?;
    Ok(patch.save(tx, before, told)?.order)
}

impl OrderPatch {
    /// Records an order that nobody knew.
    pub fn make(&self, tx: &mut Tx, source: String, told: Told) -> Result<Saved> {
        let Some(currency) = self.currency.clone() else {
            return Err(Error::field("#/currency", "required", "`currency` is required"));
        };
        let row = OrderRow::blank(tx, source, currency);
        let draft = Draft::of(Stored { row, lines: Vec::new() });
        self.finish(tx, None, draft, told)
    }

    /// Records what is new about an order. What is older than what is known changes nothing.
    pub fn save(&self, tx: &mut Tx, before: Stored, told: Told) -> Result<Saved> {
        let known = before.row.source_updated_at;
        let is_same_second =
            told == Told::ByShop && known.is_some() && self.source_updated_at == known;
        if is_older(self.source_updated_at, known) || is_same_second && self.goes_back(&before.row)
        {
            return Ok(Saved::unchanged(before));
        }
        if self.currency.as_ref().is_some_and(|currency| *currency != before.row.currency) {
            let detail = "an order stays in its currency";
            return Err(Error::field("#/currency", "immutable", detail));
        }
        let draft = Draft::of(before.clone());
        self.finish(tx, Some(before), draft, told)
    }

    /// What a shop says of an order that was deleted brings it back, unless it is from before that.
    fn revive(&self, tx: &mut Tx, gone: OrderRow) -> Result<Upserted<Order>> {
        let resource = match is_older(self.source_updated_at, gone.deleted_at) {
            true => Order::new(gone, Vec::new()),
            false => {
                restore(tx, gone.id)?;
                change(tx, gone.id, IfMatch(None), self, Told::ByShop)?
            }
        };
        Ok(Upserted { resource, is_new: false })
    }

    fn finish(
        &self,
        tx: &mut Tx,
        before: Option<Stored>,
        mut draft: Draft,
        told: Told,
    ) -> Result<Saved> {
        let definitions = Definitions::load(tx, AttributeResource::Order)?;
        self.take_fields(tx.now, &mut draft.row, &definitions)?;
        if let Some(new) = &self.line_items {
            let old = std::mem::take(&mut draft.lines);
            draft.lines = lines::replaced(tx, &draft.row, old, new)?;
            draft.lines_changed = true;
        }
        self.settle(&mut draft.row, &draft.lines)?;
        let at = self.told_at(tx.now).max(draft.row.placed_at);
        self.take_states(&mut draft, at, told)?;
        self.enter(tx, &mut draft, at, told)?;
        self.settle_states(&mut draft, before.is_none(), told);
        self.stamp(at, before.is_none(), &mut draft.row);
        check_refunds(&draft.row)?;
        if let (Some(before), Told::ByCaller) = (&before, told) {
            check_moves(&before.row, &draft.row)?;
        }
        self.take_places(tx, &mut draft.row)?;
        self.take_customer(tx, &mut draft.row)?;
        draft.row.search_key = search_text(&draft.row, &draft.lines);
        draft.write(tx, before, self.external_ids.is_some(), &definitions)
    }

    /// Everything that is taken as it comes.
    fn take_fields(
        &self,
        now: DateTime<Utc>,
        order: &mut OrderRow,
        definitions: &Definitions,
    ) -> Result<()> {
        fn take<T: Clone>(into: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                *into = given.clone();
            }
        }
        if let Some(Jsonb(references)) = &self.external_ids {
            external_ids::check_sources(references)?;
            order.external_ids = Jsonb(references.clone());
        }
        take(&mut order.number, self.number.as_ref());
        take(&mut order.billing_address, self.billing_address.as_ref());
        take(&mut order.shipping_address, self.shipping_address.as_ref());
        take(&mut order.discount_codes, self.discount_codes.as_ref());
        take(&mut order.utm, self.utm.as_ref());
        take(&mut order.note, self.note.as_ref());
        take(&mut order.cancel_reason, self.cancel_reason.as_ref());
        take(&mut order.channel_id, self.channel_id.as_ref());
        take(&mut order.tags, self.tags.as_ref());
        if let Some(email) = &self.email {
            order.email = email.as_deref().and_then(Email::parse).map(|email| email.norm);
        }
        if let Some(phone) = &self.phone {
            order.phone =
                phone.as_deref().and_then(|raw| Phone::parse(raw, None)).map(|phone| phone.e164);
        }
        if self.placed_at.is_some() {
            order.placed_at = journal::instant(self.placed_at, now, "#/placed_at")?;
        }
        for (at, pointer) in [
            (self.paid_at, "#/paid_at"),
            (self.fulfilled_at, "#/fulfilled_at"),
            (self.cancelled_at, "#/cancelled_at"),
        ] {
            journal::instant(at, now, pointer)?;
        }
        order.source_updated_at = self.source_updated_at.or(order.source_updated_at);
        self.take_attributes(order, definitions)
    }

    fn take_attributes(&self, order: &mut OrderRow, definitions: &Definitions) -> Result<()> {
        let Some(Jsonb(given)) = &self.attributes else { return Ok(()) };
        let mut attributes: Attributes = order.attributes.0.clone();
        attributes::merge(&mut attributes.0, &given.0);
        definitions.check(&attributes)?;
        attributes::check_size(&attributes)?;
        order.attributes = Jsonb(attributes);
        Ok(())
    }

    /// When something happened that nobody dates: at the latest when the source told it.
    fn told_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let told = self.source_updated_at.filter(|at| (journal::earliest()..=now).contains(at));
        told.unwrap_or(now)
    }

    /// Enters refunds and fulfillments. An order that is said to be refunded is so altogether: what no
    /// refund tells of is one more.
    fn enter(&self, tx: &mut Tx, draft: &mut Draft, at: DateTime<Utc>, told: Told) -> Result<()> {
        let mut sent = self.fulfillments.clone().unwrap_or_default();
        sent.iter_mut().for_each(|one| one.fulfilled_at = one.fulfilled_at.or(Some(at)));
        fulfillments::enter(tx, draft, &sent, told)?;
        let mut paid_back = self.refunds.clone().unwrap_or_default();
        paid_back.iter_mut().for_each(|one| one.refunded_at = one.refunded_at.or(Some(at)));
        refunds::enter(tx, draft, &paid_back, told)?;
        if let Some(payment) = &self.payment {
            payments::enter(tx, draft, payment)?;
        }
        let left = draft.row.paid_total - draft.row.refunded_total;
        match self.financial_status {
            Some(FinancialStatus::Refunded) if left > 0 => {
                let rest = NewRefund::deduced(draft.row.money(left));
                refunds::enter(tx, draft, &[NewRefund { refunded_at: Some(at), ..rest }], told)
            }
            Some(FinancialStatus::PartiallyRefunded)
                if draft.row.refunded_total == 0 && told == Told::ByCaller =>
            {
                let detail = "`partially_refunded` needs to know how much: send `refunds`";
                Err(Error::field("#/refunds", "required", detail))
            }
            _ => Ok(()),
        }
    }

    /// When it was paid and fulfilled, where nobody says so: a new order when it was placed. A state that
    /// was left takes its time along.
    fn stamp(&self, at: DateTime<Utc>, is_new: bool, order: &mut OrderRow) {
        use FinancialStatus::{Authorized, Paid, PartiallyRefunded, Pending, Refunded, Voided};
        if matches!(order.status, OrderStatus::Open | OrderStatus::Completed)
            && order.cancelled_at.take().is_some()
        {
            order.cancel_reason = None;
        }
        if matches!(order.financial_status, Pending | Authorized | Voided) {
            order.paid_at = None;
        }
        if matches!(
            order.fulfillment_status,
            FulfillmentStatus::Unfulfilled | FulfillmentStatus::Partial
        ) {
            order.fulfilled_at = None;
        }
        let otherwise = if is_new { order.placed_at } else { at };
        let is_paid = matches!(order.financial_status, Paid | PartiallyRefunded | Refunded);
        if is_paid && order.paid_total >= order.total {
            let told = self.payment.as_ref().and_then(|payment| payment.at);
            order.paid_at = self.paid_at.or(order.paid_at).or(told).or(Some(otherwise));
        }
        if order.fulfillment_status == FulfillmentStatus::Fulfilled {
            let sent = self.fulfillments.iter().flatten().filter(|one| !one.is_cancelled);
            let last = sent.filter_map(|one| one.fulfilled_at).max();
            let told = self.fulfilled_at.or(order.fulfilled_at).or(last);
            order.fulfilled_at = told.or(Some(otherwise));
        }
    }

    /// The channel has to be there; the cart becomes this order.
    fn take_places(&self, tx: &mut Tx, order: &mut OrderRow) -> Result<()> {
        if let Some(channel) = self.channel_id {
            channels::check_reference(tx, channel)?;
        }
        if let Some(reference) = &self.cart {
            order.cart_id =
                carts::convert_into(tx, reference, order.id, order.placed_at)?.or(order.cart_id);
        }
        Ok(())
    }
}

impl OrderRow {
    fn blank(tx: &mut Tx, source: String, currency: String) -> Self {
        let (id, now) = (tx.new_id(), tx.now);
        Self {
            id,
            external_ids: Jsonb::default(),
            source,
            number: None,
            customer_id: None,
            origin_customer_id: None,
            email: None,
            phone: None,
            status: OrderStatus::Open,
            financial_status: FinancialStatus::Pending,
            fulfillment_status: FulfillmentStatus::Unfulfilled,
            currency,
            subtotal: 0,
            discount_total: 0,
            tax_total: 0,
            shipping_total: 0,
            fee_total: 0,
            total: 0,
            paid_total: 0,
            refunded_total: 0,
            payments: Jsonb::default(),
            is_tax_included: false,
            channel_id: None,
            cart_id: None,
            billing_address: None,
            shipping_address: None,
            discount_codes: Vec::new(),
            utm: None,
            note: None,
            cancel_reason: None,
            placed_at: now,
            paid_at: None,
            fulfilled_at: None,
            cancelled_at: None,
            source_updated_at: None,
            attributes: Jsonb::default(),
            tags: Vec::new(),
            search_key: String::new(),
            version: 0,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }
}

impl Saved {
    fn unchanged(stored: Stored) -> Self {
        let order = Order::new(stored.row, stored.lines);
        Self { order, refunds: Vec::new(), fulfillments: Vec::new() }
    }
}

impl Draft {
    fn of(stored: Stored) -> Self {
        let Stored { row, lines } = stored;
        Self {
            row,
            lines,
            lines_changed: false,
            refunds: Vec::new(),
            fulfillments: Vec::new(),
            cancelled_fulfillments: Vec::new(),
            outdated_refunds: Vec::new(),
        }
    }

    /// Whether there is nothing to write but, maybe, that the source said so once more.
    fn is_like(&self, before: &Stored) -> bool {
        let at = before.row.source_updated_at;
        self.refunds.is_empty()
            && self.fulfillments.is_empty()
            && self.cancelled_fulfillments.is_empty()
            && self.lines == before.lines
            && OrderRow { source_updated_at: at, ..self.row.clone() } == before.row
    }

    fn write(
        mut self,
        tx: &mut Tx,
        before: Option<Stored>,
        has_references: bool,
        definitions: &Definitions,
    ) -> Result<Saved> {
        if let Some(before) = &before
            && self.is_like(before)
        {
            return self.heard_again(tx, before);
        }
        (self.row.version, self.row.updated_at) = (self.row.version + 1, tx.now);
        self.store(tx, before.as_ref())?;
        if before.is_none() {
            external_ids::claim(tx, Owner::Order, self.row.id, &self.row.external_ids)?;
        } else if has_references {
            external_ids::replace(tx, Owner::Order, self.row.id, &self.row.external_ids)?;
        }
        definitions.claim(tx, self.row.id, &self.row.attributes)?;
        stats::count(tx, before.as_ref().map(|before| &before.row), &self.row)?;
        let shown = before.map(|before| Order::new(before.row, before.lines));
        milestones::tell(tx, shown.as_ref(), &self)?;
        let was_paid_by = shown.filter(|was| was.paid_at.is_some()).and_then(|was| was.customer_id);
        let is_paid = self.row.paid_at.is_some() && was_paid_by != self.row.customer_id;
        if let Some(customer) = self.row.customer_id.filter(|_| is_paid) {
            customers::advance(tx, &[customer], LifecycleStage::Customer, "first paid order")?;
        }
        let Self { row, lines, refunds, fulfillments, .. } = self;
        let refunds = refunds.into_iter().map(|entered| entered.row).collect();
        Ok(Saved { order: Order::new(row, lines), refunds, fulfillments })
    }

    fn store(&self, tx: &mut Tx, before: Option<&Stored>) -> Result<()> {
        let workspace = o::workspace_id.eq(tx.workspace);
        match before {
            None => {
                diesel::insert_into(o::table).values((&self.row, workspace)).execute(tx.pg)?;
                lines::store(tx, &self.lines)?;
            }
            Some(before) => {
                diesel::update(of(tx.workspace).filter(o::id.eq(self.row.id)))
                    .set(&self.row)
                    .execute(tx.pg)?;
                if before.lines != self.lines {
                    lines::discard(tx, self.row.id)?;
                    lines::store(tx, &self.lines)?;
                }
            }
        }
        refunds::store(tx, &self.refunds, &self.outdated_refunds)?;
        fulfillments::discard(tx, self.row.id, &self.cancelled_fulfillments)?;
        fulfillments::store(tx, &self.fulfillments)
    }

    /// Nothing is new but when it was said.
    fn heard_again(self, tx: &mut Tx, before: &Stored) -> Result<Saved> {
        if self.row.source_updated_at != before.row.source_updated_at {
            diesel::update(of(tx.workspace).filter(o::id.eq(self.row.id)))
                .set(o::source_updated_at.eq(self.row.source_updated_at))
                .execute(tx.pg)?;
        }
        let stored = Stored { row: self.row, lines: self.lines };
        Ok(Saved::unchanged(stored))
    }
}

/// Hides an order and frees its outside ids; it counts no more.
pub fn delete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<()> {
    let before = lock(tx, id)?;
    if_match.check(before.row.version)?;
    external_ids::release(tx, Owner::Order, id)?;
    attributes::release(tx, id)?;
    mark_deleted(tx, before.row, true)?;
    Ok(())
}

/// Brings a deleted order back; 409 where another has one of its outside ids by now.
pub fn restore(tx: &mut Tx, id: Uuid) -> Result<Order> {
    let stored = with_deleted(tx.workspace).filter(o::id.eq(id)).select(OrderRow::as_select());
    let mut row: OrderRow = stored.for_no_key_update().first(tx.pg)?;
    tx.not_before(row.updated_at);
    if row.deleted_at.is_some() {
        external_ids::claim(tx, Owner::Order, id, &row.external_ids)?;
        let definitions = Definitions::load(tx, AttributeResource::Order)?;
        definitions.claim(tx, id, &row.attributes)?;
        row = mark_deleted(tx, row, false)?;
    }
    let lines = lines::of_orders(tx, &[id])?.remove(&id).unwrap_or_default();
    Ok(Order::new(row, lines))
}

fn mark_deleted(tx: &mut Tx, before: OrderRow, is_deleted: bool) -> Result<OrderRow> {
    let mut after = before.clone();
    after.deleted_at = is_deleted.then_some(tx.now);
    (after.version, after.updated_at) = (after.version + 1, tx.now);
    diesel::update(with_deleted(tx.workspace).filter(o::id.eq(after.id)))
        .set(&after)
        .execute(tx.pg)?;
    stats::count(tx, Some(&before), &after)?;
    let kind = if is_deleted { "order.deleted" } else { "order.restored" };
    milestones::note(tx, kind, &after)?;
    Ok(after)
}

fn check_refunds(order: &OrderRow) -> Result<()> {
    // The same as the constraint `orders_refunds_within_payments`.
    if order.refunded_total <= order.paid_total {
        return Ok(());
    }
    let detail = format!("{} were paid back already", order.money(order.refunded_total));
    Err(Error::field("#/paid_total", "refund_exceeds_payment", detail))
}

/// Lines that a search looks at.
const LINES_SEARCHED: usize = 20;

fn search_text(order: &OrderRow, lines: &[LineRow]) -> String {
    let mut parts: Vec<&str> = Vec::new();
    parts.extend([&order.number, &order.email, &order.phone].into_iter().flatten().map(|t| &**t));
    parts.extend(order.external_ids.iter().map(|reference| reference.id.as_str()));
    for address in [&order.billing_address, &order.shipping_address].into_iter().flatten() {
        let names = [&address.first_name, &address.last_name, &address.company];
        parts.extend(names.into_iter().flatten().map(String::as_str));
    }
    for line in lines.iter().take(LINES_SEARCHED) {
        parts.push(&line.name);
        parts.extend(line.sku.as_deref());
    }
    search_key(&parts.join(" "))
}
