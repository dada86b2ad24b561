//! The dashboard as a command: where it listens, and who is let in.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::{Desk, end_of};

/// A dashboard that serves, and where.
async fn serving(mut command: Command) -> (Child, String) {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line: serde_json::Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let url = line["url"].as_str().unwrap().to_owned();
    (child, url.trim_start_matches("http://").split('/').next().unwrap().to_owned())
}

/// The first line of the answer.
async fn ask(place: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(place).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn without_a_password_only_this_machine_is_served() {
    let desk = Desk::with_queue().await;
    for place in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"] {
        let said = desk.run(&["dashboard", "--listen", place]).await;
        assert_eq!((said.code, &*said.out), (2, ""), "{said:?}");
        assert!(said.err.contains("HOWDAH_DASHBOARD_TOKEN") && said.err.contains("127.0.0.1"), "{said:?}");
    }
    let (child, place) = serving(desk.command(&["dashboard", "--listen", "127.0.0.1:0", "--json"])).await;
    let port = place.rsplit_once(':').unwrap().1;
    assert_eq!(ask(&place, "/", &format!("Host: localhost:{port}\r\n")).await, "HTTP/1.1 200 OK");
    assert_eq!(ask(&place, "/", &format!("Host: evil.example:{port}\r\n")).await, "HTTP/1.1 421 Misdirected Request");
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    let ended = child.wait_with_output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn with_a_password_it_serves_others_too_and_asks_for_it() {
    let desk = Desk::with_queue().await;
    let mut command = desk.command(&["dashboard", "--listen", "0.0.0.0:0", "--json"]);
    command.env("HOWDAH_DASHBOARD_USERS", "ann:read:correct horse");
    let (mut child, place) = serving(command).await;
    let place = place.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(ask(&place, "/", "Host: jobs.example\r\n").await, "HTTP/1.1 401 Unauthorized");
    // ann:correct horse
    let known = "Host: jobs.example\r\nAuthorization: Basic YW5uOmNvcnJlY3QgaG9yc2U=\r\n";
    assert_eq!(ask(&place, "/", known).await, "HTTP/1.1 200 OK");
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_password_that_is_none_is_refused_and_not_repeated() {
    let desk = Desk::with_queue().await;
    for (name, value) in [
        ("HOWDAH_DASHBOARD_TOKEN", "secret"),
        ("HOWDAH_DASHBOARD_USERS", "ann:secret"),
        ("HOWDAH_DASHBOARD_USERS", "ann:root:secret-word"),
    ] {
        let mut command = desk.command(&["dashboard", "--listen", "127.0.0.1:0"]);
        command.env(name, value);
        let said = end_of(command, "").await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(name) && !said.err.contains("secret"), "{said:?}");
    }
}
