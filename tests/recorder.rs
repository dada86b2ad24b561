//! Jobs that write down what they do in a file of their process, which outlives the process and the server.
//!
//! Invariant: a line is one write, made before what comes after it. Its time is the system's clock, as the server's is.
//! Limit: only processes with the variable `HOWDAH_RECORDS`, which names a folder, write.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use howdah::{Ctx, Job, JobError};
use serde::{Deserialize, Serialize};

/// The folder of the files.
pub const RECORDS: &str = "HOWDAH_RECORDS";

/// Something that a handler did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The process.
    pub pid: u32,
    /// Which of the handler's calls in the process.
    pub run: u64,
    /// Microseconds since 1970.
    pub at: i64,
    /// The job.
    pub job: i64,
    /// Its attempt.
    pub attempt: i16,
    /// What it did.
    pub what: String,
}

/// Microseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// All that was written into a folder so far, in the order of time.
///
/// # Errors
/// When a file cannot be read, or holds something else.
pub fn records(folder: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let pid = path.file_name().and_then(|n| n.to_str()).context("a name")?.parse()?;
        for line in std::fs::read_to_string(path)?.split_terminator('\n') {
            let parts: Vec<_> = line.splitn(5, ' ').collect();
            let [run, at, job, attempt, what] = parts[..] else { anyhow::bail!("half a line: {line}") };
            lines.push(Line {
                pid,
                run: run.parse()?,
                at: at.parse()?,
                job: job.parse()?,
                attempt: attempt.parse()?,
                what: what.to_owned(),
            });
        }
    }
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

/// One call of a handler.
#[derive(Debug)]
struct Run {
    number: u64,
    job: i64,
    attempt: u16,
}

impl Run {
    fn new(cx: &Ctx<()>) -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = Self { number: RUNS.fetch_add(1, Ordering::Relaxed), job: cx.id().0, attempt: cx.attempt() };
        run.note("began");
        run
    }

    fn note(&self, what: impl Display) {
        static FILE: OnceLock<Option<File>> = OnceLock::new();
        let open = || {
            let path = Path::new(&std::env::var_os(RECORDS)?).join(std::process::id().to_string());
            OpenOptions::new().create(true).append(true).open(path).ok()
        };
        if let Some(mut file) = FILE.get_or_init(open).as_ref() {
            let line = format!("{} {} {} {} {what}\n", self.number, now(), self.job, self.attempt);
            // What cannot be written is missed by the test.
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// A job for limits and orders: it runs for a while, and fails so often.
#[derive(Debug, Clone, Job, Serialize, Deserialize)]
pub struct Flowing {
    /// How many milliseconds it runs.
    pub ms: u64,
    /// So many of its first attempts fail; less than 0: it is dead at once.
    pub fails: i16,
}

/// Runs a [`Flowing`] job.
///
/// # Errors
/// As often as it is to fail.
pub async fn flowing(job: Flowing, cx: Ctx<()>) -> Result<(), JobError> {
    let run = Run::new(&cx);
    tokio::time::sleep(Duration::from_millis(job.ms)).await;
    run.note("ended");
    match job.fails {
        i16::MIN..0 => Err(JobError::discard("never")),
        fails if cx.attempt() <= fails.unsigned_abs() => Err(JobError::retry("not yet")),
        _ => Ok(()),
    }
}

/// A node of a workflow: three steps, and between them it sleeps or waits for a signal. It returns one more than the sum
/// of what its parents have returned.
#[derive(Debug, Clone, Job, Serialize, Deserialize)]
#[job(output = u64)]
pub struct Node {
    /// Its name in the workflow.
    pub name: String,
    /// Sleeps so many milliseconds after the first step.
    pub sleep_ms: Option<u64>,
    /// Waits for the signal of this name after the second step.
    pub signal: Option<String>,
    /// So many of its first attempts fail before the last step; less than 0: it is dead at once.
    pub fails: i16,
    /// It completes in its own transaction.
    pub in_tx: bool,
}

/// What [`node`] writes to: each of them once for each node.
pub const NODE_TABLES: &str = "CREATE TABLE effect (name text); CREATE TABLE did (name text)";

/// Runs a [`Node`].
///
/// # Errors
/// As often as it is to fail; what the server says; and what sets it aside.
pub async fn node(job: Node, cx: Ctx<()>) -> Result<u64, JobError> {
    let run = Run::new(&cx);
    let step = async |name: &'static str| {
        let work = || async {
            run.note(format!("does {name}"));
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok::<_, JobError>(name.to_owned())
        };
        let kept = cx.step(name, work).await?;
        run.note(format!("kept {name}"));
        if kept == name { Ok(()) } else { Err(JobError::discard(format!("{name} was kept as {kept}"))) }
    };
    step("one").await?;
    if let Some(ms) = job.sleep_ms {
        cx.sleep("sleep", Duration::from_millis(ms)).await?;
    }
    step("two").await?;
    if let Some(signal) = &job.signal {
        let heard: Option<String> = cx.wait_for_signal(signal.clone(), None).await?;
        if heard.as_ref() != Some(signal) {
            return Err(JobError::discard(format!("heard {heard:?} and not {signal}")));
        }
    }
    if job.fails < 0 {
        return Err(JobError::discard("never"));
    } else if cx.attempt() <= job.fails.unsigned_abs() {
        return Err(JobError::retry("not yet"));
    }
    let name = job.name.clone();
    let insert = |table: &str| format!("INSERT INTO {table} (name) VALUES ($1)");
    let effect = sqlx::AssertSqlSafe(insert("effect"));
    let work = |mut tx: howdah::Tx| async move {
        sqlx::query(effect).bind(name).execute(&mut *tx).await?;
        Ok::<_, sqlx::Error>(())
    };
    cx.step_in_tx("three", work).await?;
    run.note("kept three");
    let mut sum: u64 = 1;
    for parent in cx.parents().await? {
        sum = sum.wrapping_add(parent.output::<Option<u64>>()?.unwrap_or(0)) % 1_000_000_007;
    }
    if job.in_tx {
        let mut tx = cx.howdah().pool().begin().await?;
        sqlx::query(sqlx::AssertSqlSafe(insert("did"))).bind(&job.name).execute(&mut *tx).await?;
        cx.complete_in_with(&mut tx, &sum).await?;
        tx.commit().await?;
    }
    run.note("ended");
    Ok(sum)
}
