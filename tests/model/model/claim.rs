//! Claiming: who comes next, and whom the gates let through.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Beside, Job, Lease, Model, Place};

/// One of the numbers of a row.
fn number(row: &str, n: usize) -> Option<i64> {
    row.split('|').nth(n)?.parse().ok()
}

impl Model {
    /// Answers with `place of the queue|lease|id|kind|payload|attempt|max_attempts|priority`.
    pub(super) fn claims(
        &mut self,
        worker: i64,
        queues: &[(&'static str, i64)],
        kind: Option<&'static str>,
        told: &[String],
        beside: Beside,
    ) -> Answer {
        if !self.workers.contains_key(&worker) {
            return Err("HD004 worker_id".to_owned());
        }
        let mut rows = Vec::new();
        let ended = self.ended();
        for (n, (queue, jobs)) in queues.iter().enumerate() {
            let place = format!("{}|", n + 1);
            let told: Vec<_> = told.iter().filter(|row| row.starts_with(&place)).cloned().collect();
            if self.ended() > ended {
                self.let_through(queue, &told);
            }
            rows.extend(
                self.claim(worker, queue, *jobs, kind, &told, beside).into_iter().map(|row| place.clone() + &row),
            );
        }
        Ok(rows)
    }

    fn ended(&self) -> usize {
        self.jobs.values().filter(|job| job.has_ended()).count()
    }

    /// What has expired in one queue makes room for others, of which the next queue of the same call may give some; or it ends them, if
    /// they have expired, too: then they are not told of.
    fn let_through(&mut self, queue: &'static str, told: &[String]) {
        let told: BTreeSet<_> = told.iter().filter_map(|row| number(row, 2)).collect();
        for id in self.jobs.keys().copied().collect::<Vec<_>>() {
            let Some((job, gate)) = self.blocked(id).filter(|(job, _)| job.queue == queue) else { continue };
            let rank = |id: i64, job: &Job| if gate.starts_with("order:") { (0, id) } else { (job.priority, id) };
            let before =
                |other: &i64| self.blocked(*other).is_some_and(|(o, g)| g == gate && rank(*other, o) < rank(id, job));
            let may_come = told.contains(&id) || (job.has_expired(self.now) && !self.jobs.keys().any(before));
            if may_come && self.room(gate).is_none_or(|room| room > 0) && self.is_first(gate, id) {
                self.jobs.entry(id).and_modify(|job| job.place = Place::Ready);
            }
        }
    }

    fn blocked(&self, id: i64) -> Option<(&Job, &String)> {
        match self.jobs.get(&id)? {
            job @ Job { place: Place::Blocked(gate), .. } => Some((job, gate)),
            _ => None,
        }
    }

    /// What one queue gives: jobs by priority and then by id, under a new lease. Those that have expired are ended instead.
    fn claim(
        &mut self,
        worker: i64,
        queue: &'static str,
        jobs: i64,
        kind: Option<&'static str>,
        told: &[String],
        beside: Beside,
    ) -> Vec<String> {
        if self.queues.get(queue).is_none_or(|queue| queue.paused) {
            return Vec::new();
        }
        let id = told.first().and_then(|row| number(row, 1)).unwrap_or_default();
        let seen: BTreeSet<_> = told.iter().filter_map(|row| number(row, 2)).collect();
        let mut left = usize::try_from(jobs).unwrap_or_default();
        if let Some(most) = self.limits.get(&("queue", queue)) {
            left = left.min(most.saturating_sub(self.jobs_in_leases(queue)));
        }
        let mut lease = Lease { worker, queue, claimed: self.now, jobs: BTreeMap::new(), settled: BTreeSet::new() };
        let mut order: Vec<_> =
            self.jobs.iter().filter(|(_, job)| job.place == Place::Ready && job.queue == queue).collect();
        order.retain(|(_, job)| kind.is_none_or(|kind| job.kind == kind));
        order.sort_by_key(|(id, job)| (job.priority, **id));
        let order: Vec<i64> = order.into_iter().map(|(id, _)| *id).collect();
        let mut rows = Vec::new();
        for job in order {
            if left == 0 {
                break;
            }
            // What others have in their hands is passed by.
            if (beside != Beside::Nobody && !seen.contains(&job)) || !self.passes(job, &lease) {
                continue;
            }
            left -= 1;
            rows.push(self.start(job, id, &mut lease));
        }
        // Until here they took the place of others.
        let late = |id: &i64| self.jobs.get(id).is_some_and(|job| job.has_expired(self.now));
        let late: Vec<i64> = lease.jobs.keys().copied().filter(late).collect();
        lease.jobs.retain(|id, _| !late.contains(id));
        for job in &late {
            self.jobs.entry(*job).and_modify(|job| job.attempt -= 1);
            self.expire(*job);
        }
        rows.retain(|row| number(row, 1).is_none_or(|job| !late.contains(&job)));
        if !lease.jobs.is_empty() {
            self.leases.insert(id, lease);
        }
        rows
    }

    /// A job starts: its row.
    fn start(&mut self, id: i64, lease_id: i64, lease: &mut Lease) -> String {
        let Some(job) = self.jobs.get_mut(&id) else { return String::new() };
        lease.jobs.insert(id, job.gates());
        job.attempt += 1;
        job.place = Place::Running { lease: lease_id };
        let Job { kind, payload, attempt, max_attempts, priority, .. } = job;
        format!("{lease_id}|{id}|{kind}|{{\"n\": {payload}}}|{attempt}|{max_attempts}|{priority}")
    }

    /// Whether all gates let a job through into a lease that is being made; else it waits at the first that does not.
    fn passes(&mut self, id: i64, making: &Lease) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        for gate in job.gates() {
            if gate.starts_with("order:") {
                // Here it takes its place again.
                self.jobs.entry(id).and_modify(|job| job.passed = false);
            }
            let here = making.jobs.values().filter(|held| held.contains(&gate)).count();
            let full = self.room(&gate).is_some_and(|room| room <= here);
            if full || !self.is_first(&gate, id) {
                self.jobs.entry(id).and_modify(|job| job.place = Place::Blocked(gate));
                return false;
            }
        }
        true
    }

    /// How many more a gate lets through; any number, if nothing is said.
    pub(super) fn room(&self, gate: &str) -> Option<usize> {
        let most = if gate.starts_with("order:") { 1 } else { self.most(gate)? };
        let held =
            self.leases.values().flat_map(|lease| lease.jobs.values()).filter(|held| held.iter().any(|g| g == gate));
        Some(most.saturating_sub(held.count()))
    }

    /// The limit of a gate: that of its name, or for a key the one for all keys.
    pub(super) fn most(&self, gate: &str) -> Option<usize> {
        let (what, name) = gate.split_once(':')?;
        let scope = if what == "limit" { "key" } else { what };
        let named = self.limits.iter().find(|((s, n), _)| *s == scope && *n == name);
        named.map(|(_, most)| *most).or_else(|| self.limits.get(&(scope, "*")).copied())
    }

    /// Whether no unfinished job of the same order comes before it.
    pub(super) fn is_first(&self, gate: &str, id: i64) -> bool {
        let Some(key) = gate.strip_prefix("order:") else { return true };
        let ahead = |job: &Job| job.order == Some(key) && !job.has_ended() && !job.passed;
        !self.jobs.range(..id).any(|(_, job)| ahead(job))
    }

    pub(super) fn jobs_in_leases(&self, queue: &str) -> usize {
        self.leases.values().filter(|lease| lease.queue == queue).map(|lease| lease.jobs.len()).sum()
    }

    /// What was not started in time ends: as expired, or as dead where the queue says so.
    pub(super) fn expire(&mut self, id: i64) {
        let Some(job) = self.jobs.get(&id) else { return };
        if self.queues.get(job.queue).is_some_and(|queue| queue.expired_is_dead) {
            self.bury(id, "expired".to_owned());
        } else {
            self.end(id, "expired", None, None, None);
        }
    }

    pub(super) fn bury(&mut self, id: i64, because: String) {
        self.close(id, Place::Dead { at: self.now, because });
    }
}
