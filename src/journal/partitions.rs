//! Monthly partitions of the log: there before they are needed, made on demand for the past.

use std::collections::BTreeSet;
use std::sync::{LazyLock, RwLock};

use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Date};

use crate::error::{Error, Result};

/// Months whose partition a committed transaction has seen.
static KNOWN: LazyLock<RwLock<BTreeSet<NaiveDate>>> = LazyLock::new(RwLock::default);

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    was_there: bool,
}

/// Makes the partitions of `days` where they are missing.
pub fn ensure(pg: &mut PgConnection, days: impl Iterator<Item = NaiveDate>) -> Result<()> {
    let months: BTreeSet<NaiveDate> = days.filter_map(|day| day.with_day(1)).collect();
    for month in months {
        if !known(|known| known.contains(&month))? && make(pg, month)? {
            KNOWN.write().map_err(poisoned)?.insert(month);
        }
    }
    Ok(())
}

/// True where the partition was there before: only then will a rollback of ours not remove it.
fn make(pg: &mut PgConnection, month: NaiveDate) -> Result<bool> {
    let asked = diesel::sql_query("select ensure_touchpoints_partition($1) as was_there");
    Ok(asked.bind::<Date, _>(month).get_result::<Answer>(pg)?.was_there)
}

fn known(ask: impl Fn(&BTreeSet<NaiveDate>) -> bool) -> Result<bool> {
    Ok(ask(&*KNOWN.read().map_err(poisoned)?))
}

fn poisoned<T>(_: std::sync::PoisonError<T>) -> Error {
    Error::internal("the partition cache is poisoned")
}
