//! What a product is: fields as they are stored, sent and changed.

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
use crate::schema::products;
use crate::values::money::Money;

crate::text_enum! {
    /// Whether a product is on sale.
    pub enum ProductStatus {
        Active = "active",
        Draft = "draft",
        Archived = "archived",
    }
}

/// Something the company sells.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = products)]
pub struct Product {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Ids in outside systems, at most one per system.
    #[schema(value_type = Vec<ExternalId>)]
    pub external_ids: RawJson,
    /// Stock-keeping unit, unique while the product is not deleted.
    #[schema(example = "ROPE-60-BLUE")]
    pub sku: Option<String>,
    /// Name of the product.
    #[schema(example = "Single rope 9.5 mm, 60 m")]
    pub name: String,
    /// What it is, in a few sentences.
    pub description: Option<String>,
    /// Brand.
    #[schema(example = "Alpenglow")]
    pub brand: Option<String>,
    /// Category, in the shop's own words.
    #[schema(example = "Ropes")]
    pub category: Option<String>,
    /// Price of one.
    #[schema(value_type = Option<Money>, example = json!({ "amount": 14990, "currency": "EUR" }))]
    pub price: Option<RawJson>,
    /// Its page in the shop.
    #[schema(example = "https://shop.example.com/products/rope-60")]
    pub url: Option<String>,
    /// A picture of it.
    #[schema(example = "https://shop.example.com/images/rope-60.jpg")]
    pub image_url: Option<String>,
    /// Whether it is on sale.
    pub status: ProductStatus,
    /// Free fields; typed where an attribute definition says so.
    #[schema(value_type = Attributes)]
    pub attributes: RawJson,
    /// Free labels.
    #[schema(example = json!(["climbing"]))]
    pub tags: Vec<String>,
    /// When its source says that it last changed it.
    pub source_updated_at: Option<DateTime<Utc>>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted; null while it is not.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Versioned for Product {
    const COLLECTION: &'static str = "/v1/products";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// A product to be created.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, Insertable, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = products)]
pub struct NewProduct {
    /// Ids in outside systems, at most one per system.
    #[serde(default)]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Vec<ExternalId>, max_items = 50)]
    pub external_ids: Jsonb<Vec<ExternalId>>,
    /// Stock-keeping unit, unique while the product is not deleted.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "ROPE-60-BLUE", min_length = 1, max_length = 100)]
    pub sku: Option<String>,
    /// Name of the product.
    #[validate(length(min = 1, max = 500))]
    #[schema(example = "Single rope 9.5 mm, 60 m", min_length = 1, max_length = 500)]
    pub name: String,
    /// What it is, in a few sentences.
    #[validate(length(max = 10_000))]
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// Brand.
    #[validate(length(max = 200))]
    #[schema(example = "Alpenglow", max_length = 200)]
    pub brand: Option<String>,
    /// Category, in the shop's own words.
    #[validate(length(max = 500))]
    #[schema(example = "Ropes", max_length = 500)]
    pub category: Option<String>,
    /// Price of one.
    #[validate(nested, custom(function = "not_negative"))]
    #[schema(value_type = Option<Money>, example = json!({ "amount": 14990, "currency": "EUR" }))]
    pub price: Option<Jsonb<Money>>,
    /// Its page in the shop.
    #[validate(custom(function = "crate::values::valid::url"), length(max = 2000))]
    #[schema(example = "https://shop.example.com/products/rope-60", max_length = 2000)]
    pub url: Option<String>,
    /// A picture of it.
    #[validate(custom(function = "crate::values::valid::url"), length(max = 2000))]
    #[schema(example = "https://shop.example.com/images/rope-60.jpg", max_length = 2000)]
    pub image_url: Option<String>,
    /// Whether it is on sale; `active` unless said otherwise.
    #[diesel(skip_insertion)]
    pub status: Option<ProductStatus>,
    /// Free fields; typed where an attribute definition says so.
    #[serde(default)]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    pub attributes: Jsonb<Attributes>,
    /// Free labels.
    #[serde(default)]
    #[validate(length(max = 100), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Vec<crate::values::items::Word>, inline, example = json!(["climbing"]), max_items = 100)]
    pub tags: Vec<String>,
    /// When its source says that it last changed it: what is older than what is known changes nothing.
    #[validate(custom(function = "crate::values::valid::time"))]
    pub source_updated_at: Option<DateTime<Utc>>,
}

/// For `#[validate]`: nobody is paid for taking it.
fn not_negative(price: &Jsonb<Money>) -> Result<(), ValidationError> {
    if price.amount >= 0 {
        return Ok(());
    }
    Err(ValidationError::new("out_of_range").with_message("must not be negative".into()))
}

/// Changes to a product: absent fields are left alone, null clears what can be empty, arrays replace,
/// `attributes` merge.
#[derive(Debug, Clone, Deserialize, Validate, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = products)]
pub struct ProductPatch {
    /// Ids in outside systems; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 50), nested)]
    #[schema(value_type = Option<Vec<ExternalId>>, max_items = 50)]
    pub external_ids: Option<Jsonb<Vec<ExternalId>>>,
    /// Stock-keeping unit, unique while the product is not deleted.
    #[serde(default, with = "double_option")]
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "ROPE-60-BLUE", min_length = 1, max_length = 100)]
    pub sku: Option<Option<String>>,
    /// Name of the product.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 500))]
    #[schema(
        example = "Single rope 9.5 mm, 60 m",
        min_length = 1,
        max_length = 500,
        nullable = false
    )]
    pub name: Option<String>,
    /// What it is, in a few sentences.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 10_000))]
    #[schema(max_length = 10_000)]
    pub description: Option<Option<String>>,
    /// Brand.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 200))]
    #[schema(example = "Alpenglow", max_length = 200)]
    pub brand: Option<Option<String>>,
    /// Category, in the shop's own words.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 500))]
    #[schema(example = "Ropes", max_length = 500)]
    pub category: Option<Option<String>>,
    /// Price of one.
    #[serde(default, with = "double_option")]
    #[validate(nested, custom(function = "not_negative"))]
    #[schema(value_type = Option<Money>)]
    pub price: Option<Option<Jsonb<Money>>>,
    /// Its page in the shop.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "crate::values::valid::url"), length(max = 2000))]
    #[schema(example = "https://shop.example.com/products/rope-60", max_length = 2000)]
    pub url: Option<Option<String>>,
    /// A picture of it.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "crate::values::valid::url"), length(max = 2000))]
    #[schema(example = "https://shop.example.com/images/rope-60.jpg", max_length = 2000)]
    pub image_url: Option<Option<String>>,
    /// Whether it is on sale.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub status: Option<ProductStatus>,
    /// Free fields; the keys given are set, null removes a key.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "crate::attributes::valid"))]
    #[schema(value_type = Attributes)]
    #[diesel(skip_update)]
    pub attributes: Option<Jsonb<Attributes>>,
    /// Free labels; replaces all.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 100), custom(function = "crate::values::valid::tags"))]
    #[schema(value_type = Option<Vec<crate::values::items::Word>>, inline, example = json!(["climbing"]), max_items = 100)]
    pub tags: Option<Vec<String>>,
    /// When its source says that it last changed it: what is older than what is known changes nothing.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(custom(function = "crate::values::valid::time"))]
    #[schema(nullable = false)]
    pub source_updated_at: Option<DateTime<Utc>>,
}

impl From<NewProduct> for ProductPatch {
    /// What is said about a product that is there: what is not said, or empty, is left alone.
    fn from(new: NewProduct) -> Self {
        Self {
            external_ids: Some(new.external_ids),
            sku: new.sku.map(Some),
            name: Some(new.name),
            description: new.description.map(Some),
            brand: new.brand.map(Some),
            category: new.category.map(Some),
            price: new.price.map(Some),
            url: new.url.map(Some),
            image_url: new.image_url.map(Some),
            status: new.status,
            attributes: Some(new.attributes).filter(|given| !given.0.0.is_empty()),
            tags: Some(new.tags).filter(|tags| !tags.is_empty()),
            source_updated_at: new.source_updated_at,
        }
    }
}

impl ProductPatch {
    /// The same fields for a product that does not exist yet; 422 without a name.
    pub fn into_new(self) -> Result<NewProduct> {
        let Some(name) = self.name else {
            return Err(Error::field("#/name", "required", "`name` is required"));
        };
        Ok(NewProduct {
            external_ids: self.external_ids.unwrap_or_default(),
            sku: self.sku.flatten(),
            name,
            description: self.description.flatten(),
            brand: self.brand.flatten(),
            category: self.category.flatten(),
            price: self.price.flatten(),
            url: self.url.flatten(),
            image_url: self.image_url.flatten(),
            status: self.status,
            attributes: self.attributes.unwrap_or_default(),
            tags: self.tags.unwrap_or_default(),
            source_updated_at: self.source_updated_at,
        })
    }
}
