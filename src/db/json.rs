//! JSON columns: parsed into a type where we look inside, passed through unparsed where we only
//! echo.

use std::io::Write;
use std::ops::{Deref, DerefMut};

use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use validator::{Validate, ValidationErrors};

/// The first byte of `jsonb` on the wire.
const JSONB_VERSION: u8 = 1;

/// A `jsonb` column that holds a `T`.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow,
)]
#[serde(transparent)]
#[diesel(sql_type = sql_types::Jsonb)]
pub struct Jsonb<T>(pub T);

impl<T> Deref for Jsonb<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Jsonb<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Validate> Validate for Jsonb<T> {
    fn validate(&self) -> Result<(), ValidationErrors> {
        self.0.validate()
    }
}

impl<T: Serialize + std::fmt::Debug> ToSql<sql_types::Jsonb, Pg> for Jsonb<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        out.write_all(&[JSONB_VERSION])?;
        serde_json::to_writer(out, &self.0)?;
        Ok(IsNull::No)
    }
}

impl<T: DeserializeOwned + std::fmt::Debug> FromSql<sql_types::Jsonb, Pg> for Jsonb<T> {
    fn from_sql(value: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(Self(serde_json::from_slice(text(value.as_bytes())?)?))
    }
}

/// A `jsonb` column that is only echoed: never parsed, so lists cost less.
#[derive(Debug, Clone, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[serde(transparent)]
#[diesel(sql_type = sql_types::Jsonb)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// The text of the JSON.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// What was just stored, without reading it back.
    pub fn of(value: &impl Serialize) -> crate::error::Result<Self> {
        let raw = serde_json::value::to_raw_value(value);
        raw.map(Self).map_err(|error| crate::error::Error::internal(error.to_string()))
    }

    /// Looks inside after all.
    pub fn parse<T: DeserializeOwned>(&self) -> crate::error::Result<T> {
        serde_json::from_str(self.text())
            .map_err(|error| crate::error::Error::internal(format!("stored JSON: {error}")))
    }
}

impl FromSql<sql_types::Jsonb, Pg> for RawJson {
    fn from_sql(value: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        let text = std::str::from_utf8(text(value.as_bytes())?)?;
        Ok(Self(RawValue::from_string(text.to_owned())?))
    }
}

/// A `jsonb` column that was stored without its nulls and is shown with every key of `T`.
#[derive(Debug, Clone)]
pub struct Expanded<T> {
    stored: RawJson,
    shape: std::marker::PhantomData<T>,
}

impl<T> Expanded<T> {
    pub fn new(stored: RawJson) -> Self {
        Self { stored, shape: std::marker::PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> Serialize for Expanded<T> {
    fn serialize<S: serde::Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let value: T =
            serde_json::from_str(self.stored.text()).map_err(serde::ser::Error::custom)?;
        value.serialize(target)
    }
}

/// The JSON of a value without the keys that are null: what [`Expanded`] reads back.
pub fn compact(value: &impl Serialize) -> crate::error::Result<serde_json::Value> {
    fn strip(value: &mut serde_json::Value) {
        if let serde_json::Value::Object(map) = value {
            map.retain(|_, inner| !inner.is_null());
            map.values_mut().for_each(strip);
        }
    }
    let mut json = serde_json::to_value(value)
        .map_err(|error| crate::error::Error::internal(error.to_string()))?;
    strip(&mut json);
    Ok(json)
}

fn text(bytes: &[u8]) -> diesel::deserialize::Result<&[u8]> {
    match bytes {
        [JSONB_VERSION, text @ ..] => Ok(text),
        _ => Err("unknown jsonb version".into()),
    }
}
