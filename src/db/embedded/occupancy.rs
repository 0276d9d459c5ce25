//! Keeps count of the processes that share one server: who started it, and who is last to leave.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::StartError;

/// One process's locks in a data folder; the kernel releases them even when it is killed.
///
/// Whoever would stop the server must hold both locks exclusively, the owner's first.
pub struct Occupancy {
    /// Held exclusively by the process that started the server.
    owner: File,
    /// Held shared by every process that uses the server.
    users: File,
    is_owner: bool,
}

impl Occupancy {
    /// Opens the lock files without taking a lock.
    pub fn open(data_dir: &Path) -> Result<Self, StartError> {
        let open = |name| {
            let path = data_dir.join(name);
            let file = File::options().create(true).truncate(false).write(true).open(&path);
            file.map_err(|error| {
                StartError(format!(
                    "cannot open the lock file `{}`: {error}; start as the user who owns it, or \
                     set ECRM_DATA_DIR to another folder",
                    path.display()
                ))
            })
        };
        Ok(Self { owner: open("ecrm.lock")?, users: open("ecrm.users")?, is_owner: false })
    }

    /// Becomes the owner unless another process is.
    pub fn claim(&mut self) -> Result<bool, StartError> {
        self.is_owner = self.is_owner || granted(self.owner.try_lock())?;
        Ok(self.is_owner)
    }

    /// Whether this process has become the owner.
    pub fn is_owner(&self) -> bool {
        self.is_owner
    }

    /// Joins the users unless the server is just being stopped.
    pub fn enter(&self) -> Result<bool, StartError> {
        granted(self.users.try_lock_shared())
    }

    /// Leaves the users again.
    pub fn leave(&self) -> Result<(), StartError> {
        self.users.unlock().map_err(|error| StartError(format!("cannot unlock: {error}")))
    }

    /// Leaves, and tells whether nobody is left, so that the caller has to stop the server.
    ///
    /// Then both locks stay with the caller, so that nobody enters a server that is going down.
    pub fn is_last_out(&mut self) -> Result<bool, StartError> {
        self.leave()?;
        Ok(self.claim()? && granted(self.users.try_lock())?)
    }
}

fn granted(attempt: Result<(), TryLockError>) -> Result<bool, StartError> {
    match attempt {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => {
            Err(StartError(format!("the data folder's file system does not lock files: {error}")))
        }
    }
}

#[cfg(test)]
impl Occupancy {
    /// Drops the locks as the kernel does when a process is killed.
    pub fn release_for_test(&self) {
        self.owner.unlock().expect("unlocked");
        self.users.unlock().expect("unlocked");
    }
}
