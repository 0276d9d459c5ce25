//! Finding channels: name, type, provider, direction, status and tags.

use actix_web::get;
use diesel::helper_types::IntoBoxed;
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::of;
use super::types::{Channel, ChannelDirection, ChannelStatus, ChannelType};
use crate::auth::{Caller, Scope};
use crate::db::WorkspaceId;
use crate::db::keyset::{SortKey, SortKind};
use crate::error::Result;
use crate::http::{AnyOf, List, Page, Query, Reply};
use crate::schema::channels;
use crate::values::text::like_escape;

const SORT: &[SortKey] = &[
    SortKey { name: "created_at", column: "channels.id", kind: SortKind::Id },
    SortKey { name: "name", column: "channels.name", kind: SortKind::Text },
];

/// Which channels to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChannelFilter {
    /// Part of the name, in any case.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Any of these types.
    #[serde(default)]
    #[param(value_type = Option<Vec<ChannelType>>, style = Form, explode = false)]
    pub r#type: AnyOf<ChannelType>,
    /// Any of these statuses.
    #[serde(default)]
    #[param(value_type = Option<Vec<ChannelStatus>>, style = Form, explode = false)]
    pub status: AnyOf<ChannelStatus>,
    /// Carried out by any of these.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub provider: AnyOf<String>,
    /// Any of these directions.
    #[serde(default)]
    #[param(value_type = Option<Vec<ChannelDirection>>, style = Form, explode = false)]
    pub direction: AnyOf<ChannelDirection>,
    /// Having any of these tags.
    #[serde(default)]
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    pub tags: AnyOf<String>,
}

/// List channels
///
/// Newest first unless sorted otherwise.
#[utoipa::path(tag = "channels", security(("bearer" = ["channels:read"])), params(Page, ChannelFilter), responses((status = 200, body = List<Channel>)))]
#[get("/channels")]
pub async fn list_channels(
    caller: Caller,
    page: Query<Page>,
    filter: Query<ChannelFilter>,
) -> Result<Reply> {
    let grant = caller.must(Scope::ChannelsRead)?;
    let slice = page.slice(&grant, "channels", SORT, &filter.0)?;
    grant
        .list(move |conn| {
            let matching = || filter.apply(conn.workspace);
            let total = slice.total(|| matching().count().get_result(conn.pg))?;
            let rows = matching()
                .filter(slice.after.clone())
                .order(slice.order.clone())
                .limit(slice.fetch())
                .select(Channel::as_select())
                .load(conn.pg)?;
            slice.list(rows, total)
        })
        .await
}

type Matching = IntoBoxed<'static, of, Pg>;

impl ChannelFilter {
    fn apply(&self, workspace: WorkspaceId) -> Matching {
        let mut found = of(workspace).into_boxed();
        if let Some(q) = &self.q {
            found = found.filter(channels::name.ilike(format!("%{}%", like_escape(q))));
        }
        if let Some(types) = self.r#type.given() {
            found = found.filter(channels::type_.eq_any(types.clone()));
        }
        if let Some(statuses) = self.status.given() {
            found = found.filter(channels::status.eq_any(statuses.clone()));
        }
        if let Some(providers) = self.provider.given() {
            found = found.filter(channels::provider.eq_any(providers.clone()));
        }
        if let Some(directions) = self.direction.given() {
            found = found.filter(channels::direction.eq_any(directions.clone()));
        }
        if let Some(tags) = self.tags.given() {
            found = found.filter(channels::tags.overlaps_with(tags.clone()));
        }
        found
    }
}
