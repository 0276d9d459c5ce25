set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table orders (
  workspace_id uuid not null,
  id uuid not null,
  external_ids jsonb not null,
  -- The system the order came from.
  source text not null constraint orders_source_length check (char_length(source) between 1 and 100),
  number text constraint orders_number_length check (char_length(number) <= 100),
  -- Null for guests who left nothing to be recognised by.
  customer_id uuid,
  -- The customer who placed it; a merge never changes it.
  origin_customer_id uuid,
  email text constraint orders_email_length check (char_length(email) <= 254),
  phone text constraint orders_phone_length check (char_length(phone) <= 40),
  status text not null constraint orders_status_known
    check (status in ('open', 'completed', 'cancelled', 'archived')),
  financial_status text not null constraint orders_financial_status_known check (financial_status in
    ('pending', 'authorized', 'partially_paid', 'paid', 'partially_refunded', 'refunded', 'voided')),
  fulfillment_status text not null constraint orders_fulfillment_status_known
    check (fulfillment_status in ('unfulfilled', 'partial', 'fulfilled', 'returned')),
  currency text not null constraint orders_currency_length check (char_length(currency) = 3),
  -- Minor units of the currency.
  subtotal bigint not null,
  discount_total bigint not null,
  tax_total bigint not null,
  shipping_total bigint not null,
  fee_total bigint not null,
  total bigint not null,
  paid_total bigint not null,
  refunded_total bigint not null,
  is_tax_included boolean not null,
  channel_id uuid,
  cart_id uuid,
  billing_address jsonb,
  shipping_address jsonb,
  discount_codes text[] not null,
  utm jsonb,
  note text constraint orders_note_length check (char_length(note) <= 5000),
  cancel_reason text constraint orders_cancel_reason_length check (char_length(cancel_reason) <= 500),
  placed_at timestamptz not null,
  paid_at timestamptz,
  fulfilled_at timestamptz,
  cancelled_at timestamptz,
  -- When the source says that it last changed the order: older news change nothing.
  source_updated_at timestamptz,
  attributes jsonb not null,
  tags text[] not null,
  -- Number, email, outside references, names and SKUs of the lines, folded for `q=`.
  search_key text not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz,
  primary key (workspace_id, id),
  constraint orders_customer_exists foreign key (workspace_id, customer_id)
    references customers (workspace_id, id),
  constraint orders_channel_exists foreign key (workspace_id, channel_id)
    references channels (workspace_id, id),
  constraint orders_refunds_within_payments check (refunded_total <= paid_total)
);
create index orders_by_customer on orders (workspace_id, customer_id, placed_at);
create index orders_by_time on orders (workspace_id, placed_at, id);
create index orders_by_update on orders (workspace_id, updated_at, id);
create index orders_by_search_key on orders using gin (workspace_id, search_key gin_trgm_ops);
select scale_out('orders');

create table order_line_items (
  workspace_id uuid not null,
  order_id uuid not null,
  id uuid not null,
  position integer not null,
  -- The line's id in the order's source.
  external_id text constraint order_line_items_external_id_length check (char_length(external_id) <= 255),
  product_id uuid,
  sku text constraint order_line_items_sku_length check (char_length(sku) <= 100),
  name text not null constraint order_line_items_name_length check (char_length(name) between 1 and 500),
  variant text constraint order_line_items_variant_length check (char_length(variant) <= 200),
  quantity integer not null constraint order_line_items_quantity_positive check (quantity >= 1),
  unit_price bigint not null,
  discount_total bigint not null,
  tax_total bigint not null,
  total bigint not null,
  fulfilled_quantity integer not null,
  returned_quantity integer not null,
  primary key (workspace_id, order_id, id),
  constraint order_line_items_order_exists foreign key (workspace_id, order_id)
    references orders (workspace_id, id),
  constraint order_line_items_product_exists foreign key (workspace_id, product_id)
    references products (workspace_id, id)
);
create index order_line_items_by_product on order_line_items (workspace_id, product_id);
select scale_out('order_line_items');

create table order_refunds (
  workspace_id uuid not null,
  order_id uuid not null,
  id uuid not null,
  external_id text constraint order_refunds_external_id_length check (char_length(external_id) <= 255),
  amount bigint not null constraint order_refunds_amount_positive check (amount >= 0),
  reason text constraint order_refunds_reason_length check (char_length(reason) <= 500),
  is_return boolean not null,
  line_items jsonb not null,
  refunded_at timestamptz not null,
  created_at timestamptz not null,
  primary key (workspace_id, order_id, id),
  constraint order_refunds_external_id_taken unique (workspace_id, order_id, external_id),
  constraint order_refunds_order_exists foreign key (workspace_id, order_id)
    references orders (workspace_id, id)
);
select scale_out('order_refunds');

create table order_fulfillments (
  workspace_id uuid not null,
  order_id uuid not null,
  id uuid not null,
  external_id text constraint order_fulfillments_external_id_length check (char_length(external_id) <= 255),
  line_items jsonb not null,
  tracking_company text constraint order_fulfillments_tracking_company_length
    check (char_length(tracking_company) <= 100),
  tracking_number text constraint order_fulfillments_tracking_number_length
    check (char_length(tracking_number) <= 200),
  tracking_url text constraint order_fulfillments_tracking_url_length check (char_length(tracking_url) <= 2000),
  fulfilled_at timestamptz not null,
  created_at timestamptz not null,
  primary key (workspace_id, order_id, id),
  constraint order_fulfillments_external_id_taken unique (workspace_id, order_id, external_id),
  constraint order_fulfillments_order_exists foreign key (workspace_id, order_id)
    references orders (workspace_id, id)
);
select scale_out('order_fulfillments');

-- The currency of `total_spent`: that of the workspace when the first order came.
alter table customer_stats add column currency text
  constraint customer_stats_currency_length check (char_length(currency) = 3);
