drop table import_changes;
drop table import_errors;
drop table bulk_pieces;
drop table bulk_jobs;
