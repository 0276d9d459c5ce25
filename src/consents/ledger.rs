//! The ledger of what customers said, and what follows from it: written together, in one
//! transaction, with a few statements however much is said.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use serde_json::{Value, json};
use uuid::Uuid;

use super::decisions::Decision;
use super::standing::ConsentKey;
use super::types::{Consent, ConsentEvent, ConsentMethod, ConsentPurpose, ConsentState};
use crate::customers::{self, LifecycleStage};
use crate::db::json::Jsonb;
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, OnConstraint, Result};
use crate::journal::{self, Change};
use crate::schema::{consent_events, consents};

/// How many consents a customer has at most; topics are free text.
pub const MOST: usize = 200;
/// Rows of one statement: 23 values each, below the 65,535 that one can bind.
const CHUNK: usize = 1000;

/// Whose word it is: the customer it counts for now, and the one who said it.
#[derive(Debug, Clone, Copy)]
pub struct Speaker {
    pub customer: Uuid,
    /// Another one only where the customer that a person's link names was merged into `customer`.
    pub origin: Uuid,
}

impl Speaker {
    pub fn of(customer: Uuid) -> Self {
        Self { customer, origin: customer }
    }
}

/// The consents of some customers while something is added to them.
pub struct Ledger {
    consents: HashMap<Uuid, Vec<Consent>>,
    /// What was said at the times that this transaction is about.
    past: HashSet<(Uuid, DateTime<Utc>, ConsentState)>,
    actor: Value,
    events: Vec<ConsentEvent>,
    changes: Vec<Change<'static>>,
    subscribers: BTreeSet<Uuid>,
}

#[diesel::dsl::auto_type(no_type_alias)]
pub fn of(workspace: WorkspaceId) -> _ {
    consents::table.filter(consents::workspace_id.eq(workspace))
}

/// The consents of some customers, by customer.
pub fn of_customers(conn: &mut Conn, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Consent>>> {
    let all: Vec<Consent> = of(conn.workspace)
        .filter(consents::customer_id.eq_any(ids))
        .order(consents::id)
        .select(Consent::as_select())
        .load(conn.pg)?;
    let mut by_customer: HashMap<Uuid, Vec<Consent>> = HashMap::new();
    for consent in all {
        by_customer.entry(consent.customer_id).or_default().push(consent);
    }
    Ok(by_customer)
}

/// The consents of one customer.
pub fn of_customer(conn: &mut Conn, id: Uuid) -> Result<Vec<Consent>> {
    Ok(of_customers(conn, &[id])?.remove(&id).unwrap_or_default())
}

impl Ledger {
    /// Opens the ledger at the pages of these customers, who must be locked: those who write about
    /// one customer take turns. `times` are those of the past that will be added.
    pub fn open(tx: &mut Tx, customers: &[Uuid], times: &[DateTime<Utc>]) -> Result<Self> {
        let consents = of_customers(tx, customers)?;
        let ids = consents.values().flatten().map(|consent| consent.id).collect();
        Ok(Self {
            past: past(tx, ids, times)?,
            consents,
            actor: journal::actor(tx),
            events: Vec::new(),
            changes: Vec::new(),
            subscribers: BTreeSet::new(),
        })
    }

    /// What a customer says after all that was added.
    pub fn consents_of(&self, customer: Uuid) -> &[Consent] {
        self.consents.get(&customer).map_or(&[], Vec::as_slice)
    }

    /// Enters what somebody said, or says why it cannot be. Answers the consent, and whether there
    /// was anything to enter.
    pub fn enter(&mut self, tx: &mut Tx, who: Speaker, said: &Decision) -> Result<(bool, Uuid)> {
        let all = self.consents_of(who.customer);
        let holding = Consent::holding(all, &said.key);
        let known = holding
            .filter(|holding| said.is_said_by(holding, tx.now) || self.has_heard(holding.id, said));
        if let Some(known) = known.map(|known| known.id) {
            let is_news = said.at.is_none() && self.refuse_the_rest(tx, who.customer, said)?;
            return Ok((is_news, known));
        }
        // What was said about everything stands in the way only where it was no.
        let governing = Consent::governing(all, &said.key)
            .filter(|consent| consent.topic == said.key.topic || consent.state.is_refusal());
        let is_history = said.at.zip(governing).is_some_and(|(at, it)| at <= it.decided_at);
        let from = governing.map_or(ConsentState::Unknown, |consent| consent.state_at(tx.now));
        let confirms = holding.is_none() && from.is_refusal() && said.state.is_refusal();
        if !is_history && !confirms {
            said.check(from, tx.session)?;
        }
        let id = self.append(tx, who, &said.key, said)?;
        if !is_history {
            self.refuse_the_rest(tx, who.customer, said)?;
        }
        Ok((true, id))
    }

    fn has_heard(&self, consent: Uuid, said: &Decision) -> bool {
        said.at.is_some_and(|at| self.past.contains(&(consent, at, said.state)))
    }

    /// A refusal of everything is one of every topic, and it holds for all whom a merge made one.
    fn refuse_the_rest(&mut self, tx: &mut Tx, customer: Uuid, said: &Decision) -> Result<bool> {
        let open = self.consents_of(customer).iter().filter(|consent| !consent.state.is_refusal());
        let rest: Vec<(Uuid, ConsentKey)> = open
            .filter(|consent| said.state.is_refusal() && said.key.covers(consent))
            .map(|consent| (consent.origin_customer_id, consent.key()))
            .collect();
        for (origin, key) in &rest {
            self.append(tx, Speaker { customer, origin: *origin }, key, said)?;
        }
        Ok(!rest.is_empty())
    }

    /// Adds an event and what follows from it, whatever the state machine says.
    pub fn append(
        &mut self,
        tx: &mut Tx,
        who: Speaker,
        key: &ConsentKey,
        said: &Decision,
    ) -> Result<Uuid> {
        let own = self.consents.entry(who.customer).or_default();
        let from = Consent::holding(own, key).map_or(ConsentState::Unknown, |consent| {
            // That its time is over has been so for a while; now it is told.
            let is_end = said.method == ConsentMethod::Expiry;
            if is_end { consent.state } else { consent.state_at(tx.now) }
        });
        let is_same =
            |consent: &&Consent| consent.origin_customer_id == who.origin && consent.key() == *key;
        let known = own.iter().find(is_same);
        if known.is_none() && own.len() >= MOST {
            let detail = format!("a customer has at most {MOST} consents");
            return Err(Error::field("#/topic", "too_many_consents", detail));
        }
        let event = event(tx, who, key, said, (own, known), &self.actor);
        match own.iter_mut().find(|consent| consent.id == event.consent_id) {
            Some(consent) => consent.fold(&event),
            None => own.push(Consent::begin(&event, who.customer)),
        }
        let decides = Consent::governing(own, key).is_some_and(|it| it.event_id == event.id);
        self.past.insert((event.consent_id, event.occurred_at, event.state));
        self.note(tx.now, who.customer, &event, (from, if decides { event.state } else { from }));
        let id = event.consent_id;
        self.events.push(event);
        Ok(id)
    }

    /// What the timeline tells of it. Evidence stays in the ledger.
    fn note(
        &mut self,
        now: DateTime<Utc>,
        customer: Uuid,
        event: &ConsentEvent,
        (from, to): (ConsentState, ConsentState),
    ) {
        let properties = json!({
            "channel_type": event.channel_type, "purpose": event.purpose, "topic": event.topic,
            "from": from, "to": to, "method": event.method, "lawful_basis": event.lawful_basis,
            "consented_at": event.occurred_at,
        });
        self.changes.push(Change {
            kind: if from == to { "consent.recorded" } else { kind(to) },
            customer_id: Some(customer),
            organization_id: None,
            channel_id: None,
            subject: ("consent", event.consent_id),
            properties,
        });
        let lasts = event.expires_at.is_none_or(|end| end > now);
        let is_yes = (to, event.purpose) == (ConsentState::Granted, ConsentPurpose::Marketing);
        if is_yes && lasts {
            self.subscribers.insert(customer);
        }
    }

    /// Writes all that was entered: consents, events, timeline, lifecycle.
    pub fn close(&mut self, tx: &mut Tx) -> Result<()> {
        let events = std::mem::take(&mut self.events);
        let changed: HashSet<Uuid> = events.iter().map(|event| event.consent_id).collect();
        // As they are read the next time: whoever came last may have the older clock.
        self.consents.values_mut().for_each(|own| own.sort_unstable_by_key(|one| one.id));
        let all = self.consents.values().flatten();
        let changed: Vec<&Consent> = all.filter(|consent| changed.contains(&consent.id)).collect();
        store_consents(tx, &changed)?;
        store_events(tx, &events)?;
        if !self.changes.is_empty() {
            journal::record_all(tx, std::mem::take(&mut self.changes))?;
        }
        let subscribers: Vec<Uuid> = std::mem::take(&mut self.subscribers).into_iter().collect();
        customers::advance(tx, &subscribers, LifecycleStage::Subscriber, "consent")
    }
}

/// The event of a decision, and the consent of the speaker that it adds to.
fn event(
    tx: &mut Tx,
    who: Speaker,
    key: &ConsentKey,
    said: &Decision,
    (all, known): (&[Consent], Option<&Consent>),
    actor: &Value,
) -> ConsentEvent {
    let holding = Consent::holding(all, key);
    let usual = || holding.map_or(key.purpose.usual_basis(), |consent| consent.lawful_basis);
    ConsentEvent {
        consent_id: known.map_or_else(|| tx.new_id(), |consent| consent.id),
        id: tx.new_id(),
        origin_customer_id: who.origin,
        channel_type: key.channel_type,
        purpose: key.purpose,
        topic: key.topic.clone(),
        state: said.state,
        lawful_basis: said.lawful_basis.unwrap_or_else(usual),
        soft_opt_in: said.soft_opt_in,
        method: said.method,
        source: said.source.clone(),
        evidence: said.evidence.clone().map(Jsonb),
        actor: actor.clone(),
        occurred_at: said.at.unwrap_or_else(|| after_all(all, key, tx.now)),
        recorded_at: tx.now,
        expires_at: said.expires_at,
        version: known.map_or(1, |consent| consent.version + 1),
    }
}

/// What is said now is later than all that was said about it, whatever the clocks say.
fn after_all(all: &[Consent], key: &ConsentKey, now: DateTime<Utc>) -> DateTime<Utc> {
    let everything = ConsentKey { topic: None, ..key.clone() };
    let related = all.iter().filter(|consent| everything.covers(consent));
    let last = related.map(|consent| consent.decided_at).max();
    last.map_or(now, |last| now.max(last + TimeDelta::microseconds(1)))
}

fn kind(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Pending => "consent.requested",
        ConsentState::Granted => "consent.granted",
        ConsentState::Denied => "consent.denied",
        ConsentState::Withdrawn => "consent.withdrawn",
        ConsentState::Expired => "consent.expired",
        ConsentState::Unknown => "consent.recorded",
    }
}

/// What was said at these times already, so that an import can be repeated.
fn past(
    tx: &mut Tx,
    ids: Vec<Uuid>,
    times: &[DateTime<Utc>],
) -> Result<HashSet<(Uuid, DateTime<Utc>, ConsentState)>> {
    use consent_events as e;
    if times.is_empty() || ids.is_empty() {
        return Ok(HashSet::new());
    }
    let said = e::table
        .filter(e::workspace_id.eq(tx.workspace))
        .filter(e::consent_id.eq_any(ids))
        .filter(e::occurred_at.eq_any(times))
        .select((e::consent_id, e::occurred_at, e::state));
    Ok(said.load(tx.pg)?.into_iter().collect())
}

fn store_consents(tx: &mut Tx, changed: &[&Consent]) -> Result<()> {
    use consents as c;
    let workspace = tx.workspace;
    for chunk in changed.chunks(CHUNK) {
        let rows: Vec<_> =
            chunk.iter().map(|consent| (c::workspace_id.eq(workspace), *consent)).collect();
        diesel::insert_into(c::table)
            .values(rows)
            .on_conflict((c::workspace_id, c::id))
            .do_update()
            .set((
                (c::state.eq(excluded(c::state)), c::lawful_basis.eq(excluded(c::lawful_basis))),
                (c::soft_opt_in.eq(excluded(c::soft_opt_in)), c::method.eq(excluded(c::method))),
                (c::source.eq(excluded(c::source)), c::evidence.eq(excluded(c::evidence))),
                c::double_opt_in_sent_at.eq(excluded(c::double_opt_in_sent_at)),
                c::double_opt_in_confirmed_at.eq(excluded(c::double_opt_in_confirmed_at)),
                c::granted_at.eq(excluded(c::granted_at)),
                c::withdrawn_at.eq(excluded(c::withdrawn_at)),
                c::expires_at.eq(excluded(c::expires_at)),
                (c::event_id.eq(excluded(c::event_id)), c::decided_at.eq(excluded(c::decided_at))),
                (c::version.eq(excluded(c::version)), c::updated_at.eq(excluded(c::updated_at))),
            ))
            .execute(tx.pg)
            .on_constraint("consents_customer_exists", Error::not_found)
            // A merge was undone just now: run again.
            .on_constraint("consents_key_taken", || Error::Retry("consent race".into()))?;
    }
    Ok(())
}

fn store_events(tx: &mut Tx, events: &[ConsentEvent]) -> Result<()> {
    use consent_events as e;
    let workspace = tx.workspace;
    for chunk in events.chunks(CHUNK) {
        let rows: Vec<_> =
            chunk.iter().map(|event| (e::workspace_id.eq(workspace), event)).collect();
        diesel::insert_into(e::table).values(rows).execute(tx.pg)?;
    }
    Ok(())
}
