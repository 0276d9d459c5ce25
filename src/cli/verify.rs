//! Whether a database is whole: after a restore, a failed disk or a change by hand. Reads only, in
//! one snapshot, so it may run beside the service.

use chrono::{NaiveDate, Utc};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::sql_types::{BigInt, Date, Nullable, Text, Uuid as SqlUuid};
use diesel::{Connection, QueryableByName, RunQueryDsl, sql_query};
use uuid::Uuid;

use super::boot::{self, Database};
use super::{Result, print};
use crate::audit;
use crate::audit::verify::Faults;
use crate::channels::open_secrets;
use crate::config::Config;
use crate::db::data_keys::DataKeys;
use crate::db::{Conn, WorkspaceId, migrate};
use crate::error::{Error, Result as Answer};
use crate::webhooks;

/// Name, what is counted, and the question: one row of how many were looked at, how many are at
/// fault, and the first of those. A `$1` is today.
const QUESTIONS: &[(&str, &str, &str)] = &[
    ("schema", "indexes and constraints", include_str!("verify/schema.sql")),
    ("partitions", "months", include_str!("verify/partitions.sql")),
    ("touchpoint_counts", "counters", include_str!("verify/counts.sql")),
    ("customer_activity", "counters", include_str!("verify/activity.sql")),
    ("customer_stats", "customers", include_str!("verify/stats.sql")),
    ("message_ids", "keys", include_str!("verify/message_ids.sql")),
    ("identities", "customers", include_str!("verify/identities.sql")),
    ("external_ids", "ids", include_str!("verify/external_ids.sql")),
    ("consents", "consents", include_str!("verify/consents.sql")),
    ("orders", "orders", include_str!("verify/orders.sql")),
    ("spending", "customers", include_str!("verify/spending.sql")),
    ("feed", "places", include_str!("verify/feed.sql")),
    ("references", "references", include_str!("verify/references.sql")),
    ("directories", "entries", include_str!("verify/directories.sql")),
];

/// No limit on time: a big log takes minutes. What waits for a lock waits for a migration.
const SESSION: &str = "set statement_timeout = 0; set lock_timeout = '10s'; \
     set idle_in_transaction_session_timeout = 0; set timezone = 'UTC'";

/// What one check found.
#[derive(Debug, QueryableByName)]
struct Finding {
    #[diesel(sql_type = BigInt)]
    checked: i64,
    #[diesel(sql_type = BigInt)]
    faults: i64,
    #[diesel(sql_type = Nullable<Text>)]
    first: Option<String>,
}

/// A row of a workspace that holds something sealed.
#[derive(QueryableByName)]
struct Sealed {
    #[diesel(sql_type = SqlUuid)]
    workspace_id: WorkspaceId,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl From<Faults> for Finding {
    fn from(found: Faults) -> Self {
        let Faults { checked, faults, first } = found;
        Self { checked, faults, first }
    }
}

impl Finding {
    fn of(results: Vec<(Uuid, Answer<()>)>) -> Self {
        let checked = i64::try_from(results.len()).unwrap_or(i64::MAX);
        let mut finding = Self { checked, faults: 0, first: None };
        for (id, result) in results {
            if let Err(error) = result {
                finding.faults += 1;
                finding.first.get_or_insert(format!("{id}: {error}"));
            }
        }
        finding
    }

    fn line(&self, name: &str, unit: &str) -> String {
        let Self { checked, faults, first } = self;
        match first {
            None => format!("ok     {name}: {checked} {unit}\n"),
            Some(first) => format!("FAULT  {name}: {faults} of {checked} {unit}; first: {first}\n"),
        }
    }
}

/// Runs every check and prints a line each; an error where one found a fault.
pub(super) fn verify(mut config: Config) -> Result<()> {
    let database = Database::open(&config)?;
    // Nothing is signed here, so nobody has to bring that secret along to a restored database.
    config.jwt_secret.get_or_insert_with(boot::random_secret);
    let app = boot::app(config, &database)?;
    let mut pg = connect(database.migrate_url())?;
    let faulty = pg
        .build_transaction()
        .repeatable_read()
        .read_only()
        .run(|pg| checks(pg, app.db.data_keys()))
        .map_err(|error: Error| error.to_string())?;
    match faulty {
        0 => Ok(()),
        count => Err(format!("{count} checks found faults")),
    }
}

fn connect(url: &str) -> Result<PgConnection> {
    // libpq's text has lines and ends in one.
    let mut pg =
        PgConnection::establish(url).map_err(|error| error.to_string().trim().to_owned())?;
    pg.batch_execute(SESSION).map_err(|error| error.to_string())?;
    Ok(pg)
}

/// How many checks found faults. Each is printed when it is done: the next may take long.
fn checks(pg: &mut PgConnection, keys: &DataKeys) -> Answer<usize> {
    let today = Utc::now().date_naive();
    let mut faulty = 0;
    let mut report = |name, unit, found: Answer<Finding>| {
        let finding = found.unwrap_or_else(|error| Finding {
            checked: 0,
            faults: 1,
            first: Some(format!("cannot be checked: {error}")),
        });
        faulty += usize::from(finding.first.is_some());
        print(&finding.line(name, unit)).map_err(Error::internal)
    };
    report("migrations", "migrations", alone(pg, migrations))?;
    for (name, unit, question) in QUESTIONS {
        report(name, unit, alone(pg, |pg| ask(pg, question, today)))?;
    }
    report("data_keys", "workspaces", alone(pg, |pg| data_keys(pg, keys)))?;
    report("secrets", "channels", alone(pg, |pg| secrets(pg, keys)))?;
    report("webhook_secrets", "endpoints", alone(pg, |pg| webhook_secrets(pg, keys)))?;
    report("audit_events", "events", alone(pg, |pg| audit::verify::events(pg).map(Finding::from)))?;
    report("audit_seals", "seals", alone(pg, |pg| audit::verify::seals(pg).map(Finding::from)))?;
    Ok(faulty)
}

/// In a savepoint, so that a check which fails leaves the others their transaction.
fn alone(
    pg: &mut PgConnection,
    check: impl FnOnce(&mut PgConnection) -> Answer<Finding>,
) -> Answer<Finding> {
    pg.transaction(check)
}

fn ask(pg: &mut PgConnection, question: &str, today: NaiveDate) -> Answer<Finding> {
    let query = sql_query(question);
    if question.contains("$1") {
        return Ok(query.bind::<Date, _>(today).get_result(pg)?);
    }
    Ok(query.get_result(pg)?)
}

fn migrations(pg: &mut PgConnection) -> Answer<Finding> {
    let is_current = migrate::is_current(pg)?;
    let missing = "this binary has more: run `ecrm migrate`";
    let first = (!is_current).then(|| missing.to_owned());
    let mut finding = ask(pg, include_str!("verify/migrations.sql"), NaiveDate::MIN)?;
    (finding.faults, finding.first) = (i64::from(!is_current), first);
    Ok(finding)
}

fn data_keys(pg: &mut PgConnection, keys: &DataKeys) -> Answer<Finding> {
    each(pg, keys, include_str!("verify/workspaces.sql"), |conn, _| conn.data_key().map(drop))
}

fn secrets(pg: &mut PgConnection, keys: &DataKeys) -> Answer<Finding> {
    each(pg, keys, include_str!("verify/secrets.sql"), |conn, channel| {
        open_secrets(conn, channel).map(drop)
    })
}

fn webhook_secrets(pg: &mut PgConnection, keys: &DataKeys) -> Answer<Finding> {
    each(pg, keys, include_str!("verify/webhook_secrets.sql"), |conn, endpoint| {
        webhooks::open_secrets(conn, endpoint).map(drop)
    })
}

/// Opens what each row of the question has sealed.
fn each(
    pg: &mut PgConnection,
    data_keys: &DataKeys,
    question: &str,
    open: impl Fn(&mut Conn, Uuid) -> Answer<()>,
) -> Answer<Finding> {
    let rows: Vec<Sealed> = sql_query(question).load(pg)?;
    let now = Utc::now();
    let results = rows.into_iter().map(|Sealed { workspace_id: workspace, id }| {
        let mut conn =
            Conn { pg: &mut *pg, workspace, home: workspace, livemode: true, now, data_keys };
        (id, open(&mut conn, id))
    });
    Ok(Finding::of(results.collect()))
}
