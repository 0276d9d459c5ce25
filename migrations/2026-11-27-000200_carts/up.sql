set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table carts (
  workspace_id uuid not null,
  id uuid not null,
  external_ids jsonb not null,
  source text not null constraint carts_source_length check (char_length(source) between 1 and 100),
  customer_id uuid,
  -- The customer whose cart it was first; a merge never changes it.
  origin_customer_id uuid,
  anonymous_id text constraint carts_anonymous_id_length check (char_length(anonymous_id) <= 255),
  email text constraint carts_email_length check (char_length(email) <= 254),
  status text not null constraint carts_status_known check (status in
    ('active', 'checkout', 'abandoned', 'recovered', 'converted', 'expired')),
  currency text not null constraint carts_currency_length check (char_length(currency) = 3),
  -- Minor units of the currency.
  total bigint not null,
  line_items jsonb not null,
  channel_id uuid,
  recovery_url text constraint carts_recovery_url_length check (char_length(recovery_url) <= 2000),
  -- The order it became.
  order_id uuid,
  active_at timestamptz not null,
  checkout_at timestamptz,
  abandoned_at timestamptz,
  recovered_at timestamptz,
  converted_at timestamptz,
  source_updated_at timestamptz,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  constraint carts_customer_exists foreign key (workspace_id, customer_id)
    references customers (workspace_id, id),
  constraint carts_channel_exists foreign key (workspace_id, channel_id)
    references channels (workspace_id, id)
);
create index carts_by_customer on carts (workspace_id, customer_id);
create index carts_by_update on carts (workspace_id, updated_at, id);
-- For the worker, which looks for idle ones: those that are over are not in it.
create index carts_by_idleness on carts (workspace_id, active_at)
  where status in ('active', 'checkout', 'recovered', 'abandoned');
select scale_out('carts');
