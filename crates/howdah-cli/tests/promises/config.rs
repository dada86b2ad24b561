//! Settings of the installation, and what has ended.

use crate::support::Desk;

#[tokio::test]
async fn settings_are_shown_and_changed() {
    let desk = Desk::with_queue().await;
    assert!(desk.ok(&["config", "show"]).await.lines().any(|line| line == "history_retention\t1 day"));
    let out = desk.ok(&["config", "set", "completed_retention=1h30m", "dead_retention=90d"]).await;
    assert!(out.contains("completed_retention\t01:30:00\n") && out.contains("dead_retention\t90 days\n"), "{out}");
    desk.ok(&["config", "set", "completed_retention=default"]).await;
    let json = desk.run(&["config", "show", "--json"]).await.json();
    assert!(json["settings"]["completed_retention"].is_null(), "{json}");
    assert_eq!(json["queues"][0]["dead"], "90 days");
}

#[tokio::test]
async fn what_is_no_setting_is_wrong_usage_and_changes_nothing() {
    let desk = Desk::with_queue().await;
    let before = desk.ok(&["config", "show"]).await;
    for (typed, named) in [
        (&["dead_retention=1h", "nonsense=1"][..], "nonsense"),
        (&["dead_retention=1h", "dead_retention=2h"], "dead_retention"),
        (&["expired_retention=soon"], "expired_retention"),
        (&["expired_retention=-1h"], "expired_retention"),
        (&["history_retention=default"], "history_retention"),
        (&["dead_retention"], "dead_retention"),
        (&["=1h"], "=1h"),
        (&[], "SETTING=VALUE"),
    ] {
        let said = desk.run(&[&["config", "set"], typed].concat()).await;
        assert!(said.code == 2 && said.err.contains(named) && said.out.is_empty(), "{typed:?}: {said:?}");
    }
    assert_eq!(desk.ok(&["config", "show"]).await, before);
}

#[tokio::test]
async fn purge_says_how_many_it_removed() {
    let desk = Desk::with_queue().await;
    for _ in 0..3 {
        let id = desk.ok(&["enqueue", "k", "--delay", "1h"]).await;
        desk.ok(&["jobs", "cancel", id.trim()]).await;
    }
    assert_eq!(desk.ok(&["purge", "cancelled", "--older-than", "1h", "--yes"]).await, "0\n");
    assert_eq!(desk.run(&["purge", "cancelled", "--older-than", "0s", "--yes", "--json"]).await.json()["removed"], 3);
    assert_eq!(desk.ok(&["jobs", "ls"]).await, "");
    for (typed, code) in [
        (&["purge", "ready", "--older-than", "1h"][..], 2),
        (&["purge", "dead"], 2),
        (&["purge", "dead", "--older-than", "-1h"], 2),
        (&["purge", "dead", "--older-than", "1h", "--queue", "nope", "--yes"], 1),
    ] {
        let said = desk.run(typed).await;
        assert_eq!(said.code, code, "{typed:?}: {said:?}");
    }
}
