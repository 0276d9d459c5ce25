-- What an order was called before it was deleted: a shop's older news must not make it anew.
create index orders_deleted_by_external_ids on orders
  using gin (workspace_id, external_ids jsonb_path_ops) where deleted_at is not null;
