//! Jobs that wait for other jobs: in the documented direction, whoever ends first, and whatever transactions are open.

use anyhow::Result;
use howdah_tests::{Db, Session};

use crate::plans::cost;

/// Enqueues a job that waits for others, and gives its id.
pub(crate) async fn child(session: &mut Session, kind: &str, parents: &[i64], policy: &str) -> Result<i64> {
    let options = format!(r#"{{"depends_on": {parents:?}, "on_parent_failure": "{policy}"}}"#);
    session.number(&format!("SELECT howdah.enqueue('{kind}', options => '{options}')")).await
}

pub(crate) async fn parent(session: &mut Session) -> Result<i64> {
    session.number("SELECT howdah.enqueue('parent')").await
}

/// The states of all jobs, in the order of their ids.
async fn states(session: &mut Session) -> Result<String> {
    session.text("SELECT string_agg(state, ' ' ORDER BY id) FROM howdah.jobs").await
}

/// Claims one job after the other, and ends each as it is told.
pub(crate) async fn end(session: &mut Session, worker: i64, how: &[&str]) -> Result<()> {
    for verdict in how {
        let sql = match *verdict {
            "complete" => "count(howdah.complete_in(lease_id, id))".to_owned(),
            verdict => format!("count((SELECT howdah.fail(lease_id, ARRAY[id], '{{{verdict}}}')))"),
        };
        session.run(&format!("SELECT {sql} FROM howdah.claim({worker}, jobs => 1)")).await?;
    }
    Ok(())
}

/// What the keeper does when it is told of something, and a while after.
pub(crate) async fn keeper_looks(session: &mut Session) -> Result<()> {
    session.run("UPDATE howdah.second_look SET look_at = '-infinity'; SELECT howdah.look_again()").await
}

/// No open transaction may hold up a session for long.
pub(crate) async fn impatient(db: &Db) -> Result<Session> {
    let mut session = db.session().await?;
    session.run("SET lock_timeout = '2s'; SET statement_timeout = '20s'").await?;
    Ok(session)
}

#[tokio::test]
async fn a_job_starts_after_those_that_it_names_and_never_before() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT howdah.create_queue('other')").await?;
    let first = session.number("SELECT howdah.enqueue('parent', queue => 'other')").await?;
    let second = parent(&mut session).await?;
    // The child has the higher priority, and was asked for last.
    let options = format!(r#"{{"depends_on": [{first}, {second}]}}"#);
    let child =
        session.number(&format!("SELECT howdah.enqueue('child', priority => 0, options => '{options}')")).await?;
    assert_eq!(states(&mut session).await?, "ready ready blocked");
    let claimed = session.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 10)")).await?;
    assert_eq!(claimed, [second.to_string()], "the one that is named is not held back, and the one that names it is");
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert_eq!(states(&mut session).await?, "ready completed blocked");
    session.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker}, 'other')")).await?;
    assert_eq!(states(&mut session).await?, "completed completed ready");
    let claimed = session.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 10)")).await?;
    assert_eq!(claimed, [child.to_string()]);
    assert_eq!(session.number("SELECT count(*) FROM howdah.dependency").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_becomes_of_children_is_as_they_say() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let one = parent(&mut session).await?;
    let cancelled = child(&mut session, "k", &[one], "cancel").await?;
    child(&mut session, "k", &[cancelled], "cancel").await?;
    child(&mut session, "k", &[cancelled], "run").await?;
    let held = child(&mut session, "k", &[one], "hold").await?;
    child(&mut session, "k", &[held], "cancel").await?;
    session
        .run(&format!(
            r#"SELECT howdah.enqueue('k', delay => '1 hour', options => '{{"depends_on": [{one}], "on_parent_failure": "run"}}')"#
        ))
        .await?;
    end(&mut session, worker, &["discard"]).await?;
    assert_eq!(states(&mut session).await?, "dead cancelled cancelled ready blocked blocked scheduled");
    // What is held goes on when the parent was sent again and completes; what was cancelled stays so.
    session.run(&format!("SELECT howdah.retry({one})")).await?;
    end(&mut session, worker, &["complete"]).await?;
    assert_eq!(states(&mut session).await?, "completed cancelled cancelled ready ready blocked scheduled");
    Ok(())
}

#[tokio::test]
async fn a_parent_fails_by_every_end_but_completion() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let ends = [
        ("", "fail(lease_id, ARRAY[id], '{discard}')"),
        ("", "fail(lease_id, ARRAY[id], '{cancel}')"),
        ("", "cancel_in(lease_id, id)"),
    ];
    for (n, (options, how)) in ends.iter().enumerate() {
        let one = session.number(&format!("SELECT howdah.enqueue('parent{options}')")).await?;
        let below = child(&mut session, "k", &[one], "cancel").await?;
        session.run(&format!("SELECT howdah.{how} FROM howdah.claim({worker}, jobs => 1)")).await?;
        assert_eq!(session.text(&format!("SELECT howdah.state({below})")).await?, "cancelled", "{n}");
    }
    for how in ["SELECT howdah.cancel(ID)", "SELECT howdah.delete(ID)", "SELECT howdah.cancel_many(ids => '{ID}')"] {
        let one = parent(&mut session).await?;
        let below = child(&mut session, "k", &[one], "cancel").await?;
        session.run(&how.replace("ID", &one.to_string())).await?;
        assert_eq!(session.text(&format!("SELECT howdah.state({below})")).await?, "cancelled", "{how}");
    }
    let one = session.number(r#"SELECT howdah.enqueue('parent', options => '{"ttl_ms": 0}')"#).await?;
    let below = child(&mut session, "k", &[one], "cancel").await?;
    session.run("SELECT howdah.expire()").await?;
    assert_eq!(
        session.text(&format!("SELECT howdah.state({one}) || howdah.state({below})")).await?,
        "expiredcancelled"
    );
    Ok(())
}

#[tokio::test]
async fn parents_that_have_ended_count_as_what_they_ended_as() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let (done, dead) = (parent(&mut session).await?, parent(&mut session).await?);
    end(&mut session, worker, &["complete", "discard"]).await?;
    child(&mut session, "k", &[done], "cancel").await?;
    child(&mut session, "k", &[done, dead], "cancel").await?;
    child(&mut session, "k", &[done, dead], "run").await?;
    child(&mut session, "k", &[dead], "hold").await?;
    session
        .run(&format!(
            "SELECT howdah.enqueue_many('k', '{{1,2}}', delay => '1 hour', options => '{{\"depends_on\": [{done}]}}')"
        ))
        .await?;
    let seen = "completed dead ready cancelled ready blocked scheduled scheduled";
    assert_eq!(states(&mut session).await?, seen);
    // Nothing was left open but the one that is held: its parent may be on its way to a second life.
    let open = "SELECT string_agg(j.state, ' ') FROM howdah.second_look s JOIN howdah.jobs j ON j.id = s.job_id";
    assert_eq!(session.text(open).await?, "blocked");
    // Until whoever was under way at the first look is over.
    while session.number("SELECT count(*) FROM howdah.second_look").await? > 0 {
        keeper_looks(&mut session).await?;
    }
    assert_eq!(states(&mut session).await?, seen);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_waited_for_is_refused_by_name_and_leaves_nothing() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let (a, b) = (parent(&mut session).await?, parent(&mut session).await?);
    session.run(&format!("SELECT howdah.add_dependency({b}, {a})")).await?;
    let before = db.content().await?;
    for options in [
        r#"{"depends_on": [999999]}"#,
        r#"{"depends_on": []}"#,
        r#"{"depends_on": 128}"#,
        r#"{"depends_on": ["x"]}"#,
        r#"{"depends_on": [128.5]}"#,
    ] {
        assert_eq!(
            session.refusal(&format!("SELECT howdah.enqueue('k', options => '{options}')")).await?,
            "HD002 depends_on"
        );
    }
    let policy = "SELECT howdah.enqueue('k', options => '{\"on_parent_failure\": \"explode\"}')";
    assert_eq!(session.refusal(policy).await?, "HD002 on_parent_failure");
    for (job, parent) in [(a, b), (a, a)] {
        let add = format!("SELECT howdah.add_dependency({job}, {parent})");
        assert_eq!(session.refusal(&add).await?, "HD002 depends_on");
    }
    let said = session.run(&format!("SELECT howdah.add_dependency({a}, {b})")).await.unwrap_err();
    assert!(format!("{said:?}").contains(&format!("{a} -> {b} -> {a}")), "{said:?}");
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_dependency_is_added_and_removed_while_the_job_waits() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let (a, b, c) = (parent(&mut session).await?, parent(&mut session).await?, parent(&mut session).await?);
    session.run(&format!("SELECT howdah.reschedule({c}, delay => '1 hour')")).await?;
    for job in [b, c] {
        assert_eq!(session.text(&format!("SELECT howdah.add_dependency({job}, {a})")).await?, "blocked");
    }
    // A job that is blocked can be given another time, and stays blocked.
    assert_eq!(session.text(&format!("SELECT howdah.reschedule({b}, delay => '2 hours')")).await?, "blocked");
    assert_eq!(session.text(&format!("SELECT howdah.remove_dependency({c}, {a})")).await?, "true");
    assert_eq!(session.text(&format!("SELECT howdah.remove_dependency({c}, {a})")).await?, "false");
    assert_eq!(states(&mut session).await?, "ready blocked scheduled");
    end(&mut session, worker, &["complete"]).await?;
    assert_eq!(states(&mut session).await?, "completed scheduled scheduled");
    assert_eq!(session.refusal(&format!("SELECT howdah.add_dependency({a}, {c})")).await?, "HD007 job_id");
    Ok(())
}

#[tokio::test]
async fn a_chain_of_thousands_is_cancelled_at_once_and_leaves_nothing_behind() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let node = "jsonb_build_object('name', 'n' || n, 'kind', 'k', 'depends_on', array_remove(ARRAY['n' || nullif(n - 1, 0)], NULL))";
    let all = format!("SELECT jsonb_agg({node}) FROM generate_series(1, 3001) n");
    session.run(&format!("SELECT howdah.enqueue_workflow('chain', ({all}))")).await?;
    session.run("SELECT howdah.cancel((SELECT min(id) FROM howdah.job))").await?;
    assert_eq!(db.jobs_in("cancelled").await?, 3001);
    assert_eq!(session.number("SELECT count(*) FROM howdah.dependency").await?, 0);
    Ok(())
}

/// What it costs in pages to complete all parents of one job, one by one in pieces of a tenth, while an old snapshot is held
/// and nothing can be cleaned.
async fn fan_in(db: &Db, parents: i64) -> Result<i64> {
    let (mut session, mut old, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    session.run(&format!("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{{{parents}}}'))")).await?;
    let ids = "jsonb_build_object('depends_on', (SELECT jsonb_agg(id) FROM howdah.job WHERE kind = 'k'))";
    session.run(&format!("SELECT howdah.enqueue('child', options => {ids})")).await?;
    old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM howdah.dependency").await?;
    session
        .run(&format!(
            "SELECT count(*) FROM (SELECT howdah.claim({worker}, jobs => 1) FROM generate_series(1, {parents})) c"
        ))
        .await?;
    let mut pages = 0;
    for part in 0..10 {
        let leases =
            format!("SELECT array_agg(id) FROM (SELECT id FROM howdah.lease ORDER BY id LIMIT {}) l", parents / 10);
        let leases = session.text(&leases).await?;
        // A statement for each, as by as many flushes.
        let all = format!("SELECT (SELECT count(*) FROM howdah.complete(l)) FROM unnest('{leases}'::bigint[]) l");
        pages += cost(&mut session, &all).await?.pages;
        assert_eq!(session.number("SELECT count(*) FROM howdah.ticket").await?, i64::from(part == 9));
    }
    Ok(pages)
}

#[tokio::test]
async fn a_job_with_a_thousand_parents_costs_each_of_them_no_more_than_one_with_a_hundred() -> Result<()> {
    let few = fan_in(&Db::new().await?, 100).await? / 100;
    let many = fan_in(&Db::new().await?, 1000).await? / 1000;
    assert!(many < few * 2, "a parent of a hundred costs {few} pages, one of a thousand {many}");
    Ok(())
}
