//! Jobs that wait for others, and workflows, as a person sees them.

use howdah::{Graph, Howdah};

use crate::support::Desk;

/// Ends the first job that is ready.
async fn end(howdah: &Howdah, how: &str) {
    let statement =
        format!("SELECT count(*) FROM (SELECT howdah.{how} FROM howdah.claim(howdah.start_worker('w'), jobs => 1)) x");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(howdah.pool()).await.unwrap();
}

#[tokio::test]
async fn a_job_is_enqueued_after_others() {
    let desk = Desk::with_queue().await;
    let (a, b) = (desk.ok(&["enqueue", "k"]).await, desk.ok(&["enqueue", "k"]).await);
    let both = format!("{},{}", a.trim(), b.trim());
    let id = desk.ok(&["enqueue", "k", "--after", &both, "--on-parent-failure", "run"]).await;
    let job = desk.job(&id).await;
    assert_eq!((&job["state"], &job["options"]["on_parent_failure"]), (&"blocked".into(), &"run".into()), "{job}");
    let id = desk.howdah().await.workflow("w", Graph::new().job_raw("a", "k", &1)).await.unwrap().to_string();
    let late =
        desk.ok(&["enqueue", "k", "--after-workflow", &id, "--after", a.trim(), "--on-parent-failure", "hold"]).await;
    let why = desk.ok(&["jobs", "why", late.trim()]).await;
    assert!(why.contains(&format!("it waits for workflow {id} (w), which is blocked")), "{why}");
    let unknown = desk.run(&["enqueue", "k", "--after-workflow", "77"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("no such workflow"), "{unknown:?}");
    let unknown = desk.run(&["enqueue", "k", "--after", "999999"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("--after") && unknown.err.contains("999999"), "{unknown:?}");
    for wrong in
        [&["--after", "x"][..], &["--after", "128", "--on-parent-failure", "explode"], &["--on-parent-failure", "run"]]
    {
        let said = desk.run(&[&["enqueue", "k"], wrong].concat()).await;
        assert_eq!(said.code, 2, "{said:?}");
    }
}

#[tokio::test]
async fn a_held_job_is_let_go() {
    let desk = Desk::with_queue().await;
    let parent = desk.ok(&["enqueue", "k"]).await;
    let child = desk.ok(&["enqueue", "k", "--after", parent.trim(), "--on-parent-failure", "hold"]).await;
    let early = desk.run(&["jobs", "unhold", child.trim()]).await;
    assert!(early.code == 1 && early.err.contains("is blocked: it is not held"), "{early:?}");
    end(&desk.howdah().await, "fail(lease_id, ARRAY[id], '{discard}')").await;
    let why = desk.ok(&["jobs", "why", child.trim()]).await;
    assert!(why.contains("howdah.unhold("), "{why}");
    assert_eq!(desk.ok(&["jobs", "unhold", child.trim()]).await, format!("{}\tready\n", child.trim()));
    assert_eq!(desk.run(&["jobs", "unhold", "999999"]).await.code, 1);
}

#[tokio::test]
async fn workflows_are_listed_shown_cancelled_and_run_again() {
    let desk = Desk::with_queue().await;
    assert_eq!(desk.ok(&["workflows", "ls"]).await, "");
    let howdah = desk.howdah().await;
    let graph = Graph::new().job_raw("fetch", "k", &1).job_raw("parse", "k", &2).after(["fetch"]);
    let id = howdah.workflow("import", graph).await.unwrap().to_string();
    let listed = desk.run(&["workflows", "ls", "--json"]).await.json();
    assert_eq!((&listed[0]["name"], &listed[0]["blocked"]), (&"import".into(), &1.into()), "{listed}");
    let shown = desk.ok(&["workflows", "show", &id]).await;
    assert!(shown.contains("\tparse\tk\tdefault\tblocked\tfetch\n") && shown.contains("state\trunning\n"), "{shown}");
    end(&howdah, "fail(lease_id, ARRAY[id], '{discard}')").await;
    let shown = desk.run(&["workflows", "show", &id, "--json"]).await.json();
    assert_eq!((&shown["state"], &shown["nodes"][1]["state"]), (&"failed".into(), &"cancelled".into()), "{shown}");
    assert_eq!(desk.ok(&["workflows", "retry", &id]).await, "2 retried\n");
    end(&howdah, "complete(lease_id)").await;
    assert_eq!(desk.ok(&["workflows", "cancel", &id]).await, "1 cancelled, 0 asked to end\n");
    for verb in ["show", "cancel", "retry"] {
        let said = desk.run(&["workflows", verb, "77"]).await;
        assert!(said.code == 1 && said.err.contains("no workflow 77"), "{said:?}");
    }
}
