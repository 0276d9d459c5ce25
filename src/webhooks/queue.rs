//! What waits to be sent: who takes it, and what becomes of it.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::deliveries::WebhookDeliveryStatus as Status;
use super::endpoints::of;
use super::events;
use super::schedule::{self, ATTEMPTS, BREAKER};
use super::secrets::Secrets;
use super::send::{Answer, Message};
use super::sign::WebhookSignature;
use super::types::{WebhookDisabledReason, WebhookEndpoint, WebhookEndpointStatus};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::Result;
use crate::journal::read;
use crate::schema::webhook_attempts as a;
use crate::schema::webhook_deliveries as d;
use crate::schema::webhook_endpoints as e;

/// How long a sender may be silent before its message goes to another; an attempt takes 10 seconds.
const LEASE: TimeDelta = TimeDelta::seconds(30);
/// How long an endpoint that nothing reaches is tried.
const PATIENCE: TimeDelta = TimeDelta::days(5);
/// A success is noted once in this time.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);
/// How many endpoints are looked at in one round.
const ENDPOINTS_A_ROUND: i64 = 100;
/// How far one claim looks into what waits, past what may not go yet.
const LOOKED_AT: i64 = 1000;

/// An endpoint that something waits for.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub struct Due {
    #[diesel(sql_type = SqlUuid)]
    pub workspace_id: WorkspaceId,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
}

/// Endpoints that can be sent something now, in turns: those after the one that was last.
pub fn due(pg: &mut PgConnection, last: Uuid, now: DateTime<Utc>) -> Result<Vec<Due>> {
    Ok(diesel::sql_query(
        "select e.workspace_id, e.id from webhook_endpoints e
          where e.status = 'enabled' and (e.paused_until is null or e.paused_until <= $1)
            and exists (
              select from webhook_deliveries d
               where d.workspace_id = e.workspace_id and d.endpoint_id = e.id
                 and d.status = 'pending' and d.next_attempt_at <= $1)
          order by e.id > $2 desc, e.id limit $3",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<SqlUuid, _>(last)
    .bind::<BigInt, _>(ENDPOINTS_A_ROUND)
    .load(pg)?)
}

/// Lets others have what a sender took and never finished. It may have been sent: that counts.
pub fn release_expired(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    diesel::sql_query(
        "update webhook_deliveries
            set status = case when failures + 1 < $2 then 'pending' else 'failed' end,
                failures = failures + 1, next_attempt_at = $1, last_error = 'interrupted',
                locked_by = null, locked_until = null
          where status = 'delivering' and locked_until < $1",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Integer, _>(ATTEMPTS)
    .execute(pg)?;
    Ok(())
}

/// What waits for endpoints that are enabled.
#[derive(QueryableByName)]
pub struct Waiting {
    #[diesel(sql_type = BigInt)]
    pub pending: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub oldest: Option<DateTime<Utc>>,
}

/// How many messages wait in all workspaces, and since when.
pub fn waiting(pg: &mut PgConnection) -> Result<Waiting> {
    Ok(diesel::sql_query(
        "select count(*) as pending, min(d.created_at) as oldest
           from webhook_deliveries d join webhook_endpoints e
             on e.workspace_id = d.workspace_id and e.id = d.endpoint_id
          where d.status = 'pending' and e.status = 'enabled'",
    )
    .get_result(pg)?)
}

/// What an endpoint is sent with.
#[derive(Queryable, Selectable)]
#[diesel(table_name = e)]
pub struct Address {
    url: String,
    signatures: Vec<WebhookSignature>,
    sealed: Vec<u8>,
    previous_secret_expires_at: Option<DateTime<Utc>>,
    max_concurrency: i32,
    failures: i32,
}

impl Address {
    /// What sends an endpoint a message, whatever its state.
    pub fn find(tx: &mut Conn, endpoint: Uuid) -> Result<Self> {
        let found = of(tx.workspace).filter(e::id.eq(endpoint));
        Ok(found.select(Self::as_select()).first(tx.pg)?)
    }

    /// A message of this content to it, signed with what is valid now.
    pub fn message(
        &self,
        conn: &mut Conn,
        (endpoint, id): (Uuid, Uuid),
        body: Vec<u8>,
    ) -> Result<Message> {
        let secrets = Secrets::open(conn, endpoint, &self.sealed)?;
        let signer = secrets.signer(&self.signatures, self.previous_secret_expires_at, conn.now)?;
        Ok(Message { url: self.url.clone(), id, body, signer })
    }
}

/// A message that this process has leased.
pub struct Taken {
    pub delivery: Uuid,
    pub lease: Uuid,
    /// Which attempt it is, and how many failed before it.
    number: i32,
    failures: i32,
    pub message: Message,
}

#[derive(QueryableByName)]
struct Claimed {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    touchpoint_id: Uuid,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Integer)]
    failures: i32,
}

/// The first of what waits, without what must wait for an earlier event of the same customer: that
/// goes first, unless it failed three times. MATERIALIZED, because otherwise the planner may claim more
/// rows than LIMIT says.
const CLAIM: &str = "
    with ready as materialized (
        select id, customer_id, sequence from webhook_deliveries
         where workspace_id = $1 and endpoint_id = $2 and status = 'pending'
           and next_attempt_at <= $3
         order by sequence limit $4
    ), due as materialized (
        select w.id from webhook_deliveries w join ready on ready.id = w.id
         where w.workspace_id = $1 and w.status = 'pending'
           and not exists (
             select from webhook_deliveries earlier
              where earlier.workspace_id = $1 and earlier.endpoint_id = $2
                and earlier.customer_id = ready.customer_id and earlier.sequence < ready.sequence
                and earlier.status in ('pending', 'delivering') and earlier.failures < 3)
         order by w.sequence limit $5 for update of w skip locked
    )
    update webhook_deliveries t
       set status = 'delivering', attempts = t.attempts + 1, locked_by = $6, locked_until = $7
      from due where t.workspace_id = $1 and t.id = due.id
    returning t.id, t.touchpoint_id, t.attempts, t.failures";

/// Takes at most `room` messages for an endpoint: none where somebody else is at it, and no more than
/// it has at a time. Its row is locked meanwhile, so this holds over all processes.
pub fn claim(tx: &mut Tx, endpoint: Uuid, room: i64) -> Result<Vec<Taken>> {
    let found = of(tx.workspace)
        .filter(e::id.eq(endpoint))
        .filter(e::status.eq(WebhookEndpointStatus::Enabled))
        .filter(e::paused_until.is_null().or(e::paused_until.le(tx.now)))
        .select(Address::as_select())
        .for_no_key_update()
        .skip_locked();
    let Some(address) = found.first(tx.pg).optional()? else { return Ok(Vec::new()) };
    let under_way: i64 = d::table
        .filter(d::workspace_id.eq(tx.workspace))
        .filter(d::endpoint_id.eq(endpoint))
        .filter(d::status.eq(Status::Delivering))
        .count()
        .get_result(tx.pg)?;
    let most = if address.failures >= BREAKER { 1 } else { address.max_concurrency };
    let room = room.min(i64::from(most) - under_way);
    if room <= 0 {
        return Ok(Vec::new());
    }
    take(tx, endpoint, &address, room)
}

fn take(tx: &mut Tx, endpoint: Uuid, address: &Address, room: i64) -> Result<Vec<Taken>> {
    let lease = tx.new_id();
    let claimed: Vec<Claimed> = diesel::sql_query(CLAIM)
        .bind::<SqlUuid, _>(tx.workspace)
        .bind::<SqlUuid, _>(endpoint)
        .bind::<Timestamptz, _>(tx.now)
        .bind::<BigInt, _>(LOOKED_AT)
        .bind::<BigInt, _>(room)
        .bind::<SqlUuid, _>(lease)
        .bind::<Timestamptz, _>(tx.now + LEASE)
        .load(tx.pg)?;
    let ids: Vec<Uuid> = claimed.iter().map(|claimed| claimed.touchpoint_id).collect();
    let mut told: HashMap<Uuid, _> = read::find_many(tx, &ids)?.into_iter().collect();
    let (mut taken, mut gone) = (Vec::new(), Vec::new());
    for Claimed { id, touchpoint_id, attempts, failures } in claimed {
        let Some(touchpoint) = told.remove(&touchpoint_id) else {
            gone.push(id);
            continue;
        };
        let body = events::message(tx.workspace, tx.livemode, &touchpoint)?;
        let message = address.message(tx, (endpoint, touchpoint_id), body)?;
        taken.push(Taken { delivery: id, lease, number: attempts, failures, message });
    }
    skip(tx, &gone)?;
    Ok(taken)
}

/// Ends what is about something that nobody knows any more.
fn skip(tx: &mut Tx, gone: &[Uuid]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let target = d::table.filter(d::workspace_id.eq(tx.workspace)).filter(d::id.eq_any(gone));
    diesel::update(target)
        .set((
            (d::status.eq(Status::Skipped), d::attempts.eq(d::attempts - 1)),
            d::locked_by.eq(None::<Uuid>),
            d::locked_until.eq(None::<DateTime<Utc>>),
        ))
        .execute(tx.pg)?;
    Ok(())
}

/// A message that was sent, with what came of it.
pub struct Sent {
    pub taken: Taken,
    pub answer: Answer,
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
    let before: Option<Health> =
        found.select(Health::as_select()).for_no_key_update().first(tx.pg).optional()?;
    let (mut after, mut end, mut outcomes) = (before.clone(), None, Vec::new());
    for one in sent {
        let outcome = settle(tx, one)?;
        if let (Some(health), true) = (&mut after, outcome != Outcome::Lost) {
            health.after(&one.answer, tx.now);
            end = health.end(&one.answer, tx.now).or(end);
        }
        outcomes.push(outcome);
    }
    if let Some(health) = after.filter(|after| before.as_ref() != Some(after)) {
        diesel::update(of(tx.workspace).filter(e::id.eq(endpoint))).set(health).execute(tx.pg)?;
    }
    if let (Some(reason), true) = (end, before.is_some()) {
        WebhookEndpoint::disable(tx, endpoint, reason)?;
    }
    Ok(outcomes)
}

/// Notes what became of one message, unless the lease was lost: whoever has it now decides.
fn settle(tx: &mut Tx, Sent { taken, answer }: &Sent) -> Result<Outcome> {
    let failures = taken.failures + i32::from(!answer.is_success());
    let next = match schedule::delay(failures) {
        Some(delay) if !answer.is_gone() => {
            Some((tx.now + delay).max(answer.retry_after.unwrap_or(tx.now)))
        }
        _ => None,
    };
    let (status, outcome) = match (answer.is_success(), next) {
        (true, _) => (Status::Delivered, Outcome::Delivered),
        (false, Some(_)) => (Status::Pending, Outcome::Retried),
        (false, None) => (Status::Failed, Outcome::Failed),
    };
    let target = d::table
        .filter(d::workspace_id.eq(tx.workspace))
        .filter(d::id.eq(taken.delivery))
        .filter(d::locked_by.eq(taken.lease));
    let settled = diesel::update(target)
        .set((
            (d::status.eq(status), d::failures.eq(failures)),
            d::next_attempt_at.eq(next.unwrap_or(tx.now)),
            (d::last_status_code.eq(answer.status_code), d::last_error.eq(answer.error)),
            d::delivered_at.eq(answer.is_success().then_some(tx.now)),
            d::locked_by.eq(None::<Uuid>),
            d::locked_until.eq(None::<DateTime<Utc>>),
        ))
        .execute(tx.pg)?;
    if settled == 0 {
        return Ok(Outcome::Lost);
    }
    note(tx, taken, answer)?;
    Ok(outcome)
}

fn note(tx: &mut Tx, taken: &Taken, answer: &Answer) -> Result<()> {
    let id = tx.new_id();
    diesel::insert_into(a::table)
        .values((
            (a::workspace_id.eq(tx.workspace), a::id.eq(id), a::delivery_id.eq(taken.delivery)),
            (a::number.eq(taken.number), a::attempted_at.eq(answer.at)),
            (a::latency_ms.eq(answer.latency_ms), a::status_code.eq(answer.status_code)),
            (a::error.eq(answer.error), a::request_headers.eq(&answer.request_headers)),
            (a::response_headers.eq(&answer.response_headers), a::response_body.eq(&answer.body)),
        ))
        .execute(tx.pg)?;
    Ok(())
}

/// How long deliveries and their attempts can be looked at.
const KEPT_FOR: TimeDelta = TimeDelta::days(30);

/// Removes what nobody looks at any more; attempts go with their deliveries.
pub fn prune(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    diesel::sql_query(
        "delete from webhook_attempts a using webhook_deliveries d
          where d.workspace_id = a.workspace_id and d.id = a.delivery_id
            and (d.created_at < $1 or a.attempted_at < $1)",
    )
    .bind::<Timestamptz, _>(now - KEPT_FOR)
    .execute(pg)?;
    // What is being sent just now gets one more attempt to remember.
    let old = d::table.filter(d::created_at.lt(now - KEPT_FOR));
    diesel::delete(old.filter(d::status.ne(Status::Delivering))).execute(pg)?;
    Ok(())
}
