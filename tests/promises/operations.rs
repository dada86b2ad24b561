//! Operations on all jobs that a search means: each job once, whoever crashes, and who did it is written down.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use howdah::JobId;
use howdah_admin::{Action, Admin, By, Search};
use howdah_tests::Db;

/// So many dead jobs of a kind, whose payload is their number.
async fn dead(db: &Db, kind: &str, jobs: i32) -> Result<()> {
    let worker = db.worker().await?;
    db.run(&format!(
        "SELECT count(howdah.enqueue('{kind}', to_jsonb(g), max_attempts => 1)) FROM generate_series(1, {jobs}) g;
         SELECT howdah.fail(c.lease_id, ARRAY[c.id], messages => '{{broke}}') FROM howdah.claim({worker}, jobs => 500, kinds => '{{{kind}}}') c"
    ))
    .await
}

fn search(text: &str) -> Search {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

#[tokio::test]
async fn an_operation_changes_what_its_dry_run_counts_and_nothing_else() -> Result<()> {
    let db = Db::new().await?;
    dead(&db, "a", 30).await?;
    dead(&db, "b", 20).await?;
    db.run("SELECT count(howdah.enqueue('a', delay => '1 hour')) FROM generate_series(1, 5)").await?;
    let admin = Admin::new(db.howdah.clone());
    let (action, which) = (Action::Retry, search("kind:a"));
    assert_eq!(admin.dry_run(&action, &which, 1000).await?.to_string(), "30", "scheduled ones have to be named");
    assert_eq!(admin.dry_run(&action, &search("kind:a state:dead,scheduled"), 1000).await?.to_string(), "35");
    assert_eq!(admin.dry_run(&action, &which, 10).await?.to_string(), "10+");
    assert_eq!(db.jobs_in("dead").await?, 50);
    let id = admin.start(&action, &which, By::person("ann").because("deployed")).await?;
    assert_eq!(db.jobs_in("dead").await?, 50, "nothing is done before the first step");
    let mut told = Vec::new();
    let done = admin.finish(id, |o| told.push(o.changed)).await?.expect("it is there");
    assert_eq!((done.state.as_str(), done.matched, done.changed, told.last()), ("done", 30, 30, Some(&30)));
    assert_eq!((db.jobs_in("dead").await?, db.jobs_in("ready").await?, db.jobs_in("scheduled").await?), (20, 30, 5));
    // Once more does nothing.
    let again = admin.step(id, 500).await?.expect("it is there");
    assert_eq!((again.changed, again.has_ended()), (30, true));
    assert!(admin.step(id + 1, 500).await?.is_none());
    let audit = "SELECT made_by || ' ' || action || ' ' || search || ' ' || changed || ' ' || reason || ' ' || state FROM howdah.audit";
    assert_eq!(db.text(audit).await?, "ann retry kind:a 30 deployed done");
    Ok(())
}

#[tokio::test]
async fn every_action_does_what_it_says() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.create_queue('mail')").await?;
    let admin = Admin::new(db.howdah.clone());
    let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    let late = "extract(epoch FROM due_at - howdah.now()) BETWEEN 3500 AND 3700";
    for (n, (action, text, wanted)) in [
        (Action::Cancel, "", "state = 'cancelled'"),
        (Action::Purge, "state:ready", "false"),
        (Action::Priority(1), "", "state = 'ready' AND priority = 1"),
        (Action::Move("mail".to_owned()), "", "state = 'ready' AND queue = 'mail'"),
        (Action::RescheduleAt(in_an_hour), "", late),
        (Action::RescheduleIn(Duration::from_millis(3_600_500)), "state:ready", late),
    ]
    .into_iter()
    .enumerate()
    {
        let enqueue =
            format!("SELECT howdah.enqueue_many('k{n}', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 300) g))");
        db.run(&enqueue).await?;
        // Every third job is meant, in the middle of the rows that stand for many.
        let which = search(&format!("kind:k{n} args.\"x\":* {text}"));
        assert_eq!(admin.dry_run(&action, &which, 1000).await?.to_string(), "0");
        let third = db.text(&format!("SELECT string_agg(id::text, ',') FROM (SELECT id FROM howdah.jobs WHERE kind = 'k{n}' AND id % 3 = 0 ORDER BY id LIMIT 100) x")).await?;
        let which = search(&format!("kind:k{n} id:{third} {text}"));
        let id = admin.start(&action, &which, By::session()).await?;
        let done = admin.finish(id, |_| ()).await?.expect("it is there");
        assert_eq!((done.state.as_str(), done.changed), ("done", 100), "{action:?}: {:?}", done.error);
        let right = format!("SELECT count(*) FROM howdah.jobs WHERE kind = 'k{n}' AND id IN ({third}) AND {wanted}");
        assert_eq!(db.number(&right).await?, if wanted == "false" { 0 } else { 100 }, "{action:?}");
        let others = format!(
            "SELECT count(*) FROM howdah.jobs WHERE kind = 'k{n}' AND id NOT IN ({third}) AND state = 'ready' AND queue = 'default' AND priority = 5"
        );
        assert_eq!(db.number(&others).await?, 200, "{action:?}");
        let all = format!("SELECT count(*) FROM howdah.jobs WHERE kind = 'k{n}'");
        assert_eq!(db.number(&all).await?, if wanted == "false" { 200 } else { 300 }, "{action:?}");
    }
    // One that runs is asked to end, and counts.
    db.run(&format!("SELECT howdah.enqueue('last'); SELECT count(*) FROM howdah.claim({worker}, kinds => '{{last}}')"))
        .await?;
    let id = admin.start(&Action::Cancel, &search("state:running"), By::session()).await?;
    assert_eq!(admin.finish(id, |_| ()).await?.map(|o| o.changed), Some(1));
    assert_eq!(db.number("SELECT count(*) FROM howdah.cancel_request").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_step_that_is_not_committed_is_done_by_whoever_comes_next() -> Result<()> {
    let db = Db::new().await?;
    dead(&db, "k", 400).await?;
    let admin = Admin::new(db.howdah.clone());
    let id = admin.start(&Action::Retry, &search("kind:k"), By::session()).await?;
    assert_eq!(admin.step(id, 100).await?.map(|o| (o.changed, o.state)), Some((100, "running".to_owned())));
    // Somebody does a step and is gone before its commit.
    let mut crashed = db.session().await?;
    crashed.run(&format!("BEGIN; SELECT howdah.step_operation({id}, 100)")).await?;
    drop(crashed);
    // Several go on at the same time.
    let others: Vec<_> = (0..3)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move {
                while admin.step(id, 17).await?.is_some_and(|o| !o.has_ended()) {}
                anyhow::Ok(())
            })
        })
        .collect();
    for other in others {
        other.await??;
    }
    let done = admin.operation(id).await?.expect("it is there");
    assert_eq!((done.state.as_str(), done.matched, done.changed), ("done", 400, 400));
    assert_eq!((db.jobs_in("dead").await?, db.jobs_in("ready").await?), (0, 400));
    assert_eq!(
        db.number("SELECT count(*) FROM (SELECT id FROM howdah.jobs GROUP BY id HAVING count(*) > 1) x").await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn an_operation_leaves_later_jobs_alone_and_means_its_times_from_its_beginning() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT count(howdah.enqueue('k')) FROM generate_series(1, 10)").await?;
    let admin = Admin::new(db.howdah.clone());
    let young = admin.start(&Action::Cancel, &search("kind:k age:>1h"), By::session()).await?;
    let all = admin.start(&Action::Cancel, &search("kind:k"), By::session()).await?;
    db.run("SELECT count(howdah.enqueue('k')) FROM generate_series(1, 10)").await?;
    db.travel("2 hours").await?;
    assert_eq!(admin.finish(young, |_| ()).await?.map(|o| o.changed), Some(0), "they were not old when it was begun");
    assert_eq!(admin.finish(all, |_| ()).await?.map(|o| o.changed), Some(10));
    assert_eq!(db.jobs_in("ready").await?, 10);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_operation_does_no_more() -> Result<()> {
    let db = Db::new().await?;
    dead(&db, "k", 200).await?;
    let admin = Admin::new(db.howdah.clone());
    let id = admin.start(&Action::Purge, &search("kind:k"), By::session()).await?;
    admin.step(id, 50).await?;
    assert_eq!(admin.cancel_operation(id, By::person("bob")).await?, Some(true));
    let after = admin.step(id, 50).await?.expect("it is there");
    assert_eq!((after.state.as_str(), after.changed, db.jobs_in("dead").await?), ("cancelled", 50, 150));
    assert_eq!(admin.cancel_operation(id, By::person("bob")).await?, Some(false));
    assert_eq!(admin.cancel_operation(id + 1, By::session()).await?, None);
    assert_eq!(db.text("SELECT ended_by FROM howdah.operation").await?, "bob");
    Ok(())
}

#[tokio::test]
async fn a_step_that_fails_changes_nothing_says_why_and_can_be_tried_again() -> Result<()> {
    let db = Db::new().await?;
    db.run(
        "SELECT howdah.create_queue('small'); SELECT howdah.set_queue('small', '{\"max_jobs\": 5}');
         SELECT count(howdah.enqueue('k')) FROM generate_series(1, 10)",
    )
    .await?;
    let admin = Admin::new(db.howdah.clone());
    let id = admin.start(&Action::Move("small".to_owned()), &search("kind:k"), By::session()).await?;
    let stopped = admin.finish(id, |_| ()).await?.expect("it is there");
    assert_eq!((stopped.state.as_str(), stopped.changed, stopped.matched), ("stopped", 0, 0));
    assert!(stopped.error.as_deref().is_some_and(|e| e.contains("small")), "{stopped:?}");
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE queue = 'default'").await?, 10);
    db.run("SELECT howdah.set_queue('small', '{\"max_jobs\": 50}')").await?;
    let done = admin.finish(id, |_| ()).await?.expect("it is there");
    assert_eq!((done.state.as_str(), done.changed, done.error), ("done", 10, None));
    Ok(())
}

#[tokio::test]
async fn jobs_that_are_named_are_changed_at_once_and_that_is_written_down() -> Result<()> {
    let db = Db::new().await?;
    dead(&db, "k", 3).await?;
    let ready = JobId(db.number("SELECT howdah.enqueue('k')").await?);
    let mut ids: Vec<JobId> = db
        .text("SELECT string_agg(job_id::text, ' ') FROM howdah.dead")
        .await?
        .split(' ')
        .map(|id| Ok(JobId(id.parse()?)))
        .collect::<Result<_>>()?;
    ids.extend([ready, ids[0], JobId(999_999)]);
    let admin = Admin::new(db.howdah.clone());
    assert_eq!(admin.act(&Action::Retry, &ids, By::person("ann")).await?, 3);
    assert_eq!(db.jobs_in("ready").await?, 4);
    assert_eq!(
        db.text("SELECT made_by || ' ' || action || ' ' || matched || ' ' || changed FROM howdah.audit").await?,
        "ann retry 5 3"
    );
    // It does not stay for ever.
    db.travel("91 days").await?;
    db.run("SELECT howdah.prune_audit(1000)").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.audit").await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_keeper_goes_on_with_an_operation_whose_process_has_died() -> Result<()> {
    let db = Db::new().await?;
    dead(&db, "k", 450).await?;
    let id = db.number("SELECT howdah.start_operation('retry', '', '{}')").await?;
    db.run(&format!("SELECT howdah.step_operation({id}, 100)")).await?;
    let state = format!("SELECT concat_ws(' ', state, changed, adopted) FROM howdah.operation WHERE id = {id}");
    // Somebody is at it.
    db.run("SELECT howdah.continue_operations()").await?;
    assert_eq!(db.text(&state).await?, "running 100 f");
    db.travel("61 seconds").await?;
    let mut session = db.session().await?;
    // Whoever holds its row does a step just now.
    session.run(&format!("BEGIN; SELECT FROM howdah.operation WHERE id = {id} FOR UPDATE")).await?;
    db.run("SELECT howdah.continue_operations()").await?;
    session.run("ROLLBACK").await?;
    assert_eq!(db.text(&state).await?, "running 100 f");
    // To its end, though the last step is not a minute old.
    let told = db.text("SELECT howdah.continue_operations()").await?;
    assert!(told.starts_with(&format!("went on with operation {id}: 300 of 300")), "{told}");
    assert_eq!(db.text(&state).await?, "running 300 t");
    // It is one of the chores of the keeper.
    for _ in 0..50 {
        db.run("SELECT howdah.rotate()").await?;
    }
    assert_eq!(db.text(&state).await?, "done 450 t");
    assert_eq!(db.jobs_in("ready").await?, 450);
    Ok(())
}

#[tokio::test]
async fn an_action_refuses_what_it_is_not_for() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for (call, refusal) in [
        ("start_operation('explode', '', '{}')", "HD002 action"),
        ("start_operation('retry', '', '{\"states\": [\"ready\"]}')", "HD002 search"),
        ("start_operation('cancel', '', '{\"states\": []}')", "HD002 search"),
        ("start_operation('cancel', '', '{\"nope\": 1}')", "HD002 search"),
        ("start_operation('retry', '', '{}', '{\"priority\": 1}')", "HD002 settings"),
        ("start_operation('retry', '', '{}', NULL)", "HD002 settings"),
        ("start_operation('priority', '', '{}')", "HD002 settings"),
        ("start_operation('priority', '', '{}', '{\"priority\": 10}')", "HD002 priority"),
        ("start_operation('priority', '', '{}', '{\"priority\": \"x\"}')", "HD002 settings"),
        ("start_operation('move', '', '{}', '{\"queue\": \"nope\"}')", "HD001 queue"),
        (
            "start_operation('reschedule', '', '{}', '{\"delay\": \"1 h\", \"run_at\": \"2026-01-01\"}')",
            "HD002 settings",
        ),
        ("start_operation('reschedule', '', '{}', '{\"delay\": \"soon\"}')", "HD002 settings"),
        (
            "act('retry', array_fill(1::bigint, '{1}') || ARRAY(SELECT generate_series(1, 1001)::bigint))",
            "HD002 job_ids",
        ),
        ("step_operation(1, 0)", "HD002 most"),
        ("step_operation(1, 1001)", "HD002 most"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT howdah.{call}")).await?, refusal, "{call}");
    }
    let repeatable = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT howdah.step_operation(1)";
    assert!(session.refusal(repeatable).await?.starts_with("HD012"));
    Ok(())
}

#[tokio::test]
async fn a_dead_job_of_a_deleted_queue_does_not_stop_an_operation() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.create_queue('gone'), howdah.enqueue('k', queue => 'gone'), howdah.enqueue('k')").await?;
    for queue in ["gone", "default"] {
        db.run(&format!(
            "SELECT howdah.fail(c.lease_id, ARRAY[c.id], '{{discard}}') FROM howdah.claim({worker}, '{queue}') c"
        ))
        .await?;
    }
    db.run("SELECT howdah.delete_queue('gone')").await?;
    let ids = "ARRAY(SELECT id FROM howdah.jobs)";
    assert_eq!(db.number(&format!(r#"SELECT howdah.act('priority', {ids}, '{{"priority": 3}}')"#)).await?, 1);
    assert_eq!(db.text("SELECT string_agg(priority::text, ' ' ORDER BY id) FROM howdah.jobs").await?, "5 3");
    Ok(())
}
