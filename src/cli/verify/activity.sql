-- What each customer did per type, against the log.
with timed as (
  select workspace_id, customer_id, type,
         uuid_v7_time(id) as at
    from touchpoints where customer_id is not null
), logged as (
  select workspace_id, customer_id, type, count(*) as n, min(at) as first_at, max(at) as last_at
    from timed group by 1, 2, 3
), compared as (
  select case when (counted.n, counted.first_at, counted.last_at)
                   is distinct from (logged.n, logged.first_at, logged.last_at) then
           format('`%s` of customer %s, workspace %s: counted %s from %s to %s, in the log %s from %s to %s',
                  type, customer_id, workspace_id,
                  coalesce(counted.n, 0), coalesce(counted.first_at::text, 'never'),
                  coalesce(counted.last_at::text, 'never'), coalesce(logged.n, 0),
                  coalesce(logged.first_at::text, 'never'), coalesce(logged.last_at::text, 'never'))
         end as fault
    from customer_activity as counted full join logged using (workspace_id, customer_id, type)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
