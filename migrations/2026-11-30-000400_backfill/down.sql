alter table outbox drop column is_backfill;
alter table changes drop column is_backfill;
