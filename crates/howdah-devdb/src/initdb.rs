//! Makes the data folder of a private server and its `postgresql.conf`.
//!
//! Invariant: passwords only, on every way in; the settings that keep the server private can't be
//! overridden. Limit: what a setting means is left to PostgreSQL, which refuses wrong ones at start.

use std::io::Write;
use std::path::Path;

use crate::builder::Durability;
use crate::error::{Error, Result};
use crate::watchdog::Watchdog;

/// Settings of the caller.
pub(crate) type Settings = Vec<(String, String)>;

/// What is ours to say: changed, the server would be found elsewhere, or by others.
const OURS: &[&str] = &[
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "include",
    "include_dir",
    "include_if_exists",
    "listen_addresses",
    "logging_collector",
    "port",
    "unix_socket_directories",
];

/// Runs `initdb` and writes the configuration.
///
/// # Errors
/// [`Error::Initdb`], [`Error::Watchdog`], [`Error::Io`].
pub(crate) async fn initdb(watchdog: &Watchdog, bin: &Path, password: &str, conf: &str) -> Result<()> {
    watchdog.tell_password(password)?;
    let status = watchdog.wait(|s| s.initdb).await?;
    if status != 0 {
        return Err(Error::Initdb { bin: bin.to_owned(), status, tail: watchdog.log_tail(0) });
    }
    let path = watchdog.dir().join("data/postgresql.conf");
    std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(conf.as_bytes()))
        .map_err(|e| Error::io(format!("write {}", path.display()), e))
}

/// The lines for `postgresql.conf`: the profile's, the caller's, ours; of equal ones the last wins.
pub(crate) fn conf(durability: Durability, settings: &Settings, dir: &Path) -> String {
    let profile: &[(&str, &str)] = match durability {
        Durability::Durable => &[("shared_buffers", "256MB")],
        Durability::Fast => &[("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")],
    };
    let dir = dir.to_string_lossy();
    let ours = [("listen_addresses", "127.0.0.1"), ("unix_socket_directories", &dir)];
    std::iter::once(("max_connections", "300"))
        .chain(profile.iter().copied())
        .chain(settings.iter().map(|(key, value)| (key.as_str(), value.as_str())))
        .chain(ours)
        .map(|(key, value)| {
            let value = value.replace('\\', "\\\\").replace('\'', "''");
            format!("{key} = '{value}'\n")
        })
        .collect()
}

/// Refuses what can't be written as one line, and what is not the caller's to say.
///
/// # Errors
/// [`Error::BadSetting`].
pub(crate) fn check_settings(settings: &Settings) -> Result<()> {
    for (key, value) in settings {
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let reason = if !key.starts_with(|c: char| c.is_ascii_alphabetic()) || !key.chars().all(named) {
            "a name is made of letters, digits, _ and ., and starts with a letter"
        } else if OURS.contains(&key.to_ascii_lowercase().as_str()) {
            "a private server needs its own value for it"
        } else if value.contains(['\n', '\r', '\0']) {
            "its value has more than one line"
        } else {
            continue;
        };
        return Err(Error::BadSetting { key: key.clone(), reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Settings {
        vec![(key.into(), value.into())]
    }

    #[test]
    fn a_setting_is_quoted_and_wins_over_the_profile() {
        let conf = conf(Durability::Fast, &one("fsync", r"o'n\"), Path::new("/x"));
        let (profile, own) = (conf.find("fsync = 'off'"), conf.find(r"fsync = 'o''n\\'"));
        assert!(profile.unwrap() < own.unwrap(), "{conf}");
    }

    #[test]
    fn a_setting_that_would_open_the_server_or_break_the_file_is_refused() {
        for (key, value) in [
            ("Listen_Addresses", "*"),
            ("hba_file", "/dev/null"),
            ("a b", "1"),
            ("", "1"),
            ("work_mem", "1MB'\nlisten_addresses = '*"),
        ] {
            assert!(check_settings(&one(key, value)).is_err(), "{key}");
        }
        check_settings(&one("pg_stat_statements.track", "all")).unwrap();
    }
}
