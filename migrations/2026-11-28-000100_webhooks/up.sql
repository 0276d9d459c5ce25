set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- Where the company's other systems want to be told what happens.
create table webhook_endpoints (
  workspace_id uuid not null,
  id uuid not null,
  url text not null constraint webhook_endpoints_url_length check (char_length(url) between 1 and 2000),
  description text constraint webhook_endpoints_description_length check (char_length(description) <= 500),
  event_types text[] not null constraint webhook_endpoints_event_types_count
    check (cardinality(event_types) between 1 and 100),
  -- A predicate over the event; none: all events of these types.
  "where" jsonb,
  signatures text[] not null constraint webhook_endpoints_signatures_listed
    check (signatures <@ array['v1', 'v1a'] and cardinality(signatures) between 1 and 2),
  max_concurrency integer not null constraint webhook_endpoints_max_concurrency_range
    check (max_concurrency between 1 and 10),
  status text not null constraint webhook_endpoints_status_known check (status in ('enabled', 'disabled')),
  -- Why and when the service or somebody turned it off.
  disabled_reason text constraint webhook_endpoints_disabled_reason_known
    check (disabled_reason in ('manual', 'gone', 'failing')),
  disabled_at timestamptz,
  -- The secrets and the private key, sealed with the workspace's data key.
  sealed bytea not null,
  public_key text not null constraint webhook_endpoints_public_key_length check (char_length(public_key) <= 100),
  previous_secret_expires_at timestamptz,
  -- The place in the feed up to which there are deliveries.
  cursor bigint not null,
  -- How it has been doing: attempts that failed since the last success, and since when.
  failures integer not null default 0,
  failing_since timestamptz,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  -- Nothing is sent before this.
  paused_until timestamptz,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- Its deliveries stay for as long as those of others.
  deleted_at timestamptz,
  primary key (workspace_id, id)
);
create index webhook_endpoints_enabled on webhook_endpoints (workspace_id) where status = 'enabled';
select scale_out('webhook_endpoints');

-- Which event goes to which endpoint, and how far that is. What happened stands in the log alone.
create table webhook_deliveries (
  workspace_id uuid not null,
  id uuid not null,
  endpoint_id uuid not null,
  sequence bigint not null,
  touchpoint_id uuid not null,
  -- Whom it was about then: events of one customer keep their order.
  customer_id uuid,
  type text not null constraint webhook_deliveries_type_length check (char_length(type) between 1 and 100),
  status text not null constraint webhook_deliveries_status_known
    check (status in ('pending', 'delivering', 'delivered', 'failed', 'skipped')),
  -- Attempts ever made, and those that failed since it last became pending.
  attempts integer not null,
  failures integer not null,
  next_attempt_at timestamptz not null,
  -- The lease of whoever delivers it now.
  locked_by uuid,
  locked_until timestamptz,
  last_status_code integer,
  last_error text constraint webhook_deliveries_last_error_length check (char_length(last_error) <= 63),
  created_at timestamptz not null,
  delivered_at timestamptz,
  primary key (workspace_id, id),
  constraint webhook_deliveries_once unique (workspace_id, endpoint_id, sequence),
  constraint webhook_deliveries_endpoint_exists foreign key (workspace_id, endpoint_id)
    references webhook_endpoints (workspace_id, id)
);
create index webhook_deliveries_waiting on webhook_deliveries (workspace_id, endpoint_id, sequence)
  where status in ('pending', 'delivering');
create index webhook_deliveries_waiting_by_customer
  on webhook_deliveries (workspace_id, endpoint_id, customer_id, sequence)
  where status in ('pending', 'delivering');
create index webhook_deliveries_due on webhook_deliveries (workspace_id, endpoint_id, next_attempt_at)
  where status = 'pending';
create index webhook_deliveries_leased on webhook_deliveries (workspace_id, locked_until)
  where status = 'delivering';
create index webhook_deliveries_by_endpoint on webhook_deliveries (workspace_id, endpoint_id, id);
create index webhook_deliveries_by_customer on webhook_deliveries (workspace_id, customer_id);
select scale_out('webhook_deliveries');

-- What was said when an event was delivered, or not.
create table webhook_attempts (
  workspace_id uuid not null,
  id uuid not null,
  delivery_id uuid not null,
  number integer not null,
  attempted_at timestamptz not null,
  latency_ms integer not null,
  status_code integer,
  error text constraint webhook_attempts_error_length check (char_length(error) <= 63),
  request_headers jsonb not null,
  response_headers jsonb not null,
  -- The beginning of the answer.
  response_body text constraint webhook_attempts_response_body_length check (char_length(response_body) <= 1024),
  primary key (workspace_id, id),
  constraint webhook_attempts_delivery_exists foreign key (workspace_id, delivery_id)
    references webhook_deliveries (workspace_id, id)
);
create index webhook_attempts_by_delivery on webhook_attempts (workspace_id, delivery_id, id);
select scale_out('webhook_attempts');
