//! What a run found, as it is written to JSON.
//!
//! Invariant: every system that was asked for is in it, measured or not. Limit: one machine, one moment.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bars::Bar;
use super::manifest::{Manifest, Role};
use super::metric::{self, Metric};
use super::samples::{Figure, Samples};

/// A run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) taken_at: String,
    pub(crate) machine: String,
    pub(crate) server: String,
    pub(crate) rounds: usize,
    /// Too short for figures: only to see that everything works.
    pub(crate) quick: bool,
    pub(crate) metrics: &'static [Metric],
    pub(crate) passes: Vec<Pass>,
    /// What only Howdah is asked, each beside a reference of the same run.
    pub(crate) alone: Vec<Bar>,
    /// Which of those questions have no answer, and why.
    pub(crate) failed: Vec<String>,
}

/// All systems with one setting of the server.
#[derive(Debug, Serialize)]
pub(crate) struct Pass {
    pub(crate) name: &'static str,
    pub(crate) systems: Vec<System>,
    pub(crate) bars: Vec<Bar>,
}

/// One system in a pass.
#[derive(Debug, Serialize)]
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) language: String,
    pub(crate) version: String,
    pub(crate) role: Role,
    pub(crate) settings: String,
    /// How many jobs it drained.
    pub(crate) jobs: Option<u64>,
    /// Why it was not measured at all.
    pub(crate) missing: Option<String>,
    /// Why a scenario has no figure.
    pub(crate) notes: BTreeMap<&'static str, String>,
    pub(crate) figures: BTreeMap<&'static str, Figure>,
}

impl System {
    /// What the samples have of it.
    pub(crate) fn new(manifest: &Manifest, installed: &Result<String, String>, samples: &Samples) -> Self {
        let notes = samples.notes(&manifest.name).map(|(what, why)| (what, why.to_owned())).collect();
        let figures = metric::ALL.iter().filter_map(|m| Some((m.key, samples.figure(&manifest.name, *m)?))).collect();
        Self {
            name: manifest.name.clone(),
            title: manifest.title.clone(),
            language: manifest.language.clone(),
            version: installed.clone().unwrap_or_default(),
            role: manifest.role,
            settings: manifest.settings.clone(),
            jobs: None,
            missing: installed.clone().err(),
            notes,
            figures,
        }
    }

    /// Its median, if it has one.
    pub(crate) fn median(&self, metric: Metric) -> Option<f64> {
        self.figures.get(metric.key).map(|f| f.median)
    }
}

/// What the figures were taken on.
pub(crate) fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}", model.unwrap_or("unknown processor"))
}
