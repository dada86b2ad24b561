//! Howdah under the benchmark's contract: the library as an application uses it.
//!
//! Invariant: nothing here that a user could not write. Limit: one kind of job.

use howdah::{Ctx, Howdah, Job, Worker};
use howdah_bench_contract::{Adapter, Result, Seen, Work, serve};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[derive(Job, Serialize, Deserialize)]
#[job(kind = "work")]
struct Nothing(Work);

async fn nothing(job: Nothing, cx: Ctx<Seen>) {
    cx.ran(job.0).await;
}

struct Library {
    howdah: Howdah,
    worker: Option<(oneshot::Sender<()>, JoinHandle<howdah::Result<()>>)>,
}

impl Adapter for Library {
    type Lane = (Howdah, PgConnection);

    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    async fn open(url: &str, install: bool) -> Result<Self> {
        let howdah = Howdah::connect(url).await?;
        if install {
            howdah.migrate().await?;
        }
        Ok(Self { howdah, worker: None })
    }

    async fn enqueue_bulk(&self, jobs: u64, _batch: usize) -> Result<()> {
        // One call of any size, in one transaction: the library sends it in pieces by itself.
        self.howdah.enqueue_many((0..jobs).map(|n| Nothing(Work { n, at: 0 }))).await?;
        Ok(())
    }

    async fn lane(&self) -> Result<Self::Lane> {
        Ok((self.howdah.clone(), self.howdah.pool().acquire().await?.detach()))
    }

    async fn enqueue_one((howdah, connection): &mut Self::Lane, work: Work) -> Result<()> {
        howdah.enqueue(Nothing(work)).on(connection).await?;
        Ok(())
    }

    async fn start_worker(&mut self, concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        let queue = if other_queue { "other" } else { "default" };
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = Worker::new(&self.howdah).state(seen).handle(nothing).queue(queue, concurrency);
        self.worker = Some((stop, tokio::spawn(worker.run_until(stopped))));
        Ok(())
    }

    async fn stop_worker(&mut self) -> Result<()> {
        if let Some((stop, worker)) = self.worker.take() {
            drop(stop);
            worker.await??;
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        let left = "SELECT EXISTS (SELECT FROM howdah.ticket) OR EXISTS (SELECT FROM howdah.lease)
                      OR EXISTS (SELECT FROM howdah.deferred)";
        Ok(sqlx::query_scalar(left).fetch_one(self.howdah.pool()).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    serve::<Library>().await
}
