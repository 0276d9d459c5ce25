set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table touchpoint_daily (
  workspace_id uuid not null,
  day date not null,
  channel_id uuid not null,
  type text not null,
  slot smallint not null,
  n bigint not null,
  primary key (workspace_id, day, channel_id, type, slot)
) with (fillfactor = 80);
create index touchpoint_daily_by_channel on touchpoint_daily (workspace_id, channel_id, day);
select scale_out('touchpoint_daily');

insert into touchpoint_daily (workspace_id, day, channel_id, type, slot, n)
select workspace_id, (at at time zone 'UTC')::date, channel_id, type, 0, sum(n)
  from touchpoint_counts group by 1, 2, 3, 4;

drop table touchpoint_counts;
