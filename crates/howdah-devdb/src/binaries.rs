//! PostgreSQL's programs on this machine.
//!
//! Invariant: a [`Binaries`] names a folder where `postgres` said its version and `initdb` lies
//! beside it. Limit: only the folders listed here and `PATH` are looked at.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::error::{Error, Result};

/// The oldest major version that is used: 14.
pub const OLDEST_MAJOR: u32 = 14;

/// The environment variable that names the folder of the programs.
const BIN_VARIABLE: &str = "HOWDAH_PG_BIN";

/// How long `postgres --version` may take; what is called so may be any program.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

/// Where packages put the programs: parent folder, start of the version folder's name, rest.
const FOLDERS: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A folder with PostgreSQL's programs, and their version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
    major: u32,
    version: String,
}

impl Binaries {
    /// The folder `HOWDAH_PG_BIN` names, else the newest found; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::BadBinFolder`] when `HOWDAH_PG_BIN` is set and wrong: a wish is not passed over.
    pub async fn find() -> Result<Option<Self>> {
        if let Some(dir) = std::env::var_os(BIN_VARIABLE).filter(|dir| !dir.is_empty()) {
            return Self::named(Path::new(&dir), BIN_VARIABLE).await.map(Some);
        }
        let mut best: Option<Self> = None;
        for dir in candidates(std::env::var_os("PATH").as_deref()) {
            match Self::probe(&dir).await {
                // The first wins among equals, so PATH's order is kept.
                Ok(found) if best.as_ref().is_none_or(|b| found.major > b.major) => {
                    best = Some(found);
                }
                Ok(_) => {}
                Err(reason) => tracing::debug!("passing over {}: {reason}", dir.display()),
            }
        }
        Ok(best)
    }

    /// The programs in this folder.
    ///
    /// # Errors
    /// [`Error::BadBinFolder`] when `postgres` or `initdb` is missing, does not run, or is older
    /// than [`OLDEST_MAJOR`].
    pub async fn at(dir: impl AsRef<Path>) -> Result<Self> {
        Self::named(dir.as_ref(), "bin_dir").await
    }

    async fn named(dir: &Path, origin: &'static str) -> Result<Self> {
        Self::probe(dir).await.map_err(|reason| Error::BadBinFolder { origin, dir: dir.to_owned(), reason })
    }

    /// Asks the folder's `postgres` what it is; the error is a reason for a person.
    async fn probe(dir: &Path) -> Result<Self, String> {
        if !dir.is_dir() {
            return Err("it is not a folder".into());
        }
        for program in ["postgres", "initdb"] {
            if !dir.join(program).is_file() {
                return Err(format!("it has no `{program}`"));
            }
        }
        let asked =
            Command::new(dir.join("postgres")).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(VERSION_PATIENCE, asked)
            .await
            .map_err(|_| "`postgres --version` does not end".to_owned())?
            .map_err(|e| format!("`postgres` does not run: {e}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let (major, version) =
            parse_version(&said).ok_or_else(|| "`postgres --version` does not tell a PostgreSQL version".to_owned())?;
        if major < OLDEST_MAJOR {
            return Err(format!("it is PostgreSQL {version}, older than {OLDEST_MAJOR}"));
        }
        Ok(Self {
            // Absolute, as the server is started from another folder.
            dir: std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
            major,
            version,
        })
    }

    /// The folder, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The major version, like 15.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The version as the program tells it, like `15.14` or `18beta1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn parse_version(said: &str) -> Option<(u32, String)> {
    let version = said.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_owned()))
}

/// Every folder with a `postgres` in it, those of `PATH` first, links followed, none twice.
fn candidates(path: Option<&OsStr>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    path.into_iter()
        .flat_map(std::env::split_paths)
        .chain(FOLDERS.iter().flat_map(|(parent, start, rest)| versions(parent, start, rest)))
        .filter_map(|dir| {
            // A link in a general folder (/usr/local/bin) leads to the programs' own folder.
            let program = std::fs::canonicalize(dir.join("postgres")).ok()?;
            let own = program.parent()?;
            Some(if own.join("initdb").is_file() { own.to_owned() } else { dir })
        })
        .filter(|dir| seen.insert(dir.clone()))
        .collect()
}

/// The folders `parent/start*/rest`.
fn versions(parent: &str, start: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path().join(rest))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_packages_betas_and_others_are_read() {
        let read = |said| parse_version(said).map(|(major, _)| major);
        assert_eq!(read("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(read("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(read("postgres (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(read("usage: postgres FILE\n"), None);
    }

    #[test]
    fn a_link_leads_to_the_folder_of_the_programs() {
        let base = std::env::temp_dir().join(format!("howdah-binaries-{}", std::process::id()));
        let (own, general) = (base.join("own"), base.join("general"));
        std::fs::create_dir_all(&own).unwrap();
        std::fs::create_dir_all(&general).unwrap();
        for program in ["postgres", "initdb"] {
            std::fs::write(own.join(program), "").unwrap();
        }
        std::os::unix::fs::symlink(own.join("postgres"), general.join("postgres")).unwrap();
        let path = std::env::join_paths([&general, &own]).unwrap();
        let own = std::fs::canonicalize(own).unwrap();
        let found = candidates(Some(&path));
        std::fs::remove_dir_all(base).unwrap();
        assert_eq!(found.iter().filter(|dir| **dir == own).count(), 1);
        assert_eq!(found.first(), Some(&own));
    }
}
