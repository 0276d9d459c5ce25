//! Chooses the user that Postgres runs as, since it refuses to run as root.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User, geteuid};

use super::StartError;

/// What Postgres's programs inherit; everything else, secrets and `PG*` above all, stays here.
const ENVIRONMENT: [&str; 3] = ["PATH", "HOME", "LD_LIBRARY_PATH"];

/// The user that Postgres's programs run as and its files belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Ourselves, or as root the cluster's owner, else `postgres`, else `nobody`.
    pub fn choose(cluster: Option<&Path>) -> Result<Self, StartError> {
        let owner = cluster.map(owner_of).transpose()?;
        if geteuid().is_root() {
            return match owner {
                Some(account) if account.uid != 0 => Ok(account),
                _ => Self::unprivileged(),
            };
        }
        let me = Self { uid: geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        match (owner, cluster) {
            (Some(other), Some(path)) if other.uid != me.uid => Err(StartError(format!(
                "the database in `{}` belongs to the user {}; start as that user or as root, or \
                 set ECRM_DATA_DIR to another folder",
                path.display(),
                other.name()
            ))),
            _ => Ok(me),
        }
    }

    fn unprivileged() -> Result<Self, StartError> {
        let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok()?);
        match user {
            Some(user) => Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
            None => Err(StartError(
                "PostgreSQL does not run as root, and there is no user `postgres` to run it as; \
                 create one, or start as another user"
                    .into(),
            )),
        }
    }

    /// The user's name, or its number where it has none.
    pub fn name(&self) -> String {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        user.map_or_else(|| self.uid.to_string(), |user| user.name)
    }

    /// A program that will run as this user, away from our folder, our terminal and our settings.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if geteuid().is_root() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether this user may reach into the folder.
    pub fn can_enter(&self, dir: &Path) -> bool {
        // Trying is the only answer that access lists and container rules agree with.
        let attempt = self.command("/bin/sh").args(["-c", ":"]).current_dir(dir).status();
        attempt.is_ok_and(|status| status.success())
    }

    /// Makes a folder that nobody but this user may enter, or checks that it is one.
    pub fn make_private_dir(&self, dir: &Path) -> Result<(), StartError> {
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(StartError::io("create the folder", dir)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let found = fs::symlink_metadata(dir).map_err(StartError::io("open the folder", dir))?;
        if !self.may_trust(&found) {
            return Err(StartError(format!(
                "`{}` is not a private folder of the user {}; remove it and start again",
                dir.display(),
                self.name()
            )));
        }
        self.own(dir)
    }

    /// Gives a file or folder to this user.
    pub fn own(&self, path: &Path) -> Result<(), StartError> {
        if !geteuid().is_root() {
            return Ok(());
        }
        lchown(path, Some(self.uid), Some(self.gid))
            .map_err(StartError::io("change owner of", path))
    }

    fn may_trust(&self, found: &Metadata) -> bool {
        let ours = found.uid() == self.uid || found.uid() == geteuid().as_raw();
        found.is_dir() && ours && found.mode() & 0o077 == 0
    }
}

fn owner_of(path: &Path) -> Result<Account, StartError> {
    let found = fs::metadata(path).map_err(StartError::io("open the folder", path))?;
    Ok(Account { uid: found.uid(), gid: found.gid() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_inherit_neither_secrets_nor_postgres_settings() {
        let account = Account::choose(None).expect("an account");
        let shown = account.command("/usr/bin/env").env("PGDATA", "/x").output().expect("env runs");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        let names: Vec<_> = shown.lines().filter_map(|line| line.split('=').next()).collect();
        let allowed = ["LC_ALL", "PGDATA", "PATH", "HOME", "LD_LIBRARY_PATH"];
        assert!(names.contains(&"PGDATA"), "{names:?}");
        assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    }

    #[test]
    fn a_folder_that_others_may_enter_is_not_private() {
        let dir = std::env::temp_dir().join(format!("ecrm-open-{}", std::process::id()));
        DirBuilder::new().mode(0o755).create(&dir).expect("a folder");
        let refused = Account::choose(None).expect("an account").make_private_dir(&dir);
        fs::remove_dir(&dir).expect("removed");
        assert!(refused.expect_err("refused").to_string().contains("not a private folder"));
    }

    #[test]
    fn a_link_is_not_a_private_folder() {
        let link = std::env::temp_dir().join(format!("ecrm-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/", &link).expect("a link");
        let refused = Account::choose(None).expect("an account").make_private_dir(&link);
        fs::remove_file(&link).expect("removed");
        assert!(refused.is_err());
    }
}
