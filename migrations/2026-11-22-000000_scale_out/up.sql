-- Distributes a workspace table where the Citus extension and shard nodes exist; does nothing on
-- plain PostgreSQL. Every migration that creates a workspace table ends with a call of it.
create function scale_out(target regclass) returns void language plpgsql as $$
begin
  if not exists (select from pg_extension where extname = 'citus') then
    return;
  end if;
  if target = 'workspaces'::regclass then
    execute format('select create_distributed_table(%L, %L)', target, 'id');
  else
    execute format('select create_distributed_table(%L, %L, colocate_with => %L)',
                   target, 'workspace_id', 'workspaces');
  end if;
end
$$;

-- The same for the few tables that are looked up before the workspace is known.
create function scale_out_directory(target regclass) returns void language plpgsql as $$
begin
  if exists (select from pg_extension where extname = 'citus') then
    execute format('select create_reference_table(%L)', target);
  end if;
end
$$;

-- Substring search on names and addresses.
create extension if not exists pg_trgm;
create extension if not exists btree_gin;
