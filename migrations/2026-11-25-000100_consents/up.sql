set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- What each customer says today: one row per origin, channel type, purpose and topic. It follows
-- from consent_events and could be made again from them.
create table consents (
  workspace_id uuid not null,
  id uuid not null,
  customer_id uuid not null,
  -- The customer who said it; a merge changes customer_id and never this.
  origin_customer_id uuid not null,
  channel_type text not null constraint consents_channel_type_known check (channel_type in
    ('email', 'sms', 'whatsapp', 'chat', 'chatbot', 'push', 'web', 'mobile_app', 'social', 'phone',
     'meeting', 'post', 'pos', 'webhook')),
  purpose text not null constraint consents_purpose_known check (purpose in
    ('marketing', 'transactional', 'service', 'analytics', 'profiling')),
  -- Null is every topic that has no row of its own.
  topic text constraint consents_topic_length check (char_length(topic) between 1 and 100),
  state text not null constraint consents_state_known check (state in
    ('unknown', 'pending', 'granted', 'denied', 'withdrawn', 'expired')),
  lawful_basis text not null constraint consents_lawful_basis_known check (lawful_basis in
    ('consent', 'contract', 'legal_obligation', 'vital_interests', 'public_task', 'legitimate_interests')),
  soft_opt_in boolean not null,
  method text not null constraint consents_method_known check (method in
    ('api', 'import', 'double_opt_in', 'one_click', 'preference_center', 'expiry')),
  source text constraint consents_source_length check (char_length(source) between 1 and 100),
  evidence jsonb,
  double_opt_in_sent_at timestamptz,
  double_opt_in_confirmed_at timestamptz,
  granted_at timestamptz,
  withdrawn_at timestamptz,
  expires_at timestamptz,
  -- The event that decides, and when that was decided.
  event_id uuid not null,
  decided_at timestamptz not null,
  -- How many events there are.
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (workspace_id, id),
  constraint consents_customer_exists foreign key (workspace_id, customer_id)
    references customers (workspace_id, id)
);
create unique index consents_key_taken
  on consents (workspace_id, origin_customer_id, channel_type, purpose, topic) nulls not distinct;
create index consents_by_customer on consents (workspace_id, customer_id);
create index consents_by_expiry on consents (workspace_id, expires_at)
  where state = 'granted' and expires_at is not null;
select scale_out('consents');

-- The ledger. The service's role may add rows and read them, not change or delete them, so an event
-- names whose it was at first; whose it is now says its row in consents.
create table consent_events (
  workspace_id uuid not null,
  id uuid not null,
  consent_id uuid not null,
  origin_customer_id uuid not null,
  channel_type text not null constraint consent_events_channel_type_known check (channel_type in
    ('email', 'sms', 'whatsapp', 'chat', 'chatbot', 'push', 'web', 'mobile_app', 'social', 'phone',
     'meeting', 'post', 'pos', 'webhook')),
  purpose text not null constraint consent_events_purpose_known check (purpose in
    ('marketing', 'transactional', 'service', 'analytics', 'profiling')),
  topic text constraint consent_events_topic_length check (char_length(topic) between 1 and 100),
  state text not null constraint consent_events_state_known check (state in
    ('unknown', 'pending', 'granted', 'denied', 'withdrawn', 'expired')),
  lawful_basis text not null constraint consent_events_lawful_basis_known check (lawful_basis in
    ('consent', 'contract', 'legal_obligation', 'vital_interests', 'public_task', 'legitimate_interests')),
  soft_opt_in boolean not null,
  method text not null constraint consent_events_method_known check (method in
    ('api', 'import', 'double_opt_in', 'one_click', 'preference_center', 'expiry')),
  source text constraint consent_events_source_length check (char_length(source) between 1 and 100),
  evidence jsonb,
  actor jsonb not null,
  -- When it was decided, which for imports is long before it was recorded.
  occurred_at timestamptz not null,
  recorded_at timestamptz not null,
  expires_at timestamptz,
  -- The position among the events of the consent, in the order in which they were recorded.
  version bigint not null,
  primary key (workspace_id, id),
  constraint consent_events_consent_exists foreign key (workspace_id, consent_id)
    references consents (workspace_id, id)
);
create index consent_events_by_consent on consent_events (workspace_id, consent_id, id);
select scale_out('consent_events');

-- Addresses that are not to be used, by hash: they stay when the customer is erased.
create table suppressions (
  workspace_id uuid not null,
  id uuid not null,
  channel_type text not null constraint suppressions_channel_type_known check (channel_type in
    ('email', 'sms', 'whatsapp', 'push', 'social', 'phone')),
  -- HMAC-SHA-256 with a key that follows from the workspace's data key.
  address_hash bytea not null,
  reason text not null constraint suppressions_reason_known check (reason in
    ('hard_bounce', 'complaint', 'invalid', 'unsubscribe_all', 'manual', 'erased')),
  until timestamptz,
  created_at timestamptz not null,
  primary key (workspace_id, id)
);
create unique index suppressions_address_taken on suppressions (workspace_id, address_hash, reason);
select scale_out('suppressions');
