alter table jobs drop column version;
