//! A queue under load and faults for as long as one likes, and a verdict.
//!
//! `soak --minutes 60 --seed 7`: exit status 1 if anything that is promised did not hold. `soak mutants` takes guards out of
//! the SQL, one after another, and fails if that is not noticed. `soak actor ...` plays a part for it. Limit: needs a
//! PostgreSQL that it may start and crash.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use howdah_tests::chaos::{MUTANTS, Noticed, Run, actor, try_mutant};
use howdah_tests::seed::number_from_env;

/// The variable that names the number from which a run follows.
const SEED: &str = "HOWDAH_CHAOS_SEED";

struct Arguments {
    minutes: f64,
    phase: Duration,
    seed: u64,
    faults: usize,
    chart: Option<PathBuf>,
    keep: PathBuf,
}

const USAGE: &str = "\
soak                   load and faults, phase by phase, each followed by rest and a check
  --minutes N          for so long; 1
  --phase SECONDS      how long the load of a phase lasts; 30
  --seed N             what happens follows from it; drawn, and printed
  --faults MOST        in each phase; as many as there is time for
  --chart FILE         a picture (SVG) of memory, sessions, sizes and latencies, brought up to date after each phase
  --keep FOLDER        where the files of a phase with violations are kept
soak mutants [WORD]    takes one guard after another out of the SQL, those whose names hold WORD; each must be noticed

Exit status 1: something that is promised did not hold.";

fn arguments(given: &[String]) -> Result<Arguments> {
    let keep = std::env::temp_dir().join(format!("howdah-soak-{}", std::process::id()));
    let phase = Duration::from_secs(30);
    let mut found =
        Arguments { minutes: 1.0, phase, seed: number_from_env(SEED)?, faults: usize::MAX, chart: None, keep };
    let mut given = given.iter();
    while let Some(name) = given.next() {
        let value = given.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--minutes" => found.minutes = value.parse()?,
            "--phase" => found.phase = Duration::from_secs(value.parse()?),
            "--seed" => found.seed = value.parse()?,
            "--faults" => found.faults = value.parse()?,
            "--chart" => found.chart = Some(value.into()),
            "--keep" => found.keep = value.into(),
            other => bail!("{other} is no option; see soak --help"),
        }
    }
    Ok(found)
}

async fn soak(given: &[String]) -> Result<bool> {
    let arguments = arguments(given)?;
    println!("{SEED}={}", arguments.seed);
    let run = Run {
        lasts: Duration::from_secs_f64(arguments.minutes * 60.0),
        load: arguments.phase,
        faults: arguments.faults,
        keep: Some(arguments.keep),
        chart: arguments.chart,
        talkative: true,
        ..Run::short(std::env::current_exe()?, arguments.seed)
    };
    let verdict = run.play().await?;
    for violation in verdict.violations.iter().take(50) {
        println!("{violation}");
    }
    println!("{}", verdict.report.summary());
    println!("{} violations", verdict.violations.len());
    Ok(verdict.violations.is_empty())
}

/// Takes out one guard after another, those whose names hold a word if one is given; says whether all were noticed.
async fn mutants(word: Option<&String>) -> Result<bool> {
    let seed = number_from_env(SEED)?;
    println!("{SEED}={seed}");
    let (mut all, mut survived) = (0, 0);
    for mutant in MUTANTS.iter().filter(|mutant| word.is_none_or(|word| mutant.name.contains(word.as_str()))) {
        let began = Instant::now();
        let Noticed { name, by } = try_mutant(*mutant, &std::env::current_exe()?, seed).await?;
        all += 1;
        let said = by.map(|(tries, what)| format!("noticed in run {tries}: {what}"));
        survived += usize::from(said.is_none());
        println!("{name}\n  {} ({:.0} s)", said.as_deref().unwrap_or("SURVIVED"), began.elapsed().as_secs_f64());
    }
    if let (0, Some(word)) = (all, word) {
        bail!("no guard has {word:?} in its name");
    }
    println!("{all} mutants, {survived} survived");
    Ok(survived == 0)
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let well = match arguments.first().map(String::as_str) {
        Some("actor") => actor::play(&arguments[1..]).await.map(|()| true)?,
        _ if arguments.iter().any(|argument| matches!(argument.as_str(), "-h" | "--help")) => {
            println!("{USAGE}");
            true
        }
        Some("mutants") => mutants(arguments.get(1)).await?,
        _ => soak(&arguments).await?,
    };
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
