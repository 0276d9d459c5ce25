//! The names of database constraints that callers meet: each is the code of an error.

/// Every constraint whose name can be the `code` of an answer.
pub const ANSWERED: &[&str] = &[
    "api_keys_hash_taken",
    "attribute_definitions_key_taken",
    "external_ids_taken",
    "identities_value_taken",
    "products_sku_taken",
    "suppressions_address_taken",
    "tags_name_taken",
    "trusted_issuers_issuer_taken",
    "unique_attributes_value_taken",
    "users_email_taken",
    "workspaces_slug_taken",
];

/// Whether `code` is the name of a constraint rather than one of [`crate::error::Code`].
pub fn is_known(code: &str) -> bool {
    ANSWERED.contains(&code)
}
