-- The figures of each customer, against the log.
with timed as (
  select workspace_id, customer_id, direction,
         uuid_v7_time(id) as at
    from touchpoints where customer_id is not null
), logged as (
  select workspace_id, customer_id,
         count(*) filter (where direction <> 'internal') as n,
         min(at) filter (where direction = 'inbound') as first_seen_at,
         max(at) filter (where direction = 'inbound') as last_seen_at,
         max(at) filter (where direction = 'outbound') as last_contacted_at
    from timed group by 1, 2
), compared as (
  -- A customer with whom nothing but changes of ours happened may have no row.
  select case when (coalesce(s.touchpoints_count, 0), s.first_seen_at, s.last_seen_at, s.last_contacted_at)
                   is distinct from (coalesce(l.n, 0), l.first_seen_at, l.last_seen_at, l.last_contacted_at) then
           format('customer %s, workspace %s: counted %s, seen %s to %s, contacted %s; '
                  'in the log %s, seen %s to %s, contacted %s', customer_id, workspace_id,
                  coalesce(s.touchpoints_count, 0), coalesce(s.first_seen_at::text, 'never'),
                  coalesce(s.last_seen_at::text, 'never'), coalesce(s.last_contacted_at::text, 'never'),
                  coalesce(l.n, 0), coalesce(l.first_seen_at::text, 'never'),
                  coalesce(l.last_seen_at::text, 'never'), coalesce(l.last_contacted_at::text, 'never'))
         end as fault
    from customer_stats s full join logged l using (workspace_id, customer_id)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
