//! What people and applications do to jobs and queues.

use super::enqueue::due_at;
use super::{Answer, Model, Place};
use crate::operations::{Change, NEVER, Scope, Time, When};

fn state(text: impl Into<String>) -> Answer {
    Ok(vec![text.into()])
}

impl Model {
    pub(super) fn cancel(&mut self, id: i64) -> Vec<String> {
        let Some(job) = self.jobs.get(&id) else { return vec![String::new()] };
        let answer = match &job.place {
            Place::Running { lease } => {
                self.wishes.insert(id, *lease);
                "cancelling"
            }
            _ if job.waits() => {
                self.end(id, "cancelled", None, None, None);
                "cancelled"
            }
            Place::Ended(ended) if ended.state == "cancelled" => "already cancelled",
            _ => job.state(),
        };
        vec![answer.to_owned()]
    }

    /// A dead job starts over, and one that is scheduled is due now.
    pub(super) fn retry(&mut self, id: i64) -> Answer {
        let Some(job) = self.jobs.get(&id) else { return state("") };
        match job.place {
            Place::Dead { .. } => {
                if let Some((key, Scope::Live)) = job.unique {
                    let kind = job.kind;
                    if self.holder(kind, key).is_some() {
                        return Err("HD003 key".to_owned());
                    }
                    self.keys.insert((kind, key), super::Key { job: id, scope: Scope::Live, until: NEVER });
                }
                self.jobs.entry(id).and_modify(|job| {
                    job.place = Place::Ready;
                    job.attempt = 0;
                    job.expires = None;
                    job.passed = false;
                });
                state("ready")
            }
            Place::Scheduled { .. } => {
                self.jobs.entry(id).and_modify(|job| job.place = Place::Ready);
                state("ready")
            }
            _ => state(job.state()),
        }
    }

    /// Attempts that were made stay counted.
    pub(super) fn reschedule(&mut self, id: i64, when: When) -> Answer {
        let now = self.now;
        let Some(due) = when.due(now) else { return Err("HD002 run_at".to_owned()) };
        let Some(job) = self.jobs.get_mut(&id) else { return state("") };
        if !job.waits() {
            return Err("HD007 job_id".to_owned());
        }
        job.place = due_at(Some(due), now);
        state(job.state())
    }

    pub(super) fn change(&mut self, id: i64, change: Change) -> Answer {
        match change {
            Change::Priority(priority) if priority > 9 => return Err("HD002 priority".to_owned()),
            Change::Queue(queue) => drop(self.queue(queue)?),
            _ => {}
        }
        let Some(job) = self.jobs.get(&id) else { return state("") };
        let dead = matches!(job.place, Place::Dead { .. });
        if !job.waits() && !dead {
            return Err("HD007 job_id".to_owned());
        }
        if let Change::Queue(queue) = change
            && !dead
            && job.queue != queue
        {
            self.make_room(queue, 1)?;
        }
        let Some(job) = self.jobs.get_mut(&id) else { return state("") };
        match change {
            Change::Payload(payload) => job.payload = payload,
            Change::Priority(priority) => job.priority = priority,
            Change::Queue(queue) => job.queue = queue,
            Change::Attempts(most) => job.max_attempts = most,
        }
        state(job.state())
    }

    /// Without a trace; its unique key is free, whatever its scope.
    pub(super) fn delete(&mut self, id: i64) -> Answer {
        let place = self.jobs.get(&id).map(|job| job.place.clone());
        if matches!(place, Some(Place::Running { .. })) {
            return Err("HD007 job_id".to_owned());
        }
        self.keys.retain(|_, key| key.job != id);
        // Of a job that is gone nobody knows at which gates it would count: only what it holds does, until its lease ends.
        let held = |gate: &String| gate.starts_with("order:") || self.most(gate).is_some();
        let lease = self.leases.iter().find_map(|(n, lease)| Some((*n, lease.jobs.get(&id)?.clone())));
        if let Some((lease, gates)) = lease {
            let gates = gates.into_iter().filter(held).collect();
            self.leases.entry(lease).and_modify(|lease| drop(lease.jobs.insert(id, gates)));
        }
        let Some(job) = self.jobs.remove(&id) else { return state("") };
        if let Place::Ended(ended) = &job.place {
            self.ghosts.push((ended.state, job.queue, ended.at));
        }
        state(job.state())
    }

    /// What has ended goes before its time; its unique key, if it has one for longer than its life, stays.
    pub(super) fn purge(&mut self, ended: &str, older: Time, queue: Option<&str>, told: &[String]) -> Vec<String> {
        let cut = self.now - older;
        let goes = |state: &str, q: &str, at: Time| state == ended && queue.is_none_or(|queue| q == queue) && at < cut;
        let before = self.jobs.len();
        self.jobs.retain(|_, job| match &job.place {
            Place::Ended(ended) => !goes(ended.state, job.queue, ended.at),
            Place::Dead { at, .. } => !goes("dead", job.queue, *at),
            _ => true,
        });
        let gone = before - self.jobs.len();
        let ghosts = self.ghosts.iter().filter(|(state, queue, at)| goes(state, queue, *at)).count();
        self.ghosts.retain(|(state, queue, at)| !goes(state, queue, *at));
        let told = told.first().and_then(|row| row.parse().ok()).unwrap_or(gone);
        vec![told.clamp(gone, gone + ghosts).to_string()]
    }

    pub(super) fn pause(&mut self, name: &'static str, paused: bool) -> Answer {
        self.queue(name)?;
        let queue = self.queues.get_mut(name).ok_or_else(String::new)?;
        let was = std::mem::replace(&mut queue.paused, paused);
        state(super::yes(was != paused))
    }

    /// What runs already counts, and goes on.
    pub(super) fn limit(&mut self, scope: &'static str, name: &'static str, most: Option<i64>) -> Vec<String> {
        match most.and_then(|most| usize::try_from(most).ok()) {
            Some(most) => drop(self.limits.insert((scope, name), most)),
            None => drop(self.limits.remove(&(scope, name))),
        }
        vec![most.map(|most| most.to_string()).unwrap_or_default()]
    }
}
