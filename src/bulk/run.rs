//! Carrying out an import: portion by portion, each with one transaction that also moves the place at
//! which the next begins. So a crash neither loses nor doubles a row.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use serde_json::Value;

use super::errors::{self, RowError};
use super::head::head_of;
use super::imports::{self, ImportSettings};
use super::lines::{self, Lines};
use super::pieces::Reader;
use super::records::Broken;
use super::row::{JobStatus, Row, of};
use super::rows::{self, Fate};
use crate::app::App;
use crate::audit;
use crate::db::{Outcome, Server, Session, Tx};
use crate::error::{Error, Result};
use crate::jobs::Job;
use crate::journal;
use crate::schema::bulk_jobs;

/// Rows of one transaction.
const ROWS: usize = 500;
/// The same where they are variants of one product, which are not parted.
const MOST_ROWS: usize = 5 * ROWS;
/// And about how many bytes they take: each variant has what its product has.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of rows of one transaction, about; as values they take several times as much.
const BYTES: usize = 1024 * 1024;
/// After this time other jobs have their turn; far below a lease.
pub const STRETCH: Duration = Duration::from_secs(5);

/// One record, and what it says.
struct Line {
    /// The number of its row, or of the first of its rows.
    number: i64,
    text: Vec<u8>,
    value: Result<Value>,
}

/// Rows to be taken in together.
struct Portion {
    lines: Vec<Line>,
    /// Bytes from the position of the import to the end of the portion.
    bytes: i64,
    /// Rows, without those that are blank.
    rows: i64,
    is_last: bool,
    broken: Option<Broken>,
}

/// Carries out a stretch of an import, and queues the next.
pub fn work(app: &App, session: &Session, job: &Job) -> Result<()> {
    let id = job.id_of("bulk_job_id")?;
    let begun = app.db.write(session, &|tx| {
        let row = imports::lock(tx, id)?;
        Ok(Outcome::Commit(match row.status {
            JobStatus::Queued => Some(row.advance(tx, JobStatus::Running)?),
            JobStatus::Running => Some(row),
            _ => None,
        }))
    })?;
    let Some(row) = begun else { return Ok(()) };
    match stretch(app, &row.session(session)?, row) {
        Err(error) if error.is_fault() || error.is_rejection() || job.is_last_attempt() => {
            log::error!("import {id}: {error}");
            app.db.write(session, &|tx| give_up(tx, id).map(Outcome::Commit))
        }
        done => done,
    }
}

/// An import that cannot go on says so; what it has taken in can be reverted.
fn give_up(tx: &mut Tx, id: uuid::Uuid) -> Result<()> {
    let row = imports::lock(tx, id)?;
    if row.status == JobStatus::Running {
        row.fail(tx, "something broke on our side; rows that were taken in stay")?;
        audit::done(tx, "import.failed", id)?;
    }
    Ok(())
}

fn stretch(app: &App, session: &Session, mut row: Row) -> Result<()> {
    let until = Instant::now() + STRETCH;
    let settings: ImportSettings = row.settings.parse()?;
    let plan =
        app.db.read(Server::Primary, session, &|conn| imports::plan(conn, &row, &settings))?;
    let head = head_of(&row)?;
    let mut lines = Lines::new(&plan, row.format, &head);
    let file = row.file_id.unwrap_or_default();
    let mut reader = Reader::at(&app.db, session, file, row.position)?;
    // A product is taken in by one stretch, as long as that ends.
    while Instant::now() < until || lines.is_within() && Instant::now() < until + STRETCH {
        let portion = Portion::read(&mut reader, &mut lines, row.row_count)?;
        let stored = app.db.write(session, &|tx| store(tx, &row, &settings, &portion))?;
        match stored {
            Some(next) if next.status == JobStatus::Running => row = next,
            // It has ended, was cancelled, or another worker has it.
            _ => return Ok(()),
        }
    }
    let id = row.id;
    app.db.write(session, &|tx| {
        let row = imports::lock(tx, id)?;
        if row.status == JobStatus::Running {
            row.enqueue(tx, "imports.run")?;
        }
        Ok(Outcome::Commit(()))
    })
}

impl Portion {
    fn has_room(&self) -> bool {
        self.lines.len() < ROWS && self.bytes < i64::try_from(BYTES).unwrap_or(0)
    }

    fn read(reader: &mut Reader, source: &mut Lines, after: i64) -> Result<Self> {
        let mut portion =
            Self { lines: Vec::new(), bytes: 0, rows: 0, is_last: false, broken: None };
        let mut weight = 0;
        while portion.has_room()
            || source.is_within() && portion.lines.len() < MOST_ROWS && weight < MOST_BYTES
        {
            match source.next(reader)? {
                None => portion.is_last = true,
                Some(Err(broken)) => {
                    (portion.is_last, portion.broken) = (true, Some(broken));
                    portion.rows += 1;
                }
                Some(Ok(lines::Line { text, value, bytes, rows, weight: more })) => {
                    weight += more;
                    let number = after + portion.rows + 1;
                    portion.bytes += i64::try_from(bytes).unwrap_or(0);
                    portion.rows += rows;
                    if !text.trim_ascii().is_empty() {
                        portion.lines.push(Line { number, text, value });
                    }
                }
            }
            if portion.is_last {
                break;
            }
        }
        Ok(portion)
    }
}

/// What became of the rows of a portion.
struct Taken {
    fates: Vec<(i64, Fate)>,
    errors: Vec<RowError>,
}

/// Takes a portion in and moves the place. `None` where the import is elsewhere by now: then nothing
/// of the portion stays.
fn store(
    tx: &mut Tx,
    row: &Row,
    settings: &ImportSettings,
    portion: &Portion,
) -> Result<Outcome<Option<Row>>> {
    let taken = match settings.dry_run {
        false => take_in(tx, row, settings, portion)?,
        true => tried(tx, |tx| take_in(tx, row, settings, portion))?,
    };
    if !settings.dry_run {
        rows::note(tx, row.id, row.resource, &taken.fates)?;
    }
    if row.failed_count < errors::MOST {
        errors::keep(tx, row.id, &taken.errors)?;
    }
    let Some(moved) = advance(tx, row, portion, &taken)? else {
        return Ok(Outcome::Rollback(None));
    };
    if !portion.is_last {
        return Ok(Outcome::Commit(Some(moved)));
    }
    if let Some(broken) = portion.broken {
        audit::done(tx, "import.failed", row.id)?;
        return moved.fail(tx, broken.detail()).map(Some).map(Outcome::Commit);
    }
    let end = match moved.failed_count {
        0 => JobStatus::Completed,
        _ => JobStatus::CompletedWithErrors,
    };
    audit::done(tx, "import.completed", row.id)?;
    moved.advance(tx, end).map(Some).map(Outcome::Commit)
}

/// Does something and undoes it; what it said stays.
fn tried<T>(tx: &mut Tx, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
    let mut said = None;
    let undone = tx.savepoint(|tx| {
        said = Some(work(tx)?);
        Err::<(), _>(Error::internal("undone"))
    });
    match said {
        Some(said) => Ok(said),
        None => Err(undone.err().unwrap_or_else(|| Error::internal("nothing was tried"))),
    }
}

fn take_in(tx: &mut Tx, row: &Row, settings: &ImportSettings, portion: &Portion) -> Result<Taken> {
    let mut taken = Taken { fates: Vec::new(), errors: Vec::new() };
    let readable = portion.lines.iter().filter_map(|line| Some((line, line.value.as_ref().ok()?)));
    let (lines, values): (Vec<&Line>, Vec<&Value>) = readable.unzip();
    if settings.backfill {
        journal::backfill(tx);
    }
    let fates = rows::take_in(tx, row.resource, &values, settings)?;
    for (line, fate) in lines.into_iter().zip(fates) {
        if let Fate::Refused(error) = &fate {
            taken.errors.extend(RowError::of(line.number, &line.text, error));
        }
        taken.fates.push((line.number, fate));
    }
    for line in &portion.lines {
        if let Err(error) = &line.value {
            taken.errors.extend(RowError::of(line.number, &line.text, error));
            taken.fates.push((line.number, Fate::Refused(error.clone())));
        }
    }
    if let Some(broken) = portion.broken {
        let error = Error::field("#", broken.code(), broken.detail());
        let number = row.row_count + portion.rows;
        taken.errors.extend(RowError::of(number, b"", &error));
        taken.fates.push((number, Fate::Refused(error)));
    }
    Ok(taken)
}

fn advance(tx: &mut Tx, row: &Row, portion: &Portion, taken: &Taken) -> Result<Option<Row>> {
    use bulk_jobs as b;
    let count = |is: fn(&Fate) -> bool| {
        let matching = taken.fates.iter().filter(|(_, fate)| is(fate)).count();
        i64::try_from(matching).unwrap_or(i64::MAX)
    };
    let rows = row.row_count + portion.rows;
    let still_ours = of(tx.workspace)
        .filter(b::id.eq(row.id))
        .filter(b::position.eq(row.position))
        .filter(b::row_count.eq(row.row_count))
        .filter(b::status.eq(JobStatus::Running));
    Ok(diesel::update(still_ours)
        .set((
            b::position.eq(b::position + portion.bytes),
            b::row_count.eq(rows),
            b::total.eq(portion.is_last.then_some(rows)),
            b::created_count.eq(b::created_count + count(|fate| matches!(fate, Fate::Created(_)))),
            b::updated_count
                .eq(b::updated_count + count(|fate| matches!(fate, Fate::Updated { .. }))),
            b::skipped_count.eq(b::skipped_count + count(|fate| matches!(fate, Fate::Skipped))),
            b::failed_count.eq(b::failed_count + count(|fate| matches!(fate, Fate::Refused(_)))),
            b::updated_at.eq(tx.now),
        ))
        .returning(Row::as_returning())
        .get_result(tx.pg)
        .optional()?)
}
