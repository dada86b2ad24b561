//! What the library refuses of an argument before it costs the caller a transaction, or is taken for something else.

use std::time::Duration;

use anyhow::Result;
use howdah::{Error, Graph, Howdah, Job, Limit, Schedule};
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
