//! The doctor reads no jobs: it costs the same however many there are.

use anyhow::Result;
use howdah_tests::Db;

use crate::plans::cost;

#[tokio::test]
async fn no_check_costs_more_before_200_000_jobs_than_before_100() -> Result<()> {
    let db = Db::new().await?;
    db.stop_autovacuum().await?;
    let mut session = db.session().await?;
    let checks = session.list("SELECT name FROM howdah.doctor_checks()").await?;
    let fill = async |n: usize| {
        db.run(&format!(
            "WITH ids AS (SELECT nextval('howdah.block_seq') << 7 AS id FROM generate_series(1, {n})),
               jobs AS (INSERT INTO howdah.job SELECT id, now(), 1, 5, 20, 'k', '{{}}', NULL FROM ids),
               later AS (INSERT INTO howdah.deferred SELECT now() + interval '1 hour', id + 1, 1, 5, 1, 0, 'k' FROM ids WHERE id % 1280 = 0),
               dead AS (INSERT INTO howdah.dead SELECT id + 2, 1, 5, 1, 'k', now(), 'no' FROM ids WHERE id % 1280 = 0)
             INSERT INTO howdah.ticket SELECT id, 1, 0, 5, 1, 0, 'k' FROM ids;
             SELECT count(*) FROM (SELECT howdah.claim(howdah.start_worker('busy', queues => '{{default}}')) FROM generate_series(1, {n} / 1000)) c"
        ))
        .await
    };
    let costs = async |session: &mut howdah_tests::Session| {
        let mut pages = Vec::new();
        for check in &checks {
            let sql = format!("SELECT * FROM howdah.doctor('{{{check}}}')");
            cost(session, &sql).await?;
            pages.push(cost(session, &sql).await?.pages);
        }
        anyhow::Ok(pages)
    };
    fill(100).await?;
    let few = costs(&mut session).await?;
    fill(200_000).await?;
    let many = costs(&mut session).await?;
    let seen: Vec<_> = checks.iter().zip(few.iter().zip(&many)).collect();
    // Of workers it reads all, of what died in the last hour a thousand rows; and a tree is a page or two deeper.
    let dear: Vec<_> = seen.iter().filter(|(_, (few, many))| **many > 2 * **few + 1000).collect();
    assert!(dear.is_empty(), "{dear:?} of {seen:?}");
    assert!(many.iter().sum::<i64>() < 20_000, "{seen:?}");
    Ok(())
}
