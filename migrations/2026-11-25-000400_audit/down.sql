drop table audit_seals, audit_events;
