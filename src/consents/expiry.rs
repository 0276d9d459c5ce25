//! Consents whose time is over. They count for nothing from that moment on; this tells the ledger and
//! the timeline, for all who read those.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::decisions::Decision;
use super::ledger::{Ledger, Speaker, of};
use super::types::{Consent, ConsentMethod, ConsentState};
use crate::customers::Customer;
use crate::db::{Tx, WorkspaceId};
use crate::error::Result;
use crate::schema::consents;

/// Customers in one transaction.
const AT_ONCE: i64 = 200;
/// Workspaces in one round.
const WORKSPACES: i64 = 1000;

/// The workspaces that have consents whose time is over and that nobody was told of.
pub fn due(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<WorkspaceId>> {
    let over = consents::table
        .filter(consents::state.eq(ConsentState::Granted))
        .filter(consents::expires_at.le(now));
    Ok(over.select(consents::workspace_id).distinct().limit(WORKSPACES).load(pg)?)
}

/// Enters that some consents have expired; whether there may be more.
pub fn expire(tx: &mut Tx) -> Result<bool> {
    let over = of(tx.workspace)
        .filter(consents::state.eq(ConsentState::Granted))
        .filter(consents::expires_at.le(tx.now));
    let over = over.select(consents::customer_id).distinct().limit(AT_ONCE);
    let customers: Vec<Uuid> = over.load(tx.pg)?;
    // Also those of customers that are deleted, for a restore brings them back.
    Customer::lock_any(tx, &customers)?;
    let mut ledger = Ledger::open(tx, &customers, &[])?;
    for customer in &customers {
        let all = ledger.consents_of(*customer).iter();
        let is_over = |one: &&Consent| {
            one.state == ConsentState::Granted && one.state_at(tx.now) == ConsentState::Expired
        };
        let over: Vec<Consent> = all.filter(is_over).cloned().collect();
        for consent in over {
            let who = Speaker { customer: *customer, origin: consent.origin_customer_id };
            ledger.append(tx, who, &consent.key(), &end_of(&consent))?;
        }
    }
    ledger.close(tx)?;
    Ok(i64::try_from(customers.len()).is_ok_and(|count| count == AT_ONCE))
}

/// It says what the consent said, up to its end.
fn end_of(consent: &Consent) -> Decision {
    let after = consent.decided_at + TimeDelta::microseconds(1);
    Decision {
        key: consent.key(),
        state: ConsentState::Expired,
        lawful_basis: Some(consent.lawful_basis),
        soft_opt_in: consent.soft_opt_in,
        method: ConsentMethod::Expiry,
        source: consent.source.clone(),
        evidence: consent.evidence.as_ref().map(|evidence| evidence.0.clone()),
        at: consent.expires_at.map(|end| end.max(after)),
        expires_at: consent.expires_at,
        is_own_word: false,
    }
}
