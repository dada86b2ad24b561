//! Howdah beside other job queues, and beside limits of the machine: what `bench/run` runs, and claims beside a
//! saturated key (`cargo run --release -p howdah-bench -- limits`).
//!
//! Invariant: every figure stands beside the one that it is compared with, taken in turns on the same server, and
//! every round is printed. Limit: ratios carry over to other machines, absolute figures do not.

mod compare;
mod limits;
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
    /// Claims beside a million waiting jobs of one saturated key, against claims without them.
    Limits,
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
    limits::run(&database(&server).await?, &database(&server).await?, rounds).await?;
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
