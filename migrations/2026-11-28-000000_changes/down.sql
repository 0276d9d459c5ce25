drop table feed_heads;
drop table changes;
drop table outbox;
