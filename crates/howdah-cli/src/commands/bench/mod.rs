//! `howdah bench`: a quick measurement on the user's own database.
//!
//! Invariant: it works in a schema of its own, which goes at the end, Ctrl-C or not, and touches nothing else; every
//! figure stands beside a limit that is taken in turns with it. Limit: a few rounds, and whatever else the server does
//! is in the figures; `bench/run` in the source tree measures other job queues beside it.

mod bulk;
mod pickup;
mod progress;
mod report;
mod single;
mod stage;

use clap::Args;

use self::progress::Progress;
use self::report::Report;
use self::stage::Stage;
use super::{Answer, told_to_stop};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  howdah bench                         about a minute, in the schema howdah_bench, which is dropped afterwards
  howdah bench --rounds 1 --seconds 1  a glance
  howdah bench --json > before.json    to compare with later

It works as hard as it can: on a server that others use they will notice.";

/// How much to measure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// So many jobs are enqueued in bulk, and run
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    jobs: u32,
    /// So many connections enqueue one job after another
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=500))]
    connections: u16,
    /// So many seconds they do
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// So many jobs are enqueued for an idle worker, to see how soon it starts them
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pickups: u16,
    /// Each measurement is taken so often
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
}

pub(crate) async fn run(global: &Global, out: Output, bench: Bench) -> Result<Answer> {
    let mut stage = None;
    let played = tokio::select! {
        played = Box::pin(play(global, &bench, &mut stage)) => played,
        () = told_to_stop() => Err(Failure::interrupted("interrupted; its schema is dropped")),
    };
    // What it had running ended with the play; now the schema may go.
    if let Some(stage) = stage {
        stage.strike().await?;
    }
    played?.print(out)?;
    Ok(Answer::Yes)
}

async fn play(global: &Global, bench: &Bench, stage: &mut Option<Stage>) -> Result<Report> {
    let stage = stage.insert(Stage::set(global).await?);
    let mut report = Report::new(stage.server().await?);
    let howdah = stage.howdah();
    let progress = Progress::new(bench.rounds);
    for _ in 0..bench.rounds {
        bulk::round(howdah, bench.jobs, &progress, &mut report).await?;
        single::round(howdah, bench.connections, bench.seconds, &progress, &mut report).await?;
        pickup::round(howdah, bench.pickups, &progress, &mut report).await?;
        progress.next_round();
    }
    Ok(report)
}
