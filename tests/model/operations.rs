//! What is done to the queue: each operation is one call of a function of the queue, or a move of the clock.
//!
//! Invariant: an operation that was drawn names its job, lease and worker by a small number, and means one of those that there
//! are when its turn comes, so that it still means something when others before it are left out.

/// Microseconds, or a point in time in microseconds since 2100 began.
pub(crate) type Time = i64;

pub(crate) const SECOND: Time = 1_000_000;

/// At this time a job is due that is parked.
pub(crate) const NEVER: Time = Time::MAX;

/// What an operation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum What {
    Worker,
    Lease,
    /// One of the jobs that the lease of the same operation was given; now and then any job.
    Held,
    Job,
    /// A job that died, if there is one.
    Dead,
}

/// Something that an operation names: which one of those that there are, and after `Known::resolve` its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ref {
    pub(crate) what: What,
    pub(crate) id: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    After(Time),
    /// From now on, and before it.
    At(Time),
    Parked,
}

impl When {
    pub(crate) fn due(self, now: Time) -> Option<Time> {
        match self {
            Self::Now => None,
            Self::After(ms) | Self::At(ms) => Some(now + ms),
            Self::Parked => Some(NEVER),
        }
    }
}

/// What is wrong with a call, and how it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    Priority,
    Attempts,
    Kind,
    Option,
    Delay,
    DelayAndTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scope {
    Live,
    Period(Time),
    Forever,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnHit {
    Keep,
    Error,
    Replace,
    ReplacePayload,
    ReplaceTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unique {
    pub(crate) key: &'static str,
    pub(crate) scope: Scope,
    pub(crate) on_hit: OnHit,
}

/// Jobs to enqueue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct New {
    pub(crate) kind: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) payload: u8,
    pub(crate) priority: i64,
    pub(crate) when: When,
    pub(crate) max_attempts: Option<i64>,
    pub(crate) ttl: Option<Time>,
    pub(crate) limits: Vec<&'static str>,
    pub(crate) order: Option<&'static str>,
    pub(crate) lets_pass: bool,
    pub(crate) unique: Option<Unique>,
    /// So many in one call of `enqueue_many`.
    pub(crate) many: Option<u8>,
    pub(crate) flaw: Option<Flaw>,
}

impl New {
    pub(crate) fn count(&self) -> usize {
        self.many.map_or(1, usize::from)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry,
    Discard,
    Cancel,
    Snooze,
}

/// What `howdah.change` changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Payload(u8),
    Priority(i64),
    Queue(&'static str),
    Attempts(i64),
}

/// Chores that nobody may see the effect of, but that what is old enough goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Turns the rings of tickets and leases, however small they are.
    Turn,
    Rotate,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    Enqueue(New),
    StartWorker {
        lease: Time,
    },
    StopWorker(Ref),
    Heartbeat(Ref),
    Claim {
        worker: Ref,
        queues: Vec<(&'static str, i64)>,
        kind: Option<&'static str>,
    },
    Complete {
        lease: Ref,
        jobs: Option<Vec<Ref>>,
    },
    /// `told`: as many jobs as it holds for all that its worker knows, or a number that is wrong by this.
    CompleteLease {
        lease: Ref,
        wrong_by: i64,
        told: i64,
    },
    EndIn {
        lease: Ref,
        job: Ref,
        cancelled: bool,
    },
    Release {
        lease: Ref,
        jobs: Option<Vec<Ref>>,
    },
    Fail {
        lease: Ref,
        jobs: Vec<Ref>,
        verdict: Verdict,
        delay: Option<Time>,
    },
    Holds {
        lease: Ref,
        job: Ref,
    },
    Cancel(Ref),
    Retry(Ref),
    Reschedule {
        job: Ref,
        when: When,
    },
    Change {
        job: Ref,
        change: Change,
    },
    Delete(Ref),
    Isolate(Ref),
    Purge {
        state: &'static str,
        older: Time,
        queue: Option<&'static str>,
    },
    Pause(&'static str),
    Resume(&'static str),
    Limit {
        scope: &'static str,
        name: &'static str,
        most: Option<i64>,
    },
    Advance(Time),
    Keep {
        worker: Ref,
        sweep: bool,
    },
    Chore(Chore),
}

impl Op {
    /// All that it names; a lease stands before its jobs.
    pub(crate) fn refs(&mut self) -> Vec<&mut Ref> {
        match self {
            Self::StopWorker(one) | Self::Heartbeat(one) | Self::Cancel(one) | Self::Retry(one) | Self::Delete(one) => {
                vec![one]
            }
            Self::Claim { worker: one, .. } | Self::Keep { worker: one, .. } => vec![one],
            Self::Reschedule { job: one, .. } | Self::Change { job: one, .. } | Self::Isolate(one) => vec![one],
            Self::CompleteLease { lease, .. } => vec![lease],
            Self::EndIn { lease, job, .. } | Self::Holds { lease, job } => vec![lease, job],
            Self::Complete { lease, jobs } | Self::Release { lease, jobs } => {
                std::iter::once(lease).chain(jobs.iter_mut().flatten()).collect()
            }
            Self::Fail { lease, jobs, .. } => std::iter::once(lease).chain(jobs.iter_mut()).collect(),
            _ => Vec::new(),
        }
    }
}
