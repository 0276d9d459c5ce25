-- Whose data key the master key has to open.
select id as workspace_id, id from workspaces
