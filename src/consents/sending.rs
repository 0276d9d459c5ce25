//! Whether something may be sent to a customer: one function for all who send, and its answers for
//! every type of channel, with the reason.

use std::collections::HashMap;
use std::str::FromStr;

use actix_web::get;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::ledger;
use super::types::{Consent, ConsentPurpose, ConsentState, LawfulBasis};
use crate::auth::{Caller, Scope};
use crate::channels::ChannelType;
use crate::customers::{Contact, Customer, CustomerStatus};
use crate::db::{Conn, Tx};
use crate::error::{Error, Result};
use crate::http::reply::Plain;
use crate::http::{Path, Query, Reply};
use crate::suppressions::{self, AddressHasher, SuppressionReason, address_kind};

crate::text_enum! {
    /// Why something may be sent, or not.
    pub enum SendReason {
        /// The customer agreed.
        Granted = "granted",
        /// It is advertising for what the customer bought before, and there was no objection.
        SoftOptIn = "soft_opt_in",
        /// A contract needs it.
        Contract = "contract",
        /// A law demands it.
        LegalObligation = "legal_obligation",
        /// The company's interest is legitimate, and there was no objection.
        LegitimateInterests = "legitimate_interests",
        /// No: the customer is blocked, merged into another one or erased.
        CustomerNotActive = "customer_not_active",
        /// No: the customer's data may be kept and nothing else.
        ProcessingRestricted = "processing_restricted",
        /// No: there is no address of this kind.
        NoAddress = "no_address",
        /// No: the address is suppressed.
        Suppressed = "suppressed",
        /// No: the customer was not asked.
        NoConsent = "no_consent",
        /// No: the customer was asked and has not confirmed.
        Pending = "pending",
        /// No: the customer said no.
        Denied = "denied",
        /// No: the customer has withdrawn.
        Withdrawn = "withdrawn",
        /// No: the time for which the customer agreed is over.
        Expired = "expired",
    }
}

impl SendReason {
    /// Whether it is a reason to send.
    pub fn allows(self) -> bool {
        match self {
            Self::Granted
            | Self::SoftOptIn
            | Self::Contract
            | Self::LegalObligation
            | Self::LegitimateInterests => true,
            Self::CustomerNotActive
            | Self::ProcessingRestricted
            | Self::NoAddress
            | Self::Suppressed
            | Self::NoConsent
            | Self::Pending
            | Self::Denied
            | Self::Withdrawn
            | Self::Expired => false,
        }
    }
}

/// What shall be sent.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub channel_type: ChannelType,
    pub purpose: ConsentPurpose,
    /// About what; `None` is nothing in particular.
    pub topic: Option<&'a str>,
}

/// Whether it may be sent, and why or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub reason: SendReason,
    /// Why the address is suppressed, where it is.
    pub suppression: Option<SuppressionReason>,
}

impl Verdict {
    pub fn is_allowed(self) -> bool {
        self.reason.allows()
    }

    fn because(reason: SendReason) -> Self {
        Self { reason, suppression: None }
    }
}

/// Whether something may be sent to a customer, who is 404 where there is none. To be asked in the
/// transaction that sends: until it ends the customer cannot withdraw, so that what was withdrawn is
/// sent to nobody, and what is sent was allowed. When it may be sent (quiet hours, how often) is
/// another question.
pub fn can_send(
    tx: &mut Tx,
    hasher: &AddressHasher,
    customer: Uuid,
    question: Question<'_>,
) -> Result<Verdict> {
    can_send_many(tx, hasher, &[customer], question)?.remove(&customer).ok_or_else(Error::not_found)
}

/// The same for many customers, with five statements; who is not there has no answer.
pub fn can_send_many(
    tx: &mut Tx,
    hasher: &AddressHasher,
    customers: &[Uuid],
    question: Question<'_>,
) -> Result<HashMap<Uuid, Verdict>> {
    Customer::hold(tx, customers)?;
    let known = Known::load(tx, hasher, customers, &[question.channel_type])?;
    let there = known.contacts.keys();
    Ok(there.map(|customer| (*customer, known.verdict(*customer, question))).collect())
}

/// All that decides, about some customers and types of channel.
struct Known {
    now: DateTime<Utc>,
    contacts: HashMap<Uuid, Contact>,
    consents: HashMap<Uuid, Vec<Consent>>,
    suppressed: HashMap<(Uuid, ChannelType), SuppressionReason>,
}

impl Known {
    fn load(
        conn: &mut Conn,
        hasher: &AddressHasher,
        customers: &[Uuid],
        channels: &[ChannelType],
    ) -> Result<Self> {
        let contacts = Customer::contacts(conn, customers)?;
        let mut places: HashMap<Vec<u8>, Vec<(Uuid, ChannelType)>> = HashMap::new();
        for (customer, contact) in &contacts {
            for channel in channels.iter().copied() {
                let norm = address_kind(channel).and_then(|kind| contact.addresses.get(&kind));
                if let Some(norm) = norm {
                    let hash = hasher.hash(channel, norm);
                    places.entry(hash).or_default().push((*customer, channel));
                }
            }
        }
        let hashes: Vec<&[u8]> = places.keys().map(Vec::as_slice).collect();
        let mut suppressed = HashMap::new();
        for (hash, reason) in suppressions::in_force(conn, &hashes)? {
            let concerned = places.get(&hash).into_iter().flatten();
            suppressed.extend(concerned.map(|place| (*place, reason)));
        }
        let consents = ledger::of_customers(conn, customers)?;
        Ok(Self { now: conn.now, contacts, consents, suppressed })
    }

    fn verdict(&self, customer: Uuid, question: Question<'_>) -> Verdict {
        let Question { channel_type, purpose, topic } = question;
        let Some(contact) = self.contacts.get(&customer) else {
            return Verdict::because(SendReason::NoAddress);
        };
        if !is_active(contact.status) {
            return Verdict::because(SendReason::CustomerNotActive);
        }
        if contact.is_restricted {
            return Verdict::because(SendReason::ProcessingRestricted);
        }
        if !is_addressable(contact, channel_type) {
            return Verdict::because(SendReason::NoAddress);
        }
        if let Some(reason) = self.suppressed.get(&(customer, channel_type)) {
            return Verdict { reason: SendReason::Suppressed, suppression: Some(*reason) };
        }
        let all = self.consents.get(&customer).map_or(&[][..], Vec::as_slice);
        let governing = Consent::governing(all, &super::key(channel_type, purpose, topic));
        Verdict::because(by_consent(governing, purpose, self.now))
    }
}

fn is_active(status: CustomerStatus) -> bool {
    match status {
        CustomerStatus::Active | CustomerStatus::Inactive => true,
        CustomerStatus::Blocked | CustomerStatus::Merged | CustomerStatus::Erased => false,
    }
}

/// Whether the customer can be reached there at all; some places need no address.
fn is_addressable(contact: &Contact, channel_type: ChannelType) -> bool {
    match (channel_type, address_kind(channel_type)) {
        (ChannelType::Post, _) => contact.has_postal_address,
        (_, Some(kind)) => contact.addresses.contains_key(&kind),
        (_, None) => true,
    }
}

/// What the customer's word makes of it.
fn by_consent(
    consent: Option<&Consent>,
    purpose: ConsentPurpose,
    now: DateTime<Utc>,
) -> SendReason {
    let state = consent.map_or(ConsentState::Unknown, |consent| consent.state_at(now));
    let basis = consent.map_or(purpose.usual_basis(), |consent| consent.lawful_basis);
    let is_soft = consent.is_some_and(|consent| consent.soft_opt_in);
    let is_open = matches!(state, ConsentState::Unknown | ConsentState::Pending);
    match (purpose, basis) {
        (_, _) if state == ConsentState::Granted => granted(purpose, basis),
        (ConsentPurpose::Transactional | ConsentPurpose::Service, LawfulBasis::Contract) => {
            SendReason::Contract
        }
        (ConsentPurpose::Transactional | ConsentPurpose::Service, LawfulBasis::LegalObligation) => {
            SendReason::LegalObligation
        }
        (
            ConsentPurpose::Transactional | ConsentPurpose::Service,
            LawfulBasis::LegitimateInterests,
        ) if is_open => SendReason::LegitimateInterests,
        (ConsentPurpose::Marketing, LawfulBasis::LegitimateInterests) if is_soft && is_open => {
            SendReason::SoftOptIn
        }
        _ => refusal(state),
    }
}

/// What is granted needs no other reason, but a contract stays one.
fn granted(purpose: ConsentPurpose, basis: LawfulBasis) -> SendReason {
    let is_needed = matches!(purpose, ConsentPurpose::Transactional | ConsentPurpose::Service);
    match basis {
        LawfulBasis::Contract if is_needed => SendReason::Contract,
        LawfulBasis::LegalObligation if is_needed => SendReason::LegalObligation,
        _ => SendReason::Granted,
    }
}

fn refusal(state: ConsentState) -> SendReason {
    match state {
        ConsentState::Unknown => SendReason::NoConsent,
        ConsentState::Pending => SendReason::Pending,
        ConsentState::Denied => SendReason::Denied,
        ConsentState::Withdrawn => SendReason::Withdrawn,
        ConsentState::Expired => SendReason::Expired,
        ConsentState::Granted => SendReason::Granted,
    }
}

/// What shall be sent to the customer.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReachabilityQuestion {
    /// What for.
    #[param(inline, example = "marketing")]
    pub purpose: ConsentPurpose,
    /// About what; absent is nothing in particular.
    #[param(max_length = 100)]
    pub topic: Option<String>,
}

/// Where a customer can be reached for a purpose.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reachability {
    /// The customer.
    pub customer_id: Uuid,
    /// What for.
    pub purpose: ConsentPurpose,
    /// About what.
    pub topic: Option<String>,
    /// Every type of channel.
    pub channels: Vec<ChannelReachability>,
}

/// Whether a customer can be reached on one type of channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelReachability {
    /// The type of channel.
    pub channel_type: ChannelType,
    /// Whether something may be sent there.
    pub is_allowed: bool,
    /// Why, or why not.
    pub reason: SendReason,
    /// Why the address is suppressed; null where it is not.
    pub suppression_reason: Option<SuppressionReason>,
}

/// Say where a customer can be reached
///
/// Yes or no for every type of channel, and why: exactly what a message or campaign would be told.
#[utoipa::path(tag = "consents", security(("bearer" = ["consents:read"])), params(ReachabilityQuestion), responses((status = 200, body = Reachability)))]
#[get("/customers/{id}/reachability")]
pub async fn get_customer_reachability(
    caller: Caller,
    id: Path<Uuid>,
    question: Query<ReachabilityQuestion>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ConsentsRead)?;
    grant
        .read(move |conn| {
            let customer = Customer::current_id(conn, *id)?;
            let hasher = AddressHasher::load(conn)?;
            question.answer(conn, &hasher, customer).map(Plain)
        })
        .await
}

impl ReachabilityQuestion {
    fn answer(&self, conn: &mut Conn, hasher: &AddressHasher, id: Uuid) -> Result<Reachability> {
        let every = ChannelType::ALL.iter().filter_map(|word| ChannelType::from_str(word).ok());
        let every: Vec<ChannelType> = every.collect();
        let known = Known::load(conn, hasher, &[id], &every)?;
        let (purpose, topic) = (self.purpose, self.topic.as_deref());
        let channels = every.into_iter().map(|channel_type| {
            let verdict = known.verdict(id, Question { channel_type, purpose, topic });
            ChannelReachability {
                channel_type,
                is_allowed: verdict.is_allowed(),
                reason: verdict.reason,
                suppression_reason: verdict.suppression,
            }
        });
        let channels = channels.collect();
        Ok(Reachability { customer_id: id, purpose, topic: self.topic.clone(), channels })
    }
}
