-- What was paid back of each order is what its refunds come to.
with refunds as (
  select workspace_id, order_id, sum(amount) as amount from order_refunds group by 1, 2
), compared as (
  select case when o.refunded_total <> coalesce(r.amount, 0) then
           format('order %s, workspace %s: %s paid back, its refunds come to %s',
                  o.id, o.workspace_id, o.refunded_total, coalesce(r.amount, 0))
         end as fault
    from orders o left join refunds r on r.workspace_id = o.workspace_id and r.order_id = o.id
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
