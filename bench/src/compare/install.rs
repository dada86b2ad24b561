//! Installs the systems, each by the command of its manifest.
//!
//! Invariant: a system that cannot be installed has a reason, and the others are measured without it. Limit: what a
//! command prints goes to a file; its last lines are the reason.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::adapter::Adapter;
use super::manifest::Manifest;

/// Installs one and asks it for its version. The error is the reason why it is missing.
pub(crate) async fn install(system: &Manifest, cargo_target: &Path, logs: &Path, skip: bool) -> Result<String> {
    if let (Some(command), false) = (&system.install, skip) {
        eprintln!("installing {}", system.title);
        run(system, command, cargo_target, logs).await?;
    }
    let mut adapter = Adapter::start(system, cargo_target, logs)?;
    let version = adapter.say("hello").await?["version"].as_str().unwrap_or_default().to_owned();
    adapter.end().await?;
    Ok(version)
}

async fn run(system: &Manifest, command: &str, cargo_target: &Path, logs: &Path) -> Result<()> {
    let log = logs.join(format!("{}.install.log", system.name));
    let file = File::create(&log)?;
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(&system.folder)
        .env("CARGO_TARGET_DIR", cargo_target)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .await
        .context("sh")?;
    anyhow::ensure!(status.success(), "{command}: {status}; {}", last_lines(&std::fs::read_to_string(&log)?));
    Ok(())
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|l| !l.is_empty()).rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_reason_is_how_the_log_ends() {
        assert_eq!(last_lines("a\nb\n\n  c\nd\n\n"), "b | c | d");
        assert_eq!(last_lines(""), "");
    }
}
