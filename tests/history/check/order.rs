//! What may run when: limits, orders, dependencies, unique keys, schedules.
//!
//! A time in the history is before the commit of what it is the time of. So whatever was let in because something was over
//! has a later time than that, and nothing here is a matter of tolerance.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::index::{Fate, Index};
use super::{Found, Rule};
use crate::history::state::{Firing, JobRow};

pub(super) fn check(index: &Index<'_>, found: &mut Found) {
    limits(index, found);
    orders(index, found);
    unique(index, found);
    for job in index.jobs.values().copied() {
        dependencies(index, job, found);
    }
    schedules(index, found);
}

fn keys(job: &JobRow, option: &str) -> Vec<String> {
    match job.options.get(option) {
        Some(Value::Array(keys)) => keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect(),
        Some(Value::String(key)) => vec![key.clone()],
        _ => Vec::new(),
    }
}

fn limits(index: &Index<'_>, found: &mut Found) {
    let mut turns: HashMap<String, Vec<(i64, i32)>> = HashMap::new();
    for job in index.jobs.values().copied() {
        let mut of: Vec<String> = keys(job, "limit_key").into_iter().map(|key| format!("key {key}")).collect();
        of.push(format!("queue {}", job.queue));
        for (of, hold) in of.iter().flat_map(|of| index.holds_of(job.id).iter().map(move |hold| (of, hold))) {
            let turns = turns.entry(of.clone()).or_default();
            turns.push((hold.from, 1));
            turns.push((hold.to.unwrap_or(i64::MAX), -1));
        }
    }
    for cap in &index.history.caps {
        let mut turns = turns.get(&cap.of).cloned().unwrap_or_default();
        // What ends in the moment in which another begins has ended.
        turns.sort_unstable();
        let (mut running, mut most) = (0, (0, 0));
        for (at, change) in turns {
            running += change;
            most = most.max((running, at));
        }
        if usize::try_from(most.0).unwrap_or(0) > cap.most {
            found.add(Rule::Limits, format!("{}: {} at {} and not {}", cap.of, most.0, most.1, cap.most));
        }
    }
}

/// Who was there when a later one was claimed goes first.
fn orders(index: &Index<'_>, found: &mut Found) {
    let mut acked: HashMap<i64, i64> = HashMap::new();
    for call in &index.calls {
        if let Fate::Acked(ids) = &call.fate {
            acked.extend(ids.iter().map(|id| (*id, call.answered)));
        }
    }
    let mut orders: BTreeMap<String, Vec<&JobRow>> = BTreeMap::new();
    for job in index.jobs.values().copied() {
        for key in keys(job, "order_key") {
            orders.entry(key).or_default().push(job);
        }
    }
    for (key, mut jobs) in orders {
        jobs.sort_by_key(|job| job.id);
        for pair in jobs.windows(2) {
            let [early, late] = pair else { continue };
            let Some(began) = index.holds_of(late.id).first().map(|hold| hold.from) else { continue };
            let there = acked.get(&early.id).is_some_and(|at| *at <= began);
            if there && index.end(early.id).is_none_or(|end| end > began) {
                found
                    .add(Rule::Orders, format!("{key}: job {} was claimed before job {} had ended", late.id, early.id));
            }
        }
        let mut holds: Vec<_> = jobs.iter().flat_map(|job| index.holds_of(job.id)).collect();
        holds.sort_by_key(|hold| hold.from);
        for pair in holds.windows(2) {
            if pair[0].to.is_none_or(|to| to > pair[1].from) {
                found.add(Rule::Orders, format!("{key}: {:?} and {:?} at the same time", pair[0], pair[1]));
            }
        }
    }
}

/// When a job with a key began to live, when it ended, and which one it is.
type Life = (i64, i64, i64);

fn unique(index: &Index<'_>, found: &mut Found) {
    let mut lives: HashMap<(&str, &str), Vec<Life>> = HashMap::new();
    for job in index.jobs.values().copied() {
        let of = |name: &str| job.options.get("unique").and_then(|unique| unique.get(name)).and_then(Value::as_str);
        if let (Some(key), Some(scope)) = (of("key"), of("scope")) {
            let end = if scope == "live" { index.end(job.id).unwrap_or(i64::MAX) } else { i64::MAX };
            lives.entry((key, scope)).or_default().push((job.born, end, job.id));
        }
    }
    for ((key, scope), mut lives) in lives {
        lives.sort_unstable();
        for pair in lives.windows(2) {
            if pair[0].1 > pair[1].0 {
                found.add(
                    Rule::UniqueKeys,
                    format!("jobs {} and {} have the key {key} ({scope})", pair[0].2, pair[1].2),
                );
            }
        }
    }
}

fn dependencies(index: &Index<'_>, job: &JobRow, found: &mut Found) {
    let Some(Value::Array(parents)) = job.options.get("depends_on") else { return };
    let began = index.holds_of(job.id).first().map(|hold| hold.from);
    for parent in parents.iter().filter_map(Value::as_i64) {
        let completed = index.jobs.get(&parent).is_some_and(|parent| parent.state == "completed");
        match began {
            Some(_) if !completed => {
                found.add(Rule::Dependencies, format!("job {} ran, and job {parent} has not completed", job.id));
            }
            Some(began) if index.end(parent).is_none_or(|end| end > began) => {
                found.add(Rule::Dependencies, format!("job {} was claimed before job {parent} had ended", job.id));
            }
            None if completed && parents.len() == 1 && job.state != "expired" && !index.unwanted.contains(&job.id) => {
                found.add(Rule::Dependencies, format!("job {} never ran, and job {parent} has completed", job.id));
            }
            _ => {}
        }
    }
}

/// The slots of each schedule follow each other without gap, each has a job of its own, and each such job a slot.
fn schedules(index: &Index<'_>, found: &mut Found) {
    let mut by_schedule: BTreeMap<&str, Vec<&Firing>> = BTreeMap::new();
    for firing in &index.history.firings {
        by_schedule.entry(&firing.schedule).or_default().push(firing);
    }
    for (schedule, mut firings) in by_schedule {
        firings.sort_by_key(|firing| firing.due);
        for pair in firings.windows(2) {
            if pair[1].due - pair[0].due != index.history.slot_length {
                found.add(Rule::Schedules, format!("{schedule}: after {} came {}", pair[0].due, pair[1].due));
            }
        }
    }
    let fired: HashSet<i64> = index.history.firings.iter().map(|firing| firing.job).collect();
    if fired.len() < index.history.firings.len() {
        found.add(Rule::Schedules, "two slots have the same job");
    }
    for job in index.jobs.values().filter(|job| job.options.get("schedule").is_some()) {
        if !fired.contains(&job.id) {
            found.add(Rule::Schedules, format!("job {} belongs to no slot that was fired", job.id));
        }
    }
}
