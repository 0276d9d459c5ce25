-- The directories that are asked before a workspace is known, and the test twins.
with compared as (
  select case when s.workspace_id is null or w.id is null
           then format('the slug `%s` and its workspace do not name each other', slug) end as fault
    from workspace_slugs s
    full join (select id, slug from workspaces where livemode) w using (slug)
  union all
  select case when l.user_id is null or u.id is null
           then format('user %s, workspace %s, and the directory of sign-ins differ',
                       coalesce(u.id, l.user_id), workspace_id) end
    from login_emails l full join users u using (workspace_id, email_norm)
  union all
  select case when twin.id is null
           then format('the twin of workspace %s is not there or has another', w.id) end
    from workspaces w
    left join workspaces twin
      on twin.id = w.twin_id and twin.twin_id = w.id and twin.livemode <> w.livemode
  union all
  select case when w.id is null
           then format('the origin `%s` is allowed for workspace %s, which is not there', origin, workspace_id) end
    from cors_origins o left join workspaces w on w.id = o.workspace_id
)
select count(*) as checked, count(fault) as faults, min(fault) as first from compared
