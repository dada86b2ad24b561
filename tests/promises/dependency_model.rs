//! Random graphs with real workers, some of them killed, against a simple model: nothing starts before what it waits for has ended,
//! each runs once, and all end as the model says; so it is when they are cancelled, run again, or added to.
//!
//! The seed is printed, and taken from `HOWDAH_SEED` if that is set; `HOWDAH_GRAPHS` says how many graphs there are.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use howdah::{Graph, Howdah, JobId, JobState, OnParentFailure, Worker, WorkflowId};
use howdah_tests::{Db, Fate, GRAPH_TABLES, GraphJob, graph_job, start};

use crate::random_graph::{Node, Plan, Random, Role, Then, Way, after_retry, cancelled, healed, model};

/// A graph that was enqueued: the ids of its nodes, in their order.
struct Enqueued {
    workflow: Option<WorkflowId>,
    ids: Vec<JobId>,
}

fn job(graph: usize, node: usize, fate: Fate) -> GraphJob {
    let number = |n| i32::try_from(n).unwrap_or(-1);
    GraphJob { graph: number(graph), node: number(node), fate }
}

/// What one node is called by another: those in a group see their siblings by their short names.
fn name_of(nodes: &[Node], node: usize, seen_by: usize) -> String {
    match nodes[node].group {
        Some(group) if nodes[seen_by].group != Some(group) => format!("g{group}/{node}"),
        _ => node.to_string(),
    }
}

/// The nodes from `from` to `to` as a graph, in reverse: what a node waits for comes after it.
fn as_graph(graph: usize, nodes: &[Node], from: usize, to: usize) -> Graph {
    let (mut whole, mut inner) = (Graph::new(), Graph::new());
    let mut group = None;
    for n in (from..to).rev() {
        let node = &nodes[n];
        if node.role != Role::Job {
            continue;
        }
        let into = if node.group.is_some() { &mut inner } else { &mut whole };
        let mut graph = std::mem::take(into)
            .job(n.to_string(), job(graph, n, node.fate))
            .after(node.parents.iter().map(|p| name_of(nodes, *p, n)))
            .on_parent_failure(node.policy);
        if matches!(node.fate, Fate::BeCancelled | Fate::Wait) {
            graph = graph.delay(Duration::from_secs(3600));
        }
        *into = graph;
        group = group.or(node.group);
    }
    if let Some(group) = group {
        whole = whole.group(format!("g{group}"), inner);
    }
    for (n, node) in nodes.iter().enumerate() {
        match node.role {
            Role::OnComplete => whole = whole.on_complete(job(graph, n, node.fate)),
            Role::OnEnd => whole = whole.on_end(job(graph, n, node.fate)),
            _ => {}
        }
    }
    whole
}

async fn as_workflow(howdah: &Howdah, graph: usize, plan: &Plan) -> Result<Enqueued> {
    let nodes = &plan.nodes;
    let jobs = nodes.iter().filter(|node| node.role == Role::Job).count();
    let first = plan.added_from.unwrap_or(jobs);
    let enqueue = howdah.workflow(format!("graph {graph}"), as_graph(graph, nodes, 0, first));
    let id = if plan.with_end { enqueue.with_end().await? } else { enqueue.await? };
    let mut waiter = None;
    if let Some((n, node)) = nodes.iter().enumerate().find(|(_, node)| node.role == Role::Waiter) {
        let late = howdah.enqueue(job(graph, n, node.fate)).after_workflow(id).on_parent_failure(node.policy);
        waiter = Some(late.await?);
    }
    if first < jobs {
        howdah.add_to_workflow(id, as_graph(graph, nodes, first, jobs)).await?;
    }
    let named: HashMap<String, JobId> =
        howdah.workflow_jobs(id).await?.into_iter().map(|job| (job.name, job.job)).collect();
    let mut ids = Vec::new();
    for (n, node) in nodes.iter().enumerate() {
        ids.push(match (node.role, node.group) {
            (Role::Job, None) => named[&n.to_string()],
            (Role::Job, Some(group)) => named[&format!("g{group}/{n}")],
            (Role::OnComplete, _) => named["on_complete"],
            (Role::OnEnd, _) => named["on_end"],
            (Role::End, _) => howdah.workflow_end(id).await?,
            (Role::Waiter, _) => waiter.context("there is one")?,
        });
    }
    Ok(Enqueued { workflow: Some(id), ids })
}

/// One job after the other, while workers run: in one transaction, or each by itself.
async fn one_by_one(howdah: &Howdah, graph: usize, nodes: &[Node], together: bool) -> Result<Enqueued> {
    // Without one, no connection of the pool is held: all graphs are enqueued at the same time.
    let mut tx = if together { Some(howdah.pool().begin().await?) } else { None };
    let mut ids: Vec<JobId> = Vec::new();
    for (n, node) in nodes.iter().enumerate() {
        let mut one = howdah.enqueue(job(graph, n, node.fate)).on_parent_failure(node.policy);
        if !node.parents.is_empty() {
            one = one.after(node.parents.iter().map(|p| ids[*p]));
        }
        if node.fate == Fate::BeCancelled {
            one = one.delay(Duration::from_secs(3600));
        }
        ids.push(match &mut tx {
            Some(tx) => one.on(tx).await?,
            None => one.await?,
        });
    }
    if let Some(tx) = tx {
        tx.commit().await?;
    }
    Ok(Enqueued { workflow: None, ids })
}

async fn wait_and_go(howdah: &Howdah, id: JobId, node: &Node, ids: &[JobId]) -> howdah::Result<()> {
    for parent in &node.parents {
        howdah.add_dependency(id, ids[*parent]).await?;
    }
    if node.fate != Fate::BeCancelled {
        howdah.delay(id, Duration::ZERO).await?;
    }
    Ok(())
}

/// Jobs that are due later are given their parents one by one, and then made due.
async fn added(howdah: &Howdah, graph: usize, nodes: &[Node]) -> Result<Enqueued> {
    let mut ids: Vec<JobId> = Vec::new();
    for (n, node) in nodes.iter().enumerate() {
        let one = howdah.enqueue(job(graph, n, node.fate)).on_parent_failure(node.policy);
        let id = one.delay(Duration::from_secs(3600)).await?;
        // It may be cancelled at any moment, because of a parent.
        match wait_and_go(howdah, id, node, &ids).await {
            Ok(()) | Err(howdah::Error::WrongState { .. }) => ids.push(id),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Enqueued { workflow: None, ids })
}

async fn enqueue(howdah: &Howdah, graph: usize, plan: &Plan) -> Result<Enqueued> {
    let enqueued = match plan.way {
        Way::Workflow => as_workflow(howdah, graph, plan).await?,
        Way::Together => one_by_one(howdah, graph, &plan.nodes, true).await?,
        Way::OneByOne => one_by_one(howdah, graph, &plan.nodes, false).await?,
        Way::Added => added(howdah, graph, &plan.nodes).await?,
    };
    for (node, id) in plan.nodes.iter().zip(&enqueued.ids) {
        match node.fate {
            Fate::BeCancelled => drop(howdah.cancel(*id).await?),
            Fate::Wait => drop(howdah.retry(*id).await?),
            _ => {}
        }
    }
    Ok(enqueued)
}

/// Waits until all nodes are in these states.
async fn settled(db: &Db, ids: &[JobId], wanted: &[JobState]) -> Result<()> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let states = format!(
        "SELECT string_agg(howdah.state(u.id), ' ' ORDER BY u.n) FROM unnest('{{{}}}'::bigint[]) WITH ORDINALITY u(id, n)",
        ids.join(",")
    );
    let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    db.wait_for(&states, &wanted.join(" ")).await
}

/// What is done to a graph once it has come to rest, and to which states that brings it.
async fn go_on(db: &Db, graph: usize, plan: &Plan, enqueued: &Enqueued) -> Result<()> {
    let before = model(&plan.nodes);
    let wanted = match (plan.then, enqueued.workflow) {
        (Then::Nothing, _) => return Ok(()),
        (Then::Cancel, Some(id)) => {
            db.howdah.cancel_workflow(id).await?;
            cancelled(&plan.nodes, &before)
        }
        (Then::RunAgain, Some(id)) => {
            db.run(&format!("INSERT INTO healed VALUES ({graph})")).await?;
            db.howdah.retry_workflow(id).await?;
            healed(&plan.nodes, &before)
        }
        (_, None) => {
            db.run(&format!("INSERT INTO healed VALUES ({graph})")).await?;
            for (id, _) in enqueued.ids.iter().zip(&before).filter(|(_, state)| **state == JobState::Dead) {
                db.howdah.retry(*id).await?;
            }
            after_retry(&plan.nodes, &before)
        }
    };
    settled(db, &enqueued.ids, &wanted).await.with_context(|| format!("then {:?}", plan.then))
}

/// The order of starts and ends, and that each ran as often as it should; killed: some may have run more often, or have
/// lost the attempt that was to fail before it began.
async fn check(db: &Db, graphs: &[Plan], first: usize, killed: bool) -> Result<()> {
    let events: Vec<(i32, i32, bool, bool)> =
        sqlx::query_as("SELECT graph, node, healed, is_end FROM event ORDER BY n").fetch_all(db.pool()).await?;
    let mut last = HashMap::new();
    let mut starts: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, (graph, node, healed, is_end)) in events.iter().enumerate() {
        let key = (usize::try_from(*graph)?, usize::try_from(*node)?, *healed);
        last.insert(key, at);
        if !is_end {
            starts.entry(key).or_default().push(at);
        }
    }
    for (n, plan) in graphs.iter().enumerate() {
        let ends = model(&plan.nodes);
        for (node, (what, end)) in plan.nodes.iter().zip(&ends).enumerate() {
            for again in [false, true] {
                let Some(first_start) = starts.get(&(first + n, node, again)).map(|starts| starts[0]) else { continue };
                for parent in ancestors(&plan.nodes, node) {
                    // To those who run all the same, a dead one that is sent again by itself has ended already.
                    let alone = again && plan.way != Way::Workflow && ends[parent] == JobState::Dead;
                    if alone && what.policy == OnParentFailure::Run {
                        continue;
                    }
                    let ended = last.get(&(first + n, parent, again)).is_none_or(|at| *at < first_start);
                    assert!(
                        ended,
                        "node {node} of graph {} started before {parent} had ended (again: {again}): {plan:?}",
                        first + n
                    );
                }
            }
            let runs = starts.get(&(first + n, node, false)).map_or(0, Vec::len);
            // One that was held by the workflow may have run when that was cancelled.
            let freed = plan.then == Then::Cancel && what.role == Role::Waiter && *end == JobState::Blocked;
            let wanted = if freed { runs.min(1) } else { what.runs(*end, runs) };
            assert!(
                runs == wanted || (killed && runs > 0 && wanted > 0),
                "node {node} of graph {} ran {runs} times, not {wanted}: it is {end}",
                first + n
            );
        }
    }
    Ok(())
}

/// What a node waits for, over what does not run itself.
fn ancestors(nodes: &[Node], node: usize) -> Vec<usize> {
    let direct = nodes[node].parents.iter();
    direct.flat_map(|p| if nodes[*p].role == Role::End { nodes[*p].parents.clone() } else { vec![*p] }).collect()
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

/// All graphs at the same time, from beginning to end.
async fn together(db: &Db, graphs: &[Plan], first: usize, killed: bool) -> Result<()> {
    let process = if killed { Some(Process::start(db.url())?) } else { None };
    let all = futures_util::future::try_join_all(
        graphs.iter().enumerate().map(|(n, plan)| async move { enqueue(&db.howdah, first + n, plan).await }),
    );
    let enqueued = all.await?;
    if killed {
        // It is killed as soon as it has done anything, or the others everything.
        db.wait_for("SELECT EXISTS (SELECT FROM event)", "true").await?;
    }
    drop(process);
    for (n, (plan, enqueued)) in graphs.iter().zip(&enqueued).enumerate() {
        let told = || format!("graph {}: {plan:?}", first + n);
        settled(db, &enqueued.ids, &model(&plan.nodes)).await.with_context(told)?;
        go_on(db, first + n, plan, enqueued).await.with_context(told)?;
    }
    check(db, graphs, first, killed).await?;
    // What is held stays; everything else is gone.
    let left = "SELECT count(*) FROM howdah.dependency d WHERE NOT EXISTS (SELECT FROM howdah.deferred k WHERE k.first_id = d.job_id AND k.gate = 'dependencies')";
    db.wait_for(left, "0").await?;
    db.run("TRUNCATE event, healed").await
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[tokio::test]
async fn random_graphs_run_in_order_and_end_as_a_simple_model_says() -> Result<()> {
    let nanos = u64::from(std::time::UNIX_EPOCH.elapsed()?.subsec_nanos());
    let seed = setting("HOWDAH_SEED").unwrap_or(u64::from(std::process::id()) << 32 | nanos);
    let most = usize::try_from(setting("HOWDAH_GRAPHS").unwrap_or(48))?;
    println!("HOWDAH_SEED={seed} HOWDAH_GRAPHS={most}");
    let db = Db::new().await?;
    db.run(GRAPH_TABLES).await?;
    let worker = || start(Worker::new(&db.howdah).handle(graph_job).queue("default", 8));
    let workers = [worker(), worker()];
    let mut random = Random(seed);
    for batch in 0..most.div_ceil(16) {
        let first = batch * 16;
        let graphs: Vec<_> = (first..most.min(first + 16)).map(|_| random.plan()).collect();
        let killed = batch % 3 == 1;
        together(&db, &graphs, first, killed).await.with_context(|| format!("HOWDAH_SEED={seed}, batch {batch}"))?;
    }
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}
