-- Which endpoints' secrets the data keys have to open.
select workspace_id, id from webhook_endpoints where deleted_at is null
