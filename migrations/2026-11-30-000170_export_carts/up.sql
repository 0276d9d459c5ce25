set local citus.multi_shard_modify_mode = 'sequential';
set local citus.enable_local_reference_table_foreign_keys = off;

-- Carts are exported as well.
alter table bulk_jobs drop constraint bulk_jobs_resource_known;
alter table bulk_jobs add constraint bulk_jobs_resource_known
  check (resource in ('customers', 'organizations', 'touchpoints', 'products', 'orders', 'carts'));
