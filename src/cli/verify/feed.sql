-- The change feed: its places follow one another without a gap, up to its head, and name touchpoints
-- that are there.
with placed as (
  select workspace_id, sequence, touchpoint_ids, sequence + cardinality(touchpoint_ids) as next,
         lead(sequence) over (partition by workspace_id order by sequence) as found
    from changes
), told as (
  select workspace_id, sequence, unnest(touchpoint_ids) as id from changes
  union all
  select workspace_id, null, unnest(touchpoint_ids) from outbox
), compared as (
  select case when coalesce(found, head.sequence + 1) is distinct from next then
           format('after place %s of the feed of workspace %s comes %s', next - 1, workspace_id,
                  coalesce(found, head.sequence + 1))
         end as fault
    from placed left join feed_heads head using (workspace_id)
  union all
  select format('the feed of workspace %s names the touchpoint %s, which is not there', workspace_id, told.id)
    from told
   where not exists (select from touchpoints t where t.workspace_id = told.workspace_id and t.id = told.id)
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
