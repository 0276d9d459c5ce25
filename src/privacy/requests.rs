//! A data request from its arrival to its answer: which moves it knows, and what each of them does.

use chrono::{DateTime, Utc};
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::archive;
use super::subject::Subject;
use super::types::{
    ANSWERED_WITHIN, DataRequest, DataRequestFilter, DataRequestKind, DataRequestStatus,
    EXTENDED_BY, NewDataRequest, Row,
};
use crate::audit;
use crate::consents::{self, ConsentPurpose};
use crate::customers::{self, Customer};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, OnConstraint, Result};
use crate::http::IfMatch;
use crate::jobs::{self, NewJob, Priority};
use crate::journal::{self, Change, record};
use crate::schema::data_requests;
use crate::values::time::truncate;

const OPEN: [DataRequestStatus; 3] =
    [DataRequestStatus::Received, DataRequestStatus::Verifying, DataRequestStatus::Processing];

#[diesel::dsl::auto_type]
pub fn of(workspace: WorkspaceId) -> _ {
    data_requests::table.filter(data_requests::workspace_id.eq(workspace))
}

impl DataRequestFilter {
    pub fn apply(&self, workspace: WorkspaceId) -> IntoBoxed<'static, of, Pg> {
        let mut found = of(workspace).into_boxed();
        if let Some(customer) = self.customer_id {
            found = found.filter(data_requests::customer_id.eq(customer));
        }
        if let Some(kinds) = self.kind.given() {
            found = found.filter(data_requests::kind.eq_any(kinds.clone()));
        }
        if let Some(statuses) = self.status.given() {
            found = found.filter(data_requests::status.eq_any(statuses.clone()));
        }
        if let Some(until) = self.due_at_lte {
            found = found.filter(data_requests::due_at.le(until));
        }
        found
    }
}

impl Row {
    pub fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.workspace).filter(data_requests::id.eq(id));
        Ok(query.select(Self::as_select()).first(conn.pg)?)
    }

    pub fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let query = of(tx.workspace).filter(data_requests::id.eq(id));
        Ok(query.select(Self::as_select()).for_update().first(tx.pg)?)
    }

    /// 409 unless it may move to `to` now, with the moves that it may make.
    fn must_reach(&self, to: DataRequestStatus) -> Result<()> {
        let next = next(self.kind, self.status);
        if next.contains(&to) {
            return Ok(());
        }
        let detail = format!("a request that is `{}` cannot become `{to}`", self.status);
        let allowed: Vec<&str> = next.iter().map(|status| status.as_str()).collect();
        Err(Error::transition(detail, &allowed))
    }
}

/// Where a request can go from here by a decision; those that a job completes are not among them.
fn next(kind: DataRequestKind, from: DataRequestStatus) -> &'static [DataRequestStatus] {
    use DataRequestStatus::{Completed, Processing, Received, Rejected, Verifying};
    match (from, kind) {
        (Received, _) => &[Verifying, Processing, Rejected],
        (Verifying, _) => &[Processing, Rejected],
        (Processing, DataRequestKind::Rectification) => &[Completed, Rejected],
        (Processing | Completed | Rejected, _) => &[],
    }
}

impl NewDataRequest {
    /// Records the request, and begins to answer it where it is certain who asks.
    pub fn insert(&self, tx: &mut Tx) -> Result<DataRequest> {
        let received_at = self.received_at.map_or(tx.now, truncate);
        if received_at > tx.now {
            let detail = "`received_at` must not be in the future";
            return Err(Error::field("#/received_at", "in_the_future", detail));
        }
        let purposes = self.purposes()?;
        let unknown = |_| {
            let detail = "there is no such customer in this workspace";
            Error::field("#/customer_id", "not_found", detail)
        };
        let customer = Customer::lock_for_person(tx, self.customer_id).map_err(unknown)?;
        if let Some(open) = open(tx, customer, self.kind)? {
            let detail = format!("an `{}` request of this customer is open already", self.kind);
            let code = "data_requests_open_taken";
            return Err(Error::conflict(code, detail, Some(open)));
        }
        let row = self.store(tx, customer, received_at, &purposes)?;
        row.note(tx, "data_request.received")?;
        if self.is_verified { process(tx, row.id, IfMatch(None)) } else { Ok(row.into()) }
    }

    fn purposes(&self) -> Result<Vec<ConsentPurpose>> {
        let is_objection = self.kind == DataRequestKind::Objection;
        match (is_objection, self.purposes.is_empty()) {
            (true, true) => Ok(vec![ConsentPurpose::Marketing]),
            (false, false) => {
                let detail = "`purposes` say what an `objection` is about";
                Err(Error::field("#/purposes", "not_an_objection", detail))
            }
            _ => Ok(self.purposes.clone()),
        }
    }

    fn store(
        &self,
        tx: &mut Tx,
        customer: Uuid,
        received_at: DateTime<Utc>,
        purposes: &[ConsentPurpose],
    ) -> Result<Row> {
        use data_requests as d;
        let (id, actor) = (tx.new_id(), journal::actor(tx));
        let stored = diesel::insert_into(d::table)
            .values((
                d::workspace_id.eq(tx.workspace),
                d::id.eq(id),
                d::customer_id.eq(customer),
                d::kind.eq(self.kind),
                d::status.eq(DataRequestStatus::Received),
                d::note.eq(&self.note),
                d::purposes.eq(purposes),
                d::actor.eq(actor),
                d::received_at.eq(received_at),
                d::due_at.eq(received_at + ANSWERED_WITHIN),
                d::version.eq(1_i64),
                d::created_at.eq(tx.now),
                d::updated_at.eq(tx.now),
            ))
            .returning(Row::as_returning())
            .get_result(tx.pg);
        stored
            .on_constraint("data_requests_customer_exists", Error::not_found)
            // Somebody has recorded the same just now: run again and say which.
            .on_constraint("data_requests_open_taken", || Error::Retry("data request".into()))
    }
}

/// What a customer asks who has shown who they are: begins to answer it, also where it was recorded
/// before. Asked again, it is the same request.
pub fn ask_in_person(tx: &mut Tx, customer_id: Uuid, kind: DataRequestKind) -> Result<DataRequest> {
    let customer = Customer::lock_for_person(tx, customer_id)?;
    let Some(known) = open(tx, customer, kind)? else {
        let (note, purposes, received_at) = (None, Vec::new(), None);
        let asked =
            NewDataRequest { customer_id, kind, note, purposes, received_at, is_verified: true };
        return asked.insert(tx);
    };
    let row = Row::lock(tx, known)?;
    match row.status {
        DataRequestStatus::Processing => Ok(row.into()),
        _ => process(tx, known, IfMatch(None)),
    }
}

fn open(tx: &mut Tx, customer: Uuid, kind: DataRequestKind) -> Result<Option<Uuid>> {
    let found = of(tx.workspace)
        .filter(data_requests::customer_id.eq(customer))
        .filter(data_requests::kind.eq(kind))
        .filter(data_requests::status.eq_any(OPEN));
    Ok(found.select(data_requests::id).first(tx.pg).optional()?)
}

/// A request that is about to move to `to`; 409 where it may not.
fn take(tx: &mut Tx, id: Uuid, if_match: IfMatch, to: DataRequestStatus) -> Result<Row> {
    let row = Row::lock(tx, id)?;
    if_match.check(row.version)?;
    row.must_reach(to)?;
    Ok(row)
}

/// Asks the person to show who they are.
pub fn verify(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<DataRequest> {
    let row = take(tx, id, if_match, DataRequestStatus::Verifying)?;
    row.advance(tx, DataRequestStatus::Verifying)
}

/// Begins to answer a request whose sender is certain.
pub fn process(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<DataRequest> {
    let row = take(tx, id, if_match, DataRequestStatus::Processing)?;
    let customer = Customer::lock_for_person(tx, row.customer_id)?;
    let begun = row.advance(tx, DataRequestStatus::Processing)?;
    match row.kind {
        DataRequestKind::Access | DataRequestKind::Portability => {
            enqueue(tx, id, "privacy.archive", tx.now)?;
            Ok(begun)
        }
        DataRequestKind::Erasure => {
            enqueue(tx, id, "privacy.erase", tx.now)?;
            Ok(begun)
        }
        DataRequestKind::Rectification => Ok(begun),
        DataRequestKind::Restriction => {
            customers::restrict(tx, customer, true)?;
            row.advance(tx, DataRequestStatus::Completed)
        }
        DataRequestKind::Objection => {
            consents::object(tx, customer, &row.purposes)?;
            row.advance(tx, DataRequestStatus::Completed)
        }
    }
}

/// Says that what was asked is done: for what people do, not the service.
pub fn complete(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<DataRequest> {
    let row = take(tx, id, if_match, DataRequestStatus::Completed)?;
    row.advance(tx, DataRequestStatus::Completed)
}

/// Says no.
pub fn reject(tx: &mut Tx, id: Uuid, if_match: IfMatch, reason: &str) -> Result<DataRequest> {
    let row = take(tx, id, if_match, DataRequestStatus::Rejected)?;
    let target = of(tx.workspace).filter(data_requests::id.eq(id));
    diesel::update(target).set(data_requests::rejection_reason.eq(reason)).execute(tx.pg)?;
    row.advance(tx, DataRequestStatus::Rejected)
}

/// Takes two months more, once.
pub fn extend(tx: &mut Tx, id: Uuid, if_match: IfMatch, reason: &str) -> Result<DataRequest> {
    use data_requests as d;
    let row = Row::lock(tx, id)?;
    if_match.check(row.version)?;
    if !OPEN.contains(&row.status) || row.extension_reason.is_some() {
        let detail = "only a request that is open can be extended, and only once";
        return Err(Error::transition(detail, &[]));
    }
    let after: Row = diesel::update(of(tx.workspace).filter(d::id.eq(id)))
        .set((
            d::extension_reason.eq(reason),
            d::due_at.eq(row.due_at + EXTENDED_BY),
            d::version.eq(d::version + 1),
            d::updated_at.eq(tx.now),
        ))
        .returning(Row::as_returning())
        .get_result(tx.pg)?;
    after.note(tx, "data_request.extended")?;
    Ok(after.into())
}

/// Ends a restriction.
pub fn lift(tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<DataRequest> {
    use data_requests as d;
    let row = Row::lock(tx, id)?;
    if_match.check(row.version)?;
    let is_in_force = row.status == DataRequestStatus::Completed && row.lifted_at.is_none();
    if row.kind != DataRequestKind::Restriction || !is_in_force {
        let detail = "only a restriction that is in force can be lifted";
        return Err(Error::transition(detail, &[]));
    }
    let customer = Customer::lock_for_person(tx, row.customer_id)?;
    let after: Row = diesel::update(of(tx.workspace).filter(d::id.eq(id)))
        .set((d::lifted_at.eq(tx.now), d::version.eq(d::version + 1), d::updated_at.eq(tx.now)))
        .returning(Row::as_returning())
        .get_result(tx.pg)?;
    after.note(tx, "data_request.lifted")?;
    customers::restrict(tx, customer, false)?;
    Ok(after.into())
}

impl Row {
    /// Moves the request on and tells the log.
    pub fn advance(&self, tx: &mut Tx, to: DataRequestStatus) -> Result<DataRequest> {
        use DataRequestStatus::{Completed, Processing, Received, Rejected, Verifying};
        use data_requests as d;
        let is_final = matches!(to, Completed | Rejected);
        let after: Self = diesel::update(of(tx.workspace).filter(d::id.eq(self.id)))
            .set((
                d::status.eq(to),
                // Who is answered has shown who they are.
                (to == Processing).then(|| d::verified_at.eq(tx.now)),
                d::completed_at.eq(is_final.then_some(tx.now)),
                d::version.eq(d::version + 1),
                d::updated_at.eq(tx.now),
            ))
            .returning(Self::as_returning())
            .get_result(tx.pg)?;
        self.note(
            tx,
            match to {
                Received => "data_request.received",
                Verifying => "data_request.verifying",
                Processing => "data_request.processing",
                Completed => "data_request.completed",
                Rejected => "data_request.rejected",
            },
        )?;
        Ok(after.into())
    }

    /// Tells the timeline of the customer and the audit log.
    fn note(&self, tx: &mut Tx, kind: &'static str) -> Result<()> {
        let shown = json!({ "kind": self.kind, "customer_id": self.customer_id });
        audit::created(tx, kind, self.id, &shown)?;
        record(
            tx,
            Change {
                kind,
                customer_id: Some(self.customer_id),
                organization_id: None,
                channel_id: None,
                subject: ("data_request", self.id),
                properties: json!({ "kind": self.kind }),
            },
        )
    }
}

/// Queues work for a request.
pub fn enqueue(tx: &mut Tx, id: Uuid, kind: &'static str, run_at: DateTime<Utc>) -> Result<()> {
    let job = NewJob {
        queue: "privacy",
        priority: Priority::Normal,
        kind,
        payload: json!({ "data_request_id": id }),
        run_at,
        unique_key: Some(format!("{kind}:{id}")),
    };
    let (workspace, now) = (tx.workspace, tx.now);
    jobs::enqueue(tx.pg, workspace, &job, now).map(drop)
}

/// Whom a request that is being answered is about; `None` where it no longer is.
pub fn subject_in_process(conn: &mut Conn, id: Uuid) -> Result<Option<Subject>> {
    let row = Row::find(conn, id)?;
    if row.status != DataRequestStatus::Processing {
        return Ok(None);
    }
    let customer = Customer::find_for_person(conn, row.customer_id)?;
    Subject::of(conn, customer).map(Some)
}

/// Answers an access request with the archive that `attempt` has stored.
pub fn answer(tx: &mut Tx, id: Uuid, attempt: Uuid, bytes: i64, hash: &[u8]) -> Result<()> {
    use data_requests as d;
    let row = Row::lock(tx, id)?;
    if row.status != DataRequestStatus::Processing {
        return archive::discard_attempt(tx, id, attempt);
    }
    archive::keep_attempt(tx, id, attempt)?;
    diesel::update(of(tx.workspace).filter(d::id.eq(id)))
        .set((
            d::archive_bytes.eq(bytes),
            d::archive_sha256.eq(hash),
            d::archive_expires_at.eq(tx.now + archive::KEPT_FOR),
        ))
        .execute(tx.pg)?;
    row.advance(tx, DataRequestStatus::Completed).map(drop)
}

/// The access request of a customer that is being answered, or whose archive can be had.
pub fn export_of(conn: &mut Conn, customer: Uuid) -> Result<Option<DataRequest>> {
    use data_requests as d;
    let found: Option<Row> = of(conn.workspace)
        .filter(d::customer_id.eq(customer))
        .filter(d::kind.eq(DataRequestKind::Access))
        .filter(d::status.eq(DataRequestStatus::Processing).or(d::archive_expires_at.gt(conn.now)))
        .order(d::id.desc())
        .select(Row::as_select())
        .first(conn.pg)
        .optional()?;
    Ok(found.map(Into::into))
}

/// Takes away archives whose time is over, and what broken attempts have left, in all workspaces.
pub fn prune(pg: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    use data_requests as d;
    diesel::update(d::table.filter(d::archive_expires_at.lt(now)))
        .set((d::archive_expires_at.eq(None::<DateTime<Utc>>), d::link_hash.eq(None::<Vec<u8>>)))
        .execute(pg)?;
    diesel::sql_query(
        "delete from data_request_pieces p using data_requests d
          where d.workspace_id = p.workspace_id and d.id = p.data_request_id
            and d.status <> 'processing' and d.archive_expires_at is null",
    )
    .execute(pg)?;
    Ok(())
}
