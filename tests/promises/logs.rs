//! Logs of attempts: kept with them, bounded, and nothing without the layer.

use anyhow::Result;
use howdah::{Ctx, Job, JobError, JobLogs, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Instrument, debug, info, info_span, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 2)]
struct Talks {
    lines: usize,
}

async fn talks(job: Talks, cx: Ctx<()>) -> Result<(), JobError> {
    debug!("too quiet to be kept");
    for n in 1..=job.lines {
        info!(n, name = "a\0b", "line");
    }
    let attempt = cx.attempt();
    let elsewhere =
        tokio::spawn(async move { warn!("elsewhere in attempt {attempt}") }.instrument(info_span!("inner")));
    elsewhere.await?;
    tokio::spawn(async { warn!("in no span of the job") }).await?;
    if attempt == 1 { Err(JobError::retry("once")) } else { Ok(()) }
}

/// For this thread, in which the whole test runs.
fn collect(logs: JobLogs) -> DefaultGuard {
    // Another layer that sees less must not change what is kept.
    let quiet = tracing_subscriber::fmt::layer().with_writer(std::io::sink).with_filter(LevelFilter::ERROR);
    set_default(registry().with(quiet).with(logs.layer()))
}

/// Runs a job to its end, with one attempt that fails; gives what is kept, a line each.
async fn logs_of(db: &Db, lines: usize) -> Result<Vec<String>> {
    db.run("UPDATE howdah.queue SET retry_base_ms = 1, retry_cap_ms = 5").await?;
    db.howdah.enqueue(Talks { lines }).await?;
    let worker = start(Worker::new(&db.howdah).handle(talks));
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    worker.stop().await?;
    let kept = "SELECT attempt || ' ' || level || ' ' || message FROM howdah.logs ORDER BY job_id, attempt, at, line";
    db.session().await?.list(kept).await
}

#[tokio::test]
async fn what_is_logged_inside_of_an_attempt_is_kept_with_it_however_it_ends() -> Result<()> {
    let db = Db::new().await?;
    let _collects = collect(JobLogs::new());
    info!("outside of any job");
    let kept = logs_of(&db, 1).await?;
    let line = "INFO line n=1 name=\"a\\0b\"";
    assert_eq!(
        kept,
        [
            format!("1 {line}"),
            "1 WARN elsewhere in attempt 1".into(),
            format!("2 {line}"),
            "2 WARN elsewhere in attempt 2".into()
        ]
    );
    let of_the_server = "SELECT bool_and(at BETWEEN now() - interval '1 minute' AND now()) AND count(DISTINCT target) = 1 FROM howdah.logs";
    assert_eq!(db.text(of_the_server).await?, "true");
    Ok(())
}

#[tokio::test]
async fn the_oldest_lines_are_dropped_and_it_says_how_many() -> Result<()> {
    let db = Db::new().await?;
    let _collects = collect(JobLogs::new().lines(3));
    let kept = logs_of(&db, 10).await?;
    let of_one = ["WARN 8 earlier lines were dropped", "INFO line n=9 name=\"a\\0b\"", "INFO line n=10 name=\"a\\0b\""];
    let wanted = |attempt| {
        let last = format!("{attempt} WARN elsewhere in attempt {attempt}");
        of_one.iter().map(move |line| format!("{attempt} {line}")).chain([last])
    };
    assert_eq!(kept, wanted(1).chain(wanted(2)).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn an_attempt_keeps_no_more_than_its_bytes_and_its_level() -> Result<()> {
    let db = Db::new().await?;
    let _collects = collect(JobLogs::new().bytes(60));
    let kept = logs_of(&db, 5000).await?;
    assert_eq!(kept.len(), 2 * 3, "a mark, one line and the last one: {kept:?}");
    drop(_collects);
    let db = Db::new().await?;
    let _collects = collect(JobLogs::new().level(tracing::Level::WARN));
    let kept = logs_of(&db, 5).await?;
    assert_eq!(kept, ["1 WARN elsewhere in attempt 1", "2 WARN elsewhere in attempt 2"]);
    Ok(())
}

#[tokio::test]
async fn without_the_layer_nothing_is_kept_and_nobody_connects() -> Result<()> {
    let db = Db::new().await?;
    let seen = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'howdah notes'";
    db.run("UPDATE howdah.queue SET retry_base_ms = 1, retry_cap_ms = 5").await?;
    db.howdah.enqueue(Talks { lines: 3 }).await?;
    let worker = start(Worker::new(&db.howdah).handle(talks));
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    assert_eq!(db.number(seen).await?, 0);
    worker.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.log").await?, 0);
    Ok(())
}

#[tokio::test]
async fn logs_go_with_the_history() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    // As if the ring had just turned.
    db.run("UPDATE howdah.ring SET since = howdah.now() WHERE name = 'history'").await?;
    db.run(r#"SELECT howdah.write_logs('{7}', '{1}', ARRAY['[{"message": "kept", "age_us": 90000000}]'::jsonb])"#)
        .await?;
    assert_eq!(db.text("SELECT howdah.now() - at FROM howdah.logs").await?, "00:01:30");
    for (hours, kept) in [(13, 1), (36, 1), (38, 0)] {
        db.stop_clock(&format!("{hours} hours")).await?;
        db.run("SELECT howdah.rotate_history()").await?;
        assert_eq!(db.number("SELECT count(*) FROM howdah.logs").await?, kept, "after {hours} hours");
    }
    Ok(())
}

#[tokio::test]
async fn what_no_log_may_be_is_refused_by_its_name() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for arguments in [
        "'{1}', '{1}', ARRAY['{}'::jsonb]",
        "'{1,2}', '{1}', ARRAY['[]'::jsonb]",
        "'{1}', '{1}', ARRAY[NULL::jsonb]",
        "'{1}', '{1}', NULL",
        "'{1}', '{1}', ARRAY[(SELECT jsonb_agg(n) FROM generate_series(1, 10001) n)]",
    ] {
        assert_eq!(
            session.refusal(&format!("SELECT howdah.write_logs({arguments})")).await?,
            "HD002 lines",
            "{arguments}"
        );
    }
    assert_eq!(session.number("SELECT count(*) FROM howdah.log").await?, 0);
    Ok(())
}
