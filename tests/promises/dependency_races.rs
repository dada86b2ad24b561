//! What ends, is enqueued and is changed at the same moment, in transactions that do not see each other: jobs that wait for jobs are let
//! go all the same, once, and no open transaction holds up anybody.

use anyhow::Result;
use howdah_tests::Db;

use crate::dependencies::{child, end, impatient, keeper_looks, parent};

#[tokio::test]
async fn a_parent_that_ends_while_its_child_is_being_enqueued_lets_it_go_soon() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut other, worker) = (impatient(&db).await?, impatient(&db).await?, db.worker().await?);
    for verdict in ["complete", "discard"] {
        let one = parent(&mut other).await?;
        open.run("BEGIN").await?;
        let below = child(&mut open, "k", &[one], "cancel").await?;
        // Neither waits for the other.
        end(&mut other, worker, &[verdict]).await?;
        open.run("COMMIT").await?;
        assert_eq!(open.text(&format!("SELECT howdah.state({below})")).await?, "blocked", "nobody could see it");
        keeper_looks(&mut other).await?;
        let (state, wanted) = (open.text(&format!("SELECT howdah.state({below})")).await?, ["cancelled", "ready"]);
        assert_eq!(state, wanted[usize::from(verdict == "complete")]);
        end(&mut other, worker, &["complete"]).await?;
    }
    keeper_looks(&mut other).await?;
    assert_eq!(other.number("SELECT count(*) FROM howdah.second_look").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_child_that_is_enqueued_while_its_parents_end_is_open_is_let_go_soon() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut other, worker) = (impatient(&db).await?, impatient(&db).await?, db.worker().await?);
    let one = parent(&mut other).await?;
    let lease = other.number(&format!("SELECT lease_id FROM howdah.claim({worker}, jobs => 10)")).await?;
    open.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {one})")).await?;
    let below = child(&mut other, "k", &[one], "cancel").await?;
    for _ in 0..5 {
        keeper_looks(&mut other).await?;
    }
    assert_eq!(other.text(&format!("SELECT howdah.state({below})")).await?, "blocked");
    assert_eq!(
        other.number("SELECT count(*) FROM howdah.second_look").await?,
        1,
        "it is looked at again while that is open"
    );
    open.run("COMMIT").await?;
    keeper_looks(&mut other).await?;
    assert_eq!(other.text(&format!("SELECT howdah.state({below})")).await?, "ready");
    // And at once by the worker, which lets go of the parent when its handler has returned.
    let one = parent(&mut other).await?;
    let two = parent(&mut other).await?;
    let lease = other.number(&format!("SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 10)")).await?;
    open.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {one}), howdah.cancel_in({lease}, {two})")).await?;
    let (left, right) =
        (child(&mut other, "k", &[one], "cancel").await?, child(&mut other, "k", &[two], "cancel").await?);
    open.run("COMMIT").await?;
    other.run(&format!("SELECT howdah.forget({worker}, {lease}, '{{{one},{two}}}')")).await?;
    assert_eq!(other.text(&format!("SELECT howdah.state({left}) || howdah.state({right})")).await?, "readycancelled");
    Ok(())
}

#[tokio::test]
async fn two_parents_that_end_at_the_same_moment_let_their_child_go_once() -> Result<()> {
    let db = Db::new().await?;
    let (mut one, mut two, worker) = (impatient(&db).await?, impatient(&db).await?, db.worker().await?);
    let ways = [("COMMIT", "COMMIT"), ("COMMIT", "ROLLBACK"), ("ROLLBACK", "ROLLBACK"), ("COMMIT", "COMMIT")];
    for (n, (first, second)) in ways.into_iter().enumerate() {
        let (mut a, mut b) = (parent(&mut one).await?, parent(&mut one).await?);
        if n == 3 {
            std::mem::swap(&mut a, &mut b);
        }
        let below = child(&mut one, "child", &[a, b], "cancel").await?;
        // Away with the note that its enqueueing left.
        for _ in 0..3 {
            keeper_looks(&mut one).await?;
        }
        let lease = one.number(&format!("SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 10)")).await?;
        one.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {a})")).await?;
        // Nobody waits, although the child of both is the same.
        two.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {b}); {second}")).await?;
        keeper_looks(&mut two).await?;
        assert_eq!(two.text(&format!("SELECT howdah.state({below})")).await?, "blocked");
        one.run(first).await?;
        for _ in 0..3 {
            keeper_looks(&mut two).await?;
        }
        let wanted = if (first, second) == ("COMMIT", "COMMIT") { "ready" } else { "blocked" };
        assert_eq!(two.text(&format!("SELECT howdah.state({below})")).await?, wanted, "{first} {second}");
        two.run(&format!("SELECT howdah.complete({lease})")).await?;
        keeper_looks(&mut two).await?;
        assert_eq!(two.text(&format!("SELECT howdah.state({below})")).await?, "ready", "{first} {second}");
        assert_eq!(two.number("SELECT count(*) FROM howdah.ticket").await?, 1, "once");
        end(&mut two, worker, &["complete"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_child_that_somebody_has_locked_holds_up_nobody_and_goes_afterwards() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut other, worker) = (impatient(&db).await?, impatient(&db).await?, db.worker().await?);
    for (verdict, wanted) in [("complete", "ready"), ("discard", "cancelled")] {
        let one = parent(&mut other).await?;
        let below = child(&mut other, "k", &[one], "cancel").await?;
        let last = child(&mut other, "k", &[below], "cancel").await?;
        // Away with the notes that their enqueueing left.
        for _ in 0..3 {
            keeper_looks(&mut other).await?;
        }
        open.run(&format!("BEGIN; SELECT howdah.change({below}, '{{\"n\": 1}}')")).await?;
        end(&mut other, worker, &[verdict]).await?;
        keeper_looks(&mut other).await?;
        assert_eq!(
            other.text(&format!("SELECT howdah.state({below}) || howdah.state({last})")).await?,
            "blockedblocked"
        );
        open.run("COMMIT").await?;
        keeper_looks(&mut other).await?;
        assert_eq!(other.text(&format!("SELECT howdah.state({below})")).await?, wanted);
        other.run(&format!("SELECT howdah.cancel({below})")).await?;
        assert_eq!(other.text(&format!("SELECT howdah.state({last})")).await?, "cancelled");
    }
    Ok(())
}

#[tokio::test]
async fn a_child_that_one_after_the_other_has_locked_goes_in_the_end() -> Result<()> {
    let db = Db::new().await?;
    let (mut one, mut two, mut other) = (impatient(&db).await?, impatient(&db).await?, impatient(&db).await?);
    let worker = db.worker().await?;
    let above = parent(&mut other).await?;
    let below = child(&mut other, "k", &[above], "cancel").await?;
    let lock = format!("BEGIN; SELECT howdah.change({below}, '{{\"n\": 1}}')");
    one.run(&lock).await?;
    end(&mut other, worker, &["complete"]).await?;
    for _ in 0..2 {
        keeper_looks(&mut other).await?;
    }
    // Who has it now began after the keeper was told.
    one.run("COMMIT").await?;
    two.run(&lock).await?;
    for _ in 0..2 {
        keeper_looks(&mut other).await?;
    }
    two.run("COMMIT").await?;
    keeper_looks(&mut other).await?;
    assert_eq!(other.text(&format!("SELECT howdah.state({below})")).await?, "ready");
    Ok(())
}

#[tokio::test]
async fn a_keeper_whose_transaction_is_older_than_the_note_looks_again() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut keeper, mut other) = (impatient(&db).await?, impatient(&db).await?, impatient(&db).await?);
    let worker = db.worker().await?;
    let one = parent(&mut other).await?;
    let lease = other.number(&format!("SELECT lease_id FROM howdah.claim({worker}, jobs => 1)")).await?;
    keeper.run("BEGIN; SELECT pg_current_xact_id()").await?;
    open.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {one})")).await?;
    let below = child(&mut other, "k", &[one], "cancel").await?;
    keeper_looks(&mut keeper).await?;
    keeper.run("COMMIT").await?;
    for _ in 0..2 {
        keeper_looks(&mut keeper).await?;
    }
    open.run("COMMIT").await?;
    keeper_looks(&mut keeper).await?;
    assert_eq!(other.text(&format!("SELECT howdah.state({below})")).await?, "ready");
    Ok(())
}

#[tokio::test]
async fn a_note_that_outlives_the_waiting_changes_nothing() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let one = parent(&mut session).await?;
    let below = child(&mut session, "k", &[one], "cancel").await?;
    end(&mut session, worker, &["complete"]).await?;
    // It runs and is to be tried again, and the keeper still has a note about it.
    let retry = "howdah.fail(lease_id, ARRAY[id], delay_ms => '{3600000}')";
    session.run(&format!("SELECT {retry} FROM howdah.claim({worker}, jobs => 1)")).await?;
    assert_eq!(session.number("SELECT count(*) FROM howdah.second_look").await?, 1);
    keeper_looks(&mut session).await?;
    assert_eq!(session.text(&format!("SELECT howdah.state({below})")).await?, "scheduled");
    assert_eq!(session.number("SELECT count(*) FROM howdah.second_look").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_a_cancelled_job_waited_for_is_forgotten_although_somebody_had_it() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut other, worker) = (impatient(&db).await?, impatient(&db).await?, db.worker().await?);
    let (one, two) = (parent(&mut other).await?, parent(&mut other).await?);
    let below = child(&mut other, "k", &[one, two], "cancel").await?;
    for _ in 0..3 {
        keeper_looks(&mut other).await?;
    }
    let lease = other.number(&format!("SELECT lease_id FROM howdah.claim({worker}, jobs => 1)")).await?;
    open.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {one})")).await?;
    other.run(&format!("SELECT howdah.cancel({below})")).await?;
    for _ in 0..3 {
        keeper_looks(&mut other).await?;
    }
    open.run("ROLLBACK").await?;
    keeper_looks(&mut other).await?;
    assert_eq!(other.number("SELECT count(*) FROM howdah.dependency").await?, 0);
    Ok(())
}
