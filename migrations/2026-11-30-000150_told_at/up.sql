-- When the source says that it last changed what it tells: older news change nothing.
alter table products add column source_updated_at timestamptz;
-- The same for what it tells of the customer whom it calls so.
alter table identities add column source_updated_at timestamptz;
