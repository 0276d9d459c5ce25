drop index webhook_endpoints_former;
alter table webhook_endpoints drop column former;
