//! What is wrong, in the words of a table, a pipe, and JSON; and exit statuses for scripts.

use crate::support::Desk;

/// The test's server syncs nothing, which is a problem that no test can mend.
const HERE: [&str; 6] = ["doctor", "--check", "paused", "--check", "indexes", "--check"];

#[tokio::test]
async fn nothing_found_is_exit_code_0_and_a_line_for_each_check() {
    let desk = Desk::with_queue().await;
    let out = desk.ok(&[&HERE[..], &["orphans"]].concat()).await;
    let lines: Vec<Vec<_>> = out.lines().map(|line| line.split('\t').collect()).collect();
    let told: Vec<_> = lines.iter().map(|cells| (cells[0], cells[1])).collect();
    assert_eq!(told, [("paused", "ok"), ("orphans", "ok"), ("indexes", "ok")]);
    let all = desk.run(&["doctor", "--json"]).await;
    assert_eq!(all.code, 1, "the server of the tests syncs nothing: {all:?}");
    let checks = all.json().as_array().unwrap().clone();
    assert!(checks.len() > 20 && checks.iter().all(|c| c["name"].is_string() && c["detail"].is_object()), "{checks:?}");
}

#[tokio::test]
async fn what_was_found_decides_the_exit_code_and_the_fix_mends_it() {
    let desk = Desk::with_queue().await;
    let howdah = desk.howdah().await;
    desk.ok(&["enqueue", "k"]).await;
    howdah.pause_queue("default", Some("ann"), Some("lunch")).await.unwrap();
    let check = ["doctor", "--check", "paused", "--limit", "paused_ms=1h"];
    let out = desk.ok(&check).await;
    assert!(out.starts_with("paused\tnotice\tqueue default was paused ") && out.contains("(lunch)"), "{out}");
    assert!(out.contains("\tresume it if the reason is over: SELECT howdah.resume_queue('default')\t"), "{out}");
    let late = ["doctor", "--check", "paused", "--limit", "paused_ms=0"];
    for (arguments, code) in [
        (&check[..], 0),
        (&[&check[..], &["--fail-on", "notice"]].concat(), 1),
        (&late, 1),
        (&[&late[..], &["--fail-on", "problem"]].concat(), 0),
    ] {
        let said = desk.run(arguments).await;
        assert_eq!(said.code, code, "{arguments:?}: {said:?}");
    }
    let found = desk.run(&[&late[..], &["--json"]].concat()).await.json();
    assert_eq!((&found[0]["state"], &found[0]["detail"]["paused_by"]), (&"warning".into(), &"ann".into()));
    let sql = desk.run(&[&late[..], &["--fix-sql"]].concat()).await.out;
    assert!(sql.starts_with("-- queue default was paused "), "{sql}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(howdah.pool()).await.unwrap();
    desk.ok(&late).await;
}

#[tokio::test]
async fn what_is_no_check_or_no_limit_is_exit_code_2_and_an_old_schema_4() {
    let desk = Desk::with_queue().await;
    for (arguments, named) in [
        (&["doctor", "--check", "nonsense"][..], "--check"),
        (&["doctor", "--limit", "nonsense=1"], "--limit"),
        (&["doctor", "--limit", "waiting_ms=soon"], "--limit"),
        (&["doctor", "--limit", "waiting_ms="], "--limit"),
        (&["doctor", "--fail-on", "nothing"], "--fail-on"),
    ] {
        let said = desk.run(arguments).await;
        assert!(said.code == 2 && said.err.contains(named) && said.out.is_empty(), "{arguments:?}: {said:?}");
    }
    let newer = "INSERT INTO howdah.migration (version, name) VALUES (9999, 'later')";
    sqlx::raw_sql(newer).execute(desk.howdah().await.pool()).await.unwrap();
    let said = desk.run(&["doctor", "--check", "schema"]).await;
    assert!(said.code == 4 && said.out.starts_with("schema\tproblem\t") && said.err.contains("9999"), "{said:?}");
    let said = Desk::empty().await.run(&["doctor"]).await;
    assert!(said.code == 4 && said.err.contains("hint: run `howdah migrate up`"), "{said:?}");
}
