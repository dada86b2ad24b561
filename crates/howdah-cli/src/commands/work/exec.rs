//! One attempt by a program: its standard input, its end, and what that means.
//!
//! Invariant: whatever the program does, the attempt ends with one outcome and no process of its group that still
//! reads or writes for it. Limit: of standard output the first megabyte is printed, of standard error the last
//! 4 kB are kept.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use howdah::{Ctx, JobError, RawJob};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::child::{Group, Groups, name_of};
use crate::output::Output;

/// `EX_DATAERR` of sysexits.h: the job itself is wrong, and would be the next time.
const DISCARD: i32 = 65;
/// How much of standard error is kept, and of standard output printed.
const KEPT_OF_ERRORS: usize = 4 << 10;
const PRINTED: usize = 1 << 20;
/// How long a process that the program left behind may keep its output open.
const AFTER_THE_END: Duration = Duration::from_millis(250);

/// What all attempts share.
pub(super) struct Setting {
    pub(super) program: String,
    pub(super) out: Output,
    pub(super) groups: Groups,
}

/// Runs the program for one job.
pub(super) async fn run(setting: Arc<Setting>, job: RawJob, cx: Ctx) -> Result<(), JobError> {
    let began = Instant::now();
    let mut group = Group::spawn(command(&setting.program, &job, &cx), &setting.groups)
        .map_err(|e| JobError::retry(format!("cannot run sh: {e}")).kind("spawn"))?;
    let (stdin, stdout, stderr) = group.pipes();
    let payload = job.payload.get().to_owned();
    // A program that does not read its input is in its right: a broken pipe is no error.
    let feeding = tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(payload.as_bytes()).await;
        }
    });
    let printed = tokio::spawn(head(stdout));
    let errors = tokio::spawn(tail(stderr));
    let status = group.end(cx.cancelled()).await;
    feeding.abort();
    let printed = within(printed).await;
    let errors = within(errors).await;
    let status = status.map_err(|e| JobError::retry(format!("cannot wait for the program: {e}")).kind("wait"))?;
    print(setting.out, &job, &cx, status, began, &printed);
    verdict(status, &errors)
}

fn command(program: &str, job: &RawJob, cx: &Ctx) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", program])
        .env("HOWDAH_JOB_ID", cx.id().to_string())
        .env("HOWDAH_KIND", &job.kind)
        .env("HOWDAH_QUEUE", cx.queue())
        .env("HOWDAH_ATTEMPT", cx.attempt().to_string())
        .env("HOWDAH_MAX_ATTEMPTS", cx.max_attempts().to_string());
    command
}

/// What an exit status means.
fn verdict(status: ExitStatus, errors: &[u8]) -> Result<(), JobError> {
    if status.success() {
        return Ok(());
    }
    let name = name_of(status);
    let text = String::from_utf8_lossy(errors);
    let message = match text.trim() {
        "" => format!("the program ended with {name} and wrote nothing to standard error"),
        // PostgreSQL cannot store NUL.
        text => text.replace('\0', "\u{fffd}"),
    };
    let error = if status.code() == Some(DISCARD) { JobError::discard(message) } else { JobError::retry(message) };
    Err(error.kind(name))
}

/// Prints what the program printed, in one piece; as JSON, a line for each attempt.
fn print(out: Output, job: &RawJob, cx: &Ctx, status: ExitStatus, began: Instant, printed: &[u8]) {
    use std::io::Write;
    let mut bytes = printed.to_owned();
    if out.is_json() {
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = json!({
            "id": cx.id(), "kind": job.kind, "queue": cx.queue(), "attempt": cx.attempt(),
            "ended": name_of(status), "run_ms": ms, "stdout": String::from_utf8_lossy(printed),
        });
        bytes = format!("{line}\n").into_bytes();
    }
    let mut stdout = std::io::stdout().lock();
    // Nobody reading our output is no reason to fail the job.
    let _ = stdout.write_all(&bytes).and_then(|()| stdout.flush());
}

/// What a reader has read, unless it never comes to an end.
async fn within(reading: tokio::task::JoinHandle<Vec<u8>>) -> Vec<u8> {
    let stop = reading.abort_handle();
    match tokio::time::timeout(AFTER_THE_END, reading).await {
        Ok(read) => read.unwrap_or_default(),
        Err(_) => {
            stop.abort();
            Vec::new()
        }
    }
}

/// The first part of a stream, which is read to its end.
async fn head(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    read(stream, |bytes| kept.extend_from_slice(&bytes[..bytes.len().min(PRINTED - kept.len())])).await;
    kept
}

/// The last part of a stream; all of it is passed on to our own standard error.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    use std::io::Write;
    let mut kept = Vec::new();
    read(stream, |bytes| {
        let _ = std::io::stderr().lock().write_all(bytes);
        kept.extend_from_slice(bytes);
        kept.drain(..kept.len().saturating_sub(KEPT_OF_ERRORS));
    })
    .await;
    kept
}

async fn read(stream: Option<impl AsyncRead + Unpin>, mut each: impl FnMut(&[u8])) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        each(&buffer[..n]);
    }
}
