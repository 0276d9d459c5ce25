-- What holds today is what the ledger says: the word that was said last.
with last as (
  select distinct on (workspace_id, consent_id) * from consent_events
   order by workspace_id, consent_id, occurred_at desc, version
), compared as (
  select case when c.id is null or l.consent_id is null
                or (c.state, c.lawful_basis, c.soft_opt_in, c.decided_at, c.expires_at, c.event_id,
                    c.origin_customer_id, c.channel_type, c.purpose, c.topic)
                   is distinct from
                   (l.state, l.lawful_basis, l.soft_opt_in, l.occurred_at, l.expires_at, l.id,
                    l.origin_customer_id, l.channel_type, l.purpose, l.topic) then
           format('the consent %s, workspace %s, is not what its last event says',
                  coalesce(c.id, l.consent_id), coalesce(c.workspace_id, l.workspace_id))
         end as fault
    from consents c
    full join last l on l.workspace_id = c.workspace_id and l.consent_id = c.id
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
