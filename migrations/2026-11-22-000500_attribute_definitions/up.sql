set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table attribute_definitions (
  workspace_id uuid not null,
  id uuid not null,
  resource text not null constraint attribute_definitions_resource_known
    check (resource in ('customer', 'organization', 'channel')),
  key text not null constraint attribute_definitions_key_length check (char_length(key) between 1 and 100),
  name text not null constraint attribute_definitions_name_length check (char_length(name) between 1 and 200),
  description text constraint attribute_definitions_description_length check (char_length(description) <= 2000),
  type text not null constraint attribute_definitions_type_known check (type in
    ('string', 'number', 'boolean', 'date', 'datetime', 'enum', 'multi_enum', 'money', 'reference', 'json')),
  options text[] not null,
  "unique" boolean not null,
  required boolean not null,
  pii boolean not null,
  searchable boolean not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  constraint attribute_definitions_key_taken unique (workspace_id, resource, key)
);
select scale_out('attribute_definitions');

-- Values of `unique` attributes, held while their resource is not deleted.
create table unique_attributes (
  workspace_id uuid not null,
  resource text not null,
  key text not null,
  value text not null constraint unique_attributes_value_length check (char_length(value) <= 1000),
  resource_id uuid not null,
  constraint unique_attributes_value_taken primary key (workspace_id, resource, key, value)
);
create index unique_attributes_by_resource on unique_attributes (workspace_id, resource_id);
select scale_out('unique_attributes');

-- Outside references of every resource but customers, whose references are identities.
create table external_ids (
  workspace_id uuid not null,
  resource text not null,
  source text not null constraint external_ids_source_length check (char_length(source) between 1 and 100),
  external_id text not null constraint external_ids_external_id_length check (char_length(external_id) between 1 and 255),
  resource_id uuid not null,
  constraint external_ids_taken primary key (workspace_id, resource, source, external_id)
);
create index external_ids_by_resource on external_ids (workspace_id, resource_id);
select scale_out('external_ids');
