-- Ids in outside systems: what a record shows is what it is found by.
with shown as (
  select workspace_id, 'customer' as resource, c.id as resource_id, e.source, e.id as external_id
    from customers c, jsonb_to_recordset(c.external_ids) as e(source text, id text)
  union all
  select workspace_id, 'organization', o.id, e.source, e.id
    from organizations o, jsonb_to_recordset(o.external_ids) as e(source text, id text)
   where deleted_at is null
  union all
  select workspace_id, 'channel', c.id, e.source, e.id
    from channels c, jsonb_to_recordset(c.external_ids) as e(source text, id text)
   where deleted_at is null
), held as (
  select workspace_id, 'customer' as resource, customer_id as resource_id, source, value as external_id
    from identities where type = 'external'
  union all
  select workspace_id, resource, resource_id, source, external_id from external_ids
), compared as (
  select case when s.resource_id is null or h.resource_id is null then
           format('%s %s, workspace %s: its id in `%s` is %s', resource, resource_id, workspace_id, source,
                  case when h.resource_id is null then 'shown and not found' else 'found and not shown' end)
         end as fault
    from shown s full join held h using (workspace_id, resource, resource_id, source, external_id)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
