//! Forgetting a customer: first everything that goes by its id, with one transaction, so that nobody
//! finds it any more; then the log and the copies, in portions; then the certificate.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::archive;
use super::registry::{Erasure, PARTS, Part, Treatment};
use super::requests;
use super::subject::{Count, PORTION, Subject};
use super::types::{DataRequestStatus, ErasedRecords, ErasureCertificate, Row};
use crate::app::App;
use crate::audit;
use crate::bulk;
use crate::customers::identities::MarkKey;
use crate::customers::{self, Customer, IdentityType};
use crate::db::json::Jsonb;
use crate::db::{Conn, Outcome, Server, Session, Tx};
use crate::error::{Error, Result};
use crate::jobs::Job;
use crate::journal::record;
use crate::schema::data_requests;
use crate::suppressions;

/// When what was written by transactions that overlapped is looked for: nothing takes as long.
const STRAGGLERS_AFTER: TimeDelta = TimeDelta::seconds(20);
/// How many stored answers one statement looks through.
const ANSWERS: i64 = 2_000;

/// What an erasure that was begun still has to do; kept in its request until it is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    subject: Subject,
    /// By what copies of answers are recognised.
    needles: Vec<String>,
    certificate: ErasureCertificate,
}

/// Deletes what lies sealed and names somebody by one of these; how much that was.
pub type ForgetSealed = fn(&App, &Session, &[String]) -> Result<i64>;

/// Carries out the job that answers an erasure. Run again after a crash, it goes on.
pub fn work(app: &App, session: &Session, job: &Job, forget_sealed: ForgetSealed) -> Result<()> {
    let id = job.id_of("data_request_id")?;
    let Some(plan) = app.db.write(session, &|tx| begin(tx, id).map(Outcome::Commit))? else {
        return Ok(());
    };
    clear(app, session, &plan.subject)?;
    let copies =
        forget_copies(app, session, &plan.needles)? + forget_sealed(app, session, &plan.needles)?;
    app.db.write(session, &|tx| finish(tx, id, &plan, copies).map(Outcome::Commit))
}

/// The job that comes a little later: what transactions wrote that knew the customer before.
pub fn sweep(app: &App, session: &Session, job: &Job) -> Result<()> {
    let id = job.id_of("data_request_id")?;
    let subject = app.db.read(Server::Primary, session, &|conn| {
        let customer = Row::find(conn, id)?.customer_id;
        Subject::of(conn, customer)
    })?;
    clear(app, session, &subject)?;
    let ids: Vec<String> = subject.customers.iter().map(Uuid::to_string).collect();
    forget_copies(app, session, &ids).map(drop)
}

/// Everything but the log and the copies, or what was noted when that was done before.
fn begin(tx: &mut Tx, id: Uuid) -> Result<Option<Plan>> {
    let row = Row::lock(tx, id)?;
    if row.status != DataRequestStatus::Processing {
        return Ok(None);
    }
    if let Some(begun) = noted(tx, id)? {
        return Ok(Some(begun));
    }
    let customer = Customer::lock_for_person(tx, row.customer_id)?;
    let subject = Subject::of(tx, customer)?;
    Customer::lock_any(tx, &subject.customers)?;
    if customers::merge::is_being_undone(tx, &subject.customers)? {
        return Err(Error::unavailable("a merge of the customer is being undone"));
    }
    let records = count(tx, &subject)?;
    let marks = customers::erased::forget(tx, &subject.customers)?;
    let addresses = suppressions::suppress_erased(tx, &marks)?;
    let of_customer = requests::of(tx.workspace)
        .filter(data_requests::customer_id.eq_any(&subject.customers))
        .select(data_requests::id);
    let all: Vec<Uuid> = of_customer.load(tx.pg)?;
    archive::discard(tx, &all)?;
    bulk::forget(tx)?;
    audit::forget(tx, &[subject.customers.as_slice(), all.as_slice()].concat())?;
    run(tx, &subject)?;
    record(tx, customers::customer_change("customer.erased", customer, json!({})))?;
    let certificate = ErasureCertificate {
        data_request_id: id,
        customer_ids: subject.customers.clone(),
        started_at: tx.now,
        erased_at: tx.now,
        records,
        copies_deleted: 0,
        addresses_suppressed: addresses,
        identities_blocked: customers::erased::count(tx, &subject.customers)?,
    };
    let plan = Plan { needles: needles(&subject, &marks), subject, certificate };
    note(tx, id, Some(&plan))?;
    Ok(Some(plan))
}

fn run(tx: &mut Tx, subject: &Subject) -> Result<()> {
    for Part { erasure, .. } in PARTS {
        if let Erasure::Sql(_, statement) = erasure {
            diesel::sql_query(*statement)
                .bind::<SqlUuid, _>(tx.workspace)
                .bind::<Array<SqlUuid>, _>(&subject.customers)
                .bind::<Timestamptz, _>(tx.now)
                .execute(tx.pg)?;
        }
    }
    Ok(())
}

/// What there is, and what becomes of it.
fn count(conn: &mut Conn, subject: &Subject) -> Result<Vec<ErasedRecords>> {
    let mut records = Vec::with_capacity(PARTS.len());
    for Part { table, of, erasure, .. } in PARTS {
        let count = match of {
            Some(of) => count_rows(conn, table, of, &subject.customers)?,
            None => subject.touchpoints_count(conn)?,
        };
        let (treatment, reason) = match erasure {
            Erasure::Sql(treatment, _) | Erasure::Code(treatment, _) => (*treatment, None),
            Erasure::Kept(reason) => (Treatment::Kept, Some((*reason).to_owned())),
        };
        records.push(ErasedRecords { kind: (*table).to_owned(), count, treatment, reason });
    }
    Ok(records)
}

fn count_rows(conn: &mut Conn, table: &str, of: &str, customers: &[Uuid]) -> Result<i64> {
    let question =
        format!("select count(*) as n from {table} t where t.workspace_id = $1 and ({of})");
    let found: Count = diesel::sql_query(question)
        .bind::<SqlUuid, _>(conn.workspace)
        .bind::<Array<SqlUuid>, _>(customers)
        .get_result(conn.pg)?;
    Ok(found.n)
}

/// By what copies of answers are recognised: ids, addresses. Other marks may be short words.
fn needles(subject: &Subject, marks: &[MarkKey]) -> Vec<String> {
    let is_address = |kind| matches!(kind, IdentityType::Email | IdentityType::Phone);
    let addresses = marks.iter().filter(|(kind, _)| is_address(*kind));
    let ids = subject.customers.iter().map(Uuid::to_string);
    ids.chain(addresses.map(|(_, norm)| norm.clone())).collect()
}

/// Empties the touchpoints, portion by portion.
fn clear(app: &App, session: &Session, subject: &Subject) -> Result<()> {
    let all = app.db.read(Server::Primary, session, &|conn| subject.touchpoints(conn))?;
    for ids in all.chunks(PORTION) {
        app.db.write(session, &|tx| {
            diesel::sql_query("select erase_touchpoints($1, $2)")
                .bind::<SqlUuid, _>(tx.workspace)
                .bind::<Array<SqlUuid>, _>(ids)
                .execute(tx.pg)?;
            Ok(Outcome::Commit(()))
        })?;
    }
    Ok(())
}

/// The end of a page of stored answers.
#[derive(Clone, Default, QueryableByName)]
struct Page {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    credential_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// One page: answers that name the person go, so that a repeat finds the person erased.
const FORGET_ANSWERS: &str = "
    with page as materialized (
        select credential_id, key, body, headers from idempotency_keys
         where workspace_id = $1 and (credential_id, key) > ($2, $3)
         order by credential_id, key limit $4
    ), gone as (
        delete from idempotency_keys k using page
         where k.workspace_id = $1 and k.credential_id = page.credential_id and k.key = page.key
           and exists (select from unnest($5) needle
                        where position(convert_to(needle, 'UTF8') in page.body) > 0
                           or position(needle in page.headers::text) > 0)
        returning 1
    ), last as (
        select credential_id, key from page order by credential_id desc, key desc limit 1
    )
    select (select credential_id from last) as credential_id, (select key from last) as key,
           (select count(*) from gone) as n";

/// Takes out what names the person in stored answers and in notes of failed work; returns how many.
fn forget_copies(app: &App, session: &Session, needles: &[String]) -> Result<i64> {
    let mut total = app.db.write(session, &|tx| forget_errors(tx, needles).map(Outcome::Commit))?;
    let mut page = Page { credential_id: Some(Uuid::nil()), key: Some(String::new()), n: 0 };
    while let (Some(credential), Some(key)) = (page.credential_id, page.key.clone()) {
        page = app.db.write(session, &|tx| {
            Ok(Outcome::Commit(
                diesel::sql_query(FORGET_ANSWERS)
                    .bind::<SqlUuid, _>(tx.workspace)
                    .bind::<SqlUuid, _>(credential)
                    .bind::<Text, _>(&key)
                    .bind::<BigInt, _>(ANSWERS)
                    .bind::<Array<Text>, _>(needles)
                    .get_result::<Page>(tx.pg)?,
            ))
        })?;
        total += page.n;
    }
    Ok(total)
}

fn forget_errors(tx: &mut Tx, needles: &[String]) -> Result<i64> {
    let cleared = diesel::sql_query(
        "update jobs set last_error = null
          where workspace_id = $1
            and exists (select from unnest($2) needle where position(needle in last_error) > 0)",
    )
    .bind::<SqlUuid, _>(tx.workspace)
    .bind::<Array<Text>, _>(needles)
    .execute(tx.pg)?;
    Ok(i64::try_from(cleared).unwrap_or(i64::MAX))
}

fn finish(tx: &mut Tx, id: Uuid, plan: &Plan, copies: i64) -> Result<()> {
    let row = Row::lock(tx, id)?;
    if row.status != DataRequestStatus::Processing {
        return Ok(());
    }
    let certificate = ErasureCertificate {
        erased_at: tx.now,
        copies_deleted: copies,
        ..plan.certificate.clone()
    };
    // As evidence: the audit log is sealed.
    audit::created(tx, "data_request.certified", id, &certificate)?;
    diesel::update(requests::of(tx.workspace).filter(data_requests::id.eq(id)))
        .set(data_requests::certificate.eq(Jsonb(certificate)))
        .execute(tx.pg)?;
    note(tx, id, None)?;
    let at: DateTime<Utc> = tx.now + STRAGGLERS_AFTER;
    requests::enqueue(tx, id, "privacy.sweep", at)?;
    row.advance(tx, DataRequestStatus::Completed).map(drop)
}

/// Notes what is left to do, or that nothing is.
fn note(tx: &mut Tx, id: Uuid, plan: Option<&Plan>) -> Result<()> {
    let target = requests::of(tx.workspace).filter(data_requests::id.eq(id));
    let plan = plan.map(|plan| Jsonb(plan.clone()));
    diesel::update(target).set(data_requests::work.eq(plan)).execute(tx.pg)?;
    Ok(())
}

fn noted(conn: &mut Conn, id: Uuid) -> Result<Option<Plan>> {
    let query = requests::of(conn.workspace).filter(data_requests::id.eq(id));
    let plan: Option<Jsonb<Plan>> = query.select(data_requests::work).first(conn.pg)?;
    Ok(plan.map(|plan| plan.0))
}
