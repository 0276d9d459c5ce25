set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table users (
  workspace_id uuid not null references workspaces (id),
  id uuid not null,
  email text not null constraint users_email_length check (char_length(email) <= 254),
  email_norm text not null constraint users_email_norm_length check (char_length(email_norm) <= 254),
  name text not null constraint users_name_length check (char_length(name) between 1 and 200),
  role text not null
    constraint users_role_known check (role in ('owner', 'admin', 'agent', 'analyst', 'read_only')),
  status text not null constraint users_status_known check (status in ('active', 'disabled')),
  password_hash text,
  -- Raised by a password, role or status change: tokens issued before are refused.
  token_version bigint not null,
  last_login_at timestamptz,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  constraint users_email_taken unique (workspace_id, email_norm)
);
select scale_out('users');

-- Finds the workspaces of a login before the workspace is known.
create table login_emails (
  email_norm text not null,
  workspace_id uuid not null,
  user_id uuid not null,
  primary key (email_norm, workspace_id)
);
select scale_out_directory('login_emails');

create table refresh_tokens (
  workspace_id uuid not null references workspaces (id),
  id uuid not null,
  user_id uuid not null,
  -- All tokens that descend from one login; a token shown twice revokes the family.
  family_id uuid not null,
  hash bytea not null,
  livemode boolean not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null,
  primary key (workspace_id, id),
  constraint refresh_tokens_hash_taken unique (workspace_id, hash),
  constraint refresh_tokens_user_exists foreign key (workspace_id, user_id)
    references users (workspace_id, id) on delete cascade
);
create index refresh_tokens_by_user on refresh_tokens (workspace_id, user_id);
select scale_out('refresh_tokens');

create table api_keys (
  workspace_id uuid not null references workspaces (id),
  id uuid not null,
  name text not null constraint api_keys_name_length check (char_length(name) between 1 and 200),
  kind text not null constraint api_keys_kind_known check (kind in ('secret', 'write', 'portal')),
  scopes text[] not null,
  livemode boolean not null,
  hash bytea not null,
  prefix text not null,
  last4 text not null,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  constraint api_keys_hash_taken unique (workspace_id, hash)
);
select scale_out('api_keys');

create table trusted_issuers (
  workspace_id uuid not null references workspaces (id),
  id uuid not null,
  issuer text not null constraint trusted_issuers_issuer_length check (char_length(issuer) between 1 and 500),
  audience text not null constraint trusted_issuers_audience_length check (char_length(audience) between 1 and 500),
  jwks_url text not null constraint trusted_issuers_jwks_url_length check (char_length(jwks_url) <= 2000),
  algorithms text[] not null,
  scopes_claim text constraint trusted_issuers_scopes_claim_length check (char_length(scopes_claim) <= 100),
  roles_claim text constraint trusted_issuers_roles_claim_length check (char_length(roles_claim) <= 100),
  default_scopes text[] not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  constraint trusted_issuers_issuer_taken unique (workspace_id, issuer)
);
select scale_out('trusted_issuers');
