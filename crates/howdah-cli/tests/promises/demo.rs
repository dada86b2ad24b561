//! The demo, on a small folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use howdah_devdb::{Durability, Server, shared_for_tests};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{end_of, program};

/// Makes files, some with names and contents that are easily mistaken. Returns how many.
fn fill(dir: &Path) -> usize {
    let strange: [&[u8]; 6] = [b"not\xff\xfeutf8", b"back\\slash\\x41", b"two\nlines", b" ", b"quo'te\"", b"\\"];
    for name in strange {
        std::fs::write(dir.join(OsStr::from_bytes(name)), "no line end").unwrap();
    }
    for n in 0..300_usize {
        let folder = dir.join(format!("{}", n % 7));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{n}.txt")), "line\n".repeat(n)).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", dir.join("a link is not a file")).unwrap();
    306
}

#[tokio::test]
async fn the_demo_finds_every_file_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let files = fill(dir.path());
    let url = shared_for_tests().await.unwrap().url();
    let path = dir.path().to_str().unwrap();
    let said = end_of(program(&["demo", path, "--pings", "20", "--json", "--database-url", url]), "").await;
    assert_eq!(said.code, 0, "{said:?}");
    let figures = said.json();
    assert_eq!((&figures["files"], &figures["recorded"]), (&files.into(), &files.into()), "{figures}");
    assert_eq!(figures["lines"], (0..300).sum::<i64>(), "{figures}");
    assert_eq!(figures["rescue"]["held"], figures["rescue"]["finished_by_others"], "{figures}");
    assert!(said.err.contains("with SIGKILL"), "{said:?}");
}

#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    // A server of its own, on which nobody else makes databases.
    let server = Server::builder().private().durability(Durability::Fast).start().await.unwrap();
    let path = dir.path().to_str().unwrap();
    let mut demo = program(&["demo", path, "--database-url", server.url()]).spawn().unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("workers are ready") || line.contains("processes are ready") {
            break;
        }
    }
    kill(Pid::from_raw(i32::try_from(demo.id().unwrap()).unwrap()), Signal::SIGINT).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), demo.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(130));
    let pool = sqlx::PgPool::connect(server.url()).await.unwrap();
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT datname::text FROM pg_database WHERE datname LIKE 'howdah%'
          UNION ALL SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'demo worker%'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(left, [""; 0]);
    pool.close().await;
    server.stop().await.unwrap();
}
