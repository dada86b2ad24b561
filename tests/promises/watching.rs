//! What is for those who look all day: what has happened since a look, and what a live screen shows.

use std::collections::BTreeSet;

use anyhow::Result;
use howdah_admin::{Admin, What};
use howdah_tests::Db;
use serde_json::Value;
use sqlx::PgPool;

/// One look in SQL: where now is, and what has happened, as pairs of event and id.
async fn look(pool: &PgPool, seen: Option<&str>, search: &str) -> Result<(String, Vec<(String, i64)>)> {
    let statement = "SELECT now, events FROM howdah.tail($1::text::pg_snapshot, $2::text::jsonb)";
    let (now, events): (String, Value) = sqlx::query_as(statement).bind(seen).bind(search).fetch_one(pool).await?;
    let event = |e: &Value| (e["event"].as_str().unwrap_or_default().to_owned(), e["id"].as_i64().unwrap_or(0));
    Ok((now, events.as_array().into_iter().flatten().map(event).collect()))
}

async fn enqueue(pool: &PgPool, kind: &str) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT howdah.enqueue($1)").bind(kind).fetch_one(pool).await?)
}

/// Leases and ids of all that is ready.
async fn claim(pool: &PgPool) -> Result<Vec<(i64, i64)>> {
    let claim =
        "SELECT c.lease_id, c.id FROM (SELECT howdah.start_worker('w') AS id) w, howdah.claim(w.id, 'default', 500) c";
    Ok(sqlx::query_as(claim).fetch_all(pool).await?)
}

async fn fail(pool: &PgPool, (lease, job): (i64, i64), verdict: &str) -> Result<()> {
    let fail = "SELECT howdah.fail($1, ARRAY[$2], ARRAY[$3], '{E}', '{no paper}')";
    sqlx::query(fail).bind(lease).bind(job).bind(verdict).execute(pool).await?;
    Ok(())
}

const COMPLETE: &str = "SELECT howdah.complete($1, ARRAY[$2])";

#[tokio::test]
async fn what_begins_fails_dies_completes_and_is_cancelled_is_told_in_order() -> Result<()> {
    let db = Db::new().await?;
    let pool = db.pool();
    let (now, events) = look(pool, None, "{}").await?;
    assert!(events.is_empty(), "{events:?}");
    let mut ids = Vec::new();
    for kind in ["a", "b", "c", "d"] {
        ids.push(enqueue(pool, kind).await?);
    }
    assert!(look(pool, Some(&now), "{}").await?.1.is_empty(), "what waits has not begun");
    let claimed = claim(pool).await?;
    let (later, events) = look(pool, Some(&now), "{}").await?;
    assert_eq!(events, ids.iter().map(|id| ("began".to_owned(), *id)).collect::<Vec<_>>());
    fail(pool, claimed[0], "retry").await?;
    fail(pool, claimed[1], "discard").await?;
    sqlx::query(COMPLETE).bind(claimed[2].0).bind(ids[2]).execute(pool).await?;
    let waiting = enqueue(pool, "e").await?;
    sqlx::query("SELECT howdah.cancel($1)").bind(waiting).execute(pool).await?;
    let told = look(pool, Some(&later), "{}").await?.1;
    let told: Vec<_> = told.iter().filter(|(event, _)| event != "began").map(|(e, id)| (e.as_str(), *id)).collect();
    assert_eq!(told, [("failed", ids[0]), ("dead", ids[1]), ("completed", ids[2]), ("cancelled", waiting)]);
    let only = look(pool, Some(&later), r#"{"row": "$.kind == \"b\""}"#).await?.1;
    assert_eq!(only, [("dead".to_owned(), ids[1])]);
    Ok(())
}

#[tokio::test]
async fn what_is_committed_late_is_told_when_it_is_also_from_inside_of_a_savepoint() -> Result<()> {
    let db = Db::new().await?;
    let pool = db.pool();
    let id = enqueue(pool, "a").await?;
    let claimed = claim(pool).await?;
    let mut open = pool.begin().await?;
    sqlx::query("SAVEPOINT inside").execute(&mut *open).await?;
    sqlx::query("SELECT howdah.complete_in($1, $2)").bind(claimed[0].0).bind(id).execute(&mut *open).await?;
    sqlx::query("RELEASE inside").execute(&mut *open).await?;
    // Others write and commit meanwhile, so that what is open is older than what was seen.
    enqueue(pool, "b").await?;
    let (seen, events) = look(pool, None, "{}").await?;
    assert!(events.is_empty(), "{events:?}");
    let (seen, events) = look(pool, Some(&seen), "{}").await?;
    assert!(events.iter().all(|(event, _)| event == "began"), "{events:?}");
    open.commit().await?;
    let events = look(pool, Some(&seen), "{}").await?.1;
    assert!(events.contains(&("completed".to_owned(), id)), "{events:?}");
    Ok(())
}

#[tokio::test]
async fn a_follower_is_told_each_event_once_however_often_the_database_tells_it() -> Result<()> {
    let db = Db::new().await?;
    let pool = db.pool();
    let admin = Admin::new(db.howdah.clone());
    let mut tail = admin.tail(&"".parse()?);
    assert!(tail.look().await?.events.is_empty());
    // As long as this is open, the database tells again what came after it.
    let mut open = pool.begin().await?;
    sqlx::query("SELECT howdah.enqueue('z')").execute(&mut *open).await?;
    let mut told = Vec::new();
    let mut expected = BTreeSet::new();
    for _ in 0..3 {
        let id = enqueue(pool, "a").await?;
        let claimed = claim(pool).await?;
        told.extend(tail.look().await?.events);
        sqlx::query(COMPLETE).bind(claimed[0].0).bind(id).execute(pool).await?;
        told.extend(tail.look().await?.events);
        expected.extend([("began", id), ("completed", id)]);
    }
    open.rollback().await?;
    told.extend(tail.look().await?.events);
    let seen: Vec<_> = told.iter().map(|(event, _)| (event.event.as_str(), event.id.0)).collect();
    assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert!(told.iter().all(|(event, json)| event.time().is_some() && json.contains("\"kind\": \"a\"")));
    Ok(())
}

#[tokio::test]
async fn a_look_is_bounded_and_says_that_something_is_left_out() -> Result<()> {
    let db = Db::new().await?;
    let pool = db.pool();
    let mut tail = Admin::new(db.howdah.clone()).tail(&"".parse()?);
    tail.look().await?;
    let many =
        "SELECT count(*) FROM howdah.enqueue_many('bulk', ARRAY(SELECT '{}'::jsonb FROM generate_series(1, 1500)))";
    sqlx::query(many).execute(pool).await?;
    for _ in 0..3 {
        claim(pool).await?;
    }
    let look = tail.look().await?;
    assert!(look.more && look.events.len() == 1000 && look.gap.is_none(), "{} {}", look.more, look.events.len());
    assert!(look.events.iter().all(|(event, _)| event.event == What::Began));
    Ok(())
}

#[tokio::test]
async fn the_overview_shows_what_waits_runs_and_has_happened_lately() -> Result<()> {
    let db = Db::new().await?;
    let (pool, howdah) = (db.pool(), db.howdah.clone());
    for kind in ["a", "b", "c", "d"] {
        enqueue(pool, kind).await?;
    }
    let admin = Admin::new(howdah.clone());
    let claimed = claim(pool).await?;
    fail(pool, claimed[0], "retry").await?;
    fail(pool, claimed[1], "discard").await?;
    sqlx::query(COMPLETE).bind(claimed[2].0).bind(claimed[2].1).execute(pool).await?;
    enqueue(pool, "e").await?;
    howdah.pause_queue("default", Some("ann"), Some("lunch")).await?;
    let overview = admin.overview().await?;
    let queue = &overview.queues[0];
    assert_eq!((queue.ready, queue.running, queue.scheduled, queue.dead, queue.blocked), (1, 1, 1, 1, 0));
    assert_eq!((queue.completed, queue.failed), (1, 2));
    assert_eq!((queue.paused, queue.paused_by.as_deref()), (true, Some("ann")));
    assert!(queue.oldest_ready_at.is_some_and(|at| at <= overview.at));
    assert_eq!((overview.workers[0].name.as_str(), overview.workers[0].running), ("w", 1));
    Ok(())
}

#[tokio::test]
async fn what_is_no_span_and_no_number_is_refused() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for (call, field) in [
        ("howdah.pace('2 minutes')", "span"),
        ("howdah.pace(NULL)", "span"),
        ("howdah.pace('0 s')", "span"),
        ("howdah.tail(most => 0)", "most"),
        ("howdah.tail(most => 1001)", "most"),
        ("howdah.tail(search => '[]')", "search"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT {call}")).await?, format!("HD002 {field}"), "{call}");
    }
    Ok(())
}
