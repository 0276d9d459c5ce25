//! What each database role may do: the owner migrates, `ecrm_app` serves, `ecrm_readonly` looks.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::sql_types::{Bool, Text};
use diesel::{QueryableByName, RunQueryDsl};

use crate::error::Result;

/// Tables whose rows are never changed or deleted by the service: the database itself refuses.
pub const APPEND_ONLY: &[&str] = &["touchpoints", "consent_events", "audit_events", "audit_seals"];

/// Which columns of those rows may change all the same: whose a touchpoint is, by a merge; under
/// which seal an audit event stands, and what an erasure takes from it.
const MAY_CHANGE: &[(&str, &str)] =
    &[("touchpoints", "customer_id"), ("audit_events", "seal_id, before, after, salt, ip")];

const GRANTS: &str = "
    grant usage on schema public to ecrm_app, ecrm_readonly;
    grant select, insert, update, delete on all tables in schema public to ecrm_app;
    revoke all on __diesel_schema_migrations from ecrm_app;
    grant select on __diesel_schema_migrations to ecrm_app;
    grant execute on function erase_touchpoints, erase_consent_evidence to ecrm_app;
    grant select on all tables in schema public to ecrm_readonly;
    revoke select on users, api_keys, refresh_tokens, workspaces, channels, audit_events,
                     webhook_endpoints from ecrm_readonly;
";

/// Partitions are reached through their table; their own rights would lead past it.
const THROUGH_THE_TABLE: &str = "
    do $$ declare partition regclass; begin
      for partition in select inhrelid::regclass from pg_inherits join pg_class on oid = inhparent
                        where relkind = 'p' and relnamespace = 'public'::regnamespace
      loop
        execute format('revoke all on %s from ecrm_app', partition);
      end loop;
    end $$";

/// Lets the service read error texts in English whatever the server's language; a superuser alone
/// can grant it, so it is tried.
const ENGLISH: &str = "
    do $$ begin
      grant set on parameter lc_messages to ecrm_app;
    exception when others then
      raise notice 'lc_messages stays as it is';
    end $$";

/// Grants the runtime roles their rights where those roles exist; safe to repeat.
pub fn apply(pg: &mut PgConnection) -> Result<()> {
    if role_exists(pg, "ecrm_app")? && role_exists(pg, "ecrm_readonly")? {
        pg.batch_execute(GRANTS)?;
        pg.batch_execute(THROUGH_THE_TABLE)?;
        pg.batch_execute(ENGLISH)?;
        for table in APPEND_ONLY {
            pg.batch_execute(&format!("revoke update, delete on {table} from ecrm_app"))?;
        }
        for (table, columns) in MAY_CHANGE {
            pg.batch_execute(&format!("grant update ({columns}) on {table} to ecrm_app"))?;
        }
    }
    Ok(())
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

fn role_exists(pg: &mut PgConnection, role: &str) -> Result<bool> {
    let asked = diesel::sql_query("select exists (select from pg_roles where rolname = $1) as yes");
    Ok(asked.bind::<Text, _>(role).get_result::<Answer>(pg)?.yes)
}

/// Whether the connected role could change the schema: more than the service needs.
pub fn is_overprivileged(pg: &mut PgConnection) -> Result<bool> {
    let asked = diesel::sql_query(
        "select coalesce(bool_or(rolsuper or rolbypassrls), false)
             or exists (select from pg_tables where schemaname = 'public' and tableowner = current_user)
             as yes
           from pg_roles where rolname = current_user",
    );
    Ok(asked.get_result::<Answer>(pg)?.yes)
}
