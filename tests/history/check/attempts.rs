//! Claims, runs and attempts: one at a time, each counted once, and an end as the handler said.

use std::collections::{HashMap, HashSet};

use super::index::{Index, Run};
use super::{Found, Rule};
use crate::history::state::JobRow;

pub(super) fn check(index: &Index<'_>, found: &mut Found) {
    let mut runs: HashMap<i64, Vec<&Run<'_>>> = HashMap::new();
    for run in &index.runs {
        runs.entry(run.job).or_default().push(run);
    }
    if index.jobs.len() < index.history.jobs.len() {
        found.add(
            Rule::EndsOnce,
            format!("{} jobs are {} rows of the view", index.jobs.len(), index.history.jobs.len()),
        );
    }
    for job in index.jobs.values().copied() {
        let runs = runs.get(&job.id).map_or(&[][..], Vec::as_slice);
        holds(index, job, found);
        attempts(index, job, found);
        ends(index, job, runs, found);
        failures(index, job, runs, found);
    }
    claimed(index, found);
}

/// One current attempt at a time; numbers never go back, and a number that was counted is never used again.
fn holds(index: &Index<'_>, job: &JobRow, found: &mut Found) {
    let holds = index.holds_of(job.id);
    for pair in holds.windows(2) {
        let [early, late] = pair else { continue };
        if early.to.is_none_or(|to| to > late.from) {
            found.add(Rule::OneCurrentAttempt, format!("job {}: {early:?} and {late:?}", job.id));
        }
        if late.attempt < early.attempt || late.attempt > early.attempt + 1 {
            found.add(Rule::AttemptsAreCounted, format!("job {}: after {early:?} came {late:?}", job.id));
        }
    }
    for hold in holds {
        let counted = index.failures_of(job.id).iter().any(|f| f.attempt == hold.attempt && f.at < hold.from);
        if counted {
            found.add(Rule::AttemptsAreCounted, format!("job {}: {hold:?} repeats an attempt that had failed", job.id));
        }
        if index.end(job.id).is_some_and(|end| end < hold.from) {
            found.add(Rule::EndsOnce, format!("job {} was claimed after its end: {hold:?}", job.id));
        }
    }
}

/// Each attempt is counted once, and there are not more than the maximum.
fn attempts(index: &Index<'_>, job: &JobRow, found: &mut Found) {
    let mut failed: Vec<i16> = index.failures_of(job.id).iter().map(|failure| failure.attempt).collect();
    failed.sort_unstable();
    // The last attempt of a completed job did not fail; that of a dead one did. One that was cancelled or expired may have done
    // either.
    let counted = match job.state.as_str() {
        "completed" => job.attempt - 1,
        "dead" => job.attempt,
        _ => i16::try_from(failed.len()).unwrap_or(i16::MAX),
    };
    if failed != (1..=counted).collect::<Vec<_>>() {
        let text =
            format!("job {} is {} in attempt {}, and these have failed: {failed:?}", job.id, job.state, job.attempt);
        found.add(Rule::AttemptsAreCounted, text);
    }
    let most = index.holds_of(job.id).iter().map(|hold| hold.attempt).max().unwrap_or(0).max(job.attempt);
    if most > job.max_attempts {
        found.add(Rule::AttemptsAreCounted, format!("job {} had attempt {most} of {}", job.id, job.max_attempts));
    }
}

/// A job ends, once, in the state that its end made, and as one of its handlers said.
fn ends(index: &Index<'_>, job: &JobRow, runs: &[&Run<'_>], found: &mut Found) {
    let ends = index.ends.get(&job.id).map_or(&[][..], Vec::as_slice);
    let outcome = match job.state.as_str() {
        "completed" => 1,
        "cancelled" => 2,
        "expired" => 3,
        "dead" => 4,
        state => return found.add(Rule::EverythingEnds, format!("job {} ({}) is {state}", job.id, job.tag)),
    };
    match ends {
        [end] if end.outcome == outcome => {}
        _ => found.add(Rule::EndsOnce, format!("job {} is {}, and ended so: {ends:?}", job.id, job.state)),
    }
    let said = |words: &[&str], attempt: Option<i16>| {
        let fits = |run: &&&Run<'_>| attempt.is_none_or(|attempt| attempt == run.attempt);
        runs.iter().filter(fits).any(|run| run.verdict.is_some_and(|verdict| words.contains(&verdict)))
    };
    let as_said = match job.state.as_str() {
        "completed" => said(&["ok", "in_tx", "unsure"], Some(job.attempt)),
        "dead" => job.attempt == job.max_attempts || said(&["discard"], Some(job.attempt)),
        "cancelled" => {
            index.unwanted.contains(&job.id) || job.options.get("depends_on").is_some() || said(&["cancel"], None)
        }
        _ => job.options.get("expires_at").is_some(),
    };
    if !as_said {
        found
            .add(Rule::EndsAsSaid, format!("job {} ({}) is {} in attempt {}", job.id, job.tag, job.state, job.attempt));
    }
}

/// Each failure has a handler that said so, or a worker that was lost.
fn failures(index: &Index<'_>, job: &JobRow, runs: &[&Run<'_>], found: &mut Found) {
    for failure in index.failures_of(job.id).iter().filter(|failure| failure.kind != "worker_lost") {
        // Of an attempt that somebody wanted cancelled, whatever its handler says is that it was, also that it wanted to go on later,
        // or that it was given back.
        let unwanted = index.unwanted.contains(&job.id);
        let says = |run: &&Run<'_>| {
            run.attempt == failure.attempt
                && match run.verdict {
                    Some(verdict) => {
                        ["retry", "discard", "cancel", "panic", "unsure"].contains(&verdict)
                            || unwanted && verdict == "snooze"
                    }
                    None => unwanted,
                }
        };
        if !runs.iter().any(says) {
            found.add(Rule::EndsAsSaid, format!("job {}: nobody has said {failure:?}", job.id));
        }
    }
}

/// A handler runs what was claimed for it, once for each claim. A claim that a crash of the server has undone left no trace.
fn claimed(index: &Index<'_>, found: &mut Found) {
    let mut seen = HashSet::new();
    for run in &index.runs {
        if !seen.insert((run.lease, run.job)) {
            let text = format!("job {} ran twice for one claim, the second time by {}", run.job, run.who);
            found.add(Rule::RunsOnlyWhatIsClaimed, text);
        }
        match index.hold(run.lease, run.job) {
            Some(hold) if hold.attempt == run.attempt && hold.from <= run.at => {}
            None if index.crashed => {}
            hold => {
                let text = format!("{} ran job {} by lease {}: {hold:?}", run.who, run.job, run.lease);
                found.add(Rule::RunsOnlyWhatIsClaimed, text);
            }
        }
    }
}
