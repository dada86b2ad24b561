//! Filters on attributes: what they match, what is refused, and what a worker with one does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use howdah::{Ctx, Filter, FoundJob, JobError, Jobs, RawJob, Worker};
use howdah_tests::{Db, Session, start};
use serde_json::{Value, json};

/// A job for each of these attributes, whose kind is its number in the list.
async fn with_attributes(db: &Db, all: &[Value]) -> Result<()> {
    for (n, attributes) in all.iter().enumerate() {
        sqlx::query("SELECT howdah.enqueue($1, options => jsonb_build_object('attributes', $2::jsonb))")
            .bind(n.to_string())
            .bind(attributes)
            .execute(db.pool())
            .await?;
    }
    Ok(())
}

/// The numbers of the jobs that match, in order.
async fn matches(db: &Db, filter: &Filter) -> Result<Vec<usize>> {
    let found = db.howdah.find(Jobs::all().filter(filter.clone())).await?;
    let mut numbers = found.iter().map(|job: &FoundJob| Ok(job.kind.parse()?)).collect::<Result<Vec<_>>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

#[tokio::test]
async fn a_filter_matches_what_it_says_and_converts_nothing() -> Result<()> {
    let db = Db::new().await?;
    let all = [
        json!({"a": 1}),
        json!({"a": 2, "b": true}),
        json!({"a": "1"}),
        json!({"a": null}),
        json!({}),
        json!({"a": [1, 5]}),
        json!({"a": "x.y\nz"}),
        json!({"a": -1.5}),
    ];
    with_attributes(&db, &all).await?;
    db.run("SELECT howdah.enqueue('8')").await?; // has no options at all
    let a = Filter::attr("a");
    for (filter, wanted) in [
        (a.eq(1), vec![0, 5]),
        (a.eq("1"), vec![2]),
        (a.eq(-1.5), vec![7]),
        (a.ne(1), vec![1, 3, 5, 7]),
        (a.lt(2), vec![0, 5, 7]),
        (a.le(2), vec![0, 1, 5, 7]),
        (a.gt(1), vec![1, 5]),
        (a.ge(1), vec![0, 1, 5]),
        (a.gt("0"), vec![2, 6]),
        (a.one_of([2, 5, 9]), vec![1, 5]),
        (a.one_of(["1", "x.y\nz"]), vec![2, 6]),
        (a.like("x.y%"), vec![6]),
        (a.like("x_y_z"), vec![6]),
        (a.like("xxy%"), vec![]),
        (a.like("%.%"), vec![6]),
        (a.not_like("x%"), vec![2]),
        (a.exists(), vec![0, 1, 2, 3, 5, 6, 7]),
        (a.missing(), vec![4, 8]),
        (a.is_null(), vec![3]),
        (a.is_not_null(), vec![0, 1, 2, 5, 6, 7]),
        (a.eq(2) & Filter::attr("b").eq(true), vec![1]),
        (a.eq(2) & Filter::attr("b").eq(1), vec![]),
        (a.eq(1) | a.missing(), vec![0, 4, 5, 8]),
        (!a.eq(1), vec![1, 3, 4, 7, 8]),
        (Filter::raw("$.a == 1 || $.b == true")? & a.exists(), vec![0, 1, 5]),
        (a.eq(f64::NAN) | a.one_of(Vec::<i64>::new()), vec![]),
    ] {
        assert_eq!(matches(&db, &filter).await?, wanted, "{filter}");
    }
    Ok(())
}

#[tokio::test]
async fn hostile_names_and_values_are_names_and_values() -> Result<()> {
    let db = Db::new().await?;
    let hostile = [
        "tenant",
        "a\"b",
        "a\\",
        "\\\" == 1) || (1 == 1",
        "$.tenant == 1 || true",
        "x') OR true --",
        "größe 🐘",
        "line\nbreak\ttab\r\u{1}",
        "a.b[*]",
        "/* */",
        " ",
        "%_\\%",
    ];
    let all: Vec<Value> = hostile.iter().map(|text| json!({*text: *text})).collect();
    with_attributes(&db, &all).await?;
    for (n, text) in hostile.iter().enumerate() {
        let is = Filter::attr(text);
        let like: String =
            text.chars().flat_map(|c| if "%_\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
        for filter in [is.eq(*text), is.exists(), is.one_of([*text]), is.like(&like), is.ge(*text) & is.le(*text)] {
            assert_eq!(matches(&db, &filter).await?, [n], "{filter}");
        }
    }
    // Each cancels its own job and no other.
    for (n, text) in hostile.iter().enumerate() {
        let sum = db.howdah.cancel_all(Jobs::all().filter(Filter::attr(text).eq(*text))).await?;
        assert_eq!((sum.done, db.jobs_in("cancelled").await?), (1, i64::try_from(n)? + 1), "{text}");
    }
    let nul = db.howdah.find(Jobs::all().filter(Filter::attr("a\0").eq("b"))).await.map(|_| ());
    assert!(matches!(nul, Err(howdah::Error::Invalid { field, .. }) if field == "filter"));
    Ok(())
}

#[tokio::test]
async fn what_is_no_predicate_is_refused() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for filter in [
        "$.tenant",
        "$.tenant ==",
        "$x == 1",
        "true) || (true",
        "1",
        "",
        "$ ? (@.a == 1)",
        "$.a.datetime() < \"2030-01-01\".datetime()",
        "$.a == 1 || exists($.b ? (@.datetime(\"HH24\") == 1))",
        &format!("$.a == \"{}\"", "x".repeat(9000)),
    ] {
        let filter = filter.replace('\'', "''");
        for call in [
            format!("check_filter('{filter}')"),
            format!("cancel_many(filter => '{filter}')"),
            format!("retry_many(filter => '{filter}')"),
            format!("purge_dead(filter => '{filter}')"),
            format!("find(filter => '{filter}')"),
            format!("claim_where({worker}, 'default', 1, '{filter}')"),
        ] {
            assert_eq!(session.refusal(&format!("SELECT howdah.{call}")).await?, "HD002 filter", "{call}");
        }
    }
    assert!(Filter::raw("$.a == 1) || (1 == 1").is_err(), "it would reach out of a larger filter");
    let worker = Worker::new(&db.howdah).handle_any(any).filter(Filter::raw("$.tenant")?);
    let refused = worker.run_until(std::future::pending::<()>()).await;
    assert!(matches!(refused, Err(howdah::Error::Invalid { field, .. }) if field == "filter"));
    Ok(())
}

async fn any(_: RawJob, _: Ctx<()>) -> Result<(), JobError> {
    Ok(())
}

/// What a call of `claim_where` gave: the ids, and where it stopped.
async fn claim_where(session: &mut Session, arguments: &str) -> Result<(Vec<i64>, Option<i64>)> {
    let sql = format!(
        "SELECT coalesce(id::text, '') || ' ' || coalesce(next::text, '') FROM howdah.claim_where({arguments})"
    );
    let rows = session.list(&sql).await?;
    let mut ids = Vec::new();
    let mut next = None;
    for row in &rows {
        let (id, at) = row.split_once(' ').unwrap_or_default();
        ids.extend(id.parse::<i64>().ok());
        next = at.parse().ok();
    }
    Ok((ids, next))
}

#[tokio::test]
async fn a_filtered_claim_takes_its_jobs_and_leaves_the_others_in_their_order() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    // One ticket cannot hold jobs of several attributes: what matches is in tickets of its own, and in those of change.
    let mut odd = Vec::new();
    let mut even = Vec::new();
    for n in 0..40 {
        let sql = format!("SELECT howdah.enqueue('k', options => '{{\"attributes\": {{\"n\": {}}}}}')", n % 2);
        let id = session.number(&sql).await?;
        if n % 2 == 1 { odd.push(id) } else { even.push(id) }
    }
    session.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{300}'), options => '{\"attributes\": {\"n\": 1}}')").await?;
    let run: Vec<i64> = session
        .list("SELECT id FROM howdah.jobs ORDER BY id DESC LIMIT 300")
        .await?
        .iter()
        .rev()
        .flat_map(|id| id.parse())
        .collect();
    odd.extend(&run);
    let (first, next) = claim_where(&mut session, &format!("{worker}, 'default', 30, '$.n == 1'")).await?;
    assert_eq!(first, odd[..30], "in the order enqueued, and from the middle of a run");
    let (second, _) =
        claim_where(&mut session, &format!("{worker}, 'default', 500, '$.n == 1', after => {}", next.unwrap_or(0)))
            .await?;
    assert_eq!(second, odd[30..], "it goes on where it stopped");
    let rest = session.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 500)")).await?;
    assert_eq!(rest, even.iter().map(i64::to_string).collect::<Vec<_>>());
    assert_eq!(session.number("SELECT count(*) FROM howdah.ticket").await?, 0);
    assert_eq!(session.number("SELECT count(*) FROM howdah.jobs WHERE state = 'running' AND attempt = 1").await?, 340);
    Ok(())
}

#[tokio::test]
async fn a_filtered_claim_takes_single_jobs_out_of_a_run() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{128}'))").await?;
    session.run("UPDATE howdah.job SET options = '{\"attributes\": {\"n\": 1}}' WHERE id % 10 = 3").await?;
    let wanted = session.list("SELECT id FROM howdah.job WHERE id % 10 = 3 ORDER BY id").await?;
    let (found, next) = claim_where(&mut session, &format!("{worker}, 'default', 500, '$.n == 1'")).await?;
    assert_eq!(found.iter().map(i64::to_string).collect::<Vec<_>>(), wanted);
    assert_eq!(next, None, "it has seen everything");
    let rest = session.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 500)")).await?;
    assert_eq!(rest, session.list("SELECT id FROM howdah.job WHERE id % 10 <> 3 ORDER BY id").await?);
    Ok(())
}

#[tokio::test]
async fn a_filtered_claim_looks_at_a_bounded_number_of_jobs_and_says_that_there_are_more() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT count(howdah.enqueue('k')) FROM generate_series(1, 1000)").await?;
    let rare = session.number("SELECT howdah.enqueue('k', options => '{\"attributes\": {\"n\": 1}}')").await?;
    let mut calls = 0;
    let mut after = "NULL".to_owned();
    let found = loop {
        let (ids, next) =
            claim_where(&mut session, &format!("{worker}, 'default', 10, '$.n == 1', most => 100, after => {after}"))
                .await?;
        calls += 1;
        match next {
            Some(next) if ids.is_empty() => after = next.to_string(),
            _ => break ids,
        }
    };
    assert_eq!((found, calls), (vec![rare], 11));
    // What an earlier walk has seen is passed over; what came in front of a place is found, and nothing behind it.
    let since = session.number("SELECT howdah.last_id()").await?;
    let urgent =
        session.number("SELECT howdah.enqueue('k', priority => 0, options => '{\"attributes\": {\"n\": 1}}')").await?;
    let behind = session.number("SELECT howdah.enqueue('k', options => '{\"attributes\": {\"n\": 1}}')").await?;
    let back = format!("{worker}, 'default', 10, '$.n == 1', most => 100, since => {since}, before => {after}");
    assert_eq!(claim_where(&mut session, &back).await?.0, [urgent]);
    let on = format!("{worker}, 'default', 10, '$.n == 1', most => 100, since => {since}");
    assert_eq!(claim_where(&mut session, &on).await?, (vec![behind], None));
    // A plain claim is not in the way of any of this.
    assert_eq!(session.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 500)")).await?.len(), 500);
    Ok(())
}

#[tokio::test]
async fn filtered_claims_at_once_get_each_job_once() -> Result<()> {
    let db = Db::new().await?;
    db.run(
        "SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{2000}'), options => '{\"attributes\": {\"n\": 1}}')",
    )
    .await?;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..6 {
        let (mut session, worker) = (db.session().await?, db.worker().await?);
        tasks.spawn(async move {
            let mut all = Vec::new();
            loop {
                let ids = if n % 3 == 0 {
                    session.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 7)")).await?
                } else {
                    session
                        .list(&format!(
                            "SELECT id FROM howdah.claim_where({worker}, 'default', 7, '$.n == 1') WHERE id IS NOT NULL"
                        ))
                        .await?
                };
                all.extend(ids.clone());
                if ids.is_empty() && session.number("SELECT count(*) FROM howdah.ticket").await? == 0 {
                    return anyhow::Ok(all);
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Some(ids) = tasks.join_next().await {
        all.extend(ids??);
    }
    assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (2000, 2000));
    Ok(())
}

type Seen = Arc<std::sync::Mutex<HashMap<i64, usize>>>;

async fn note(job: RawJob, cx: Ctx<Seen>) -> Result<(), JobError> {
    let _ = job;
    *cx.lock().map_err(|_| std::fmt::Error)?.entry(cx.id().0).or_default() += 1;
    Ok(())
}

#[tokio::test]
async fn a_worker_runs_only_what_its_filter_says_and_hears_of_more() -> Result<()> {
    let db = Db::new().await?;
    let seen = Seen::default();
    db.run("SELECT count(howdah.enqueue('k', options => jsonb_build_object('attributes', jsonb_build_object('n', g % 5)))) FROM generate_series(1, 6000) g").await?;
    let worker = start(
        Worker::new(&db.howdah)
            .state(Arc::clone(&seen))
            .queue("default", 10)
            .handle_any(note)
            .filter(Filter::attr("n").eq(3)),
    );
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "1200").await?;
    // It has seen the rest, and sleeps; a new one wakes it, however many others there are.
    db.wait_for("SELECT bool_and(asleep) FROM howdah.workers", "true").await?;
    let urgent = "SELECT howdah.enqueue('k', priority => 0, options => '{\"attributes\": {\"n\": 3}}')";
    let last = db.number(urgent).await?;
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {last}"), "completed").await?;
    // One that comes back is found, though its number is old.
    let later =
        db.number("SELECT howdah.enqueue('k', delay => '50 ms', options => '{\"attributes\": {\"n\": 3}}')").await?;
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {later}"), "completed").await?;
    worker.stop().await?;
    assert_eq!(db.jobs_in("ready").await?, 4800);
    let seen = seen.lock().map_err(|_| std::fmt::Error)?;
    assert!(seen.len() == 1202 && seen.values().all(|runs| *runs == 1), "{}", seen.len());
    Ok(())
}

#[tokio::test]
async fn a_rare_match_is_not_paid_for_by_looking_at_everything_again() -> Result<()> {
    let db = Db::new().await?;
    // How many claims stopped before they had seen everything, counted by a wrapper around a copy of what looks.
    db.run("CREATE SEQUENCE looked;
        DO $do$ BEGIN EXECUTE replace(replace(pg_get_functiondef('howdah.look_for'::regproc), 'howdah.look_for(', 'howdah.look_for_really('), 'look_for.', 'look_for_really.'); END $do$;
        CREATE OR REPLACE FUNCTION howdah.look_for(queue_id integer, jobs integer, filter jsonpath, kinds text[], after bigint, since bigint, before bigint, most integer,
          OUT ids bigint[], OUT first_ids bigint[], OUT counts smallint[], OUT next bigint) LANGUAGE plpgsql AS $$ BEGIN
          SELECT l.ids, l.first_ids, l.counts, l.next INTO ids, first_ids, counts, next
            FROM howdah.look_for_really($1, $2, $3, $4, $5, $6, $7, $8) l;
          IF next IS NOT NULL THEN PERFORM nextval('public.looked'); END IF; END $$;
        SELECT count(howdah.enqueue('k')) FROM generate_series(1, 30000)").await?;
    let worker = start(
        Worker::new(&db.howdah)
            .state(Arc::new(AtomicUsize::new(0)))
            .queue("default", 10)
            .handle_any(count)
            .filter(Filter::attr("n").eq(1)),
    );
    // Until walks believe what earlier ones have seen.
    for _ in 0..1000 {
        if looks_for_one(&db).await? == 0 {
            break;
        }
    }
    let since = Instant::now();
    let mut long_looks = 0;
    for _ in 0..60 {
        long_looks += looks_for_one(&db).await?;
    }
    // A full walk is 15 of them, and as many again that look back on a slow machine. There is one in a second at most;
    // one for each job would be 900.
    let most = 30 * (2 + i64::try_from(since.elapsed().as_secs())?);
    worker.stop().await?;
    assert!(long_looks < most, "{long_looks} looks, {most} at most");
    Ok(())
}

/// Enqueues a job that matches and waits for its end. Returns how many claims stopped half-way meanwhile.
async fn looks_for_one(db: &Db) -> Result<i64> {
    let before = db.number("SELECT last_value FROM looked").await?;
    let id = db.number("SELECT howdah.enqueue('k', options => '{\"attributes\": {\"n\": 1}}')").await?;
    db.wait_for(&format!("SELECT count(*) FROM howdah.receipt WHERE span @> {id}::bigint"), "1").await?;
    Ok(db.number("SELECT last_value FROM looked").await? - before)
}

async fn count(_: RawJob, cx: Ctx<Arc<AtomicUsize>>) -> Result<(), JobError> {
    cx.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[tokio::test]
async fn an_index_over_attributes_finds_few_among_200_000_jobs() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    session
        .run("SELECT count(*) FROM generate_series(1, 200) g, LATERAL howdah.enqueue_many('k', array_fill('1'::jsonb, '{1000}'),
                options => jsonb_build_object('attributes', jsonb_build_object('batch', g)))")
        .await?;
    let one =
        session.number("SELECT howdah.enqueue('k', options => '{\"attributes\": {\"tenant\": \"rare\"}}')").await?;
    let filter = Filter::attr("tenant").eq("rare");
    assert_eq!(
        session.text("SELECT howdah.rare_matches('$.tenant == \"rare\"') IS NULL").await?,
        "true",
        "there is no index yet"
    );
    // In the middle of an open transaction that has enqueued: nobody waits.
    let mut open = db.session().await?;
    open.run("BEGIN; SELECT howdah.enqueue('k', priority => 9)").await?;
    let statements = session.list("SELECT howdah.index_attributes()").await?;
    assert!(
        statements.iter().all(|s| s.starts_with("CREATE INDEX CONCURRENTLY") || s.starts_with("ANALYZE")),
        "{statements:?}"
    );
    open.run("COMMIT").await?;
    for statement in statements {
        session.run(&statement).await?;
    }
    assert_eq!(session.list("SELECT howdah.index_attributes()").await?, Vec::<String>::new(), "all is there");
    let plan = session.list("SELECT howdah.rare_matches('$.tenant == \"rare\"')").await?;
    assert_eq!(plan, [format!("{{{one}}}")]);
    assert_eq!(
        session.text("SELECT howdah.rare_matches('$.batch > 7') IS NULL").await?,
        "true",
        "an index is no help there"
    );
    for call in ["cancel_many(filter => '$.tenant == \"rare\"')", "find(filter => '$.tenant == \"rare\"')"] {
        session.run(&format!("BEGIN; SELECT howdah.{call}; ROLLBACK")).await?;
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) SELECT * FROM howdah.{call}");
        session.run("BEGIN").await?;
        let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_one(&mut session.0).await?;
        session.run("ROLLBACK").await?;
        let pages = plan[0]["Plan"]["Shared Hit Blocks"].as_i64().unwrap_or(i64::MAX)
            + plan[0]["Plan"]["Shared Read Blocks"].as_i64().unwrap_or(0);
        assert!(pages < 2000, "{call} read {pages} pages");
    }
    assert_eq!(db.howdah.cancel_all(Jobs::all().filter(filter)).await?.done, 1);
    assert_eq!(session.text(&format!("SELECT howdah.state({one})")).await?, "cancelled");
    let dropped = session.list("SELECT howdah.index_attributes(false)").await?;
    assert_eq!(dropped.len(), 9);
    for statement in dropped {
        session.run(&statement).await?;
    }
    assert_eq!(session.list("SELECT howdah.index_attributes(false)").await?, Vec::<String>::new());
    Ok(())
}
