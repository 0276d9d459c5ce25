-- What makes a repeat recognisable: each key has its touchpoint, and each touchpoint its key for as
-- long as keys are kept (400 days; $1 is today).
with faults as (
  select format('the key `%s` of `%s`, workspace %s, has no touchpoint', k.message_id, k.source, k.workspace_id)
           as fault
    from touchpoint_keys k
   where not exists (select from touchpoints t
                      where t.workspace_id = k.workspace_id and t.id = k.touchpoint_id
                        and t.source = k.source and t.message_id = k.message_id)
  union all
  select format('the touchpoint %s, workspace %s, has no key, a repeat would be stored again', t.id, t.workspace_id)
    from touchpoints t
   where t.message_id is not null and t.received_at > $1::timestamp at time zone 'UTC' - interval '399 days'
     and not exists (select from touchpoint_keys k
                      where k.workspace_id = t.workspace_id and k.source = t.source
                        and k.message_id = t.message_id)
)
select (select count(*) from touchpoint_keys) as checked, count(*) as faults, min(fault) as first from faults
