//! Roles: how they are made, and that an operator's are enough for what the program does to jobs and settings.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::{Desk, Said, end_of};

/// Runs the program as somebody whose password is in a file.
async fn run_as(desk: &Desk, user: &str, arguments: &[&str]) -> Said {
    let place = desk.database.url().split_once('@').unwrap().1;
    let file = desk.folder.path().join("pgpass");
    std::fs::write(&file, format!("*:*:*:{user}:of {user}\n")).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = desk.command(arguments);
    command.env("DATABASE_URL", format!("postgres://{user}@{place}")).env("PGPASSFILE", &file);
    end_of(command, "").await
}

#[tokio::test]
async fn an_operator_needs_no_more_than_the_role_of_that_name() {
    let desk = Desk::empty().await;
    let mut session = PgConnection::connect(desk.database.url()).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut session).await.unwrap();
    let said = desk.ok(&["migrate", "up", "--roles", "--role-prefix", &name]).await;
    assert!(said.contains(&format!("the roles are {name}_owner, {name}_producer, {name}_worker")), "{said}");
    assert!(desk.ok(&["migrate", "up", "--roles", "--json"]).await.contains(&format!("\"{name}_viewer\"")));
    assert_eq!(desk.run(&["migrate", "up", "--role-prefix", "x"]).await.code, 2);
    let (operator, producer) = (format!("{name}_a"), format!("{name}_b"));
    for (user, role) in [(&operator, "operator"), (&producer, "producer")] {
        let make = format!("CREATE ROLE {user} LOGIN PASSWORD 'of {user}'; GRANT {name}_{role} TO {user}");
        sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut session).await.unwrap();
    }
    let commands = "enqueue mail|enqueue mail --delay 1h|enqueue mail --unique-key k|jobs ls|jobs show 128|jobs cancel 128|jobs why 256|\
        dead ls|queues create letters|queues ls|queues show letters|queues set letters max_attempts=5|queues pause letters|queues drain letters --timeout 1ms|queues resume letters|\
        queues rm letters --force|config show|config set history_retention=2h|cron set nightly @daily mail|cron ls|cron show nightly|cron pause nightly|\
        cron resume nightly|cron run nightly|cron rm nightly|kinds ls|kinds set mail timeout_ms=5000|limits ls|\
        signal go|signals|workflows ls|stats|purge completed --older-than 1h --dry-run|purge completed --older-than 1h --yes|workers ls|migrate status";
    for command in commands.split('|').map(str::trim) {
        let said = run_as(&desk, &operator, &command.split(' ').collect::<Vec<_>>()).await;
        assert!(!said.err.contains("42501") && !said.err.contains("denied"), "{command}: {said:?}");
        assert!(said.code < 2, "{command}: {said:?}");
    }
    let said = run_as(&desk, &producer, &["jobs", "ls"]).await;
    assert!(said.code == 1 && said.err.contains("permission denied for function find (42501)"), "{said:?}");
    let said = run_as(&desk, &producer, &["enqueue", "mail"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = run_as(&desk, &operator, &["migrate", "up"]).await;
    assert!(said.code == 0 || said.err.contains("42501"), "{said:?}");
}
