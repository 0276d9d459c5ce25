drop index webhook_deliveries_waiting;
create index webhook_deliveries_waiting on webhook_deliveries (workspace_id, endpoint_id, sequence)
  where status in ('pending', 'delivering');
drop index webhook_deliveries_waiting_by_customer;
create index webhook_deliveries_waiting_by_customer
  on webhook_deliveries (workspace_id, endpoint_id, customer_id, sequence)
  where status in ('pending', 'delivering');
