drop function ensure_touchpoints_partition(date);
drop table touchpoint_daily, customer_activity, touchpoint_keys, touchpoints;
drop function uuid_v7_floor(timestamptz);
