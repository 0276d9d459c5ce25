-- What each payment of an order came to and how much of it was paid back, as its provider said last, so
-- that two payments are more than one and the same one told twice is not.
alter table orders add column payments jsonb not null default '{}';
