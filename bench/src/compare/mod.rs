//! Howdah beside other job queues and beside the limits, in one run: `bench/run`.
//!
//! The systems are programs that speak one contract (bench/README.md); this is the other end of it. Rounds are taken in
//! turns: in each, every system has its go, and who begins changes.
//!
//! Invariant: all systems of a table did the same work on the same server in the same run, each alone. Limit: ratios
//! carry over to other machines, absolute figures do not.

mod adapter;
mod alone;
mod bars;
mod chart;
mod install;
mod manifest;
mod metric;
mod process;
mod redis;
mod report;
mod samples;
mod scenario;
mod stage;
mod table;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};

use adapter::Unsupported;
use alone::Alone;
use manifest::{Manifest, Role, Store};
use report::{Pass, Report, System};
use samples::Samples;
use scenario::{Run, Scenario, Sizes};
use stage::Stage;

/// How long a question to Howdah alone may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Howdah beside other job queues.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only these systems, by the names of their folders in bench/peers.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these scenarios.
    #[arg(long, value_delimiter = ',', value_enum)]
    scenarios: Vec<Scenario>,
    /// Only these questions to Howdah alone; all of them if neither `only` nor `scenarios` is given.
    #[arg(long, value_delimiter = ',', value_enum)]
    alone: Vec<Alone>,
    /// Only with these settings of the server.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Durable::Durable, Durable::Async])]
    passes: Vec<Durable>,
    /// One short round, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Measures what is installed, without asking a registry.
    #[arg(long)]
    no_install: bool,
    /// Where the peers are.
    #[arg(long, default_value = "bench/peers")]
    peers: PathBuf,
    /// Where the results go: bench/results for a whole run, bench/results/part for anything less.
    #[arg(long)]
    results: Option<PathBuf>,
}

/// A setting of the server for one pass over all systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Durable {
    /// PostgreSQL's default: a commit is on the disk.
    Durable,
    /// With `synchronous_commit = off`.
    Async,
}

impl Durable {
    fn title(self) -> &'static str {
        match self {
            Self::Durable => "durable commits",
            Self::Async => "synchronous_commit = off",
        }
    }
}

/// A system, and its version or the reason why it is not there.
type Candidate = (Manifest, Result<String, String>);

/// Runs everything, prints the tables, writes JSON and the chart.
pub(crate) async fn run(options: &Options, rounds: usize) -> Result<()> {
    let rounds = if options.quick { 1 } else { rounds };
    let systems = chosen(options)?;
    let results = results(options);
    let logs = results.join("logs");
    std::fs::create_dir_all(&logs)?;
    let logs = logs.canonicalize()?;
    let target = cargo_target()?;
    let mut candidates: Vec<Candidate> = Vec::new();
    for system in systems {
        let installed = install::install(&system, &target, &logs, options.no_install).await;
        let installed = installed.map_err(|e| format!("{e:#}"));
        if let Err(why) = &installed {
            eprintln!("{} is missing: {why}", system.title);
        }
        candidates.push((system, installed));
    }
    let redis = candidates.iter().any(|(m, installed)| m.store == Store::Redis && installed.is_ok());
    let stage = Stage::start(redis).await?;
    let mut report = Report {
        taken_at: stage.now().await?,
        machine: report::machine(),
        server: stage.version().await?,
        rounds,
        quick: options.quick,
        metrics: metric::ALL,
        passes: Vec::new(),
        alone: Vec::new(),
        failed: Vec::new(),
    };
    for durable in &options.passes {
        stage.set_durable(*durable == Durable::Durable).await?;
        report.passes.push(pass(options, rounds, &candidates, &stage, &target, &logs, *durable).await?);
        write(&report, &results)?;
    }
    stage.set_durable(true).await?;
    for question in questions(options) {
        eprintln!("howdah alone: {question:?}");
        let answer = tokio::time::timeout(PATIENCE, question.run(&stage, options.quick)).await;
        match answer.unwrap_or_else(|_| Err(anyhow!("it took more than {} minutes", PATIENCE.as_secs() / 60))) {
            Ok(bars) => report.alone.extend(bars),
            Err(error) => report.failed.push(format!("{question:?}: {error:#}")),
        }
        write(&report, &results)?;
    }
    stage.end().await?;
    println!("{}", table::text(&report));
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<Manifest>> {
    let mut systems = manifest::all(&options.peers)?;
    for name in &options.only {
        ensure!(systems.iter().any(|s| s.name == *name), "there is no {name} in {}", options.peers.display());
    }
    systems.retain(|s| options.only.is_empty() || options.only.contains(&s.name));
    Ok(systems)
}

/// A part of a run never takes the place of a whole one.
fn results(options: &Options) -> PathBuf {
    let named = !options.only.is_empty() || !options.scenarios.is_empty() || !options.alone.is_empty();
    let part = options.quick || named || options.passes.len() < Durable::value_variants().len();
    let usual = if part { "bench/results/part" } else { "bench/results" };
    options.results.clone().unwrap_or_else(|| PathBuf::from(usual))
}

fn questions(options: &Options) -> Vec<Alone> {
    if options.alone.is_empty() && options.only.is_empty() && options.scenarios.is_empty() {
        return Alone::value_variants().to_vec();
    }
    options.alone.clone()
}

/// The folder that all of cargo's builds share.
fn cargo_target() -> Result<PathBuf> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    folder.canonicalize().context("the target folder")
}

async fn pass(
    options: &Options,
    rounds: usize,
    candidates: &[Candidate],
    stage: &Stage,
    cargo_target: &Path,
    logs: &Path,
    durable: Durable,
) -> Result<Pass> {
    let sizes = if options.quick { Sizes::QUICK } else { Sizes::FULL };
    let samples = Samples::default();
    let mut run = Run { stage, sizes, cargo_target, logs, samples, drains: HashMap::new() };
    let ready: Vec<&Manifest> = candidates.iter().filter(|(_, installed)| installed.is_ok()).map(|(m, _)| m).collect();
    for scenario in Scenario::value_variants() {
        if options.scenarios.is_empty() || options.scenarios.contains(scenario) {
            in_turns(&mut run, *scenario, &ready, rounds, durable).await;
        }
    }
    let peers: Vec<&str> = ready.iter().filter(|m| m.role == Role::Peer).map(|m| m.name.as_str()).collect();
    let bars = bars::bars(&run.samples, &peers);
    let systems = candidates
        .iter()
        .map(|(manifest, installed)| System {
            jobs: run.drains.get(&manifest.name).copied(),
            ..System::new(manifest, installed, &run.samples)
        })
        .collect();
    Ok(Pass { name: durable.title(), systems, bars })
}

/// Every round begins with another system, so that none is always after the same one.
async fn in_turns(run: &mut Run<'_>, scenario: Scenario, systems: &[&Manifest], rounds: usize, durable: Durable) {
    let mut out: Vec<&str> = Vec::new();
    for round in 0..rounds {
        for at in 0..systems.len() {
            let system = systems[(at + round) % systems.len()];
            if out.contains(&system.name.as_str()) {
                continue;
            }
            eprintln!("{}, {}, round {} of {rounds}: {}", durable.title(), scenario.name(), round + 1, system.title);
            let Err(error) = scenario.run(run, system).await else { continue };
            // What it has nothing for, or has failed at, it will not do in the next round either.
            out.push(&system.name);
            let why = match error.downcast_ref::<Unsupported>() {
                // A limit does a part of the work by its nature, which needs no word.
                Some(_) if system.role == Role::Limit => continue,
                Some(why) => why.to_string(),
                None => format!("failed in round {}: {error:#}", round + 1),
            };
            eprintln!("  {why}");
            run.samples.note(&system.name, scenario.name(), why);
        }
    }
}

/// The latest results, under names that do not change.
fn write(report: &Report, folder: &Path) -> Result<()> {
    std::fs::write(folder.join("latest.json"), serde_json::to_string_pretty(report)? + "\n")?;
    std::fs::write(folder.join("latest.txt"), table::text(report))?;
    if let Some(svg) = chart::svg(report) {
        std::fs::write(folder.join("latest.svg"), svg)?;
    }
    Ok(())
}
