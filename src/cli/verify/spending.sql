-- What each customer ordered and spent, against the orders that count. A customer without orders may
-- have no row.
with counting as (
  select * from orders where customer_id is not null and status <> 'cancelled' and deleted_at is null
), ordered as (
  select o.workspace_id, o.customer_id, count(*) as n, min(placed_at) as first_at, max(placed_at) as last_at,
         coalesce(sum(paid_total - refunded_total) filter (where o.currency = s.currency), 0) as spent
    from counting o left join customer_stats s using (workspace_id, customer_id)
   group by 1, 2
), compared as (
  select case when (coalesce(s.orders_count, 0), coalesce(s.total_spent, 0), s.first_order_at, s.last_order_at)
                   is distinct from (coalesce(o.n, 0), coalesce(o.spent, 0), o.first_at, o.last_at) then
           format('customer %s, workspace %s: counted %s orders and %s spent, there are %s and %s',
                  customer_id, workspace_id, coalesce(s.orders_count, 0), coalesce(s.total_spent, 0),
                  coalesce(o.n, 0), coalesce(o.spent, 0))
         end as fault
    from customer_stats s full join ordered o using (workspace_id, customer_id)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
