//! What the library refuses of an argument before it costs the caller a transaction, or is taken for something else.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use howdah::{Error, Graph, Howdah, Job, KindSettings, Limit, QueueSettings, Retry, Schedule, Unique};
use howdah_tests::Db;
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "declared")]
struct Declared {}

/// The field that a refusal names.
fn refused<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) -> String {
    match result {
        Err(Error::Invalid { field, .. }) => field,
        other => format!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn a_limit_that_says_nothing_or_what_its_scope_has_not_takes_no_limit_away() -> Result<()> {
    let db = Db::new().await?;
    let howdah = &db.howdah;
    let (key, share) = (Limit::key("k").max_running(5), Limit::share("s").weight(3));
    howdah.set_limit(key.clone()).await?;
    howdah.set_limit(share.clone()).await?;
    for (limit, field) in [
        (Limit::key("k").weight(5), "weight"),
        (Limit::key("k").max_running(3).weight(4), "weight"),
        (Limit::share("s").max_running(3), "max_running"),
        (Limit::share("s").burst(3).weight(3), "rate_burst"),
        (Limit::key("k"), "limit"),
        (Limit::key("k").burst(2), "limit"),
        (Limit::share("s"), "limit"),
    ] {
        assert_eq!(refused("set_limit", howdah.set_limit(limit.clone()).await), field, "{limit:?}");
    }
    assert_eq!(howdah.limits().await?, [key, share]);
    // As a whole: what is not said goes.
    howdah.set_limit(Limit::key("k").rate(2, Duration::from_secs(1))).await?;
    assert_eq!(howdah.limits().await?[0].max_running, None);
    Ok(())
}

#[tokio::test]
async fn what_is_no_number_is_no_wish_for_the_default() -> Result<()> {
    let db = Db::new().await?;
    let howdah = &db.howdah;
    let queue = howdah.set_queue("default", &QueueSettings::new().retry_factor(3.0).retry_jitter(0.5)).await?;
    let kind = howdah.set_kind("k", &KindSettings::new().retry_factor(4.0).retry_jitter(0.25)).await?;
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (factor, jitter) = (QueueSettings::new().retry_factor(wrong), QueueSettings::new().retry_jitter(wrong));
        assert_eq!(refused("queue", howdah.set_queue("default", &factor).await), "retry_factor");
        assert_eq!(refused("queue", howdah.set_queue("default", &jitter).await), "retry_jitter");
        assert_eq!(refused("new queue", howdah.create_queue_with("q", &factor).await), "retry_factor");
        let (factor, jitter) = (KindSettings::new().retry_factor(wrong), KindSettings::new().retry_jitter(wrong));
        assert_eq!(refused("kind", howdah.set_kind("k", &factor).await), "retry_factor");
        assert_eq!(refused("kind", howdah.set_kind("k", &jitter).await), "retry_jitter");
        let retry = Retry::exponential(Duration::from_secs(1));
        for retry in [retry.factor(wrong), retry.jitter(wrong)] {
            assert_eq!(refused("job", howdah.enqueue_raw("k", &()).retry(retry).await), "retry");
            let schedule = Schedule::new("s", "@hourly").raw("k", &()).retry(retry);
            assert_eq!(refused("schedule", howdah.set_schedule(&schedule).await), "retry");
        }
    }
    assert_eq!(howdah.queue_settings("default").await?, queue);
    assert_eq!(howdah.kind_settings("k").await?, kind);
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_declared_queue_that_was_deleted_is_made_again_by_workflows_and_schedules() -> Result<()> {
    let db = Db::new().await?;
    let other = Howdah::connect(db.url()).await?;
    let graph = || Graph::new().job("a", Declared {});
    let schedule = Schedule::new("s", "@hourly").job(Declared {});
    db.howdah.workflow("w", graph()).await?;
    other.delete_queue("declared", true).await?;
    db.howdah.workflow("w", graph()).await?;
    other.delete_queue("declared", true).await?;
    db.howdah.workflow("w", graph()).with_end().await?;
    other.delete_queue("declared", true).await?;
    db.howdah.set_schedule(&schedule).await?;
    other.delete_schedule("s").await?;
    other.delete_queue("declared", true).await?;
    // A transaction in which that happens is lost; the next one goes right.
    for right in [false, true] {
        let mut tx = db.pool().begin().await?;
        assert_eq!(db.howdah.workflow("w", graph()).on(&mut tx).await.is_ok(), right);
    }
    Ok(())
}

#[tokio::test]
async fn a_text_with_nul_is_refused_by_the_name_of_its_field() -> Result<()> {
    let db = Db::new().await?;
    let howdah = &db.howdah;
    let before = db.content().await?;
    let job = || howdah.enqueue_raw("k", &());
    let node = |name: &str, kind: &str| Graph::new().job_raw(name, kind, &());
    let nul = "a\0b";
    let told = [
        ("by", refused("pause", howdah.pause_queue("default", Some(nul), None).await)),
        ("reason", refused("pause", howdah.pause_queue("default", None, Some(nul)).await)),
        ("traceparent", refused("job", job().traceparent(nul).await)),
        ("limit_key", refused("job", job().limit_key("a").limit_key(nul).await)),
        ("order_key", refused("job", job().order_key(nul).await)),
        ("fair_key", refused("job", job().fair_key(nul).await)),
        ("fair_key", refused("jobs", howdah.enqueue_many_raw("k", [1]).fair_key(nul).await)),
        ("attributes", refused("job", job().attribute("a", serde_json::json!({ "b": [nul] })).await)),
        ("attributes", refused("job", job().attribute("a", serde_json::json!({ nul: 1 })).await)),
        ("settings", refused("queue", howdah.set_queue("default", &QueueSettings::new().set(nul, 1)).await)),
        ("a", refused("queue", howdah.create_queue_with("q", &QueueSettings::new().set("a", nul)).await)),
        ("retry_policy", refused("kind", howdah.set_kind("k", &KindSettings::new().retry_policy(nul)).await)),
        ("jobs", refused("node", howdah.workflow("w", node(nul, "k")).await)),
        ("jobs", refused("node", howdah.workflow("w", node("a", nul)).await)),
        ("jobs", refused("node", howdah.workflow("w", node("a", "k").after([nul])).await)),
        ("jobs", refused("node", howdah.workflow("w", node("a", "k").queue(nul)).await)),
    ];
    for (field, told) in told {
        assert_eq!(field, told);
    }
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_span_that_is_too_long_is_refused_by_the_name_of_its_field() -> Result<()> {
    let db = Db::new().await?;
    let howdah = &db.howdah;
    let id = howdah.enqueue_raw("k", &()).await?;
    let before = db.content().await?;
    for long in [Duration::MAX, Duration::from_secs(20_000_000_000_000), Duration::from_secs(9_300_000_000_000)] {
        let unique = Unique::key("a").within(long);
        assert_eq!(refused("unique", howdah.enqueue_raw("k", &()).unique(unique).await), "period", "{long:?}");
        assert_eq!(refused("delay", howdah.delay(id, long).await), "delay", "{long:?}");
        assert_eq!(refused("signal", howdah.signal("s", &1).keep_for(long).await), "keep_for", "{long:?}");
        let purged = howdah.purge(howdah::JobState::Completed, long, None).await;
        assert_eq!(refused("purge", purged), "older_than", "{long:?}");
    }
    assert_eq!(db.content().await?, before);
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(568_000_000_000);
    let runs = Schedule::new("s", "@hourly").raw("k", &()).next_runs(far, 3);
    assert_eq!(refused("next_runs", runs), "after");
    Ok(())
}

#[tokio::test]
async fn a_batch_of_nothing_is_held_to_its_options() -> Result<()> {
    let db = Db::new().await?;
    let none = || db.howdah.enqueue_many_raw("k", Vec::<i32>::new());
    assert!(none().await?.is_empty());
    assert_eq!(refused("many", none().priority(77).await), "priority");
    assert_eq!(refused("many", none().max_attempts(0).await), "max_attempts");
    assert!(matches!(none().queue("nowhere").await, Err(Error::UnknownQueue { .. })));
    Ok(())
}
