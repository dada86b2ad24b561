//! Workflows: named graphs of jobs that are enqueued, added to, cancelled, run again, and forgotten, as a whole.

use std::process::{Child, Command, Stdio};

use anyhow::Result;
use howdah::{Ctx, Error, Graph, Howdah, Job, JobError, JobState, OnParentFailure, Worker, WorkflowId};
use howdah_tests::{Db, HELD_TABLES, Held, Session, start};
use serde::{Deserialize, Serialize};

use crate::plans::cost;

#[derive(Job, Serialize, Deserialize)]
#[job(output = i64, queue = "numbers")]
struct Number {
    n: i64,
}

/// Adds up what its parents returned.
#[derive(Job, Serialize, Deserialize)]
#[job(output = i64)]
struct Sum {}

async fn number(job: Number) -> Result<i64, JobError> {
    Ok(job.n)
}

async fn sum(_: Sum, cx: Ctx<()>) -> Result<i64, JobError> {
    let mut sum = 0;
    for parent in cx.parents().await? {
        assert_eq!(parent.state, Some(JobState::Completed));
        sum += parent.output::<i64>()?;
    }
    Ok(sum)
}

fn held() -> Held {
    Held {}
}

/// `name=state` for each job, in the order of the names.
async fn states(howdah: &Howdah, id: WorkflowId) -> Result<String> {
    let mut jobs: Vec<_> = howdah
        .workflow_jobs(id)
        .await?
        .into_iter()
        .map(|job| format!("{}={}", job.name, job.state.map_or("?", JobState::as_str)))
        .collect();
    jobs.sort();
    Ok(jobs.join(" "))
}

/// Ends one job by its name, as a worker would.
async fn end(session: &mut Session, worker: i64, name: &str, how: &str) -> Result<()> {
    let job = format!("(SELECT max(job_id) FROM howdah.workflow_job WHERE name = '{name}')");
    let how = how.replace("LEASE", "id").replace("JOB", &job);
    session.run(&format!("SELECT count(*) FROM howdah.claim({worker}, jobs => 100)")).await?;
    session.run(&format!("SELECT howdah.{how} FROM howdah.lease")).await?;
    session.run("SELECT howdah.release(id) FROM howdah.lease").await
}

const COMPLETE: &str = "complete(LEASE, ARRAY[JOB])";
const DISCARD: &str = "fail(LEASE, ARRAY[JOB], '{discard}')";

#[tokio::test]
async fn results_of_parents_are_given_to_children_over_queues() -> Result<()> {
    let db = Db::new().await?;
    let mut graph = Graph::new().job("all", Sum {}).after((0..20).map(|n| format!("n{n}")));
    for n in 0..20 {
        graph = graph.job(format!("n{n}"), Number { n });
    }
    let id = db.howdah.workflow("sum", graph.job("twice", Sum {}).after(["all", "n19"])).await?;
    let worker = start(Worker::new(&db.howdah).handle(number).handle(sum));
    db.wait_for("SELECT state FROM howdah.workflows", "completed").await?;
    worker.stop().await?;
    let result = "SELECT result FROM howdah.jobs JOIN howdah.workflow_job w ON w.job_id = id WHERE w.name = 'twice'";
    assert_eq!(db.number(result).await?, 190 + 19);
    let jobs = db.howdah.workflow_jobs(id).await?;
    let last = jobs.iter().find(|job| job.name == "twice").map(|job| job.depends_on.clone());
    assert_eq!(last, Some(vec!["all".to_owned(), "n19".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name_and_leaves_nothing() -> Result<()> {
    let db = Db::new().await?;
    let before = db.content().await?;
    let circle = Graph::new().job("a", held()).after(["c"]).job("b", held()).after(["a"]).job("c", held()).after(["b"]);
    for (graph, why) in [
        (circle, "a -> c -> b -> a"),
        (Graph::new().job("a", held()).after(["a"]), "a -> a"),
        (Graph::new().group("g", Graph::new().job("a", held()).after(["g"])), "g/a -> g/a"),
        (Graph::new().job("a", held()).after(["z"]), "a waits for \"z\""),
        (Graph::new().job("a", held()).job("a", held()), "two of this name"),
        (Graph::new().job("a/b", held()), "without /"),
        (Graph::new(), "1 to 10000 nodes"),
        (Graph::new().group("g", Graph::new()), "without a job"),
        (Graph::new().after(["a"]), "no node yet"),
        (Graph::new().job("a", held()).after([howdah::JobId(12_800)]), "job 12800"),
        (Graph::new().job("a", held()).priority(10), "priority"),
    ] {
        let error = db.howdah.workflow("w", graph).await.expect_err(why);
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(why), "{why}: {error}");
    }
    let mut session = db.session().await?;
    for (jobs, refusal) in [
        (r#"[{"name": "a", "kind": "k", "depend_on": ["b"]}]"#, "HD002 jobs"),
        (r#"[{"name": "a", "kind": "k", "depends_on": [true]}]"#, "HD002 jobs"),
        (r#"[{"name": "a", "kind": "k", "max_attempts": 1.5}]"#, "HD002 jobs"),
        (r#"[{"name": "a", "kind": "k", "options": {"id": 128}}]"#, "HD002 jobs"),
        (r#"[{"name": "a", "kind": "k", "options": {"colour": 1}}]"#, "HD002 options"),
        (r#"[{"name": "a", "kind": "k", "delay_ms": -1}]"#, "HD002 delay_ms"),
        (r#"[{"name": "a", "kind": "k", "queue": "nope"}]"#, "HD001 queue"),
        (r#"[{"name": "a"}]"#, "HD002 kind"),
        ("[1]", "HD002 jobs"),
        ("{}", "HD002 jobs"),
    ] {
        assert_eq!(
            session.refusal(&format!("SELECT howdah.enqueue_workflow('w', '{jobs}')")).await?,
            refusal,
            "{jobs}"
        );
    }
    for unknown in ["cancel_workflow(1)", "retry_workflow(1)", "add_to_workflow(1, '[]')"] {
        assert_eq!(session.refusal(&format!("SELECT howdah.{unknown}")).await?, "HD002 workflow_id");
    }
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn callbacks_run_when_all_have_completed_and_when_all_have_ended() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let batch = || Graph::new().job("a", held()).job("b", held()).on_complete(held()).on_end(held());
    let id = db.howdah.workflow("well", batch()).await?;
    end(&mut session, worker, "a", COMPLETE).await?;
    assert_eq!(states(&db.howdah, id).await?, "a=completed b=ready on_complete=blocked on_end=blocked");
    end(&mut session, worker, "b", COMPLETE).await?;
    assert_eq!(states(&db.howdah, id).await?, "a=completed b=completed on_complete=ready on_end=ready");
    db.howdah.cancel_workflow(id).await?;
    let id = db.howdah.workflow("ill", batch()).await?;
    end(&mut session, worker, "a", DISCARD).await?;
    assert_eq!(states(&db.howdah, id).await?, "a=dead b=ready on_complete=cancelled on_end=blocked");
    end(&mut session, worker, "b", COMPLETE).await?;
    assert_eq!(states(&db.howdah, id).await?, "a=dead b=completed on_complete=cancelled on_end=ready");
    end(&mut session, worker, "on_end", COMPLETE).await?;
    assert_eq!(db.text(&format!("SELECT state FROM howdah.workflows WHERE id = {id}")).await?, "failed");
    Ok(())
}

#[tokio::test]
async fn a_workflow_is_added_to_while_it_runs_and_its_callbacks_wait_for_the_new_ones() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let id = db.howdah.workflow("w", Graph::new().job("a", held()).on_end(held())).await?;
    // The last job ends while somebody adds another in a transaction that is open: the callback is not let go.
    let mut tx = db.pool().begin().await?;
    db.howdah.add_to_workflow(id, Graph::new().job("b", held()).after(["a"])).on(&mut tx).await?;
    end(&mut session, worker, "a", COMPLETE).await?;
    tx.commit().await?;
    for _ in 0..3 {
        session.run("UPDATE howdah.second_look SET look_at = '-infinity'; SELECT howdah.look_again()").await?;
    }
    assert_eq!(states(&db.howdah, id).await?, "a=completed b=ready on_end=blocked");
    end(&mut session, worker, "b", COMPLETE).await?;
    assert_eq!(states(&db.howdah, id).await?, "a=completed b=completed on_end=ready");
    let late = db.howdah.add_to_workflow(id, Graph::new().job("c", held())).await;
    assert!(matches!(late, Err(Error::WrongState { .. })), "{late:?}");
    Ok(())
}

#[tokio::test]
async fn a_group_is_waited_for_as_a_whole_and_waits_as_a_whole() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let inner = Graph::new().job("x", held()).job("y", held()).after(["x"]);
    let graph = Graph::new()
        .job("last", held())
        .after(["g"])
        .group("g", inner)
        .after(["first"])
        .on_parent_failure(OnParentFailure::Run)
        .job("first", held());
    let id = db.howdah.workflow("nested", graph).await?;
    assert_eq!(states(&db.howdah, id).await?, "first=ready g/x=blocked g/y=blocked last=blocked");
    end(&mut session, worker, "first", DISCARD).await?;
    assert_eq!(states(&db.howdah, id).await?, "first=dead g/x=ready g/y=blocked last=blocked");
    end(&mut session, worker, "g/x", COMPLETE).await?;
    assert_eq!(states(&db.howdah, id).await?, "first=dead g/x=completed g/y=ready last=blocked");
    end(&mut session, worker, "g/y", COMPLETE).await?;
    assert_eq!(states(&db.howdah, id).await?, "first=dead g/x=completed g/y=completed last=ready");
    Ok(())
}

#[tokio::test]
async fn a_workflow_runs_again_from_what_failed_and_keeps_what_has_completed() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let graph = Graph::new()
        .job("a", held())
        .job("b", held())
        .after(["a"])
        .job("c", held())
        .after(["b"])
        .job("d", held())
        .after(["a", "c"])
        .job("e", held());
    let id = db.howdah.workflow("w", graph).await?;
    end(&mut session, worker, "a", COMPLETE).await?;
    end(&mut session, worker, "b", DISCARD).await?;
    assert_eq!(states(&db.howdah, id).await?, "a=completed b=dead c=cancelled d=cancelled e=ready");
    assert_eq!(db.howdah.retry_workflow(id).await?, 3);
    assert_eq!(states(&db.howdah, id).await?, "a=completed b=ready c=blocked d=blocked e=ready");
    assert_eq!(
        db.number("SELECT count(*) FROM (SELECT id FROM howdah.jobs GROUP BY id HAVING count(*) > 1) x").await?,
        0
    );
    end(&mut session, worker, "b", COMPLETE).await?;
    let cancelled = db.howdah.cancel_workflow(id).await?;
    assert_eq!((cancelled.done, cancelled.asked), (3, 0));
    assert_eq!(states(&db.howdah, id).await?, "a=completed b=completed c=cancelled d=cancelled e=cancelled");
    let closed = db.howdah.add_to_workflow(id, Graph::new().job("f", held())).await;
    assert!(matches!(closed, Err(Error::WrongState { .. })), "{closed:?}");
    assert_eq!(db.howdah.retry_workflow(id).await?, 3);
    for name in ["c", "d", "e"] {
        end(&mut session, worker, name, COMPLETE).await?;
    }
    assert_eq!(db.text("SELECT state FROM howdah.workflows").await?, "completed");
    assert_eq!(db.howdah.retry_workflow(id).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_workflow_is_forgotten_when_nothing_is_left_of_its_jobs() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let id = db.howdah.workflow("w", Graph::new().job("a", held()).job("b", held()).after(["a"])).await?;
    db.travel("2 days").await?;
    session.run("SELECT howdah.prune_workflows()").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.workflow").await?, 1, "its jobs wait");
    db.howdah.cancel_workflow(id).await?;
    session.run("SELECT howdah.purge('cancelled', '0')").await?;
    db.travel("3 days").await?;
    session.run("SELECT howdah.prune_workflows()").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.workflow, howdah.workflow_job").await?, 0);
    Ok(())
}

/// A layered graph of so many nodes, each of which waits for three of the layer before.
fn layers(nodes: usize) -> String {
    let node = |n: usize| {
        let parents = (0..3).filter_map(|k| (n / 50).checked_sub(1).map(|layer| layer * 50 + (n + k) % 50));
        let parents: Vec<_> = parents.map(|p| format!("\"n{p}\"")).collect();
        format!(r#"{{"name": "n{n}", "kind": "k", "depends_on": [{}]}}"#, parents.join(","))
    };
    format!("[{}]", (0..nodes).rev().map(node).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn a_node_of_four_thousand_costs_what_one_of_a_thousand_costs() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let mut costs = Vec::new();
    for nodes in [200, 1000, 4000] {
        let enqueue = format!("SELECT howdah.enqueue_workflow('w', '{}')", layers(nodes));
        let enqueued = cost(&mut session, &enqueue).await?;
        let cancel = "SELECT howdah.cancel_many(ids => ARRAY(SELECT first_id + g FROM howdah.ticket, generate_series(0, jobs - 1) g))";
        let cancelled = cost(&mut session, cancel).await?;
        assert_eq!(db.text("SELECT state FROM howdah.workflows ORDER BY id DESC LIMIT 1").await?, "cancelled");
        costs.push((enqueued.pages, enqueued.wal, cancelled.pages, cancelled.wal));
    }
    let (few, many) = (costs[1], costs[2]);
    // Four times as many; were it quadratic, sixteen times as much.
    for (few, many) in [(few.0, many.0), (few.1, many.1), (few.2, many.2), (few.3, many.3)] {
        assert!(many < few * 10, "pages and bytes to enqueue and to cancel: {costs:?}");
    }
    Ok(())
}

struct Process(Child);

impl Process {
    fn start(url: &str) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker-process"));
        Ok(Self(command.args([url, "20000", "300"]).stdin(Stdio::null()).spawn()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_order_holds_while_worker_processes_are_killed() -> Result<()> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    let mut graph = Graph::new();
    for n in 0..12 {
        graph = graph.job(format!("n{n}"), held());
        if n >= 3 {
            graph = graph.after([format!("n{}", n - 3), format!("n{}", n / 3 * 3 - 1)]);
        }
    }
    db.howdah.workflow("w", graph).await?;
    // Held jobs are killed in the middle, and those that come after them go through.
    let process = Process::start(db.url())?;
    db.wait_for("SELECT count(*) FROM seen", "3").await?;
    drop(process);
    let other = Process::start(db.url())?;
    db.wait_for("SELECT count(*) FROM seen WHERE attempt = 2", "3").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE state = 'blocked'").await?, 9);
    db.run("INSERT INTO go VALUES (1)").await?;
    drop(other);
    let last = Process::start(db.url())?;
    db.wait_for("SELECT state FROM howdah.workflows", "completed").await?;
    drop(last);
    // Nothing started before all that it waits for had ended.
    let early = "SELECT count(*) FROM howdah.job c, jsonb_array_elements_text(c.options -> 'depends_on') p
                   JOIN howdah.jobs j ON j.id = p::bigint, seen s WHERE s.job = c.id AND s.what = 'started' AND s.at < j.ended_at";
    assert_eq!(db.number(early).await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_workflow_that_somebody_reschedules_ends_with_it_all_the_same() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let flow = db.number(r#"SELECT howdah.enqueue_workflow('w', '[{"name": "a", "kind": "a"}]')"#).await?;
    let end = db.number(&format!("SELECT howdah.workflow_end({flow})")).await?;
    db.run(&format!("SELECT howdah.reschedule({end}, delay => '1 hour')")).await?;
    db.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
    assert_eq!(
        db.text(&format!("SELECT string_agg(state, ' ') FROM howdah.jobs WHERE id = {end}")).await?,
        "completed"
    );
    assert_eq!(db.number("SELECT count(*) FROM howdah.deferred").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_still_runs_of_a_cancelled_workflow_that_runs_again_goes_on() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let graph = r#"[{"name": "a", "kind": "a"}, {"name": "b", "kind": "b", "depends_on": ["a"]}]"#;
    let flow = db.number(&format!("SELECT howdah.enqueue_workflow('w', '{graph}')")).await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    db.run(&format!("SELECT howdah.cancel_workflow({flow}); SELECT howdah.retry_workflow({flow})")).await?;
    let job = db.number("SELECT id FROM howdah.jobs WHERE kind = 'a'").await?;
    assert_eq!(db.text(&format!("SELECT state FROM howdah.fail({lease}, '{{{job}}}')")).await?, "scheduled");
    assert_eq!(db.text("SELECT string_agg(state, ' ' ORDER BY kind) FROM howdah.jobs").await?, "scheduled blocked");
    Ok(())
}
