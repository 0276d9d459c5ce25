set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

create table tags (
  workspace_id uuid not null,
  id uuid not null,
  name text not null constraint tags_name_length check (char_length(name) between 1 and 100),
  color text constraint tags_color_length check (char_length(color) <= 7),
  description text constraint tags_description_length check (char_length(description) <= 2000),
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  constraint tags_name_taken unique (workspace_id, name)
);
select scale_out('tags');
