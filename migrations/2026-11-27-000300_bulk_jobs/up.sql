set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- Imports and exports: what was asked for, how far it is, and where its file lies.
create table bulk_jobs (
  workspace_id uuid not null,
  id uuid not null,
  kind text not null constraint bulk_jobs_kind_known check (kind in ('import', 'export')),
  resource text not null constraint bulk_jobs_resource_known
    check (resource in ('customers', 'organizations', 'touchpoints')),
  format text not null constraint bulk_jobs_format_known check (format in ('csv', 'ndjson')),
  status text not null constraint bulk_jobs_status_known check (status in
    ('waiting_for_file', 'ready', 'queued', 'running', 'completed', 'completed_with_errors',
     'failed', 'cancelled', 'reverting', 'reverted')),
  -- Of an import the mapping and the policy, of an export the question and the columns.
  settings jsonb not null,
  -- What the head of an uploaded file shows: columns, delimiter, suggestion.
  found jsonb,
  -- Which pieces are the file; a new upload makes new ones.
  file_id uuid,
  file_bytes bigint not null,
  -- How far: bytes read of an import, the last id written of an export.
  position bigint not null,
  after_id uuid,
  -- Rows read or written, and what became of them.
  row_count bigint not null,
  total bigint,
  created_count bigint not null,
  updated_count bigint not null,
  skipped_count bigint not null,
  failed_count bigint not null,
  reverted_count bigint not null,
  failure text constraint bulk_jobs_failure_length check (char_length(failure) <= 500),
  actor jsonb not null,
  -- SHA-256 of the one link that works.
  link_hash bytea,
  link_expires_at timestamptz,
  expires_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id)
);
create index bulk_jobs_by_kind on bulk_jobs (workspace_id, kind, id);
create index bulk_jobs_by_link on bulk_jobs (workspace_id, link_hash) where link_hash is not null;
select scale_out('bulk_jobs');

-- Files, compressed and sealed with the workspace's data key, in pieces. They are not tied to their
-- job: an upload that breaks off belongs to none, and goes when its time is over.
create table bulk_pieces (
  workspace_id uuid not null,
  file_id uuid not null,
  position integer not null,
  sealed bytea not null,
  created_at timestamptz not null,
  primary key (workspace_id, file_id, position)
);
create index bulk_pieces_by_age on bulk_pieces (workspace_id, created_at);
select scale_out('bulk_pieces');

-- Rows of an import that were refused, or could not be reverted; the row and the reason are sealed.
create table import_errors (
  workspace_id uuid not null,
  import_id uuid not null,
  row_number bigint not null,
  id uuid not null,
  sealed bytea not null,
  created_at timestamptz not null,
  primary key (workspace_id, import_id, row_number, id)
);
create index import_errors_by_age on import_errors (workspace_id, created_at);
select scale_out('import_errors');

-- What an import made and changed, so that it can be undone.
create table import_changes (
  workspace_id uuid not null,
  import_id uuid not null,
  row_number bigint not null,
  id uuid not null,
  resource_id uuid not null,
  -- Its version afterwards: a later one means that somebody has changed it since.
  resource_version bigint not null,
  -- What the fields were before; null of what the import made.
  former jsonb,
  created_at timestamptz not null,
  primary key (workspace_id, import_id, row_number, id)
);
create index import_changes_by_resource on import_changes (workspace_id, resource_id);
create index import_changes_by_age on import_changes (workspace_id, created_at);
select scale_out('import_changes');
