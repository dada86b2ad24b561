//! A job for each line of standard input.
//!
//! Lines are read by a thread; whatever has arrived while the last round trip was under way goes with the next, so
//! a slow stream is enqueued at once and a fast one a few thousand at a time.
//!
//! Invariant: jobs are enqueued in the order of the lines, and after an error exactly the lines before the named
//! one are. Limit: there is no transaction around the whole stream.

use std::io::BufRead;

use howdah::Howdah;
use indicatif::ProgressBar;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{Enqueue, payload};
use crate::args::Global;
use crate::commands::Answer;
use crate::connect;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::spinner;

/// How many lines go in one round trip, and how many more may have been read.
const BATCH: usize = 5_000;
const READ_AHEAD: usize = 10_000;

/// One line with its number, or what is wrong with it.
struct Line {
    number: u64,
    payload: Result<Box<RawValue>, String>,
}

pub(super) async fn run(global: &Global, out: Output, command: &Enqueue) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    let spinner = spinner("enqueued");
    let mut enqueued: u64 = 0;
    let ended = pour(&howdah, command, &spinner, &mut enqueued).await;
    spinner.finish_and_clear();
    if let Err(failure) = ended {
        return Err(failure.and(match enqueued {
            0 => "nothing was enqueued".to_owned(),
            1 => "1 job was enqueued before that, and nothing after".to_owned(),
            n => format!("{n} jobs were enqueued before that, and nothing after"),
        }));
    }
    out.answer(&json!({ "enqueued": enqueued }), enqueued)?;
    Ok(Answer::Yes)
}

async fn pour(howdah: &Howdah, command: &Enqueue, spinner: &ProgressBar, enqueued: &mut u64) -> Result<()> {
    let (sender, mut lines) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || read(&sender));
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        let got = tokio::select! {
            got = lines.recv_many(&mut batch, BATCH) => got,
            _ = tokio::signal::ctrl_c() => return Err(Failure::interrupted("interrupted")),
        };
        if got == 0 {
            return Ok(());
        }
        let good: Vec<&RawValue> = batch.iter().map_while(|line| line.payload.as_deref().ok()).collect();
        if !good.is_empty() {
            if let Err(error) = command.many(howdah, &good)?.await {
                return Err(refused(howdah, command, &batch, &good, error, enqueued).await);
            }
            *enqueued += good.len() as u64;
            spinner.set_position(*enqueued);
        }
        if let Some(Line { number, payload: Err(why) }) = batch.get(good.len()) {
            return Err(Failure::no(format!("line {number} {why}")));
        }
    }
}

/// Finds the line that the server refused, and enqueues those before it.
async fn refused(
    howdah: &Howdah,
    command: &Enqueue,
    batch: &[Line],
    good: &[&RawValue],
    error: howdah::Error,
    enqueued: &mut u64,
) -> Failure {
    if !is_about_a_payload(&error) {
        return error.into();
    }
    // The first `fine` lines are accepted, the first `bad` are not.
    let (mut fine, mut bad) = (0, good.len());
    while bad - fine > 1 {
        let middle = fine.midpoint(bad);
        match accepts(howdah, command, &good[fine..middle]).await {
            Ok(true) => fine = middle,
            Ok(false) => bad = middle,
            Err(failure) => return failure,
        }
    }
    if fine > 0 {
        let jobs = match command.many(howdah, &good[..fine]) {
            Ok(jobs) => jobs,
            Err(failure) => return failure,
        };
        match jobs.await {
            Ok(_) => *enqueued += fine as u64,
            Err(error) => return error.into(),
        }
    }
    let number = batch.get(fine).map_or(0, |line| line.number);
    Failure::from(error).context(format_args!("line {number}"))
}

/// Whether one line is to blame: the library or the queue refused it, or PostgreSQL cannot store it.
fn is_about_a_payload(error: &howdah::Error) -> bool {
    match error {
        howdah::Error::Invalid { field, .. } => field == "payload",
        howdah::Error::Database(e) => {
            e.as_database_error().and_then(|e| e.code()).is_some_and(|code| code.starts_with("22"))
        }
        _ => false,
    }
}

/// Asks whether these would be accepted; nothing stays.
async fn accepts(howdah: &Howdah, command: &Enqueue, payloads: &[&RawValue]) -> Result<bool> {
    let mut tx = howdah.pool().begin().await?;
    let accepted = command.many(howdah, payloads)?.on(&mut tx).await;
    tx.rollback().await?;
    match accepted {
        Ok(_) => Ok(true),
        Err(error) if error.is_transient() => Err(error.into()),
        Err(_) => Ok(false),
    }
}

/// Reads standard input to its end, or to its first bad line. Blank lines are none.
fn read(lines: &mpsc::Sender<Line>) {
    let mut input = std::io::stdin().lock();
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let payload = match input.read_until(b'\n', &mut text) {
            Ok(0) => return,
            Ok(_) if text.iter().all(u8::is_ascii_whitespace) => continue,
            Ok(_) => match std::str::from_utf8(&text) {
                Ok(text) => payload::json(text).map_err(|e| format!("is not JSON: {}", without_line(&e))),
                Err(_) => Err("is not UTF-8".to_owned()),
            },
            Err(e) => Err(format!("cannot be read: {e}")),
        };
        let is_bad = payload.is_err();
        if lines.blocking_send(Line { number, payload }).is_err() || is_bad {
            return;
        }
    }
}

/// The parser counts lines within the one that it was given.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.replace(&place, &format!(" at column {}", error.column()))
}
