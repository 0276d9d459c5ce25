drop table suppressions, consent_events, consents;
