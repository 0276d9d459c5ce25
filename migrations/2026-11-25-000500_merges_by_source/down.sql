drop index merges_by_source;
