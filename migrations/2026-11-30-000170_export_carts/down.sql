-- Their files go when their time is over.
delete from bulk_jobs where resource = 'carts';
alter table bulk_jobs drop constraint bulk_jobs_resource_known;
alter table bulk_jobs add constraint bulk_jobs_resource_known
  check (resource in ('customers', 'organizations', 'touchpoints', 'products', 'orders'));
