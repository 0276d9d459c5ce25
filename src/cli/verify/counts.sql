-- What was counted per quarter of an hour, channel and type, against the log. The first 48 bits of an
-- id are milliseconds since 1970.
with counted as (
  select workspace_id, at, channel_id, type, sum(n)::bigint as n from touchpoint_counts group by 1, 2, 3, 4
), logged as (
  select workspace_id,
         to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 900000 * 900) as at,
         coalesce(channel_id, '00000000-0000-0000-0000-000000000000') as channel_id,
         type,
         count(*) as n
    from touchpoints group by 1, 2, 3, 4
), compared as (
  select case when coalesce(counted.n, 0) <> coalesce(logged.n, 0) then
           format('`%s` at %s, channel %s, workspace %s: counted %s, in the log %s',
                  type, at, channel_id, workspace_id, coalesce(counted.n, 0), coalesce(logged.n, 0))
         end as fault
    from counted full join logged using (workspace_id, at, channel_id, type)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
