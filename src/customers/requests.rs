//! What callers send of a customer: a new one whole, a known one as a merge patch.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::rust::double_option;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::marks::NewIdentity;
use super::types::{Acquisition, Address, LifecycleStage, Preferences, SettableStatus};
use crate::attributes::Attributes;
use crate::db::json::Jsonb;
use crate::external_ids::ExternalId;
use crate::http::json::{never_null, null_empties};
use crate::schema::customers;
use crate::values::valid;

/// A customer to be created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, Insertable, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[diesel(table_name = customers, treat_none_as_default_value = false)]
pub struct NewCustomer {
    /// Ids in outside systems, at most one per system.
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Vec<ExternalId>, max_items = 50)]
    pub external_ids: Jsonb<Vec<ExternalId>>,
    /// Given name.
    #[validate(length(max = 200))]
    #[schema(example = "Ada", max_length = 200)]
    pub first_name: Option<String>,
    /// Family name.
    #[validate(length(max = 200))]
    #[schema(example = "Lindqvist", max_length = 200)]
    pub last_name: Option<String>,
    /// The name to show, where it is not first and last name.
    #[validate(length(max = 400))]
    #[schema(max_length = 400)]
    pub display_name: Option<String>,
    /// Primary email address.
    #[validate(custom(function = "valid::email"))]
    #[schema(example = "ada@shop.example.com", max_length = 254)]
    #[diesel(skip_insertion)]
    pub email: Option<String>,
    /// Primary phone number, with country code.
    #[validate(length(max = 32), custom(function = "valid::phone"))]
    #[schema(example = "+436641234567", max_length = 32)]
    #[diesel(skip_insertion)]
    pub phone: Option<String>,
    /// Form of address or job title.
    #[validate(length(max = 100))]
    #[schema(max_length = 100)]
    pub title: Option<String>,
    /// Day of birth.
    #[validate(custom(function = "valid::date"))]
    pub birth_date: Option<NaiveDate>,
    /// Gender, in the company's own words.
    #[validate(length(max = 50))]
    #[schema(max_length = 50)]
    pub gender: Option<String>,
    /// Language and region, BCP 47.
    #[validate(custom(function = "valid::locale"))]
    #[schema(example = "de-AT", max_length = 35)]
    pub locale: Option<String>,
    /// IANA time zone.
    #[validate(custom(function = "valid::timezone"))]
    #[schema(example = "Europe/Vienna", max_length = 64)]
    pub timezone: Option<String>,
    /// Preferred currency, ISO 4217.
    #[validate(custom(function = "valid::currency"))]
    #[schema(example = "EUR", min_length = 3, max_length = 3)]
    pub currency: Option<String>,
    /// Postal addresses.
    #[validate(length(max = 20), nested)]
    #[schema(value_type = Vec<Address>, max_items = 20)]
    pub addresses: Jsonb<Vec<Address>>,
    /// How far the customer has come; `lead` unless said otherwise.
    #[diesel(skip_insertion)]
    pub lifecycle_stage: Option<LifecycleStage>,
    /// Whether the customer is in use; `active` unless said otherwise.
    #[diesel(skip_insertion)]
    pub status: Option<SettableStatus>,
    /// The user who looks after this customer.
    pub owner_id: Option<Uuid>,
    /// Where the record came from.
    #[validate(length(max = 100))]
    #[schema(example = "shop", max_length = 100)]
    pub source: Option<String>,
    /// How the customer first found the company.
    #[validate(nested)]
    #[schema(value_type = Option<Acquisition>)]
    pub acquisition: Option<Jsonb<Acquisition>>,
    /// What the customer would like to hear about.
    #[validate(nested)]
    #[schema(value_type = Option<Preferences>)]
    pub preferences: Option<Jsonb<Preferences>>,
    /// Lead score.
    pub score: Option<i32>,
    /// Free fields; typed where an attribute definition says so.
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    pub attributes: Jsonb<Attributes>,
    /// Free labels.
    #[validate(length(max = 100), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["club"]), max_items = 100)]
    pub tags: Vec<String>,
    /// Further identities: other addresses, logins, browser ids.
    #[validate(length(max = 50), nested)]
    #[schema(max_items = 50)]
    #[diesel(skip_insertion)]
    pub identities: Vec<NewIdentity>,
}

/// Changes to a customer: absent fields are left alone, null clears, arrays replace, `attributes`
/// merge.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = customers)]
pub struct CustomerPatch {
    /// Ids in outside systems; replaces all.
    #[serde(default, deserialize_with = "null_empties", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Option<Vec<ExternalId>>, max_items = 50)]
    pub external_ids: Option<Jsonb<Vec<ExternalId>>>,
    /// Given name.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 200))]
    #[schema(example = "Ada", max_length = 200)]
    pub first_name: Option<Option<String>>,
    /// Family name.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 200))]
    #[schema(example = "Lindqvist", max_length = 200)]
    pub last_name: Option<Option<String>>,
    /// The name to show, where it is not first and last name.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 400))]
    #[schema(max_length = 400)]
    pub display_name: Option<Option<String>>,
    /// Primary email address; the former one is given up.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "valid::email"))]
    #[schema(example = "ada@shop.example.com", max_length = 254)]
    #[diesel(skip_update)]
    pub email: Option<Option<String>>,
    /// Primary phone number, with country code; the former one is given up.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 32), custom(function = "valid::phone"))]
    #[schema(example = "+436641234567", max_length = 32)]
    #[diesel(skip_update)]
    pub phone: Option<Option<String>>,
    /// Form of address or job title.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 100))]
    #[schema(max_length = 100)]
    pub title: Option<Option<String>>,
    /// Day of birth.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "valid::date"))]
    pub birth_date: Option<Option<NaiveDate>>,
    /// Gender, in the company's own words.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 50))]
    #[schema(max_length = 50)]
    pub gender: Option<Option<String>>,
    /// Language and region, BCP 47.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "valid::locale"))]
    #[schema(example = "de-AT", max_length = 35)]
    pub locale: Option<Option<String>>,
    /// IANA time zone.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "valid::timezone"))]
    #[schema(example = "Europe/Vienna", max_length = 64)]
    pub timezone: Option<Option<String>>,
    /// Preferred currency, ISO 4217.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "valid::currency"))]
    #[schema(example = "EUR", min_length = 3, max_length = 3)]
    pub currency: Option<Option<String>>,
    /// Postal addresses; replaces all.
    #[serde(default, deserialize_with = "null_empties", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 20), nested)]
    #[schema(value_type = Option<Vec<Address>>, max_items = 20)]
    pub addresses: Option<Jsonb<Vec<Address>>>,
    /// How far the customer has come; a manual move, any way.
    #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub lifecycle_stage: Option<LifecycleStage>,
    /// Whether the customer is in use.
    #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<SettableStatus>,
    /// The user who looks after this customer.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<Option<Uuid>>,
    /// Where the record came from.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 100))]
    #[schema(example = "shop", max_length = 100)]
    pub source: Option<Option<String>>,
    /// How the customer first found the company.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    #[schema(value_type = Option<Acquisition>)]
    pub acquisition: Option<Option<Jsonb<Acquisition>>>,
    /// What the customer would like to hear about.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    #[schema(value_type = Option<Preferences>)]
    pub preferences: Option<Option<Jsonb<Preferences>>>,
    /// Lead score.
    #[serde(default, with = "double_option", skip_serializing_if = "Option::is_none")]
    pub score: Option<Option<i32>>,
    /// Free fields; the keys given are set, null removes a key.
    #[serde(default, deserialize_with = "never_null", skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    #[diesel(skip_update)]
    pub attributes: Option<Jsonb<Attributes>>,
    /// Free labels; replaces all.
    #[serde(default, deserialize_with = "null_empties", skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 100), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, example = json!(["club"]), max_items = 100)]
    pub tags: Option<Vec<String>>,
}

impl CustomerPatch {
    /// The same fields for a customer that does not exist yet.
    pub fn into_new(self) -> crate::error::Result<NewCustomer> {
        let broken = |error: serde_json::Error| crate::error::Error::internal(error.to_string());
        let mut fields = serde_json::to_value(&self).map_err(broken)?;
        if let Value::Object(map) = &mut fields {
            map.retain(|_, value| !value.is_null());
        }
        let mut new: NewCustomer = serde_json::from_value(fields).map_err(broken)?;
        let given = std::mem::take(&mut new.attributes.0.0);
        crate::attributes::merge(&mut new.attributes.0.0, &given);
        Ok(new)
    }
}
