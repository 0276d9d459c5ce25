set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- The answer to a write, stored by the transaction that did it, so a retry finds it.
create table idempotency_keys (
  workspace_id uuid not null,
  credential_id uuid not null,
  key text not null constraint idempotency_keys_key_length check (char_length(key) between 1 and 255),
  fingerprint bytea not null,
  status smallint not null,
  headers jsonb not null,
  body bytea not null,
  created_at timestamptz not null,
  primary key (workspace_id, credential_id, key)
);
create index idempotency_keys_by_age on idempotency_keys (workspace_id, created_at);
select scale_out('idempotency_keys');
