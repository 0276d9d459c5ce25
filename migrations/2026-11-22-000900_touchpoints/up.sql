set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- The log. `id` is a UUIDv7 whose time is the occurrence, so a range of ids is a range of time:
-- monthly partitions, timelines and keyset pages all follow from it. No foreign keys (they cost
-- 1.4 times the insert): parents are checked by the statement that resolves them.
create table touchpoints (
  workspace_id uuid not null,
  id uuid not null,
  customer_id uuid,
  -- The customer it first belonged to; a merge never changes it.
  origin_customer_id uuid,
  anonymous_id text constraint touchpoints_anonymous_id_length check (char_length(anonymous_id) <= 255),
  organization_id uuid,
  channel_id uuid,
  direction text not null constraint touchpoints_direction_known
    check (direction in ('inbound', 'outbound', 'internal')),
  type text not null constraint touchpoints_type_length check (char_length(type) between 3 and 100),
  name text constraint touchpoints_name_length check (char_length(name) <= 200),
  received_at timestamptz not null,
  source text not null constraint touchpoints_source_length check (char_length(source) between 1 and 100),
  message_id text constraint touchpoints_message_id_length check (char_length(message_id) between 1 and 255),
  subject jsonb,
  conversation_id uuid,
  campaign_id uuid,
  actor jsonb not null,
  value_amount bigint,
  value_currency text constraint touchpoints_value_currency_length check (char_length(value_currency) = 3),
  content jsonb,
  context jsonb,
  properties jsonb not null,
  primary key (workspace_id, id)
) partition by range (id);
create index touchpoints_by_customer on touchpoints (workspace_id, customer_id, id);
create index touchpoints_by_organization on touchpoints (workspace_id, organization_id, id)
  where organization_id is not null;
select scale_out('touchpoints');

-- Which (source, message_id) is stored already; unique keys cannot span partitions.
create table touchpoint_keys (
  workspace_id uuid not null,
  source text not null,
  message_id text not null,
  touchpoint_id uuid not null,
  created_at timestamptz not null,
  constraint touchpoint_keys_message_taken primary key (workspace_id, source, message_id)
);
create index touchpoint_keys_by_age on touchpoint_keys (workspace_id, created_at);
select scale_out('touchpoint_keys');

-- What each customer did, how often, first and last: segments and figures read this, never the log.
create table customer_activity (
  workspace_id uuid not null,
  customer_id uuid not null,
  type text not null,
  n bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  primary key (workspace_id, customer_id, type)
) with (fillfactor = 80);
select scale_out('customer_activity');

-- Counters per day, channel and type. A busy counter is spread over slots (summed when read),
-- so that concurrent ingest does not queue for one row's lock.
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

-- The smallest UUIDv7 of an instant: the lower bound of a month's partition.
create function uuid_v7_floor(at timestamptz) returns uuid language sql immutable as $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint & x'ffffffffffff'::bigint), 12, '0')
          || '70008000000000000000')::uuid
$$;

-- Makes the partition of a month where it is missing; true where it was there before. The
-- runtime role has no DDL, so the function runs with its owner's rights. ATTACH locks out neither
-- readers nor writers, CREATE … PARTITION OF would.
create function ensure_touchpoints_partition(month date) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  first date := date_trunc('month', month)::date;
  partition text := 'touchpoints_' || to_char(first, 'YYYY_MM');
begin
  if to_regclass('public.' || partition) is not null then
    return true;
  end if;
  perform pg_advisory_xact_lock(hashtext('touchpoints partition'));
  -- A query sees what the lock's last holder committed; to_regclass may still remember its absence.
  if exists (select from pg_class where relnamespace = 'public'::regnamespace and relname = partition) then
    return true;
  end if;
  execute format('create table public.%I (like public.touchpoints including all)', partition);
  execute format('alter table public.touchpoints attach partition public.%I for values from (%L) to (%L)',
                 partition,
                 public.uuid_v7_floor(first::timestamp at time zone 'UTC'),
                 public.uuid_v7_floor((first + interval '1 month')::timestamp at time zone 'UTC'));
  return false;
end
$$;
select ensure_touchpoints_partition((date_trunc('month', now()) + n * interval '1 month')::date)
  from generate_series(-1, 3) n;
