drop index jobs_due;
create index jobs_due on jobs (workspace_id, queue, run_at) where state = 'queued';
alter table jobs drop column priority;
