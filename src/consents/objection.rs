//! Objecting to a purpose altogether (GDPR, article 21): wherever the company might do it.

use std::str::FromStr;

use uuid::Uuid;

use super::decisions::Decision;
use super::ledger::{Ledger, Speaker};
use super::preferences::of_person;
use super::types::{ConsentEvidence, ConsentMethod, ConsentPurpose, ConsentState};
use crate::channels::ChannelType;
use crate::db::Tx;
use crate::error::Result;

/// Enters that a customer, who must be locked, wants none of these purposes on any type of channel.
pub fn object(tx: &mut Tx, customer: Uuid, purposes: &[ConsentPurpose]) -> Result<()> {
    let mut ledger = Ledger::open(tx, &[customer], &[])?;
    let channels = ChannelType::ALL.iter().filter_map(|word| ChannelType::from_str(word).ok());
    for channel in channels {
        for purpose in purposes {
            let key = super::key(channel, *purpose, None);
            let no = ConsentState::Withdrawn;
            let said = of_person(key, no, ConsentMethod::Api, &ConsentEvidence::default());
            let said = Decision { source: Some("objection".into()), evidence: None, ..said };
            ledger.enter(tx, Speaker::of(customer), &said)?;
        }
    }
    ledger.close(tx)
}
