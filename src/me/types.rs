//! What customers see of themselves: their own record without what the company thinks of it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use crate::customers::types::{Address, Preferences};
use crate::customers::{Customer, CustomerPatch};
use crate::db::json::{Expanded, Jsonb, RawJson};
use crate::http::Versioned;
use crate::http::json::null_empties;
use crate::journal::touchpoint::{TouchpointContent, TouchpointSubject};
use crate::journal::{Direction, Touchpoint};
use crate::values::money::Money;
use crate::values::valid;

/// A customer's own record.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyProfile {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Given name.
    #[schema(example = "Ada")]
    pub first_name: Option<String>,
    /// Family name.
    #[schema(example = "Lindqvist")]
    pub last_name: Option<String>,
    /// The name to show, where it is not first and last name.
    pub display_name: Option<String>,
    /// Email address.
    #[schema(example = "ada@shop.example.com")]
    pub email: Option<String>,
    /// Phone number in E.164.
    #[schema(example = "+436641234567")]
    pub phone: Option<String>,
    /// Form of address or job title.
    pub title: Option<String>,
    /// Day of birth.
    pub birth_date: Option<NaiveDate>,
    /// Gender.
    pub gender: Option<String>,
    /// Language and region, BCP 47.
    #[schema(example = "de-AT")]
    pub locale: Option<String>,
    /// IANA time zone.
    #[schema(example = "Europe/Vienna")]
    pub timezone: Option<String>,
    /// Preferred currency, ISO 4217.
    #[schema(example = "EUR")]
    pub currency: Option<String>,
    /// Postal addresses.
    #[schema(value_type = Vec<Address>)]
    pub addresses: RawJson,
    /// What I would like to hear about.
    #[schema(value_type = Option<Preferences>)]
    pub preferences: Option<RawJson>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<Customer> for MyProfile {
    fn from(customer: Customer) -> Self {
        let own = customer.fields;
        Self {
            id: own.id,
            first_name: own.first_name,
            last_name: own.last_name,
            display_name: own.display_name,
            email: own.email,
            phone: own.phone,
            title: own.title,
            birth_date: own.birth_date,
            gender: own.gender,
            locale: own.locale,
            timezone: own.timezone,
            currency: own.currency,
            addresses: own.addresses,
            preferences: own.preferences,
            version: own.version,
            created_at: own.created_at,
            updated_at: own.updated_at,
        }
    }
}

impl Versioned for MyProfile {
    const COLLECTION: &'static str = "/v1/me";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// Changes to a customer's own record: absent fields are left alone, null clears, arrays replace.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MyProfilePatch {
    /// Given name.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 200))]
    #[schema(example = "Ada", max_length = 200)]
    pub first_name: Option<Option<String>>,
    /// Family name.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 200))]
    #[schema(example = "Lindqvist", max_length = 200)]
    pub last_name: Option<Option<String>>,
    /// The name to show, where it is not first and last name.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 400))]
    #[schema(max_length = 400)]
    pub display_name: Option<Option<String>>,
    /// Form of address or job title.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 100))]
    #[schema(max_length = 100)]
    pub title: Option<Option<String>>,
    /// Day of birth.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "valid::date"))]
    pub birth_date: Option<Option<NaiveDate>>,
    /// Gender.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 50))]
    #[schema(max_length = 50)]
    pub gender: Option<Option<String>>,
    /// Language and region, BCP 47.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "valid::locale"))]
    #[schema(example = "de-AT", max_length = 35)]
    pub locale: Option<Option<String>>,
    /// IANA time zone.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "valid::timezone"))]
    #[schema(example = "Europe/Vienna", max_length = 64)]
    pub timezone: Option<Option<String>>,
    /// Preferred currency, ISO 4217.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "valid::currency"))]
    #[schema(example = "EUR", min_length = 3, max_length = 3)]
    pub currency: Option<Option<String>>,
    /// Postal addresses; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 20), nested)]
    #[schema(value_type = Option<Vec<Address>>, max_items = 20)]
    pub addresses: Option<Jsonb<Vec<Address>>>,
    /// What I would like to hear about.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    #[schema(value_type = Option<Preferences>)]
    pub preferences: Option<Option<Jsonb<Preferences>>>,
}

impl MyProfilePatch {
    /// The same changes as anybody makes them.
    pub fn to_patch(&self) -> CustomerPatch {
        CustomerPatch {
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            display_name: self.display_name.clone(),
            title: self.title.clone(),
            birth_date: self.birth_date,
            gender: self.gender.clone(),
            locale: self.locale.clone(),
            timezone: self.timezone.clone(),
            currency: self.currency.clone(),
            addresses: self.addresses.clone(),
            preferences: self.preferences.clone(),
            ..CustomerPatch::default()
        }
    }
}

/// Something that happened between the company and me.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyTouchpoint {
    /// Unique id, a UUIDv7 of the time it happened.
    pub id: Uuid,
    /// What happened, as `noun.past_verb`.
    #[schema(example = "product.viewed")]
    pub r#type: String,
    /// What the sender calls it.
    #[schema(example = "Product Viewed")]
    pub name: Option<String>,
    /// Which way it went, seen from the company.
    pub direction: Direction,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// What it is about.
    pub subject: Option<TouchpointSubject>,
    /// What it was worth.
    pub value: Option<Money>,
    /// What was said or sent.
    #[schema(value_type = Option<TouchpointContent>)]
    pub content: Option<Expanded<TouchpointContent>>,
}

impl From<Touchpoint> for MyTouchpoint {
    fn from(touchpoint: Touchpoint) -> Self {
        Self {
            id: touchpoint.id,
            r#type: touchpoint.r#type,
            name: touchpoint.name,
            direction: touchpoint.direction,
            occurred_at: touchpoint.occurred_at,
            subject: touchpoint.subject,
            value: touchpoint.value,
            content: touchpoint.content,
        }
    }
}
