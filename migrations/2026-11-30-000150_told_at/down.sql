alter table products drop column source_updated_at;
alter table identities drop column source_updated_at;
