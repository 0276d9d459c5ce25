//! Every table that holds something about a customer: how its rows are found, what they are called
//! when somebody asks for them, and what becomes of them when that somebody is erased.
//!
//! A table with personal data that does not stand here, or among [`COPIES`] or [`OF_STAFF`], fails a
//! test.

/// What becomes of the rows of a table.
pub enum Erasure {
    /// This statement clears or deletes them. `$1` is the workspace, `$2` the erased customers, `$3`
    /// the time.
    Sql(Treatment, &'static str),
    /// Code of ours does, and which.
    Code(Treatment, &'static str),
    /// They stay, and why.
    Kept(&'static str),
}

crate::text_enum! {
    /// What became of records when their customer was erased.
    pub enum Treatment {
        /// They are there, and nothing in them says whose they were.
        Cleared = "cleared",
        Deleted = "deleted",
        /// They never said anything about a person.
        Kept = "kept",
    }
}

/// One table.
pub struct Part {
    pub table: &'static str,
    /// What the records are, for the person who asks.
    pub about: &'static str,
    /// Which rows of `t` belong to the customers `$2`; every statement asks for the workspace, `$1`,
    /// besides. `None` for the log, which is read in portions.
    pub of: Option<&'static str>,
    pub erasure: Erasure,
}

/// Rows that hang on the orders of a customer.
const OF_ORDERS: &str = "t.order_id in (select id from orders
                                        where workspace_id = $1 and customer_id = any($2))";

/// The tables, in the order in which they are erased.
pub const PARTS: &[Part] = &[
    Part {
        table: "customers",
        about: "The record itself, and those that were merged into it.",
        of: Some("t.id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update customers
                set external_ids = '[]', first_name = null, last_name = null, display_name = null,
                    email = null, phone = null, title = null, birth_date = null, gender = null,
                    locale = null, timezone = null, addresses = '[]', owner_id = null,
                    source = null, acquisition = null, preferences = null, score = null,
                    attributes = '{}', tags = '{}', search_key = '', restricted_at = null,
                    status = 'erased', deleted_at = coalesce(deleted_at, $3),
                    version = version + 1, updated_at = $3
              where workspace_id = $1 and id = any($2)",
        ),
    },
    Part {
        table: "identities",
        about: "By what the customer is recognised: addresses, logins, browsers, outside ids.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Code(Treatment::Cleared, "`customers::erased::forget`"),
    },
    Part {
        table: "memberships",
        about: "The organizations the customer belongs to.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Deleted,
            "delete from memberships where workspace_id = $1 and customer_id = any($2)",
        ),
    },
    Part {
        table: "consents",
        about: "What the customer agreed to, as it stands.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update consents set evidence = null where workspace_id = $1 and customer_id = any($2)",
        ),
    },
    Part {
        table: "consent_events",
        about: "Everything the customer ever agreed to, refused or withdrew.",
        of: Some(
            "t.consent_id in (select id from consents
                               where workspace_id = $1 and customer_id = any($2))",
        ),
        erasure: Erasure::Sql(Treatment::Cleared, "select erase_consent_evidence($1, $2)"),
    },
    Part {
        table: "touchpoints",
        about: "Everything that happened between the company and the customer.",
        of: None,
        erasure: Erasure::Code(Treatment::Cleared, "`erase.rs`, in portions"),
    },
    Part {
        table: "orders",
        about: "What the customer bought, paid and sent back.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update orders
                set email = null, phone = null, billing_address = null, shipping_address = null,
                    note = null, cancel_reason = null, utm = null, attributes = '{}', tags = '{}',
                    search_key = '', version = version + 1, updated_at = $3
              where workspace_id = $1 and customer_id = any($2)",
        ),
    },
    Part {
        table: "order_line_items",
        about: "The lines of the customer's orders.",
        of: Some(OF_ORDERS),
        erasure: Erasure::Kept("what was sold for how much is kept by law, and names nobody"),
    },
    Part {
        table: "order_refunds",
        about: "What the customer was paid back, and why.",
        of: Some(OF_ORDERS),
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update order_refunds set reason = null
              where workspace_id = $1
                and order_id in (select id from orders
                                  where workspace_id = $1 and customer_id = any($2))",
        ),
    },
    Part {
        table: "order_fulfillments",
        about: "What was sent to the customer, and how to follow it.",
        of: Some(OF_ORDERS),
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update order_fulfillments
                set tracking_company = null, tracking_number = null, tracking_url = null
              where workspace_id = $1
                and order_id in (select id from orders
                                  where workspace_id = $1 and customer_id = any($2))",
        ),
    },
    Part {
        table: "carts",
        about: "What the customer thought of buying.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update carts
                set anonymous_id = null, email = null, recovery_url = null, version = version + 1,
                    updated_at = $3
              where workspace_id = $1 and customer_id = any($2)",
        ),
    },
    Part {
        table: "connector_events",
        about: "Messages of the shop about the customer.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Deleted,
            "delete from connector_events where workspace_id = $1 and customer_id = any($2)",
        ),
    },
    Part {
        table: "customer_activity",
        about: "How often the customer did what, first and last.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Kept("figures without a name, which the company's totals are made of"),
    },
    Part {
        table: "customer_stats",
        about: "Figures over what the customer did.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Kept("figures without a name, which the company's totals are made of"),
    },
    Part {
        table: "unique_attributes",
        about: "Values that no other customer or order can have.",
        of: Some(
            "t.resource = 'customer' and t.resource_id = any($2)
             or t.resource = 'order' and t.resource_id in (
                  select id from orders where workspace_id = $1 and customer_id = any($2))",
        ),
        erasure: Erasure::Sql(
            Treatment::Deleted,
            "delete from unique_attributes t
              where workspace_id = $1
                and (t.resource = 'customer' and t.resource_id = any($2)
                     or t.resource = 'order' and t.resource_id in (
                          select id from orders where workspace_id = $1 and customer_id = any($2)))",
        ),
    },
    Part {
        table: "merges",
        about: "Records that were found to be about the same person, and put together.",
        of: Some("t.customer_id = any($2) or t.source_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update merges set fields = '{}', kept = '{}', version = version + 1, updated_at = $3
              where workspace_id = $1 and (customer_id = any($2) or source_id = any($2))",
        ),
    },
    Part {
        table: "merge_candidates",
        about: "Records that may be about the same person.",
        of: Some("t.customer_id = any($2) or t.other_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Deleted,
            "delete from merge_candidates
              where workspace_id = $1 and (customer_id = any($2) or other_id = any($2))",
        ),
    },
    Part {
        table: "data_requests",
        about: "What the customer asked about their own data.",
        of: Some("t.customer_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update data_requests
                set note = null, work = null, extension_reason = null, rejection_reason = null, link_hash = null,
                    link_expires_at = null, archive_expires_at = null, version = version + 1,
                    updated_at = $3
              where workspace_id = $1 and customer_id = any($2)",
        ),
    },
    Part {
        table: "import_changes",
        about: "How the record was before a file was taken in, while that can be undone.",
        of: Some("t.resource_id = any($2)"),
        erasure: Erasure::Sql(
            Treatment::Deleted,
            "delete from import_changes where workspace_id = $1 and resource_id = any($2)",
        ),
    },
    Part {
        table: "webhook_attempts",
        about: "What other systems answered when they were told about the customer.",
        of: Some(
            "t.delivery_id in (select id from webhook_deliveries
                                where workspace_id = $1 and customer_id = any($2))",
        ),
        erasure: Erasure::Sql(
            Treatment::Deleted,
            "delete from webhook_attempts
              where workspace_id = $1
                and delivery_id in (select id from webhook_deliveries
                                     where workspace_id = $1 and customer_id = any($2))",
        ),
    },
    Part {
        table: "webhook_deliveries",
        about: "Which other systems were told what about the customer.",
        of: Some("t.customer_id = any($2)"),
        // What still waited would tell of somebody who is no more; what is under way is not noted.
        erasure: Erasure::Sql(
            Treatment::Cleared,
            "update webhook_deliveries set status = 'skipped', locked_by = null, locked_until = null
              where workspace_id = $1 and customer_id = any($2)
                and status in ('pending', 'delivering')",
        ),
    },
    // What others did is about them: an event about a customer has ids and figures only.
    Part {
        table: "audit_events",
        about: "What the customer did that is kept as evidence, and from where.",
        of: Some("t.actor_id = any($2)"),
        erasure: Erasure::Code(Treatment::Cleared, "`audit::forget`"),
    },
];

/// Tables that hold copies of answers and messages, and what is searched in them for the person. They
/// say nothing that is not in the tables above.
pub const COPIES: &[&str] = &["idempotency_keys", "jobs"];

/// Tables that go with one above.
pub const GO_WITH: &[(&str, &str)] = &[
    ("bulk_jobs", "the question of an export goes with its file, when anybody is erased"),
    ("bulk_pieces", "files are sealed, and go when anybody is erased, or after 14 days"),
    ("import_errors", "refused rows are sealed, and go when anybody is erased, or after 14 days"),
    ("data_request_pieces", "an archive goes when its customer does"),
    ("touchpoint_keys", "the key of a touchpoint goes when that is cleared"),
];

/// Tables about people who work here, who are removed as users.
pub const OF_STAFF: &[&str] = &["users", "login_emails"];
