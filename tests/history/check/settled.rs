//! What workers said of their attempts: accepted while they were current, refused after; and effects exactly once.

use std::collections::{HashMap, HashSet};

use super::index::Index;
use super::{Found, Rule};
use crate::history::event::{Event, Settlement};

/// A worker that speaks SQL settles jobs.
struct Said<'h> {
    who: &'h str,
    at: i64,
    lease: i64,
    jobs: &'h [i64],
    how: Settlement,
}

pub(super) fn check(index: &Index<'_>, found: &mut Found) {
    let mut open = HashMap::new();
    let mut taken = HashSet::new();
    for line in &index.history.lines {
        match &line.event {
            Event::Settles { call, lease, jobs, how } => {
                open.insert((&line.who, *call), Said { who: &line.who, at: line.at, lease: *lease, jobs, how: *how });
            }
            Event::Settled { call, took } => {
                if let Some(said) = open.remove(&(&line.who, *call)) {
                    accepted(index, &said, took, line.at, &mut taken, found);
                    refused(index, &said, took, line.at, found);
                }
            }
            _ => {}
        }
    }
    effects(index, found);
}

fn accepted(
    index: &Index<'_>,
    said: &Said<'_>,
    took: &[i64],
    until: i64,
    taken: &mut HashSet<(i64, i64)>,
    found: &mut Found,
) {
    for &job in took {
        if !said.jobs.contains(&job) {
            found.add(Rule::StaleIsRefused, format!("{} settled job {job} without saying so", said.who));
        }
        if !taken.insert((said.lease, job)) {
            found.add(Rule::StaleIsRefused, format!("{} settled job {job} of lease {} twice", said.who, said.lease));
        }
        let held = index.hold(said.lease, job).and_then(|hold| hold.to);
        if !held.is_some_and(|to| (said.at..=until).contains(&to)) {
            let text = format!(
                "{} settled job {job} of lease {} at {}, which had it until {held:?}",
                said.who, said.lease, said.at
            );
            found.add(Rule::StaleIsRefused, text);
        }
        let ends = index.ends.get(&job).map_or(&[][..], Vec::as_slice);
        let ended = ends.iter().any(|end| end.outcome == 1 && (said.at..=until).contains(&end.at));
        if said.how == Settlement::Complete && !ended {
            found.add(Rule::NothingIsLost, format!("{} completed job {job}, and its ends are {ends:?}", said.who));
        }
    }
}

/// What was refused was gone before the answer.
fn refused(index: &Index<'_>, said: &Said<'_>, took: &[i64], until: i64, found: &mut Found) {
    for &job in said.jobs.iter().filter(|job| !took.contains(job)) {
        if let Some(hold) = index.hold(said.lease, job)
            && hold.to.is_none_or(|to| to > until)
        {
            found.add(Rule::StaleIsRefused, format!("{} was refused what it held: {hold:?}", said.who));
        }
    }
}

/// What is written with the completion is there once for each job that was completed so, and never for another.
fn effects(index: &Index<'_>, found: &mut Found) {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for job in &index.history.effects {
        *counts.entry(*job).or_default() += 1;
    }
    for job in index.jobs.values().copied() {
        let in_tx = job.tag.contains("effect");
        let wanted = usize::from(in_tx && job.state == "completed");
        let count = counts.remove(&job.id).unwrap_or(0);
        if count != wanted {
            found
                .add(Rule::EffectsOnce, format!("job {} ({}) is {}, with {count} effects", job.id, job.tag, job.state));
        }
    }
    for job in counts.keys() {
        found.add(Rule::EffectsOnce, format!("an effect of job {job}, which is not there"));
    }
}
