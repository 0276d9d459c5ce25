-- What no foreign key keeps: whoever is named is there, in the same workspace.
with named as (
  select 'touchpoint ' || id as who, workspace_id, 'customer' as what, customer_id as whom
    from touchpoints where customer_id is not null
  union all
  select 'touchpoint ' || id, workspace_id, 'organization', organization_id
    from touchpoints where organization_id is not null
  union all
  select 'touchpoint ' || id, workspace_id, 'channel', channel_id
    from touchpoints where channel_id is not null
  union all
  select 'customer_stats', workspace_id, 'customer', customer_id from customer_stats
  union all
  select 'customer_activity of ' || type, workspace_id, 'customer', customer_id from customer_activity
  union all
  select 'touchpoint_counts of ' || at, workspace_id, 'channel', channel_id
    from touchpoint_counts where channel_id <> '00000000-0000-0000-0000-000000000000'
  union all
  select 'external id of ' || source, workspace_id,
         case when resource in ('payment', 'awaited_cart') then 'order' else resource end, resource_id from external_ids
  union all
  select 'unique value of ' || key, workspace_id, resource, resource_id from unique_attributes
  union all
  select 'customer ' || id, workspace_id, 'workspace', workspace_id from customers
  union all
  select 'organization ' || id, workspace_id, 'workspace', workspace_id from organizations
  union all
  select 'channel ' || id, workspace_id, 'workspace', workspace_id from channels
  union all
  select 'attribute definition ' || id, workspace_id, 'workspace', workspace_id from attribute_definitions
  union all
  select 'consent ' || id, workspace_id, 'customer', origin_customer_id from consents
  union all
  select 'consent ' || id, workspace_id, 'workspace', workspace_id from consents
  union all
  select 'suppression ' || id, workspace_id, 'workspace', workspace_id from suppressions
  union all
  select 'tag ' || id, workspace_id, 'workspace', workspace_id from tags
  union all
  select 'order ' || id, workspace_id, 'cart', cart_id from orders where cart_id is not null
  union all
  select 'cart ' || id, workspace_id, 'order', order_id from carts where order_id is not null
  union all
  select 'message of a shop ' || id, workspace_id, 'channel', channel_id from connector_events
  union all
  select 'message of a shop ' || id, workspace_id, 'customer', customer_id
    from connector_events where customer_id is not null
  union all
  select 'delivery ' || id, workspace_id, 'customer', customer_id
    from webhook_deliveries where customer_id is not null
  union all
  select 'product ' || id, workspace_id, 'workspace', workspace_id from products
  union all
  select 'order ' || id, workspace_id, 'workspace', workspace_id from orders
  union all
  select 'cart ' || id, workspace_id, 'workspace', workspace_id from carts
  union all
  select 'webhook endpoint ' || id, workspace_id, 'workspace', workspace_id from webhook_endpoints
  union all
  select 'touchpoints', workspace_id, 'workspace', workspace_id from touchpoints group by workspace_id
), there as (
  select workspace_id, 'customer' as what, id as whom from customers
  union all
  select workspace_id, 'organization', id from organizations
  union all
  select workspace_id, 'channel', id from channels
  union all
  select workspace_id, 'product', id from products
  union all
  select workspace_id, 'order', id from orders
  union all
  select workspace_id, 'cart', id from carts
  union all
  select id, 'workspace', id from workspaces
), compared as (
  select case when there.whom is null then
           format('%s, workspace %s, names the %s %s, which is not there', who, workspace_id, what, whom)
         end as fault
    from named left join there using (workspace_id, what, whom)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
