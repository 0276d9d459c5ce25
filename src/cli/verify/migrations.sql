-- The migrations that were carried out here; which are missing only the binary knows.
select count(*) as checked, 0::bigint as faults, null::text as first from __diesel_schema_migrations
