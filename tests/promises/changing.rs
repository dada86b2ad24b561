//! Two who change one job at the same moment: neither undoes what the other has done.

use anyhow::Result;
use howdah_tests::{Db, in_time};

#[tokio::test]
async fn a_job_that_somebody_moves_meanwhile_stays_where_it_was_moved() -> Result<()> {
    // By a unique key that is hit, and by another change; waiting and dead.
    for (dead, moves) in [
        (false, "SELECT * FROM howdah.enqueue_unique('k', key => 'u', on_hit => 'replace', queue => 'other')"),
        (false, "SELECT howdah.change((SELECT max(id) FROM howdah.jobs), queue => 'other')"),
        (true, "SELECT howdah.change((SELECT max(id) FROM howdah.jobs), queue => 'other')"),
    ] {
        let db = Db::new().await?;
        db.run("SELECT howdah.create_queue('other')").await?;
        let job = db.number("SELECT id FROM howdah.enqueue_unique('k', key => 'u')").await?;
        if dead {
            let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({})", db.worker().await?)).await?;
            db.run(&format!("SELECT howdah.fail({lease}, '{{{job}}}', '{{discard}}')")).await?;
        }
        let (mut first, mut second) = (db.session().await?, db.session().await?);
        first.run(&format!("BEGIN; {moves}")).await?;
        let pid = second.number("SELECT pg_backend_pid()").await?;
        let change = format!("SELECT howdah.change({job}, priority => 9)");
        let changed = tokio::spawn(async move { second.text(&change).await });
        db.wait_for(&format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}"), "Lock").await?;
        first.run("COMMIT").await?;
        let state = in_time("the change", changed).await???;
        assert_eq!(state, if dead { "dead" } else { "ready" }, "{moves}");
        assert_eq!(
            db.text("SELECT queue || ' ' || priority || ' ' || state FROM howdah.jobs").await?,
            format!("other 9 {state}")
        );
        assert_eq!(db.text("SELECT string_agg(queue, ' ') FROM howdah.queues WHERE ready + dead > 0").await?, "other");
    }
    Ok(())
}
