//! A worker in a process of its own, for tests that kill it, stop it and let it go on.
//!
//! Usage: `worker-process URL LEASE_MS HEARTBEAT_MS`. Its jobs write down what happens to them in the table
//! `seen(job, attempt, pid, what)`, and end when there is a row in the table `go`; or are watched in the table `watched`; or
//! write into a file, if the environment names a folder for it; or take the process with them. `HOWDAH_TEST_MEMORY` is how
//! many bytes of memory it may map. Limit: it never stops by itself.

use std::time::Duration;

use howdah::{Ctx, Howdah, Job, JobError, Worker};
use howdah_tests::recorder::{RECORDS, flowing, node};
use howdah_tests::{Held, MEMORY, Poison, graph_job, note, stepped, watched};
use nix::sys::resource::{Resource, setrlimit};

async fn held(_: Held, cx: Ctx<()>) -> Result<(), JobError> {
    note(&cx, "started").await?;
    loop {
        tokio::select! {
            () = cx.cancelled().cancelled() => break,
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        if sqlx::query_scalar("SELECT EXISTS (SELECT FROM go)").fetch_one(cx.howdah().pool()).await? {
            return Ok(());
        }
    }
    note(&cx, if cx.lease_held() { "cancelled" } else { "lease lost" }).await?;
    let mut tx = cx.howdah().pool().begin().await?;
    if let Err(error) = cx.complete_in(&mut tx).await {
        tx.rollback().await?;
        note(&cx, &format!("refused: {error}")).await?;
    }
    Ok(())
}

/// Ends its process, by itself or because there is no more memory.
async fn poison(job: Poison, cx: Ctx<()>) -> Result<(), JobError> {
    note(&cx, "started").await?;
    if job.takes_memory {
        let mut taken: Vec<Vec<u8>> = Vec::new();
        loop {
            // What is mapped counts, also if nothing is written there: an allocation that is refused ends the process.
            taken.push(std::hint::black_box(Vec::with_capacity(32 << 20)));
        }
    }
    std::process::abort()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, lease_ms, heartbeat_ms] = arguments.as_slice() else {
        return Err("usage: worker-process URL LEASE_MS HEARTBEAT_MS".into());
    };
    if let Ok(bytes) = std::env::var(MEMORY) {
        setrlimit(Resource::RLIMIT_AS, bytes.parse()?, bytes.parse()?)?;
    }
    let howdah = loop {
        match Howdah::connect(url).await {
            // The server may be down, and comes back.
            Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(100)).await,
            connected => break connected?,
        }
    };
    let mut worker = Worker::new(&howdah)
        .handle(held)
        .handle(watched)
        .handle(stepped)
        .handle(graph_job)
        .handle(poison)
        .lease(Duration::from_millis(lease_ms.parse()?))
        .heartbeat(Duration::from_millis(heartbeat_ms.parse()?))
        .queue(Held::QUEUE, 4);
    if std::env::var_os(RECORDS).is_some() {
        worker = worker.handle(flowing).handle(node);
        for queue in ["narrow", "paced", "shared"] {
            worker = worker.queue(queue, 4);
        }
    }
    worker.run().await?;
    Ok(())
}
