-- What an endpoint wanted to be told before it was changed, and up to which places in the feed, while the
-- deliveries of these are not made yet: an event is judged by what held when it happened.
alter table webhook_endpoints add column former jsonb;
create index webhook_endpoints_former on webhook_endpoints (workspace_id) where former is not null;
