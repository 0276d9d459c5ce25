set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- Who administered what. The service's role may add rows and read them. It may change seal_id, which
-- the hash does not cover, and take away what an erasure must take away: before, after, ip and the
-- salt under which their hashes were made.
create table audit_events (
  workspace_id uuid not null,
  id uuid not null,
  occurred_at timestamptz not null,
  actor_type text not null constraint audit_events_actor_type_known check (actor_type in
    ('customer', 'user', 'system', 'integration')),
  actor_id uuid,
  action text not null constraint audit_events_action_length check (char_length(action) between 1 and 100),
  resource_type text not null constraint audit_events_resource_type_length check
    (char_length(resource_type) between 1 and 100),
  resource_id uuid,
  request_id text constraint audit_events_request_id_length check (char_length(request_id) between 1 and 128),
  ip text constraint audit_events_ip_length check (char_length(ip) between 1 and 45),
  -- Not jsonb: the hashes are made of the very text.
  before json,
  after json,
  salt bytea,
  before_hash bytea,
  after_hash bytea,
  ip_hash bytea,
  -- Of everything above but salt and what it hides.
  hash bytea not null,
  seal_id uuid,
  primary key (workspace_id, id)
);
create index audit_events_unsealed on audit_events (workspace_id, id) where seal_id is null;
create index audit_events_by_seal on audit_events (workspace_id, seal_id, id);
create index audit_events_by_resource on audit_events (workspace_id, resource_id, id);
select scale_out('audit_events');

-- A chain per workspace: each seal holds the Merkle root of its events and the hash of the seal
-- before it.
create table audit_seals (
  workspace_id uuid not null,
  id uuid not null,
  sequence bigint not null,
  previous_hash bytea,
  root bytea not null,
  events_count integer not null,
  first_event_id uuid not null,
  last_event_id uuid not null,
  hash bytea not null,
  sealed_at timestamptz not null,
  primary key (workspace_id, id)
);
create unique index audit_seals_sequence_taken on audit_seals (workspace_id, sequence);
select scale_out('audit_seals');
