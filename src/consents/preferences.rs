//! What people decide themselves, without a login: the preference centre, and the confirmation of
//! what they were asked for (double opt-in).

use actix_web::http::header;
use actix_web::{HttpRequest, get, post, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::decisions::Decision;
use super::ledger::{self, Ledger, Speaker};
use super::links::{Destination, Visit};
use super::standing::ConsentKey;
use super::types::{Consent, ConsentEvidence, ConsentMethod, ConsentPurpose, ConsentState};
use crate::app::App;
use crate::channels::ChannelType;
use crate::customers::Customer;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::client_ip::client_ip;
use crate::http::reply::Plain;
use crate::http::{Json, Path, Reply};

/// What a person says to everything the company has asked or was told.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreferenceCenter {
    /// One for each purpose, type of channel and topic.
    pub preferences: Vec<Preference>,
}

/// What a person says to one purpose on one type of channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preference {
    /// Where.
    pub channel_type: ChannelType,
    /// What for.
    pub purpose: ConsentPurpose,
    /// About what; null is everything that has no preference of its own.
    #[schema(example = "climbing")]
    pub topic: Option<String>,
    /// What the person says to it.
    #[schema(example = "granted")]
    pub state: ConsentState,
    /// When that was decided.
    pub decided_at: DateTime<Utc>,
    /// Until when it is granted; null is without end.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a person chose; what is not named stays as it is.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreferenceChoices {
    /// 1 to 100 choices.
    #[validate(length(min = 1, max = 100), nested)]
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<PreferenceChoice>,
}

/// Yes or no to one purpose on one type of channel.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreferenceChoice {
    /// Where.
    pub channel_type: ChannelType,
    /// What for.
    pub purpose: ConsentPurpose,
    /// About what; absent is everything. A no to everything is one to every topic.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub topic: Option<String>,
    /// Whether the person agrees.
    pub is_granted: bool,
}

/// The token of a message that asked to confirm.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentToken {
    /// The token.
    #[validate(length(min = 1, max = 1500))]
    #[schema(example = "WyIwMTkyZjBjMS0yYTNi", min_length = 1, max_length = 1500)]
    pub token: String,
}

/// Confirm a consent
///
/// The second half of a double opt-in: the person shows the token of the message, which works once
/// and for seven days. Used, outdated and forged tokens are all answered 404.
#[utoipa::path(tag = "consents", security(()), responses((status = 200, body = Preference), (status = 404)))]
#[post("/consents/confirm")]
pub async fn confirm_consent(req: HttpRequest, shown: Json<ConsentToken>) -> Result<Reply> {
    let (visit, evidence) = (Visit::of(&req, &shown.token)?, evidence(&req));
    visit.write(move |tx, to| confirm(tx, to, &evidence).map(Plain)).await
}

/// Show what a person says
///
/// For a preference centre: all that the person who has the link said, without what shows it.
#[utoipa::path(tag = "consents", security(()), params(("token" = String, Path, description = "The token of a preference link", example = "WyIwMTkyZjBjMS0yYTNi")), responses((status = 200, body = PreferenceCenter)))]
#[get("/preferences/{token}")]
pub async fn get_preferences(req: HttpRequest, token: Path<String>) -> Result<Reply> {
    let visit = Visit::of(&req, &token)?;
    visit
        .read(|conn, to| {
            let Destination::Preferences { customer, .. } = to else { return not_a_link() };
            let customer = Customer::find_for_person(conn, *customer)?;
            Ok(Plain(PreferenceCenter::of(&ledger::of_customer(conn, customer)?, conn.now)))
        })
        .await
}

/// Change what a person says
///
/// The person's own word: it may also end a refusal. Sent twice, the second time changes nothing.
#[utoipa::path(tag = "consents", security(()), params(("token" = String, Path, description = "The token of a preference link", example = "WyIwMTkyZjBjMS0yYTNi")), responses((status = 200, body = PreferenceCenter)))]
#[put("/preferences/{token}")]
pub async fn set_preferences(
    req: HttpRequest,
    token: Path<String>,
    choices: Json<PreferenceChoices>,
) -> Result<Reply> {
    let (visit, evidence) = (Visit::of(&req, &token)?, evidence(&req));
    visit
        .write(move |tx, to| {
            let Destination::Preferences { customer, .. } = to else { return not_a_link() };
            choices.record(tx, *customer, &evidence).map(Plain)
        })
        .await
}

impl PreferenceCenter {
    pub fn of(all: &[Consent], now: DateTime<Utc>) -> Self {
        let holds = |consent: &&Consent| {
            Consent::holding(all, &consent.key()).is_some_and(|holding| holding.id == consent.id)
        };
        let preferences = all.iter().filter(holds).map(|consent| Preference::of(consent, now));
        Self { preferences: preferences.collect() }
    }
}

impl Preference {
    fn of(consent: &Consent, now: DateTime<Utc>) -> Self {
        Self {
            channel_type: consent.channel_type,
            purpose: consent.purpose,
            topic: consent.topic.clone(),
            state: consent.state_at(now),
            decided_at: consent.decided_at,
            expires_at: consent.expires_at,
        }
    }
}

impl PreferenceChoices {
    /// Enters what the person behind the id `origin` chose.
    pub fn record(
        &self,
        tx: &mut Tx,
        origin: Uuid,
        evidence: &ConsentEvidence,
    ) -> Result<PreferenceCenter> {
        let customer = Customer::lock_for_person(tx, origin)?;
        let who = Speaker { customer, origin };
        let mut ledger = Ledger::open(tx, &[customer], &[])?;
        for (position, choice) in self.items.iter().enumerate() {
            let entered = ledger.enter(tx, who, &choice.decision(evidence));
            entered.map_err(|error| error.under(&format!("#/items/{position}")))?;
        }
        ledger.close(tx)?;
        Ok(PreferenceCenter::of(ledger.consents_of(customer), tx.now))
    }
}

impl PreferenceChoice {
    fn decision(&self, evidence: &ConsentEvidence) -> Decision {
        let (granted, no) = (ConsentState::Granted, ConsentState::Withdrawn);
        let state = if self.is_granted { granted } else { no };
        let key = super::key(self.channel_type, self.purpose, self.topic.as_deref());
        of_person(key, state, ConsentMethod::PreferenceCenter, evidence)
    }
}

/// Confirms what still waits for exactly this token.
fn confirm(tx: &mut Tx, to: &Destination, shown: &ConsentEvidence) -> Result<Preference> {
    let Destination::Confirmation { customer: origin, consent, event } = to else {
        return not_a_link();
    };
    let customer = Customer::lock_for_person(tx, *origin)?;
    let mut ledger = Ledger::open(tx, &[customer], &[])?;
    let waits = |one: &&Consent| {
        one.id == *consent && one.event_id == *event && one.state == ConsentState::Pending
    };
    let waiting = ledger.consents_of(customer).iter().find(waits).cloned();
    let waiting = waiting.ok_or_else(Error::not_found)?;
    let who = Speaker { customer, origin: waiting.origin_customer_id };
    ledger.enter(tx, who, &confirmation_of(&waiting, shown))?;
    ledger.close(tx)?;
    let holding = Consent::holding(ledger.consents_of(customer), &waiting.key());
    Ok(Preference::of(holding.ok_or_else(Error::not_found)?, tx.now))
}

/// What was asked for is granted as it was asked, shown by who confirmed and from where.
fn confirmation_of(waiting: &Consent, shown: &ConsentEvidence) -> Decision {
    let asked = waiting.evidence.as_ref().map(|evidence| evidence.0.clone()).unwrap_or_default();
    let (ip, user_agent) = (shown.ip.clone(), shown.user_agent.clone());
    Decision {
        lawful_basis: Some(waiting.lawful_basis),
        source: waiting.source.clone(),
        evidence: Some(ConsentEvidence { ip, user_agent, ..asked }),
        expires_at: waiting.expires_at,
        ..of_person(waiting.key(), ConsentState::Granted, ConsentMethod::DoubleOptIn, shown)
    }
}

/// Something that the person says here and now.
pub fn of_person(
    key: ConsentKey,
    state: ConsentState,
    method: ConsentMethod,
    evidence: &ConsentEvidence,
) -> Decision {
    let is_granted = state == ConsentState::Granted;
    Decision {
        lawful_basis: is_granted.then(|| key.purpose.usual_basis()),
        key,
        state,
        soft_opt_in: false,
        method,
        source: None,
        evidence: Some(evidence.clone()),
        at: None,
        expires_at: None,
        is_own_word: true,
    }
}

/// From where the person spoke.
pub fn evidence(req: &HttpRequest) -> ConsentEvidence {
    let ip = client_ip(req, App::of(req).config.trusted_proxies).to_string();
    let agent = req.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let agent = agent.map(|text| text.chars().take(1000).collect());
    ConsentEvidence { ip: Some(ip), user_agent: agent, ..ConsentEvidence::default() }
}

/// A link that leads elsewhere is as good as none.
pub fn not_a_link<T>() -> Result<T> {
    Err(Error::not_found())
}
