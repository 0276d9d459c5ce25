//! The right of a worker to do a job, which ends when somebody else has taken it over.

use diesel::prelude::*;
use uuid::Uuid;

use super::WorkspaceId;
use crate::error::{Error, Result};
use crate::schema::jobs;

/// One attempt at a job. Every transaction of its session looks first whether it still is the latest:
/// a worker that was thought dead (a long pause, a network that came back) writes nothing more.
#[derive(Debug, Clone)]
pub struct Lease {
    pub workspace: WorkspaceId,
    pub job: Uuid,
    pub worker: Uuid,
    /// Rises with every attempt.
    pub attempts: i32,
}

impl Lease {
    /// Holds the job until the transaction ends: so long nobody takes it over. No more than the key is
    /// locked, so that the worker can say meanwhile that it lives.
    pub(super) fn hold(&self, pg: &mut PgConnection) -> Result<()> {
        let ours = jobs::table
            .filter(jobs::workspace_id.eq(self.workspace))
            .filter(jobs::id.eq(self.job))
            .filter(jobs::state.eq("running"))
            .filter(jobs::locked_by.eq(self.worker))
            .filter(jobs::attempts.eq(self.attempts));
        let held: Option<Uuid> = ours.select(jobs::id).for_key_share().first(pg).optional()?;
        held.map(drop).ok_or_else(|| Error::unavailable("another worker has taken the job over"))
    }
}
