alter table order_line_items drop constraint order_line_items_product_external_id_length;
alter table order_line_items add constraint order_line_items_product_external_id_length
  check (char_length(product_external_id) <= 255) not valid;
