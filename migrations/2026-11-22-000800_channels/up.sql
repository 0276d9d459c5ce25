set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table channels (
  workspace_id uuid not null,
  id uuid not null,
  external_ids jsonb not null,
  type text not null constraint channels_type_known check (type in
    ('email', 'sms', 'whatsapp', 'chat', 'chatbot', 'push', 'web', 'mobile_app', 'social', 'phone',
     'meeting', 'post', 'pos', 'webhook')),
  name text not null constraint channels_name_length check (char_length(name) between 1 and 200),
  provider text not null constraint channels_provider_length check (char_length(provider) between 1 and 63),
  direction text not null constraint channels_direction_known
    check (direction in ('inbound', 'outbound', 'both')),
  status text not null constraint channels_status_known check (status in ('active', 'paused', 'error')),
  -- Plain settings; a secret stands here as {"has_secret": true, "last4": "…"}.
  config jsonb not null,
  -- The secrets themselves, a JSON object sealed with the workspace's data key.
  sealed_secrets bytea,
  sender jsonb,
  capabilities text[] not null,
  rate_limit jsonb,
  quiet_hours jsonb,
  attributes jsonb not null,
  tags text[] not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz,
  primary key (workspace_id, id)
);
select scale_out('channels');
