//! Howdah against a limit that is measured in the same run: `cargo run --release -p howdah-bench -- all`.
//!
//! Invariant: every figure stands beside the one that it is compared with, taken in turns on the same server, and
//! every round is printed. Limit: ratios carry over to other machines, absolute figures do not.

mod compare;
mod drain;
mod enqueue;
mod limits;
mod pickup;
mod report;

use anyhow::Result;
use clap::{Parser, Subcommand};
use howdah::Howdah;
use howdah_devdb::{Durability, Server};

/// Measures howdah against a limit taken in the same run.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
    /// How often each measurement is taken: 5 times, by `compare` 3 times.
    #[arg(long, global = true)]
    rounds: Option<usize>,
}

#[derive(Subcommand)]
enum What {
    /// Howdah beside other job queues: what bench/run runs.
    Compare(compare::Options),
    /// Single enqueues on 16 connections with two idle workers, against a plain INSERT.
    Enqueue,
    /// 200,000 jobs in bulk and a no-op drain through the library, against a raw loop over the same functions.
    Drain,
    /// Claims beside a million waiting jobs of one saturated key, against claims without them.
    Limits,
    /// From enqueue to start on an idle queue, against NOTIFY to SELECT.
    Pickup,
    /// All of them.
    All,
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();
    if let What::Compare(options) = &args.what {
        return compare::run(options, args.rounds.unwrap_or(3)).await;
    }
    let rounds = args.rounds.unwrap_or(5);
    let server = Server::builder()
        .durability(Durability::Durable)
        .setting("shared_buffers", "512MB")
        .setting("max_wal_size", "4GB")
        .on_progress(|step| eprintln!("{step}"))
        .start()
        .await?;
    if matches!(args.what, What::Enqueue | What::All) {
        enqueue::run(&database(&server).await?, rounds).await?;
    }
    if matches!(args.what, What::Drain | What::All) {
        drain::run(&database(&server).await?, rounds).await?;
    }
    if matches!(args.what, What::Limits | What::All) {
        limits::run(&database(&server).await?, &database(&server).await?, rounds).await?;
    }
    if matches!(args.what, What::Pickup | What::All) {
        pickup::run(&database(&server).await?, rounds).await?;
    }
    server.stop().await?;
    Ok(())
}

/// A queue in a database of its own.
async fn database(server: &Server) -> Result<Howdah> {
    let database = server.create_database().await?;
    let howdah = Howdah::connect(database.url()).await?;
    howdah.migrate().await?;
    Ok(howdah)
}
