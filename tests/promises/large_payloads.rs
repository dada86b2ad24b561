//! Payloads as large as a queue may allow.
//!
//! Limit: a worker holds the payloads of all that it has claimed: as many as it runs at a time, and what it claims ahead.

use anyhow::{Context, Result};
use howdah::{Ctx, Job, JobError, QueueSettings, Worker};
use howdah_tests::seed::Seed;
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

const MOST: u32 = 64 << 20;
/// What PostgreSQL adds to the one text: the headers of the value, of the object, its name, and what fills up to words.
const AROUND: usize = 64;

#[derive(Job, Serialize, Deserialize)]
struct Large {
    text: String,
}

/// Fails once, and then answers with how long its payload is.
async fn large(job: Large, cx: Ctx<()>) -> Result<(), JobError> {
    if cx.attempt() == 1 {
        return Err(JobError::retry("not yet"));
    }
    let query = sqlx::query("INSERT INTO seen VALUES ($1)").bind(i64::try_from(job.text.len())?);
    query.execute(cx.howdah().pool()).await?;
    Ok(())
}

/// No compression makes it smaller: what repeats does so beyond the window that it looks at.
fn text(bytes: usize) -> String {
    let mut seed = Seed::new(7);
    let block: String = (0..4096).map(|_| format!("{:016x}", seed.next_number())).collect();
    let mut text = block.repeat(bytes / block.len() + 1);
    text.truncate(bytes);
    text
}

#[tokio::test]
async fn a_payload_of_64_mib_runs_is_tried_again_and_completes_and_a_larger_one_is_refused() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE seen (bytes bigint)").await?;
    db.howdah.set_queue("default", &QueueSettings::new().max_payload_bytes(MOST)).await?;
    db.run(r#"SELECT howdah.set_queue('default', '{"retry_base_ms": 1, "retry_policy": "constant"}')"#).await?;
    let bytes = MOST as usize - AROUND;
    db.howdah.enqueue(Large { text: text(bytes) }).await?;
    let refused = db.howdah.enqueue(Large { text: text(MOST as usize) }).await.err().context("it was taken")?;
    assert!(matches!(&refused, howdah::Error::Invalid { field, .. } if field == "payload"), "{refused}");
    let worker = start(Worker::new(&db.howdah).handle(large).concurrency(1));
    db.wait_for("SELECT count(*) FROM howdah.receipt", "1").await?;
    worker.stop().await?;
    assert_eq!(db.text("SELECT string_agg(bytes::text, ' ') FROM seen").await?, bytes.to_string());
    Ok(())
}
