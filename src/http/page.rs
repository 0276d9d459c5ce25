//! Lists: keyset pages with cursors that nobody can forge, stretch or carry elsewhere.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::reply::{IntoReply, Reply};
use crate::auth::Grant;
use crate::db::WorkspaceId;
use crate::db::keyset::{After, Bound, Order, SortKey, Term};
use crate::error::{Code, Error, Result};

/// The parameters that every list takes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many to return, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50, example = 50)]
    pub limit: Option<i32>,
    /// `next_cursor` of the previous page; same sort and filters.
    pub cursor: Option<String>,
    /// Fields to sort by, `-` for descending, separated by commas.
    #[param(example = "-created_at")]
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

/// What a cursor is bound to: workspace, list, sort and filters.
#[derive(Debug, Clone)]
struct CursorSeal {
    key: hmac::Key,
    context: Vec<u8>,
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
        let seal = CursorSeal::new(grant, name, self.sort.as_deref(), filters)?;
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
    for part in sort.unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
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

impl CursorSeal {
    fn new(
        grant: &Grant,
        name: &str,
        sort: Option<&str>,
        filters: &impl Serialize,
    ) -> Result<Self> {
        let workspace: WorkspaceId = grant.workspace();
        let context = serde_json::to_vec(&(workspace.uuid(), name, sort, filters))
            .map_err(|error| Error::internal(error.to_string()))?;
        let context = digest::digest(&digest::SHA256, &context).as_ref().to_vec();
        Ok(Self { key: grant.app().cursor_key.clone(), context })
    }

    fn tag(&self, payload: &[u8]) -> hmac::Tag {
        let mut signed = self.context.clone();
        signed.extend_from_slice(payload);
        hmac::sign(&self.key, &signed)
    }

    fn close<T: Serialize>(&self, last: &T, order: &Order) -> Result<String> {
        let row = serde_json::to_value(last).map_err(|error| Error::internal(error.to_string()))?;
        let values: Vec<&Value> = order.0.iter().map(|term| field(&row, &term.key)).collect();
        let mut bytes =
            serde_json::to_vec(&values).map_err(|error| Error::internal(error.to_string()))?;
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG_BYTES]);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    fn open(&self, cursor: &str, order: &Order) -> Result<Vec<Bound>> {
        let opened = self.try_open(cursor, order);
        opened.ok_or_else(|| Error::new(Code::INVALID_CURSOR, "start again without `cursor`"))
    }

    fn try_open(&self, cursor: &str, order: &Order) -> Option<Vec<Bound>> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let expected = self.tag(payload);
        aws_lc_rs::constant_time::verify_slices_are_equal(tag, &expected.as_ref()[..TAG_BYTES])
            .ok()?;
        let values: Vec<Value> = serde_json::from_slice(payload).ok()?;
        let terms = order.0.iter().zip(&values);
        let bounds: Vec<Bound> =
            terms.map(|(term, value)| Bound::parse(term.key.kind, value)).collect::<Option<_>>()?;
        (bounds.len() == order.0.len()).then_some(bounds)
    }
}

const TAG_BYTES: usize = 16;

/// The value a row shows for a sort key. `created_at` sorts by id: ids are made in that order.
fn field<'r>(row: &'r Value, key: &SortKey) -> &'r Value {
    let name = match key.kind {
        crate::db::keyset::SortKind::Id => "id",
        _ => key.name,
    };
    &row[name]
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
