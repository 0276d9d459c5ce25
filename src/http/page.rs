//! Lists: keyset pages, one after the other by cursor.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor::CursorSeal;
use super::reply::{IntoReply, Reply};
use crate::auth::Grant;
use crate::db::keyset::{After, Order, SortKey, Term};
use crate::error::{Error, Result};

/// The parameters that every list takes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many to return, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50, example = 50)]
    pub limit: Option<i32>,
    /// `next_cursor` of the previous page; same sort and filters.
    pub cursor: Option<String>,
    /// Fields to sort by, `-` for descending, separated by commas; another than the list has is
    /// refused with the names of those it has.
    pub sort: Option<String>,
    /// Whether to count all matches as `total`; costs a second query.
    pub include_total: Option<bool>,
}

const DEFAULT_LIMIT: i32 = 50;
const MAX_LIMIT: i32 = 200;

/// A page worked out for one request: what to order by, after what, how many.
#[derive(Debug, Clone)]
pub struct Slice {
    pub order: Order,
    pub after: After,
    pub limit: i64,
    pub wants_total: bool,
    seal: CursorSeal,
}

/// The sort keys of one resource; the first is the default order, newest first.
pub type SortKeys = &'static [SortKey];

impl Page {
    /// Works out the page. `name` names the list, `filters` everything that narrows it.
    pub fn slice(
        &self,
        grant: &Grant,
        name: &str,
        keys: SortKeys,
        filters: &impl Serialize,
    ) -> Result<Slice> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Error::parameter(
                "limit",
                format!("`limit` must be from 1 to {MAX_LIMIT}"),
            ));
        }
        let order = parse_sort(self.sort.as_deref(), keys)?;
        let place = (grant.workspace().uuid(), name, self.sort.as_deref(), filters);
        let seal = CursorSeal::new(grant.app().cursor_key.clone(), &place)?;
        let bounds = match &self.cursor {
            None => Vec::new(),
            Some(cursor) => seal.open(cursor, &order)?,
        };
        Ok(Slice {
            after: After { order: order.clone(), bounds },
            order,
            limit: i64::from(limit),
            wants_total: self.include_total.unwrap_or(false),
            seal,
        })
    }
}

fn parse_sort(sort: Option<&str>, keys: SortKeys) -> Result<Order> {
    let mut terms = Vec::new();
    for part in sort.into_iter().flat_map(|sort| sort.split(',')) {
        let (is_descending, name) = match part.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, part),
        };
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            let names = keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
            return Err(Error::parameter("sort", format!("`sort` takes {names}")));
        };
        terms.push(Term { key: *key, is_descending });
    }
    let id = *keys.first().expect("BUG: a list without sort keys");
    if !terms.iter().any(|term| term.key.name == id.name) {
        let is_descending = terms.last().is_none_or(|last: &Term| last.is_descending);
        terms.push(Term { key: id, is_descending });
    }
    Ok(Order(terms))
}

impl Slice {
    /// One more than asked for, to know whether there is more.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// The number of all matches where the caller asked for it.
    pub fn total(&self, count: impl FnOnce() -> diesel::QueryResult<i64>) -> Result<Option<i64>> {
        if self.wants_total { Ok(Some(count()?)) } else { Ok(None) }
    }

    /// The list of a page from up to [`Slice::fetch`] rows.
    pub fn list<T: Serialize>(&self, mut rows: Vec<T>, total: Option<i64>) -> Result<List<T>> {
        let limit = usize::try_from(self.limit).expect("BUG: limit is 1 to 200");
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if has_more => Some(self.seal.close(last, &self.order)?),
            _ => None,
        };
        Ok(List { data: rows, has_more, next_cursor, total })
    }
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct List<T> {
    pub data: Vec<T>,
    pub has_more: bool,
    pub next_cursor: Option<String>,
    pub total: Option<i64>,
}

impl<T> List<T> {
    /// A short list that is always whole.
    pub fn whole(data: Vec<T>) -> Self {
        Self { data, has_more: false, next_cursor: None, total: None }
    }

    /// The same page of something else.
    pub fn try_map<U>(self, change: impl Fn(T) -> Result<U>) -> Result<List<U>> {
        let data = self.data.into_iter().map(change).collect::<Result<_>>()?;
        let Self { has_more, next_cursor, total, .. } = self;
        Ok(List { data, has_more, next_cursor, total })
    }
}

/// `List_Customer` to utoipa, `CustomerList` in the document; its items by reference.
impl<T: ToSchema> ToSchema for List<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        "List".into()
    }

    fn schemas(
        schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>,
    ) {
        schemas.push((T::name().into(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> utoipa::__dev::ComposeSchema for List<T> {
    fn compose(
        _: Vec<utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>>,
    ) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{
            ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
        };
        let items = utoipa::openapi::Ref::from_schema_name(T::name());
        let text = |kind: &[Type], about: &str| {
            ObjectBuilder::new()
                .schema_type(SchemaType::Array(kind.to_vec()))
                .description(Some(about))
        };
        ObjectBuilder::new()
            .description(Some("One page of a list."))
            .property(
                "data",
                ArrayBuilder::new()
                    .items(items)
                    .description(Some("The page, in the order asked for.")),
            )
            .required("data")
            .property(
                "has_more",
                ObjectBuilder::new()
                    .schema_type(Type::Boolean)
                    .description(Some("Whether another page follows.")),
            )
            .required("has_more")
            .property(
                "next_cursor",
                text(
                    &[Type::String, Type::Null],
                    "The `cursor` of the next page; null on the last.",
                ),
            )
            .required("next_cursor")
            .property(
                "total",
                text(
                    &[Type::Integer, Type::Null],
                    "All matches, where `include_total` asked for it.",
                )
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
            )
            .required("total")
            .into()
    }
}

impl<T: Serialize> IntoReply for List<T> {
    fn into_reply(self) -> Result<Reply> {
        let mut reply = Reply::json(actix_web::http::StatusCode::OK, &self)?;
        reply.next_cursor = self.next_cursor;
        Ok(reply)
    }
}
