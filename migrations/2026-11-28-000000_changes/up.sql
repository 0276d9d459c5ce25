set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- What was appended to the log and has no place in the feed yet: one row for each statement that
-- appended something, in its transaction. `appended_at` is the database's clock at that statement, so
-- of two changes of one record the later one has the later time, whichever process made it.
create table outbox (
  workspace_id uuid not null,
  id uuid not null,
  touchpoint_ids uuid[] not null,
  appended_at timestamptz not null,
  primary key (workspace_id, id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
select scale_out('outbox');

-- The feed: the log in the order in which it became visible. A row holds the touchpoints from
-- `sequence` on; the next row begins after them, so that sequences have no gaps.
create table changes (
  workspace_id uuid not null,
  sequence bigint not null,
  touchpoint_ids uuid[] not null,
  recorded_at timestamptz not null,
  primary key (workspace_id, sequence)
);
select scale_out('changes');

-- How far the feed of each workspace is; whoever extends it locks the row.
create table feed_heads (
  workspace_id uuid not null primary key,
  sequence bigint not null
) with (fillfactor = 50);
select scale_out('feed_heads');
