//! Workflows, durable steps, sleeps and signals through kills of workers, keepers and the server.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use howdah::{Graph, Howdah, OnParentFailure, WorkflowId};
use howdah_tests::Db;
use howdah_tests::recorder::{NODE_TABLES, Node};

use crate::faults::{Fleet, Records};

/// How many nodes of a layer wait for some of the layer before.
const WIDTH: usize = 22;

/// The graph as it should be: what each node waits for.
#[derive(Default)]
struct Model {
    parents: BTreeMap<String, Vec<String>>,
}

impl Model {
    /// Adds a node to both.
    fn node(&mut self, graph: Graph, node: Node, parents: Vec<String>) -> Graph {
        self.parents.insert(node.name.clone(), parents.clone());
        graph.job(node.name.clone(), node).max_attempts(1000).after(parents)
    }

    /// What the handler of a node returns.
    fn value(&self, name: &str, known: &mut HashMap<String, u64>) -> u64 {
        if let Some(value) = known.get(name) {
            return *value;
        }
        let sum: u64 = self.parents[name].iter().map(|parent| self.value(parent, known)).sum();
        let value = (1 + sum) % 1_000_000_007;
        known.insert(name.to_owned(), value);
        value
    }
}

fn plain(name: impl Into<String>) -> Node {
    Node { name: name.into(), sleep_ms: None, signal: None, fails: 0, in_tx: false }
}

/// One more layer: each node waits for two of the layer before, and the last one for all of its own.
fn layer(fleet: &mut Fleet, model: &mut Model, n: usize) -> Graph {
    let mut graph = Graph::new();
    for k in 0..WIDTH {
        let mut node = plain(format!("{n} {k}"));
        node.in_tx = k % 2 == 0;
        node.fails = i16::from(k % 5 == 0);
        node.sleep_ms = (k % 7 == 1).then_some(20 + k as u64 * 10);
        node.signal = (k % 7 == 2).then(|| format!("signal {n} {k}"));
        let mut parents = Vec::new();
        if n > 0 {
            let first = fleet.seed.below(WIDTH);
            // The last one is that which waits for all the others.
            parents = vec![format!("{} {first}", n - 1), format!("{} {}", n - 1, (first + 1 + k) % WIDTH)];
            parents.push(format!("{} all", n - 1));
            parents.truncate(2 + usize::from(k % 6 == 0));
            parents.dedup();
        }
        graph = model.node(graph, node, parents);
    }
    model.node(graph, plain(format!("{n} all")), (0..WIDTH).map(|k| format!("{n} {k}")).collect())
}

async fn send(howdah: &Howdah, name: &str) -> Result<()> {
    // One that was sent already is not sent again.
    howdah.signal(name, name).await.map(|_| ()).with_context(|| name.to_owned())
}

/// A workflow of which a node dies when it is told to: one is cancelled for it, one runs all the same.
async fn doomed(howdah: &Howdah) -> Result<WorkflowId> {
    let dies = Node { signal: Some("die".to_owned()), fails: -1, ..plain("dies") };
    let graph = Graph::new()
        .job("dies", dies)
        .job("after death", plain("after death"))
        .after(["dies"])
        .job("all the same", plain("all the same"))
        .after(["dies"])
        .on_parent_failure(OnParentFailure::Run)
        .on_complete(plain("doomed complete"))
        .on_end(plain("doomed end"));
    Ok(howdah.workflow("doomed", graph).await?)
}

/// No child began before its parents had ended; no step that was kept was begun again by a run that began later.
async fn check(db: &Db, records: &Records) -> Result<()> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT c.id, (extract(epoch FROM max(p.ended_at)) * 1000000)::bigint
           FROM howdah.job c, jsonb_array_elements_text(c.options -> 'depends_on') d JOIN howdah.jobs p ON p.id = d::bigint GROUP BY c.id",
    )
    .fetch_all(db.pool())
    .await?;
    let due: HashMap<i64, i64> = rows.into_iter().collect();
    ensure!(due.len() > WIDTH, "the parents are known");
    let (mut began, mut kept) = (HashMap::new(), HashMap::new());
    for line in &records.lines {
        let run = (line.pid, line.run);
        if line.what == "began" {
            began.insert(run, line.at);
            ensure!(due.get(&line.job).is_none_or(|due| *due <= line.at), "{line:?} before its parents had ended");
        } else if let Some(step) = line.what.strip_prefix("kept ") {
            kept.entry((line.job, step)).or_insert(line.at);
        } else if let Some(step) = line.what.strip_prefix("does ") {
            let at = kept.get(&(line.job, step)).copied().unwrap_or(i64::MAX);
            ensure!(began.get(&run).is_some_and(|began| *began <= at), "{line:?} was kept at {at}");
        }
    }
    Ok(())
}

/// What steps and completions wrote in their transactions is there once for each, and each job has ended once.
async fn check_effects(db: &Db, model: &Model) -> Result<()> {
    let names: Vec<_> = model.parents.keys().map(String::as_str).collect();
    let expected = |more: &[&'static str], odd: bool| {
        let in_tx = |name: &&&str| {
            name.split_once(' ').is_some_and(|(_, k)| k.parse().is_ok_and(|k: usize| k.is_multiple_of(2)))
        };
        let mut all: Vec<_> =
            names.iter().filter(|name| odd || in_tx(name)).copied().chain(more.iter().copied()).collect();
        all.sort_unstable();
        all.join(",")
    };
    let written = |table: &str| format!("SELECT string_agg(name, ',' ORDER BY name COLLATE \"C\") FROM {table}");
    assert_eq!(db.text(&written("effect")).await?, expected(&["complete", "end", "all the same", "doomed end"], true));
    assert_eq!(db.text(&written("did")).await?, expected(&["end"], false));
    let twice = "SELECT count(*) FROM (SELECT FROM howdah.receipt, unnest(first_ids, counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
        GROUP BY r.first_id + g HAVING count(*) > 1) x";
    assert_eq!(db.number(twice).await?, 0, "each has ended once");
    Ok(())
}

/// Each node has returned what follows from what its parents have returned.
async fn check_results(db: &Db, id: WorkflowId, model: &mut Model) -> Result<()> {
    let results: Vec<(String, i64)> = sqlx::query_as(
        "SELECT n.name, r.result::bigint FROM howdah.workflow_job n JOIN howdah.result r USING (job_id) WHERE n.workflow_id = $1",
    )
    .bind(id.0)
    .fetch_all(db.pool())
    .await?;
    model.parents.insert("on_complete".to_owned(), model.parents.keys().cloned().collect());
    let all = model.parents["on_complete"].clone();
    model.parents.insert("on_end".to_owned(), all);
    assert_eq!(results.len(), model.parents.len());
    let mut known = HashMap::new();
    for (name, result) in results {
        assert_eq!(result.unsigned_abs(), model.value(&name, &mut known), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn workflows_steps_sleeps_and_signals_come_through_kills_stops_and_crashes() -> Result<()> {
    let mut fleet = Fleet::new().await?;
    fleet.db.run(NODE_TABLES).await?;
    let howdah = fleet.db.howdah.clone();
    let mut model = Model::default();
    // Holds the callbacks until all layers are there.
    let open = Node { signal: Some("closed".to_owned()), ..plain("open") };
    let graph = layer(&mut fleet, &mut model, 0);
    let graph = model.node(graph, open, Vec::new());
    let graph = graph.on_complete(plain("complete")).on_end(Node { in_tx: true, ..plain("end") });
    let id = howdah.workflow("w", graph).await?;
    let doomed = doomed(&howdah).await?;
    let plan = fleet.plan();
    for (n, fault) in plan.into_iter().enumerate() {
        let so_far = fleet.ends()?;
        if n > 0 {
            let graph = layer(&mut fleet, &mut model, n);
            howdah.add_to_workflow(id, graph).await?;
        }
        // The first one before the fault, the others after it.
        send(&howdah, &format!("signal {n} 2")).await?;
        fleet.start()?;
        fleet.suffer(fault, so_far + 8).await?;
        for k in (9..WIDTH).step_by(7) {
            send(&howdah, &format!("signal {n} {k}")).await?;
        }
        if n == 4 {
            send(&howdah, "die").await?;
        }
    }
    send(&howdah, "closed").await?;
    fleet.rest().await?;
    let db = &fleet.db;
    assert_eq!(db.text(&format!("SELECT state FROM howdah.workflows WHERE id = {id}")).await?, "completed");
    let ends = "SELECT string_agg(name || '=' || j.state, ' ' ORDER BY name) FROM howdah.workflow_job n JOIN howdah.jobs j ON j.id = n.job_id";
    assert_eq!(
        db.text(&format!("{ends} WHERE workflow_id = {doomed}")).await?,
        "after death=cancelled all the same=completed dies=dead on_complete=cancelled on_end=completed"
    );
    check_effects(db, &model).await?;
    check_results(db, id, &mut model).await?;
    let records = fleet.records().await?;
    check(&fleet.db, &records).await?;
    println!("{} lines of {} nodes", records.lines.len(), model.parents.len());
    fleet.end().await
}
