//! The data keys of workspaces, each read and opened once per process: a new master key locks up the
//! same ones, so what is known stays true.

use std::sync::Arc;

use diesel::prelude::*;
use moka::sync::Cache;

use super::WorkspaceId;
use crate::error::Result;
use crate::schema::workspaces;
use crate::seal::{DataKey, MasterKey};

/// Workspaces whose keys are kept at hand.
const REMEMBERED: u64 = 10_000;

/// Opens data keys with the master key.
pub struct DataKeys {
    master: MasterKey,
    known: Cache<WorkspaceId, Arc<DataKey>>,
}

impl DataKeys {
    pub fn new(master: MasterKey) -> Self {
        Self { master, known: Cache::new(REMEMBERED) }
    }

    /// The key of a workspace, the live one or its test twin.
    pub fn of(&self, pg: &mut PgConnection, workspace: WorkspaceId) -> Result<Arc<DataKey>> {
        if let Some(known) = self.known.get(&workspace) {
            return Ok(known);
        }
        let row = workspaces::table.filter(workspaces::id.eq(workspace));
        let wrapped: Vec<u8> = row.select(workspaces::data_key).first(pg)?;
        let key = Arc::new(DataKey::unwrap(&wrapped, &self.master, workspace.uuid())?);
        self.known.insert(workspace, key.clone());
        Ok(key)
    }
}
