set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

alter table attribute_definitions drop constraint attribute_definitions_resource_known;
alter table attribute_definitions add constraint attribute_definitions_resource_known
  check (resource in ('customer', 'organization', 'channel', 'product', 'order'));

create table products (
  workspace_id uuid not null,
  id uuid not null,
  external_ids jsonb not null,
  sku text constraint products_sku_length check (char_length(sku) between 1 and 100),
  name text not null constraint products_name_length check (char_length(name) between 1 and 500),
  description text constraint products_description_length check (char_length(description) <= 10000),
  brand text constraint products_brand_length check (char_length(brand) <= 200),
  category text constraint products_category_length check (char_length(category) <= 500),
  price jsonb,
  url text constraint products_url_length check (char_length(url) <= 2000),
  image_url text constraint products_image_url_length check (char_length(image_url) <= 2000),
  status text not null constraint products_status_known check (status in ('active', 'draft', 'archived')),
  attributes jsonb not null,
  tags text[] not null,
  -- Name, SKU, brand and outside references, folded for `q=`.
  search_key text not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz,
  primary key (workspace_id, id)
);
-- A deleted product keeps its SKU and does not hold it.
create unique index products_sku_taken on products (workspace_id, sku) where deleted_at is null;
create index products_by_search_key on products using gin (workspace_id, search_key gin_trgm_ops);
create index products_by_update on products (workspace_id, updated_at, id);
select scale_out('products');
