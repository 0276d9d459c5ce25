//! Bringing in what customers said elsewhere before: a thousand consents with a few statements.

use std::collections::HashMap;

use actix_web::post;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::decisions::{Decision, NewConsent};
use super::ledger::{Ledger, Speaker};
use super::types::ConsentMethod;
use crate::audit::{self, Event};
use crate::auth::{Caller, Scope};
use crate::customers::Customer;
use crate::customers::references::{self, CustomerReference, OnUnknownCustomer, Referenced};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::batch::all;
use crate::http::json::field_errors;
use crate::http::{Batch, BatchOptions, Items, NewBatch, Query, Reply};

/// What a customer said elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedConsent {
    /// Who said it, named by one thing: an id, an outside id, an email address or another identity.
    #[validate(nested)]
    pub customer: CustomerReference,
    /// What was said; `consented_at` is when.
    #[validate(nested)]
    pub consent: NewConsent,
}

/// Record up to 1000 consents that were given elsewhere
///
/// Each item is recorded (201), recognised as a repeat (200) or refused on its own, unless `atomic`
/// is set; its `id` is that of the consent. What was said before the present state is kept as
/// history and changes nothing, and an item that would end a refusal is refused, so that no import
/// brings back who has withdrawn.
#[utoipa::path(tag = "consents", security(("bearer" = ["consents:write"])), params(BatchOptions), request_body = NewBatch<ImportedConsent>, responses((status = 207, body = Batch)))]
#[post("/consents/batch")]
pub async fn batch_create_consents(
    caller: Caller,
    options: Query<BatchOptions>,
    batch: Items<ImportedConsent>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ConsentsWrite)?;
    grant.charge(batch.count())?;
    grant
        .write(move |tx| {
            let results = batch.results(Import { items: batch.read() }.record(tx)?);
            note(tx, &results)?;
            if options.is_atomic() { all(results) } else { Ok(Batch::of(results)) }
        })
        .await
}

/// The audit event, where anything was recorded: how many, and nobody's name.
fn note(tx: &mut Tx, results: &[Result<(u16, Uuid)>]) -> Result<()> {
    let count = |status| results.iter().flatten().filter(|(found, _)| *found == status).count();
    if count(201) == 0 {
        return Ok(());
    }
    let counts = json!({ "items": results.len(), "recorded": count(201), "repeated": count(200) });
    let action = "consents.imported";
    audit::record(tx, Event { action, resource_id: None, before: None, after: Some(counts) })
}

/// Consents that could be read.
struct Import<'a> {
    items: &'a [ImportedConsent],
}

impl Import<'_> {
    /// The results are in the order of the items.
    fn record(&self, tx: &mut Tx) -> Result<Vec<Result<(u16, Uuid)>>> {
        let said: Vec<Result<Decision>> = self.items.iter().map(|item| item.decision(tx)).collect();
        let people = self.people(tx, &said)?;
        let whom: Vec<Uuid> =
            people.values().filter_map(|one| one.as_ref().ok()).copied().collect();
        // Nobody can take them away any more, and those who were are not there.
        let there = Customer::lock_many(tx, &whom)?;
        let times: Vec<DateTime<Utc>> = said.iter().flatten().filter_map(|said| said.at).collect();
        let mut ledger = Ledger::open(tx, &there, &times)?;
        let mut results = Vec::with_capacity(said.len());
        for (position, said) in said.into_iter().enumerate() {
            results.push(match (said, people.get(&position)) {
                (Err(error), _) => Err(error),
                (Ok(said), Some(Ok(customer))) if there.contains(customer) => {
                    entered(ledger.enter(tx, Speaker::of(*customer), &said))?
                }
                (Ok(_), Some(Err(error))) => Err(error.clone()),
                (Ok(_), _) => Err(unknown()),
            });
        }
        ledger.close(tx)?;
        Ok(results)
    }

    /// Whom the valid items mean, by their position.
    fn people(
        &self,
        tx: &mut Tx,
        said: &[Result<Decision>],
    ) -> Result<HashMap<usize, Result<Uuid>>> {
        let valid: Vec<usize> =
            (0..said.len()).filter(|position| said[*position].is_ok()).collect();
        let references: Vec<_> =
            valid.iter().map(|position| Some(&self.items[*position].customer)).collect();
        let found = references::resolve_many(tx, &references, OnUnknownCustomer::Reject)?;
        let found = found.into_iter().map(|found| match found {
            Ok(Referenced { customer_id: Some(customer), .. }) => Ok(customer),
            Ok(Referenced { customer_id: None, .. }) => Err(unknown()),
            Err(error) => Err(error),
        });
        Ok(valid.into_iter().zip(found).collect())
    }
}

impl ImportedConsent {
    fn decision(&self, tx: &Tx) -> Result<Decision> {
        self.validate().map_err(|errors| Error::invalid(field_errors(&errors)))?;
        if self.customer.marks_count() != 1 {
            let detail = "name the customer by exactly one thing: nothing is attached here";
            return Err(Error::field("#/customer", "ambiguous_reference", detail));
        }
        let said = self.consent.decision(ConsentMethod::Import, tx.now);
        said.map_err(|error| error.under("#/consent"))
    }
}

/// Enters what one customer said elsewhere, in the transaction that learns of it. What an import may not
/// change stays as it is.
pub fn told_elsewhere(tx: &mut Tx, customer: Uuid, consent: &NewConsent) -> Result<()> {
    let said = consent.decision(ConsentMethod::Import, tx.now)?;
    let there = Customer::lock_many(tx, &[customer])?;
    if there.is_empty() {
        return Ok(());
    }
    let times: Vec<DateTime<Utc>> = said.at.into_iter().collect();
    let mut ledger = Ledger::open(tx, &there, &times)?;
    match ledger.enter(tx, Speaker::of(customer), &said) {
        Err(error) if !error.is_rejection() => return Err(error),
        _ => {}
    }
    ledger.close(tx)
}

/// A refusal of one item stays with it; anything else ends the batch.
fn entered(done: Result<(bool, Uuid)>) -> Result<Result<(u16, Uuid)>> {
    match done {
        Ok((is_news, id)) => Ok(Ok((if is_news { 201 } else { 200 }, id))),
        Err(error) if error.is_rejection() => Ok(Err(error.under("#/consent"))),
        Err(error) => Err(error),
    }
}

fn unknown() -> Error {
    let detail = "no customer of this workspace is meant";
    Error::field("#/customer", "customer_not_found", detail)
}
