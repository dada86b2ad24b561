//! `howdah.find`: which jobs it finds, in which order, and what that costs.

use anyhow::Result;
use howdah_tests::{Db, Session};

use crate::plans::cost;

/// Enqueues so many of a kind, and ends them: two of three are completed, the others cancelled.
async fn ended(db: &Db, worker: i64, kind: &str, jobs: i32) -> Result<()> {
    db.run(&format!(
        "DO $$
         DECLARE c record;
         BEGIN
           PERFORM howdah.enqueue_many('{kind}', array_fill('{{}}'::jsonb, '{{{jobs}}}'));
           PERFORM howdah.cancel_many(ids => ARRAY(SELECT j.id FROM howdah.jobs j WHERE j.kind = '{kind}' AND j.id % 3 = 0));
           LOOP
             SELECT lease_id, array_agg(id) AS ids INTO c FROM howdah.claim({worker}, jobs => 500, kinds => '{{{kind}}}') GROUP BY 1;
             EXIT WHEN NOT FOUND;
             PERFORM howdah.complete(c.lease_id, c.ids);
           END LOOP;
         END $$"
    ))
    .await
}

/// What find answers, and what the view of all jobs knows.
async fn both(session: &mut Session, states: &str, kind: &str, most: usize) -> Result<(Vec<String>, Vec<String>)> {
    let found =
        session.list(&format!("SELECT howdah.find(kind => '{kind}', states => '{states}', most => {most})")).await?;
    let sql = format!(
        "SELECT id FROM howdah.jobs WHERE kind = '{kind}' AND state = ANY ('{states}') ORDER BY id DESC LIMIT {most}"
    );
    Ok((found, session.list(&sql).await?))
}

#[tokio::test]
async fn jobs_that_have_ended_are_found_newest_first_also_behind_many_that_wait() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    ended(&db, worker, "a", 900).await?;
    for waiting in ["before", "behind 30,000 others", "behind 30,000 of the same kind"] {
        for (states, most, wanted) in [
            ("{completed}", 10_000, 600),
            ("{cancelled}", 10_000, 300),
            ("{completed,cancelled}", 10_000, 900),
            ("{completed,dead}", 7, 7),
            ("{cancelled}", 299, 299),
            ("{expired}", 100, 0),
        ] {
            let (found, there) = both(&mut session, states, "a", most).await?;
            assert_eq!(found, there, "{states} {waiting}");
            assert_eq!(found.len(), wanted, "{states} {waiting}");
        }
        let kind = if waiting == "before" { "b" } else { "a" };
        session.run(&format!("SELECT howdah.enqueue_many('{kind}', array_fill('1'::jsonb, '{{30000}}'))")).await?;
    }
    Ok(())
}

/// How many pages are read to find the newest hundred that were completed, in a session that knows its statements.
async fn pages(session: &mut Session) -> Result<i64> {
    let find = "SELECT howdah.find(states => '{completed}')";
    cost(session, find).await?;
    Ok(cost(session, find).await?.pages)
}

#[tokio::test]
async fn the_newest_that_have_ended_cost_the_same_however_much_history_there_is() -> Result<()> {
    let db = Db::new().await?;
    db.stop_autovacuum().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    ended(&db, worker, "a", 1000).await?;
    let few = pages(&mut session).await?;
    ended(&db, worker, "b", 20_000).await?;
    ended(&db, worker, "c", 1000).await?;
    let many = pages(&mut session).await?;
    assert!(many <= few * 5 / 4 + 20, "{many} pages with 22,000 jobs that have ended, {few} with 1,000");
    Ok(())
}
