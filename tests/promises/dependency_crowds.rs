//! A thousand parents of one job, and a thousand children of one: let go exactly once, whoever ends them at the same time, and
//! nobody waits for anybody.

use anyhow::Result;
use futures_util::future::try_join_all;
use howdah_tests::Db;

const SESSIONS: i64 = 8;

/// How many sessions wait for a row that another one has, whenever it looks, until the work is done.
async fn while_watched<T>(db: &Db, work: impl Future<Output = Result<T>>) -> Result<(T, i64)> {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event IN ('tuple', 'transactionid')";
    let mut watch = db.session().await?;
    let mut seen = 0;
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok((done?, seen)),
            waits = watch.number(waiting) => seen += waits?,
        }
    }
}

/// How often each job that was waited for is there, and what is left of the waiting.
async fn let_go_once(db: &Db, children: i64) -> Result<()> {
    let waits = "SELECT count(*) FROM howdah.jobs WHERE kind = 'child' AND state = 'blocked'";
    let mut session = db.session().await?;
    while session.number(waits).await? > 0 {
        session.run("UPDATE howdah.second_look SET look_at = '-infinity'; SELECT howdah.look_again()").await?;
    }
    // Once more for the notes that are left, and one for those that this leaves.
    for _ in 0..3 {
        session.run("UPDATE howdah.second_look SET look_at = '-infinity'; SELECT howdah.look_again()").await?;
    }
    assert_eq!(session.number("SELECT count(*) FROM howdah.jobs WHERE kind = 'child'").await?, children, "each once");
    let left = "SELECT (SELECT count(*) FROM howdah.dependency) + (SELECT count(*) FROM howdah.second_look)";
    assert_eq!(session.number(left).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_thousand_parents_that_end_in_eight_sessions_let_their_child_go_once_and_wait_for_nobody() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue_many('parent', array_fill('1'::jsonb, '{1000}'))").await?;
    let all = "jsonb_build_object('depends_on', (SELECT jsonb_agg(id) FROM howdah.job), 'on_parent_failure', 'run')";
    session.run(&format!("SELECT howdah.enqueue('child', priority => 9, options => {all})")).await?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let mut one = db.session().await?;
        let ids = one
            .list(&format!("SELECT lease_id || ', ' || id FROM howdah.claim({worker}, jobs => {})", 1000 / SESSIONS))
            .await?;
        sessions.push((one, ids));
    }
    let ending = try_join_all(sessions.into_iter().map(|(mut one, ids)| async move {
        for (n, id) in ids.iter().enumerate() {
            // Some fail, some in a transaction of the handler's.
            let how = match n % 3 {
                0 => format!("howdah.complete_in({id})"),
                1 => format!("howdah.fail({}], '{{discard}}')", id.replace(", ", ", ARRAY[")),
                _ => format!("howdah.complete({}])", id.replace(", ", ", ARRAY[")),
            };
            one.run(&format!("SELECT {how}")).await?;
        }
        anyhow::Ok(())
    }));
    let (_, waited) = while_watched(&db, ending).await?;
    assert_eq!(waited, 0, "nobody waits for a row of another");
    let_go_once(&db, 1).await?;
    assert_eq!(session.number(&format!("SELECT count(*) FROM howdah.claim({worker}, jobs => 10)")).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_thousand_children_of_one_parent_are_let_go_once_while_eight_sessions_cancel_some() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let parent = session.number("SELECT howdah.enqueue('parent')").await?;
    let options = format!(r#"{{"depends_on": [{parent}]}}"#);
    session
        .run(&format!(
            "SELECT howdah.enqueue_many('child', array_fill('1'::jsonb, '{{1000}}'), options => '{options}')"
        ))
        .await?;
    let lease = session.number(&format!("SELECT lease_id FROM howdah.claim({worker}, jobs => 1)")).await?;
    let children = session.list("SELECT id FROM howdah.job WHERE kind = 'child' ORDER BY id").await?;
    let mut sessions = Vec::new();
    for n in 0..SESSIONS {
        sessions.push((n, db.session().await?));
    }
    let all = try_join_all(sessions.into_iter().map(|(n, mut one)| {
        let children = &children;
        async move {
            if n == 0 {
                return one.run(&format!("SELECT howdah.complete({lease})")).await;
            }
            // They cancel the same ones.
            for id in children.iter().step_by(20) {
                one.run(&format!("SELECT howdah.cancel({id}), howdah.look_again()")).await?;
            }
            Ok(())
        }
    }));
    all.await?;
    let_go_once(&db, 1000).await?;
    assert_eq!(db.jobs_in("cancelled").await?, 50);
    let claim = format!("SELECT count(*) FROM howdah.claim({worker}, jobs => 500)");
    assert_eq!(session.number(&claim).await? + session.number(&claim).await?, 950);
    Ok(())
}
