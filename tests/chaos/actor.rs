//! What every process of a run has: a name, a file, a way to the server.
//!
//! Invariant: an actor is told all in its arguments, and does not outlive its standard input, which ends with the run however
//! that ends. Limit: it never ends by itself but for producers that are told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use howdah::Howdah;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{producer, sql_worker, worker};
use crate::history::Log;
use crate::seed::Seed;

/// How long after its last heartbeat a worker of a run has lost its jobs.
pub(super) const LEASE: Duration = Duration::from_millis(1500);
/// How often it says that it lives.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(200);
/// The file in the folder that tells producers to stop.
pub(super) const STOP: &str = "stop";

/// How a process reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    /// Through what may lose, cut and delay.
    Proxy,
    /// Through PgBouncer in transaction mode.
    Pooler,
}

impl Way {
    const ALL: [Self; 3] = [Self::Direct, Self::Proxy, Self::Pooler];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Proxy => "proxy",
            Self::Pooler => "pooler",
        }
    }
}

/// A process of a run.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) log: Arc<Log>,
    pub(super) url: String,
    pub(super) way: Way,
    folder: PathBuf,
}

impl Actor {
    pub(super) fn told_to_stop(&self) -> bool {
        self.folder.join(STOP).exists()
    }

    /// A few connections of its own.
    pub(super) fn pool(&self, connections: u32) -> Result<PgPool> {
        let options = PgPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(3));
        let server: PgConnectOptions = self.url.parse()?;
        // A pooler gives each transaction whichever session is free: none knows what was prepared in another.
        Ok(options.connect_lazy_with(if self.way == Way::Pooler { server.statement_cache_capacity(0) } else { server }))
    }

    /// The queue; the server may be down, and comes back.
    pub(super) async fn connect(&self) -> Result<Howdah> {
        loop {
            match Howdah::connect(&self.url).await {
                Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(100)).await,
                connected => return Ok(connected?),
            }
        }
    }
}

/// Plays a part until it is over: `KIND NAME FOLDER URL WAY SEED`, where KIND is producer, worker or sql-worker, and WAY is
/// direct, proxy or pooler.
///
/// # Errors
/// What ends it.
pub async fn play(arguments: &[String]) -> Result<()> {
    let [kind, name, folder, url, way, seed] = arguments else {
        bail!("a part is KIND NAME FOLDER URL WAY SEED");
    };
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
    let folder = PathBuf::from(folder);
    let log = Arc::new(Log::open(&folder, name)?);
    let way = Way::ALL.into_iter().find(|known| known.name() == way).context("WAY is direct, proxy or pooler")?;
    let actor = Actor { log, url: url.clone(), way, folder };
    let seed = Seed::new(seed.parse().context("the seed")?);
    match kind.as_str() {
        "producer" => producer::run(actor, seed).await,
        // A worker that cannot start tries again, as one does that a supervisor starts.
        "worker" => loop {
            match worker::run(actor.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => eprintln!("{name} could not start: {error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        },
        "sql-worker" => sql_worker::run(actor, seed).await,
        other => bail!("there is no part {other:?}"),
    }
}
