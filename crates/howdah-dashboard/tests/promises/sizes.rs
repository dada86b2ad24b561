//! What pages cost the server, with few jobs and with many.
//!
//! `HOWDAH_ROWS=10000000 cargo test -p howdah-dashboard --test promises -- sizes:: --nocapture` tells the time of each page with ten million jobs that
//! wait and as many that are due later. Limit: left out where the server has no pg_stat_statements.

use anyhow::{Context as _, Result};
use howdah::Howdah;
use howdah_devdb::{Durability, Server};
use howdah_tests::{Db, fill};
use sqlx::postgres::PgPoolOptions;

use crate::desk::Desk;

const FEW: usize = 2_000;
const MANY: usize = 200_000;
/// What indexes that are deeper, and counts that go up to a bound, may cost more with many jobs than with few, in pages of 8 kB.
const MORE: i64 = 300;

/// How often each page is asked for.
const TIMES: usize = 3;
/// What has been read since the last reset, in pages of 8 kB, and in how many milliseconds.
const COST: &str = "SELECT concat_ws(' ', coalesce(sum(shared_blks_hit + shared_blks_read), 0), coalesce(sum(total_exec_time + total_plan_time), 0))
                      FROM pg_stat_statements WHERE toplevel AND query !~ 'pg_stat_statements'";

const PAGES: [&str; 22] = [
    "/",
    "/jobs",
    "/jobs?q=kind:k",
    "/jobs?q=state:dead",
    "/jobs?q=state:scheduled+kind:k",
    "/jobs?q=queue:default+state:ready",
    "/jobs?q=args.user.id:42",
    "/jobs/ID",
    "/queues",
    "/queues/one?name=default",
    "/kinds",
    "/kinds?since=7d",
    "/errors",
    "/cron",
    "/workflows",
    "/workers",
    "/operations",
    "/operations/audit",
    "/operations/new?q=state:ready",
    "/health",
    "/metrics",
    "/api/v1/scale",
];

/// For each page how many buffers the server has read for it, and how many milliseconds it took; none: nothing counts them.
async fn costs(server: &Server, rows: usize) -> Result<Option<Vec<(i64, f64)>>> {
    let db = Db::on(server).await?;
    if db.run("CREATE EXTENSION pg_stat_statements").await.is_err() {
        return Ok(None);
    }
    fill(&db, rows).await?;
    // Errors in a hundred groups, and statistics of some days.
    db.run(
        "SELECT count(*) FROM howdah.enqueue_many('broken', array_fill('{}'::jsonb, '{300}'), max_attempts => 1);
         SELECT count(f.*) FROM (SELECT lease_id, array_agg(id) AS ids, array_agg('discard'::text) AS verdicts, array_agg('E' || id % 100) AS kinds, array_agg('no ' || id) AS said
           FROM howdah.claim(howdah.start_worker('w'), 'default', 300, ARRAY['broken']) GROUP BY 1) c, howdah.fail(c.lease_id, c.ids, c.verdicts, c.kinds, c.said) f;
         INSERT INTO howdah.stat_hour SELECT date_bin('1 hour', howdah.now() - n * interval '1 hour', '2000-01-01 00:00:00Z'), 1, 'kind ' || k,
                1, 1, 1, 1, 1, 1, 1, 1, 1, '{0,1,2,3,4,5}', '{1}' FROM generate_series(0, 200) n, generate_series(1, 50) k;
         INSERT INTO howdah.stat_day SELECT DISTINCT ON (1, 2, 3) date_bin('1 day', h.at, '2000-01-01 00:00:00Z'), h.queue_id, h.kind,
                1, 1, 1, 1, 1, 1, 1, 1, 1, h.runs, h.waits FROM howdah.stat_hour h;
         ANALYZE",
    )
    .await?;
    let id = db.text("SELECT max(first_id) FROM howdah.ticket").await?;
    // One session, which knows the catalog after the first time: what several of them read of it is chance, and some thousand pages.
    let one = PgPoolOptions::new().max_connections(1).connect_with((*db.pool().connect_options()).clone()).await?;
    let howdah = Howdah::from_pool(one);
    let open = |db| Desk::over(db, howdah.clone(), |dashboard| dashboard.router());
    let (mut costs, mut desk) = (Vec::new(), open(db));
    for page in PAGES {
        let page = page.replace("ID", &id);
        // The cheapest of several times: what somebody has analyzed meanwhile is looked up in the catalog again.
        let mut least: Option<(i64, f64)> = None;
        for _ in 0..TIMES {
            // A dashboard that remembers nothing of the time before.
            desk = open(desk.db);
            desk.db.run("SELECT pg_stat_statements_reset()").await?;
            desk.get(&page).await.ok();
            let cost = desk.text(COST).await;
            let (blocks, ms) = cost.split_once(' ').context(cost.clone())?;
            let cost = (blocks.parse()?, ms.parse()?);
            least = Some(least.filter(|least| least.0 <= cost.0).unwrap_or(cost));
        }
        costs.extend(least);
    }
    Ok(Some(costs))
}

#[tokio::test]
async fn a_page_reads_as_much_before_many_jobs_as_before_few() -> Result<()> {
    let rows = std::env::var("HOWDAH_ROWS").map_or(Ok(MANY), |rows| rows.parse())?;
    let server = Server::builder()
        .private()
        .durability(Durability::Fast)
        .setting("shared_preload_libraries", "pg_stat_statements")
        .setting("shared_buffers", "512MB");
    // Not every server has that library; without it this one does not start.
    let server = match server.start().await {
        Err(error) if format!("{error:?}").contains("pg_stat_statements") => {
            println!("left out: {error}");
            return Ok(());
        }
        started => started?,
    };
    let (Some(few), Some(many)) = (costs(&server, FEW).await?, costs(&server, rows).await?) else {
        println!("left out: the server has no pg_stat_statements");
        return Ok(server.stop().await?);
    };
    for ((page, few), many) in PAGES.iter().zip(&few).zip(&many) {
        println!(
            "{page:36} {:6} pages {:6.1} ms with {FEW}, {:6} pages {:6.1} ms with {rows}",
            few.0, few.1, many.0, many.1
        );
    }
    for ((page, few), many) in PAGES.iter().zip(&few).zip(&many) {
        // A search that finds nothing looks until its time is over.
        if page.contains("args.") {
            continue;
        }
        assert!(
            many.0 < few.0 * 3 / 2 + MORE,
            "{page} reads {} pages with {FEW} jobs and {} with {rows}",
            few.0,
            many.0
        );
    }
    Ok(server.stop().await?)
}
