-- Each index serves one question alone, so that a planner without statistics, after a crash say, cannot
-- take the other: what is next for an endpoint, and what goes before it of the same customer.
drop index webhook_deliveries_waiting;
create index webhook_deliveries_waiting on webhook_deliveries (workspace_id, endpoint_id, sequence)
  where status = 'pending';
drop index webhook_deliveries_waiting_by_customer;
create index webhook_deliveries_waiting_by_customer
  on webhook_deliveries (workspace_id, endpoint_id, customer_id, sequence)
  where status in ('pending', 'delivering') and failures < 3;
