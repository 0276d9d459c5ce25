//! What an organization is: fields as they are stored, sent and changed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::attributes::Attributes;
use crate::db::json::{Jsonb, RawJson};
use crate::error::{Error, Result};
use crate::external_ids::ExternalId;
use crate::http::Versioned;
use crate::http::json::{never_null, null_empties};
use crate::schema::organizations;
use crate::values::money::Money;

/// A company, club or authority that customers belong to.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = organizations)]
pub struct Organization {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Ids in outside systems, at most one per system.
    #[schema(value_type = Vec<ExternalId>)]
    pub external_ids: RawJson,
    /// Name of the organization.
    #[schema(example = "Bergsport Tirol GmbH")]
    pub name: String,
    /// Its internet domains.
    #[schema(example = json!(["bergsport.example.com"]))]
    pub domains: Vec<String>,
    /// Line of business, in the company's own words.
    #[schema(example = "retail")]
    pub industry: Option<String>,
    /// How many people work there.
    #[schema(example = 42)]
    pub employees_count: Option<i32>,
    /// Turnover of a year.
    #[schema(value_type = Option<Money>)]
    pub annual_revenue: Option<RawJson>,
    /// The organization it is part of.
    pub parent_id: Option<Uuid>,
    /// The user who looks after this organization.
    pub owner_id: Option<Uuid>,
    /// Free fields; typed where an attribute definition says so.
    #[schema(value_type = Attributes)]
    pub attributes: RawJson,
    /// Free labels.
    #[schema(example = json!(["key_account"]))]
    pub tags: Vec<String>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted; null while it is not.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Versioned for Organization {
    const COLLECTION: &'static str = "/v1/organizations";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// An organization to be created.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, Insertable, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = organizations)]
pub struct NewOrganization {
    /// Ids in outside systems, at most one per system.
    #[serde(default)]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Vec<ExternalId>, max_items = 50)]
    pub external_ids: Jsonb<Vec<ExternalId>>,
    /// Name of the organization.
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Bergsport Tirol GmbH", min_length = 1, max_length = 200)]
    pub name: String,
    /// Its internet domains, in lower case.
    #[serde(default)]
    #[validate(length(max = 100), custom(function = "valid_domains"))]
    #[schema(value_type = Vec<crate::values::items::Domain>, inline, example = json!(["bergsport.example.com"]), max_items = 100)]
    pub domains: Vec<String>,
    /// Line of business, in the company's own words.
    #[validate(length(max = 100))]
    #[schema(example = "retail", max_length = 100)]
    pub industry: Option<String>,
    /// How many people work there.
    #[validate(range(min = 0))]
    #[schema(example = 42, minimum = 0)]
    pub employees_count: Option<i32>,
    /// Turnover of a year.
    #[validate(nested)]
    #[schema(value_type = Option<Money>)]
    pub annual_revenue: Option<Jsonb<Money>>,
    /// The organization it is part of.
    pub parent_id: Option<Uuid>,
    /// The user who looks after this organization.
    pub owner_id: Option<Uuid>,
    /// Free fields; typed where an attribute definition says so.
    #[serde(default)]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    pub attributes: Jsonb<Attributes>,
    /// Free labels.
    #[serde(default)]
    #[validate(length(max = 100), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["key_account"]), max_items = 100)]
    pub tags: Vec<String>,
}

/// Changes to an organization: absent fields are left alone, null clears what can be empty, arrays
/// replace, `attributes` merge.
#[derive(Debug, Clone, Default, Deserialize, Validate, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = organizations)]
pub struct OrganizationPatch {
    /// Ids in outside systems; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Option<Vec<ExternalId>>, max_items = 50)]
    pub external_ids: Option<Jsonb<Vec<ExternalId>>>,
    /// Name of the organization.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 200))]
    #[schema(example = "Bergsport Tirol GmbH", min_length = 1, max_length = 200, nullable = false)]
    pub name: Option<String>,
    /// Its internet domains, in lower case; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 100), custom(function = "valid_domains"))]
    #[schema(value_type = Option<Vec<crate::values::items::Domain>>, inline, example = json!(["bergsport.example.com"]), max_items = 100)]
    pub domains: Option<Vec<String>>,
    /// Line of business, in the company's own words.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 100))]
    #[schema(example = "retail", max_length = 100)]
    pub industry: Option<Option<String>>,
    /// How many people work there.
    #[serde(default, with = "double_option")]
    #[validate(range(min = 0))]
    #[schema(example = 42, minimum = 0)]
    pub employees_count: Option<Option<i32>>,
    /// Turnover of a year.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    #[schema(value_type = Option<Money>)]
    pub annual_revenue: Option<Option<Jsonb<Money>>>,
    /// The organization it is part of; never itself or one that is part of it.
    #[serde(default, with = "double_option")]
    pub parent_id: Option<Option<Uuid>>,
    /// The user who looks after this organization.
    #[serde(default, with = "double_option")]
    pub owner_id: Option<Option<Uuid>>,
    /// Free fields; the keys given are set, null removes a key.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    #[diesel(skip_update)]
    pub attributes: Option<Jsonb<Attributes>>,
    /// Free labels; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 100), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, example = json!(["key_account"]), max_items = 100)]
    pub tags: Option<Vec<String>>,
}

impl OrganizationPatch {
    /// The same fields for an organization that does not exist yet; 422 without a name.
    pub fn into_new(self) -> Result<NewOrganization> {
        let Some(name) = self.name else {
            return Err(Error::field("#/name", "required", "`name` is required"));
        };
        Ok(NewOrganization {
            external_ids: self.external_ids.unwrap_or_default(),
            name,
            domains: self.domains.unwrap_or_default(),
            industry: self.industry.flatten(),
            employees_count: self.employees_count.flatten(),
            annual_revenue: self.annual_revenue.flatten(),
            parent_id: self.parent_id.flatten(),
            owner_id: self.owner_id.flatten(),
            attributes: self.attributes.unwrap_or_default(),
            tags: self.tags.unwrap_or_default(),
        })
    }
}

/// For `#[validate]`: host names with at least two labels, in lower case (RFC 1035, 2.3.4).
fn valid_domains(domains: &[String]) -> Result<(), ValidationError> {
    if domains.iter().all(|domain| is_domain(domain)) {
        return Ok(());
    }
    let expected = "must be internet domains in lower case, such as `shop.example.com`";
    Err(ValidationError::new("invalid_domain").with_message(expected.into()))
}

/// Whether a text is an internet domain in lower case.
pub fn is_domain(text: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() && !c.is_uppercase() || c == '-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(is_letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_two_lower_case_labels_or_more() {
        for good in ["example.com", "shop.example.com", "a-b.example", "münchen.de", "1.de"] {
            assert!(is_domain(good), "{good}");
        }
        let long = format!("{}.de", "a".repeat(64));
        for bad in [
            "",
            "example",
            "Example.com",
            ".com",
            "a..de",
            "-a.de",
            "a-.de",
            "a b.de",
            "a.de.",
            &long,
        ] {
            assert!(!is_domain(bad), "{bad}");
        }
    }

    #[test]
    fn a_patch_without_a_name_makes_no_organization() {
        let patch: OrganizationPatch = serde_json::from_str(r#"{"industry": null}"#).unwrap();
        assert_eq!(patch.industry, Some(None));
        let error = patch.into_new().unwrap_err();
        assert_eq!(error.rejection().errors[0].pointer.as_deref(), Some("#/name"));
    }
}
