drop table memberships, organizations;
