//! A history by what is asked of it.

use std::collections::{HashMap, HashSet};

use crate::history::event::Event;
use crate::history::state::{End, Failure, History, Hold, JobRow};

/// What became of a call of a producer.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    Acked(Vec<i64>),
    Hit(i64),
    Refused,
    RolledBack,
    /// No answer, or none that says anything.
    Unknown,
}

/// A call of a producer.
#[derive(Debug)]
pub(super) struct Call<'h> {
    pub(super) name: String,
    pub(super) tags: &'h [String],
    pub(super) fate: Fate,
    /// When the answer was there.
    pub(super) answered: i64,
}

/// A run of a handler.
#[derive(Debug)]
pub(super) struct Run<'h> {
    pub(super) who: &'h str,
    pub(super) lease: i64,
    pub(super) job: i64,
    pub(super) attempt: i16,
    pub(super) tag: &'h str,
    pub(super) at: i64,
    pub(super) verdict: Option<&'h str>,
}

/// A history, looked up.
pub(super) struct Index<'h> {
    pub(super) history: &'h History,
    pub(super) calls: Vec<Call<'h>>,
    pub(super) runs: Vec<Run<'h>>,
    pub(super) jobs: HashMap<i64, &'h JobRow>,
    pub(super) by_tag: HashMap<&'h str, Vec<&'h JobRow>>,
    /// In the order of time.
    pub(super) holds: HashMap<i64, Vec<&'h Hold>>,
    pub(super) ends: HashMap<i64, Vec<&'h End>>,
    pub(super) failures: HashMap<i64, Vec<&'h Failure>>,
    /// Whether the server was ever stopped the hard way: a claim that was not on the disk may be undone then.
    pub(super) crashed: bool,
    /// Jobs that somebody wanted to be cancelled.
    pub(super) unwanted: HashSet<i64>,
}

impl<'h> Index<'h> {
    pub(super) fn new(history: &'h History) -> Self {
        let mut index = Self {
            history,
            calls: calls(history),
            runs: runs(history),
            jobs: history.jobs.iter().map(|job| (job.id, job)).collect(),
            by_tag: HashMap::new(),
            holds: HashMap::new(),
            ends: HashMap::new(),
            failures: HashMap::new(),
            crashed: history.lines.iter().any(|line| line.event == Event::Crashes),
            unwanted: HashSet::new(),
        };
        for line in &history.lines {
            if let Event::Cancels { job } = line.event {
                index.unwanted.insert(job);
            }
        }
        for job in index.jobs.values() {
            index.by_tag.entry(&job.tag).or_default().push(job);
        }
        for hold in &history.holds {
            index.holds.entry(hold.job).or_default().push(hold);
        }
        for holds in index.holds.values_mut() {
            holds.sort_by_key(|hold| hold.from);
        }
        for end in &history.ends {
            index.ends.entry(end.job).or_default().push(end);
        }
        for failure in &history.failures {
            index.failures.entry(failure.job).or_default().push(failure);
        }
        index
    }

    /// When a job first ended; never: not yet.
    pub(super) fn end(&self, job: i64) -> Option<i64> {
        self.ends.get(&job)?.iter().map(|end| end.at).min()
    }

    pub(super) fn hold(&self, lease: i64, job: i64) -> Option<&'h Hold> {
        self.holds.get(&job)?.iter().copied().find(|hold| hold.lease == lease)
    }

    pub(super) fn holds_of(&self, job: i64) -> &[&'h Hold] {
        self.holds.get(&job).map_or(&[], Vec::as_slice)
    }

    pub(super) fn failures_of(&self, job: i64) -> &[&'h Failure] {
        self.failures.get(&job).map_or(&[], Vec::as_slice)
    }
}

fn calls(history: &History) -> Vec<Call<'_>> {
    let mut calls = Vec::new();
    let mut open = HashMap::new();
    for line in &history.lines {
        let (call, fate) = match &line.event {
            Event::Intends { call, tags } => {
                open.insert((&line.who, *call), calls.len());
                let name = format!("call {call} of {}", line.who);
                calls.push(Call { name, tags, fate: Fate::Unknown, answered: i64::MAX });
                continue;
            }
            Event::Acked { call, ids } => (call, Fate::Acked(ids.clone())),
            Event::Hit { call, id } => (call, Fate::Hit(*id)),
            Event::Refused { call, .. } => (call, Fate::Refused),
            Event::RollsBack { call } => (call, Fate::RolledBack),
            _ => continue,
        };
        if let Some(&at) = open.get(&(&line.who, *call)) {
            calls[at].fate = fate;
            calls[at].answered = line.at;
        }
    }
    calls
}

fn runs(history: &History) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut open = HashMap::new();
    for line in &history.lines {
        match &line.event {
            Event::Began { run, lease, job, attempt, tag } => {
                open.insert((&line.who, *run), runs.len());
                let (lease, job, attempt) = (*lease, *job, *attempt);
                runs.push(Run { who: &line.who, lease, job, attempt, tag, at: line.at, verdict: None });
            }
            Event::Ended { run, verdict } => {
                if let Some(&at) = open.get(&(&line.who, *run)) {
                    runs[at].verdict = Some(verdict);
                }
            }
            _ => {}
        }
    }
    runs
}
