//! A logical dump, taken while everybody works, and what becomes of it in another cluster.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use howdah::{Ctx, Howdah, Job, JobError, Worker};
use howdah_devdb::Server;
use howdah_tests::{Db, in_time, server_to_crash, start};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::watch;

/// Fails every fifth time, so that jobs are in all rooms.
#[derive(Job, Serialize, Deserialize)]
struct Dumped {
    n: u64,
}

async fn dumped(job: Dumped, cx: Ctx<()>) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(job.n % 7)).await;
    if job.n.is_multiple_of(5) && cx.attempt() == 1 { Err(JobError::retry("not yet")) } else { Ok(()) }
}

/// A program of the server's own version; none: it is not installed.
fn program(server: &Server, name: &str) -> Option<PathBuf> {
    server.binaries().map(|binaries| binaries.dir().join(name)).filter(|path| path.exists())
}

async fn run(program: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let output = in_time("a program to end", command.output()).await??;
    ensure!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Enqueues jobs one by one and together until it is told to stop.
async fn enqueue(howdah: Howdah, stop: watch::Receiver<bool>) -> Result<()> {
    let mut n = 0;
    while !*stop.borrow() {
        howdah.enqueue(Dumped { n }).delay(Duration::from_millis(n % 3 * 40)).await?;
        howdah.enqueue_many((n..n + 20).map(|n| Dumped { n })).await?;
        n += 20;
    }
    Ok(())
}

#[tokio::test]
async fn a_dump_that_was_taken_under_load_goes_on_in_another_cluster() -> Result<()> {
    let server = server_to_crash().start().await?;
    let (Some(dump), Some(psql)) = (program(&server, "pg_dump"), program(&server, "psql")) else {
        println!("left out: there is no pg_dump beside this server");
        return Ok(());
    };
    let db = Db::on(&server).await?;
    db.run("UPDATE howdah.queue SET retry_base_ms = 20").await?;
    let worker = start(Worker::new(&db.howdah).handle(dumped));
    let (stop, told) = watch::channel(false);
    let enqueuing = tokio::spawn(enqueue(db.howdah.clone(), told));
    db.wait_for("SELECT count(*) > 100 FROM howdah.jobs WHERE state = 'completed'", "true").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("dump.sql");
    let file = file.to_str().unwrap_or_default();
    run(&dump, &["--no-owner", "-f", file, db.url()]).await?;
    stop.send_replace(true);
    enqueuing.await??;
    worker.stop().await?;

    let other = server_to_crash().start().await?;
    let copy = Db::bare(&other).await?;
    run(&psql, &["-X", "-v", "ON_ERROR_STOP=1", "-f", file, copy.url()]).await?;
    assert_eq!(copy.number("SELECT count(*) FROM howdah.all_jobs WHERE howdah.state(id) IS NULL").await?, 0);
    assert!(copy.number("SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'").await? > 0, "all was over");
    let worker = start(Worker::new(&copy.howdah).handle(dumped));
    copy.howdah.enqueue(Dumped { n: 1 }).await?;
    copy.wait_for("SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'", "0").await?;
    let jobs = "SELECT (SELECT count(*) FROM howdah.jobs) = (SELECT count(*) FROM howdah.all_jobs)";
    assert_eq!(copy.text(jobs).await?, "true", "each is there once");
    worker.stop().await?;
    other.stop().await?;
    server.stop().await?;
    Ok(())
}
