-- Which secrets the data keys have to open.
select workspace_id, id from channels where sealed_secrets is not null and deleted_at is null
