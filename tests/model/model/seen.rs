//! What is to be seen from outside: the lines of the view `model_seen` (see `seen.sql`), told by the model.

use std::collections::{BTreeMap, BTreeSet};

use super::{Job, Model, Place, RETENTION};
use crate::operations::{NEVER, Time};

impl Model {
    /// Compares what is seen with what should be. Where the model had left something open, it takes over what is seen.
    pub(crate) fn observe(&mut self, lines: &[String]) -> Result<(), String> {
        self.adopt(lines);
        let told = self.lines();
        let (seen, told) = (counted(lines), counted(&told));
        let missing = told.iter().filter(|(line, times)| seen.get(*line) != Some(times));
        let unknown = seen.iter().filter(|(line, times)| told.get(*line) != Some(times));
        let lines = missing.map(|(line, times)| format!("\n  - {line} ({times}x)"));
        let wrong: String = lines.chain(unknown.map(|(line, times)| format!("\n  + {line} ({times}x)"))).collect();
        if !wrong.is_empty() {
            return Err(format!("seen (+) is not what should be (-):{wrong}"));
        }
        self.nobody_is_forgotten()
    }

    /// Whether there is nothing that must be seen before the next call.
    pub(crate) fn is_certain(&self) -> bool {
        let open = |job: &Job| match job.place {
            Place::Scheduled { from, to } => from < to,
            Place::Blocked(_) => true,
            _ => false,
        };
        !self.swept && !self.jobs.values().any(open)
    }

    /// Takes over what may be one thing or another: when a retry is due, who was let through a gate, what is kept no longer.
    fn adopt(&mut self, lines: &[String]) {
        let mut seen = BTreeSet::new();
        for line in lines {
            let fields: Vec<_> = line.split('|').collect();
            let id = fields.get(1).and_then(|id| id.parse::<i64>().ok()).unwrap_or_default();
            let &["job", _, _, _, state, ..] = fields.as_slice() else { continue };
            seen.insert(id);
            let field = |name: &str| fields.iter().find_map(|field| field.strip_prefix(name));
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let gates = job.gates();
            match &mut job.place {
                Place::Scheduled { from, to } if from != to => {
                    let due = field("due ").and_then(|due| due.parse().ok()).unwrap_or_default();
                    if (*from..=*to).contains(&due) {
                        (*from, *to) = (due, due);
                    }
                }
                place @ Place::Blocked(_) if state == "ready" => *place = Place::Ready,
                Place::Blocked(gate) => {
                    let seen = field("because waits for ").unwrap_or_default();
                    if gates.iter().any(|gate| gate == seen) {
                        seen.clone_into(gate);
                    }
                }
                _ => {}
            }
        }
        let (old, failures) = (self.now - RETENTION, kept(lines));
        self.jobs.retain(|id, job| {
            job.failures.retain(|f| f.at > old || failures.contains(&format!("{id}|{}|at {}", f.attempt, f.at)));
            let ended = match &job.place {
                Place::Ended(ended) => ended.at,
                Place::Dead { at, .. } => *at,
                _ => NEVER,
            };
            ended > old || seen.contains(id)
        });
    }

    /// After the keeper has looked everywhere, nobody waits at a gate that has room, but behind others who were let through.
    fn nobody_is_forgotten(&self) -> Result<(), String> {
        let open = |job: &Job| self.queues.get(job.queue).is_some_and(|queue| !queue.paused);
        for (id, job) in self.jobs.iter().filter(|(_, job)| self.swept && open(job)) {
            let Place::Blocked(gate) = &job.place else { continue };
            let room = self.room(gate).unwrap_or(usize::MAX);
            let ready = |other: &&Job| other.place == Place::Ready && open(other) && other.gates().contains(gate);
            let through = self.jobs.values().filter(ready).count();
            if room > through && self.is_first(gate, *id) {
                return Err(format!(
                    "job {id} waits for {gate}, which has room for {room}, and {through} are on their way"
                ));
            }
        }
        Ok(())
    }

    /// All that is to be seen.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, job) in &self.jobs {
            lines.push(self.job_line(*id, job));
            for f in &job.failures {
                let message = f.message.as_ref().map(|m| format!("|{m}")).unwrap_or_default();
                lines.push(format!("failure|{id}|{}|at {}|{}{message}|worker {}", f.attempt, f.at, f.kind, f.worker));
            }
        }
        lines.extend(self.queues.keys().map(|name| self.queue_line(name)));
        for ((scope, name), most) in &self.limits {
            let gate = if *scope == "key" { format!("limit:{name}") } else { format!("{scope}:{name}") };
            let blocked = self.jobs.values().filter(|job| job.place == Place::Blocked(gate.clone())).count();
            let inside = |lease: &&super::Lease| lease.jobs.values().filter(|held| held.contains(&gate)).count();
            let used = match (*scope, *name) {
                ("queue", name) => format!("|running {}", self.jobs_in_leases(name)),
                (_, "*") => String::new(),
                _ => {
                    let running: usize = self.leases.values().map(|lease| inside(&lease)).sum();
                    format!("|running {running}|blocked {blocked}")
                }
            };
            lines.push(format!("limit|{scope}|{name}|{most}{used}"));
        }
        for (id, worker) in &self.workers {
            let held = self.leases.values().filter(|lease| lease.worker == *id);
            let running: usize = held.map(|lease| lease.jobs.len() - lease.settled.len()).sum();
            let (heard, until) = (worker.heard_of, worker.heard_of + worker.lease);
            lines.push(format!("worker|{id}|{running}|heard of {heard}|until {until}"));
        }
        lines
    }

    fn job_line(&self, id: i64, job: &Job) -> String {
        let (mut due, mut worker, mut claimed, mut ended, mut ran, mut because) = (None, None, None, None, None, None);
        match &job.place {
            Place::Ready => {}
            Place::Scheduled { from, .. } => due = Some(*from),
            Place::Blocked(gate) => because = Some(format!("waits for {gate}")),
            Place::Running { lease } => {
                let lease = self.leases.get(lease);
                (worker, claimed) = (lease.map(|lease| lease.worker), lease.map(|lease| lease.claimed));
            }
            Place::Ended(end) => (worker, claimed, ended, ran) = (end.worker, end.claimed, Some(end.at), end.ran),
            Place::Dead { at, because: why } => (ended, because) = (Some(*at), Some(why.clone())),
        }
        let Job { queue, kind, attempt, max_attempts, priority, enqueued, payload, .. } = job;
        let mut line = format!(
            "job|{id}|{queue}|{kind}|{}|{attempt} of {max_attempts}|{priority}|enqueued {enqueued}",
            job.state()
        );
        let parts = [
            ("due", due.map(time)),
            ("worker", worker.map(time)),
            ("claimed", claimed.map(time)),
            ("ended", ended.map(time)),
            ("ran", ran.map(time)),
            ("because", because),
            ("expires", job.expires.map(time)),
        ];
        for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            line += &format!("|{name} {value}");
        }
        format!("{line}|{{\"n\": {payload}}}")
    }

    fn queue_line(&self, name: &str) -> String {
        let here = || self.jobs.values().filter(|job| job.queue == name);
        let count = |state: &str| here().filter(|job| job.state() == state).count();
        let [ready, running, scheduled, blocked, dead] =
            ["ready", "running", "scheduled", "blocked", "dead"].map(count);
        let paused = if self.queues.get(name).is_some_and(|queue| queue.paused) { "|paused" } else { "" };
        let oldest = here().find(|job| job.place == Place::Ready).map(|job| format!("|oldest {}", job.enqueued));
        let next = here().filter_map(|job| match job.place {
            Place::Scheduled { from, .. } => Some(from),
            _ => None,
        });
        let next = next.min().map(|at| format!("|next {}", time(at)));
        format!(
            "queue|{name}|{ready}|{running}|{scheduled}|{blocked}|{dead}{paused}{}{}",
            oldest.unwrap_or_default(),
            next.unwrap_or_default()
        )
    }
}

fn time(at: Time) -> String {
    if at == NEVER { "infinity".to_owned() } else { at.to_string() }
}

/// The failures that are seen: job, attempt and moment.
fn kept(lines: &[String]) -> BTreeSet<String> {
    let failure = |line: &String| {
        let fields: Vec<_> = line.strip_prefix("failure|")?.split('|').take(3).collect();
        Some(fields.join("|"))
    };
    lines.iter().filter_map(failure).collect()
}

/// Each line with how often it is told. The clock stands still between the steps: who is sent again after its last
/// attempt and fails the same way in the same moment leaves two failures that look alike, and both have to be there.
fn counted(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for line in lines {
        *counted.entry(line.as_str()).or_insert(0) += 1;
    }
    counted
}
