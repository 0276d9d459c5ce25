//! The schema rules of the storage design, read from the catalog: they are what lets the same
//! tables be spread over many machines later.

use super::pg::{catalog, only};

/// Looked up before the workspace is known: small, the same on every machine.
const DIRECTORIES: [&str; 3] = ["workspace_slugs", "cors_origins", "login_emails"];

/// Our tables, without partitions and what the migrations note.
const TABLES: &str = "(select * from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
      and relname not like '\\_\\_%') c";

fn without_directories(lines: Vec<String>) -> Vec<String> {
    let is_directory = |line: &String| DIRECTORIES.iter().any(|name| line.starts_with(name));
    lines.into_iter().filter(|line| !is_directory(line)).collect()
}

/// The names of the columns of a key, in order.
fn columns(table: &str, numbers: &str) -> String {
    format!(
        "(select string_agg(a.attname, ',' order by n.position)
            from unnest({numbers}) with ordinality n (number, position)
            join pg_attribute a on a.attrelid = {table} and a.attnum = n.number)"
    )
}

/// Rule 1
#[test]
fn every_table_has_a_workspace_that_cannot_be_null() {
    let missing = catalog(&format!(
        "select c.relname::text as line from {TABLES} where not exists (
           select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id'
             and a.attnotnull and a.atttypid = 'uuid'::regtype)"
    ));
    only(&missing, &[("workspaces", "is the workspace itself (rule 4)")]);
}

/// Rule 1
#[test]
fn every_primary_key_and_every_unique_index_begins_with_the_workspace() {
    let first = "(select attname from pg_attribute a
                   where a.attrelid = c.oid and a.attnum = i.indkey[0])";
    let keys = catalog(&format!(
        "select c.relname || '.' || {first} as line from pg_index i join {TABLES}
            on c.oid = i.indrelid where i.indisunique and {first} <> 'workspace_id'"
    ));
    only(&without_directories(keys), &[("workspaces.id", "is the workspace itself (rule 4)")]);
    let without = catalog(&format!(
        "select c.relname::text as line from {TABLES} where not exists (
           select from pg_index i where i.indrelid = c.oid and i.indisprimary)"
    ));
    only(&without, &[]);
}

/// Rule 1: hot indexes too; a scan over all workspaces is nobody's wish.
#[test]
fn every_index_begins_with_the_workspace() {
    let found = catalog(&format!(
        "select i.indexrelid::regclass::text as line from pg_index i join {TABLES}
            on c.oid = i.indrelid
           join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
          where a.attname <> 'workspace_id'"
    ));
    let expected = [("workspaces_pkey", "is the workspace itself (rule 4)")];
    let found: Vec<_> = without_directories(found);
    only(&found, &expected);
}

/// Rule 1
#[test]
fn a_workspace_has_the_same_type_everywhere_and_ids_are_uuids() {
    let found = catalog(&format!(
        "select c.relname || '.' || a.attname as line from {TABLES}
           join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          where (a.attname = 'id' or a.attname like '%\\_id') and a.atttypid <> 'uuid'::regtype"
    ));
    only(
        &found,
        &[
            ("audit_events.request_id", "an id of the caller"),
            ("carts.anonymous_id", "an id of the sender"),
            ("connector_events.delivery_id", "an id of another system"),
            ("external_ids.external_id", "an id of another system"),
            ("order_fulfillments.external_id", "an id of another system"),
            ("order_line_items.external_id", "an id of another system"),
            ("order_line_items.product_external_id", "an id of another system"),
            ("order_refunds.external_id", "an id of another system"),
            ("touchpoint_keys.message_id", "an id of the sender"),
            ("touchpoints.anonymous_id", "an id of the sender"),
            ("touchpoints.message_id", "an id of the sender"),
        ],
    );
}

/// Rule 2
#[test]
fn every_foreign_key_goes_from_workspace_and_id_to_workspace_and_id() {
    let (from, to) = (columns("k.conrelid", "k.conkey"), columns("k.confrelid", "k.confkey"));
    let found = catalog(&format!(
        "select k.conname || ': ' || {from} || ' to ' || {to} as line
           from pg_constraint k join {TABLES} on c.oid = k.conrelid where k.contype = 'f'"
    ));
    for line in found {
        let (from, to) =
            line.split_once(": ").and_then(|(_, ends)| ends.split_once(" to ")).expect("ends");
        let is_composite = from.starts_with("workspace_id,") && to == "workspace_id,id";
        let is_workspace = from == "workspace_id" && to == "id";
        assert!(is_composite || is_workspace, "{line}");
    }
}

/// Rule 2
#[test]
fn no_foreign_key_changes_rows_by_itself() {
    let found = catalog(
        "select conname || ' ' || confdeltype::text || confupdtype::text as line from pg_constraint
          where contype = 'f' and (confdeltype <> 'a' or confupdtype <> 'a')",
    );
    only(&found, &[("refresh_tokens_user_exists ca", "sessions go with their user")]);
}

/// Rule 3
#[test]
fn nothing_happens_behind_the_back_of_the_code() {
    only(&catalog("select tgname::text as line from pg_trigger where not tgisinternal"), &[]);
    only(&catalog("select rulename::text as line from pg_rules where schemaname = 'public'"), &[]);
    only(&catalog("select matviewname::text as line from pg_matviews"), &[]);
    only(&catalog("select viewname::text as line from pg_views where schemaname = 'public'"), &[]);
    let computed = "select attrelid::regclass || '.' || attname as line from pg_attribute
                     where (attgenerated <> '' or attidentity <> '') and attnum > 0";
    only(&catalog(computed), &[]);
}

/// Rules 3 and 6: a value that the database makes up is one that the code did not see.
#[test]
fn no_column_has_a_default_that_is_computed() {
    let found = catalog(
        "select d.adrelid::regclass || '.' || a.attname || ' ' || pg_get_expr(d.adbin, d.adrelid)
             as line
           from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
           join pg_namespace s on s.nspname = 'public'
           join pg_class c on c.oid = d.adrelid and c.relnamespace = s.oid
          where c.relname not like '\\_\\_%'",
    );
    for line in found {
        let expression = line.split_once(' ').map_or("", |(_, expression)| expression);
        assert!(!expression.contains('('), "{line}");
    }
    let sequences = "select relname::text as line from pg_class c
                       join pg_namespace s on s.oid = c.relnamespace and s.nspname = 'public'
                      where relkind = 'S'";
    only(&catalog(sequences), &[]);
}

/// Rule 3
#[test]
fn tables_inherit_only_as_partitions_of_one_level_without_a_default() {
    only(
        &catalog(
            "select inhrelid::regclass::text as line from pg_inherits i
               join pg_class c on c.oid = inhrelid and c.relkind = 'r' and not c.relispartition",
        ),
        &[],
    );
    let several_levels = "select relname::text as line from pg_class
                           where relkind = 'p' and relispartition";
    only(&catalog(several_levels), &[]);
    let default = "select partrelid::regclass::text as line from pg_partitioned_table
                    where partdefid <> 0";
    only(&catalog(default), &[]);
    let partitioned = "select partrelid::regclass::text as line from pg_partitioned_table";
    only(&catalog(partitioned), &[("touchpoints", "the big table, by month")]);
}

/// Rule 3
#[test]
fn no_constraint_waits_for_the_end_of_the_transaction() {
    let found = "select conname::text as line from pg_constraint where condeferrable";
    only(&catalog(found), &[]);
    let invalid = "select conname::text as line from pg_constraint where not convalidated";
    only(&catalog(invalid), &[]);
    let excluding = "select conname::text as line from pg_constraint where contype = 'x'";
    only(&catalog(excluding), &[]);
}

/// Rule 4
#[test]
fn a_directory_holds_keys_and_nothing_else() {
    for directory in DIRECTORIES {
        let names = catalog(&format!(
            "select attname::text as line from pg_attribute
              where attrelid = '{directory}'::regclass and attnum > 0"
        ));
        assert!(names.len() <= 3, "{directory} has {names:?}");
        assert!(names.iter().any(|name| name == "workspace_id"), "{directory}");
    }
}

/// Rule 10: what limits a text that has no length check of its own.
const UNCHECKED_TEXTS: [(&str, &str); 15] = [
    ("api_keys.last4", "made by us, four characters"),
    ("api_keys.prefix", "made by us"),
    ("cors_origins.origin", "copied from the settings, 255 characters there"),
    ("customer_activity.type", "copied from touchpoints, where it is checked"),
    ("customers.search_key", "made by us from columns that are checked"),
    ("jobs.last_error", "made by us, cut where it is written"),
    ("login_emails.email_norm", "copied from users, where it is checked"),
    ("orders.search_key", "made by us from columns that are checked"),
    ("organizations.search_key", "made by us from columns that are checked"),
    ("products.search_key", "made by us from columns that are checked"),
    ("touchpoint_counts.type", "copied from touchpoints, where it is checked"),
    ("touchpoint_keys.message_id", "copied from touchpoints, where it is checked"),
    ("touchpoint_keys.source", "copied from touchpoints, where it is checked"),
    ("users.password_hash", "made by us"),
    ("workspace_slugs.slug", "copied from workspaces, where it is checked"),
];

/// Keys whose texts are held by another table's check.
const COPIED_KEYS: [(&str, &str); 3] = [
    ("external_ids.resource", "a word of ours"),
    ("unique_attributes.key", "copied from attribute_definitions, where it is checked"),
    ("unique_attributes.resource", "a word of ours"),
];

/// Rule 10
#[test]
fn every_text_has_a_limit_in_the_database() {
    let found = catalog(&format!(
        "select c.relname || '.' || a.attname as line from {TABLES}
           join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          where a.atttypid = 'text'::regtype and not exists (
            select from pg_constraint k where k.conrelid = c.oid and k.contype = 'c'
               and k.conkey = array[a.attnum])"
    ));
    only(&found, &[&UNCHECKED_TEXTS[..], &COPIED_KEYS].concat());
}

/// Rule 10: `varchar(n)` cuts off blanks silently (A21), `char(n)` adds them, `json` keeps twins
/// (A5), floats lose cents (A3), and a time without its zone is a guess (A4).
#[test]
fn columns_have_types_that_lose_nothing() {
    let found = catalog(&format!(
        "select distinct c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
             as line
           from {TABLES} join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
          where not a.attisdropped and format_type(a.atttypid, a.atttypmod) not in
            ('uuid', 'text', 'text[]', 'boolean', 'smallint', 'integer', 'bigint', 'bytea', 'date',
             'jsonb', 'timestamp with time zone')"
    ));
    let reason = "hashed as the very text, which is made by us and has no twins";
    let together = "ids that were made together and are read together";
    only(
        &found,
        &[
            ("audit_events.after json", reason),
            ("audit_events.before json", reason),
            ("changes.touchpoint_ids uuid[]", together),
            ("outbox.touchpoint_ids uuid[]", together),
        ],
    );
}

/// Rule 12
#[test]
fn the_service_may_change_rows_and_nothing_else() {
    let powers = "select rolname || ' ' || concat_ws(' ',
                    case when rolsuper then 'superuser' end,
                    case when rolbypassrls then 'bypassrls' end,
                    case when rolcreatedb then 'createdb' end,
                    case when rolcreaterole then 'createrole' end) as line
                    from pg_roles where rolname in ('ecrm_app', 'ecrm_readonly')";
    assert_eq!(catalog(powers), ["ecrm_app ", "ecrm_readonly "]);
    let owned = "select relname::text as line from pg_class
                  where pg_get_userbyid(relowner) in ('ecrm_app', 'ecrm_readonly')";
    only(&catalog(owned), &[]);
    let may = "select r || ' ' || p as line from unnest(array['ecrm_app', 'ecrm_readonly']) r,
                      unnest(array['CREATE']) p
                where has_schema_privilege(r, 'public', p)";
    only(&catalog(may), &[]);
    let writes = format!(
        "select c.relname || ' ' || p as line
           from unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES']) p
          cross join {TABLES} where has_table_privilege('ecrm_readonly', c.oid, p)"
    );
    only(&catalog(&writes), &[]);
    let too_much = format!(
        "select c.relname || ' ' || p as line
           from unnest(array['TRUNCATE', 'REFERENCES', 'TRIGGER']) p cross join {TABLES}
          where has_table_privilege('ecrm_app', c.oid, p)"
    );
    only(&catalog(&too_much), &[]);
}

/// What happened cannot be changed or taken back: not even by a mistake of the service.
#[test]
fn the_service_may_add_to_the_log_and_nothing_else() {
    let log = ecrm::db::grants::APPEND_ONLY.join("', '");
    let tables = format!(
        "(select oid, relname from pg_class where relname in ('{log}')
          union all
          select c.oid, c.relname from pg_inherits join pg_class c on c.oid = inhrelid
            join pg_class parent on parent.oid = inhparent where parent.relname in ('{log}'))"
    );
    let may = |privilege: &str| {
        catalog(&format!(
            "select relname::text as line from {tables} t
              where has_table_privilege('ecrm_app', oid, '{privilege}')"
        ))
    };
    assert_eq!(may("INSERT"), ["audit_events", "audit_seals", "consent_events", "touchpoints"]);
    for privilege in ["UPDATE", "DELETE", "TRUNCATE"] {
        only(&may(privilege), &[]);
    }
}

/// Rule 12: the tripwire of this suite watches every table, or this suite proves little.
#[test]
fn the_tripwire_of_the_suite_is_on_every_table() {
    let found = catalog(&format!(
        "select c.relname::text as line from {TABLES} where not c.relrowsecurity"
    ));
    only(&without_directories(found), &[]);
}
