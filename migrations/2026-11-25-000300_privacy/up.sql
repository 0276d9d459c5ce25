set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- Since when the customer's data may be kept and nothing else (GDPR, article 18).
alter table customers add column restricted_at timestamptz;

-- What people ask about their own data (GDPR, articles 15 to 21).
create table data_requests (
  workspace_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  kind text not null constraint data_requests_kind_known check (kind in
    ('access', 'portability', 'rectification', 'erasure', 'restriction', 'objection')),
  status text not null constraint data_requests_status_known check (status in
    ('received', 'verifying', 'processing', 'completed', 'rejected')),
  note text constraint data_requests_note_length check (char_length(note) between 1 and 2000),
  -- What an objection is about.
  purposes text[] not null,
  -- Who recorded it.
  actor jsonb not null,
  received_at timestamptz not null,
  due_at timestamptz not null,
  extension_reason text
    constraint data_requests_extension_reason_length check (char_length(extension_reason) between 1 and 500),
  rejection_reason text
    constraint data_requests_rejection_reason_length check (char_length(rejection_reason) between 1 and 500),
  verified_at timestamptz,
  completed_at timestamptz,
  lifted_at timestamptz,
  archive_bytes bigint,
  archive_sha256 bytea,
  archive_expires_at timestamptz,
  -- SHA-256 of the one link that works.
  link_hash bytea,
  link_expires_at timestamptz,
  certificate jsonb,
  -- What an erasure still has to go through; null before and after.
  work jsonb,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  constraint data_requests_customer_exists foreign key (workspace_id, customer_id)
    references customers (workspace_id, id)
);
create unique index data_requests_open_taken on data_requests (workspace_id, customer_id, kind)
  where status in ('received', 'verifying', 'processing');
create index data_requests_by_customer on data_requests (workspace_id, customer_id, id);
create index data_requests_by_due_date on data_requests (workspace_id, due_at, id);
create index data_requests_by_archive on data_requests (workspace_id, archive_expires_at)
  where archive_expires_at is not null;
create index data_requests_by_link on data_requests (workspace_id, link_hash) where link_hash is not null;
select scale_out('data_requests');

-- The archive of a request, sealed with the workspace's data key, in pieces. A piece belongs to one
-- attempt at making it, so that two workers never mix theirs.
create table data_request_pieces (
  workspace_id uuid not null,
  data_request_id uuid not null,
  attempt_id uuid not null,
  position integer not null,
  sealed bytea not null,
  primary key (workspace_id, data_request_id, attempt_id, position),
  constraint data_request_pieces_request_exists foreign key (workspace_id, data_request_id)
    references data_requests (workspace_id, id)
);
select scale_out('data_request_pieces');

-- What a browser did before anybody knew whose it is belongs to whom it turns out to be.
create index touchpoints_by_browser on touchpoints (workspace_id, anonymous_id, id)
  where customer_id is null and anonymous_id is not null;

-- When something with a UUIDv7 of ours happened: 48 bits of milliseconds, 12 more in 4096ths of one.
create function uuid_v7_time(id uuid) returns timestamptz language sql immutable as $$
  select timestamptz '1970-01-01T00:00:00Z' + interval '1 microsecond' * (
    ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint * 1000
    + ('x' || substr(replace(id::text, '-', ''), 14, 3))::bit(12)::integer * 1000 / 4096)
$$;

-- The service may not change the log. These functions, which run with their owner's rights, take out
-- of it what was personal about people who are erased, and nothing of anybody else's.
create function erase_touchpoints(workspace uuid, ids uuid[]) returns bigint
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with mine as materialized (
    select t.id, t.source, t.message_id
      from touchpoints t
     where t.workspace_id = workspace and t.id = any(ids)
       and (t.customer_id is null or exists (
              select from customers c
               where c.workspace_id = workspace and c.id = t.customer_id and c.status = 'erased'))
     order by t.id for update
  ), forgotten as (
    delete from touchpoint_keys k using mine
     where k.workspace_id = workspace and k.source = mine.source and k.message_id = mine.message_id
  ), emptied as (
    update touchpoints t
       set anonymous_id = null, name = null, message_id = null, subject = null, content = null,
           context = null, properties = '{}'
      from mine
     where t.workspace_id = workspace and t.id = mine.id
    returning t.id
  )
  select count(*) from emptied
$$;

create function erase_consent_evidence(workspace uuid, whom uuid[]) returns bigint
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with emptied as (
    update consent_events e set evidence = null
      from consents s, customers c
     where e.workspace_id = workspace
       and s.workspace_id = workspace and s.id = e.consent_id and s.customer_id = any(whom)
       and c.workspace_id = workspace and c.id = s.customer_id and c.status = 'erased'
    returning e.id
  )
  select count(*) from emptied
$$;

revoke all on function erase_touchpoints(uuid, uuid[]), erase_consent_evidence(uuid, uuid[]) from public;
