-- Ids in outside systems: what a record shows is what it is found by. What was merged still shows its
-- own, by which the survivor is found. Of who was erased hashes are held, which nobody shows.
with shown as (
  select workspace_id, 'customer' as resource, c.id as resource_id, e.source, e.id as external_id
    from customers c, jsonb_to_recordset(c.external_ids) as e(source text, id text)
   where merged_into_id is null
  union all
  select workspace_id, 'organization', o.id, e.source, e.id
    from organizations o, jsonb_to_recordset(o.external_ids) as e(source text, id text)
   where deleted_at is null
  union all
  select workspace_id, 'channel', c.id, e.source, e.id
    from channels c, jsonb_to_recordset(c.external_ids) as e(source text, id text)
   where deleted_at is null
  union all
  select workspace_id, 'product', p.id, e.source, e.id
    from products p, jsonb_to_recordset(p.external_ids) as e(source text, id text)
   where deleted_at is null
  union all
  select workspace_id, 'order', o.id, e.source, e.id
    from orders o, jsonb_to_recordset(o.external_ids) as e(source text, id text)
   where deleted_at is null
  union all
  select workspace_id, 'cart', c.id, e.source, e.id
    from carts c, jsonb_to_recordset(c.external_ids) as e(source text, id text)
), held as (
  select i.workspace_id, 'customer' as resource, customer_id as resource_id, i.source, value as external_id
    from identities i join customers c on c.workspace_id = i.workspace_id and c.id = i.customer_id
   where type = 'external' and status <> 'erased'
  union all
  -- An order shows the last of several payments, and no cart that it waits for.
  select workspace_id, resource, resource_id, source, external_id from external_ids
   where resource not in ('payment', 'awaited_cart')
), compared as (
  select case when s.resource_id is null or h.resource_id is null then
           format('%s %s, workspace %s: its id in `%s` is %s', resource, resource_id, workspace_id, source,
                  case when h.resource_id is null then 'shown and not found' else 'found and not shown' end)
         end as fault
    from shown s full join held h using (workspace_id, resource, resource_id, source, external_id)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
