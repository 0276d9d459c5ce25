set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table organizations (
  workspace_id uuid not null,
  id uuid not null,
  external_ids jsonb not null,
  name text not null constraint organizations_name_length check (char_length(name) between 1 and 200),
  domains text[] not null,
  industry text constraint organizations_industry_length check (char_length(industry) <= 100),
  employees_count integer constraint organizations_employees_count_positive check (employees_count >= 0),
  annual_revenue jsonb,
  parent_id uuid,
  owner_id uuid,
  attributes jsonb not null,
  tags text[] not null,
  search_key text not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz,
  primary key (workspace_id, id),
  constraint organizations_parent_exists foreign key (workspace_id, parent_id)
    references organizations (workspace_id, id)
);
create index organizations_by_search_key on organizations using gin (workspace_id, search_key gin_trgm_ops);
select scale_out('organizations');

create table memberships (
  workspace_id uuid not null,
  organization_id uuid not null,
  customer_id uuid not null,
  role text constraint memberships_role_length check (char_length(role) <= 100),
  is_primary boolean not null,
  since date,
  until date,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, organization_id, customer_id),
  constraint memberships_period_ordered check (until >= since),
  constraint memberships_organization_exists foreign key (workspace_id, organization_id)
    references organizations (workspace_id, id),
  constraint memberships_customer_exists foreign key (workspace_id, customer_id)
    references customers (workspace_id, id)
);
create index memberships_by_customer on memberships (workspace_id, customer_id);
select scale_out('memberships');
