//! What waits to be sent, and who takes it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::deliveries::WebhookDeliveryStatus as Status;
use super::endpoints::of;
use super::events;
use super::schedule::{ATTEMPTS, BREAKER};
use super::secrets::Secrets;
use super::send::Message;
use super::sign::WebhookSignature;
use super::types::WebhookEndpointStatus;
use crate::db::{Conn, Tx, WorkspaceId, id};
use crate::error::Result;
use crate::journal::read;
use crate::schema::webhook_deliveries as d;
use crate::schema::webhook_endpoints as e;

/// How long a sender may be silent before its message goes to another; an attempt takes 10 seconds.
/// By the clock of the database: a process whose own is ahead would take what others hold.
pub const LEASE: TimeDelta = TimeDelta::seconds(15);
/// How many endpoints are looked at in one round.
const ENDPOINTS_A_ROUND: i64 = 100;
/// How much of what waits a claim looks at: first, and then again and again.
const LOOKED_AT: [i64; 2] = [100, 1000];

/// An endpoint that something waits for.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub struct Due {
    #[diesel(sql_type = SqlUuid)]
    pub workspace_id: WorkspaceId,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
}

/// Endpoints that can be sent something now: one of each workspace, then another of each, in the order
/// of this `draw`. With another draw each time everybody's turn comes, also where it is never all
/// endpoints that are served.
pub fn due(pg: &mut PgConnection, draw: i64, now: DateTime<Utc>) -> Result<Vec<Due>> {
    Ok(diesel::sql_query(
        "select workspace_id, id from (
             select e.workspace_id, e.id,
                    row_number() over (partition by e.workspace_id
                                           order by hashtextextended(e.id::text, $2)) as turn
               from webhook_endpoints e
              where e.status = 'enabled' and (e.paused_until is null or e.paused_until <= $1)
                and (select true from webhook_deliveries d
                      where d.workspace_id = e.workspace_id and d.endpoint_id = e.id
                        and d.status = 'pending' and d.next_attempt_at <= $1
                      limit 1)
         ) as due
          order by turn, hashtextextended(workspace_id::text, $2) limit $3",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(draw)
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
          where status = 'delivering' and locked_until < now()",
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
    pub number: i32,
    pub failures: i32,
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
/// rows than LIMIT says; LIMIT in the inner question and the array of ids, because otherwise a planner
/// without statistics compares everything that waits with everything that waits.
const CLAIM: &str = "
    with ready as materialized (
        select id, customer_id, sequence from webhook_deliveries
         where workspace_id = $1 and endpoint_id = $2 and status = 'pending'
           and next_attempt_at <= $3 and sequence > $4
           and (customer_id is null or customer_id <> all($5))
         order by sequence limit $6
    ), due as materialized (
        select id from ready
         where (select true from webhook_deliveries earlier
                 where earlier.workspace_id = $1 and earlier.endpoint_id = $2
                   and earlier.customer_id = ready.customer_id and earlier.sequence < ready.sequence
                   and earlier.status in ('pending', 'delivering') and earlier.failures < 3
                 limit 1) is null
         order by sequence limit $7
    )
    update webhook_deliveries
       set status = 'delivering', attempts = attempts + 1, locked_by = $8,
           locked_until = now() + make_interval(secs => $9)
     where workspace_id = $1 and id = any(array(select id from due))
    returning id, touchpoint_id, attempts, failures";

/// The same of what waits, of which nothing may go: where it ends, and who is waited for.
const HELD: &str = "
    select sequence, customer_id from webhook_deliveries
     where workspace_id = $1 and endpoint_id = $2 and status = 'pending'
       and next_attempt_at <= $3 and sequence > $4
       and (customer_id is null or customer_id <> all($5))
     order by sequence limit $6";

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    customer_id: Option<Uuid>,
}

/// How far a claim has looked into what waits for an endpoint.
struct Search {
    endpoint: Uuid,
    /// Past this place.
    after: i64,
    /// Customers of whom an earlier event waits: everything later of them waits too, however much.
    held: Vec<Uuid>,
    looked_at: i64,
}

impl Search {
    fn new(endpoint: Uuid) -> Self {
        Self { endpoint, after: 0, held: Vec::new(), looked_at: LOOKED_AT[0] }
    }

    fn claim(&self, tx: &mut Tx, lease: Uuid, room: i64) -> Result<Vec<Claimed>> {
        Ok(diesel::sql_query(CLAIM)
            .bind::<SqlUuid, _>(tx.workspace)
            .bind::<SqlUuid, _>(self.endpoint)
            .bind::<Timestamptz, _>(tx.now)
            .bind::<BigInt, _>(self.after)
            .bind::<Array<SqlUuid>, _>(&self.held)
            .bind::<BigInt, _>(self.looked_at)
            .bind::<BigInt, _>(room)
            .bind::<SqlUuid, _>(lease)
            .bind::<Double, _>(LEASE.as_seconds_f64())
            .load(tx.pg)?)
    }

    /// Moves on past what may not go; false where there is nothing more.
    fn go_on(&mut self, tx: &mut Tx) -> Result<bool> {
        let held: Vec<Held> = diesel::sql_query(HELD)
            .bind::<SqlUuid, _>(tx.workspace)
            .bind::<SqlUuid, _>(self.endpoint)
            .bind::<Timestamptz, _>(tx.now)
            .bind::<BigInt, _>(self.after)
            .bind::<Array<SqlUuid>, _>(&self.held)
            .bind::<BigInt, _>(self.looked_at)
            .load(tx.pg)?;
        let is_full = i64::try_from(held.len()) == Ok(self.looked_at);
        self.after = held.last().map_or(self.after, |last| last.sequence);
        let customers: HashSet<Uuid> = held.iter().filter_map(|one| one.customer_id).collect();
        self.held.extend(customers);
        self.looked_at = LOOKED_AT[1];
        Ok(is_full)
    }
}

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
    let mut search = Search::new(endpoint);
    let mut claimed = search.claim(tx, lease, room)?;
    while claimed.is_empty() && search.go_on(tx)? {
        claimed = search.claim(tx, lease, room)?;
    }
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

/// How long deliveries and their attempts can be looked at.
const KEPT_FOR: TimeDelta = TimeDelta::days(30);

/// Deliveries that are removed at once.
const PRUNED_AT_ONCE: i64 = 1000;

/// Some of what nobody looks at any more, from the oldest on; attempts go with their deliveries. What is
/// being sent just now gets one more attempt to remember.
const PRUNE: &str = "
    with old as materialized (
        select id from webhook_deliveries
         where workspace_id = $1 and id < $2 and status <> 'delivering'
         order by id limit $3 for update skip locked
    ), tried as (
        delete from webhook_attempts
         where workspace_id = $1 and delivery_id = any(array(select id from old))
    )
    delete from webhook_deliveries
     where workspace_id = $1 and id = any(array(select id from old))";

/// Removes what nobody looks at any more, in portions that a statement has the time for.
pub fn prune(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    let workspaces: Vec<WorkspaceId> = e::table.select(e::workspace_id).distinct().load(pg)?;
    for workspace in workspaces {
        let prune = diesel::sql_query(PRUNE)
            .bind::<SqlUuid, _>(workspace)
            .bind::<SqlUuid, _>(id::floor(now - KEPT_FOR))
            .bind::<BigInt, _>(PRUNED_AT_ONCE);
        while prune.clone().execute(pg)? > 0 {}
    }
    Ok(())
}
