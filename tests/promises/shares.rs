//! A queue is shared in turns among its keys, however much each of them has waiting.

use anyhow::Result;
use howdah::Limit;
use howdah_tests::Db;

#[tokio::test]
async fn a_single_job_is_delayed_by_no_more_than_a_round() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{50000}'), options => '{\"fair_key\": \"whale\"}');
             SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{10}'), options => jsonb_build_object('fair_key', 'tenant ' || n))
               FROM generate_series(1, 19) n",
        )
        .await?;
    let claim = format!("SELECT options ->> 'fair_key' FROM howdah.claim({worker}, jobs => 7)");
    for _ in 0..5 {
        session.list(&claim).await?;
    }
    session.run("SELECT howdah.enqueue('k', options => '{\"fair_key\": \"minnow\"}')").await?;
    // 21 keys: a round is 21 jobs, or three claims of seven.
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.extend(session.list(&claim).await?);
    }
    assert!(keys.contains(&"minnow".to_owned()), "{keys:?}");
    assert!(keys.iter().filter(|key| *key == "whale").count() <= 2, "{keys:?}");
    Ok(())
}

#[tokio::test]
async fn how_long_the_oldest_has_waited_is_told_of_those_that_wait_for_their_turn_too() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let enqueue = |key: &str| format!("SELECT howdah.enqueue('k', options => '{{\"fair_key\": \"{key}\"}}')");
    let oldest =
        "SELECT concat_ws(' ', (SELECT min(enqueued_at) FROM howdah.jobs WHERE state = 'ready') = q.oldest_ready_at,
           q.oldest_ready_at = d.oldest_ready_at, q.oldest_ready_at IS NULL) FROM howdah.queues q, howdah.depths() d";
    session.run(&enqueue("z")).await?;
    for what in ["z", "a", "plain"] {
        db.travel("1 minute").await?;
        session.run(&if what == "plain" { "SELECT howdah.enqueue('k')".to_owned() } else { enqueue(what) }).await?;
    }
    for left in (1..=4).rev() {
        assert_eq!(session.text(oldest).await?, "t t f", "{left} left");
        session.run(&format!("SELECT howdah.claim({worker})")).await?;
    }
    assert_eq!(session.text(oldest).await?, "t");
    Ok(())
}

#[tokio::test]
async fn turns_are_as_long_as_the_share_weighs() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    db.howdah.set_limit(Limit::share("gold:*").weight(3)).await?;
    for key in ["gold:1", "silver:1", "silver:2"] {
        session.run(&format!("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{{100}}'), options => '{{\"fair_key\": \"{key}\"}}')")).await?;
    }
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..30 {
        for key in
            session.list(&format!("SELECT options ->> 'fair_key' FROM howdah.claim({worker}, jobs => 5)")).await?
        {
            *counts.entry(key).or_insert(0) += 1;
        }
    }
    let counts: Vec<i32> = counts.into_values().collect();
    assert_eq!(counts, [90, 30, 30], "gold, silver, silver of 150");
    Ok(())
}

#[tokio::test]
async fn a_claim_of_many_jobs_takes_a_few_of_each_key_in_turn_and_as_many_in_the_long_run() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    db.howdah.set_limit(Limit::share("gold").weight(3)).await?;
    session
        .run(
            "SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{3000}'), options => jsonb_build_object('fair_key', key))
               FROM unnest(ARRAY['gold', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) key",
        )
        .await?;
    let claim = format!("SELECT options ->> 'fair_key' FROM howdah.claim({worker}, jobs => 200)");
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..22 {
        let keys = session.list(&claim).await?;
        assert_eq!(keys.len(), 200);
        let whole = |key: &str| keys.iter().filter(|k| *k == key).count();
        // Eleven turns, of which gold has three, come to a round; a claim is two halves.
        assert!(["a", "b", "c", "d", "e", "f", "g", "h"].iter().all(|key| (12..=24).contains(&whole(key))), "{keys:?}");
        keys.into_iter().for_each(|key| *counts.entry(key).or_insert(0_usize) += 1);
    }
    let gold = counts.remove("gold").unwrap_or(0);
    assert!((1_170..=1_230).contains(&gold), "{gold} of 4,400 for the share that weighs three of eleven");
    assert!(counts.values().all(|count| (390..=410).contains(count)), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn within_a_share_jobs_are_in_order_and_none_is_lost_or_doubled() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{200}'), options => jsonb_build_object('fair_key', 'tenant ' || n))
               FROM generate_series(1, 5) n;
             SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{100}'))",
        )
        .await?;
    assert_eq!(session.text("SELECT ready || ' ' || blocked FROM howdah.queues").await?, "1100 0");
    let mut seen = Vec::new();
    loop {
        let claim = format!(
            "SELECT coalesce(options ->> 'fair_key', '') || ' ' || lpad(id::text, 10, '0') FROM howdah.claim({worker}, jobs => 13)"
        );
        let claimed = session.list(&claim).await?;
        if claimed.is_empty() {
            break;
        }
        seen.extend(claimed);
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), sorted.len()), (1100, 1100));
    for tenant in 1..=5 {
        let own: Vec<_> = seen.iter().filter(|s| s.starts_with(&format!("tenant {tenant} "))).collect();
        assert!(own.is_sorted(), "{own:?}");
    }
    assert_eq!(session.text("SELECT ready || ' ' || running FROM howdah.queues").await?, "0 1100");
    Ok(())
}

#[tokio::test]
async fn a_share_keeps_its_limits_and_its_jobs_can_be_cancelled_and_changed() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    db.howdah.set_limit(Limit::key("t*").max_running(2)).await?;
    for key in ["t1", "t2"] {
        session
            .run(&format!("SELECT howdah.enqueue('k', options => '{{\"fair_key\": \"{key}\", \"limit_key\": \"{key}\"}}') FROM generate_series(1, 6)"))
            .await?;
    }
    let claim = format!("SELECT options ->> 'fair_key' FROM howdah.claim({worker}, jobs => 100)");
    let mut claimed = session.list(&claim).await?;
    claimed.sort();
    assert_eq!(claimed, ["t1", "t1", "t2", "t2"]);
    let id = session.text("SELECT min(id) FROM howdah.jobs WHERE state <> 'running'").await?;
    assert_eq!(session.text(&format!("SELECT howdah.cancel({id})")).await?, "cancelled");
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert_eq!(session.list(&claim).await?.len(), 4);
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert_eq!(session.list(&claim).await?.len(), 3);
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    // One that waits for its turn.
    session.run("SELECT howdah.create_queue('other'); SELECT howdah.enqueue('k', options => '{\"fair_key\": \"t3\"}') FROM generate_series(1, 2)").await?;
    let ids = session.list("SELECT id FROM howdah.jobs WHERE state = 'ready' ORDER BY id").await?;
    assert_eq!(session.text(&format!("SELECT howdah.change({}, queue => 'other')", ids[0])).await?, "ready");
    assert_eq!(session.text(&format!("SELECT howdah.cancel({})", ids[1])).await?, "cancelled");
    assert_eq!(session.list(&format!("SELECT id FROM howdah.claim({worker}, 'other', 9)")).await?, ids[..1]);
    assert_eq!(session.text("SELECT sum(ready + blocked) FROM howdah.queues").await?, "0");
    Ok(())
}

#[tokio::test]
async fn what_comes_back_or_becomes_due_waits_for_its_turn_again() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let enqueue =
        |key: &str, more: &str| format!("SELECT howdah.enqueue('k', options => '{{\"fair_key\": \"{key}\"}}'{more})");
    session.run(&format!("{} FROM generate_series(1, 20)", enqueue("whale", ", delay => '1 minute'"))).await?;
    db.travel("2 minutes").await?;
    session.run("SELECT howdah.promote()").await?;
    let claim = format!("SELECT lease_id || ' ' || (options ->> 'fair_key') FROM howdah.claim({worker}, jobs => 4)");
    assert_eq!(session.list(&claim).await?.len(), 4);
    session.run("SELECT howdah.release(id) FROM howdah.lease").await?;
    session.run(&enqueue("minnow", "")).await?;
    let claimed = session.list(&claim).await?;
    assert!(claimed.iter().any(|c| c.ends_with("minnow")), "{claimed:?}");
    Ok(())
}
