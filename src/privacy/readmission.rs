//! When somebody who was erased comes back: by their own wish, their addresses may be used again.

use actix_web::post;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use crate::audit::{self, Event};
use crate::auth::{Caller, Scope};
use crate::customers::erased;
use crate::customers::identities::{Mark, MarkKey, NewIdentity, marks};
use crate::error::Result;
use crate::http::reply::Plain;
use crate::http::{Json, Reply};
use crate::suppressions;

/// By what somebody who comes back is known.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Readmission {
    /// 1 to 20 identities.
    #[validate(length(min = 1, max = 20), nested)]
    #[schema(min_items = 1, max_items = 20)]
    pub identities: Vec<NewIdentity>,
}

/// What was freed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadmissionResult {
    /// How many of the identities had belonged to somebody who was erased.
    pub readmitted: i64,
}

/// Readmit identities of somebody who was erased
///
/// An erased person who signs up again is a new customer like any other: afterwards the identities can
/// be used, and the addresses are no longer suppressed as `erased`. Identities of nobody change nothing.
#[utoipa::path(tag = "data_requests", security(("bearer" = ["data_requests:write"])), responses((status = 200, body = ReadmissionResult)))]
#[post("/readmissions")]
pub async fn readmit_identities(caller: Caller, who: Json<Readmission>) -> Result<Reply> {
    let marks = marks(None, None, &[], &who.identities)?;
    let grant = caller.must(Scope::DataRequestsWrite)?;
    grant
        .write(move |tx| {
            let readmitted = erased::readmit(tx, &marks)?;
            let keys: Vec<MarkKey> = marks.iter().map(Mark::key).collect();
            suppressions::readmit(tx, &keys)?;
            let done =
                ReadmissionResult { readmitted: i64::try_from(readmitted).unwrap_or(i64::MAX) };
            let after = Some(json!({ "readmitted": done.readmitted }));
            let event =
                Event { action: "identities.readmitted", resource_id: None, before: None, after };
            audit::record(tx, event)?;
            Ok(Plain(done))
        })
        .await
}
