-- What the order's source calls the product of a line, whether or not we know that product: events that
-- come later name the line by it.
alter table order_line_items add column product_external_id text;
-- Checked by the next migration: nobody can order while this one runs.
alter table order_line_items add constraint order_line_items_product_external_id_length
  check (char_length(product_external_id) <= 255) not valid;
