-- The log's months: this one, the next and every one that something was counted in.
with wanted as (
  select date_trunc('month', $1::timestamp)::date as month
  union select (date_trunc('month', $1::timestamp) + interval '1 month')::date
  union select date_trunc('month', at at time zone 'UTC')::date from touchpoint_counts
), made as (
  select relname::text as name, relispartition as is_attached, pg_get_expr(relpartbound, oid) as bounds,
         to_date(right(relname::text, 7), 'YYYY_MM') as month
    from pg_class
   where relnamespace = 'public'::regnamespace and relkind = 'r'
     and relname ~ '^touchpoints_[0-9]{4}_[0-9]{2}$'
), compared as (
  select case
           when name is null then 'touchpoints_' || to_char(month, 'YYYY_MM') || ' is missing'
           when not is_attached then name || ' is not attached to touchpoints'
           when bounds <> format('FOR VALUES FROM (%L) TO (%L)',
                  uuid_v7_floor(month::timestamp at time zone 'UTC'),
                  uuid_v7_floor((month + interval '1 month') at time zone 'UTC'))
             then name || ' has other bounds than its month: ' || bounds
         end as fault
    from wanted full join made using (month)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
