drop table products;
delete from attribute_definitions where resource in ('product', 'order');
alter table attribute_definitions drop constraint attribute_definitions_resource_known;
alter table attribute_definitions add constraint attribute_definitions_resource_known
  check (resource in ('customer', 'organization', 'channel'));
