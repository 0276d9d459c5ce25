-- A customer's row mirrors its primary email and phone, and its marks are free for others exactly
-- while it is deleted. Of who was erased hashes alone are held, by which they are refused.
with primaries as (
  select workspace_id, customer_id,
         min(value_norm) filter (where type = 'email') as email,
         min(value_norm) filter (where type = 'phone') as phone,
         greatest(count(*) filter (where type = 'email'), count(*) filter (where type = 'phone')) as n
    from identities where is_primary group by 1, 2
), faults as (
  -- No values: they are personal data, and this may stand in a log.
  select format('customer %s, workspace %s: %s is not that of the primary identity', c.id, c.workspace_id,
                case when c.email is distinct from p.email then 'email' else 'phone' end) as fault
    from customers c left join primaries p on p.workspace_id = c.workspace_id and p.customer_id = c.id
   where c.merged_into_id is null and (c.email, c.phone) is distinct from (p.email, p.phone)
  union all
  select format('customer %s, workspace %s, has two primary identities of a type', customer_id, workspace_id)
    from primaries where n > 1
  union all
  select format('customer %s, workspace %s, is deleted and holds identities, or holds none of its own',
                c.id, c.workspace_id)
    from customers c join identities i on i.workspace_id = c.workspace_id and i.customer_id = c.id
   where c.status <> 'erased' and (i.released_at is null) <> (c.deleted_at is null)
  union all
  select format('customer %s, workspace %s, is erased and an identity is not', c.id, c.workspace_id)
    from customers c join identities i on i.workspace_id = c.workspace_id and i.customer_id = c.id
   where c.status = 'erased' and (i.released_at is not null or i.value not like ' erased:%'
                                  or i.value_norm not like ' erased:%')
)
select (select count(*) from customers) as checked, count(*) as faults, min(fault) as first from faults
