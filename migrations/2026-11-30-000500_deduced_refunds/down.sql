alter table order_refunds drop column is_deduced;
