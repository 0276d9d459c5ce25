alter table orders drop column payments;
