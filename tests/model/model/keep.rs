//! Workers and their heartbeats, and what the keeper does.

use super::{Answer, Model, Place, Worker, yes};
use crate::operations::{NEVER, SECOND, Time};

/// How long the keeper has its office after it has worked.
const OFFICE: Time = 5 * SECOND;
/// If nobody has it for longer, nobody could say that it lives.
const CUT_OFF: Time = 5 * SECOND;
/// So far back the keeper looks that does not sweep.
const LATELY: Time = 5 * SECOND;

impl Model {
    pub(super) fn start_worker(&mut self, lease: Time, told: &[String]) -> Vec<String> {
        let id = told.first().and_then(|row| row.parse().ok()).unwrap_or_default();
        let name = format!("w{}", self.workers_ever);
        self.workers_ever += 1;
        self.workers.insert(id, Worker { name, lease, heard_of: self.now });
        vec![id.to_string()]
    }

    /// How many jobs it held.
    pub(super) fn stop_worker(&mut self, worker: i64) -> Vec<String> {
        vec![self.rescue(worker, "worker_stopped").to_string()]
    }

    /// Answers with `alive|the keeper's office is vacant|which of its jobs are to be cancelled`.
    pub(super) fn heartbeat(&mut self, worker: i64) -> Vec<String> {
        let now = self.now;
        let alive = self.workers.get_mut(&worker).map(|worker| worker.heard_of = now).is_some();
        let vacant = self.keeper.is_none_or(|(_, until)| until < now);
        let asked = |(id, lease): (&i64, &i64)| {
            let runs = self.jobs.get(id).is_some_and(|job| job.place == Place::Running { lease: *lease });
            let mine = self.leases.get(lease).is_some_and(|lease| lease.worker == worker);
            (runs && mine).then(|| id.to_string())
        };
        let cancelled: Vec<_> = self.wishes.iter().filter_map(asked).collect();
        vec![format!("{}|{}|{{{}}}", yes(alive), yes(vacant), cancelled.join(","))]
    }

    /// Answers with `who was given up|how many runs of jobs became ready|milliseconds to sleep`.
    pub(super) fn keep(&mut self, worker: i64, sweep: bool, told: &[String]) -> Answer {
        let now = self.now;
        if !self.workers.contains_key(&worker) {
            return Err("HD004 worker_id".to_owned());
        }
        if self.keeper.is_some_and(|(keeper, until)| keeper != worker && until >= now) {
            return Err("HD011".to_owned());
        }
        if self.keeper.is_some_and(|(_, until)| until + CUT_OFF < now) {
            self.workers.values_mut().for_each(|worker| worker.heard_of = now);
        }
        self.keeper = Some((worker, now + OFFICE));
        let mut given_up = Vec::new();
        if sweep {
            let silent: Vec<_> =
                self.workers.iter().filter(|(_, worker)| worker.heard_of + worker.lease < now).collect();
            let silent: Vec<_> = silent.into_iter().map(|(id, worker)| (*id, worker.name.clone())).collect();
            for (id, name) in silent {
                given_up.push(format!("{name}: {} jobs", self.rescue(id, "worker_lost")));
            }
        }
        let since = if sweep { Time::MIN } else { now - LATELY };
        let mut promoted = 0;
        for job in self.jobs.values_mut() {
            if let Place::Scheduled { from, .. } = job.place
                && (since..=now).contains(&from)
            {
                job.place = Place::Ready;
                promoted += 1;
            }
        }
        let late = |job: &super::Job| job.watched && job.expires.is_some_and(|at| (since..=now).contains(&at));
        let late: Vec<i64> = self.jobs.iter().filter(|(_, job)| late(job)).map(|(id, _)| *id).collect();
        for id in late {
            self.jobs.entry(id).and_modify(|job| job.watched = false);
            if self.jobs.get(&id).is_some_and(super::Job::waits) {
                self.expire(id);
            }
        }
        self.swept = sweep;
        Ok(vec![format!("{}|{}", given_up.join(", "), self.plausible(told, promoted))])
    }

    /// The numbers that the keeper was told, if they may be: runs of one job or more, and no longer sleep than until the
    /// next job is due or expires.
    fn plausible(&self, told: &[String], promoted: usize) -> String {
        let mut numbers = told.first().into_iter().flat_map(|row| row.split('|')).skip(1);
        let runs = numbers.next().and_then(|text| text.parse::<usize>().ok());
        let sleep = numbers.next().and_then(|text| text.parse::<Time>().ok());
        let due = self.jobs.values().filter_map(|job| match job.place {
            Place::Scheduled { from, .. } => Some(from),
            _ => None,
        });
        let expires = self.jobs.values().filter(|job| job.watched).filter_map(|job| job.expires);
        let next = due.chain(expires).filter(|at| (self.now + 1..NEVER).contains(at)).min();
        let most = next.map(|at| (at - self.now + 999) / 1000);
        let in_time = most.is_none_or(|most| sleep.is_some_and(|sleep| sleep <= most));
        let counted = runs.is_some_and(|runs| runs <= promoted && (runs > 0) == (promoted > 0));
        match (counted, in_time) {
            (false, _) => format!("1 to {promoted} runs"),
            (_, false) => format!("at most {most:?} ms"),
            _ => told.first().and_then(|row| row.split_once('|')).map(|(_, rest)| rest.to_owned()).unwrap_or_default(),
        }
    }
}
