drop table cors_origins, workspace_slugs, workspaces;
