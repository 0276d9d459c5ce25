//! Which moves a consent knows, who may make them, and what a caller has to say.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::standing::ConsentKey;
use super::types::{
    Consent, ConsentEvidence, ConsentMethod, ConsentPurpose, ConsentState, LawfulBasis,
    SettableConsentState,
};
use crate::channels::ChannelType;
use crate::db::{ActorKind, Session};
use crate::error::{Error, FieldError, Result};
use crate::values::time::truncate;
use crate::values::valid;

/// What a customer says to one purpose on one type of channel.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsent {
    /// Where.
    pub channel_type: ChannelType,
    /// What for.
    pub purpose: ConsentPurpose,
    /// About what; absent is everything that has no consent of its own.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub topic: Option<String>,
    /// What the customer says to it.
    pub state: SettableConsentState,
    /// Why the company may do it. Where absent it stays what it was; at first it is `contract` for
    /// what is transactional, `legitimate_interests` for service and `consent` for all else.
    pub lawful_basis: Option<LawfulBasis>,
    /// Whether it is advertising for what the customer bought before, on `legitimate_interests`.
    #[serde(default)]
    pub soft_opt_in: bool,
    /// Where it came from.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "shop", min_length = 1, max_length = 100)]
    pub source: Option<String>,
    /// How it can be shown.
    #[validate(nested)]
    pub evidence: Option<ConsentEvidence>,
    /// When it was said, for what was said elsewhere before; now where absent. What was said before
    /// the present state is kept as history and changes nothing.
    #[validate(custom(function = "valid::time"))]
    pub consented_at: Option<DateTime<Utc>>,
    /// Until when it is granted; absent is without end.
    #[validate(custom(function = "valid::time"))]
    pub expires_at: Option<DateTime<Utc>>,
}

/// Something to be entered in the ledger, whoever said it.
#[derive(Debug, Clone)]
pub struct Decision {
    pub key: ConsentKey,
    pub state: ConsentState,
    pub lawful_basis: Option<LawfulBasis>,
    pub soft_opt_in: bool,
    pub method: ConsentMethod,
    pub source: Option<String>,
    pub evidence: Option<ConsentEvidence>,
    /// When it was said; `None` is now.
    pub at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether the person said it here: by token, with one click or by confirming.
    pub is_own_word: bool,
}

impl NewConsent {
    /// When it was said, where that was before.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        self.consented_at.map(truncate)
    }

    /// The decision in it, checked for what one field says about another.
    pub fn decision(&self, method: ConsentMethod, now: DateTime<Utc>) -> Result<Decision> {
        let faults: Vec<FieldError> =
            [self.basis_fault(), self.time_fault(now)].into_iter().flatten().collect();
        if !faults.is_empty() {
            return Err(Error::invalid(faults));
        }
        let topic = self.topic.clone();
        Ok(Decision {
            key: ConsentKey { channel_type: self.channel_type, purpose: self.purpose, topic },
            state: self.state.into(),
            lawful_basis: self.lawful_basis,
            soft_opt_in: self.soft_opt_in,
            method,
            source: self.source.clone(),
            evidence: self.evidence.clone(),
            at: self.time(),
            expires_at: self.expires_at.map(truncate),
            is_own_word: false,
        })
    }

    fn basis_fault(&self) -> Option<FieldError> {
        let basis = self.lawful_basis.unwrap_or_else(|| self.purpose.usual_basis());
        let fault = |at, detail| Some(FieldError::at(at, "invalid_basis", detail));
        if self.soft_opt_in && basis != LawfulBasis::LegitimateInterests {
            let detail = "`soft_opt_in` rests on `legitimate_interests`; name them";
            return fault("#/soft_opt_in", detail);
        }
        match self.state {
            SettableConsentState::Pending if basis != LawfulBasis::Consent => {
                fault("#/lawful_basis", "only a `consent` can be asked for")
            }
            SettableConsentState::Unknown if basis == LawfulBasis::Consent => {
                fault("#/lawful_basis", "where nothing was said, name another basis than `consent`")
            }
            _ => None,
        }
    }

    fn time_fault(&self, now: DateTime<Utc>) -> Option<FieldError> {
        if self.consented_at.is_some_and(|at| at > now) {
            let detail = "`consented_at` must not be in the future";
            return Some(FieldError::at("#/consented_at", "in_the_future", detail));
        }
        let begin = self.consented_at.unwrap_or(now);
        let detail = "`expires_at` must be later than the consent itself";
        let is_over = self.expires_at.is_some_and(|end| end <= begin);
        is_over.then(|| FieldError::at("#/expires_at", "in_the_past", detail))
    }
}

impl Decision {
    /// Whether it may end a refusal: the person may, and a member of staff who shows evidence.
    fn ends_refusal(&self, session: &Session) -> bool {
        let shows = self.evidence.as_ref().is_some_and(ConsentEvidence::shows_agreement);
        self.is_own_word || (session.actor.kind == ActorKind::User && shows)
    }

    /// 409 where the state machine knows no such move, with those it knows for this caller.
    pub fn check(&self, from: ConsentState, session: &Session) -> Result<()> {
        let next = next(from, self.ends_refusal(session));
        if next.contains(&self.state) {
            return Ok(());
        }
        let mut detail = format!("a consent that is `{from}` cannot become `{}`", self.state);
        if from.is_refusal() && !self.ends_refusal(session) {
            detail += " but by the customer, or by a user with `evidence` of the agreement";
        }
        let allowed: Vec<&str> = next.iter().map(|state| state.as_str()).collect();
        Err(Error::transition(detail, &allowed).at("#/state", "invalid_transition"))
    }

    /// Whether a consent says all of this already, so that there is nothing to record.
    pub fn is_said_by(&self, consent: &Consent, now: DateTime<Utc>) -> bool {
        let state = consent.state_at(now);
        if self.is_own_word || (state.is_refusal() && self.at.is_none()) {
            return state == self.state;
        }
        state == self.state
            && self.lawful_basis.is_none_or(|basis| basis == consent.lawful_basis)
            && self.soft_opt_in == consent.soft_opt_in
            && self.source == consent.source
            && self.evidence == consent.evidence.as_ref().map(|evidence| evidence.0.clone())
            && self.expires_at == consent.expires_at
            && self.at.is_none_or(|at| at == consent.decided_at)
            && !self.is_due_again(consent, now)
    }

    /// Whether a customer who was asked to confirm may be asked again: the token has run out.
    fn is_due_again(&self, consent: &Consent, now: DateTime<Utc>) -> bool {
        self.state == ConsentState::Pending && consent.decided_at + CONFIRMABLE_FOR <= now
    }
}

/// How long a customer can confirm.
pub const CONFIRMABLE_FOR: TimeDelta = TimeDelta::days(7);

/// Where a consent can go from here.
fn next(from: ConsentState, ends_refusal: bool) -> &'static [ConsentState] {
    use ConsentState::{Denied, Expired, Granted, Pending, Unknown, Withdrawn};
    match from {
        Unknown => &[Unknown, Pending, Granted, Denied, Withdrawn],
        Pending => &[Pending, Granted, Denied, Withdrawn],
        Granted => &[Granted, Withdrawn],
        Expired => &[Pending, Granted, Denied, Withdrawn],
        Denied if ends_refusal => &[Pending, Granted, Withdrawn],
        Denied => &[Withdrawn],
        Withdrawn if ends_refusal => &[Pending, Granted],
        Withdrawn => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_may_end_a_refusal_leads_out_of_one() {
        use ConsentState::{Denied, Expired, Granted, Pending, Unknown, Withdrawn};
        for refusal in [Denied, Withdrawn] {
            for open in [Granted, Pending, Unknown, Expired] {
                assert!(!next(refusal, false).contains(&open), "{refusal} to {open}");
            }
            assert!(next(refusal, true).contains(&Granted));
        }
        for open in [Unknown, Pending, Granted, Expired] {
            assert!(next(open, false).contains(&Withdrawn), "{open} can always be withdrawn");
        }
        assert!(!next(Granted, true).contains(&Pending), "who has agreed is not asked again");
        for state in [Unknown, Pending, Granted, Denied, Withdrawn, Expired] {
            assert!(!next(state, true).contains(&Expired), "time alone lets {state} expire");
        }
    }
}
