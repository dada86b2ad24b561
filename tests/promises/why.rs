//! Who asks why a job is not running gets the reasons, with what they were seen by.

use anyhow::Result;
use howdah::JobId;
use howdah_tests::{Db, Session};

async fn codes(session: &mut Session, job: &str) -> Result<String> {
    session.text(&format!("SELECT coalesce(string_agg(code, ' ' ORDER BY n), '') FROM howdah.why({job}) WITH ORDINALITY w(code, reason, evidence, n)")).await
}

async fn reason(session: &mut Session, job: &str, code: &str) -> Result<String> {
    session.text(&format!("SELECT reason FROM howdah.why({job}) WHERE code = '{code}'")).await
}

#[tokio::test]
async fn a_job_that_is_ready_says_who_is_missing_and_who_is_in_front_of_it() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    session
        .run("SELECT howdah.create_queue('mail'); SELECT howdah.enqueue_many('k', '{1,2,3}', queue => 'mail')")
        .await?;
    let job = session
        .text("SELECT howdah.enqueue('letter', queue => 'mail', options => '{\"attributes\": {\"tenant\": 1}}')")
        .await?;
    assert_eq!(codes(&mut session, &job).await?, "no_worker behind");
    assert_eq!(reason(&mut session, &job, "behind").await?, "3 jobs are in front of it");
    session.run("SELECT howdah.start_worker('ann', queues => '{mail}', kinds => '{k}')").await?;
    assert_eq!(reason(&mut session, &job, "kind").await?, "no worker of queue mail has a handler for kind letter");
    session.run("SELECT howdah.start_worker('bob', queues => '{mail}', filter => '$.tenant == 2')").await?;
    assert_eq!(codes(&mut session, &job).await?, "filter behind");
    let evidence =
        session.text(&format!("SELECT evidence -> 'workers' -> 0 ->> 'filter' FROM howdah.why({job}) LIMIT 1")).await?;
    assert_eq!(evidence, "$.tenant == 2");
    session
        .run("SELECT howdah.start_worker('cid', queues => '{mail}'); SELECT howdah.pause_queue('mail', 'ann', 'lunch')")
        .await?;
    assert_eq!(codes(&mut session, &job).await?, "paused behind");
    let paused = reason(&mut session, &job, "paused").await?;
    assert!(paused.starts_with("queue mail is paused since ") && paused.ends_with("Z by ann: lunch"), "{paused}");
    let other = session.text("SELECT min(id) FROM howdah.jobs").await?;
    session.run("SELECT howdah.resume_queue('mail')").await?;
    assert_eq!(codes(&mut session, &other).await?, "", "nothing is in its way");
    Ok(())
}

#[tokio::test]
async fn a_job_that_waits_for_a_time_says_when_and_what_failed() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let job = session.text("SELECT howdah.enqueue('k', run_at => '2100-01-31 08:00+00')").await?;
    assert_eq!(codes(&mut session, &job).await?, "due");
    assert_eq!(reason(&mut session, &job, "due").await?, "it is due at 2100-01-31T08:00:00Z");
    let parked = session.text("SELECT howdah.enqueue('k', run_at => 'infinity')").await?;
    assert_eq!(codes(&mut session, &parked).await?, "parked");
    let failed = session.text("SELECT howdah.enqueue('k')").await?;
    session.run(&format!("SELECT howdah.fail(lease_id, ARRAY[id], messages => '{{no luck}}', delay_ms => '{{60000}}') FROM howdah.claim({worker})")).await?;
    assert_eq!(codes(&mut session, &failed).await?, "due failed");
    assert!(reason(&mut session, &failed, "failed").await?.ends_with(": no luck"));
    db.travel("2 minutes").await?;
    assert_eq!(codes(&mut session, &failed).await?, "due keeper failed", "nobody is the keeper");
    assert_eq!(codes(&mut session, "1").await?, "", "there is no such job");
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_blocked_names_its_gate_and_who_holds_it() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.set_limit('key', 'a', '{\"max_running\": 1}'); SELECT howdah.set_limit('key', 'b', '{\"rate\": 1, \"rate_period_ms\": 3600000}');
             SELECT howdah.create_queue('narrow'); SELECT howdah.set_limit('queue', 'narrow', '{\"max_running\": 1}')",
        )
        .await?;
    let mut pair = async |options: &str, queue: &str| -> Result<(String, String)> {
        let enqueue = format!("SELECT howdah.enqueue('k', queue => '{queue}', options => '{options}')");
        Ok((session.text(&enqueue).await?, session.text(&enqueue).await?))
    };
    let limited = pair("{\"limit_key\": \"a\"}", "default").await?;
    let rated = pair("{\"limit_key\": \"b\"}", "default").await?;
    let ordered = pair("{\"order_key\": \"c\"}", "default").await?;
    let narrow = pair("{}", "narrow").await?;
    session
        .run(&format!("SELECT howdah.claim({worker}, jobs => 100); SELECT howdah.claim({worker}, 'narrow', 100)"))
        .await?;
    assert_eq!(codes(&mut session, &limited.0).await?, "running");
    assert_eq!(codes(&mut session, &limited.1).await?, "limit held_by");
    assert_eq!(reason(&mut session, &limited.1, "limit").await?, "1 of 1 slots of limit:a are taken");
    let holder = reason(&mut session, &limited.1, "held_by").await?;
    assert!(holder.starts_with(&format!("job {} holds limit:a on worker w since ", limited.0)), "{holder}");
    assert_eq!(codes(&mut session, &rated.1).await?, "rate");
    assert_eq!(codes(&mut session, &ordered.1).await?, "order limit held_by");
    let before = format!("job {} of order key c comes before it, and is running", ordered.0);
    assert_eq!(reason(&mut session, &ordered.1, "order").await?, before);
    assert_eq!(reason(&mut session, &narrow.1, "queue_limit").await?, "1 of 1 jobs of queue narrow run");
    let reasons = db.howdah.why(JobId(limited.1.parse()?)).await?;
    assert_eq!((reasons[0].code.as_str(), &reasons[0].evidence["held"]), ("limit", &1.into()));
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert_eq!(codes(&mut session, &limited.0).await?, "ended");
    Ok(())
}

#[tokio::test]
async fn a_job_that_waits_for_another_or_for_a_signal_names_it() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let parent = session.text("SELECT howdah.enqueue('p', run_at => 'infinity')").await?;
    let child =
        session.text(&format!("SELECT howdah.enqueue('c', options => '{{\"depends_on\": [{parent}]}}')")).await?;
    assert_eq!(codes(&mut session, &child).await?, "dependency");
    assert_eq!(
        reason(&mut session, &child, "dependency").await?,
        format!("it waits for job {parent}, which is scheduled")
    );
    let waits = session.text("SELECT howdah.enqueue('w')").await?;
    session
        .run(&format!(
            "SELECT howdah.await_signal(lease_id, id, 'paid', NULL) FROM howdah.claim({worker});
             SELECT howdah.fail(id, ARRAY[{waits}], '{{wait}}') FROM howdah.lease"
        ))
        .await?;
    assert_eq!(codes(&mut session, &waits).await?, "signal");
    assert_eq!(reason(&mut session, &waits, "signal").await?, "it waits for signal 'paid'");
    Ok(())
}
