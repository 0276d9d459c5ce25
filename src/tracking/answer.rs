//! What senders are told: Segment's `{"success": true}`, and beside it what became of each call.

use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::write::Taken;
use crate::error::{FieldError, Problem, Result};
use crate::http::Reply;
use crate::http::reply::IntoReply;

/// What became of calls. Libraries look at the status alone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tracked {
    /// Whether all of them were taken in.
    #[schema(example = true)]
    pub success: bool,
    /// What became of each call, in their order.
    pub results: Vec<TrackedCall>,
    /// How many were refused.
    #[schema(example = 0)]
    pub failed: i32,
}

/// What became of one call.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrackedCall {
    /// Position of the call in the batch, from 0.
    #[schema(example = 0)]
    pub index: i32,
    /// 201 for what is new, 200 for a repeat, else why it was refused.
    #[schema(example = 201)]
    pub status: i32,
    /// The touchpoint; null where the call was refused.
    pub id: Option<Uuid>,
    /// Why the call was refused; null where it was not.
    pub error: Option<Problem>,
    /// Parts of the call that could not be used. They are kept as they came, in the touchpoint.
    pub ignored: Vec<FieldError>,
}

impl Tracked {
    pub fn of(results: Vec<Result<Taken>>) -> Self {
        let results: Vec<TrackedCall> = results
            .into_iter()
            .enumerate()
            .map(|(at, result)| TrackedCall::of(at, result))
            .collect();
        let failed = results.iter().filter(|result| result.error.is_some()).count();
        let failed = i32::try_from(failed).unwrap_or(i32::MAX);
        Self { success: failed == 0, results, failed }
    }
}

impl TrackedCall {
    fn of(at: usize, result: Result<Taken>) -> Self {
        let index = i32::try_from(at).unwrap_or(i32::MAX);
        match result {
            Ok(Taken { status, id, ignored }) => {
                let (status, id) = (i32::from(status), Some(id));
                Self { index, status, id, error: None, ignored }
            }
            Err(error) => {
                let problem = error.rejection().problem(None, None);
                let status = i32::from(problem.status);
                Self { index, status, id: None, error: Some(problem), ignored: Vec::new() }
            }
        }
    }
}

impl IntoReply for Tracked {
    fn into_reply(self) -> Result<Reply> {
        Reply::json(StatusCode::OK, &self)
    }
}

/// What Segment's library for browsers reads before anything else.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrackingSettings {
    /// Where events go, by the name of the receiver.
    #[schema(value_type = std::collections::HashMap<String, crate::values::free::FreeObject>,
             example = json!({ "Segment.io": { "apiKey": "ecrm_wk_0VcQ", "apiHost": "crm.example.com/v1",
                                               "protocol": "https" } }))]
    pub integrations: Value,
    /// Which events are wanted: all.
    #[schema(value_type = std::collections::HashMap<String, crate::values::free::FreeObject>,
             example = json!({}))]
    pub plan: Value,
}

impl TrackingSettings {
    /// Points the library at this service.
    pub fn new(write_key: &str, public_url: &str) -> Self {
        let (protocol, host) = public_url.split_once("://").unwrap_or(("https", public_url));
        let host = format!("{}/v1", host.trim_end_matches('/'));
        let receiver = json!({ "apiKey": write_key, "apiHost": host, "protocol": protocol });
        Self { integrations: json!({ "Segment.io": receiver }), plan: json!({}) }
    }
}
