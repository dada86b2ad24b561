//! Writes what attempts say of themselves: their progress while they run, their logs when they have ended.
//!
//! On a connection of its own, opened when there is something to write, so that neither keeps a completion waiting.
//!
//! Invariant: one statement for all that is due. Progress that finds its row locked is written a little later; that
//! of an attempt which has lost its job is told to its handler. Limit: logs that wait for a database that does not
//! answer are dropped, newest first, beyond 16 MiB.

use std::sync::Arc;
#[cfg(feature = "logs")]
use std::sync::atomic::AtomicUsize;
#[cfg(feature = "logs")]
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::link::Link;
use super::shared::Shared;
use crate::error::Error;
use crate::handler::Call;
#[cfg(feature = "logs")]
use crate::logs::AttemptLog;

/// Logs that may wait, in bytes, and how many of them go with one statement.
#[cfg(feature = "logs")]
const MOST_WAITING: usize = 16 << 20;
#[cfg(feature = "logs")]
const ROUND_TRIP_BYTES: usize = 1 << 20;
/// How long a worker that leaves tries to reach a database that does not answer.
#[cfg(feature = "logs")]
const LAST_TRIES: Duration = Duration::from_secs(10);
/// Somebody had the row, or the attempt is about to complete its job.
const AGAIN: Duration = Duration::from_millis(50);
const FOREVER: Duration = Duration::from_secs(3600);
const MANY: usize = 1024;

/// What an attempt has to say.
#[derive(Debug)]
pub(crate) enum Note {
    /// There is news in `Call::said`.
    Progress(Arc<Call>),
    /// It has ended, and this is what it logged.
    #[cfg(feature = "logs")]
    Logs(AttemptLog),
}

/// Where attempts leave their notes.
#[derive(Debug)]
pub(crate) struct Notes {
    sender: mpsc::UnboundedSender<Note>,
    /// Bytes of logs on their way, and attempts whose logs found no room.
    #[cfg(feature = "logs")]
    waiting: AtomicUsize,
    #[cfg(feature = "logs")]
    dropped: AtomicUsize,
}

impl Notes {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Note>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let notes = Self {
            sender,
            #[cfg(feature = "logs")]
            waiting: AtomicUsize::new(0),
            #[cfg(feature = "logs")]
            dropped: AtomicUsize::new(0),
        };
        (Arc::new(notes), receiver)
    }

    pub(crate) fn send(&self, note: Note) {
        #[cfg(feature = "logs")]
        if let Note::Logs(log) = &note {
            let bytes = log.bytes();
            if self.waiting.fetch_add(bytes, Ordering::AcqRel) + bytes > MOST_WAITING {
                self.waiting.fetch_sub(bytes, Ordering::AcqRel);
                self.dropped.fetch_add(1, Ordering::AcqRel);
                return;
            }
        }
        // Nobody listens once the worker has left.
        let _ = self.sender.send(note);
    }
}

pub(super) struct Scribe {
    shared: Arc<Shared>,
    link: Link,
    notes: mpsc::UnboundedReceiver<Note>,
    /// Attempts that have said something, and when it may be written.
    waiting: Vec<(Instant, Arc<Call>)>,
    #[cfg(feature = "logs")]
    logs: Vec<AttemptLog>,
}

impl Scribe {
    pub(super) fn new(shared: Arc<Shared>, link: Link, notes: mpsc::UnboundedReceiver<Note>) -> Self {
        Self {
            shared,
            link,
            notes,
            waiting: Vec::new(),
            #[cfg(feature = "logs")]
            logs: Vec::new(),
        }
    }

    /// Runs until the worker leaves and every log is written.
    pub(super) async fn run(mut self) {
        let (mut batch, leaving) = (Vec::new(), self.shared.leaving.clone());
        while !leaving.is_cancelled() {
            let due = self.waiting.iter().map(|(at, _)| *at).min().unwrap_or_else(|| Instant::now() + FOREVER);
            tokio::select! {
                _ = self.notes.recv_many(&mut batch, MANY) => {}
                () = tokio::time::sleep_until(due.into()) => {}
                () = leaving.cancelled() => {}
            }
            self.take_in(batch.drain(..));
            self.write_progress().await;
            #[cfg(feature = "logs")]
            self.write_logs().await;
        }
        while let Ok(note) = self.notes.try_recv() {
            self.take_in(std::iter::once(note));
        }
        #[cfg(feature = "logs")]
        let _ = tokio::time::timeout(LAST_TRIES, self.write_logs()).await;
        self.link.close().await;
    }

    fn take_in(&mut self, notes: impl Iterator<Item = Note>) {
        let now = Instant::now();
        for note in notes {
            match note {
                Note::Progress(call) => self.waiting.push((call.said.due(now, call.started), call)),
                #[cfg(feature = "logs")]
                Note::Logs(log) => self.logs.push(log),
            }
        }
    }

    /// Writes what is due, of attempts that still run.
    async fn write_progress(&mut self) {
        let now = Instant::now();
        let due = self.waiting.extract_if(.., |(at, _)| *at <= now).map(|(_, call)| call);
        let (completing, due): (Vec<_>, Vec<_>) =
            due.filter(|call| self.shared.runs(call)).partition(|call| call.limit.is_completing());
        // That may be refused, and then it goes on.
        self.waiting.extend(completing.into_iter().map(|call| (now + AGAIN, call)));
        let said: Vec<_> = due.into_iter().map(|call| (call.said.take(now), call)).collect();
        if said.is_empty() {
            return;
        }
        let leases: Vec<i64> = said.iter().map(|(_, call)| call.lease_id).collect();
        let jobs: Vec<i64> = said.iter().map(|(_, call)| call.id.0).collect();
        let percents: Vec<Option<f32>> = said.iter().map(|((percent, _), _)| *percent).collect();
        let messages: Vec<Option<&str>> = said.iter().map(|((_, message), _)| message.as_deref()).collect();
        let sql = "SELECT lease_id, job_id, written FROM howdah.note_progress($1, $2, $3, $4)";
        let query = sqlx::query_as(self.shared.howdah.names().sql(sql));
        let query = query.bind(&leases).bind(&jobs).bind(&percents).bind(&messages);
        let told: Result<Vec<(i64, i64, bool)>, Error> = self.link.rows(query).await;
        match told {
            Ok(held) => {
                for ((percent, message), call) in said {
                    match held.iter().find(|(lease, job, _)| (*lease, *job) == (call.lease_id, call.id.0)) {
                        Some((_, _, true)) => {}
                        Some((_, _, false)) => self.again(call, percent, message),
                        // It may have ended by itself meanwhile.
                        None if self.shared.runs(&call) => call.lose(),
                        None => {}
                    }
                }
            }
            Err(error) if error.is_transient() => {
                for ((percent, message), call) in said {
                    self.again(call, percent, message);
                }
                self.pause(&error).await;
            }
            Err(error) => tracing::error!(%error, "could not write the progress of jobs"),
        }
    }

    fn again(&mut self, call: Arc<Call>, percent: Option<f32>, message: Option<String>) {
        if call.said.put_back(percent, message) {
            self.waiting.push((Instant::now() + AGAIN, call));
        }
    }

    /// After a failure: until it is tried again, or the worker leaves.
    async fn pause(&mut self, error: &Error) {
        let leaving = self.shared.leaving.clone();
        tokio::select! {
            () = self.link.failed(error) => {}
            () = leaving.cancelled() => {}
        }
    }
}

#[cfg(feature = "logs")]
impl Scribe {
    async fn write_logs(&mut self) {
        while !self.logs.is_empty() {
            let mut bytes = 0;
            let fits = self.logs.iter().take_while(|log| {
                bytes += log.bytes();
                bytes <= ROUND_TRIP_BYTES
            });
            let now_many = fits.count().max(1);
            let now: Vec<AttemptLog> = self.logs.drain(..now_many).collect();
            self.write(&now).await;
            let written: usize = now.iter().map(AttemptLog::bytes).sum();
            self.shared.notes.waiting.fetch_sub(written, Ordering::AcqRel);
        }
        let dropped = self.shared.notes.dropped.swap(0, Ordering::AcqRel);
        if dropped > 0 {
            tracing::warn!(attempts = dropped, "dropped the logs of attempts: the database was too slow to keep them");
        }
    }

    /// Tries until the database has answered, or the worker leaves and cannot reach it.
    async fn write(&mut self, logs: &[AttemptLog]) {
        let jobs: Vec<i64> = logs.iter().map(|log| log.job).collect();
        let attempts: Vec<i16> = logs.iter().map(|log| log.attempt).collect();
        loop {
            let now = Instant::now();
            let lines: Vec<_> = logs.iter().map(|log| sqlx::types::Json(log.lines(now))).collect();
            let query = sqlx::query_as(self.shared.howdah.names().sql("SELECT howdah.write_logs($1, $2, $3)"));
            let told: Result<(i32,), Error> = self.link.row(query.bind(&jobs).bind(&attempts).bind(&lines)).await;
            match told {
                Ok(_) => return,
                Err(error) if error.is_transient() && !self.shared.leaving.is_cancelled() => self.pause(&error).await,
                Err(error) => {
                    tracing::error!(%error, attempts = logs.len(), "could not write the logs of attempts");
                    return;
                }
            }
        }
    }
}
