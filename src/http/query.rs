//! Query parameters: typed, strict about names, tolerant about how lists are written.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::future::{Ready, ready};

use super::words;
use crate::error::{Error, Result};

/// Query parameters of one struct; several extractors may each take their own from one query.
///
/// Names that no parameter of the operation has are refused before, by comparing the query with
/// the OpenAPI document ([`super::boundary`]).
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(req.query_string()).map(Query))
    }
}

/// Parses a query string.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T> {
    let pairs = serde_html_form::Deserializer::from_bytes(query.as_bytes());
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let (path, text) = (error.path().to_string(), error.inner().to_string());
        // A parameter that is missing has no path; its name stands in the message.
        let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        let name = missing.unwrap_or(path.split(['.', '[']).next().unwrap_or_default()).to_owned();
        if missing.is_some() {
            return Error::parameter(&name, format!("`{name}` is required"));
        }
        let wrong = words::plain(&name, &text);
        let colon = if words::is_demand(&wrong) { "" } else { ":" };
        Error::parameter(&name, format!("`{name}`{colon} {wrong}"))
    })
}

/// A filter that matches any of several values: `a=x,y` and `a=x&a=y` mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AnyOf<T>(pub Vec<T>);

impl<T> Default for AnyOf<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> AnyOf<T> {
    /// `None` where the filter was not given.
    pub fn given(&self) -> Option<&Vec<T>> {
        Some(&self.0).filter(|values| !values.is_empty())
    }
}

impl<'de, T: FromStr> Deserialize<'de> for AnyOf<T>
where
    T::Err: fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_seq(Lists(PhantomData))
    }
}

/// A text that is compared as it stands: one with `*`, as other operations know it, is refused rather
/// than found nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Exact(pub String);

impl FromStr for Exact {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.contains('*') {
            true => {
                Err("must be whole words: `*` is known to the change feed and to webhooks alone")
            }
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl AnyOf<Exact> {
    /// The texts; `None` where the filter was not given.
    pub fn texts(&self) -> Option<Vec<String>> {
        Some(self.given()?.iter().map(|Exact(text)| text.clone()).collect())
    }
}

struct Lists<T>(PhantomData<T>);

impl<'de, T: FromStr> Visitor<'de> for Lists<T>
where
    T::Err: fmt::Display,
{
    type Value = AnyOf<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one or more values separated by commas")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lists: A) -> Result<AnyOf<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(list) = lists.next_element::<String>()? {
            for item in list.split(',') {
                if item.is_empty() {
                    return Err(serde::de::Error::custom("a value is empty"));
                }
                values.push(item.parse().map_err(|error| {
                    serde::de::Error::custom(format_args!("a value is not allowed: {error}"))
                })?);
            }
        }
        if values.len() > 200 {
            return Err(serde::de::Error::custom("at most 200 values"));
        }
        Ok(AnyOf(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Filter {
        #[serde(default)]
        stage: AnyOf<String>,
        limit: Option<u16>,
    }

    #[test]
    fn lists_are_understood_repeated_and_with_commas() {
        for query in ["stage=lead,customer", "stage=lead&stage=customer", "stage=lead%2Ccustomer"] {
            let filter: Filter = parse(query).unwrap();
            assert_eq!(filter.stage.0, ["lead", "customer"], "{query}");
        }
        assert_eq!(parse::<Filter>("other=1").unwrap().stage.given(), None);
        for hole in ["stage=", "stage=lead,,customer", "stage=,", "stage=lead,"] {
            assert!(parse::<Filter>(hole).is_err(), "{hole}");
        }
    }

    #[test]
    fn a_wrong_value_names_its_parameter() {
        let error = parse::<Filter>("limit=many").map(|filter| filter.limit).unwrap_err();
        let rejection = error.rejection().into_owned();
        assert_eq!((rejection.status, rejection.code.as_ref()), (400, "invalid_parameter"));
        assert_eq!(rejection.errors[0].parameter.as_deref(), Some("limit"));
    }
}
