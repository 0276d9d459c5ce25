set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table workspaces (
  id uuid primary key,
  name text not null constraint workspaces_name_length check (char_length(name) between 1 and 200),
  slug text not null constraint workspaces_slug_length check (char_length(slug) between 1 and 63),
  default_currency text not null
    constraint workspaces_default_currency_length check (char_length(default_currency) = 3),
  timezone text not null constraint workspaces_timezone_length check (char_length(timezone) <= 64),
  settings jsonb not null,
  -- A live workspace has a test twin, a workspace of its own that test keys read and write:
  -- what keeps workspaces apart keeps test data apart.
  livemode boolean not null,
  twin_id uuid not null,
  -- 256-bit key for this workspace's secrets, wrapped by the master key.
  data_key bytea not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
select scale_out('workspaces');

create table workspace_slugs (
  slug text primary key,
  workspace_id uuid not null
);
select scale_out_directory('workspace_slugs');

-- Which browser origins some workspace allows: a preflight carries no credential.
create table cors_origins (
  origin text not null,
  workspace_id uuid not null,
  primary key (origin, workspace_id)
);
select scale_out_directory('cors_origins');
