//! Random graphs with real workers against a simple model: no job starts before those that it waits for have ended, each runs once,
//! and all end as the model says. The seed is printed, and taken from `HOWDAH_SEED` if that is set.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use howdah::{Ctx, Graph, Howdah, Job, JobError, JobId, JobState, OnParentFailure, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

/// What a node is made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Fate {
    Complete,
    FailOnce,
    Die,
    CancelItself,
    /// It is due much later, and the test cancels it.
    BeCancelled,
}

#[derive(Job, Serialize, Deserialize)]
struct Step {
    graph: usize,
    node: usize,
    fate: Fate,
}

#[derive(Debug, Clone)]
struct Node {
    fate: Fate,
    parents: Vec<usize>,
    policy: OnParentFailure,
}

/// `splitmix64`: as random as this needs it, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap_or(0) % most
    }

    fn graph(&mut self) -> Vec<Node> {
        let (nodes, dense) = (1 + self.below(24), 1 + self.below(6));
        (0..nodes)
            .map(|n| {
                let parents: Vec<_> = (0..n).filter(|_| self.below(12) < dense).collect();
                let fate = match self.below(12) {
                    0 => Fate::Die,
                    1 => Fate::CancelItself,
                    2 if parents.is_empty() => Fate::BeCancelled,
                    3 => Fate::FailOnce,
                    _ => Fate::Complete,
                };
                let policy = [OnParentFailure::Cancel, OnParentFailure::Run, OnParentFailure::Hold][self.below(3)];
                Node { fate, parents, policy }
            })
            .collect()
    }
}

/// How the nodes end, or stay.
fn model(graph: &[Node]) -> Vec<JobState> {
    let mut ends: Vec<JobState> = Vec::new();
    for node in graph {
        let failed = node.parents.iter().any(|p| matches!(ends[*p], JobState::Dead | JobState::Cancelled));
        let stuck = node.parents.iter().any(|p| ends[*p] == JobState::Blocked);
        ends.push(match (node.policy, failed, stuck, node.fate) {
            (OnParentFailure::Cancel, true, ..) => JobState::Cancelled,
            (_, _, true, _) | (OnParentFailure::Hold, true, ..) => JobState::Blocked,
            (.., Fate::Die) => JobState::Dead,
            (.., Fate::CancelItself | Fate::BeCancelled) => JobState::Cancelled,
            _ => JobState::Completed,
        });
    }
    ends
}

/// Every start and every end, in their order.
#[derive(Clone, Default)]
struct Observer(Arc<Mutex<Vec<(usize, usize, bool)>>>);

impl Observer {
    fn saw(&self, step: &Step, end: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((step.graph, step.node, end));
    }
}

async fn step(step: Step, cx: Ctx<Observer>) -> Result<(), JobError> {
    cx.saw(&step, false);
    tokio::task::yield_now().await;
    if step.fate == Fate::FailOnce && cx.attempt() == 1 {
        return Err(JobError::retry_in(Duration::from_millis(1), "not this time"));
    }
    cx.saw(&step, true);
    match step.fate {
        Fate::Die => Err(JobError::discard("on purpose")),
        Fate::CancelItself => Err(JobError::cancel("on purpose")),
        _ => Ok(()),
    }
}

/// As a workflow in one call, its nodes in reverse: what a node waits for comes after it.
async fn as_workflow(howdah: &Howdah, graph: usize, nodes: &[Node]) -> Result<Vec<JobId>> {
    let mut steps = Graph::new();
    for (node, n) in nodes.iter().enumerate().rev() {
        steps = steps
            .job(node.to_string(), Step { graph, node, fate: n.fate })
            .after(n.parents.iter().map(ToString::to_string))
            .on_parent_failure(n.policy);
        if n.fate == Fate::BeCancelled {
            steps = steps.delay(Duration::from_secs(3600));
        }
    }
    let id = howdah.workflow("random", steps).await?;
    let mut jobs = howdah.workflow_jobs(id).await?;
    jobs.sort_by_key(|job| job.name.parse::<usize>().unwrap_or(0));
    Ok(jobs.into_iter().map(|job| job.job).collect())
}

/// One job after the other, while workers run: in one transaction, or each by itself.
async fn one_by_one(howdah: &Howdah, graph: usize, nodes: &[Node], together: bool) -> Result<Vec<JobId>> {
    // Without one, no connection of the pool is held: all graphs are enqueued at the same time.
    let mut tx = if together { Some(howdah.pool().begin().await?) } else { None };
    let mut ids: Vec<JobId> = Vec::new();
    for (node, n) in nodes.iter().enumerate() {
        let mut job = howdah.enqueue(Step { graph, node, fate: n.fate }).on_parent_failure(n.policy);
        if !n.parents.is_empty() {
            job = job.after(n.parents.iter().map(|p| ids[*p]));
        }
        if n.fate == Fate::BeCancelled {
            job = job.delay(Duration::from_secs(3600));
        }
        ids.push(match &mut tx {
            Some(tx) => job.on(tx).await?,
            None => job.await?,
        });
    }
    if let Some(tx) = tx {
        tx.commit().await?;
    }
    Ok(ids)
}

/// The order of starts and ends, and that each ran as often as it should.
fn check_order(graphs: &[Vec<Node>], events: &[(usize, usize, bool)]) {
    let (mut ended, mut starts) = (HashSet::new(), HashMap::new());
    for (graph, node, end) in events {
        if *end {
            assert!(ended.insert((*graph, *node)), "node {node} of graph {graph} ended twice");
            continue;
        }
        *starts.entry((*graph, *node)).or_insert(0) += 1;
        let ends = model(&graphs[*graph]);
        for parent in &graphs[*graph][*node].parents {
            // What was cancelled before it ran has no end that a handler could tell of.
            let silent = ends[*parent] == JobState::Cancelled && graphs[*graph][*parent].fate != Fate::CancelItself;
            let cut_off = ends[*parent] == JobState::Cancelled && !events.contains(&(*graph, *parent, false));
            assert!(
                silent || cut_off || ended.contains(&(*graph, *parent)),
                "node {node} of graph {graph} started before {parent} had ended"
            );
        }
    }
    for (graph, nodes) in graphs.iter().enumerate() {
        for (node, (n, end)) in nodes.iter().zip(model(nodes)).enumerate() {
            let runs = starts.get(&(graph, node)).copied().unwrap_or(0);
            let wanted = match (end, n.fate) {
                (JobState::Completed, Fate::FailOnce) => 2,
                (JobState::Completed | JobState::Dead, _) => 1,
                (JobState::Cancelled, Fate::CancelItself) => runs.min(1),
                _ => 0,
            };
            assert_eq!(runs, wanted, "runs of node {node} of graph {graph}, which is {end}");
        }
    }
}

#[tokio::test]
async fn random_graphs_run_in_order_and_end_as_a_simple_model_says() -> Result<()> {
    let seed = match std::env::var("HOWDAH_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => u64::from(std::process::id()) << 32 | u64::from(std::time::UNIX_EPOCH.elapsed()?.subsec_nanos()),
    };
    println!("HOWDAH_SEED={seed}");
    let mut random = Random(seed);
    let db = Db::new().await?;
    let observer = Observer::default();
    let worker = || start(Worker::new(&db.howdah).state(observer.clone()).handle(step).queue("default", 8));
    let workers = [worker(), worker()];
    let graphs: Vec<Vec<Node>> = (0..12).map(|_| random.graph()).collect();
    let ways: Vec<usize> = graphs.iter().map(|_| random.below(3)).collect();
    let enqueued = futures_util::future::try_join_all(graphs.iter().zip(&ways).enumerate().map(|(n, (nodes, way))| {
        let howdah = db.howdah.clone();
        async move {
            match way {
                0 => as_workflow(&howdah, n, nodes).await,
                way => one_by_one(&howdah, n, nodes, *way == 1).await,
            }
        }
    }));
    let ids = enqueued.await.with_context(|| format!("HOWDAH_SEED={seed}"))?;
    for (nodes, ids) in graphs.iter().zip(&ids) {
        for (node, id) in nodes.iter().zip(ids).filter(|(node, _)| node.fate == Fate::BeCancelled) {
            db.howdah.cancel(*id).await.with_context(|| format!("{node:?}"))?;
        }
    }
    for (n, (nodes, ids)) in graphs.iter().zip(&ids).enumerate() {
        let wanted: Vec<_> = model(nodes).iter().map(ToString::to_string).collect();
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let states = format!(
            "SELECT string_agg(howdah.state(u.id), ' ' ORDER BY u.n) FROM unnest('{{{}}}'::bigint[]) WITH ORDINALITY u(id, n)",
            ids.join(",")
        );
        db.wait_for(&states, &wanted.join(" "))
            .await
            .with_context(|| format!("HOWDAH_SEED={seed}, graph {n}: {nodes:?}"))?;
    }
    for worker in workers {
        worker.stop().await?;
    }
    let events = observer.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    check_order(&graphs, &events);
    Ok(())
}
