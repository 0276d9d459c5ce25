-- What is told of long ago, to be complete: it has its place in the feed, and webhooks are not sent for it.
alter table outbox add column is_backfill boolean not null default false;
alter table changes add column is_backfill boolean not null default false;
