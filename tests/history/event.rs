//! What the actors write down.
//!
//! Invariant: an intent is written before it is acted on, and an answer after it was heard; so a killed process leaves an
//! intent without an answer, which is an unknown outcome. Limit: names of calls and runs are those of one actor.

use serde::{Deserialize, Serialize};

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since 1970.
    pub at: i64,
    /// Which actor; none is started twice under one name.
    pub who: String,
    /// What it did.
    #[serde(flatten)]
    pub event: Event,
}

/// How a worker that speaks SQL settles jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// `howdah.complete`
    Complete,
    /// `howdah.fail`
    Fail,
    /// `howdah.release`
    Release,
}

/// What an actor meant to do, did or heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A producer is about to enqueue jobs, all or none. Each job has a tag of its own, which is in its payload.
    Intends {
        /// Which of its calls.
        call: u64,
        /// The jobs.
        tags: Vec<String>,
    },
    /// The jobs of a call exist now: their ids, in the order of the tags.
    Acked {
        /// The call.
        call: u64,
        /// The jobs.
        ids: Vec<i64>,
    },
    /// Another job has the unique key, and no job was made.
    Hit {
        /// The call.
        call: u64,
        /// The job that has the key.
        id: i64,
    },
    /// Nobody can say whether the jobs of a call exist.
    Unknown {
        /// The call.
        call: u64,
        /// What was heard instead of an answer.
        error: String,
    },
    /// The server refused the call: its jobs do not exist.
    Refused {
        /// The call.
        call: u64,
        /// Why.
        error: String,
    },
    /// The producer rolls its transaction back: the jobs of the call do not exist.
    RollsBack {
        /// The call.
        call: u64,
    },
    /// Somebody is about to cancel a job.
    Cancels {
        /// The job.
        job: i64,
    },
    /// A handler began.
    Began {
        /// Which of the worker's runs.
        run: u64,
        /// The lease that it was claimed with.
        lease: i64,
        /// The job.
        job: i64,
        /// Its attempt.
        attempt: i16,
        /// What its payload says.
        tag: String,
    },
    /// A handler is about to return.
    Ended {
        /// The run.
        run: u64,
        /// What it says: ok, retry, discard, cancel, snooze; in_tx: it is about to commit a transaction that completes the
        /// job; unsure: nobody can say whether it has. The last word counts.
        verdict: String,
    },
    /// A worker that speaks SQL is about to settle jobs.
    Settles {
        /// Which of its calls.
        call: u64,
        /// The lease.
        lease: i64,
        /// The jobs.
        jobs: Vec<i64>,
        /// How.
        how: Settlement,
    },
    /// What was accepted of it.
    Settled {
        /// The call.
        call: u64,
        /// Those jobs that were the lease's.
        took: Vec<i64>,
    },
    /// A fault begins.
    Fault {
        /// Which one.
        what: String,
    },
    /// A process was killed.
    Killed {
        /// Which actor.
        actor: String,
    },
    /// The server is about to be stopped without a chance to write what is in memory.
    Crashes,
}
