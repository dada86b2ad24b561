//! A run: phases of load and faults, each followed by rest and a check, and a clean end.
//!
//! Invariant: the faults are over, and everybody who was harmed has gone on or is replaced, before anything is waited for.
//! Limit: the check of a phase holds the whole phase in memory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::cast::{Cast, Kind};
use super::fault::befall;
use super::plan::Plan;
use super::report::Report;
use super::rest;
use super::setup::{self, SCHEDULE};
use super::stage::Stage;
use crate::history::{Event, History, Rule, Violation, check};
use crate::mutations::Mutation;
use crate::seed::Seed;

/// What a run is to be like.
#[derive(Debug, Clone)]
pub struct Run {
    /// The program that plays the parts, if its first argument is `actor`.
    pub program: PathBuf,
    /// From this all that is drawn follows.
    pub seed: u64,
    /// How long there is a next phase: load and faults, and a rest. The first one is whatever this says.
    pub lasts: Duration,
    /// How long the load of each lasts.
    pub load: Duration,
    /// How many faults befall each phase at most; 0: none.
    pub faults: usize,
    /// How long the queue may come no nearer to rest. Not how long that takes: a busy machine has its own time.
    pub patience: Duration,
    /// Guards that are taken out of the SQL.
    pub mutations: Vec<Mutation>,
    /// Where the files of a phase with violations are kept.
    pub keep: Option<PathBuf>,
    /// Where the picture of what was looked at is kept up to date.
    pub chart: Option<PathBuf>,
    /// Says what happens.
    pub talkative: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What should not be.
    pub violations: Vec<Violation>,
    /// What it looked like.
    pub report: Report,
}

struct Play<'r> {
    run: &'r Run,
    stage: Stage,
    cast: Cast,
    plan: Plan,
    report: Report,
    began: Instant,
    /// What was seen while it ran.
    seen: Vec<String>,
}

impl Run {
    /// A short one with many faults.
    #[must_use]
    pub fn short(program: PathBuf, seed: u64) -> Self {
        let (load, patience) = (Duration::from_secs(10), Duration::from_secs(60));
        Self {
            program,
            seed,
            lasts: Duration::ZERO,
            load,
            faults: usize::MAX,
            patience,
            mutations: Vec::new(),
            keep: None,
            chart: None,
            talkative: false,
        }
    }

    /// Plays it.
    ///
    /// # Errors
    /// What the machinery of the run says; what the queue did wrong is in the verdict.
    pub async fn play(&self) -> Result<Verdict> {
        let mut seed = Seed::new(self.seed);
        let stage = Stage::new(&self.mutations).await?;
        let wanted = [(Kind::Worker, 2), (Kind::SqlWorker, 2), (Kind::Producer, 3)];
        let cast = Cast::new(self.program.clone(), Seed::new(seed.next_number()), wanted);
        let plan = Plan::new(Seed::new(seed.next_number()));
        let began = Instant::now();
        let mut play = Play { run: self, stage, cast, plan, report: Report::default(), began, seen: Vec::new() };
        let mut violations = Vec::new();
        for phase in 0.. {
            violations = play.phase(phase).await?;
            if !violations.is_empty() || began.elapsed() >= self.lasts {
                break;
            }
        }
        if violations.is_empty() {
            violations = play.end().await?;
        }
        let Play { stage, cast, report, .. } = play;
        drop(cast);
        stage.server.stop().await?;
        Ok(Verdict { violations, report })
    }
}

impl Play<'_> {
    fn says(&self, what: impl FnOnce() -> String) {
        if self.run.talkative {
            println!("{:7.1} s  {}", self.began.elapsed().as_secs_f64(), what());
        }
    }

    /// Load and faults, rest, and what was wrong.
    async fn phase(&mut self, number: usize) -> Result<Vec<Violation>> {
        self.stage.forget().await?;
        self.stage.tell_to_stop(false)?;
        self.stage.db.howdah.resume_schedule(SCHEDULE).await?;
        self.load().await?;
        let late = self.rest().await?;
        self.says(|| "at rest".to_owned());
        self.report.look_at_rest(&self.stage, &self.cast, self.began.elapsed().as_secs_f64()).await;
        let mut history = History::collect(self.stage.folder(), self.stage.db.pool()).await?;
        history.caps = setup::caps();
        history.differences = std::mem::take(&mut self.seen);
        history.differences.extend(rest::differences(&self.stage.db).await?);
        if late.is_none() {
            history.differences.extend(rest::leftovers(&self.stage.db).await?);
        }
        self.report.count(&history.lines, history.jobs.len());
        let mut violations = check(&history);
        violations.extend(late.map(|what| Violation { rule: Rule::EverythingEnds, what }));
        self.says(|| {
            let Report { jobs, runs, faults, unknown, .. } = &self.report;
            format!("phase {number}: {jobs} jobs, {runs} runs, {faults} faults, {unknown} unknown outcomes so far, {} violations", violations.len())
        });
        if let Some(chart) = &self.run.chart {
            std::fs::write(chart, self.report.svg()).with_context(|| format!("writing {}", chart.display()))?;
        }
        if let Some(keep) = self.run.keep.as_ref().filter(|_| !violations.is_empty()) {
            keep_files(self.stage.folder(), keep, &history)?;
        }
        Ok(violations)
    }

    async fn load(&mut self) -> Result<()> {
        self.cast.keep_up(&self.stage, false)?;
        let (began, mut faults) = (Instant::now(), 0);
        // Somebody to befall.
        self.stage.db.wait_for("SELECT count(*) > 2 FROM howdah.workers", "true").await?;
        while began.elapsed() < self.run.load {
            let step = self.plan.next().context("a plan has no end")?;
            sleep(step.after).await;
            if faults < self.run.faults {
                faults += 1;
                self.says(|| step.to_string());
                befall(&mut self.stage, &mut self.cast, step).await?;
            }
            self.cast.keep_up(&self.stage, false)?;
            self.report.look(&self.stage, &self.cast, self.began.elapsed().as_secs_f64()).await;
            if faults % 3 == 0 {
                // The server may have been harmed by who is late.
                self.seen.extend(rest::differences(&self.stage.db).await.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Waits until nothing is left to do. Gives what is, if it takes too long.
    async fn rest(&mut self) -> Result<Option<String>> {
        self.stage.log.write(Event::Fault { what: "none any more".to_owned() });
        self.stage.proxy.calm();
        let mut until = Instant::now() + self.run.patience;
        let caught_up = format!("SELECT next_at > clock_timestamp() FROM howdah.schedules WHERE name = '{SCHEDULE}'");
        while Instant::now() < until && self.stage.db.text(&caught_up).await.unwrap_or_default() != "true" {
            self.cast.keep_up(&self.stage, false)?;
            sleep(Duration::from_millis(50)).await;
        }
        self.stage.db.howdah.pause_schedule(SCHEDULE, None, None).await?;
        self.stage.tell_to_stop(true)?;
        let (mut told, mut least) = (Instant::now(), i64::MAX);
        loop {
            self.cast.keep_up(&self.stage, true)?;
            let (rows, left) = rest::left(&self.stage.db).await?;
            if rows < least {
                least = rows;
                until = Instant::now() + self.run.patience;
            }
            if rows == 0 && self.cast.count(Kind::Producer) + self.cast.count(Kind::SqlWorker) == 0 {
                return Ok(None);
            }
            if told.elapsed() > Duration::from_secs(3) {
                told = Instant::now();
                let reasons = rest::reasons(&self.stage.db).await?;
                self.says(|| format!("still there: {left}\n{reasons}"));
            }
            if Instant::now() > until {
                let reasons = rest::reasons(&self.stage.db).await?;
                return Ok(Some(format!(
                    "for {:?} nothing has come to an end, and there is still: {left}; {reasons}",
                    self.run.patience
                )));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Workers that are told to end leave nothing behind, and what is over takes no room.
    async fn end(&mut self) -> Result<Vec<Violation>> {
        let counter = |what: String| Violation { rule: Rule::Counters, what };
        let mut violations = Vec::new();
        for part in self.cast.parts() {
            part.signal(Signal::SIGTERM)?;
        }
        let until = Instant::now() + self.run.patience;
        for part in self.cast.parts() {
            while !part.has_ended() && Instant::now() < until {
                sleep(Duration::from_millis(20)).await;
            }
            if !part.has_ended() {
                violations.push(counter(format!("{} did not end when it was told to", part.name)));
            }
        }
        let workers = self
            .stage
            .db
            .number("SELECT count(*) FROM howdah.worker WHERE name LIKE 'worker%' AND NOT stopping")
            .await?;
        if workers > 0 && violations.is_empty() {
            // One that a fault has cut off from the server is given up by a keeper, and there is none any more.
            self.says(|| format!("{workers} workers are still registered"));
        }
        violations.extend(self.report.growth().into_iter().map(counter));
        violations.extend(rest::shrink(&self.stage.db).await?.map(counter));
        Ok(violations)
    }
}

/// Keeps what is needed to see what happened.
fn keep_files(from: &std::path::Path, to: &std::path::Path, history: &History) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let path = file?.path();
        if let Some(name) = path.file_name() {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    std::fs::write(
        to.join("state.txt"),
        format!("{:#?}\n{:#?}\n{:#?}\n{:#?}", history.jobs, history.holds, history.failures, history.ends),
    )?;
    println!("kept in {}", to.display());
    Ok(())
}
