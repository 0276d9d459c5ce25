-- Whom a customer belonged to at a time: also by merges that were undone since. Not made
-- concurrently, for the table is as young as this.
create index merges_by_source on merges (workspace_id, source_id, id);
