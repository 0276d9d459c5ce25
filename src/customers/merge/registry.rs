//! Every table that refers to a customer, and what a merge and its undoing do there.
//!
//! A table that names a customer and does not stand here fails a test.

/// What happens to the rows of a table. In each statement `$1` is the workspace, `$2` the merged
/// customer and `$3` the one that stays.
pub struct Part {
    pub table: &'static str,
    /// Gives rows of `$2` to `$3`.
    pub join: &'static str,
    /// Gives rows of `$3` whose origin is among `$4` (the merged customer and those merged into it
    /// before) back to `$2`. `$5` is what was kept of the table.
    pub undo: &'static str,
    /// One JSON value that `undo` needs and no row remembers, asked for before `join`.
    pub keep: Option<&'static str>,
}

/// Tables whose rows move at once, in this order.
pub const PARTS: &[Part] = &[
    // Marks come along; a primary one stays primary where the survivor has none of its type. The
    // merged row still says which were its own.
    Part {
        table: "identities",
        join: "update identities set customer_id = $3,
                    is_primary = is_primary and not exists (
                      select from identities held
                       where held.workspace_id = $1 and held.customer_id = $3
                         and held.type = identities.type and held.is_primary)
              where workspace_id = $1 and customer_id = $2",
        undo: "update identities set customer_id = $2,
                    is_primary = coalesce(value_norm = case type when 'email' then c.email
                                                                 when 'phone' then c.phone end, false)
               from customers c
              where identities.workspace_id = $1 and identities.customer_id = $3
                and origin_customer_id = any($4)
                and c.workspace_id = $1 and c.id = $2",
        keep: None,
    },
    // Where both are members, both rows stay; nobody sees the merged one's until it is undone.
    Part {
        table: "memberships",
        join: "update memberships set customer_id = $3,
                    is_primary = is_primary and not exists (
                      select from memberships held
                       where held.workspace_id = $1 and held.customer_id = $3 and held.is_primary)
              where workspace_id = $1 and customer_id = $2
                and not exists (
                  select from memberships mine
                   where mine.workspace_id = $1 and mine.customer_id = $3
                     and mine.organization_id = memberships.organization_id)",
        undo: "update memberships set customer_id = $2,
                    is_primary = coalesce(organization_id::text = $5 #>> '{}', false)
              where workspace_id = $1 and customer_id = $3 and origin_customer_id = any($4)",
        keep: Some(
            "select to_jsonb(organization_id) as value from memberships
              where workspace_id = $1 and customer_id = $2 and is_primary",
        ),
    },
    // What was said stays with who said it: the ledger names origins, and the latest word holds.
    Part {
        table: "consents",
        join: "update consents set customer_id = $3 where workspace_id = $1 and customer_id = $2",
        undo: "update consents set customer_id = $2
                where workspace_id = $1 and customer_id = $3 and origin_customer_id = any($4)",
        keep: None,
    },
    // The figures that orders add up to go along; the first and last of who gives some away are looked
    // up again, without those that go.
    Part {
        table: "orders",
        join: "with given as (
                 select orders_count, total_spent, first_order_at, last_order_at, currency
                   from customer_stats where workspace_id = $1 and customer_id = $2 for update
               ), less as (
                 update customer_stats
                    set orders_count = 0, total_spent = 0, first_order_at = null, last_order_at = null
                  where workspace_id = $1 and customer_id = $2
               ), more as (
                 insert into customer_stats as s (workspace_id, customer_id, touchpoints_count,
                   orders_count, total_spent, first_order_at, last_order_at, currency)
                 select $1, $3, 0, orders_count, total_spent, first_order_at, last_order_at, currency
                   from given where orders_count <> 0 or total_spent <> 0
                 on conflict (workspace_id, customer_id) do update
                    set orders_count = s.orders_count + excluded.orders_count,
                        total_spent = s.total_spent + excluded.total_spent,
                        first_order_at = least(s.first_order_at, excluded.first_order_at),
                        last_order_at = greatest(s.last_order_at, excluded.last_order_at),
                        currency = coalesce(s.currency, excluded.currency)
               )
               update orders set customer_id = $3 where workspace_id = $1 and customer_id = $2",
        undo: "with back as (
                 update orders set customer_id = $2
                  where workspace_id = $1 and customer_id = $3 and origin_customer_id = any($4)
                 returning placed_at, currency, paid_total - refunded_total as spent,
                           status <> 'cancelled' and deleted_at is null as counts
               ), given as (
                 select count(*) as orders_count, min(placed_at) as first_order_at,
                        max(placed_at) as last_order_at, s.currency,
                        coalesce(sum(spent) filter (where back.currency = s.currency), 0)::bigint
                          as total_spent
                   from back, customer_stats s
                  where counts and s.workspace_id = $1 and s.customer_id = $3 group by s.currency
               ), less as (
                 update customer_stats s
                    set orders_count = s.orders_count - given.orders_count,
                        total_spent = s.total_spent - given.total_spent,
                        (first_order_at, last_order_at) = (
                          select min(placed_at), max(placed_at) from orders
                           where workspace_id = $1 and customer_id = $3
                             and origin_customer_id <> all($4)
                             and status <> 'cancelled' and deleted_at is null)
                   from given
                  where s.workspace_id = $1 and s.customer_id = $3
               )
               insert into customer_stats as s (workspace_id, customer_id, touchpoints_count,
                 orders_count, total_spent, first_order_at, last_order_at, currency)
               select $1, $2, 0, orders_count, total_spent, first_order_at, last_order_at, currency
                 from given
               on conflict (workspace_id, customer_id) do update
                  set orders_count = s.orders_count + excluded.orders_count,
                      total_spent = s.total_spent + excluded.total_spent,
                      first_order_at = least(s.first_order_at, excluded.first_order_at),
                      last_order_at = greatest(s.last_order_at, excluded.last_order_at),
                      currency = coalesce(s.currency, excluded.currency)",
        keep: None,
    },
    Part {
        table: "carts",
        join: "update carts set customer_id = $3 where workspace_id = $1 and customer_id = $2",
        undo: "update carts set customer_id = $2
                where workspace_id = $1 and customer_id = $3 and origin_customer_id = any($4)",
        keep: None,
    },
    // A value that the survivor took is held by it; what it did not take stays held for an undoing.
    Part {
        table: "unique_attributes",
        join: "update unique_attributes set resource_id = $3
               from customers c
              where unique_attributes.workspace_id = $1 and resource = 'customer' and resource_id = $2
                and c.workspace_id = $1 and c.id = $3
                and c.attributes ->> unique_attributes.key = unique_attributes.value",
        undo: "update unique_attributes set resource_id = $2
               from customers c
              where unique_attributes.workspace_id = $1 and resource = 'customer' and resource_id = $3
                and c.workspace_id = $1 and c.id = $2
                and c.attributes ->> unique_attributes.key = unique_attributes.value",
        keep: None,
    },
];

/// Tables that take part in another way, or have a reason not to, and which.
pub const OTHERS: &[(&str, &str)] = &[
    ("touchpoints", "moved in portions, see `rows.rs`"),
    ("customer_activity", "moves with the touchpoints that it counts"),
    ("customer_stats", "moves with the touchpoints and orders that it counts"),
    (
        "connector_events",
        "name whom they were about as it was; an erasure looks for all who became one",
    ),
    (
        "webhook_deliveries",
        "keep the order of events about whom they were about when they were told",
    ),
    ("audit_events", "tell what was done to whom as it was done"),
    ("consent_events", "the ledger follows its consent, and names whose word it was at first"),
    ("data_requests", "name who asked; whoever answers is led to the survivor"),
    ("customers", "`merged_into_id` says what this merge did"),
    ("import_changes", "name what an import did to which record; what changed since is left alone"),
    ("merges", "the record of this and of earlier merges"),
    (
        "merge_candidates",
        "names the two as they were; whoever decides later is led to the survivors",
    ),
    ("external_ids", "those of customers are identities"),
];
