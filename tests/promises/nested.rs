//! Jobs that wait for whole workflows, and workflows that a handler starts and waits for.

use anyhow::Result;
use howdah::{Ctx, Error, Graph, Job, JobError, JobId, OnParentFailure, Worker, WorkflowId};
use howdah_tests::{Db, Session, start};
use serde::{Deserialize, Serialize};

fn two() -> Graph {
    Graph::new().job_raw("a", "k", &1).job_raw("b", "k", &2)
}

/// Enqueues a job that waits for a workflow.
async fn after(db: &Db, workflow: WorkflowId, then: OnParentFailure) -> Result<JobId> {
    Ok(db.howdah.enqueue_raw("late", &0).after_workflow(workflow).on_parent_failure(then).await?)
}

/// Ends one job of a workflow, as a worker would.
async fn end(session: &mut Session, worker: i64, workflow: WorkflowId, name: &str, verdict: &str) -> Result<()> {
    let job = format!("(SELECT job_id FROM howdah.workflow_job WHERE name = '{name}' AND workflow_id = {workflow})");
    session.run(&format!("SELECT count(*) FROM howdah.claim({worker}, jobs => 100)")).await?;
    let how = match verdict {
        "complete" => format!("howdah.complete(id, ARRAY[{job}])"),
        verdict => format!("howdah.fail(id, ARRAY[{job}], '{{{verdict}}}')"),
    };
    session.run(&format!("SELECT {how} FROM howdah.lease; SELECT howdah.release(id) FROM howdah.lease")).await
}

async fn keeper_looks(session: &mut Session) -> Result<()> {
    session.run("UPDATE howdah.second_look SET look_at = '-infinity'; SELECT howdah.look_again()").await
}

async fn state(session: &mut Session, job: JobId) -> Result<String> {
    session.text(&format!("SELECT howdah.state({job})")).await
}

#[tokio::test]
async fn a_job_after_a_workflow_starts_when_all_of_it_has_completed() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let id = db.howdah.workflow("import", two().on_complete(howdah_tests::Held {})).await?;
    let late = after(&db, id, OnParentFailure::Cancel).await?;
    let why = session.text(&format!("SELECT reason FROM howdah.why({late})")).await?;
    assert_eq!(why, format!("it waits for workflow {id} (import), which is blocked"));
    end(&mut session, worker, id, "a", "complete").await?;
    // One that is added meanwhile is waited for too.
    db.howdah.add_to_workflow(id, Graph::new().job_raw("c", "k", &3)).await?;
    for name in ["b", "c"] {
        end(&mut session, worker, id, name, "complete").await?;
        assert_eq!(state(&mut session, late).await?, "blocked", "{name}");
    }
    end(&mut session, worker, id, "on_complete", "complete").await?;
    assert_eq!(state(&mut session, late).await?, "ready", "with its callback, and without the keeper");
    let name = format!("SELECT name || state FROM howdah.parent_results({late})");
    assert_eq!(session.text(&name).await?, "importcompleted");
    // It takes no more then, and whoever comes later does not wait.
    let more = db.howdah.add_to_workflow(id, Graph::new().job_raw("d", "k", &4)).await;
    assert!(matches!(more, Err(Error::WrongState { .. })), "{more:?}");
    let later = after(&db, id, OnParentFailure::Cancel).await?;
    assert_eq!(state(&mut session, later).await?, "ready");
    assert_eq!(session.number("SELECT count(*) FROM howdah.dependency").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_workflow_of_which_something_failed_has_failed_when_all_of_it_has_ended() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let id = db.howdah.workflow("import", two()).with_end().await?;
    let mut late = Vec::new();
    for then in [OnParentFailure::Cancel, OnParentFailure::Run, OnParentFailure::Hold] {
        late.push(after(&db, id, then).await?);
    }
    end(&mut session, worker, id, "a", "discard").await?;
    keeper_looks(&mut session).await?;
    for job in &late {
        assert_eq!(state(&mut session, *job).await?, "blocked", "until all have ended");
    }
    // What failed may be history by then.
    session.run("SELECT howdah.delete(job_id) FROM howdah.dead").await?;
    end(&mut session, worker, id, "b", "complete").await?;
    keeper_looks(&mut session).await?;
    for (job, wanted) in late.iter().zip(["cancelled", "ready", "blocked"]) {
        assert_eq!(state(&mut session, *job).await?, wanted);
    }
    let why = session.text(&format!("SELECT reason FROM howdah.why({}) LIMIT 1", late[2])).await?;
    assert!(why.starts_with(&format!("workflow {id} (import), which it waits for, is cancelled: ")), "{why}");
    assert!(why.contains(&format!("howdah.retry_workflow({id})")), "{why}");
    Ok(())
}

#[tokio::test]
async fn what_is_held_by_a_workflow_goes_on_when_that_was_run_again_and_completes() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let id = db.howdah.workflow("import", two().on_end(howdah_tests::Held {})).await?;
    let late = after(&db, id, OnParentFailure::Hold).await?;
    // While it runs: the callback and the end wait for what is run again.
    end(&mut session, worker, id, "a", "discard").await?;
    assert_eq!(db.howdah.retry_workflow(id).await?, 1);
    end(&mut session, worker, id, "b", "complete").await?;
    let callback = "SELECT state FROM howdah.jobs WHERE id = (SELECT job_id FROM howdah.workflow_job WHERE callback)";
    assert_eq!(session.text(callback).await?, "blocked", "a runs again");
    end(&mut session, worker, id, "a", "discard").await?;
    end(&mut session, worker, id, "on_end", "complete").await?;
    keeper_looks(&mut session).await?;
    assert_eq!(state(&mut session, late).await?, "blocked", "it has failed");
    assert_eq!(db.howdah.retry_workflow(id).await?, 1, "the end is no job of it");
    end(&mut session, worker, id, "a", "complete").await?;
    assert_eq!(state(&mut session, late).await?, "ready");
    assert_eq!(session.number("SELECT count(*) FROM howdah.failed_parent").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_dead_job_that_is_sent_again_is_waited_for_again_by_the_end_of_its_workflow() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let id = db.howdah.workflow("import", two().on_end(howdah_tests::Held {})).await?;
    let late = after(&db, id, OnParentFailure::Cancel).await?;
    end(&mut session, worker, id, "a", "discard").await?;
    session.run("SELECT howdah.retry(job_id) FROM howdah.dead").await?;
    end(&mut session, worker, id, "b", "complete").await?;
    let callback = "SELECT state FROM howdah.jobs WHERE id = (SELECT job_id FROM howdah.workflow_job WHERE callback)";
    assert_eq!(session.text(callback).await?, "blocked");
    for name in ["a", "on_end"] {
        end(&mut session, worker, id, name, "complete").await?;
    }
    assert_eq!(state(&mut session, late).await?, "ready");
    Ok(())
}

#[tokio::test]
async fn a_cancelled_workflow_ends_when_what_runs_of_it_has_ended() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let id = db.howdah.workflow("import", two()).await?;
    let late = after(&db, id, OnParentFailure::Run).await?;
    session.run(&format!("SELECT count(*) FROM howdah.claim({worker}, jobs => 1)")).await?;
    let cancelled = db.howdah.cancel_workflow(id).await?;
    assert_eq!((cancelled.done, cancelled.asked), (1, 1));
    keeper_looks(&mut session).await?;
    assert_eq!(state(&mut session, late).await?, "blocked", "one of it runs");
    session.run("SELECT howdah.fail(l.id, l.first_ids, '{cancel}') FROM howdah.lease l").await?;
    keeper_looks(&mut session).await?;
    assert_eq!(state(&mut session, late).await?, "ready");
    assert_eq!(
        session.text("SELECT payload ->> 'state' FROM howdah.signal WHERE name = 'workflow ' || 1").await?,
        "cancelled"
    );
    Ok(())
}

#[tokio::test]
async fn nodes_wait_for_other_workflows_and_a_chain_of_them_fails_as_far_as_it_goes() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let first = db.howdah.workflow("w", two()).await?;
    let mut last = first;
    for _ in 0..30 {
        last = db.howdah.workflow("w", Graph::new().group("g", two()).after([last])).await?;
    }
    assert_eq!(db.jobs_in("blocked").await?, 30 * 3);
    db.howdah.cancel_workflow(first).await?;
    for _ in 0..31 {
        keeper_looks(&mut session).await?;
    }
    assert_eq!(db.text(&format!("SELECT state FROM howdah.workflows WHERE id = {last}")).await?, "cancelled");
    assert_eq!(session.number("SELECT count(*) FROM howdah.dependency").await?, 0);
    assert_eq!(session.number("SELECT count(*) FROM howdah.second_look").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_would_wait_for_itself_over_workflows_is_refused_and_leaves_nothing() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let one = db.howdah.workflow("one", two().on_end(howdah_tests::Held {})).await?;
    let two = db.howdah.workflow("two", Graph::new().job_raw("a", "k", &1).after([one])).with_end().await?;
    let before = db.content().await?;
    let waits = |parent: &str| format!(r#"[{{"name": "c", "kind": "k", "depends_on": [{parent}]}}]"#);
    let callback = session.text("SELECT job_id FROM howdah.workflow_job WHERE callback").await?;
    let itself = db.howdah.workflow_end(one).await?;
    for parent in
        [format!(r#"{{"workflow": {two}}}"#), format!(r#"{{"workflow": {one}}}"#), callback, itself.to_string()]
    {
        let add = format!("SELECT howdah.add_to_workflow({one}, '{}')", waits(&parent));
        assert_eq!(session.refusal(&add).await?, "HD002 depends_on", "{parent}");
    }
    let member = "SELECT min(job_id) FROM howdah.workflow_job";
    let (member, end) = (session.number(member).await?, db.howdah.workflow_end(two).await?);
    let circle = db.howdah.add_dependency(JobId(member), end).await;
    assert!(matches!(circle, Err(Error::Invalid { .. })), "{circle:?}");
    for options in [
        r#"{"depends_on": [{"workflow": 0}]}"#,
        r#"{"depends_on": [{"workflow": 1.5}]}"#,
        r#"{"depends_on": [{"workflow": "1"}]}"#,
        r#"{"depends_on": [{"workflow": 1, "job": 128}]}"#,
        r#"{"depends_on": [{"workflows": 1}]}"#,
        r#"{"depends_on": [[1]]}"#,
    ] {
        let enqueue = format!("SELECT howdah.enqueue('k', options => '{options}')");
        assert_eq!(session.refusal(&enqueue).await?, "HD002 depends_on", "{options}");
    }
    let unknown = r#"SELECT howdah.enqueue('k', options => '{"depends_on": [{"workflow": 77}]}')"#;
    assert_eq!(session.refusal(unknown).await?, "HD002 workflow_id");
    let wrong = format!("SELECT howdah.enqueue_workflow('w', '{}')", waits(r#"{"workflow": "x"}"#));
    assert_eq!(session.refusal(&wrong).await?, "HD002 jobs");
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_workflow_whose_beginning_is_forgotten_is_refused_unless_its_end_was_asked_for() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for (with_end, wanted) in [(false, None), (true, Some("blocked"))] {
        let graph = db.howdah.workflow("w", two());
        let id = if with_end { graph.with_end().await? } else { graph.await? };
        end(&mut session, worker, id, "a", "complete").await?;
        session.run("SELECT howdah.purge('completed', '0')").await?;
        match (db.howdah.enqueue_raw("late", &0).after_workflow(id).await, wanted) {
            (Ok(job), Some(wanted)) => assert_eq!(state(&mut session, job).await?, wanted),
            (Err(Error::Invalid { field, .. }), None) => assert_eq!(field, "depends_on"),
            (said, _) => panic!("with an end: {with_end}: {said:?}"),
        }
        end(&mut session, worker, id, "b", "complete").await?;
    }
    assert_eq!(db.text("SELECT state FROM howdah.jobs WHERE kind = 'late'").await?, "ready");
    // They are forgotten with their notes.
    let id = db.howdah.workflow("w", two()).with_end().await?;
    end(&mut session, worker, id, "a", "cancel").await?;
    db.howdah.cancel_workflow(id).await?;
    session.run("SELECT howdah.purge(s, '0') FROM unnest('{completed,cancelled}'::text[]) s").await?;
    db.travel("3 days").await?;
    session.run("SELECT howdah.prune_workflows()").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.failed_parent").await?, 0);
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
struct Outer {
    fails: bool,
}
#[derive(Job, Serialize, Deserialize)]
struct Inner {
    fails: bool,
}
#[derive(Job, Serialize, Deserialize)]
struct Last {}

async fn outer(job: Outer, cx: Ctx<()>) -> Result<(), JobError> {
    let graph = Graph::new()
        .job("x", Inner { fails: false })
        .job("y", Inner { fails: job.fails })
        .after(["x"])
        .group("g", Graph::new().job("z", Inner { fails: false }))
        .after(["y"]);
    cx.run_workflow("inner", graph).await?.completed()?;
    Ok(())
}

async fn inner(job: Inner) -> Result<(), JobError> {
    if job.fails { Err(JobError::discard("on purpose")) } else { Ok(()) }
}

async fn last(_: Last) -> Result<(), JobError> {
    Ok(())
}

#[tokio::test]
async fn a_nested_workflow_runs_once_and_its_job_and_what_comes_after_wait_for_it() -> Result<()> {
    let db = Db::new().await?;
    let workers = || start(Worker::new(&db.howdah).handle(outer).handle(inner).handle(last).queue("default", 2));
    let (one, two) = (workers(), workers());
    let graph = |fails| Graph::new().job("outer", Outer { fails }).job("last", Last {}).after(["outer"]);
    for (fails, wanted) in [(false, "completed"), (true, "failed")] {
        let id = db.howdah.workflow("w", graph(fails)).await?;
        db.wait_for(&format!("SELECT state FROM howdah.workflows WHERE id = {id}"), wanted).await?;
        let inner = format!("SELECT state FROM howdah.workflows WHERE id = {id} + 1");
        assert_eq!(db.text(&inner).await?, wanted, "no other one was made");
        // It lasted for as long as the inner one, and the last one came after that.
        let order = "SELECT bool_and(o.ended_at >= i.ended_at) FROM howdah.jobs i, howdah.jobs o
                      WHERE i.kind = 'inner' AND o.kind IN ('outer', 'last')";
        assert!(fails || db.text(order).await? == "true");
    }
    let said = db.text("SELECT reason FROM howdah.jobs WHERE kind = 'outer' AND state = 'dead'").await?;
    assert!(said.contains("the workflow 4 (inner) has not completed: it is failed"), "{said}");
    assert_eq!(db.number("SELECT count(*) FROM howdah.workflow").await?, 4);
    for worker in [one, two] {
        worker.stop().await?;
    }
    Ok(())
}
