alter table customer_stats drop column currency;
drop table order_fulfillments;
drop table order_refunds;
drop table order_line_items;
drop table orders;
