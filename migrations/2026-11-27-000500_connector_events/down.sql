drop table connector_events;
