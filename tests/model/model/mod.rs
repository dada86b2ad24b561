//! What the queue promises, as a program: jobs, unique keys, leases, limits and orders in plain maps, and what each call does to
//! them and answers.
//!
//! Invariant: written from the contracts, and not from the SQL; one thing at a time, nothing is ever half done, and a call that
//! is refused changes nothing. Where the contract leaves something open (how long a retry waits, which jobs of a limit come
//! first), the model takes over what it sees, if that is one of the things that may be. Limit: no rates, shares, ageing, steps,
//! dependencies and schedules; a worker's lease is its own, not its queue's or kind's.

mod claim;
mod decide;
mod enqueue;
mod keep;
mod seen;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use enqueue::ids;

use crate::operations::{NEVER, Op, SECOND, Scope, Time, Unique};

/// The rows that a call gives, a text for each; or the SQLSTATE and the field with which it is refused.
pub(crate) type Answer = Result<Vec<String>, String>;

/// Who was at the queue at the same time as a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    Nobody,
    /// A claim passes by what they have in their hands.
    Others,
    /// Of their wishes to cancel, those that have a bit here came in the moment in which a worker told how the jobs ended, and were not
    /// heard: a bit for each of [`Model::wishes_for`] the call.
    OthersUnheard(u8),
}

/// How long what has ended is kept; it may be there for longer.
const RETENTION: Time = 30 * 86_400 * SECOND;

/// How long a job waits that failed, by its attempts; `spread` is what the jitter may add or take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Policy {
    Exponential { base: Time, cap: Time, spread_percent: Time },
    Constant(Time),
    Linear(Time),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Queue {
    paused: bool,
    max_attempts: i64,
    max_jobs: Option<usize>,
    policy: Policy,
    /// What expires here is dead, and can be sent again.
    expired_is_dead: bool,
}

/// Where a job is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Ready,
    /// Due then; a span until it was seen.
    Scheduled {
        from: Time,
        to: Time,
    },
    /// Waits for a gate: a limit or an order.
    Blocked(String),
    Running {
        lease: i64,
    },
    Ended(Ended),
    Dead {
        at: Time,
        because: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ended {
    state: &'static str,
    at: Time,
    worker: Option<i64>,
    claimed: Option<Time>,
    ran: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Failure {
    attempt: i64,
    at: Time,
    kind: String,
    message: Option<String>,
    worker: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Job {
    queue: &'static str,
    kind: &'static str,
    payload: u8,
    priority: i64,
    max_attempts: i64,
    enqueued: Time,
    unique: Option<(&'static str, Scope)>,
    limits: Vec<&'static str>,
    order: Option<&'static str>,
    lets_pass: bool,
    expires: Option<Time>,
    place: Place,
    /// How many attempts were made, the one that runs included.
    attempt: i64,
    /// Lets the others of its order go first, until it comes to its turn again.
    passed: bool,
    /// The keeper will notice when it expires; it does so once, and does not mind what runs.
    watched: bool,
    failures: Vec<Failure>,
}

impl Job {
    fn waits(&self) -> bool {
        matches!(self.place, Place::Ready | Place::Scheduled { .. } | Place::Blocked(_))
    }

    fn has_ended(&self) -> bool {
        matches!(self.place, Place::Ended(_) | Place::Dead { .. })
    }

    fn has_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    fn state(&self) -> &'static str {
        match &self.place {
            Place::Ready => "ready",
            Place::Scheduled { .. } => "scheduled",
            Place::Blocked(_) => "blocked",
            Place::Running { .. } => "running",
            Place::Ended(ended) => ended.state,
            Place::Dead { .. } => "dead",
        }
    }

    /// What it must pass to start, in the order in which it comes to them.
    fn gates(&self) -> Vec<String> {
        let limits = self.limits.iter().map(|key| format!("limit:{key}"));
        let order = self.order.iter().map(|key| format!("order:{key}"));
        let mut gates: Vec<_> = std::iter::once(format!("kind:{}", self.kind)).chain(limits).chain(order).collect();
        gates.sort();
        gates
    }
}

/// Who has a unique key, and until when: for good, for a time, or as long as the job lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    job: i64,
    scope: Scope,
    until: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lease {
    worker: i64,
    queue: &'static str,
    claimed: Time,
    /// The jobs that are still in it, and what they hold of their gates.
    jobs: BTreeMap<i64, Vec<String>>,
    /// Those of them that were ended in a transaction: nobody runs them, but what they hold is held until the lease is told.
    settled: BTreeSet<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Worker {
    name: String,
    lease: Time,
    heard_of: Time,
}

/// A queue as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Model {
    now: Time,
    queues: BTreeMap<&'static str, Queue>,
    jobs: BTreeMap<i64, Job>,
    /// By kind and key.
    keys: BTreeMap<(&'static str, &'static str), Key>,
    workers: BTreeMap<i64, Worker>,
    leases: BTreeMap<i64, Lease>,
    /// Jobs that somebody wants cancelled while they run, and the lease under which they do.
    wishes: BTreeMap<i64, i64>,
    /// By scope and name: so many at the same time.
    limits: BTreeMap<(&'static str, &'static str), usize>,
    /// The keeper, and until when it has the office.
    keeper: Option<(i64, Time)>,
    /// What was deleted after it had ended: a purge counts it, since its numbers are still there.
    ghosts: Vec<(&'static str, &'static str, Time)>,
    workers_ever: usize,
    /// The keeper has just looked at every gate.
    swept: bool,
}

impl Model {
    pub(crate) fn new() -> Self {
        let queue = |max_attempts, max_jobs, policy, expired_is_dead| Queue {
            paused: false,
            max_attempts,
            max_jobs,
            policy,
            expired_is_dead,
        };
        let hours = 3600 * SECOND;
        let usual = Policy::Exponential { base: 2 * SECOND, cap: 6 * hours, spread_percent: 10 };
        Self {
            now: 0,
            queues: BTreeMap::from([
                ("default", queue(3, None, usual, false)),
                ("mail", queue(2, None, Policy::Constant(10 * SECOND), true)),
                ("small", queue(20, Some(4), Policy::Linear(SECOND), false)),
            ]),
            jobs: BTreeMap::new(),
            keys: BTreeMap::new(),
            workers: BTreeMap::new(),
            leases: BTreeMap::new(),
            wishes: BTreeMap::new(),
            limits: BTreeMap::new(),
            keeper: None,
            ghosts: Vec::new(),
            workers_ever: 0,
            swept: false,
        }
    }

    /// The jobs that somebody wishes to be cancelled, for which a call looks; no more than there are bits.
    fn wishes_for(&self, op: &Op) -> Vec<i64> {
        let (Op::Fail { lease, .. } | Op::Release { lease, .. }) = op else { return Vec::new() };
        self.wishes.iter().filter(|(_, asked)| **asked == lease.id).map(|(job, _)| *job).take(4).collect()
    }

    /// In how many ways a call may have been beside others.
    pub(crate) fn ways_beside_others(&self, op: &Op) -> impl Iterator<Item = Beside> + use<> {
        let unheard = 1..1_u8 << self.wishes_for(op).len();
        std::iter::once(Beside::Others).chain(unheard.map(Beside::OthersUnheard))
    }

    /// Does what a call did, and says what is wrong with its answer.
    pub(crate) fn step(&mut self, op: &Op, answer: &Answer, beside: Beside) -> Result<(), String> {
        let mut next = self.clone();
        next.swept = false;
        if let Beside::OthersUnheard(late) = beside {
            let unheard = self.wishes_for(op).into_iter().enumerate().filter(|(n, _)| late & (1 << n) != 0);
            for (_, job) in unheard {
                next.wishes.remove(&job);
            }
        }
        let expected = next.answer(op, answer, beside);
        if expected != *answer {
            return Err(format!("expected {expected:?}, answered {answer:?}"));
        }
        if expected.is_ok() {
            *self = next;
        } else {
            self.swept = false;
        }
        Ok(())
    }

    /// What a call should answer. Of the answer it got, the model takes what it cannot know: ids, and numbers of rows.
    fn answer(&mut self, op: &Op, told: &Answer, beside: Beside) -> Answer {
        let told = told.as_deref().unwrap_or_default();
        match op {
            Op::Enqueue(new) => self.enqueue(new, told),
            Op::StartWorker { lease } => Ok(self.start_worker(*lease, told)),
            Op::StopWorker(worker) => Ok(self.stop_worker(worker.id)),
            Op::Heartbeat(worker) => Ok(self.heartbeat(worker.id)),
            Op::Claim { worker, queues, kind } => self.claims(worker.id, queues, *kind, told, beside),
            Op::Complete { lease, jobs } => Ok(self.complete(lease.id, jobs.as_deref())),
            Op::CompleteLease { lease, told, .. } => Ok(self.complete_lease(lease.id, *told)),
            Op::EndIn { lease, job, cancelled } => self.end_in(lease.id, job.id, *cancelled),
            Op::Release { lease, jobs } => Ok(self.release(lease.id, jobs.as_deref())),
            Op::Fail { lease, jobs, verdict, delay } => self.fail(lease.id, jobs, *verdict, *delay),
            Op::Holds { lease, job } => Ok(self.holds(lease.id, job.id)),
            Op::Cancel(job) => Ok(self.cancel(job.id)),
            Op::Retry(job) => self.retry(job.id),
            Op::Reschedule { job, when } => self.reschedule(job.id, *when),
            Op::Change { job, change } => self.change(job.id, *change),
            Op::Delete(job) => self.delete(job.id),
            Op::Purge { state, older, queue } => Ok(self.purge(state, *older, *queue, told)),
            Op::Pause(queue) => self.pause(queue, true),
            Op::Resume(queue) => self.pause(queue, false),
            Op::Limit { scope, name, most } => Ok(self.limit(scope, name, *most)),
            Op::Advance(by) => {
                self.now += by;
                Ok(vec![self.now.to_string()])
            }
            Op::Keep { worker, sweep } => self.keep(worker.id, *sweep, told),
            // What they do is not to be seen; how much they had to do is their own business.
            Op::Isolate(_) | Op::Chore(_) => Ok(told.to_vec()),
        }
    }

    fn queue(&self, name: &str) -> Result<&Queue, String> {
        self.queues.get(name).ok_or_else(|| "HD001 queue".to_owned())
    }

    /// The job that has a unique key; nobody, if it is free.
    fn holder(&self, kind: &'static str, unique: &'static str) -> Option<i64> {
        let key = self.keys.get(&(kind, unique))?;
        let held = match key.scope {
            Scope::Forever => true,
            Scope::Period(_) => key.until > self.now,
            Scope::Live => self
                .jobs
                .get(&key.job)
                .is_some_and(|job| !job.has_ended() && (!job.waits() || !job.has_expired(self.now))),
        };
        held.then_some(key.job)
    }

    fn give_key(&mut self, kind: &'static str, unique: Unique, job: i64) {
        let until = match unique.scope {
            Scope::Period(period) => self.now + period,
            Scope::Live | Scope::Forever => NEVER,
        };
        self.keys.insert((kind, unique.key), Key { job, scope: unique.scope, until });
    }
}

fn yes(is: bool) -> String {
    if is { "t" } else { "f" }.to_owned()
}
