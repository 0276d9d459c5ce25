//! Which records an export takes: those that the list of the resource would show with the same filters.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::IntoParams;

use super::exports::ExportSettings;
use super::row::BulkResource;
use crate::carts::list::{self as carts, CartFilter};
use crate::customers::{self, CustomerFilter};
use crate::db::Conn;
use crate::db::ids::IdRange;
use crate::error::{Error, FieldError, Result};
use crate::http::query;
use crate::journal::read;
use crate::orders::list::{self as orders, OrderFilter};
use crate::organizations::{self, OrganizationFilter};
use crate::predicate::Predicate;
use crate::products::{self, ProductFilter};
use crate::touchpoints::{TimelineFilter, TouchpointFilter};

/// Filters by the names that they have in the address of a list.
pub type Filters = BTreeMap<String, String>;

/// What an export asks for.
pub enum Question {
    Customers(Box<CustomerFilter>, Option<Predicate>),
    Organizations(Box<OrganizationFilter>),
    Touchpoints(TouchpointFilter, Box<TimelineFilter>),
    Products(Box<ProductFilter>),
    Orders(Box<OrderFilter>),
    Carts(Box<CartFilter>),
}

impl Question {
    /// Reads the filters of an export; 422 for those that the list does not have.
    pub fn of(resource: BulkResource, settings: &ExportSettings) -> Result<Self> {
        let filters = settings.filter.clone().unwrap_or_default();
        let mut reader = Reader { filters: &filters, known: Vec::new() };
        let question = match resource {
            BulkResource::Customers => {
                Self::Customers(Box::new(reader.read()?), settings.r#where.clone())
            }
            BulkResource::Organizations => Self::Organizations(Box::new(reader.read()?)),
            BulkResource::Touchpoints => {
                Self::Touchpoints(reader.read()?, Box::new(reader.read()?))
            }
            BulkResource::Products => Self::Products(Box::new(reader.read()?)),
            BulkResource::Orders => Self::Orders(Box::new(reader.read()?)),
            BulkResource::Carts => Self::Carts(Box::new(reader.read()?)),
        };
        reader.end(resource)?;
        Ok(question)
    }

    /// How many records there are.
    pub fn count(&self, conn: &mut Conn, ids: IdRange) -> Result<i64> {
        match self {
            Self::Customers(filter, condition) => {
                customers::count_matching(conn, (filter, condition.as_ref()), ids)
            }
            Self::Organizations(filter) => organizations::count_matching(conn, filter, ids),
            Self::Touchpoints(whose, which) => {
                let question = which.apply(whose.clone().led(conn)?.apply(conn.workspace));
                read::count(conn, question, ids)
            }
            Self::Products(filter) => products::count_matching(conn, filter, ids),
            Self::Orders(filter) => orders::count_matching(conn, filter, ids),
            Self::Carts(filter) => carts::count_matching(conn, filter, ids),
        }
    }

    /// Some records as the API shows them, the oldest first.
    pub fn page(&self, conn: &mut Conn, ids: IdRange, limit: i64) -> Result<Vec<Value>> {
        match self {
            Self::Customers(filter, condition) => {
                values(&customers::matching(conn, (filter, condition.as_ref()), ids, limit)?)
            }
            Self::Organizations(filter) => {
                values(&organizations::matching(conn, filter, ids, limit)?)
            }
            Self::Touchpoints(whose, which) => {
                let question = which.apply(whose.clone().led(conn)?.apply(conn.workspace));
                values(&read::oldest(conn, question, ids, limit)?)
            }
            Self::Products(filter) => values(&products::matching(conn, filter, ids, limit)?),
            Self::Orders(filter) => values(&orders::matching(conn, filter, ids, limit)?),
            Self::Carts(filter) => values(&carts::matching(conn, filter, ids, limit)?),
        }
    }
}

fn values<T: serde::Serialize>(records: &[T]) -> Result<Vec<Value>> {
    let value =
        |record| serde_json::to_value(record).map_err(|error| Error::internal(error.to_string()));
    records.iter().map(value).collect()
}

/// Reads filters as the list reads its address, and remembers which there are.
struct Reader<'a> {
    filters: &'a Filters,
    known: Vec<String>,
}

impl Reader<'_> {
    fn read<T: DeserializeOwned + IntoParams>(&mut self) -> Result<T> {
        let names = T::into_params(|| None).into_iter().map(|parameter| parameter.name);
        let names: Vec<String> = names.collect();
        let own = self.filters.iter().filter(|(name, _)| names.contains(name));
        let text = serde_html_form::to_string(own.collect::<Vec<_>>())
            .map_err(|error| Error::internal(error.to_string()))?;
        self.known.extend(names);
        query::parse(&text).map_err(|error| {
            let faults = error.rejection().into_owned().errors.into_iter();
            let faults = faults.map(|fault| {
                let name = fault.parameter.unwrap_or_default();
                FieldError::at(format!("#/filter/{name}"), "invalid_filter", fault.detail)
            });
            Error::invalid(faults.collect())
        })
    }

    fn end(&self, resource: BulkResource) -> Result<()> {
        let unknown = self.filters.keys().filter(|name| !self.known.contains(name));
        let faults: Vec<FieldError> = unknown
            .map(|name| {
                let known = self.known.join(", ");
                let detail = format!("the list of {resource} has no such filter; it has {known}");
                let at = format!("#/filter/{}", name.replace('~', "~0").replace('/', "~1"));
                FieldError::at(at, "unknown_field", detail)
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults)) }
    }
}
