//! Limits, orders and rates through kills of workers, keepers and the server.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use howdah::{Howdah, Job, Limit};
use howdah_devdb::StopMode;
use howdah_tests::recorder::Flowing;
use howdah_tests::{Db, crash, server_to_crash};

use crate::faults::{Fleet, Run};

#[tokio::test]
async fn what_a_gate_has_let_through_keeps_its_place_through_a_crash() -> Result<()> {
    // What does not wait for the disk is not on it for ten seconds.
    let server = server_to_crash().setting("wal_writer_delay", "10s").setting("autovacuum", "off").start().await?;
    let db = Db::on(&server).await?;
    let worker = db.worker().await?;
    let one = "'{\"max_running\": 1}'";
    let slow = "'{\"rate\": 1, \"rate_period_ms\": 3600000}'";
    for (gate, options, scope, rule) in [
        ("limit", "limit_key", "key", one),
        ("order", "order_key", "share", "'{\"weight\": 1}'"),
        ("kind", "weight", "kind", one),
        ("queue", "weight", "queue", one),
        ("rate", "limit_key", "key", slow),
        ("queue_rate", "weight", "queue", slow),
        ("share", "fair_key\": \"f\", \"limit_key", "key", one),
    ] {
        for function in ["claim", "claim_where"] {
            // Jobs with a fair_key are not claimed by a filter.
            if (gate, function) == ("share", "claim_where") {
                continue;
            }
            // The name of all: of the queue, the kind and the key.
            let name = format!("{gate}_{function}");
            let value = if options == "weight" { "1".to_owned() } else { format!("\"{name}\"") };
            let mut session = db.session().await?;
            session.run(&format!(
                "SELECT howdah.create_queue('{name}'); SELECT howdah.set_limit('{scope}', '{name}', {rule});
                 SELECT howdah.enqueue('{name}', queue => '{name}', options => '{{\"{options}\": {value}}}') FROM generate_series(1, 3)"
            ))
            .await?;
            let filter = if function == "claim" { "" } else { ", '!exists($.x)'" };
            let claim = format!("SELECT id FROM howdah.{function}({worker}, '{name}', 9{filter}) WHERE id IS NOT NULL");
            // As workers claim.
            session.run("SET synchronous_commit = off").await?;
            let claimed = session.list(&claim).await?;
            assert_eq!(claimed.len(), 1, "{name}");
            crash(&server, StopMode::Immediate).await?;
            let mut session = db.session().await?;
            // Its handler may be running.
            assert_eq!(session.list(&claim).await?.len(), 0, "{name}: another one came through");
            assert_eq!(session.text(&format!("SELECT howdah.state({})", claimed[0])).await?, "running", "{name}");
        }
    }
    server.stop().await?;
    Ok(())
}

/// Every claim, by its own transaction.
const OBSERVER: &str = "CREATE TABLE claim_seen (lease_id bigint, claimed_at timestamptz, seen_at timestamptz, first_ids bigint[], counts smallint[]);
    CREATE FUNCTION see_claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO public.claim_seen VALUES (NEW.id, NEW.claimed_at, clock_timestamp(), NEW.first_ids, NEW.counts);
      RETURN NULL;
    END $$;
    CREATE TRIGGER see_claim AFTER INSERT ON howdah.lease FOR EACH ROW EXECUTE FUNCTION see_claim()";

/// By how many tokens a rate was ever exceeded: what was claimed between the begin of one claim and the end of another.
const OVER: &str = "WITH c AS (
      SELECT s.lease_id, s.claimed_at, s.seen_at, sum(coalesce((j.options ->> 'weight')::integer, 1)) AS tokens
        FROM claim_seen s, unnest(s.first_ids, s.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g, howdah.job j
       WHERE j.id = r.first_id + g AND MINE GROUP BY 1, 2, 3)
    SELECT max(n - BURST - RATE * extract(epoch FROM ends - begins)) FROM (
      SELECT a.claimed_at AS begins, b.seen_at AS ends,
             (SELECT sum(c.tokens) FROM c WHERE c.claimed_at >= a.claimed_at AND c.seen_at <= b.seen_at) AS n
        FROM c a, c b WHERE a.claimed_at <= b.claimed_at) w";

const JOBS: usize = 540;
const RATE: u32 = 60;
const BURST: u32 = 6;

/// The most jobs that run at the same time.
fn limits() -> Vec<(&'static str, usize)> {
    vec![("kind", 7), ("queue narrow", 3), ("key k:0", 1), ("key k:1", 2), ("key k:2", 2)]
}

async fn set_limits(howdah: &Howdah) -> Result<()> {
    howdah.set_limit(Limit::kind(Flowing::KIND).max_running(7)).await?;
    howdah.set_limit(Limit::queue("narrow").max_running(3)).await?;
    howdah.set_limit(Limit::queue("paced").rate(RATE, Duration::from_secs(1)).burst(BURST)).await?;
    howdah.set_limit(Limit::key("k:*").max_running(2)).await?;
    howdah.set_limit(Limit::key("k:0").max_running(1)).await?;
    howdah.set_limit(Limit::key("rate").rate(RATE, Duration::from_secs(1)).burst(BURST)).await?;
    howdah.set_limit(Limit::share("t:0").weight(2)).await?;
    Ok(())
}

/// Jobs of all sorts.
async fn enqueue(fleet: &mut Fleet, jobs: &[usize]) -> Result<()> {
    let howdah = fleet.db.howdah.clone();
    for &n in jobs {
        let fails = [0, 0, 0, 1, 2, -1][n % 6];
        let ms = 5 + u64::try_from(fleet.seed.below(25))?;
        let job = howdah.enqueue(Flowing { ms, fails }).max_attempts(1000).priority(u8::try_from(n % 3)?);
        let (limit, order) = (format!("k:{}", n % 3), |keys: usize| format!("o:{}", n / 8 % keys));
        let id = match n % 8 {
            0 | 1 => job.limit_key(limit).await?,
            2 => job.queue("narrow").limit_key(limit).await?,
            3 => job.order_key(order(4)).await?,
            4 => job.order_key(format!("pass {}", order(3))).let_others_pass().await?,
            5 => job.limit_key("rate").weight(1 + u32::try_from(n / 8 % 2)?).await?,
            6 if n % 16 < 8 => job.queue("paced").await?,
            6 => job.limit_key(limit).limit_key("k:0").order_key(order(4)).await?,
            _ if n % 16 < 8 => job.queue("shared").fair_key(format!("t:{}", n / 8 % 5)).limit_key(limit).await?,
            _ => job.queue("shared").fair_key(format!("t:{}", n / 8 % 5)).await?,
        };
        ensure!(id.0 > 0);
    }
    Ok(())
}

/// What a job was enqueued with.
struct Asked {
    groups: Vec<String>,
    order: Option<String>,
    passes: bool,
}

async fn asked(db: &Db) -> Result<HashMap<i64, Asked>> {
    let rows: Vec<(i64, String, serde_json::Value)> =
        sqlx::query_as("SELECT id, queue, coalesce(options, '{}') FROM howdah.jobs").fetch_all(db.pool()).await?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let asked = |(id, queue, options): (i64, String, serde_json::Value)| {
        let keys = match &options["limit_key"] {
            serde_json::Value::Array(keys) => keys.iter().filter_map(text).collect(),
            key => text(key).into_iter().collect::<Vec<_>>(),
        };
        let mut groups: Vec<String> = keys.iter().map(|key| format!("key {key}")).collect();
        groups.extend(["kind".to_owned(), format!("queue {queue}")]);
        let order = text(&options["order_key"]);
        groups.extend(order.iter().map(|key| format!("order {key}")));
        (id, Asked { groups, order, passes: options["order_on_failure"] == "pass" })
    };
    Ok(rows.into_iter().map(asked).collect())
}

/// The most of these that ran at the same time.
fn most<'r>(runs: impl Iterator<Item = &'r Run>) -> usize {
    let mut turns: Vec<(i64, bool)> = runs.flat_map(|run| [(run.began, true), (run.ended, false)]).collect();
    // What ends in the moment in which another begins has ended.
    turns.sort_unstable();
    let (mut running, mut most) = (0, 0);
    for (_, begins) in turns {
        running = if begins { running + 1 } else { running - 1 };
        most = most.max(running);
    }
    most
}

/// Of each order, a job begins when the one before it has ended, or has failed and lets others pass.
fn check_order(runs: &[Run], asked: &HashMap<i64, Asked>) -> Result<()> {
    let mut orders: BTreeMap<&str, BTreeMap<i64, Vec<&Run>>> = BTreeMap::new();
    for run in runs {
        if let Some(key) = &asked[&run.job].order {
            orders.entry(key).or_default().entry(run.job).or_default().push(run);
        }
    }
    for (key, jobs) in &orders {
        for (early, late) in jobs.iter().zip(jobs.iter().skip(1)) {
            let last = early.1.iter().map(|run| run.began).max();
            for run in late.1 {
                let before = early.1.iter().rfind(|r| r.began < run.began);
                let before = before.with_context(|| format!("{key}: {run:?} began before {early:?}"))?;
                let over = Some(before.began) == last || (asked[early.0].passes && before.whole);
                ensure!(over && before.ended <= run.began, "{key}: {run:?} began while {early:?} had not ended");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn limits_orders_and_rates_hold_through_kills_stops_and_crashes() -> Result<()> {
    let mut fleet = Fleet::new().await?;
    fleet.db.run(OBSERVER).await?;
    set_limits(&fleet.db.howdah).await?;
    let mut jobs: Vec<usize> = (0..JOBS).collect();
    fleet.seed.shuffle(&mut jobs);
    for (jobs, fault) in jobs.chunks(JOBS / 9).zip(fleet.plan()) {
        let so_far = fleet.ends()?;
        enqueue(&mut fleet, jobs).await?;
        fleet.start()?;
        fleet.suffer(fault, so_far + 15).await?;
    }
    fleet.rest().await?;
    let db = &fleet.db;
    let ends = "SELECT string_agg(format('%s %s', state, jobs), ', ' ORDER BY state) FROM (SELECT state, count(*) AS jobs FROM howdah.jobs GROUP BY 1) s";
    assert_eq!(db.text(ends).await?, "completed 450, dead 90");
    let twice = "SELECT count(*) FROM (SELECT FROM (
        SELECT r.first_id + g AS id FROM howdah.receipt, unnest(first_ids, counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
        UNION ALL SELECT job_id FROM howdah.dead) e GROUP BY id HAVING count(*) > 1) x";
    assert_eq!(db.number(twice).await?, 0, "each has ended once");
    assert_eq!(db.text("SELECT lease_id FROM claim_seen GROUP BY 1 HAVING count(*) > 1 LIMIT 1").await?, "");
    for mine in ["j.options -> 'limit_key' ? 'rate'", "j.queue_id = howdah.queue_id('paced')"] {
        let over = OVER.replace("MINE", mine).replace("BURST", &BURST.to_string()).replace("RATE", &RATE.to_string());
        assert!(db.text(&over).await?.parse::<f64>()? < 0.001, "{mine}: {} tokens too many", db.text(&over).await?);
    }
    let asked = asked(db).await?;
    let records = fleet.records().await?;
    let runs = records.runs()?;
    let mut attempts = HashSet::new();
    for run in &runs {
        assert!(attempts.insert((run.job, run.attempt)), "two runs of one attempt: {run:?}");
    }
    assert_eq!(runs.iter().map(|run| run.job).collect::<HashSet<_>>().len(), asked.len());
    let orders = asked.values().flat_map(|a| &a.groups).filter(|g| g.starts_with("order ")).collect::<HashSet<_>>();
    let limits = limits().into_iter().map(|(group, most)| (group.to_owned(), most));
    for (group, limit) in limits.chain(orders.into_iter().map(|order| (order.clone(), 1))) {
        let most = most(runs.iter().filter(|run| asked[&run.job].groups.contains(&group)));
        assert!((1..=limit).contains(&most), "{group}: {most} at the same time");
    }
    check_order(&runs, &asked)?;
    println!("{} runs of {} jobs", runs.len(), asked.len());
    fleet.end().await
}
