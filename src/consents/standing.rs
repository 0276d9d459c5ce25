//! What holds today: how a consent follows from what was said, and which of several decides.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::types::{
    Consent, ConsentEvent, ConsentMethod, ConsentPurpose, ConsentState, DoubleOptIn,
};
use crate::channels::ChannelType;

/// What a consent is about; in links by short names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConsentKey {
    #[serde(rename = "c")]
    pub channel_type: ChannelType,
    #[serde(rename = "p")]
    pub purpose: ConsentPurpose,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

impl ConsentKey {
    /// Whether a consent about `other` falls under a decision about this one: the same, or a topic
    /// where this one is about everything.
    pub fn covers(&self, other: &Consent) -> bool {
        let is_part = self.topic.is_none() || self.topic == other.topic;
        is_part && (self.channel_type, self.purpose) == (other.channel_type, other.purpose)
    }

    fn is_of(&self, consent: &Consent) -> bool {
        self.covers(consent) && self.topic == consent.topic
    }
}

impl Consent {
    /// What the customer says to it at this time.
    pub fn state_at(&self, now: DateTime<Utc>) -> ConsentState {
        match (self.state, self.expires_at) {
            (ConsentState::Granted, Some(end)) if end <= now => ConsentState::Expired,
            (state, _) => state,
        }
    }

    /// As it is shown.
    pub fn shown(mut self, now: DateTime<Utc>) -> Self {
        self.state = self.state_at(now);
        self
    }

    pub fn key(&self) -> ConsentKey {
        let topic = self.topic.clone();
        ConsentKey { channel_type: self.channel_type, purpose: self.purpose, topic }
    }

    /// The one of a customer's consents that holds for a key. After a merge several customers may
    /// have said something: the latest word holds, and of two at once the refusal.
    pub fn holding<'a>(all: &'a [Self], key: &ConsentKey) -> Option<&'a Self> {
        let same = all.iter().filter(|consent| key.is_of(consent));
        same.max_by_key(|consent| (consent.decided_at, consent.state.is_refusal(), consent.id))
    }

    /// The one that decides about a key: its own, or the one about everything where there is none or
    /// where all was refused since.
    pub fn governing<'a>(all: &'a [Self], key: &ConsentKey) -> Option<&'a Self> {
        let own = Self::holding(all, key);
        let everything = ConsentKey { topic: None, ..key.clone() };
        match (own, Self::holding(all, &everything)) {
            (Some(own), Some(all)) if all.state.is_refusal() && all.decided_at > own.decided_at => {
                Some(all)
            }
            (own, all) => own.or(all),
        }
    }

    /// The first entry of a consent.
    pub fn begin(event: &ConsentEvent, customer_id: Uuid) -> Self {
        let mut consent = Self {
            id: event.consent_id,
            customer_id,
            origin_customer_id: event.origin_customer_id,
            channel_type: event.channel_type,
            purpose: event.purpose,
            topic: event.topic.clone(),
            state: event.state,
            lawful_basis: event.lawful_basis,
            soft_opt_in: event.soft_opt_in,
            method: event.method,
            source: None,
            evidence: None,
            double_opt_in: DoubleOptIn::default(),
            granted_at: None,
            withdrawn_at: None,
            expires_at: None,
            event_id: event.id,
            decided_at: event.occurred_at - TimeDelta::microseconds(1),
            version: 0,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
        };
        consent.fold(event);
        consent
    }

    /// Takes in an event: the one that was said last decides, in whatever order they come.
    pub fn fold(&mut self, event: &ConsentEvent) {
        let at = Some(event.occurred_at);
        match event.state {
            ConsentState::Granted => self.granted_at = self.granted_at.max(at),
            ConsentState::Withdrawn => self.withdrawn_at = self.withdrawn_at.max(at),
            ConsentState::Pending => {
                self.double_opt_in.sent_at = self.double_opt_in.sent_at.max(at);
            }
            ConsentState::Denied | ConsentState::Expired | ConsentState::Unknown => {}
        }
        if event.method == ConsentMethod::DoubleOptIn {
            self.double_opt_in.confirmed_at = self.double_opt_in.confirmed_at.max(at);
        }
        if event.occurred_at > self.decided_at {
            self.adopt(event);
        }
        self.version = event.version;
        self.updated_at = event.recorded_at;
    }

    fn adopt(&mut self, event: &ConsentEvent) {
        self.state = event.state;
        self.lawful_basis = event.lawful_basis;
        self.soft_opt_in = event.soft_opt_in;
        self.method = event.method;
        self.source = event.source.clone();
        self.evidence = event.evidence.clone();
        self.expires_at = event.expires_at;
        self.event_id = event.id;
        self.decided_at = event.occurred_at;
    }
}
