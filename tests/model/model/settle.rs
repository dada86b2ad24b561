//! What a worker says of the jobs that it holds, and what is done with them if it says nothing any more.
//!
//! Invariant: all of it goes through `take`, the fence: what a lease does not hold, its holder has no say in.

use super::{Answer, Ended, Failure, Model, Place, Policy, yes};
use crate::operations::{NEVER, Ref, Scope, Time, Verdict};

/// How long a job ran is made of its id, so that it is seen when times get mixed up.
pub(crate) fn ran(id: i64) -> i64 {
    id % 1009
}

impl Model {
    /// Takes jobs out of a lease, all that are left or these; those that it did hold.
    fn take(&mut self, lease: i64, jobs: Option<&[Ref]>) -> Vec<i64> {
        let Some(held) = self.leases.get_mut(&lease) else { return Vec::new() };
        let wanted = |id: &i64| jobs.is_none_or(|jobs| jobs.iter().any(|job| job.id == *id));
        let out: Vec<i64> = held.jobs.keys().copied().filter(wanted).collect();
        held.jobs.retain(|id, _| !out.contains(id));
        let taken = out.iter().copied().filter(|id| !held.settled.remove(id)).collect();
        if held.jobs.is_empty() {
            self.leases.remove(&lease);
        }
        taken
    }

    pub(super) fn complete(&mut self, lease: i64, jobs: Option<&[Ref]>) -> Vec<String> {
        let Some(was) = self.leases.get(&lease).cloned() else { return Vec::new() };
        let taken = self.take(lease, jobs);
        for id in &taken {
            let run = jobs.is_some().then(|| ran(*id));
            self.end(*id, "completed", Some(was.worker), Some(was.claimed), run);
        }
        taken.iter().map(i64::to_string).collect()
    }

    /// Answers with the lease if all of its jobs have ended so. If it holds another number of jobs than its worker thinks, what
    /// it holds is completed without the times that the worker gives, which are those of others.
    pub(super) fn complete_lease(&mut self, lease: i64, told: i64) -> Vec<String> {
        let Some(was) = self.leases.get(&lease).cloned() else { return Vec::new() };
        let right = usize::try_from(told) == Ok(was.jobs.len());
        let clean = right && was.settled.is_empty();
        for id in self.take(lease, None) {
            self.end(id, "completed", Some(was.worker), Some(was.claimed), clean.then(|| ran(id)));
        }
        if right { vec![lease.to_string()] } else { Vec::new() }
    }

    /// One job, inside of a transaction.
    pub(super) fn end_in(&mut self, lease: i64, id: i64, cancelled: bool) -> Answer {
        let gone = || "HD010".to_owned();
        let held = self.leases.get_mut(&lease).ok_or_else(gone)?;
        if !held.jobs.contains_key(&id) || !held.settled.insert(id) {
            return Err(gone());
        }
        let (worker, claimed) = (held.worker, held.claimed);
        if held.jobs.len() == 1 {
            self.leases.remove(&lease);
        }
        self.end(id, if cancelled { "cancelled" } else { "completed" }, Some(worker), Some(claimed), Some(ran(id)));
        Ok(vec![String::new()])
    }

    /// Given back unstarted: in its old place, and the attempt does not count.
    pub(super) fn release(&mut self, lease: i64, jobs: Option<&[Ref]>) -> Vec<String> {
        let Some(was) = self.leases.get(&lease).cloned() else { return Vec::new() };
        let taken = self.take(lease, jobs);
        for id in &taken {
            self.jobs.entry(*id).and_modify(|job| {
                job.place = Place::Ready;
                job.attempt -= 1;
            });
            if self.wishes.get(id) == Some(&lease) {
                self.end(*id, "cancelled", Some(was.worker), Some(was.claimed), None);
            }
        }
        taken.iter().map(i64::to_string).collect()
    }

    /// Answers with `id|state`.
    pub(super) fn fail(&mut self, lease: i64, jobs: &[Ref], verdict: Verdict, delay: Option<Time>) -> Answer {
        let mut named: Vec<_> = jobs.iter().map(|job| job.id).collect();
        named.sort_unstable();
        named.dedup();
        if named.len() < jobs.len() {
            return Err("HD002 job_ids".to_owned());
        }
        let Some(was) = self.leases.get(&lease).cloned() else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for id in self.take(lease, Some(jobs)) {
            if verdict != Verdict::Snooze {
                self.note_failure(id, "boom", Some(format!("m{}", ran(id))), was.worker);
            }
            let unwanted = self.wishes.get(&id) == Some(&lease) && verdict != Verdict::Discard;
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let last = job.attempt >= job.max_attempts;
            match if unwanted { Verdict::Cancel } else { verdict } {
                Verdict::Cancel => self.end(id, "cancelled", Some(was.worker), Some(was.claimed), Some(ran(id))),
                Verdict::Discard => self.bury(id, "boom".to_owned()),
                Verdict::Retry if last => self.bury(id, "boom".to_owned()),
                Verdict::Retry | Verdict::Snooze => {
                    let (least, most) = match delay {
                        Some(delay) => (delay, delay),
                        None => self.queues.get(job.queue).map_or((0, NEVER), |queue| queue.policy.delays(job.attempt)),
                    };
                    job.place = Place::Scheduled { from: self.now + least, to: self.now + most };
                    job.attempt -= i64::from(verdict == Verdict::Snooze);
                    job.passed = job.lets_pass;
                }
            }
            rows.push(format!("{id}|{}", self.jobs.get(&id).map_or("", |job| job.state())));
        }
        Ok(rows)
    }

    pub(super) fn holds(&self, lease: i64, id: i64) -> Vec<String> {
        let held = self.leases.get(&lease).is_some_and(|lease| {
            lease.jobs.contains_key(&id) && !lease.settled.contains(&id) && self.workers.contains_key(&lease.worker)
        });
        vec![yes(held)]
    }

    /// A worker is given up. The attempts count: its jobs are ready again, or dead after the last one, or cancelled if somebody
    /// wanted that. How many they were.
    pub(super) fn rescue(&mut self, worker: i64, why: &'static str) -> usize {
        self.workers.remove(&worker);
        let leases: Vec<i64> =
            self.leases.iter().filter(|(_, lease)| lease.worker == worker).map(|(id, _)| *id).collect();
        let mut jobs = 0;
        for lease in leases {
            for id in self.take(lease, None) {
                jobs += 1;
                self.note_failure(id, why, None, worker);
                let Some(job) = self.jobs.get_mut(&id) else { continue };
                if self.wishes.get(&id) == Some(&lease) {
                    self.end(id, "cancelled", Some(worker), None, None);
                } else if job.attempt >= job.max_attempts {
                    self.bury(id, why.to_owned());
                } else {
                    job.place = Place::Ready;
                }
            }
        }
        jobs
    }

    fn note_failure(&mut self, id: i64, kind: &str, message: Option<String>, worker: i64) {
        let at = self.now;
        self.jobs.entry(id).and_modify(|job| {
            job.failures.push(Failure { attempt: job.attempt, at, kind: kind.to_owned(), message, worker });
        });
    }

    pub(super) fn end(
        &mut self,
        id: i64,
        state: &'static str,
        worker: Option<i64>,
        claimed: Option<Time>,
        ran: Option<i64>,
    ) {
        let at = self.now;
        self.close(id, Place::Ended(Ended { state, at, worker, claimed, ran }));
    }

    /// A job ends: the unique key that it has for as long as it lives is free, and nobody needs to wish for its end any more.
    pub(super) fn close(&mut self, id: i64, place: Place) {
        self.keys.retain(|_, key| key.job != id || key.scope != Scope::Live);
        self.wishes.remove(&id);
        self.jobs.entry(id).and_modify(|job| {
            job.place = place;
            job.watched = false;
        });
    }
}

impl Policy {
    /// How long a job may wait after so many attempts, at least and at most.
    fn delays(self, attempt: i64) -> (Time, Time) {
        match self {
            Self::Constant(delay) => (delay, delay),
            Self::Linear(base) => (base * attempt, base * attempt),
            Self::Exponential { base, cap, spread_percent } => {
                let doublings = u32::try_from(attempt - 1).unwrap_or_default().min(30);
                let delay = (base << doublings).min(cap);
                let spread = delay * spread_percent / 100;
                (delay - spread, delay + spread)
            }
        }
    }
}
