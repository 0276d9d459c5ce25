//! Monthly partitions of the log: there before they are needed, made on demand for the past.

use std::collections::BTreeSet;
use std::sync::RwLock;

use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use diesel::sql_types::{Array, Date};

use crate::error::{Error, Result};

/// Months whose partition a database is known to have.
#[derive(Debug, Default)]
pub struct KnownMonths(RwLock<BTreeSet<NaiveDate>>);

#[derive(QueryableByName)]
struct Month {
    #[diesel(sql_type = Date)]
    month: NaiveDate,
}

const MISSING: &str = "
    select month from unnest($1) as month
     where not exists (
       select from pg_class
        where relnamespace = 'public'::regnamespace
          and relname = 'touchpoints_' || to_char(month, 'YYYY_MM'))";

/// Makes sure that the months of `days` have partitions: [`Error::Prepare`] names those that have
/// none, which [`crate::db::Db::write`] then makes, each in a transaction of its own, before it runs
/// the work again. No write holds the locks of a table that is being made.
pub fn require(
    pg: &mut PgConnection,
    known_months: &KnownMonths,
    days: impl Iterator<Item = NaiveDate>,
) -> Result<()> {
    let months: BTreeSet<NaiveDate> = days.filter_map(|day| day.with_day(1)).collect();
    let known = known_months.0.read().map_err(poisoned)?;
    let unsure: Vec<NaiveDate> = months.difference(&known).copied().collect();
    drop(known);
    if unsure.is_empty() {
        return Ok(());
    }
    let missing: Vec<Month> =
        diesel::sql_query(MISSING).bind::<Array<Date>, _>(&unsure).load(pg)?;
    if missing.is_empty() {
        known_months.0.write().map_err(poisoned)?.extend(unsure);
        return Ok(());
    }
    Err(Error::Prepare(missing.into_iter().map(|missing| missing.month).collect()))
}

/// Makes the partition of each month, one transaction each.
pub fn make(pg: &mut PgConnection, months: &[NaiveDate]) -> Result<()> {
    for month in months {
        diesel::sql_query("select ensure_touchpoints_partition($1)")
            .bind::<Date, _>(*month)
            .execute(pg)?;
    }
    Ok(())
}

fn poisoned<T>(_: std::sync::PoisonError<T>) -> Error {
    Error::internal("the partition cache is poisoned")
}
