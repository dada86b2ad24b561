//! The file of one actor.
//!
//! Invariant: a line is one write to the end of the file, so that a process may be killed at any moment and the file may be
//! emptied between two phases. Its time is the system's clock, as the server's is. Limit: what cannot be written is missed
//! by the checker.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::event::{Event, Line};

/// Microseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Where an actor writes down what it does.
#[derive(Debug)]
pub struct Log {
    who: String,
    file: File,
    calls: AtomicU64,
}

impl Log {
    /// The file of an actor in this folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path, who: &str) -> Result<Self> {
        let path = folder.join(format!("{who}.jsonl"));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { who: who.to_owned(), file, calls: AtomicU64::new(0) })
    }

    /// The actor's name.
    #[must_use]
    pub fn who(&self) -> &str {
        &self.who
    }

    /// A number for a call or a run.
    pub fn number(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes down what happens now.
    pub fn write(&self, event: Event) {
        let line = Line { at: now(), who: self.who.clone(), event };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            // What cannot be written is missed by the checker.
            let _ = (&self.file).write_all(&text);
        }
    }
}

/// All lines that were written into a folder, in the order of time.
///
/// # Errors
/// When a file cannot be read, or holds something else.
pub fn read_lines(folder: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            for line in std::fs::read_to_string(&path)?.lines() {
                let line: Line = serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))?;
                lines.push(line);
            }
        }
    }
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}
