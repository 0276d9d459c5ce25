set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table customers (
  workspace_id uuid not null,
  id uuid not null,
  external_ids jsonb not null,
  first_name text constraint customers_first_name_length check (char_length(first_name) <= 200),
  last_name text constraint customers_last_name_length check (char_length(last_name) <= 200),
  display_name text constraint customers_display_name_length check (char_length(display_name) <= 400),
  -- The primary email and phone identities, mirrored.
  email text constraint customers_email_length check (char_length(email) <= 254),
  phone text constraint customers_phone_length check (char_length(phone) <= 32),
  title text constraint customers_title_length check (char_length(title) <= 100),
  birth_date date,
  gender text constraint customers_gender_length check (char_length(gender) <= 50),
  locale text constraint customers_locale_length check (char_length(locale) <= 35),
  timezone text constraint customers_timezone_length check (char_length(timezone) <= 64),
  currency text constraint customers_currency_length check (char_length(currency) = 3),
  addresses jsonb not null,
  lifecycle_stage text not null constraint customers_lifecycle_stage_known check (lifecycle_stage in
    ('visitor', 'subscriber', 'lead', 'marketing_qualified_lead', 'sales_qualified_lead',
     'opportunity', 'customer', 'evangelist', 'other')),
  status text not null constraint customers_status_known
    check (status in ('active', 'inactive', 'blocked', 'merged', 'erased')),
  -- A user of the live workspace, also for customers of its test twin: so no foreign key.
  owner_id uuid,
  source text constraint customers_source_length check (char_length(source) <= 100),
  acquisition jsonb,
  preferences jsonb,
  score integer,
  merged_into_id uuid,
  attributes jsonb not null,
  tags text[] not null,
  -- Names, email, phone and outside references, folded for `q=`.
  search_key text not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz,
  primary key (workspace_id, id),
  constraint customers_merged_into_exists foreign key (workspace_id, merged_into_id)
    references customers (workspace_id, id)
);
create index customers_by_search_key on customers using gin (workspace_id, search_key gin_trgm_ops);
create index customers_by_tag on customers using gin (workspace_id, tags);
create index customers_by_update on customers (workspace_id, updated_at, id);
select scale_out('customers');

-- Figures that change with every touchpoint, kept apart so that ingest never rewrites a customer.
create table customer_stats (
  workspace_id uuid not null,
  customer_id uuid not null,
  touchpoints_count bigint not null,
  first_seen_at timestamptz,
  last_seen_at timestamptz,
  last_contacted_at timestamptz,
  orders_count bigint not null default 0,
  total_spent bigint not null default 0,
  first_order_at timestamptz,
  last_order_at timestamptz,
  primary key (workspace_id, customer_id)
) with (fillfactor = 80);
select scale_out('customer_stats');

create table identities (
  workspace_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  -- The customer this identity first came with; a merge never changes it.
  origin_customer_id uuid not null,
  type text not null constraint identities_type_known check (type in
    ('email', 'phone', 'user_id', 'anonymous_id', 'device_id', 'cookie', 'external', 'social')),
  -- The system of an `external` and the network of a `social` identity.
  source text constraint identities_source_length check (char_length(source) <= 100),
  value text not null constraint identities_value_length check (char_length(value) between 1 and 512),
  value_norm text not null constraint identities_value_norm_length check (char_length(value_norm) <= 640),
  verified_at timestamptz,
  is_primary boolean not null,
  created_at timestamptz not null,
  -- Set while the customer is deleted: the key is free for others, a restore takes it back.
  released_at timestamptz,
  primary key (workspace_id, id),
  constraint identities_customer_exists foreign key (workspace_id, customer_id)
    references customers (workspace_id, id)
);
create unique index identities_value_taken on identities (workspace_id, type, value_norm)
  where released_at is null;
create index identities_by_customer on identities (workspace_id, customer_id);
select scale_out('identities');
