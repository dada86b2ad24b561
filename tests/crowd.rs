//! Databases with many jobs, in each room as many.

use anyhow::Result;

use crate::Db;

/// So many jobs wait, as many are due later, a tenth have ended, and others run.
///
/// # Errors
/// What the server says.
pub async fn fill(db: &Db, rows: usize) -> Result<()> {
    db.stop_autovacuum().await?;
    let worker = db.worker().await?;
    let ended = (rows / 10).min(500_000);
    db.run(&format!(
        "SELECT count(*) FROM generate_series(1, {rows} + {ended}, 100000) n,
           LATERAL (SELECT count(*) FROM howdah.enqueue_many('k', array_fill('1'::jsonb, ARRAY[least(100000, {rows} + {ended} + 1 - n)]))) e;
         SELECT count(*) FROM generate_series(1, {rows}, 100000) n,
           LATERAL (SELECT count(*) FROM howdah.enqueue_many('k', array_fill('1'::jsonb, ARRAY[least(100000, {rows} + 1 - n)]), delay => '1 hour')) e;
         SELECT count(*) FROM generate_series(1, least({rows}, 20000)) n, LATERAL (SELECT howdah.enqueue('k', priority => 6)) e;
         SELECT count(*) FROM generate_series(1, least({rows}, 20000)) n, LATERAL (SELECT howdah.enqueue_unique('k', key => n::text)) e"
    ))
    .await?;
    let drain = format!(
        "DO $$ DECLARE l bigint; n integer; BEGIN FOR i IN 1..({ended} + 499) / 500 LOOP
           SELECT max(lease_id), count(*) INTO l, n FROM howdah.claim({worker}, jobs => least({ended}, 500));
           PERFORM howdah.complete_leases(ARRAY[l], ARRAY[n], NULL);
         END LOOP; END $$"
    );
    db.run(&drain).await?;
    db.run(&format!("SELECT count(*) FROM generate_series(1, least({rows}, 2000)), howdah.claim({worker}, jobs => 1)"))
        .await?;
    db.run("VACUUM (ANALYZE)").await
}
