//! Schedules, looked at and changed.

use crate::support::{Desk, end_of, program};

#[tokio::test]
async fn a_schedule_is_set_and_shown() {
    let desk = Desk::with_queue().await;
    assert_eq!(desk.ok(&["cron", "ls"]).await, "");
    desk.ok(&[
        "cron",
        "set",
        "nightly",
        "0 3 * * *",
        "report",
        "-a",
        "pages:=2",
        "--timezone",
        "Europe/Berlin",
        "--priority",
        "2",
        "--max-attempts",
        "4",
        "--ttl",
        "1h",
        "--missed",
        "all",
        "--max-missed",
        "7",
        "--grace",
        "5m",
        "--unique-key",
        "n",
        "--attribute",
        "tenant:=5",
    ])
    .await;
    let shown = desk.run(&["cron", "show", "nightly", "--json"]).await.json();
    let expected = serde_json::json!({"expression": "0 3 * * *", "timezone": "Europe/Berlin", "queue": "default", "kind": "report",
        "payload": {"pages": 2}, "priority": 2, "max_attempts": 4, "options": {"ttl_ms": 3_600_000, "attributes": {"tenant": 5}},
        "unique_key": "n", "missed": "all", "max_missed": 7, "grace_ms": 300_000, "paused": false, "firings": []});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key}");
    }
    let next = desk.run(&["cron", "next", "nightly", "--count", "3", "--json"]).await.json();
    assert_eq!(next.as_array().map(Vec::len), Some(3));
    assert_eq!(next[0], shown["next_runs"][0]);
    assert!(next[2]["local"].as_str().unwrap().contains(" 03:00:00 +0"), "{next}");
    // What is left out goes to its default.
    desk.ok(&["cron", "set", "nightly", "@daily", "report"]).await;
    let shown = desk.run(&["cron", "show", "nightly", "--json"]).await.json();
    let defaults = serde_json::json!([shown["missed"], shown["options"], shown["payload"], shown["timezone"]]);
    assert_eq!(defaults, serde_json::json!(["skip", null, {}, "UTC"]));
}

#[tokio::test]
async fn a_schedule_is_paused_resumed_run_and_deleted() {
    let desk = Desk::with_queue().await;
    desk.ok(&["cron", "set", "nightly", "0 3 * * *", "report", "--unique-key", "n"]).await;
    let mut pause = desk.command(&["cron", "pause", "nightly", "--reason", "lunch"]);
    assert!(pause.env("USER", "ann").status().await.unwrap().success());
    let shown = desk.ok(&["cron", "show", "nightly"]).await;
    for line in ["paused_by\tann\n", "pause_reason\tlunch\n", "missed\tskip\n", "\nnext\t2"] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
    let job = desk.ok(&["cron", "run", "nightly"]).await;
    assert_eq!(desk.job(&job).await["kind"], "report");
    let again = desk.run(&["cron", "run", "nightly", "--json"]).await.json();
    assert_eq!((again["hit"].as_bool(), again["id"].to_string()), (Some(true), job.trim().to_owned()));
    desk.ok(&["cron", "resume", "nightly"]).await;
    assert_eq!(desk.run(&["cron", "resume", "nightly"]).await.code, 1);
    let listed = desk.run(&["cron", "ls", "--json"]).await.json();
    assert_eq!(
        (&listed[0]["name"], &listed[0]["last_how"], &listed[0]["last_state"]),
        (&"nightly".into(), &"by hand".into(), &"ready".into())
    );

    desk.ok(&["cron", "rm", "nightly"]).await;
    assert_eq!(desk.run(&["cron", "rm", "nightly"]).await.code, 1);
}

#[tokio::test]
async fn the_next_runs_of_an_expression_need_no_database() {
    let said = end_of(program(&["cron", "next", "0 3 * * *", "--timezone", "Asia/Tokyo", "--count", "2"]), "").await;
    assert_eq!((said.code, said.out.lines().count()), (0, 2), "{said:?}");
    assert!(
        said.out.lines().all(|line| line.contains(" 03:00:00 +09:00\t") && line.ends_with("T18:00:00Z")),
        "{said:?}"
    );
    let said = end_of(program(&["cron", "next", "@every 90s", "--json"]), "").await;
    assert_eq!(said.json().as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn what_makes_no_sense_is_wrong_usage_and_names_the_option() {
    let desk = Desk::with_queue().await;
    for (command, why) in [
        (&["cron", "set", "s", "0 0 31 2 *", "k"][..], "EXPRESSION: \"0 0 31 2 *\" never comes"),
        (&["cron", "set", "s", "0 0 1--100000000", "k"], "EXPRESSION: has 3 fields"),
        (&["cron", "next", "* * * * 9"], "EXPRESSION: "),
        (&["cron", "set", "s", "@daily", "k", "--timezone", "Nowhere"], "--timezone: must be an IANA name"),
        (&["cron", "set", "s", "@daily", "k", "{"], "not JSON"),
        (&["cron", "set", "s", "@daily", "k", "--grace", "1ms"], "--grace"),
        (&["cron", "set", "s", "@daily", "k", "--missed", "some"], "--missed"),
    ] {
        let said = desk.run(command).await;
        assert!(said.code == 2 && said.err.contains(why), "{command:?}: {said:?}");
    }
    for command in [&["cron", "show", "s"][..], &["cron", "pause", "s"], &["cron", "run", "s"], &["cron", "next", "s"]]
    {
        let said = desk.run(command).await;
        assert!(
            said.code == 1 && said.err.contains("there is no") || said.err.contains("there is none"),
            "{command:?}: {said:?}"
        );
    }
    let said = desk.run(&["cron", "set", "s", "@daily", "k", "--queue", "nope"]).await;
    assert!(said.code == 1 && said.err.contains("no queue named 'nope'"), "{said:?}");
    assert_eq!(desk.ok(&["cron", "ls"]).await, "");
}
