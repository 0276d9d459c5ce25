-- Rises with every change of a job; attempts alone fall when one is given back, and stay when it is tried again.
alter table jobs add column version bigint not null default 1;
