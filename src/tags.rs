//! Tags that the company has agreed on: what a label on a customer, organization or channel means.
//!
//! Records take any label; a tag explains one and gives front ends its color.

use actix_web::{delete, get, patch, post};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serde_with::rust::double_option;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::audit;
use crate::auth::{Caller, Scope};
use crate::db::keyset::{SortKey, SortKind};
use crate::db::{Conn, Tx, WorkspaceId};
use crate::error::{Error, OnConstraint, Result};
use crate::http::json::never_null;
use crate::http::{
    Created, Found, IfMatch, Json, List, NoContent, Page, Path, Query, Reply, ServiceConfig,
    Versioned,
};
use crate::journal::{Change, differences, record};
use crate::schema::tags;

/// A label with a meaning.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = tags)]
pub struct Tag {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The label, as records carry it.
    #[schema(example = "key_account")]
    pub name: String,
    /// Color for front ends, `#rrggbb`.
    #[schema(example = "#2e7d32")]
    pub color: Option<String>,
    /// What it means.
    #[schema(example = "Customers with a contact of their own")]
    pub description: Option<String>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When the tag was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Versioned for Tag {
    const COLLECTION: &'static str = "/v1/tags";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// A tag to be made.
#[derive(Debug, Clone, Deserialize, Validate, Insertable, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = tags)]
pub struct NewTag {
    /// The label, as records carry it.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "key_account", min_length = 1, max_length = 100)]
    pub name: String,
    /// Color for front ends, `#rrggbb`.
    #[validate(custom(function = "css_color"))]
    #[schema(example = "#2e7d32", max_length = 7, pattern = "^#[0-9a-f]{6}$")]
    pub color: Option<String>,
    /// What it means.
    #[validate(length(max = 2000))]
    #[schema(example = "Customers with a contact of their own", max_length = 2000)]
    pub description: Option<String>,
}

/// Changes to a tag. Records keep the label they have, also where the name changes.
#[derive(Debug, Clone, Deserialize, Validate, AsChangeset, ToSchema)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = tags)]
pub struct TagPatch {
    /// The label, as records carry it.
    #[serde(default, deserialize_with = "never_null")]
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "key_account", min_length = 1, max_length = 100, nullable = false)]
    pub name: Option<String>,
    /// Color for front ends, `#rrggbb`.
    #[serde(default, with = "double_option")]
    #[validate(custom(function = "css_color"))]
    #[schema(example = "#2e7d32", max_length = 7, pattern = "^#[0-9a-f]{6}$")]
    pub color: Option<Option<String>>,
    /// What it means.
    #[serde(default, with = "double_option")]
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    pub description: Option<Option<String>>,
}

/// For `#[validate]`: a color as style sheets write it, in lower case.
fn css_color(text: &str) -> Result<(), ValidationError> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if digits.len() == 6 && digits.chars().all(is_digit) {
        return Ok(());
    }
    let expected = "must be a color such as `#2e7d32`";
    Err(ValidationError::new("invalid_color").with_message(expected.into()))
}

pub fn routes(api: &mut ServiceConfig) {
    api.service(list_tags)
        .service(create_tag)
        .service(get_tag)
        .service(update_tag)
        .service(delete_tag);
}

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "tags.id", kind: SortKind::Id },
    SortKey { name: "name", column: "tags.name", kind: SortKind::Text },
];

/// List tags
#[utoipa::path(tag = "tags", security(("bearer" = ["tags:read"])), params(Page), responses((status = 200, body = List<Tag>)))]
#[get("/tags")]
async fn list_tags(caller: Caller, page: Query<Page>) -> Result<Reply> {
    let grant = caller.must(Scope::TagsRead)?;
    let slice = page.slice(&grant, "tags", SORT, &())?;
    grant
        .list(move |conn| {
            let total = slice.total(|| of(conn.workspace).count().get_result(conn.pg))?;
            let rows = of(conn.workspace)
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Tag::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

/// Create a tag
#[utoipa::path(tag = "tags", security(("bearer" = ["tags:write"])), responses((status = 201, body = Tag)))]
#[post("/tags")]
async fn create_tag(caller: Caller, new: Json<NewTag>) -> Result<Reply> {
    let grant = caller.must(Scope::TagsWrite)?;
    grant.write(move |tx| new.insert(tx).map(Created)).await
}

/// Get a tag
#[utoipa::path(tag = "tags", security(("bearer" = ["tags:read"])), responses((status = 200, body = Tag)))]
#[get("/tags/{id}")]
async fn get_tag(caller: Caller, id: Path<Uuid>) -> Result<Reply> {
    let grant = caller.must(Scope::TagsRead)?;
    grant.read(move |conn| Tag::find(conn, *id).map(Found)).await
}

/// Change a tag
#[utoipa::path(tag = "tags", security(("bearer" = ["tags:write"])), responses((status = 200, body = Tag)))]
#[patch("/tags/{id}")]
async fn update_tag(
    caller: Caller,
    id: Path<Uuid>,
    if_match: IfMatch,
    patch: Json<TagPatch>,
) -> Result<Reply> {
    let grant = caller.must(Scope::TagsWrite)?;
    grant.write(move |tx| patch.apply(tx, *id, if_match).map(Found)).await
}

/// Delete a tag
///
/// Records keep the label.
#[utoipa::path(tag = "tags", security(("bearer" = ["tags:write"])), responses((status = 204)))]
#[delete("/tags/{id}")]
async fn delete_tag(caller: Caller, id: Path<Uuid>, if_match: IfMatch) -> Result<Reply> {
    let grant = caller.must(Scope::TagsWrite)?;
    grant
        .write(move |tx| {
            let gone = Tag::lock(tx, *id)?;
            if_match.check(gone.version)?;
            diesel::delete(of(tx.workspace).filter(tags::id.eq(*id))).execute(tx.pg)?;
            record(tx, change("tag.deleted", *id, json!({})))?;
            audit::deleted(tx, "tag.deleted", *id, &gone)?;
            Ok(NoContent)
        })
        .await
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(workspace: WorkspaceId) -> _ {
    tags::table.filter(tags::workspace_id.eq(workspace))
}

impl Tag {
    fn find(conn: &mut Conn, id: Uuid) -> Result<Self> {
        let query = of(conn.workspace).filter(tags::id.eq(id));
        Ok(query.select(Self::as_select()).first(conn.pg)?)
    }

    fn lock(tx: &mut Tx, id: Uuid) -> Result<Self> {
        let query = of(tx.workspace).filter(tags::id.eq(id));
        Ok(query.select(Self::as_select()).for_update().first(tx.pg)?)
    }
}

impl NewTag {
    /// Makes the tag; 409 where the name is taken.
    fn insert(&self, tx: &mut Tx) -> Result<Tag> {
        let (id, now) = (tx.new_id(), tx.now);
        let made: Option<Tag> = diesel::insert_into(tags::table)
            .values((
                self,
                tags::workspace_id.eq(tx.workspace),
                tags::id.eq(id),
                tags::version.eq(1_i64),
                tags::created_at.eq(now),
                tags::updated_at.eq(now),
            ))
            .on_conflict((tags::workspace_id, tags::name))
            .do_nothing()
            .returning(Tag::as_returning())
            .get_result(tx.pg)
            .optional()?;
        let Some(made) = made else { return Err(taken(tx, &self.name)?) };
        record(tx, change("tag.created", id, json!({ "name": self.name })))?;
        audit::created(tx, "tag.created", id, &made)?;
        Ok(made)
    }
}

impl TagPatch {
    fn apply(&self, tx: &mut Tx, id: Uuid, if_match: IfMatch) -> Result<Tag> {
        let before = Tag::lock(tx, id)?;
        if_match.check(before.version)?;
        let renamed = self.name.as_ref().filter(|name| **name != before.name);
        if let Some(name) = renamed
            && holder(tx, name)?.is_some()
        {
            return Err(taken(tx, name)?);
        }
        let after: Tag = diesel::update(of(tx.workspace).filter(tags::id.eq(id)))
            .set((self, tags::version.eq(tags::version + 1), tags::updated_at.eq(tx.now)))
            .returning(Tag::as_returning())
            .get_result(tx.pg)
            // Somebody took the name just now: run again and say who.
            .on_constraint("tags_name_taken", || Error::Retry("tag race".into()))?;
        let changes = differences(&to_json(&before)?, &to_json(&after)?);
        if !changes.is_empty() {
            record(tx, change("tag.updated", id, json!({ "changes": changes })))?;
            audit::changed(tx, "tag.updated", id, (&before, &after))?;
        }
        Ok(after)
    }
}

fn holder(tx: &mut Tx, name: &str) -> Result<Option<Uuid>> {
    let query = of(tx.workspace).filter(tags::name.eq(name)).select(tags::id);
    Ok(query.first(tx.pg).optional()?)
}

fn taken(tx: &mut Tx, name: &str) -> Result<Error> {
    let existing = holder(tx, name)?;
    let taken = Error::conflict("tags_name_taken", "another tag has this name", existing);
    Ok(taken.at("#/name", "already_exists"))
}

fn to_json(tag: &Tag) -> Result<Value> {
    serde_json::to_value(tag).map_err(|error| Error::internal(error.to_string()))
}

fn change(kind: &'static str, id: Uuid, properties: Value) -> Change<'static> {
    Change {
        kind,
        customer_id: None,
        organization_id: None,
        channel_id: None,
        subject: ("tag", id),
        properties,
    }
}
