alter table order_line_items drop column product_external_id;
