//! What was enqueued: nothing lost, nothing invented, all or none, each once.

use std::collections::{HashMap, HashSet};

use super::index::{Fate, Index};
use super::{Found, Rule};

pub(super) fn check(index: &Index<'_>, found: &mut Found) {
    calls(index, found);
    tags(index, found);
    runs(index, found);
}

fn calls(index: &Index<'_>, found: &mut Found) {
    for call in &index.calls {
        if let Fate::Acked(ids) = &call.fate {
            for (tag, id) in call.tags.iter().zip(ids) {
                if index.jobs.get(id).is_none_or(|job| job.tag != *tag) {
                    found.add(Rule::NothingIsLost, format!("{} made {tag} as job {id}, which is not there", call.name));
                }
            }
        }
        if let Fate::Hit(id) = call.fate
            && !index.jobs.contains_key(&id)
        {
            found.add(Rule::NothingIsLost, format!("{} found job {id}, which is not there", call.name));
        }
        let there = call.tags.iter().filter(|tag| index.by_tag.contains_key(tag.as_str())).count();
        if there > 0 && there < call.tags.len() {
            found.add(Rule::AllOrNone, format!("of the {} jobs of {} there are {there}", call.tags.len(), call.name));
        }
    }
}

/// What is known of a tag from all calls that had it.
#[derive(Default)]
struct Known {
    acked: bool,
    unknown: bool,
}

fn tags(index: &Index<'_>, found: &mut Found) {
    let mut known: HashMap<&str, Known> = HashMap::new();
    for call in &index.calls {
        for tag in call.tags {
            let known = known.entry(tag).or_default();
            known.acked |= matches!(call.fate, Fate::Acked(_));
            known.unknown |= matches!(call.fate, Fate::Unknown);
        }
    }
    for (tag, jobs) in &index.by_tag {
        let from_schedule = jobs.iter().any(|job| job.options.get("schedule").is_some());
        match known.get(tag) {
            _ if from_schedule => {}
            Some(known) if known.acked || known.unknown => {
                if jobs.len() > 1 {
                    let ids: Vec<i64> = jobs.iter().map(|job| job.id).collect();
                    found.add(Rule::MadeOnce, format!("{tag} was made {} times: {ids:?}", jobs.len()));
                }
            }
            Some(_) => {
                found.add(
                    Rule::NothingIsInvented,
                    format!("{tag} was rolled back or refused, and is job {}", jobs[0].id),
                );
            }
            None => found.add(Rule::NothingIsInvented, format!("nobody has meant job {} ({tag})", jobs[0].id)),
        }
    }
}

fn runs(index: &Index<'_>, found: &mut Found) {
    let mut told = HashSet::new();
    for run in &index.runs {
        if index.jobs.get(&run.job).is_none_or(|job| job.tag != run.tag) && told.insert(run.job) {
            found.add(
                Rule::NothingIsInvented,
                format!("{} ran job {} ({}), which is not there", run.who, run.job, run.tag),
            );
        }
    }
}
