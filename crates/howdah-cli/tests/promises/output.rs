//! What goes where.

use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::support::{Desk, program};

#[tokio::test]
async fn json_is_on_stdout_and_talk_on_stderr() {
    let desk = Desk::with_queue().await;
    let id = desk.run(&["enqueue", "mail", "-a", "to=ada", "-a", "n:=18446744073709551615", "--json"]).await.json();
    let id = id["id"].to_string();
    for command in [
        &["migrate", "up"][..],
        &["migrate", "status"],
        &["migrate", "sql"],
        &["jobs", "ls"],
        &["jobs", "show", &id],
        &["queues", "ls"],
        &["queues", "pause", "default", "--reason", "lunch"],
        &["queues", "resume", "default"],
        &["stats"],
        &["jobs", "cancel", &id],
    ] {
        let said = desk.run(&[command, &["--json"]].concat()).await;
        assert!(said.code == 0 && said.err.is_empty(), "{command:?}: {said:?}");
        said.json();
    }
    let said = desk.run(&["jobs", "cancel", &id, "1", "--json"]).await;
    assert!(said.code == 1 && said.err.contains("no job 1") && said.err.contains("it had ended before"), "{said:?}");
    assert_eq!(said.json()[0]["state"], "cancelled", "before, and not again");
    // A number that no JavaScript could hold has come back as it was.
    assert_eq!(desk.job(&id).await["payload"]["n"], Value::from(u64::MAX));
}

#[tokio::test]
async fn json_with_fields_is_these_fields_in_this_order() {
    let desk = Desk::with_queue().await;
    let enqueue = r#"SELECT howdah.enqueue('mail', '{"n": 12345678901234567890123.50}')"#;
    sqlx::query(enqueue).execute(desk.howdah().await.pool()).await.unwrap();
    let list = desk.ok(&["jobs", "ls", "--json=kind,state"]).await;
    assert_eq!(list.trim(), r#"[{"kind": "mail", "state": "ready"}]"#);
    let id = desk.ok(&["jobs", "ls"]).await.split('\t').next().unwrap().to_owned();
    let shown = desk.ok(&["jobs", "show", &id, "--json=payload,kind"]).await;
    assert_eq!(shown.trim(), r#"{"payload": {"n": 12345678901234567890123.50}, "kind": "mail"}"#);
    let shown = desk.ok(&["queues", "show", "default", "--json=settings,ready"]).await;
    assert!(shown.starts_with(r#"{"settings": {"#) && shown.trim().ends_with(r#""ready": 1}"#), "{shown}");
    let unknown = desk.run(&["jobs", "ls", "--json=kind,colour"]).await;
    assert!(
        unknown.code == 2 && unknown.err.contains("\"colour\"") && unknown.err.contains("claimed_at"),
        "{unknown:?}"
    );
    // Nothing is done of which the answer could not be printed.
    let refused = desk.run(&["enqueue", "mail", "--json=idd"]).await;
    assert!(refused.code == 2 && refused.err.contains("`howdah enqueue` does something"), "{refused:?}");
    assert_eq!(desk.ok(&["jobs", "ls"]).await.lines().count(), 1);
}

#[tokio::test]
async fn a_job_is_shown_with_its_progress_and_on_request_its_logs() {
    let desk = Desk::with_queue().await;
    let id = desk.ok(&["enqueue", "mail"]).await.trim().to_owned();
    let howdah = desk.howdah().await;
    let claim = "WITH w AS (SELECT howdah.start_worker('w') AS id), c AS (SELECT c.* FROM w, howdah.claim(w.id) c) SELECT lease_id FROM c";
    let lease: i64 = sqlx::query_scalar(claim).fetch_one(howdah.pool()).await.unwrap();
    let said = format!(
        "SELECT howdah.report_progress({lease}, {id}, 40, 'row 4', '{{\"row\": 4}}');
         SELECT howdah.write_logs('{{{id}}}', '{{1}}', ARRAY['[{{\"level\": \"INFO\", \"message\": \"it\\tgoes\"}}]'::jsonb])"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(said)).execute(howdah.pool()).await.unwrap();
    let shown = desk.ok(&["jobs", "show", &id, "--logs"]).await;
    for line in ["percent\t40", "progress\trow 4", "checkpoint\t{\"row\":4}"] {
        assert!(shown.lines().any(|l| l == line), "{line:?} is not in {shown}");
    }
    assert!(shown.lines().any(|l| l.starts_with("1\t") && l.ends_with("\tINFO\t\tit\\tgoes")), "{shown}");
    let job = desk.run(&["jobs", "show", &id, "--logs", "--json"]).await.json();
    assert_eq!((&job["logs"][0]["message"], &job["checkpoint"]["row"]), (&Value::from("it\tgoes"), &Value::from(4)));
    assert_eq!(desk.job(&id).await["logs"], Value::Null);
}

#[tokio::test]
async fn a_pipe_gets_a_line_for_each_row_whatever_a_text_contains() {
    let desk = Desk::with_queue().await;
    desk.ok(&["queues", "pause", "default", "--reason", "a\tb\nc\u{1b}[31m"]).await;
    let out = desk.ok(&["queues", "ls"]).await;
    assert_eq!(out.lines().count(), 1, "{out:?}");
    assert_eq!(out.trim_end_matches('\n').split('\t').count(), 11, "{out:?}");
    assert!(out.contains("a\\tb\\nc\\u{1b}[31m"), "{out:?}");
}

#[tokio::test]
async fn what_no_program_can_hold_is_shown_as_it_was_written() {
    let desk = Desk::with_queue().await;
    let howdah = desk.howdah().await;
    let deep = format!("{}7{}", "[".repeat(200), "]".repeat(200));
    let large = "1".repeat(400);
    let odd = format!(r#"{{"large": {large}, "deep": {deep}}}"#);
    let id = desk.ok(&["enqueue", "letter"]).await.trim().to_owned();
    let run = async |statement: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(howdah.pool()).await.unwrap();
    };
    run(format!(
        "SELECT howdah.enqueue('mail', '{odd}');
         SELECT howdah.send_signal('paid', '{odd}');
         SELECT howdah.set_schedule('nightly', '{{\"expression\": \"0 3 * * *\", \"kind\": \"k\", \"payload\": {odd}}}')"
    ))
    .await;
    let claim = "SELECT howdah.claim(howdah.start_worker('w'), kinds => '{letter}')";
    run(claim.to_owned()).await;
    let lease = "(SELECT max(id) FROM howdah.lease)";
    run(format!(
        "SELECT howdah.keep_step({lease}, {id}, 'a', '1'), howdah.keep_step({lease}, {id}, 'b', '{odd}');
         SELECT howdah.report_progress({lease}, {id}, 40, 'half', '{odd}')"
    ))
    .await;
    let mail = desk.ok(&["jobs", "ls", "--kind", "mail"]).await.split('\t').next().unwrap().to_owned();
    for (command, has) in [
        (&["jobs", "show", &mail][..], &large),
        (&["jobs", "show", &id], &large),
        (&["cron", "show", "nightly"], &large),
        (&["cron", "ls"], &"nightly".to_owned()),
        (&["signals"], &"paid".to_owned()),
    ] {
        assert!(desk.ok(command).await.contains(has), "{command:?}");
        let json = desk.ok(&[command, &["--json"]].concat()).await;
        assert!(json.contains(&large) && json.contains(&deep), "{command:?}: {json}");
    }
    let shown = desk.ok(&["jobs", "show", &id]).await;
    assert!(shown.contains("a\tstep\tdone\t1\t") && shown.contains("percent\t40\n"), "{shown}");
    run(format!("SELECT howdah.complete({lease}, result_jobs => '{{{id}}}', results => ARRAY['{odd}'::jsonb])")).await;
    for json in [&[][..], &["--json"]] {
        let waited = desk.ok(&[&["jobs", "wait", &id], json].concat()).await;
        assert!(waited.contains(&large) && waited.contains(&deep), "{waited}");
    }
}

#[tokio::test]
async fn a_reader_that_has_had_enough_is_no_failure() {
    let mut child = program(&["migrate", "sql"]).spawn().unwrap();
    let mut some = [0; 10];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut some).await.unwrap();
    drop(out);
    let said = child.wait_with_output().await.unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
}
