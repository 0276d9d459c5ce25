-- What somebody waits for goes before what takes long. Queues say what a job is, no longer when.
alter table jobs add column priority smallint not null default 0;
drop index jobs_due;
create index jobs_due on jobs (workspace_id, priority desc, run_at) where state = 'queued';
