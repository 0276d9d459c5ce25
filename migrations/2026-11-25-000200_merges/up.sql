set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- What a merge did, and what it takes to undo it.
create table merges (
  workspace_id uuid not null,
  id uuid not null,
  -- The one that stays.
  customer_id uuid not null,
  -- The one that was merged into it.
  source_id uuid not null,
  status text not null constraint merges_status_known
    check (status in ('running', 'completed', 'reverting', 'reverted')),
  cause text not null constraint merges_cause_known check (cause in ('manual', 'automatic', 'candidate')),
  -- The survivor's fields that changed: {"field": {"from": …, "to": …}}.
  fields jsonb not null,
  -- Rows that moved, by table.
  moved jsonb not null,
  -- What no other row remembers: see the registry of tables in the code.
  kept jsonb not null,
  actor jsonb not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  reverted_at timestamptz,
  primary key (workspace_id, id),
  constraint merges_customer_exists foreign key (workspace_id, customer_id)
    references customers (workspace_id, id),
  constraint merges_source_exists foreign key (workspace_id, source_id)
    references customers (workspace_id, id)
);
create unique index merges_source_taken on merges (workspace_id, source_id) where status <> 'reverted';
create index merges_by_customer on merges (workspace_id, customer_id, id);
select scale_out('merges');

-- Two customers who may be the same person, for somebody to decide.
create table merge_candidates (
  workspace_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  other_id uuid not null,
  reason text not null constraint merge_candidates_reason_known check (reason in
    ('shared_identity', 'same_email', 'same_phone', 'similar_name_and_address')),
  status text not null constraint merge_candidates_status_known
    check (status in ('open', 'accepted', 'dismissed')),
  merge_id uuid,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  -- One pair is one candidate, whichever was seen first.
  constraint merge_candidates_pair_ordered check (customer_id < other_id),
  constraint merge_candidates_customer_exists foreign key (workspace_id, customer_id)
    references customers (workspace_id, id),
  constraint merge_candidates_other_exists foreign key (workspace_id, other_id)
    references customers (workspace_id, id)
);
create unique index merge_candidates_pair_taken on merge_candidates (workspace_id, customer_id, other_id);
create index merge_candidates_by_other on merge_candidates (workspace_id, other_id);
select scale_out('merge_candidates');

create index customers_by_survivor on customers (workspace_id, merged_into_id)
  where merged_into_id is not null;

alter table memberships add column origin_customer_id uuid;
update memberships set origin_customer_id = customer_id;
alter table memberships alter column origin_customer_id set not null;
