set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table jobs (
  workspace_id uuid not null,
  id uuid not null,
  queue text not null constraint jobs_queue_length check (char_length(queue) between 1 and 63),
  kind text not null constraint jobs_kind_length check (char_length(kind) between 1 and 63),
  payload jsonb not null,
  state text not null
    constraint jobs_state_known check (state in ('queued', 'running', 'completed', 'failed', 'cancelled')),
  run_at timestamptz not null,
  attempts integer not null,
  max_attempts integer not null,
  locked_by uuid,
  locked_until timestamptz,
  last_error text,
  -- At most one unfinished job with this key.
  unique_key text constraint jobs_unique_key_length check (char_length(unique_key) <= 200),
  created_at timestamptz not null,
  finished_at timestamptz,
  primary key (workspace_id, id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01);
create unique index jobs_unique_key_taken on jobs (workspace_id, unique_key)
  where unique_key is not null and state in ('queued', 'running');
create index jobs_due on jobs (workspace_id, queue, run_at) where state = 'queued';
create index jobs_leased on jobs (workspace_id, locked_until) where state = 'running';
select scale_out('jobs');
