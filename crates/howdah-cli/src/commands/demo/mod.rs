//! `howdah demo`: the main job on real input, with a worker killed half-way, and a proof at the end.
//!
//! Invariant: exit status 0 only if every file was recorded exactly once, with the content that a second reading
//! finds, and the killed worker's jobs were finished by others. It leaves nothing behind, Ctrl-C or not. Limit: its
//! database is its own, on a private server or on the one of `--database-url`.

mod drain;
mod files;
mod fleet;
mod latency;
mod proof;
mod report;
mod stage;
pub(crate) mod worker;

use std::path::PathBuf;

use clap::Args;

pub(crate) use worker::DemoWorker;

use self::fleet::Fleet;
use self::report::Report;
use self::stage::Stage;
use super::{Answer, told_to_stop};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::Output;

/// What to run it on.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder whose files are hashed [default: a system folder with thousands of files, like /usr/share]
    dir: Option<PathBuf>,
    /// At most so many files
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// So many worker processes, of which one is killed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=8))]
    workers: u8,
    /// So many single jobs to measure how soon an idle worker begins one
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000), hide = true)]
    pings: u32,
}

pub(crate) async fn run(global: &Global, out: Output, demo: Demo) -> Result<Answer> {
    let mut stage = None;
    let played = tokio::select! {
        played = Box::pin(play(global, &demo, &mut stage)) => played,
        () = told_to_stop() => Err(Failure::interrupted("interrupted; nothing is left behind")),
    };
    // The workers ended with the play; now their database and server may.
    if let Some(stage) = stage {
        stage.strike().await?;
    }
    let report = played?;
    report.print(out)?;
    Ok(report.all_holds().into())
}

async fn play(global: &Global, demo: &Demo, stage: &mut Option<Stage>) -> Result<Report> {
    let chosen = demo.dir.clone();
    let limit = usize::try_from(demo.limit).unwrap_or(usize::MAX);
    let found = blocking(move || files::find(chosen, limit)).await??;
    eprintln!("{} files under {}{}", found.files.len(), found.dir.display(), found.remark());

    let stage = stage.insert(Stage::set(global.database_url.as_deref()).await?);
    let howdah = stage.howdah();
    let mut fleet = Fleet::start(stage.url(), usize::from(demo.workers))?;
    fleet.wait_until_ready(howdah).await?;

    let drained = drain::run(howdah, &mut fleet, &found.files).await?;
    let pickup = latency::measure(howdah, demo.pings).await?;
    fleet.stop().await;
    eprintln!("comparing what was recorded with a second reading of the files");
    let proof = proof::compare(howdah, found.files.clone()).await?;
    Ok(Report { found, drained, pickup, proof })
}

/// Runs what would hold up the runtime on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Failure::no(format!("a thread of the demo ended: {e}")))
}
