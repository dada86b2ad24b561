//! Enqueueing from the command line.

use std::fmt::Write;

use crate::support::Desk;

#[tokio::test]
async fn a_job_has_the_options_that_were_given() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "create", "mail"]).await;
    std::fs::write(desk.folder.path().join("job.json"), "{\"a\": [1, 2]}").unwrap();
    let options = ["--queue", "mail", "--priority", "2", "--delay", "1h", "--max-attempts", "7"];
    let id = desk.ok(&[&["enqueue", "send", "@job.json"][..], &options].concat()).await;
    let job = desk.job(&id).await;
    assert_eq!(job["payload"], serde_json::json!({ "a": [1, 2] }));
    assert_eq!((&job["queue"], &job["state"]), (&"mail".into(), &"scheduled".into()));
    assert_eq!((&job["priority"], &job["max_attempts"]), (&2.into(), &7.into()));
    let id = desk.ok(&["enqueue", "send", "--run-at", "2999-01-31T08:00:00Z"]).await;
    assert_eq!(desk.job(&id).await["due_at"], "2999-01-31T08:00:00+00:00");
}

#[tokio::test]
async fn a_stream_of_lines_is_enqueued_in_order() {
    let desk = Desk::with_queue().await;
    let mut lines = String::new();
    for n in 0..12_000 {
        writeln!(lines, "{{\"n\": {n}}}").unwrap();
    }
    let said = desk.run_with(&["enqueue", "many", "-"], &lines).await;
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "12000\n", ""));
    let howdah = desk.howdah().await;
    let all: Vec<i64> = sqlx::query_scalar("SELECT (payload->>'n')::bigint FROM howdah.job ORDER BY id")
        .fetch_all(howdah.pool())
        .await
        .unwrap();
    assert!(all.into_iter().eq(0..12_000));
}

#[tokio::test]
async fn a_bad_line_is_named_by_its_number() {
    let desk = Desk::with_queue().await;
    let lines = "{\"n\":1}\n\n{\"n\":2}\n{\"n\":\n{\"n\":4}\n";
    let said = desk.run_with(&["enqueue", "many", "-"], lines).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.starts_with("howdah: line 4 is not JSON: "), "{said:?}");
    assert!(said.err.contains("2 jobs were enqueued before that, and nothing after"), "{said:?}");
    assert_eq!(desk.ok(&["jobs", "ls"]).await.lines().count(), 2);
}

#[tokio::test]
async fn a_line_that_postgresql_refuses_is_named_by_its_number() {
    let desk = Desk::with_queue().await;
    for (n, bad) in [("\"a\\u0000\""), ("\"\\ud800\""), ("\u{0}")].into_iter().enumerate() {
        let mut lines = "{}\n".repeat(600);
        write!(lines, "{bad}\n{{}}\n").unwrap();
        let said = desk.run_with(&["enqueue", &format!("kind{n}"), "-"], &lines).await;
        assert!(said.code != 0 && said.err.contains("line 601"), "{bad}: {said:?}");
        assert!(said.err.contains("600 jobs were enqueued before that, and nothing after"), "{bad}: {said:?}");
        let ls = desk.ok(&["jobs", "ls", "--kind", &format!("kind{n}"), "--limit", "1000"]).await;
        assert_eq!(ls.lines().count(), 600, "{bad}");
    }
}

#[tokio::test]
async fn a_refused_queue_is_not_blamed_on_a_line() {
    let desk = Desk::with_queue().await;
    let said = desk.run_with(&["enqueue", "x", "-", "--queue", "nope"], "{}\n{}\n").await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(!said.err.contains("line ") && said.err.contains("nothing was enqueued"), "{said:?}");
}
