//! A private server's promises: who gets in, what survives a crash, what is left behind.

#![allow(clippy::unwrap_used, reason = "a test's own helpers count as no test")]

use std::error::Error as _;
use std::time::{Duration, Instant};

use howdah_devdb::{Binaries, Durability, Error, InstallPolicy, Server, StopMode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, Executor, PgConnection};

/// Fast, but what is committed survives the end of the postmaster.
async fn private() -> Server {
    Server::builder().private().durability(Durability::Fast).setting("synchronous_commit", "on").start().await.unwrap()
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// Waits for what other processes do, of which nothing tells us.
fn eventually(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

#[tokio::test]
async fn a_wrong_password_is_refused_on_tcp_and_on_the_socket() {
    let server = private().await;
    let (port, folder) = (server.port().unwrap(), server.folder().unwrap().to_owned());
    let socket = folder.to_str().unwrap().replace('/', "%2F");
    for host in ["127.0.0.1", &socket] {
        for (password, lets_in) in [(":wrong", false), ("", false)] {
            let url = format!("postgres://postgres{password}@{host}:{port}/postgres");
            assert_eq!(PgConnection::connect(&url).await.is_ok(), lets_in, "{url}");
        }
        let url = server.url().replace("127.0.0.1", host);
        connect(&url).await;
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_folder_is_private_and_gone_after_a_stop() {
    use std::os::unix::fs::PermissionsExt;
    let server = private().await;
    let (folder, pid) = (server.folder().unwrap().to_owned(), server.postmaster_pid().unwrap());
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(folder.as_os_str().len() + "/.s.PGSQL.65535.lock".len() < 104);
    server.stop().await.unwrap();
    assert!(!folder.exists());
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_dropped_server_leaves_neither_server_nor_folder() {
    let server = private().await;
    let (folder, pid) = (server.folder().unwrap().to_owned(), server.postmaster_pid().unwrap());
    drop(server);
    eventually("the end of server and folder", || !is_alive(pid) && !folder.exists());
}

#[tokio::test]
async fn a_sigkilled_postmaster_can_be_started_again_on_the_same_data() {
    let server = private().await;
    let url = server.url().to_owned();
    connect(&url).await.execute("CREATE TABLE kept AS SELECT 7 AS n").await.unwrap();
    for mode in [StopMode::Kill, StopMode::Immediate, StopMode::Fast] {
        // A busy process would outlive its postmaster, and keep the next one out.
        let mut busy = connect(&url).await;
        let busy = tokio::spawn(async move { busy.execute("DO 'BEGIN LOOP END LOOP; END'").await });
        let before = server.postmaster_pid().unwrap();
        server.stop_postmaster(mode).await.unwrap();
        assert!(busy.await.unwrap().is_err());
        assert!(!is_alive(before));
        assert_eq!(server.postmaster_pid(), None);
        assert!(PgConnection::connect(&url).await.is_err());
        // Stopping what is stopped and starting what runs is nothing to do.
        server.stop_postmaster(mode).await.unwrap();
        server.start_postmaster().await.unwrap();
        server.start_postmaster().await.unwrap();
        let n: i32 =
            sqlx::query_scalar("SELECT n FROM kept").fetch_one(&mut connect(server.url()).await).await.unwrap();
        assert_eq!((n, server.url()), (7, url.as_str()), "{mode:?}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_postmaster_killed_from_outside_is_no_zombie_and_its_folder_goes() {
    let server = private().await;
    let (folder, pid) = (server.folder().unwrap().to_owned(), server.postmaster_pid().unwrap());
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    eventually("the postmaster's end", || !is_alive(pid));
    server.stop_postmaster(StopMode::Fast).await.unwrap();
    server.start_postmaster().await.unwrap();
    // A stopped postmaster must not hold up the clean-up either.
    kill(Pid::from_raw(server.postmaster_pid().unwrap()), Signal::SIGSTOP).unwrap();
    drop(server);
    eventually("the folder's end", || !folder.exists());
}

#[tokio::test]
async fn a_given_url_is_used_and_never_stopped() {
    let server = private().await;
    let given = Server::builder().database_url(server.url()).start().await.unwrap();
    assert!(!given.is_private());
    assert_eq!(given.url(), server.url());
    for refused in [given.stop_postmaster(StopMode::Kill).await, given.start_postmaster().await] {
        assert!(matches!(refused, Err(Error::NotPrivate)));
    }
    let database = given.create_database().await.unwrap();
    given.stop().await.unwrap();

    // The database outlives `given`, and is dropped with its owner though connected to.
    let _connected = connect(database.url()).await;
    let name = database.name().to_owned();
    drop(database);
    let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(&mut connect(server.url()).await)
        .await
        .unwrap();
    assert!(!left);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_given_url_that_does_not_answer_is_an_error_without_its_password() {
    let builder = Server::builder().database_url("postgres://u:secret@127.0.0.1:1/x");
    let error = builder.start().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }));
    assert!(!format!("{error} {error:?} {:?}", error.source()).contains("secret"));
}

#[tokio::test]
async fn settings_reach_the_server_and_wrong_ones_are_told_with_its_log() {
    let server =
        Server::builder().private().setting("work_mem", "5MB").setting("cluster_name", r"o'n\e").start().await.unwrap();
    let mut connection = connect(server.url()).await;
    for (name, value) in [
        ("work_mem", "5MB"),
        ("cluster_name", r"o'n\e"),
        ("fsync", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("max_connections", "300"),
    ] {
        let set: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await.unwrap();
        assert_eq!(set, value, "{name}");
    }
    server.stop().await.unwrap();

    let wrong = Server::builder().private().setting("work_mem", "a lot");
    let error = wrong.start().await.unwrap_err();
    assert!(matches!(&error, Error::ServerDied { tail, .. } if tail.contains("work_mem")), "{error}");
}

#[tokio::test]
async fn a_named_bin_folder_is_used_or_refused_but_never_passed_over() {
    let wrong = Server::builder().private().bin_dir("/nowhere").start().await;
    assert!(matches!(wrong, Err(Error::BadBinFolder { .. })));
    let found = Server::builder().install_policy(InstallPolicy::Never).binaries().await.unwrap();
    let named = Server::builder().bin_dir(found.dir()).binaries().await.unwrap();
    assert_eq!(named, Binaries::at(found.dir()).await.unwrap());
}
