//! Who waits for a job hears of its end, or why that cannot be; and nobody of the same process waits for another's fault.

use anyhow::{Context, Result};
use howdah::{Ended, Error, Howdah, Job, JobId, Jobs};
use howdah_tests::{Db, in_time};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

#[derive(Job, Serialize, Deserialize)]
struct Plain {}

/// A job that has ended.
async fn cancelled(db: &Db) -> Result<JobId> {
    let id = db.howdah.enqueue(Plain {}).await?;
    db.howdah.cancel(id).await?;
    Ok(id)
}

#[tokio::test]
async fn an_id_that_no_job_can_have_is_unknown_to_whoever_asks() -> Result<()> {
    let db = Db::new().await?;
    let ended = cancelled(&db).await?;
    let mut session = db.session().await?;
    for id in [i64::MAX, i64::MAX - 127, i64::MAX - 128, (1 << 53) + 128, -1, i64::MIN] {
        let howdah = &db.howdah;
        // Together with one that exists: they are in one question.
        let (unknown, known) =
            in_time("both", async { tokio::join!(howdah.wait::<Plain>(JobId(id)), howdah.wait::<Plain>(ended)) })
                .await?;
        assert!(matches!(unknown, Err(Error::UnknownJob { job }) if job.0 == id), "{id}: {unknown:?}");
        assert_eq!(known?, Ended::Cancelled, "beside {id}");
        assert_eq!(howdah.find(Jobs::ids([JobId(id), ended])).await?.len(), 1);
        for asked in [
            "state IS NULL FROM howdah.state($1) state",
            "state IS NULL FROM howdah.delete($1) state",
            "state IS NULL FROM howdah.cancel($1) state",
            "state IS NULL FROM howdah.retry($1) state",
            "state IS NULL FROM howdah.wait_for(ARRAY[$1])",
            "count(*) = 0 FROM howdah.jobs_of(ARRAY[$1])",
            "count(*) = 0 FROM howdah.jobs WHERE id = $1",
        ] {
            let sql = format!("SELECT {}", asked.replace("$1", &format!("'{id}'::bigint")));
            assert_eq!(session.text(&sql).await.with_context(|| sql.clone())?, "true", "{sql}");
        }
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.waiter").await?, 0);
    Ok(())
}

#[tokio::test]
async fn who_may_not_wait_is_told_so_and_keeps_nobody_from_waiting() -> Result<()> {
    let db = Db::new().await?;
    let ended = cancelled(&db).await?;
    let role = format!("nobody_{}", db.text("SELECT current_database()").await?);
    db.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await?;
    let (_, place) = db.url().split_once('@').context("a URL with a user")?;
    let howdah = Howdah::connect(&format!("postgres://{role}:x@{place}")).await?;
    let refused = in_time("an answer", howdah.wait::<Plain>(ended)).await;
    // Whoever asks next is answered anew: the right may have been given meanwhile.
    db.run(&format!("GRANT {} TO {role}", db.text("SELECT current_user").await?)).await?;
    let granted = in_time("an answer", howdah.wait::<Plain>(ended)).await;
    howdah.pool().close().await;
    db.run(&format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{role}'; DROP ROLE {role}"
    ))
    .await?;
    let refused = refused?.unwrap_err();
    assert!(matches!(&refused, Error::Database(_)) && refused.to_string().contains("permission denied"), "{refused}");
    assert_eq!(granted??, Ended::Cancelled);
    Ok(())
}

#[tokio::test]
async fn who_waits_where_no_queue_is_installed_is_told_so() -> Result<()> {
    let db = Db::empty().await?;
    let howdah = db.howdah.clone();
    let none = in_time("an answer", howdah.wait_all::<Plain>([JobId(128), JobId(256)])).await?.unwrap_err();
    assert!(matches!(none, Error::Database(_)), "{none}");
    Ok(())
}

/// A program, or a test, may have several runtimes, and each may end at any moment.
#[test]
fn a_wait_is_served_after_a_runtime_that_never_ran_the_task_of_the_one_before() -> Result<()> {
    let lasting = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let db = lasting.block_on(Db::new())?;
    let ended = lasting.block_on(cancelled(&db))?;
    let short = Builder::new_current_thread().enable_all().build()?;
    short.block_on(async {
        tokio::select! {
            biased;
            _ = db.howdah.wait::<Plain>(ended).into_future() => {}
            () = std::future::ready(()) => {}
        }
    });
    drop(short);
    let heard = lasting.block_on(in_time("the end", db.howdah.wait::<Plain>(ended)))??;
    assert_eq!(heard, Ended::Cancelled);
    Ok(())
}
