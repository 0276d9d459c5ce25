drop function erase_consent_evidence(uuid, uuid[]);
drop function erase_touchpoints(uuid, uuid[]);
drop function uuid_v7_time(uuid);
drop index touchpoints_by_browser;
drop table data_request_pieces;
drop table data_requests;
alter table customers drop column restricted_at;
