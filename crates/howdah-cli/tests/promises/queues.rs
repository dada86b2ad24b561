//! Queues and kinds, looked at and changed.

use crate::support::Desk;

/// The one value that SQL gives.
async fn text(desk: &Desk, sql: &str) -> String {
    let statement = sqlx::AssertSqlSafe(format!("SELECT ({sql})::text"));
    let value: Option<String> = sqlx::query_scalar(statement).fetch_one(desk.howdah().await.pool()).await.unwrap();
    value.unwrap_or_default()
}

#[tokio::test]
async fn a_queue_is_created_set_shown_and_deleted() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "create", "mail", "max_jobs=2", "lease_ms=1m"]).await;
    let shown = desk.run(&["queues", "show", "mail", "--json"]).await.json();
    assert_eq!((&shown["settings"]["max_jobs"], &shown["settings"]["lease_ms"]), (&2.into(), &60_000.into()));
    let set = desk.ok(&["queues", "set", "mail", "max_jobs=", "max_attempts=3", "timeout_ms=5s"]).await;
    for line in ["max_jobs\t\n", "max_attempts\t3\n", "timeout_ms\t5000\n", "lease_ms\t60000\n"] {
        assert!(set.contains(line), "{line:?} in {set}");
    }
    let again = desk.run(&["queues", "create", "mail", "max_jobs=9"]).await;
    assert!(again.code == 1 && again.out.contains("left as it is"), "{again:?}");
    desk.ok(&["enqueue", "letter", "--queue", "mail"]).await;
    let refused = desk.run(&["queues", "rm", "mail"]).await;
    assert!(refused.code == 1 && refused.err.contains("1 ready") && refused.err.contains("--force"), "{refused:?}");
    desk.ok(&["queues", "rm", "mail", "--force"]).await;
    assert_eq!(desk.run(&["queues", "rm", "mail"]).await.code, 1);
    assert_eq!(desk.run(&["queues", "show", "mail"]).await.code, 1);
    let history = desk.ok(&["jobs", "ls", "--queue", "mail"]).await;
    assert!(history.contains("mail\tletter\tcancelled"), "{history}");
}

#[tokio::test]
async fn what_cannot_be_set_is_wrong_usage_and_names_the_setting() {
    let desk = Desk::with_queue().await;
    for (command, why) in [
        (&["queues", "set", "default", "max_attempts=0"][..], "max_attempts must satisfy"),
        (&["queues", "set", "default", "max_attempts=many"], "max_attempts must be of type"),
        (&["queues", "set", "default", "colour=red"], "max_payload_bytes"),
        (&["queues", "set", "default", "max_jobs"], "max_attempts=5"),
        (&["queues", "set", "default", "lease_ms=5x"], "5m"),
        (&["queues", "set", "default"], "KEY=VALUE"),
        (&["queues", "create", "other", "max_jobs=0"], "max_jobs must satisfy"),
        (&["kinds", "set", "letter", "max_jobs=5"], "retry_policy"),
        (&["queues", "rm", "default"], "cannot be deleted"),
    ] {
        let said = desk.run(command).await;
        assert!(said.code == 2 && said.err.contains(why), "{command:?}: {said:?}");
    }
    let said = desk.run(&["queues", "set", "nope", "max_jobs=5"]).await;
    assert!(said.code == 1 && said.err.contains("no queue named 'nope'"), "{said:?}");
}

#[tokio::test]
async fn a_pause_is_shown_with_who_and_why() {
    let desk = Desk::with_queue().await;
    let mut pause = desk.command(&["queues", "pause", "default", "--reason", "lunch"]);
    assert!(pause.env("USER", "ann").status().await.unwrap().success());
    let list = desk.run(&["queues", "ls", "--json"]).await.json();
    assert_eq!((&list[0]["paused_by"], &list[0]["pause_reason"]), (&"ann".into(), &"lunch".into()));
    let shown = desk.ok(&["queues", "show", "default"]).await;
    assert!(shown.contains("paused_by\tann\n") && shown.contains("pause_reason\tlunch\n"), "{shown}");
}

#[tokio::test]
async fn a_full_queue_is_exit_code_1() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "set", "default", "max_jobs=1"]).await;
    desk.ok(&["enqueue", "letter"]).await;
    let said = desk.run(&["enqueue", "letter"]).await;
    assert!(said.code == 1 && said.err.contains("1 of max_jobs 1"), "{said:?}");
}

#[tokio::test]
async fn kinds_are_listed_while_something_is_set_of_them() {
    let desk = Desk::with_queue().await;
    assert_eq!(desk.ok(&["kinds", "ls"]).await, "");
    let set = desk.ok(&["kinds", "set", "report", "lease_ms=10m", "retry_policy=linear"]).await;
    assert!(set.contains("lease_ms\t600000\n") && set.contains("retry_policy\tlinear\n"), "{set}");
    let listed = desk.run(&["kinds", "ls", "--json"]).await.json();
    assert_eq!((&listed[0]["kind"], &listed[0]["lease_ms"]), (&"report".into(), &600_000.into()));
    desk.ok(&["kinds", "set", "report", "lease_ms=", "retry_policy=default"]).await;
    assert_eq!(desk.ok(&["kinds", "ls"]).await, "");
}

#[tokio::test]
async fn a_limit_is_set_listed_and_taken_away() {
    let desk = Desk::with_queue().await;
    let set = desk
        .run(&["limits", "set", "key", "tenant:*", "max_running=5", "rate=10", "rate_period_ms=1m", "--json"])
        .await;
    let set = set.json();
    assert_eq!(
        (&set["max_running"], &set["rate_period_ms"], &set["rate_burst"]),
        (&5.into(), &60_000.into(), &10.into())
    );
    desk.ok(&["limits", "set", "kind", "letter", "max_running=0"]).await;
    desk.ok(&[
        "enqueue",
        "letter",
        "--limit-key",
        "tenant:1",
        "--order-key",
        "o",
        "--let-others-pass",
        "--fair-key",
        "f",
        "--weight",
        "2",
    ])
    .await;
    let list = desk.ok(&["limits", "ls"]).await;
    assert!(list.contains("key\ttenant:*\t5\t10\t60000\t10"), "{list}");
    assert!(list.contains("kind\tletter\t0"), "{list}");
    let wrong = desk.run(&["limits", "set", "share", "f", "max_running=1"]).await;
    assert!(wrong.code == 2 && wrong.err.contains("weight"), "{wrong:?}");
    desk.ok(&["limits", "rm", "kind", "letter"]).await;
    assert_eq!(desk.run(&["limits", "rm", "kind", "letter"]).await.code, 1);
}

#[tokio::test]
async fn a_pause_for_a_while_says_when_it_ends() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "pause", "default", "--for", "1h"]).await;
    let shown = desk.run(&["queues", "show", "default", "--json"]).await.json();
    assert!(shown["paused"] == true && shown["resume_at"].is_string(), "{shown}");
    let said = desk.run(&["queues", "pause", "default", "--for", "0s"]).await;
    assert!(said.code == 2 && said.err.contains("1 second to 10 years"), "{said:?}");
}

#[tokio::test]
async fn workers_are_told_things_by_their_numbers() {
    let desk = Desk::with_queue().await;
    let id = text(&desk, "SELECT howdah.start_worker('w')").await;
    desk.ok(&["workers", "quiet", &id]).await;
    let shown = desk.run(&["workers", "show", &id, "--json"]).await.json();
    assert_eq!(shown["told"], "quiet");
    desk.ok(&["workers", "resume", &id]).await;
    let said = desk.run(&["workers", "stop", &id, "4711"]).await;
    assert!(said.code == 1 && said.out.contains("4711\tthere is none"), "{said:?}");
    assert_eq!(text(&desk, "SELECT told FROM howdah.workers").await, "stop");
}

#[tokio::test]
async fn statistics_are_shown_by_queue_and_kind() {
    let desk = Desk::with_queue().await;
    assert_eq!(desk.ok(&["stats", "--since", "1h"]).await, "");
    text(
        &desk,
        r#"SELECT howdah.report_stats('[{"queue_id": 1, "kind": "letter", "completed": 7, "retried": 2, "dead": 1, "runs": [0,0,10]}]')"#,
    )
    .await;
    text(&desk, "SELECT howdah.fold_stats()").await;
    let shown = desk.ok(&["stats", "--since", "1h", "--queue", "default"]).await;
    assert!(shown.contains("default\tletter\t7\t3\t1\t0\t3\t4\t"), "{shown}");
    assert!(desk.ok(&["stats", "--since", "1h", "--kind", "other"]).await.is_empty());
    let now: serde_json::Value = serde_json::from_str(&desk.ok(&["stats", "--json"]).await).unwrap();
    assert!(now["queues"][0]["failed_per_minute"].as_f64().unwrap() > 0.0, "{now}");
    let said = desk.run(&["stats", "--since", "1h", "--queue", "nope"]).await;
    assert!(said.code == 1 && said.err.contains("no queue named 'nope'"), "{said:?}");
}

#[tokio::test]
async fn a_queue_is_drained_when_nothing_of_it_waits_or_runs() {
    let desk = Desk::with_queue().await;
    assert!(desk.ok(&["queues", "drain", "default"]).await.contains("it is empty"));
    assert_eq!(desk.run(&["queues", "drain", "nope"]).await.code, 1);
    let work = "WITH w AS (SELECT howdah.start_worker('w', queues => '{default}') AS id) SELECT c.lease_id::text || ' ' || c.id FROM w, howdah.claim(w.id) c";
    desk.ok(&["enqueue", "mail"]).await;
    desk.ok(&["enqueue", "later", "--delay", "1h"]).await;
    let claimed = text(&desk, work).await;
    let (lease, job) = claimed.split_once(' ').unwrap();
    let running = desk.run(&["queues", "drain", "default", "--timeout", "1ms"]).await;
    assert!(running.code == 1 && running.out.contains("1 running, 1 scheduled"), "{running:?}");
    // Whoever pauses a queue to do something to its workers waits until they have nothing of it.
    let pause = desk.command(&["queues", "pause", "default", "--wait", "--json"]).spawn().unwrap();
    while text(&desk, "SELECT paused_at IS NULL FROM howdah.queue").await == "true" {
        tokio::task::yield_now().await;
    }
    desk.ok(&["enqueue", "mail"]).await;
    let sql = format!("SELECT howdah.complete({lease}, ARRAY[{job}])");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(desk.howdah().await.pool()).await.unwrap();
    let said = pause.wait_with_output().await.unwrap();
    let told: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((&told["done"], &told["running"], &told["ready"]), (&true.into(), &0.into(), &1.into()), "{told}");
    let paused = desk.run(&["queues", "drain", "default"]).await;
    assert!(
        paused.code == 1 && paused.err.contains("paused") && paused.err.contains("queues resume default"),
        "{paused:?}"
    );
    desk.ok(&["queues", "resume", "default"]).await;
    let claimed = text(&desk, work).await;
    let (lease, job) = claimed.split_once(' ').unwrap();
    text(&desk, &format!("SELECT count(*) FROM howdah.complete({lease}, ARRAY[{job}])")).await;
    assert!(desk.ok(&["queues", "drain", "default"]).await.contains("there are 1 scheduled or blocked"));
    assert_eq!(desk.run(&["queues", "drain", "default", "--all", "--timeout", "1ms"]).await.code, 1);
}
