//! The disk with the data directory is full, and then has room again: what was acknowledged is there, what was refused is
//! not, and workers go on by themselves.
//!
//! Limit: needs to mount a small file system, so it is left out where the tests may not.

use std::fs::{File, remove_file};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use howdah::{Job, JobId, Worker};
use howdah_devdb::StopMode;
use howdah_tests::{Db, server_to_crash, start};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

fn run(program: &str, arguments: &[&Path]) -> Result<bool> {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(status.with_context(|| program.to_owned())?.success())
}

/// A file system in memory with little room, for as long as this lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None: this program may not mount one.
    fn mount(megabytes: usize) -> Result<Option<Self>> {
        let folder = TempDir::new()?;
        let size = format!("-osize={megabytes}m");
        let arguments = [Path::new("-ttmpfs"), Path::new(&size), Path::new("tmpfs"), folder.path()];
        Ok(run("mount", &arguments).unwrap_or(false).then_some(Self(folder)))
    }

    /// Moves a folder here, with a link to it in its place.
    fn take(&self, folder: &Path) -> Result<()> {
        let here = self.0.path().join("data");
        ensure!(run("cp", &[Path::new("-a"), folder, &here])?, "cannot copy {}", folder.display());
        std::fs::remove_dir_all(folder)?;
        Ok(std::os::unix::fs::symlink(here, folder)?)
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    /// Leaves no room.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.ballast())?;
        for piece in [1 << 20, 4096] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
        Ok(())
    }

    fn has_room_again(&self) -> Result<()> {
        Ok(remove_file(self.ballast())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run("umount", &[Path::new("-l"), self.0.path()]);
    }
}

#[derive(Job, Serialize, Deserialize)]
struct Large {
    text: String,
}

async fn large(_: Large) {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// A payload that does not become small by compression.
fn large_job(n: u64) -> Large {
    let mut seed = howdah_tests::seed::Seed::new(n);
    Large { text: (0..1000).map(|_| format!("{:016x}", seed.next_number())).collect() }
}

/// Enqueues until it was refused this often; gives what was acknowledged, and checks that refusals say why.
async fn enqueue_until_refused(db: &Db, times: usize) -> Result<Vec<JobId>> {
    let (mut made, mut refused) = (Vec::new(), 0);
    while refused < times {
        ensure!(made.len() < 20_000, "the disk does not become full");
        match db.howdah.enqueue(large_job(made.len() as u64)).await {
            Ok(id) => made.push(id),
            Err(error) => {
                let text = error.to_string();
                ensure!(
                    text.contains("No space left on device") || error.is_transient(),
                    "it says something else: {text}"
                );
                refused += 1;
            }
        }
    }
    Ok(made)
}

#[tokio::test]
async fn a_disk_that_was_full_and_has_room_again_loses_nothing() -> Result<()> {
    let Some(disk) = SmallDisk::mount(400)? else {
        println!("left out: a small file system cannot be mounted here");
        return Ok(());
    };
    let server = server_to_crash().setting("max_wal_size", "64MB").start().await?;
    server.stop_postmaster(StopMode::Fast).await?;
    disk.take(&server.folder().context("a private server has a folder")?.join("data"))?;
    server.start_postmaster().await?;
    let db = Db::on(&server).await?;
    let worker = start(Worker::new(&db.howdah).handle(large).concurrency(2));
    let mut made = vec![db.howdah.enqueue(large_job(0)).await?];
    disk.fill()?;
    made.extend(enqueue_until_refused(&db, 20).await?);
    let refused_meanwhile = made.len();
    disk.has_room_again()?;
    // If its log had no room either, the server has ended.
    server.start_postmaster().await?;
    db.wait_through("SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'", "0").await?;
    for _ in 0..20 {
        made.push(db.howdah.enqueue(large_job(7)).await?);
    }
    db.wait_through("SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'", "0").await?;
    worker.stop().await?;
    let ids: Vec<i64> = made.iter().map(|id| id.0).collect();
    let there = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM howdah.jobs WHERE id = ANY ($1)").bind(ids);
    assert_eq!(usize::try_from(there.fetch_one(db.pool()).await?)?, made.len(), "nothing acknowledged is lost");
    let all = usize::try_from(db.number("SELECT count(*) FROM howdah.jobs").await?)?;
    println!("{refused_meanwhile} jobs before the disk was full, {all} in all");
    ensure!(all <= made.len() + 20, "what was refused is not there");
    assert_eq!(db.number("SELECT sum(c) FROM howdah.receipt, unnest(counts) c").await?, i64::try_from(all)?);
    drop(db);
    Ok(server.stop().await?)
}
