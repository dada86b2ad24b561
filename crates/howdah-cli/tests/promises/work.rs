//! Programs as workers.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::support::Desk;

/// How long something may take that is expected at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a job is in this state.
async fn until(desk: &Desk, id: &str, state: &str) -> Value {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        let job = desk.job(id).await;
        if job["state"] == state {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("job {id} is not {state}: {}", desk.job(id).await);
}

fn tell(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), signal).unwrap();
}

#[tokio::test]
async fn a_shell_script_is_a_worker() {
    let desk = Desk::with_queue().await;
    let script = r#"
        echo "$HOWDAH_JOB_ID $HOWDAH_KIND $HOWDAH_QUEUE $HOWDAH_ATTEMPT/$HOWDAH_MAX_ATTEMPTS $(cat)"
        case $HOWDAH_KIND in
        bad) echo 'the address is wrong' >&2; exit 65 ;;
        busy) echo 'try later' >&2; exit 75 ;;
        killed) kill -9 $$ ;;
        esac"#;
    let good = desk.ok(&["enqueue", "good", "-a", "n:=1"]).await;
    let bad = desk.ok(&["enqueue", "bad"]).await;
    let busy = desk.ok(&["enqueue", "busy"]).await;
    let killed = desk.ok(&["enqueue", "killed"]).await;
    let worker = desk.command(&["work", "--exec", script]).spawn().unwrap();

    until(&desk, &good, "completed").await;
    let job = until(&desk, &bad, "dead").await;
    assert_eq!(
        (&job["failures"][0]["error_kind"], &job["failures"][0]["message"]),
        (&"exit 65".into(), &"the address is wrong".into())
    );
    let job = until(&desk, &busy, "scheduled").await;
    assert_eq!(
        (&job["failures"][0]["error_kind"], &job["failures"][0]["message"]),
        (&"exit 75".into(), &"try later".into())
    );
    let job = until(&desk, &killed, "scheduled").await;
    assert_eq!(job["failures"][0]["error_kind"], "signal 9");

    tell(&worker, Signal::SIGTERM);
    let ended = worker.wait_with_output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let out = String::from_utf8(ended.stdout).unwrap();
    assert!(out.contains(&format!("{} good default 1/20 {{\"n\": 1}}\n", good.trim())), "{out}");
    assert!(String::from_utf8(ended.stderr).unwrap().contains("the address is wrong"));
}

#[tokio::test]
async fn a_cancelled_job_ends_its_program_and_all_that_it_started() {
    let desk = Desk::with_queue().await;
    let id = desk.ok(&["enqueue", "long"]).await;
    let script = "sleep 300 & echo $! > child; trap 'echo asked > asked; exit 1' TERM; wait";
    let worker = desk.command(&["work", "--exec", script]).spawn().unwrap();
    until(&desk, &id, "running").await;
    let file = desk.folder.path().join("child");
    while std::fs::read_to_string(&file).map_or(true, |pid| !pid.ends_with('\n')) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(desk.ok(&["jobs", "cancel", id.trim()]).await, format!("{}\tcancelling\n", id.trim()));
    until(&desk, &id, "cancelled").await;
    assert!(desk.folder.path().join("asked").exists(), "it was asked politely");
    let child: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    until_gone(child).await;
    tell(&worker, Signal::SIGINT);
    assert_eq!(worker.wait_with_output().await.unwrap().status.code(), Some(130));
}

/// Waits until a process has ended: it was killed, and what it waits for takes minutes.
async fn until_gone(pid: i32) {
    let since = Instant::now();
    while is_alive(pid) {
        assert!(since.elapsed() < PATIENCE, "{pid} lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process runs; one that has ended and waits to be collected does not.
fn is_alive(pid: i32) -> bool {
    let state = std::process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.trim_start().starts_with('Z')
}

#[tokio::test]
async fn a_second_interrupt_ends_a_worker_at_once_and_its_program_too() {
    let desk = Desk::with_queue().await;
    let id = desk.ok(&["enqueue", "long"]).await;
    let mut worker = desk.command(&["work", "--exec", "echo $$ > pid; exec sleep 300"]).spawn().unwrap();
    until(&desk, &id, "running").await;
    let file = desk.folder.path().join("pid");
    while std::fs::read_to_string(&file).map_or(true, |pid| !pid.ends_with('\n')) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tell(&worker, Signal::SIGINT);
    let mut lines = BufReader::new(worker.stderr.take().unwrap()).lines();
    while lines.next_line().await.unwrap().is_some_and(|line| !line.contains("stopping")) {}
    // Of two signals that come before it looks there is but one left: a person would press again, too.
    let ended = async {
        loop {
            tell(&worker, Signal::SIGINT);
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(500), worker.wait()).await {
                break ended.unwrap();
            }
        }
    };
    // It would wait for its program for half a minute.
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    assert_eq!(ended.code(), Some(130));
    let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    until_gone(pid).await;
}

#[tokio::test]
async fn what_a_worker_does_can_be_read_as_json() {
    let desk = Desk::with_queue().await;
    let id = desk.ok(&["enqueue", "hello"]).await;
    let worker = desk.command(&["work", "--exec", "printf 'a\\nb'", "--json"]).spawn().unwrap();
    until(&desk, &id, "completed").await;
    tell(&worker, Signal::SIGTERM);
    let out = String::from_utf8(worker.wait_with_output().await.unwrap().stdout).unwrap();
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&line["stdout"], &line["ended"], &line["kind"]), (&"a\nb".into(), &"exit 0".into(), &"hello".into()));
}

#[tokio::test]
async fn a_program_takes_only_the_kinds_and_attributes_that_it_was_given() {
    let desk = Desk::with_queue().await;
    let theirs = ["--attribute", "tenant:=1"];
    let other = desk.ok(&[&["enqueue", "invoice"][..], &theirs].concat()).await;
    let foreign = desk.ok(&["enqueue", "mail.welcome", "--attribute", "tenant:=2"]).await;
    let longer = desk.ok(&[&["enqueue", "newsletter2"][..], &theirs].concat()).await;
    let by_prefix = desk.ok(&[&["enqueue", "mail.welcome"][..], &theirs].concat()).await;
    let by_name = desk.ok(&[&["enqueue", "newsletter"][..], &theirs].concat()).await;
    let kinds = ["--kind", "mail.*", "--kind", "newsletter", "--filter", "$.tenant == 1"];
    let mut worker = desk.command(&[&["work", "--exec", "cat"][..], &kinds].concat()).spawn().unwrap();
    until(&desk, &by_prefix, "completed").await;
    until(&desk, &by_name, "completed").await;
    for id in [&other, &foreign, &longer] {
        assert_eq!(desk.job(id).await["state"], "ready");
    }
    tell(&worker, Signal::SIGTERM);
    assert!(worker.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_worker_whose_standard_error_nobody_reads_any_more_goes_on() {
    let desk = Desk::with_queue().await;
    let mut worker = desk.command(&["work", "--exec", "exit 3"]).spawn().unwrap();
    drop(worker.stderr.take());
    // Each of these failures is told, as is the end.
    for _ in 0..2 {
        let id = desk.ok(&["enqueue", "fails", "--max-attempts", "1"]).await;
        until(&desk, &id, "dead").await;
    }
    tell(&worker, Signal::SIGTERM);
    assert!(worker.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_worker_says_the_names_of_its_queues_without_what_a_terminal_obeys_and_refuses_a_kind_that_is_none() {
    let desk = Desk::with_queue().await;
    let said = desk.run(&["work", "--exec", "cat", "--queue", "a\u{1b}[31mb"]).await;
    assert!(said.code != 0 && said.err.contains("31mb") && !said.err.contains('\u{1b}'), "{said:?}");
    let said = desk.run(&["work", "--exec", "cat", "--kind", ""]).await;
    assert!(said.code == 2 && said.err.contains("--kind"), "{said:?}");
}
