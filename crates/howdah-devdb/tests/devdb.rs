//! The program `devdb`: what it prints, how it exits, what it leaves.

#![allow(clippy::unwrap_used, reason = "a test's own helpers count as no test")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use howdah_devdb::Server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};

fn devdb(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devdb"));
    command.args(arguments).env_remove("DATABASE_URL").stdin(Stdio::null());
    command
}

fn outcome(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

/// A `devdb` that runs, and the first line it printed.
fn running(arguments: &[&str]) -> (Child, BufReader<ChildStdout>, String) {
    let mut child = devdb(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    (child, stdout, line.trim_end().to_owned())
}

/// The postmaster and the folder of the private server at a URL.
async fn behind(url: &str) -> (i32, PathBuf) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let data: String =
        sqlx::query_scalar("SELECT current_setting('data_directory')").fetch_one(&mut connection).await.unwrap();
    let lock = std::fs::read_to_string(Path::new(&data).join("postmaster.pid")).unwrap();
    let pid = lock.lines().next().unwrap().parse().unwrap();
    (pid, Path::new(&data).parent().unwrap().to_owned())
}

/// Waits for what other processes do, of which nothing tells us.
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn wait_until_gone(pid: i32, folder: &Path) {
    let what = format!("the end of {pid} and {}", folder.display());
    wait_until(&what, || kill(Pid::from_raw(pid), None).is_err() && !folder.exists());
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[tokio::test]
async fn a_killed_owner_leaves_neither_server_nor_folder() {
    let (mut child, _stdout, url) = running(&["url"]);
    let (pid, folder) = behind(&url).await;
    // A connection is no reason to stay.
    let _connected = PgConnection::connect(&url).await.unwrap();
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    wait_until_gone(pid, &folder);
}

#[test]
fn an_owner_killed_while_it_starts_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let temp = std::env::temp_dir().join(format!("hd-{}", std::process::id()));
    std::fs::create_dir(&temp).unwrap();
    std::fs::set_permissions(&temp, std::fs::Permissions::from_mode(0o1777)).unwrap();
    let folder = || std::fs::read_dir(&temp).unwrap().next().map(|f| f.unwrap().path());
    // While `initdb` runs, and as the postmaster comes up.
    for sign in ["data", "alive", "data/postmaster.pid"] {
        let mut child = devdb(&["url"]).env("TMPDIR", &temp).stdin(Stdio::piped()).spawn().unwrap();
        wait_until("the sign", || folder().is_some_and(|f| f.join(sign).exists()));
        child.kill().unwrap();
        child.wait().unwrap();
        wait_until("the folder's end", || folder().is_none());
    }
    std::fs::remove_dir(&temp).unwrap();
}

#[tokio::test]
async fn url_stays_until_stdin_ends_or_a_signal_comes() {
    for signal in [None, Some(Signal::SIGTERM)] {
        let (mut child, _stdout, url) = running(&["url"]);
        let (pid, folder) = behind(&url).await;
        // Waiting for a child closes the input that it has: held here, the signal is all that ends it.
        let mut input = child.stdin.take();
        match signal {
            None => drop(input.take()),
            Some(signal) => send(&child, signal),
        }
        assert_eq!(child.wait().unwrap().code(), Some(signal.map_or(0, |s| 128 + s as i32)));
        drop(input);
        assert!(!folder.exists(), "gone when devdb has ended");
        wait_until_gone(pid, &folder);
    }
}

#[test]
fn run_passes_on_the_exit_status() {
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("kill -s KILL $$", 137)] {
        let (code, _) = outcome(&mut devdb(&["run", "--", "sh", "-c", script]));
        assert_eq!(code, Some(status), "{script}");
    }
    let (code, _) = outcome(&mut devdb(&["run", "--", "/no/such/program"]));
    assert_eq!(code, Some(127));
}

#[tokio::test]
async fn run_gives_the_url_to_the_command_and_passes_signals_on() {
    let script = r#"trap 'exit 9' TERM; echo "$DATABASE_URL"; while :; do sleep 0.01; done"#;
    let (mut child, _stdout, url) = running(&["run", "--durable", "--", "sh", "-c", script]);
    let (pid, folder) = behind(&url).await;
    send(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(9));
    wait_until_gone(pid, &folder);
}

#[tokio::test]
async fn a_given_url_is_passed_on_as_it_is() {
    let server = Server::builder().private().start().await.unwrap();
    let script = "printf %s \"$DATABASE_URL\"";
    let mut command = devdb(&["run", "--", "sh", "-c", script]);
    let (code, said) = outcome(command.env("DATABASE_URL", server.url()));
    assert_eq!((code, said.as_str()), (Some(0), server.url()));
    PgConnection::connect(server.url()).await.unwrap();
    server.stop().await.unwrap();
}

#[test]
fn wrong_usage_exits_with_2_and_no_server_with_3() {
    for arguments in [&[][..], &["what"], &["run"], &["run", "ls"], &["url", "--", "ls"]] {
        assert_eq!(outcome(&mut devdb(arguments)), (Some(2), String::new()), "{arguments:?}");
    }
    for verb in ["url", "which"] {
        let (code, said) = outcome(devdb(&[verb]).env("HOWDAH_PG_BIN", "/nowhere"));
        assert_eq!((code, said.as_str()), (Some(3), ""), "{verb}");
    }
    let unreachable = "postgres://u:p@127.0.0.1:1/x";
    assert_eq!(outcome(devdb(&["url"]).env("DATABASE_URL", unreachable)).0, Some(3));
}

#[test]
fn help_and_which_tell_on_stdout() {
    let (code, said) = outcome(&mut devdb(&["--help"]));
    assert!(code == Some(0) && said.contains("devdb run [--durable] --"));
    let (code, said) = outcome(&mut devdb(&["which"]));
    assert!(code == Some(0) && said.starts_with("PostgreSQL "), "{said}");
}
