//! What customers agreed to: for which purpose, on which type of channel, about which topic, on
//! which ground, and how that can be shown.
//!
//! What was said is entered in a ledger that nobody can change; what holds today follows from it.
//! [`can_send`] is the one place that decides whether something may be sent.

mod decisions;
mod expiry;
mod import;
pub mod ledger;
pub mod links;
mod objection;
pub mod preferences;
mod sending;
mod standing;
pub mod types;
mod unsubscribe;

use actix_web::{get, put};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

pub use decisions::NewConsent;
pub use expiry::{due, expire};
pub use import::told_elsewhere;
pub use objection::object;
pub use sending::{Question, SendReason, Verdict, can_send, can_send_many};
pub use standing::ConsentKey;
pub use types::{
    Consent, ConsentEvent, ConsentMethod, ConsentPurpose, ConsentState, LawfulBasis,
    SettableConsentState,
};

use crate::auth::{Caller, Scope};
use crate::channels::ChannelType;
use crate::customers::Customer;
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::Result;
use crate::http::page::Slice;
use crate::http::reply::Plain;
use crate::http::{Json, List, Page, Path, Query, Reply, ServiceConfig};
use crate::schema::{consent_events, consents};
use decisions::CONFIRMABLE_FOR;
use ledger::{Ledger, Speaker};
use links::{Destination, LinkKey};

/// What a customer says, all or nothing.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsents {
    /// 1 to 100 consents; those that are not named stay as they are.
    #[validate(length(min = 1, max = 100), nested)]
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<NewConsent>,
}

/// What a customer says now, and how what is pending can be confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentReceipt {
    /// Every consent of the customer.
    pub consents: Vec<Consent>,
    /// One for each consent of the request that is pending: put the token into the message that
    /// asks the customer to confirm.
    pub confirmations: Vec<ConsentConfirmation>,
}

/// The way to confirm one consent (double opt-in).
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentConfirmation {
    /// The consent.
    pub consent_id: Uuid,
    /// What `POST /v1/consents/confirm` takes, once.
    #[schema(example = "WyIwMTkyZjBjMS0yYTNi…")]
    pub token: String,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_customer_consents)
        .service(set_customer_consents)
        .service(list_customer_consent_history)
        .service(sending::get_customer_reachability)
        .service(links::create_preference_link)
        .service(import::batch_create_consents)
        .service(preferences::confirm_consent);
}

/// What the customers themselves reach, outside `/v1` and without a credential.
pub fn public_routes(api: &mut ServiceConfig) {
    api.service(unsubscribe::get_unsubscribe_page)
        .service(unsubscribe::unsubscribe_customer)
        .service(preferences::get_preferences)
        .service(preferences::set_preferences);
}

/// List a customer's consents
///
/// All of them: what the customer says today to each purpose on each type of channel.
#[utoipa::path(tag = "consents", security(("bearer" = ["consents:read"])), responses((status = 200, body = List<Consent>)))]
#[get("/customers/{id}/consents")]
async fn list_customer_consents(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::ConsentsRead)?;
    grant
        .read(move |conn| {
            let customer = Customer::current_id(conn, *id)?;
            let now = conn.now;
            let all = ledger::of_customer(conn, customer)?.into_iter();
            Ok(List::whole(all.map(|consent| consent.shown(now)).collect()))
        })
        .await
}

/// Record what a customer says
///
/// Consents that are not named stay as they are; saying the same again changes nothing. Out of
/// `denied` and `withdrawn` leads only the customer's own word, by a link or a confirmation, or a
/// user who sends `evidence` of the agreement; other moves are 409 with those that are `allowed`.
/// Refusing a purpose without a topic refuses all of its topics.
#[utoipa::path(tag = "consents", security(("bearer" = ["consents:write"])), responses((status = 200, body = ConsentReceipt)))]
#[put("/customers/{id}/consents")]
async fn set_customer_consents(
    caller: Caller,
    id: Path<Uuid>,
    new: Json<NewConsents>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ConsentsWrite)?;
    grant.write(move |tx| new.record(tx, *id).map(Plain)).await
}

const SORT: &[SortKey] = &[
    SortKey { name: "recorded_at", column: "consent_events.id", kind: SortKind::Id },
    SortKey { name: "occurred_at", column: "consent_events.occurred_at", kind: SortKind::Time },
];

/// List what a customer ever said
///
/// Every entry of the ledger, the last recorded first.
#[utoipa::path(tag = "consents", security(("bearer" = ["consents:read"])), params(Page), responses((status = 200, body = List<ConsentEvent>)))]
#[get("/customers/{id}/consents/history")]
async fn list_customer_consent_history(
    caller: Caller,
    id: Path<Uuid>,
    page: Query<Page>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ConsentsRead)?;
    let slice = page.slice(&grant, "consent_history", SORT, &*id)?;
    grant
        .list(move |conn| {
            let customer = Customer::current_id(conn, *id)?;
            history(conn, customer, &slice)
        })
        .await
}

/// The events of the consents that a customer has now; those of merged customers among them.
#[diesel::dsl::auto_type]
fn events_of(workspace: WorkspaceId, customer: Uuid) -> _ {
    let own = consents::table
        .filter(consents::workspace_id.eq(workspace))
        .filter(consents::customer_id.eq(customer))
        .select(consents::id);
    consent_events::table
        .filter(consent_events::workspace_id.eq(workspace))
        .filter(consent_events::consent_id.eq_any(own))
}

fn history(conn: &mut Conn, customer: Uuid, slice: &Slice) -> Result<List<ConsentEvent>> {
    let all = || events_of(conn.workspace, customer);
    let total = slice.total(|| all().count().get_result(conn.pg))?;
    let rows = events_of(conn.workspace, customer)
        .filter(slice.after.clone())
        .order(slice.order.clone())
        .limit(slice.fetch())
        .select(ConsentEvent::as_select())
        .load(conn.pg)?;
    slice.list(rows, total)
}

impl NewConsents {
    fn record(&self, tx: &mut Tx, customer: Uuid) -> Result<ConsentReceipt> {
        Customer::lock_even_restricted(tx, customer)?;
        let times: Vec<DateTime<Utc>> = self.items.iter().filter_map(NewConsent::time).collect();
        let mut ledger = Ledger::open(tx, &[customer], &times)?;
        let mut named = Vec::with_capacity(self.items.len());
        for (position, new) in self.items.iter().enumerate() {
            let said = new.decision(ConsentMethod::Api, tx.now);
            let entered = said.and_then(|said| ledger.enter(tx, Speaker::of(customer), &said));
            let (_, id) = entered.map_err(|error| error.under(&format!("#/items/{position}")))?;
            named.push(id);
        }
        ledger.close(tx)?;
        receipt(tx, ledger.consents_of(customer), &named)
    }
}

fn receipt(tx: &mut Tx, all: &[Consent], named: &[Uuid]) -> Result<ConsentReceipt> {
    let pending: Vec<&Consent> = all
        .iter()
        .filter(|consent| named.contains(&consent.id) && consent.state == ConsentState::Pending)
        .collect();
    let mut confirmations = Vec::with_capacity(pending.len());
    if !pending.is_empty() {
        let key = LinkKey::load(tx)?;
        confirmations = pending.into_iter().map(|one| key.confirmation(tx, one)).collect();
    }
    let consents = all.iter().map(|consent| consent.clone().shown(tx.now)).collect();
    Ok(ConsentReceipt { consents, confirmations })
}

impl LinkKey {
    fn confirmation(&self, tx: &Tx, consent: &Consent) -> ConsentConfirmation {
        let expires_at = consent.decided_at + CONFIRMABLE_FOR;
        let to = Destination::Confirmation {
            customer: consent.origin_customer_id,
            consent: consent.id,
            event: consent.event_id,
        };
        let token = self.sign(tx, expires_at, to);
        ConsentConfirmation { consent_id: consent.id, token, expires_at }
    }
}

/// What is decided about everything of a purpose on a type of channel, or about one topic.
fn key(channel_type: ChannelType, purpose: ConsentPurpose, topic: Option<&str>) -> ConsentKey {
    ConsentKey { channel_type, purpose, topic: topic.map(str::to_owned) }
}
