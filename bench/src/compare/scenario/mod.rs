//! The scenarios: what every system is asked to do, through the contract.
//!
//! Invariant: a run starts with an empty database and fresh processes, and enqueuers and workers are processes of their
//! own, except where nothing runs while jobs are enqueued. Limit: one system at a time.

mod bulk;
mod idle;
mod memory;
mod pace;
mod single;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::adapter::Adapter;
use super::manifest::Manifest;
use super::samples::Samples;
use super::stage::{Place, Stage};

/// How many connections enqueue single jobs.
pub(crate) const LANES: u64 = 16;
/// How often it is asked whether everything is done.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long a worker gets to come up before its idleness or its latency is measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Bulk enqueue, then a drain by one worker; and what both cost.
    Bulk,
    /// Single enqueues over 16 connections beside an idle and a busy worker.
    Single,
    /// From enqueue to handler while there is nothing else to do.
    Pickup,
    /// The same at half of the system's own capacity, and at 200 jobs a second.
    Load,
    /// A worker's memory at 1,000 running jobs.
    Memory,
    /// What a worker asks the database while there is nothing to do.
    Idle,
}

impl Scenario {
    /// Its name in options and notes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Single => "single",
            Self::Pickup => "pickup",
            Self::Load => "load",
            Self::Memory => "memory",
            Self::Idle => "idle",
        }
    }

    /// Runs it once for one system. What was measured before a failure is kept.
    pub(crate) async fn run(self, run: &mut Run<'_>, system: &Manifest) -> Result<()> {
        match self {
            Self::Bulk => bulk::run(run, system).await,
            Self::Single => single::run(run, system).await,
            Self::Pickup => pace::pickup(run, system).await,
            Self::Load => pace::load(run, system).await,
            Self::Memory => memory::run(run, system).await,
            Self::Idle => idle::run(run, system).await,
        }
    }
}

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sizes {
    /// A drain has no more jobs than this.
    pub(crate) drain_jobs: u64,
    /// A drain has as many jobs as take about so long.
    pub(crate) drain_seconds: f64,
    pub(crate) single_seconds: f64,
    pub(crate) pickups: u64,
    pub(crate) load_seconds: f64,
    pub(crate) idle_seconds: f64,
}

impl Sizes {
    /// For figures.
    pub(crate) const FULL: Self = Self {
        drain_jobs: 500_000,
        drain_seconds: 7.0,
        single_seconds: 4.0,
        pickups: 100,
        load_seconds: 10.0,
        idle_seconds: 30.0,
    };
    /// To see that everything works.
    pub(crate) const QUICK: Self = Self {
        drain_jobs: 20_000,
        drain_seconds: 1.0,
        single_seconds: 1.0,
        pickups: 20,
        load_seconds: 2.0,
        idle_seconds: 3.0,
    };
}

/// What a scenario works with.
pub(crate) struct Run<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) sizes: Sizes,
    pub(crate) cargo_target: &'a Path,
    pub(crate) logs: &'a Path,
    pub(crate) samples: Samples,
    /// How many jobs each system drains: found once, the same in all rounds.
    pub(crate) drains: HashMap<String, u64>,
}

impl Run<'_> {
    /// A process of the system that is connected to the place.
    async fn open(&self, system: &Manifest, place: &Place, install: bool) -> Result<Adapter> {
        let mut adapter = Adapter::start(system, self.cargo_target, self.logs)?;
        adapter.say("hello").await?;
        adapter.ask(&json!({ "do": "open", "url": place.url, "install": install })).await?;
        Ok(adapter)
    }
}

/// The command that starts a worker.
fn start_worker(system: &Manifest) -> Value {
    json!({ "do": "start_worker", "concurrency": system.concurrency })
}

/// Waits until the handler has run so often and the database has nothing left to do.
async fn all_done(worker: &mut Adapter, jobs: u64) -> Result<()> {
    worker.ask(&json!({ "do": "await", "jobs": jobs })).await?;
    while worker.say("unfinished").await?["unfinished"] == true {
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}
