//! One job where one is wanted.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use howdah::{Error, Howdah, Job, JobError, Unique, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};

use crate::changing::waiting;

#[derive(Job, Serialize, Deserialize)]
struct Reindex {
    shop: i64,
    #[serde(default)]
    note: String,
}

fn shop(shop: i64) -> Reindex {
    Reindex { shop, note: String::new() }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn twenty_enqueues_at_once_with_one_key_make_one_job_and_all_are_given_its_id() -> Result<()> {
    let db = Db::new().await?;
    let handles = try_join_all((0..4).map(|_| Howdah::connect(db.url()))).await?;
    let enqueues = (0..20).map(|i| handles[i % 4].enqueue(shop(7)).unique(Unique::key("shop 7")).into_future());
    let all = try_join_all(enqueues).await?;
    assert_eq!(all.iter().filter(|one| !one.hit).count(), 1);
    assert!(all.iter().all(|one| one.id == all[0].id));
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_live_key_is_free_again_when_its_job_has_ended_however_it_ended() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    for end in [
        "SELECT howdah.complete(l)",
        "SELECT howdah.complete_leases(ARRAY[l], '{1}', '{1}')",
        "SELECT howdah.complete_in(l, j)",
        "SELECT howdah.fail(l, ARRAY[j], '{discard}')",
        "SELECT howdah.fail(l, ARRAY[j], '{cancel}')",
        "SELECT howdah.rescue_lease(l, 0, 'x', 'x')",
    ] {
        let first = db.howdah.enqueue(shop(1)).max_attempts(1).unique(Unique::key("k")).await?;
        assert!(!first.hit, "before {end}");
        assert!(db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?.hit);
        let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
        assert!(db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?.hit, "it runs");
        db.run(
            &end.replace("l,", &format!("{lease},"))
                .replace("(l", &format!("({lease}"))
                .replace("[l]", &format!("[{lease}::bigint]"))
                .replace("[j]", &format!("[{}::bigint]", first.id))
                .replace("j)", &format!("{})", first.id)),
        )
        .await?;
        assert_eq!(db.number("SELECT count(*) FROM howdah.unique_key").await?, 0, "after {end}");
    }
    let waiting = db.howdah.enqueue(shop(1)).delay(HOUR).unique(Unique::key("k")).await?;
    db.howdah.cancel(waiting.id).await?;
    assert!(!db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?.hit);
    Ok(())
}

#[tokio::test]
async fn a_job_between_two_attempts_still_has_its_key() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let first = db.howdah.enqueue(shop(1)).unique(Unique::by_payload()).await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    db.run(&format!("SELECT howdah.fail({lease}, ARRAY[{}::bigint])", first.id)).await?;
    let again = db.howdah.enqueue(shop(1)).unique(Unique::by_payload()).await?;
    assert!(again.hit && again.id == first.id);
    Ok(())
}

#[tokio::test]
async fn a_rolled_back_enqueue_leaves_its_key_and_a_rolled_back_completion_keeps_it() -> Result<()> {
    let db = Db::new().await?;
    let mut tx = db.pool().begin().await?;
    assert!(!db.howdah.enqueue(shop(1)).on(&mut tx).unique(Unique::key("k")).await?.hit);
    tx.rollback().await?;
    let first = db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?;
    assert!(!first.hit);
    let worker = db.worker().await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    let mut session = db.session().await?;
    session.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {}); ROLLBACK", first.id)).await?;
    db.run(&format!("SELECT howdah.forget({worker}, {lease}, ARRAY[{}::bigint])", first.id)).await?;
    assert!(db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?.hit, "it still runs");
    Ok(())
}

#[tokio::test]
async fn equal_arguments_are_equal_however_they_are_written() -> Result<()> {
    let db = Db::new().await?;
    let unique = |payload: &str| format!("SELECT hit FROM howdah.enqueue_unique('k', '{payload}')");
    assert_eq!(db.text(&unique(r#"{"a": 1, "b": [1.50, {"c": null}]}"#)).await?, "false");
    for same in [r#"{"b":[1.5,{"c":null}],"a":1}"#, r#"{ "a" : 1.0, "b" : [ 15e-1, { "c" : null } ] }"#] {
        assert_eq!(db.text(&unique(same)).await?, "true", "{same}");
    }
    for other in [
        r#"{"a": 1, "b": [{"c": null}, 1.5]}"#,
        r#"{"a": "1", "b": [1.5, {"c": null}]}"#,
        r#"{"a": 10, "b": [1.5, {"c": null}]}"#,
    ] {
        assert_eq!(db.text(&unique(other)).await?, "false", "{other}");
    }
    Ok(())
}

#[tokio::test]
async fn a_period_ends_by_the_clock_and_not_with_the_job_and_for_ever_never_ends() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let hourly = || db.howdah.enqueue(shop(1)).unique(Unique::key("hourly").within(HOUR));
    let once = || db.howdah.enqueue(shop(1)).unique(Unique::key("once").forever());
    let (first, only) = (hourly().await?, once().await?);
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker}, jobs => 2) LIMIT 1")).await?;
    db.run(&format!("SELECT howdah.complete({lease})")).await?;
    let again = hourly().await?;
    assert!(again.hit && again.id == first.id, "completed, and the hour is not over");
    db.travel("59 minutes").await?;
    assert!(hourly().await?.hit);
    db.travel("61 minutes").await?;
    assert!(!hourly().await?.hit);
    db.travel("10 years").await?;
    let again = once().await?;
    assert!(again.hit && again.id == only.id);
    Ok(())
}

#[tokio::test]
async fn a_debounce_moves_the_one_job_that_waits() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    let first = db.howdah.enqueue(shop(1)).delay(HOUR).unique(Unique::key("k")).await?;
    let newer = Reindex { shop: 1, note: "newer".to_owned() };
    let again = db.howdah.enqueue(newer).delay(HOUR * 2).priority(1).unique(Unique::key("k").replace()).await?;
    assert!(again.hit && again.id == first.id);
    let job = "SELECT concat_ws(' ', state, due_at - howdah.now(), priority, payload->>'note') FROM howdah.jobs";
    assert_eq!(db.text(job).await?, "scheduled 02:00:00 1 newer");
    let newest = || Reindex { shop: 1, note: "newest".to_owned() };
    db.howdah.enqueue(newest()).delay(HOUR * 3).unique(Unique::key("k").replace_payload()).await?;
    assert_eq!(db.text(job).await?, "scheduled 02:00:00 1 newest");
    db.howdah.enqueue(shop(1)).delay(HOUR * 4).unique(Unique::key("k").replace_time()).await?;
    assert_eq!(db.text(job).await?, "scheduled 04:00:00 1 newest");
    db.howdah.enqueue(shop(1)).unique(Unique::key("k").replace_time()).await?;
    assert_eq!(db.text(job).await?, "ready 1 newest");
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn what_runs_is_not_changed_and_the_newer_arguments_are_not_lost() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let first = db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    let newer = Reindex { shop: 1, note: "newer".to_owned() };
    let second = db.howdah.enqueue(newer).unique(Unique::key("k").replace()).await?;
    assert!(!second.hit && second.id != first.id);
    db.run(&format!("SELECT howdah.complete({lease})")).await?;
    let third = db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?;
    assert!(third.hit && third.id == second.id, "the end of the first job leaves the second one its key");
    Ok(())
}

#[tokio::test]
async fn a_hit_can_be_an_error_that_says_which_job_has_the_key() -> Result<()> {
    let db = Db::new().await?;
    let first = db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?;
    let error = db.howdah.enqueue(shop(1)).unique(Unique::key("k").or_error()).await.unwrap_err();
    assert!(matches!(&error, Error::KeyHeld { job, .. } if *job == first.id), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_dead_job_runs_again_only_if_no_other_has_its_key() -> Result<()> {
    let db = Db::new().await?;
    let worker = start(Worker::new(&db.howdah).handle(dies));
    async fn dies(_: Reindex) -> Result<(), JobError> {
        Err(JobError::discard("no"))
    }
    let first = db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?;
    db.wait_for("SELECT state FROM howdah.jobs", "dead").await?;
    worker.stop().await?;
    let second = db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?;
    assert!(!second.hit);
    let refused = db.howdah.retry(first.id).await.unwrap_err();
    assert!(matches!(&refused, Error::KeyHeld { job, .. } if *job == second.id), "{refused}");
    db.howdah.cancel(second.id).await?;
    assert_eq!(db.howdah.retry(first.id).await?.map(|s| s.as_str()), Some("ready"));
    assert!(db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?.hit);
    Ok(())
}

#[tokio::test]
async fn a_dead_job_waits_for_whoever_is_taking_its_key_over() -> Result<()> {
    for end in ["COMMIT", "ROLLBACK"] {
        let db = Db::new().await?;
        let worker = db.worker().await?;
        let enqueue = "SELECT id FROM howdah.enqueue_unique('k', key => 'u', on_hit => 'replace_payload')";
        let job = db.number(enqueue).await?;
        let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
        let mut other = db.session().await?;
        other.run("BEGIN").await?;
        let newer = other.number(enqueue).await?;
        db.run(&format!("SELECT howdah.fail({lease}, '{{{job}}}', '{{discard}}')")).await?;
        let retried = waiting(&db, &format!("SELECT howdah.retry({job})")).await?;
        other.run(end).await?;
        let retried = in_time("the retry", retried).await??;
        let live = db.number("SELECT max(id) FROM howdah.jobs WHERE state = 'ready' HAVING count(*) = 1").await?;
        if end == "COMMIT" {
            let refused = retried.expect_err("another job has the key");
            assert!(format!("{refused:#}").contains(&newer.to_string()), "{refused:#}");
            assert_eq!(live, newer);
        } else {
            assert_eq!((retried?.as_str(), live), ("ready", job));
        }
        assert_eq!(db.number("SELECT job_id FROM howdah.unique_key").await?, live);
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_lost_is_found_to_be_free() -> Result<()> {
    let db = Db::new().await?;
    db.run("INSERT INTO howdah.unique_key VALUES ('reindex', 'k', 12800, 'live')").await?;
    assert!(!db.howdah.enqueue(shop(1)).unique(Unique::key("k")).await?.hit);
    Ok(())
}

#[tokio::test]
async fn an_open_transaction_that_met_a_key_holds_up_nobody() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let first = db.number("SELECT id FROM howdah.enqueue_unique('k', key => 'one')").await?;
    let mut open = db.session().await?;
    open.run("BEGIN").await?;
    assert_eq!(open.number("SELECT id FROM howdah.enqueue_unique('k', key => 'one')").await?, first);
    let mut free = db.session().await?;
    free.run("SET lock_timeout = '2s'").await?;
    let lease = free.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    free.run(&format!("SELECT howdah.complete({lease})")).await?;
    assert_ne!(free.number("SELECT id FROM howdah.enqueue_unique('k', key => 'one')").await?, first, "the key is free");
    open.run("COMMIT").await
}

#[tokio::test]
async fn a_job_can_be_given_an_id_that_was_known_before_and_only_once() -> Result<()> {
    let db = Db::new().await?;
    let id = db.howdah.reserve_id().await?;
    assert_eq!(db.howdah.enqueue(shop(1)).id(id).await?, id);
    let again = db.howdah.enqueue(shop(1)).id(id).await.unwrap_err();
    assert!(matches!(&again, Error::Invalid { field, .. } if field == "id"), "{again}");
    let never = db.howdah.enqueue(shop(1)).id(howdah::JobId(1 << 40)).await.unwrap_err();
    assert!(matches!(&never, Error::Invalid { field, .. } if field == "id"), "{never}");
    Ok(())
}

#[tokio::test]
async fn an_id_is_not_given_to_another_job_while_history_knows_the_one_that_was_deleted() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let id = db.howdah.reserve_id().await?;
    let enqueue = format!("SELECT howdah.enqueue('k', options => '{{\"id\": {}}}')", id.0);
    session.run(&enqueue).await?;
    session.run(&format!("SELECT howdah.complete(c.lease_id, ARRAY[c.id]) FROM howdah.claim({worker}) c")).await?;
    assert_eq!(session.text(&format!("SELECT howdah.delete({})", id.0)).await?, "completed");
    assert_eq!(session.refusal(&enqueue).await?, "HD002 id");
    // One that never ran has left nothing.
    let id = db.howdah.reserve_id().await?;
    let enqueue = format!("SELECT howdah.enqueue('k', options => '{{\"id\": {}}}')", id.0);
    session.run(&format!("{enqueue}; SELECT howdah.delete({})", id.0)).await?;
    assert_eq!(session.number(&enqueue).await?, id.0);
    Ok(())
}

#[tokio::test]
async fn a_job_that_gets_another_payload_begins_anew() -> Result<()> {
    for (on_hit, left) in [("replace", ""), ("replace_payload", ""), ("replace_time", "charge")] {
        let db = Db::new().await?;
        let worker = db.worker().await?;
        let pay =
            |order: i32| format!("SELECT id FROM howdah.enqueue_unique('pay', '{order}', 'u', on_hit => '{on_hit}')");
        let job = db.number(&pay(1)).await?;
        let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
        db.run(&format!(
            "SELECT howdah.keep_step({lease}, {job}, 'charge', '1'); SELECT howdah.fail({lease}, '{{{job}}}')"
        ))
        .await?;
        assert_eq!(db.number(&pay(2)).await?, job);
        assert_eq!(db.text("SELECT string_agg(name, ',') FROM howdah.step").await?, left, "{on_hit}");
    }
    Ok(())
}
