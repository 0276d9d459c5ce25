//! What becomes of what was sent, and of the endpoint that it was sent to.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::deliveries::WebhookDeliveryStatus as Status;
use super::endpoints::of;
use super::queue::{LEASE, Taken};
use super::schedule;
use super::send::Answer;
use super::types::{WebhookDisabledReason, WebhookEndpoint};
use crate::db::Tx;
use crate::error::Result;
use crate::schema::webhook_attempts as a;
use crate::schema::webhook_endpoints as e;

/// How long an endpoint that nothing reaches is tried.
const PATIENCE: TimeDelta = TimeDelta::days(5);
/// A success is noted once in this time.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// A message that was sent, with what came of it.
pub struct Sent {
    pub taken: Taken,
    pub answer: Answer,
}

impl Sent {
    /// Whether the endpoint, which has this address, had another when it was sent this: what was said
    /// there says nothing about it.
    fn is_astray(&self, url: Option<&str>) -> bool {
        url.is_some_and(|url| url != self.taken.message.url)
    }
}

/// Whether others may have taken a message meanwhile.
pub fn is_lease_over(sent: &Sent, now: DateTime<Utc>) -> bool {
    sent.answer.at + LEASE < now
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// It is sent again.
    Retried,
    /// It was sent for the last time.
    Failed,
    /// Somebody else has it.
    Lost,
}

impl Outcome {
    /// The label of the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// How an endpoint has been doing.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = e, treat_none_as_null = true)]
struct Health {
    failures: i32,
    failing_since: Option<DateTime<Utc>>,
    last_success_at: Option<DateTime<Utc>>,
    last_failure_at: Option<DateTime<Utc>>,
    paused_until: Option<DateTime<Utc>>,
}

impl Health {
    fn after(&mut self, answer: &Answer, now: DateTime<Utc>) {
        if answer.is_success() {
            (self.failures, self.failing_since) = (0, None);
            if self.last_success_at.is_none_or(|at| at < now - NOTED_EVERY) {
                self.last_success_at = Some(now);
            }
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.last_failure_at = Some(now);
        let pause = schedule::pause(self.failures).map(|pause| now + pause);
        self.paused_until = self.paused_until.max(pause).max(answer.retry_after);
    }

    /// Why nothing is to be sent any more.
    fn end(&self, answer: &Answer, now: DateTime<Utc>) -> Option<WebhookDisabledReason> {
        if answer.is_gone() {
            return Some(WebhookDisabledReason::Gone);
        }
        let is_hopeless = self.failing_since.is_some_and(|since| since <= now - PATIENCE);
        is_hopeless.then_some(WebhookDisabledReason::Failing)
    }
}

/// Notes what became of messages to one endpoint, and how that does.
pub fn finish(tx: &mut Tx, endpoint: Uuid, sent: &[Sent]) -> Result<Vec<Outcome>> {
    let found = of(tx.workspace).filter(e::id.eq(endpoint));
    let found = found.select((Health::as_select(), e::url)).for_no_key_update();
    let (before, url): (Option<Health>, Option<String>) = found.first(tx.pg).optional()?.unzip();
    let url = url.as_deref();
    let outcomes = settle(tx, sent, url)?;
    let (mut after, mut end) = (before.clone(), None);
    for (one, outcome) in sent.iter().zip(&outcomes) {
        let counts = *outcome != Outcome::Lost && !one.is_astray(url);
        if let (Some(health), true) = (&mut after, counts) {
            health.after(&one.answer, tx.now);
            end = health.end(&one.answer, tx.now).or(end);
        }
    }
    if let Some(health) = after.filter(|after| before.as_ref() != Some(after)) {
        diesel::update(of(tx.workspace).filter(e::id.eq(endpoint))).set(health).execute(tx.pg)?;
    }
    if let (Some(reason), true) = (end, before.is_some()) {
        WebhookEndpoint::disable(tx, endpoint, reason)?;
    }
    Ok(outcomes)
}

/// `any($2)` says again what the join says: so rows are found by their ids, whatever the database
/// knows of the table.
const SETTLE: &str = "
    update webhook_deliveries d
       set status = t.status, failures = t.failures, next_attempt_at = t.next_attempt_at,
           last_status_code = t.status_code, last_error = t.error, delivered_at = t.delivered_at,
           locked_by = null, locked_until = null
      from unnest($2, $3, $4, $5, $6, $7, $8, $9) as t(id, lease, status, failures, next_attempt_at,
           status_code, error, delivered_at)
     where d.workspace_id = $1 and d.id = any($2) and d.id = t.id and d.locked_by = t.lease
    returning d.id";

#[derive(QueryableByName)]
struct Settled {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Notes what became of messages, but for those whose lease was lost: whoever has them now decides.
fn settle(tx: &mut Tx, sent: &[Sent], url: Option<&str>) -> Result<Vec<Outcome>> {
    let fates: Vec<Fate> =
        sent.iter().map(|one| Fate::of(one, one.is_astray(url), tx.now)).collect();
    let answers = || sent.iter().map(|one| &one.answer);
    let settled: Vec<Settled> = diesel::sql_query(SETTLE)
        .bind::<SqlUuid, _>(tx.workspace)
        .bind::<Array<SqlUuid>, _>(sent.iter().map(|one| one.taken.delivery).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(sent.iter().map(|one| one.taken.lease).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(fates.iter().map(|fate| fate.status).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(fates.iter().map(|fate| fate.failures).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(fates.iter().map(|fate| fate.next).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(answers().map(|it| it.status_code).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(answers().map(|it| it.error).collect::<Vec<_>>())
        .bind::<Array<Nullable<Timestamptz>>, _>(
            answers().map(|it| it.is_success().then_some(tx.now)).collect::<Vec<_>>(),
        )
        .load(tx.pg)?;
    let settled: HashSet<Uuid> = settled.into_iter().map(|row| row.id).collect();
    let is_ours = |one: &&Sent| settled.contains(&one.taken.delivery);
    note(tx, sent.iter().filter(is_ours))?;
    let outcome = |(one, fate): (&Sent, &Fate)| match settled.contains(&one.taken.delivery) {
        true => fate.outcome,
        false => Outcome::Lost,
    };
    Ok(sent.iter().zip(&fates).map(outcome).collect())
}

/// What an answer makes of a message.
struct Fate {
    status: Status,
    outcome: Outcome,
    failures: i32,
    next: DateTime<Utc>,
}

impl Fate {
    fn of(Sent { taken, answer }: &Sent, is_astray: bool, now: DateTime<Utc>) -> Self {
        let failures = taken.failures + i32::from(!answer.is_success());
        let next = match schedule::delay(failures) {
            Some(delay) if is_astray => Some(now + delay),
            Some(delay) if !answer.is_gone() => {
                Some((now + delay).max(answer.retry_after.unwrap_or(now)))
            }
            _ => None,
        };
        let (status, outcome) = match (answer.is_success(), next) {
            (true, _) => (Status::Delivered, Outcome::Delivered),
            (false, Some(_)) => (Status::Pending, Outcome::Retried),
            (false, None) => (Status::Failed, Outcome::Failed),
        };
        Self { status, outcome, failures, next: next.unwrap_or(now) }
    }
}

fn note<'a>(tx: &mut Tx, sent: impl Iterator<Item = &'a Sent>) -> Result<()> {
    let attempts = sent.map(|Sent { taken, answer }| {
        let id = tx.new_id();
        (
            (a::workspace_id.eq(tx.workspace), a::id.eq(id), a::delivery_id.eq(taken.delivery)),
            (a::number.eq(taken.number), a::attempted_at.eq(answer.at)),
            (a::latency_ms.eq(answer.latency_ms), a::status_code.eq(answer.status_code)),
            (a::error.eq(answer.error), a::request_headers.eq(&answer.request_headers)),
            (a::response_headers.eq(&answer.response_headers), a::response_body.eq(&answer.body)),
        )
    });
    let attempts: Vec<_> = attempts.collect();
    diesel::insert_into(a::table).values(attempts).execute(tx.pg)?;
    Ok(())
}
