drop extension btree_gin;
drop extension pg_trgm;
drop function scale_out_directory(regclass);
drop function scale_out(regclass);
