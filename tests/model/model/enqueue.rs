//! Enqueueing, and one job where one is wanted.

use super::{Answer, Job, Model, Place, yes};
use crate::operations::{Flaw, New, OnHit, Time, Unique};

impl Model {
    /// Answers with runs of ids and how many, or with an id and whether it was there before.
    pub(super) fn enqueue(&mut self, new: &New, told: &[String]) -> Answer {
        if let Some(flaw) = new.flaw {
            let (state, field) = match flaw {
                Flaw::Priority => ("HD002", "priority"),
                Flaw::Attempts => ("HD002", "max_attempts"),
                Flaw::Kind => ("HD002", "kind"),
                Flaw::Option => ("HD002", "options"),
                Flaw::Delay | Flaw::DelayAndTime => ("HD002", "delay"),
            };
            return Err(format!("{state} {field}"));
        }
        let Some(unique) = new.unique else {
            let ids = ids(told);
            self.insert(new, &ids)?;
            return Ok(if new.many.is_some() { runs(&ids) } else { ids.iter().map(i64::to_string).collect() });
        };
        let id = told.first().and_then(|row| row.split('|').next()?.parse().ok()).unwrap_or_default();
        let (job, hit) = self.enqueue_unique(new, unique, id)?;
        Ok(vec![format!("{job}|{}", yes(hit))])
    }

    fn enqueue_unique(&mut self, new: &New, unique: Unique, id: i64) -> Result<(i64, bool), String> {
        let Some(holder) = self.holder(new.kind, unique.key) else {
            self.insert(new, &[id])?;
            self.give_key(new.kind, unique, id);
            return Ok((id, false));
        };
        match unique.on_hit {
            OnHit::Error => return Err("HD003 key".to_owned()),
            OnHit::Keep => return Ok((holder, true)),
            OnHit::Replace | OnHit::ReplacePayload | OnHit::ReplaceTime => {}
        }
        match self.jobs.get(&holder) {
            Some(job) if job.waits() => {
                self.replace(holder, new, unique)?;
                Ok((holder, true))
            }
            // One that runs is not changed: a new one takes the key over.
            Some(job) if !job.has_ended() => {
                self.insert(new, &[id])?;
                self.give_key(new.kind, unique, id);
                Ok((id, false))
            }
            _ => Ok((holder, true)),
        }
    }

    fn replace(&mut self, id: i64, new: &New, unique: Unique) -> Result<(), String> {
        let (now, queue) = (self.now, self.queue(new.queue)?.clone());
        let Some(job) = self.jobs.get(&id) else { return Ok(()) };
        if unique.on_hit == OnHit::Replace && job.queue != new.queue {
            self.make_room(new.queue, 1)?;
        }
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        let place = match (unique.on_hit, &job.place) {
            (OnHit::ReplacePayload, Place::Scheduled { to, .. }) if *to > now => job.place.clone(),
            (OnHit::ReplacePayload, _) => Place::Ready,
            _ => due_at(new.when.due(now), now),
        };
        if unique.on_hit != OnHit::ReplaceTime {
            job.payload = new.payload;
        }
        job.place = place;
        if unique.on_hit == OnHit::Replace {
            let was = job.order;
            *job = Job {
                enqueued: job.enqueued,
                failures: std::mem::take(&mut job.failures),
                passed: job.passed,
                ..job_of(new, now, queue.max_attempts)
            };
            job.passed &= job.order == was;
            self.give_key(new.kind, unique, id);
        }
        Ok(())
    }

    fn insert(&mut self, new: &New, ids: &[i64]) -> Result<(), String> {
        let most = self.queue(new.queue)?.max_attempts;
        self.make_room(new.queue, new.count())?;
        if ids.len() != new.count() {
            return Err(format!("{} ids", new.count()));
        }
        for id in ids {
            self.jobs.insert(*id, job_of(new, self.now, most));
        }
        Ok(())
    }

    /// Refuses if so many more jobs would be too many for a queue.
    pub(super) fn make_room(&self, name: &str, jobs: usize) -> Result<(), String> {
        let Some(most) = self.queue(name)?.max_jobs else { return Ok(()) };
        let unfinished = self.jobs.values().filter(|job| job.queue == name && !job.has_ended()).count();
        match () {
            () if jobs > most => Err("HD002 payloads".to_owned()),
            () if unfinished + jobs > most => Err("HD005 queue".to_owned()),
            () => Ok(()),
        }
    }
}

/// A job as it is when it was enqueued.
fn job_of(new: &New, now: Time, max_attempts: i64) -> Job {
    Job {
        queue: new.queue,
        kind: new.kind,
        payload: new.payload,
        priority: new.priority,
        max_attempts: new.max_attempts.unwrap_or(max_attempts),
        enqueued: now,
        unique: new.unique.map(|unique| (unique.key, unique.scope)),
        limits: new.limits.clone(),
        order: new.order,
        lets_pass: new.lets_pass,
        expires: new.ttl.map(|ttl| now + ttl),
        place: due_at(new.when.due(now), now),
        attempt: 0,
        passed: false,
        watched: new.ttl.is_some(),
        failures: Vec::new(),
    }
}

pub(super) fn due_at(due: Option<Time>, now: Time) -> Place {
    match due {
        Some(due) if due > now => Place::Scheduled { from: due, to: due },
        _ => Place::Ready,
    }
}

/// `first|jobs` stands for so many ids; one alone for itself.
pub(crate) fn ids(told: &[String]) -> Vec<i64> {
    let run = |row: &String| {
        let (first, jobs) = row.split_once('|').unwrap_or((row, "1"));
        let first: i64 = first.parse().unwrap_or_default();
        first..first + jobs.parse::<i64>().unwrap_or_default()
    };
    told.iter().flat_map(run).collect()
}

/// Ids of one call follow each other, but for every 128th.
fn runs(ids: &[i64]) -> Vec<String> {
    ids.chunks(128).map(|run| format!("{}|{}", run[0], run.len())).collect()
}
