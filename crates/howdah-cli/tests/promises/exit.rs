//! Exit statuses, and what is said with them.

use crate::support::{Desk, end_of, program};

#[tokio::test]
async fn an_unreachable_server_is_exit_code_3() {
    let said = end_of(program(&["stats", "--database-url", "postgres://me:secret@127.0.0.1:1/shop"]), "").await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.starts_with("howdah: cannot reach the database \"shop\" at 127.0.0.1:1:"), "{said:?}");
    assert!(said.err.contains("\nhint: ") && said.out.is_empty() && !said.err.contains("secret"), "{said:?}");
}

#[tokio::test]
async fn a_wrong_password_is_exit_code_3_and_is_not_told() {
    let desk = Desk::empty().await;
    let (user, host) = desk.database.url().split_once("://postgres:").unwrap().1.split_once('@').unwrap();
    let url = format!("postgres://postgres:Not{user}@{host}");
    let said = end_of(program(&["stats", "--database-url", &url]), "").await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("password authentication failed") && !said.err.contains(user), "{said:?}");
}

#[tokio::test]
async fn a_missing_schema_is_exit_code_4_and_says_what_to_run() {
    let desk = Desk::empty().await;
    for command in
        [&["stats"][..], &["jobs", "ls"], &["enqueue", "x"], &["work", "--exec", "true"], &["migrate", "status"]]
    {
        let said = desk.run(command).await;
        assert_eq!(said.code, 4, "{command:?}: {said:?}");
        assert!(said.err.contains("hint: run `howdah migrate up`"), "{said:?}");
    }
    desk.ok(&["migrate", "up"]).await;
    desk.ok(&["migrate", "status"]).await;
    desk.ok(&["stats"]).await;
}

#[tokio::test]
async fn another_schema_is_another_queue() {
    let desk = Desk::with_queue().await;
    let said = desk.run(&["--schema", "jobs_eu", "enqueue", "x"]).await;
    assert!(said.code == 4 && said.err.contains("howdah migrate up --schema jobs_eu"), "{said:?}");
    desk.ok(&["--schema", "jobs_eu", "migrate", "up"]).await;
    desk.ok(&["--schema", "jobs_eu", "enqueue", "x"]).await;
    assert_eq!(desk.ok(&["--schema", "jobs_eu", "jobs", "ls"]).await.lines().count(), 1);
    assert_eq!(desk.ok(&["jobs", "ls"]).await, "");
    assert_eq!(desk.run(&["--schema", "a;b", "stats"]).await.code, 2);
}

#[tokio::test]
async fn what_is_not_there_is_exit_code_1() {
    let desk = Desk::with_queue().await;
    for (command, why) in [
        (&["jobs", "show", "7"][..], "there is no job 7"),
        (&["jobs", "cancel", "7"], "there is no job 7"),
        (&["jobs", "retry", "7"], "there is no job 7"),
        (&["queues", "pause", "nope"], "no queue named 'nope'"),
        (&["queues", "resume", "default"], ""),
        (&["enqueue", "x", "--queue", "nope"], "howdah queues create"),
    ] {
        let said = desk.run(command).await;
        assert_eq!(said.code, 1, "{command:?}: {said:?}");
        assert!(said.err.contains(why), "{command:?}: {said:?}");
    }
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2_and_names_the_option() {
    let desk = Desk::with_queue().await;
    for (command, named) in [
        (&["enqueue", "x", "--delay", "-5m"][..], "--delay"),
        (&["enqueue", "x", "--delay", "5"], "--delay"),
        (&["enqueue", "x", "--delay", "99999w"], "--delay"),
        (&["enqueue", "x", "--run-at", "tomorrow"], "--run-at"),
        (&["enqueue", "x", "--priority", "10"], "--priority"),
        (&["enqueue", "x", "--max-attempts", "0"], "--max-attempts"),
        (&["enqueue", "x", "-a", "novalue"], "-a"),
        (&["enqueue", "x", "{"], "payload"),
        (&["enqueue", "x", "@missing.json"], "missing.json"),
        (&["enqueue", ""], "kind"),
        (&["jobs", "ls", "--state", "gone"], "--state"),
        (&["work", "--exec", "true", "--queue", "q:0"], "--queue"),
        (&["stats", "--database-url", "mysql://me:secret@h/a"], "--database-url"),
        (&["nonsense"], "nonsense"),
    ] {
        let said = desk.run(command).await;
        assert_eq!(said.code, 2, "{command:?}: {said:?}");
        assert!(said.err.to_lowercase().contains(named), "{command:?}: {said:?}");
        assert!(said.out.is_empty() && !said.err.contains("secret"), "{said:?}");
    }
}

#[tokio::test]
async fn the_flag_wins_over_the_environment_and_the_environment_over_the_file() {
    let (desk, nowhere) = (Desk::with_queue().await, "postgres://127.0.0.1:1/nowhere");
    let said = end_of(desk.command(&["stats", "--database-url", nowhere]), "").await;
    assert_eq!(said.code, 3, "{said:?}");

    std::fs::write(desk.folder.path().join(".env"), format!("DATABASE_URL='{nowhere}'\n")).unwrap();
    assert_eq!(desk.run(&["stats"]).await.code, 0);

    std::fs::write(desk.folder.path().join(".env"), format!("DATABASE_URL={}\n", desk.database.url())).unwrap();
    let mut command = desk.command(&["stats"]);
    command.env_remove("DATABASE_URL");
    let said = end_of(command, "").await;
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test]
async fn an_address_that_is_no_text_is_wrong_usage_and_not_taken_for_none() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::with_queue().await;
    for name in ["DATABASE_URL", "HOWDAH_SCHEMA"] {
        let mut command = desk.command(&["stats"]);
        command.env(name, std::ffi::OsStr::from_bytes(b"postgres://\xff@127.0.0.1/x"));
        let said = end_of(command, "").await;
        assert!(said.code == 2 && said.err.contains(name) && said.err.contains("UTF-8"), "{said:?}");
    }
}

#[tokio::test]
async fn a_schema_that_is_newer_than_the_program_is_not_current_and_no_migration_is_advised() {
    let desk = Desk::with_queue().await;
    let newer = "INSERT INTO howdah.migration (version, name) VALUES (9999, 'later')";
    sqlx::raw_sql(newer).execute(desk.howdah().await.pool()).await.unwrap();
    for code in ["", "UPDATE howdah.code SET hash = 'of another release'"] {
        sqlx::raw_sql(code).execute(desk.howdah().await.pool()).await.unwrap();
        let said = desk.run(&["migrate", "status"]).await;
        assert!(said.code == 4 && said.err.contains("9999") && said.err.contains("newer release"), "{said:?}");
        assert!(!said.err.contains("migrate up"), "{said:?}");
        assert_eq!(desk.run(&["migrate", "status", "--json"]).await.json()["current"], false);
    }
}
