alter table memberships drop column origin_customer_id;
drop index customers_by_survivor;
drop table merge_candidates;
drop table merges;
