//! Finds the Postgres programs on this machine, or says how to install them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::StartError;
use super::account::Account;

/// The oldest major version the service works with.
const OLDEST_MAJOR: u32 = 15;
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// Where packages put each version: parent folder, and what stands before the version's number.
const PACKAGED: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// One installed Postgres server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    pub bin_dir: PathBuf,
    pub major: u32,
}

/// The installation to use where clusters of these major versions exist already, newest first.
///
/// `PG_BIN_DIR` decides alone; otherwise an existing cluster is preferred to a newer version, lest
/// an upgrade of the machine should seem to have lost all data.
pub fn find(account: &Account, clusters: &[u32]) -> Result<Installation, StartError> {
    match env::var_os("PG_BIN_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => given(account, Path::new(&dir)),
        None => {
            let dirs = candidates(account);
            let found: Vec<_> = dirs.iter().filter_map(|dir| inspect(account, dir)).collect();
            choose(&found, clusters)
        }
    }
}

fn given(account: &Account, dir: &Path) -> Result<Installation, StartError> {
    let dir = std::path::absolute(dir).map_err(StartError::io("open PG_BIN_DIR", dir))?;
    let found = inspect(account, &dir).filter(|found| found.major >= OLDEST_MAJOR);
    found.ok_or_else(|| {
        StartError(format!(
            "PG_BIN_DIR is `{}`, but the user {} can run no `initdb`, `postgres` and `pg_ctl` of \
             PostgreSQL {OLDEST_MAJOR} or newer there",
            dir.display(),
            account.name()
        ))
    })
}

fn choose(found: &[Installation], clusters: &[u32]) -> Result<Installation, StartError> {
    let usable: Vec<_> = found.iter().filter(|one| one.major >= OLDEST_MAJOR).collect();
    let Some(first) = usable.first() else {
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        return Err(StartError(missing(found, &os_release)));
    };
    let Some(newest) = clusters.first() else {
        return Ok((*first).clone());
    };
    let matching = clusters.iter().find_map(|major| usable.iter().find(|one| one.major == *major));
    matching.map(|one| (*one).clone()).ok_or_else(|| {
        StartError(format!(
            "the data folder holds a database of PostgreSQL {newest}, but only {} is installed; \
             install PostgreSQL {newest}, or move the folder `pg{newest}` away to start empty",
            first.major
        ))
    })
}

/// Folders that may hold the programs, best first.
fn candidates(account: &Account) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    dirs.extend(pg_config_dir(account));
    dirs.extend(PACKAGED.iter().flat_map(|(parent, prefix)| versions(Path::new(parent), prefix)));
    dirs.retain(|dir| dir.is_absolute());
    dirs
}

fn pg_config_dir(account: &Account) -> Option<PathBuf> {
    let output = account.command("pg_config").arg("--bindir").output().ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(dir.trim()))
}

/// `<parent>/<prefix><version>/bin` of every version there is, newest first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let folders = fs::read_dir(parent).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix(prefix)?.parse::<u32>().ok();
    let mut found: Vec<(u32, PathBuf)> = folders
        .filter_map(|folder| Some((number(folder.file_name().to_str()?)?, folder.path())))
        .collect();
    found.sort_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, dir)| dir.join("bin")).collect()
}

fn inspect(account: &Account, dir: &Path) -> Option<Installation> {
    if !PROGRAMS.iter().all(|program| dir.join(program).is_file()) {
        return None;
    }
    // Run as the server's user, which may not be able to enter every folder that we can.
    let output = account.command(dir.join("postgres")).arg("--version").output().ok()?;
    let major = major_version(&String::from_utf8(output.stdout).ok()?)?;
    Some(Installation { bin_dir: dir.into(), major })
}

/// The major version in `postgres (Postgres) 17.2 (Homebrew)` or `… 18beta1`.
fn major_version(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn missing(too_old: &[Installation], os_release: &str) -> String {
    let old = too_old.first().map_or_else(String::new, |one| {
        format!(" (`{}` is version {})", one.bin_dir.display(), one.major)
    });
    let install = install_command(os_release).map_or_else(
        || "install its package (often `postgresql-server`)".into(),
        |command| format!("install it with `{command}`"),
    );
    format!(
        "no PostgreSQL {OLDEST_MAJOR} or newer was found on this machine{old}; {install}, or name \
         the folder of its programs in PG_BIN_DIR, or set DATABASE_URL to use a server of your own"
    )
}

/// How to install the server here, by the text of `/etc/os-release`.
fn install_command(os_release: &str) -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("brew install postgresql@17");
    }
    let value = |key: &str| {
        let found = os_release.lines().find_map(|line| line.strip_prefix(key));
        found.unwrap_or_default().trim_matches('"')
    };
    let ids: Vec<&str> = value("ID=").split(' ').chain(value("ID_LIKE=").split(' ')).collect();
    // The plain package of RHEL 8 and 9 is too old; from RHEL 10 on there are no modules.
    let has_modules = ids.contains(&"rhel") && value("VERSION_ID=").starts_with(['8', '9']);
    ids.iter().find_map(|id| match *id {
        "debian" | "ubuntu" => Some("sudo apt-get install postgresql"),
        "fedora" | "rhel" if has_modules => Some("sudo dnf module install postgresql:16/server"),
        "fedora" | "rhel" => Some("sudo dnf install postgresql-server"),
        "arch" => Some("sudo pacman -S postgresql"),
        "alpine" => Some("apk add postgresql"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(major: u32) -> Installation {
        Installation { bin_dir: format!("/usr/lib/postgresql/{major}/bin").into(), major }
    }

    #[test]
    fn without_programs_the_error_names_the_package_to_install() {
        let error = choose(&[], &[]).expect_err("nothing to choose").to_string();
        assert!(error.contains("install it"), "{error}");
        assert!(error.contains("postgresql"), "{error}");
        assert!(error.contains("DATABASE_URL"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn each_platform_gets_its_own_install_command() {
        for (os_release, command) in [
            ("NAME=x\nID=debian\n", "sudo apt-get install postgresql"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "sudo apt-get install postgresql"),
            ("ID=fedora\nVERSION_ID=42\n", "sudo dnf install postgresql-server"),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n",
                "sudo dnf module install postgresql:16/server",
            ),
            (
                "ID=rhel\nID_LIKE=fedora\nVERSION_ID=\"10.0\"\n",
                "sudo dnf install postgresql-server",
            ),
            ("ID=manjaro\nID_LIKE=arch\n", "sudo pacman -S postgresql"),
            ("ID=alpine\n", "apk add postgresql"),
        ] {
            assert_eq!(install_command(os_release), Some(command), "{os_release}");
        }
    }

    #[test]
    fn versions_that_are_too_old_are_skipped_and_named() {
        let error = choose(&[installation(13)], &[]).expect_err("too old").to_string();
        assert!(error.contains("is version 13"), "{error}");
        let found = choose(&[installation(13), installation(16)], &[]);
        assert_eq!(found, Ok(installation(16)));
    }

    #[test]
    fn an_existing_database_keeps_its_version() {
        let installed = [installation(17), installation(15)];
        assert_eq!(choose(&installed, &[]), Ok(installation(17)));
        assert_eq!(choose(&installed, &[15]), Ok(installation(15)));
        assert_eq!(choose(&installed, &[16, 15]), Ok(installation(15)));
    }

    #[test]
    fn a_database_without_its_version_is_not_passed_over() {
        let error = choose(&[installation(17)], &[15]).expect_err("no 15").to_string();
        assert!(error.contains("install PostgreSQL 15"), "{error}");
    }

    #[test]
    fn packaged_versions_come_newest_first() {
        let parent = env::temp_dir().join(format!("ecrm-versions-{}", std::process::id()));
        for name in ["pgsql-9", "pgsql-15", "pgsql-17", "pgsql-latest", "other"] {
            fs::create_dir_all(parent.join(name)).expect("a folder");
        }
        let found = versions(&parent, "pgsql-");
        fs::remove_dir_all(&parent).expect("removed");
        let expected = ["pgsql-17/bin", "pgsql-15/bin", "pgsql-9/bin"].map(|dir| parent.join(dir));
        assert_eq!(found, expected);
    }

    #[test]
    fn the_major_version_is_read_from_releases_and_previews() {
        let text = "postgres (PostgreSQL) 15.18 (Debian 15.18-1)";
        assert_eq!(major_version(text), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("no version"), None);
    }
}
