//! The quick measurement: it leaves a database as it was.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::Child;

use crate::support::{Desk, Said};

const SMALL: [&str; 11] =
    ["bench", "--jobs", "1000", "--connections", "2", "--seconds", "1", "--pickups", "2", "--rounds", "2"];
const LONG: [&str; 3] = ["bench", "--rounds", "100"];

/// Everything that the database's catalogs name, but for the system's own.
async fn things(desk: &Desk) -> Vec<String> {
    let all = "SELECT 'relation ' || c.oid::regclass FROM pg_class c WHERE c.relnamespace::regnamespace::text !~ '^pg_|information_schema'
         UNION ALL SELECT 'function ' || p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace::regnamespace::text !~ '^pg_|information_schema'
         UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_toast_temp|^pg_temp'
         UNION ALL SELECT 'type ' || t.oid::regtype FROM pg_type t WHERE t.typnamespace::regnamespace::text !~ '^pg_|information_schema'
         ORDER BY 1";
    sqlx::query_scalar(all).fetch_all(desk.howdah().await.pool()).await.unwrap()
}

/// Starts a long one, and waits until it has jobs.
async fn started(desk: &Desk) -> Child {
    let child = desk.command(&LONG).spawn().unwrap();
    let (howdah, since) = (desk.howdah().await, Instant::now());
    while sqlx::query("SELECT FROM howdah_bench.job LIMIT 1").fetch_one(howdah.pool()).await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(60), "it has enqueued nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

fn tell(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), signal).unwrap();
}

async fn end(child: Child) -> Said {
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test]
async fn bench_measures_beside_a_queue_in_use_and_leaves_no_trace() {
    let desk = Desk::with_queue().await;
    let id = desk.ok(&["enqueue", "mail", "{}"]).await;
    let before = things(&desk).await;
    let said = desk.run(&[&SMALL[..], &["--json"]].concat()).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(things(&desk).await, before);
    assert_eq!(desk.job(&id).await["attempt"], 0, "the queue's own job was not touched");

    let report = said.json();
    assert!(report["server"]["synchronous_commit"].is_string(), "{report}");
    let measured = report["measurements"].as_array().unwrap();
    assert_eq!(measured.len(), 17, "{report}");
    for row in measured {
        assert!(row["value"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["ratio"].is_number(), row["to"].is_string(), "{row}");
    }
    let of = |name: &str| measured.iter().find(|row| row["measurement"] == name).map_or(Value::Null, Value::clone);
    assert!(of("WAL, enqueue and run in bulk")["value"].as_f64().unwrap() > 50.0, "{report}");
    assert_eq!(of("bulk enqueue")["to"], "COPY into a plain table", "{report}");
}

#[tokio::test]
async fn an_interrupted_bench_drops_its_schema() {
    let desk = Desk::empty().await;
    let before = things(&desk).await;
    let child = started(&desk).await;
    tell(&child, Signal::SIGINT);
    let said = end(child).await;
    assert_eq!(said.code, 130, "{said:?}");
    assert_eq!(things(&desk).await, before);
}

#[tokio::test]
async fn a_bench_that_was_killed_is_cleaned_up_by_the_next_and_only_one_runs() {
    let desk = Desk::empty().await;
    let before = things(&desk).await;
    let child = started(&desk).await;
    let second = desk.run(&SMALL).await;
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.err.contains("another howdah bench is at work"), "{second:?}");
    tell(&child, Signal::SIGKILL);
    end(child).await;
    assert_ne!(things(&desk).await, before);

    // The server notices a moment later that the process and its lock are gone.
    let since = Instant::now();
    let third = loop {
        let third = desk.run(&SMALL).await;
        if !third.err.contains("another howdah bench") || since.elapsed() > Duration::from_secs(60) {
            break third;
        }
    };
    assert_eq!(third.code, 0, "{third:?}");
    assert!(third.err.contains("which an earlier howdah bench has left"), "{third:?}");
    assert_eq!(things(&desk).await, before);
}

#[tokio::test]
async fn bench_never_drops_a_schema_that_it_did_not_make() {
    let desk = Desk::with_queue().await;
    let id = desk.ok(&["enqueue", "mail", "{}"]).await;
    let before = things(&desk).await;
    let said = desk.run(&[&SMALL[..], &["--schema", "howdah"]].concat()).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("howdah bench did not make it") && said.err.contains("--schema"), "{said:?}");
    let mut command = desk.command(&SMALL);
    command.env("HOWDAH_SCHEMA", "howdah");
    let said = crate::support::end_of(command, "").await;
    assert_eq!(said.code, 0, "the variable names the application's queue, not the measurement's: {said:?}");
    assert_eq!(things(&desk).await, before);
    assert_eq!(desk.job(&id).await["state"], "ready");
}
