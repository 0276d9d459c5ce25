-- Whether a refund follows from what a payment provider or the order's state says, and the order's source
-- has not told it under an id of its own yet. That takes its place, so that it counts once.
alter table order_refunds add column is_deduced boolean not null default false;
