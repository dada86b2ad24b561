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

#[tokio::test]
async fn what_few_jobs_have_can_be_given() {
    let desk = Desk::with_queue().await;
    let id = desk
        .ok(&[
            "enqueue",
            "k",
            "--attribute",
            "tenant:=42",
            "--attribute",
            "plan=pro",
            "--ttl",
            "1h",
            "--timeout",
            "30s",
            "--retry",
            "linear:10s",
            "--parked",
        ])
        .await;
    let job = desk.job(&id).await;
    assert_eq!(job["attributes"], serde_json::json!({ "tenant": 42, "plan": "pro" }));
    assert_eq!(job["options"]["timeout_ms"], 30_000);
    assert_eq!(job["options"]["retry"], serde_json::json!({ "policy": "linear", "base_ms": 10_000 }));
    assert_eq!((&job["state"], &job["due_at"]), (&"scheduled".into(), &"infinity".into()));
    assert!(job["expires_at"].is_string());
    let lines = desk.run_with(&["enqueue", "k", "-", "--attribute", "batch=7"], "1\n2\n").await;
    assert_eq!(lines.code, 0, "{lines:?}");
    for bad in [&["--retry", "sometimes:1s"][..], &["--ttl", "soon"], &["--unique-for", "1h"], &["--attribute", "x"]] {
        let said = desk.run(&[&["enqueue", "k"], bad].concat()).await;
        assert!(said.code == 2 && said.err.contains(bad[0]), "{bad:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_unique_job_is_enqueued_once_and_its_number_is_printed_again() {
    let desk = Desk::with_queue().await;
    let first = desk.ok(&["enqueue", "k", "-a", "shop:=7", "--unique"]).await.trim().to_owned();
    assert_eq!(desk.ok(&["enqueue", "k", "{\"shop\": 7.0}", "--unique"]).await.trim(), first);
    let said = desk.run(&["enqueue", "k", "-a", "shop:=7", "--unique", "--on-hit", "error"]).await;
    assert!(said.code == 1 && said.err.contains(&format!("job {first} of kind 'k' has this unique key")), "{said:?}");
    let other = desk.ok(&["enqueue", "k", "--unique-key", "a", "--unique-for", "1h"]).await.trim().to_owned();
    desk.ok(&["jobs", "cancel", &other]).await;
    let hit = desk.run(&["--json", "enqueue", "k", "--unique-key", "a", "--unique-for", "1h"]).await.json();
    assert_eq!(hit, serde_json::json!({ "hit": true, "id": other.parse::<i64>().unwrap() }));
}

#[tokio::test]
async fn one_can_wait_for_the_end_of_a_job() {
    let desk = Desk::with_queue().await;
    let id = desk.ok(&["enqueue", "k", "--parked"]).await.trim().to_owned();
    desk.ok(&["jobs", "cancel", &id]).await;
    let said = desk.run(&["jobs", "wait", &id]).await;
    assert!(said.code == 1 && said.err.contains(&format!("job {id} is cancelled")), "{said:?}");
    let none = desk.run(&["jobs", "wait", "77"]).await;
    assert!(none.code == 1 && none.err.contains("there is no job 77"), "{none:?}");
    let howdah = desk.howdah().await;
    let done = howdah.enqueue_raw("k", &1).await.unwrap();
    sqlx::query("SELECT howdah.complete(c.lease_id, NULL, NULL, ARRAY[c.id], ARRAY['{\"n\": 1}'::jsonb]) FROM (SELECT lease_id, id FROM howdah.claim(howdah.start_worker('w'))) c")
        .execute(howdah.pool()).await.unwrap();
    assert_eq!(desk.ok(&["jobs", "wait", &done.to_string()]).await.trim(), "{\"n\": 1}", "as it was written");
}
