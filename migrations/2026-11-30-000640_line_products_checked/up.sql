-- Reads all lines, beside whoever orders: apart from the migration that adds the column, which nobody can.
alter table order_line_items validate constraint order_line_items_product_external_id_length;
