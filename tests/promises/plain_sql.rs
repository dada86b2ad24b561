//! `psql` is a complete client: whole lives of jobs with nothing but SQL, and the views right at each step.

use anyhow::{Context, Result};
use howdah_tests::Db;

/// What a person asks for: a job's state and attempt.
async fn state(db: &Db, job: &str) -> Result<String> {
    db.psql(&format!("SELECT state, attempt FROM howdah.jobs WHERE id = {job};")).await
}

/// The line of a queue: ready, running, scheduled, dead.
async fn queue(db: &Db, name: &str) -> Result<String> {
    db.psql(&format!("SELECT ready, running, scheduled, dead FROM howdah.queues WHERE queue = '{name}';")).await
}

/// A worker, and a queue `mail` that it serves.
async fn mail_worker(db: &Db) -> Result<String> {
    db.psql("SELECT howdah.start_worker('me', 60000, 2000, '{mail}', '{letter}', '1.2.3');").await
}

/// Claims so many jobs from `mail`; the lease and the ids.
async fn claim(db: &Db, worker: &str, jobs: usize) -> Result<(String, Vec<String>)> {
    let rows = db.psql(&format!("SELECT lease_id, id FROM howdah.claim({worker}, 'mail', {jobs});")).await?;
    let pairs: Vec<_> = rows.lines().filter_map(|row| row.split_once('|')).collect();
    let (lease, _) = *pairs.first().context("nothing was claimed")?;
    Ok((lease.to_owned(), pairs.iter().map(|(_, id)| (*id).to_owned()).collect()))
}

async fn enqueue(db: &Db) -> Result<String> {
    db.psql("SELECT howdah.enqueue('letter', queue => 'mail');").await
}

#[tokio::test]
async fn a_job_is_enqueued_claimed_and_completed() -> Result<()> {
    let db = Db::new().await?;
    assert_eq!(db.psql("SELECT howdah.create_queue('mail') = howdah.create_queue('mail');").await?, "t");
    let job = db.psql(r#"SELECT howdah.enqueue('letter', '{"to": "Ann"}', 'mail');"#).await?;
    let row = format!(
        "SELECT queue, kind, state, attempt, max_attempts, priority, payload FROM howdah.jobs WHERE id = {job};"
    );
    assert_eq!(db.psql(&row).await?, r#"mail|letter|ready|0|20|5|{"to": "Ann"}"#);
    assert_eq!(queue(&db, "mail").await?, "1|0|0|0");
    let oldest = "SELECT oldest_ready_at = enqueued_at FROM howdah.queues q JOIN howdah.jobs j USING (queue);";
    assert_eq!(db.psql(oldest).await?, "t");
    let worker = mail_worker(&db).await?;
    let claimed = format!(
        "SELECT lease_id, id, kind, payload, attempt, max_attempts, priority FROM howdah.claim({worker}, 'mail');"
    );
    let claimed = db.psql(&claimed).await?;
    let (lease, rest) = claimed.split_once('|').context("a claim")?;
    assert_eq!(rest, format!(r#"{job}|letter|{{"to": "Ann"}}|1|20|5"#));
    assert_eq!(state(&db, &job).await?, "running|1");
    assert_eq!(queue(&db, "mail").await?, "0|1|0|0");
    let workers = "SELECT id, name, version, queues, kinds, running, stopping, keeper, asleep FROM howdah.workers;";
    assert_eq!(db.psql(workers).await?, format!("{worker}|me|1.2.3|{{mail}}|{{letter}}|1|f|f|f"));
    assert_eq!(db.psql(&format!("SELECT * FROM howdah.heartbeat({worker});")).await?, "t|t|{}|0||");
    assert_eq!(db.psql(&format!("SELECT howdah.holds({lease}, {job});")).await?, "t");
    assert_eq!(db.psql(&format!("SELECT * FROM howdah.complete({lease}, '{{{job}}}', '{{42}}');")).await?, job);
    let ended =
        format!("SELECT state, attempt, worker_id, run_ms, ended_at >= claimed_at FROM howdah.jobs WHERE id = {job};");
    assert_eq!(db.psql(&ended).await?, format!("completed|1|{worker}|42|t"));
    assert_eq!(queue(&db, "mail").await?, "0|0|0|0");
    assert_eq!(db.psql(&format!("SELECT howdah.holds({lease}, {job}), howdah.stop_worker({worker});")).await?, "f|0");
    assert_eq!(db.psql("SELECT count(*) FROM howdah.workers;").await?, "0");
    Ok(())
}

#[tokio::test]
async fn rows_inserted_into_new_job_are_jobs() -> Result<()> {
    let db = Db::new().await?;
    let ids = "INSERT INTO howdah.new_job (kind, payload, priority) SELECT 'k', to_jsonb(n), n FROM generate_series(1, 3) n RETURNING id;";
    let ids = db.psql(ids).await?;
    let jobs = db
        .psql("SELECT id FROM howdah.jobs WHERE state = 'ready' AND priority = payload::integer ORDER BY id;")
        .await?;
    assert_eq!(ids, jobs);
    assert_eq!(ids.lines().count(), 3);
    let later = "INSERT INTO howdah.new_job (kind, delay, max_attempts) VALUES ('k', '1 hour', 3) RETURNING id, queue, payload;";
    let later = db.psql(later).await?;
    let (id, rest) = later.split_once('|').context("an id")?;
    assert_eq!(rest, "default|{}");
    let due = format!("SELECT state, max_attempts, due_at - enqueued_at FROM howdah.jobs WHERE id = {id};");
    assert_eq!(db.psql(&due).await?, "scheduled|3|01:00:00");
    assert_eq!(db.psql("SELECT count(*) FROM howdah.new_job;").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_failing_job_is_retried_when_due_dies_and_can_be_sent_again() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    let worker = mail_worker(&db).await?;
    let job = db.psql("SELECT howdah.enqueue('letter', queue => 'mail', max_attempts => 2);").await?;
    let (lease, _) = claim(&db, &worker, 1).await?;
    let fail = |lease: &str| {
        format!(
            "SELECT * FROM howdah.fail({lease}, '{{{job}}}', NULL, '{{Lost}}', '{{no stamp}}', '{{60000}}', '{{7}}');"
        )
    };
    assert_eq!(db.psql(&fail(&lease)).await?, format!("{job}|scheduled"));
    assert_eq!(state(&db, &job).await?, "scheduled|1");
    assert_eq!(queue(&db, "mail").await?, "0|0|1|0");
    let wait = "SELECT next_due_at - howdah.now() FROM howdah.queues WHERE queue = 'mail';";
    assert_eq!(db.psql(wait).await?, "00:01:00");
    let failures = format!(
        "SELECT attempt, error_kind, message, run_ms, worker_id FROM howdah.failures WHERE job_id = {job} ORDER BY attempt;"
    );
    assert_eq!(db.psql(&failures).await?, format!("1|Lost|no stamp|7|{worker}"));
    assert_eq!(db.psql("SELECT * FROM howdah.promote();").await?, "0|60000");
    db.stop_clock("61 seconds").await?;
    assert_eq!(db.psql("SELECT * FROM howdah.promote();").await?, "1|");
    assert_eq!(state(&db, &job).await?, "ready|1");
    let (lease, ids) = claim(&db, &worker, 1).await?;
    assert_eq!(ids, std::slice::from_ref(&job));
    assert_eq!(state(&db, &job).await?, "running|2");
    assert_eq!(db.psql(&fail(&lease)).await?, format!("{job}|dead"));
    assert_eq!(state(&db, &job).await?, "dead|2");
    assert_eq!(queue(&db, "mail").await?, "0|0|0|1");
    assert_eq!(db.psql(&format!("SELECT reason FROM howdah.jobs WHERE id = {job};")).await?, "Lost: no stamp");
    assert_eq!(db.psql(&failures).await?.lines().count(), 2);
    assert_eq!(db.psql(&format!("SELECT howdah.retry({job});")).await?, "ready");
    assert_eq!(state(&db, &job).await?, "ready|0");
    let (lease, _) = claim(&db, &worker, 1).await?;
    db.psql(&format!("SELECT howdah.complete({lease});")).await?;
    assert_eq!(state(&db, &job).await?, "completed|1");
    assert_eq!(db.psql(&format!("SELECT howdah.retry({job});")).await?, "completed");
    assert_eq!(db.psql("SELECT howdah.retry(1) IS NULL;").await?, "t");
    Ok(())
}

#[tokio::test]
async fn the_delay_of_a_retry_grows_up_to_the_cap() -> Result<()> {
    let db = Db::new().await?;
    db.psql("UPDATE howdah.queue SET retry_jitter = 0, retry_base_ms = 1000, retry_factor = 3, retry_cap_ms = 20000;")
        .await?;
    let delays = "SELECT string_agg(extract(epoch FROM howdah.retry_delay(1, 'k', n, NULL, NULL))::integer::text, ' ' ORDER BY n) FROM unnest('{1,2,3,4,5,1000}'::integer[]) n;";
    assert_eq!(db.psql(delays).await?, "1 3 9 20 20 20");
    db.psql("UPDATE howdah.queue SET retry_jitter = 0.5;").await?;
    let spread = "SELECT min(d) BETWEEN '0.5 s' AND '0.7 s' AND max(d) BETWEEN '1.3 s' AND '1.5 s'
                    FROM (SELECT howdah.retry_delay(1, 'k', 1, NULL, NULL) AS d FROM generate_series(1, 1000)) x;";
    assert_eq!(db.psql(spread).await?, "t");
    Ok(())
}

#[tokio::test]
async fn a_job_is_cancelled_wherever_it_is() -> Result<()> {
    let db = Db::new().await?;
    let worker = mail_worker(&db).await?;
    let cancel = |job: &str| format!("SELECT howdah.cancel({job});");
    // From the middle of a run of waiting jobs, and of one that is due later.
    for (when, before) in [("NULL", "ready|0"), ("'1 hour'", "scheduled|0")] {
        let many = format!("SELECT first_id FROM howdah.enqueue_many('letter', '{{1,2,3}}', 'mail', delay => {when});");
        let first: i64 = db.psql(&many).await?.parse()?;
        assert_eq!(db.psql(&cancel(&(first + 1).to_string())).await?, "cancelled");
        let states = format!(
            "SELECT string_agg(state || '|' || attempt, ' ' ORDER BY id) FROM howdah.jobs WHERE id >= {first};"
        );
        assert_eq!(db.psql(&states).await?, format!("{before} cancelled|0 {before}"));
        assert_eq!(db.psql(&cancel(&(first + 1).to_string())).await?, "already cancelled");
    }
    assert_eq!(queue(&db, "mail").await?, "2|0|2|0");
    let (lease, ids) = claim(&db, &worker, 2).await?;
    assert_eq!(db.psql(&cancel(&ids[0])).await?, "cancelling");
    assert_eq!(state(&db, &ids[0]).await?, "running|1");
    assert_eq!(
        db.psql(&format!("SELECT * FROM howdah.heartbeat({worker});")).await?,
        format!("t|t|{{{}}}|0||", ids[0])
    );
    let fail = format!("SELECT * FROM howdah.fail({lease}, '{{{}}}', '{{cancel}}');", ids[0]);
    assert_eq!(db.psql(&fail).await?, format!("{}|cancelled", ids[0]));
    assert_eq!(state(&db, &ids[0]).await?, "cancelled|1");
    assert_eq!(db.psql(&format!("SELECT cancelled FROM howdah.heartbeat({worker});")).await?, "{}");
    db.psql(&format!("SELECT howdah.complete({lease});")).await?;
    assert_eq!(db.psql(&cancel(&ids[1])).await?, "completed");
    assert_eq!(db.psql("SELECT howdah.cancel(1) IS NULL;").await?, "t");
    Ok(())
}

#[tokio::test]
async fn what_is_released_or_snoozed_has_lost_no_attempt() -> Result<()> {
    let db = Db::new().await?;
    let worker = mail_worker(&db).await?;
    let job = enqueue(&db).await?;
    let (lease, _) = claim(&db, &worker, 1).await?;
    assert_eq!(db.psql(&format!("SELECT howdah.release({lease});")).await?, job);
    assert_eq!(state(&db, &job).await?, "ready|0");
    let (lease, _) = claim(&db, &worker, 1).await?;
    assert_eq!(state(&db, &job).await?, "running|1");
    let snooze = format!("SELECT * FROM howdah.fail({lease}, '{{{job}}}', '{{snooze}}', delay_ms => '{{3600000}}');");
    assert_eq!(db.psql(&snooze).await?, format!("{job}|scheduled"));
    assert_eq!(state(&db, &job).await?, "scheduled|0");
    assert_eq!(db.psql("SELECT count(*) FROM howdah.failures;").await?, "0");
    assert_eq!(db.psql(&format!("SELECT howdah.retry({job});")).await?, "ready");
    let (lease, _) = claim(&db, &worker, 1).await?;
    let discard = format!("SELECT * FROM howdah.fail({lease}, '{{{job}}}', '{{discard}}');");
    assert_eq!(db.psql(&discard).await?, format!("{job}|dead"));
    assert_eq!(state(&db, &job).await?, "dead|1");
    Ok(())
}

#[tokio::test]
async fn complete_in_commits_with_the_callers_writes_or_not_at_all() -> Result<()> {
    let db = Db::new().await?;
    let worker = mail_worker(&db).await?;
    db.psql("CREATE TABLE effect (job bigint); SELECT howdah.enqueue_many('letter', '{1,2,3}', 'mail');").await?;
    let (lease, ids) = claim(&db, &worker, 3).await?;
    let work = |id: &str, end: &str| {
        format!("BEGIN; INSERT INTO effect VALUES ({id}); SELECT howdah.complete_in({lease}, {id}, 9); {end};")
    };
    db.psql(&work(&ids[0], "ROLLBACK")).await?;
    assert_eq!(state(&db, &ids[0]).await?, "running|1");
    db.psql(&work(&ids[0], "COMMIT")).await?;
    assert_eq!(state(&db, &ids[0]).await?, "completed|1");
    assert_eq!(db.psql("SELECT string_agg(job::text, ' ') FROM effect;").await?, ids[0]);
    let twice = db.psql(&work(&ids[0], "COMMIT")).await.expect_err("completed twice").to_string();
    assert!(twice.contains("HD010"), "{twice}");
    assert_eq!(db.psql("SELECT count(*) FROM effect;").await?, "1");
    db.psql(&work(&ids[1], "COMMIT")).await?;
    db.psql(&format!("SELECT howdah.complete({lease});")).await?;
    let all = "SELECT string_agg(state, ' ' ORDER BY id), count(DISTINCT id) FROM howdah.jobs;";
    assert_eq!(db.psql(all).await?, "completed completed completed|3");
    let left = "SELECT (SELECT count(*) FROM howdah.lease), (SELECT count(*) FROM howdah.settled);";
    assert_eq!(db.psql(left).await?, "0|0");
    assert_eq!(db.psql(&format!("SELECT howdah.stop_worker({worker});")).await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_lease_whose_jobs_were_all_completed_in_is_held_by_nobody() -> Result<()> {
    let db = Db::new().await?;
    let worker = mail_worker(&db).await?;
    db.psql("SELECT howdah.enqueue_many('letter', '{1,2}', 'mail');").await?;
    let (lease, ids) = claim(&db, &worker, 2).await?;
    for id in &ids {
        db.psql(&format!("SELECT howdah.complete_in({lease}, {id});")).await?;
    }
    assert_eq!(queue(&db, "mail").await?, "0|0|0|0");
    assert_eq!(db.psql(&format!("SELECT running FROM howdah.workers WHERE id = {worker};")).await?, "0");
    Ok(())
}

#[tokio::test]
async fn complete_leases_takes_only_what_is_left() -> Result<()> {
    let db = Db::new().await?;
    let worker = mail_worker(&db).await?;
    db.psql("SELECT howdah.enqueue_many('letter', '{1,2}', 'mail');").await?;
    let (lease, ids) = claim(&db, &worker, 2).await?;
    db.psql(&format!("SELECT howdah.complete_in({lease}, {});", ids[0])).await?;
    db.psql(&format!("SELECT howdah.complete_leases('{{{lease}}}', '{{2}}', '{{1,2}}');")).await?;
    let all = "SELECT string_agg(state, ' ' ORDER BY id), count(DISTINCT id) FROM howdah.jobs;";
    assert_eq!(db.psql(all).await?, "completed completed|2", "a job ended twice");
    assert_eq!(db.psql("SELECT count(*) FROM howdah.settled;").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_paused_queue_gives_nothing_until_it_is_resumed() -> Result<()> {
    let db = Db::new().await?;
    let worker = mail_worker(&db).await?;
    let (running, waiting) = (enqueue(&db).await?, enqueue(&db).await?);
    let (lease, ids) = claim(&db, &worker, 1).await?;
    assert_eq!(ids, std::slice::from_ref(&running));
    let pause = "SELECT howdah.pause_queue('mail', 'ann', 'no ink'), howdah.pause_queue('mail', 'bob');";
    assert_eq!(db.psql(pause).await?, "t|f");
    let paused =
        "SELECT paused, paused_at IS NOT NULL, paused_by, pause_reason FROM howdah.queues WHERE queue = 'mail';";
    assert_eq!(db.psql(paused).await?, "t|t|bob|");
    let claim_more = format!("SELECT id FROM howdah.claim({worker}, 'mail', 10);");
    assert_eq!(db.psql(&claim_more).await?, "");
    assert_eq!(db.psql(&format!("SELECT howdah.complete({lease});")).await?, running);
    assert_eq!(db.psql("SELECT howdah.resume_queue('mail'), howdah.resume_queue('mail');").await?, "t|f");
    assert_eq!(db.psql(paused).await?, "f|f||");
    assert_eq!(db.psql(&claim_more).await?, waiting);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_stops_gives_back_what_it_holds() -> Result<()> {
    let db = Db::new().await?;
    let worker = mail_worker(&db).await?;
    let job = enqueue(&db).await?;
    let last = db.psql("SELECT howdah.enqueue('letter', queue => 'mail', max_attempts => 1);").await?;
    claim(&db, &worker, 2).await?;
    assert_eq!(db.psql(&format!("SELECT howdah.stop_worker({worker});")).await?, "2");
    assert_eq!((state(&db, &job).await?, state(&db, &last).await?), ("ready|1".to_owned(), "dead|1".to_owned()));
    assert_eq!(queue(&db, "mail").await?, "1|0|0|1");
    assert_eq!(db.psql("SELECT DISTINCT error_kind FROM howdah.failures;").await?, "worker_stopped");
    let gone = db.psql(&format!("SELECT howdah.claim({worker}, 'mail');")).await.expect_err("claimed").to_string();
    assert!(gone.contains("HD004"), "{gone}");
    assert_eq!(db.psql(&format!("SELECT alive FROM howdah.heartbeat({worker});")).await?, "f");
    Ok(())
}
