set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- Counters per quarter of an hour, channel and type, instead of per day in UTC: in every time zone
-- a day begins with a quarter, so that days of any company can be added up. A busy counter is spread
-- over slots (summed when read), so that concurrent ingest does not queue for one row's lock.
create table touchpoint_counts (
  workspace_id uuid not null,
  at timestamptz not null,
  channel_id uuid not null,
  type text not null,
  slot smallint not null,
  n bigint not null,
  primary key (workspace_id, at, channel_id, type, slot)
) with (fillfactor = 80);
create index touchpoint_counts_by_channel on touchpoint_counts (workspace_id, channel_id, at);
select scale_out('touchpoint_counts');

-- The first 48 bits of an id are milliseconds since 1970.
insert into touchpoint_counts (workspace_id, at, channel_id, type, slot, n)
select workspace_id,
       to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 900000 * 900),
       coalesce(channel_id, '00000000-0000-0000-0000-000000000000'), type, 0, count(*)
  from touchpoints group by 1, 2, 3, 4;

drop table touchpoint_daily;
