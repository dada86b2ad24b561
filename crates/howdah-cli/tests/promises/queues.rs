//! Queues and kinds, looked at and changed.

use crate::support::Desk;

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
