//! The plans of what is called all the time are those that are saved in `tests/plans`: with 10 jobs in each room, and
//! with 10,000,000. A change that makes a statement read a whole table shows here, on any machine.
//!
//! Saved by `HOWDAH_WRITE_PLANS=1 cargo test -p howdah-tests --test promises -- shapes::`, with HOWDAH_ROWS=10000000 for the
//! larger ones, which are otherwise compared with those of 200,000. Versions of PostgreSQL plan differently: other ones
//! than the saved are held only to reading no large table whole.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use howdah_tests::{Db, Session, fill};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tracing::subscriber::set_default;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::{Layer, registry};

const FEW: usize = 10;
const MANY: usize = 200_000;
/// A table is large from so many pages on.
const LARGE: i64 = 64;

/// The plans that auto_explain tells the client.
#[derive(Clone, Default)]
struct Plans(Arc<Mutex<Vec<Value>>>);

impl<S: tracing::Subscriber> Layer<S> for Plans {
    fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_str(&mut self, _: &tracing::field::Field, value: &str) {
                self.0.push_str(value);
            }
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{value:?}"));
            }
        }
        if event.metadata().target() != "sqlx::postgres::notice" {
            return;
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        if let Some((_, plan)) = text.0.split_once("plan:\n") {
            let plan = serde_json::from_str(plan).unwrap_or_else(|e| panic!("no plan ({e}): {plan}"));
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
        }
    }
}

/// What is called all the time (rescue is not: it reads every lease, now and then), with what makes its argument first: `{}` stands for that.
const CALLS: [(&str, &str, &str); 18] = [
    ("enqueue", "", "howdah.enqueue('k')"),
    ("enqueue with a delay", "", "howdah.enqueue('k', delay => '1 hour')"),
    ("enqueue with options", "", r#"howdah.enqueue('k', options => '{"attributes": {"a": 1}}')"#),
    ("enqueue_unique", "", "howdah.enqueue_unique('k', key => 'a')"),
    ("enqueue_many", "", "howdah.enqueue_many('k', '{1,2,3}')"),
    ("claim", "", "howdah.claim($W, jobs => 3)"),
    ("claim behind a front", "", "howdah.claim($W, jobs => 3, fronts => '{1,1,1,1,1,1,1,1,1,1}')"),
    ("claim of a kind", "", "howdah.claim($W, jobs => 3, kinds => '{k}')"),
    ("complete_leases", LEASE, "howdah.complete_leases(ARRAY[{}], '{1}', NULL)"),
    ("complete", LEASE, "howdah.complete({})"),
    ("complete_in", LEASE_AND_JOB, "howdah.complete_in({})"),
    ("fail", LEASE_AND_JOBS, "howdah.fail({}, delay_ms => '{1000}')"),
    ("release", LEASE_AND_JOBS, "howdah.release({})"),
    ("cancel", "SELECT max(first_id)::text FROM howdah.ticket", "howdah.cancel({})"),
    ("retry", "SELECT max(first_id)::text FROM howdah.deferred", "howdah.retry({})"),
    ("heartbeat", "", "howdah.heartbeat($W)"),
    ("promote", "", "howdah.promote()"),
    ("expire", "", "howdah.expire()"),
];
const LEASE: &str = "SELECT max(lease_id)::text FROM howdah.claim($W, jobs => 1)";
const LEASE_AND_JOB: &str = "SELECT concat_ws(', ', max(lease_id), max(id)) FROM howdah.claim($W, jobs => 1)";
const LEASE_AND_JOBS: &str =
    "SELECT concat(max(lease_id), ', ARRAY[', max(id), ']::bigint[]') FROM howdah.claim($W, jobs => 1)";

/// Calls everything once, and tells what was planned for it.
async fn planned(db: &Db) -> Result<String> {
    let plans = Plans::default();
    let _listening = set_default(registry().with(plans.clone()));
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "LOAD 'auto_explain'; SET auto_explain.log_nested_statements = on; SET auto_explain.log_format = json;
             SET auto_explain.log_level = notice; SET jit = off; SET plan_cache_mode = force_generic_plan",
        )
        .await?;
    let large = format!(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'howdah'::regnamespace AND pg_relation_size(oid) > 8192 * {LARGE} AND relkind = 'r'"
    );
    let large = session.list(&large).await?;
    let mut text = String::new();
    for (name, before, call) in CALLS {
        let argument = if before.is_empty() { String::new() } else { first(&mut session, before, worker).await? };
        let call = call.replace("$W", &worker.to_string()).replace("{}", &argument);
        plans.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        session.run("SET auto_explain.log_min_duration = 0").await?;
        session.run(&format!("SELECT * FROM {call}")).await?;
        session.run("SET auto_explain.log_min_duration = -1").await?;
        text.push_str(&format!("== {name}\n"));
        let mut seen = Vec::new();
        for plan in plans.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut whole = Vec::new();
            whole_reads(&plan["Plan"], &large, &mut whole);
            anyhow::ensure!(whole.is_empty(), "{name} reads {whole:?} from the beginning to the end: {plan:#}");
            let shape = shape_of(plan);
            if !shape.is_empty() && !seen.contains(&shape) {
                text.push_str(&shape);
                seen.push(shape);
            }
        }
        anyhow::ensure!(!seen.is_empty(), "no plan was told for {name}");
    }
    Ok(text)
}

async fn first(session: &mut Session, sql: &str, worker: i64) -> Result<String> {
    let sql = AssertSqlSafe(sql.replace("$W", &worker.to_string()));
    Ok(sqlx::query_scalar(sql).persistent(false).fetch_one(&mut session.0).await?)
}

/// The beginning of the statement and the tree of its plan, without figures; nothing of one that reads no table.
fn shape_of(explained: &Value) -> String {
    let query = explained["Query Text"].as_str().unwrap_or_default();
    let words: Vec<&str> = query.split_whitespace().collect();
    let mut tree = String::new();
    walk(&explained["Plan"], 1, &mut tree);
    if !tree.contains(" on ") || query.starts_with("SET ") {
        return String::new();
    }
    format!("-- {}\n{tree}", words.join(" ").chars().take(90).collect::<String>())
}

fn walk(node: &Value, depth: usize, tree: &mut String) {
    let of = |key: &str| node[key].as_str().unwrap_or_default();
    let mut line = format!("{:1$}{2}", "", depth * 2, of("Node Type"));
    for (word, key) in [("using", "Index Name"), ("on", "Relation Name")] {
        if !of(key).is_empty() {
            // Which of a ring's tables it is, the run decides.
            let name: String = of(key).chars().map(|c| if c.is_ascii_digit() { 'N' } else { c }).collect();
            line.push_str(&format!(" {word} {name}"));
        }
    }
    tree.push_str(&line);
    tree.push('\n');
    let mut last = String::new();
    for child in node["Plans"].as_array().into_iter().flatten() {
        let mut sub = String::new();
        walk(child, depth + 1, &mut sub);
        // The tables of a ring are alike.
        if sub != last {
            tree.push_str(&sub);
        }
        last = sub;
    }
}

/// The large tables that a plan reads from the beginning to the end.
fn whole_reads(node: &Value, large: &[String], found: &mut Vec<String>) {
    let of = |key: &str| node[key].as_str().unwrap_or_default();
    if of("Node Type") == "Seq Scan" && large.iter().any(|name| name == of("Relation Name")) {
        found.push(of("Relation Name").to_owned());
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        whole_reads(child, large, found);
    }
}

/// How each statement reads its tables. How it joins what it has read hangs on a sample of the rows.
fn reads(plans: &str) -> Vec<Vec<&str>> {
    let mut statements: Vec<Vec<&str>> = Vec::new();
    for line in plans.lines() {
        if !line.starts_with(' ') {
            statements.push(vec![line]);
        } else if let (true, Some(statement)) = (line.contains(" on "), statements.last_mut()) {
            statement.push(line.trim_start());
        }
    }
    // Which table comes first in a join does not matter either.
    statements.iter_mut().for_each(|statement| statement[1..].sort_unstable());
    statements
}

async fn compare(file: &str, rows: usize) -> Result<()> {
    let db = Db::new().await?;
    fill(&db, rows).await?;
    let version = db.number("SELECT current_setting('server_version_num')::bigint / 10000").await?;
    let plans = format!("PostgreSQL {version}\n{}", planned(&db).await?);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plans").join(file);
    if std::env::var_os("HOWDAH_WRITE_PLANS").is_some() {
        std::fs::write(&file, &plans)?;
    }
    let saved = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    if saved.lines().next() == plans.lines().next() {
        let (old, new) = (reads(&saved), reads(&plans));
        let differs = old.iter().zip(&new).find(|(old, new)| old != new);
        assert!(old == new, "{} differs, first in {differs:#?}; now:\n{plans}", file.display());
    }
    Ok(())
}

#[tokio::test]
async fn with_few_jobs_the_plans_are_those_that_are_saved() -> Result<()> {
    compare("10_rows.txt", FEW).await
}

#[tokio::test]
async fn with_many_jobs_the_plans_are_those_that_are_saved_and_no_large_table_is_read_whole() -> Result<()> {
    let rows = std::env::var("HOWDAH_ROWS").map_or(Ok(MANY), |rows| rows.parse())?;
    compare("10_million_rows.txt", rows).await
}

#[test]
fn a_whole_read_is_seen() {
    let plan = serde_json::json!({"Node Type": "Append", "Plans": [
        {"Node Type": "Seq Scan", "Relation Name": "job_1"}, {"Node Type": "Seq Scan", "Relation Name": "queue"},
        {"Node Type": "Index Scan", "Relation Name": "job_1", "Index Name": "job_1_id"}]});
    let mut found = Vec::new();
    whole_reads(&plan, &["job_1".to_owned()], &mut found);
    assert_eq!(found, ["job_1"]);
}
