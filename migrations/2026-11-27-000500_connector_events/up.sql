set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- What shops told us, as they told it.
create table connector_events (
  workspace_id uuid not null,
  id uuid not null,
  channel_id uuid not null,
  topic text not null constraint connector_events_topic_length check (char_length(topic) between 1 and 100),
  -- The sender's id of it, or a hash of what was sent.
  delivery_id text not null constraint connector_events_delivery_id_length
    check (char_length(delivery_id) between 1 and 255),
  status text not null constraint connector_events_status_known
    check (status in ('pending', 'processed', 'ignored', 'failed')),
  attempts integer not null,
  -- Why it failed or was ignored.
  error jsonb,
  resource_type text constraint connector_events_resource_type_length check (char_length(resource_type) <= 63),
  resource_id uuid,
  -- Whom it was about, as they were then.
  customer_id uuid,
  -- The body, sealed with the workspace's data key.
  sealed bytea not null,
  received_at timestamptz not null,
  processed_at timestamptz,
  primary key (workspace_id, id),
  constraint connector_events_delivery_taken unique (workspace_id, channel_id, delivery_id),
  constraint connector_events_channel_exists foreign key (workspace_id, channel_id)
    references channels (workspace_id, id)
);
create index connector_events_by_channel on connector_events (workspace_id, channel_id, id);
create index connector_events_by_customer on connector_events (workspace_id, customer_id);
select scale_out('connector_events');
