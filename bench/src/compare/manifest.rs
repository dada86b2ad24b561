//! What a system under measurement is: `bench/peers/<name>/peer.json`.
//!
//! Invariant: everything that a reader of the figures has to know of a system is in its manifest, and printed. Limit:
//! the settings are said in words here and made in the adapter.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A system's manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The name of its folder.
    #[serde(default)]
    pub(crate) name: String,
    /// As its own documentation writes it.
    pub(crate) title: String,
    pub(crate) language: String,
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) store: Store,
    /// Its documented best settings, and where they are documented.
    pub(crate) settings: String,
    /// A shell command that installs it, run in its folder.
    #[serde(default)]
    pub(crate) install: Option<String>,
    /// The adapter, run in its folder; `$CARGO_TARGET_DIR` is replaced.
    pub(crate) run: Vec<String>,
    /// How many jobs its worker runs at a time.
    #[serde(default = "default_concurrency")]
    pub(crate) concurrency: usize,
    /// How many jobs a call of its bulk enqueue has.
    #[serde(default = "default_batch")]
    pub(crate) batch: usize,
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

/// What a system is here for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Howdah, by its library.
    Howdah,
    /// A job queue that one could use instead.
    Peer,
    /// What the database can do without any queue around it.
    Limit,
}

/// Where its jobs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Store {
    /// A database of its own on the private server.
    #[default]
    Postgres,
    /// A private Redis.
    Redis,
}

fn default_concurrency() -> usize {
    100
}

fn default_batch() -> usize {
    5000
}

/// The manifests under a folder, Howdah first, then the limits, then the peers by name.
pub(crate) fn all(peers: &Path) -> Result<Vec<Manifest>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(peers).with_context(|| format!("read {}", peers.display()))? {
        let folder = entry?.path();
        let file = folder.join("peer.json");
        if file.exists() {
            found.push(read(&folder, &file).with_context(|| format!("in {}", file.display()))?);
        }
    }
    found.sort_by_key(|m| (m.role != Role::Howdah, m.role != Role::Limit, m.name.clone()));
    Ok(found)
}

fn read(folder: &Path, file: &Path) -> Result<Manifest> {
    let mut manifest: Manifest = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    manifest.name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    manifest.folder = folder.canonicalize()?;
    Ok(manifest)
}
