-- Indexes and constraints that a restore left unfinished.
with parts as (
  select 'the index ' || indexrelid::regclass || ' is not valid' as fault, indisvalid as is_fine
    from pg_index join pg_class c on c.oid = indrelid
   where c.relnamespace = 'public'::regnamespace
  union all
  select 'the constraint ' || conname || ' of ' || conrelid::regclass || ' is not validated', convalidated
    from pg_constraint
   where connamespace = 'public'::regnamespace and conrelid <> 0
)
select count(*) as checked,
       count(*) filter (where not is_fine) as faults,
       min(fault) filter (where not is_fine) as first
  from parts
