//! Two who change one job at the same moment: neither undoes what the other has done.

use anyhow::Result;
use howdah_tests::{Db, in_time};

#[tokio::test]
async fn a_job_that_somebody_moves_meanwhile_stays_where_it_was_moved() -> Result<()> {
    // By a unique key that is hit, and by another change; waiting and dead.
    for (dead, moves) in [
        (false, "SELECT * FROM howdah.enqueue_unique('k', key => 'u', on_hit => 'replace', queue => 'other')"),
        (false, "SELECT howdah.change((SELECT max(id) FROM howdah.jobs), queue => 'other')"),
        (true, "SELECT howdah.change((SELECT max(id) FROM howdah.jobs), queue => 'other')"),
    ] {
        let db = Db::new().await?;
        db.run("SELECT howdah.create_queue('other')").await?;
        let job = db.number("SELECT id FROM howdah.enqueue_unique('k', key => 'u')").await?;
        if dead {
            let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({})", db.worker().await?)).await?;
            db.run(&format!("SELECT howdah.fail({lease}, '{{{job}}}', '{{discard}}')")).await?;
        }
        let mut first = db.session().await?;
        first.run(&format!("BEGIN; {moves}")).await?;
        let changed = waiting(&db, &format!("SELECT howdah.change({job}, priority => 9)")).await?;
        first.run("COMMIT").await?;
        let state = in_time("the change", changed).await???;
        assert_eq!(state, if dead { "dead" } else { "ready" }, "{moves}");
        assert_eq!(
            db.text("SELECT queue || ' ' || priority || ' ' || state FROM howdah.jobs").await?,
            format!("other 9 {state}")
        );
        assert_eq!(db.text("SELECT string_agg(queue, ' ') FROM howdah.queues WHERE ready + dead > 0").await?, "other");
    }
    Ok(())
}

/// The word that an attempt has failed, and a decision on its job, in the same moment.
async fn beside_a_failure(db: &Db, discard: bool, decision: &str) -> Result<Vec<String>> {
    let worker = db.worker().await?;
    let (mut teller, mut decider) = (db.session().await?, db.session().await?);
    let verdict = if discard { "discard" } else { "retry" };
    let mut answers = Vec::new();
    for _ in 0..150 {
        let job = db.number("SELECT howdah.enqueue('k')").await?;
        let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
        let fail = format!("SELECT state FROM howdah.fail({lease}, '{{{job}}}', ARRAY['{verdict}'])");
        let decide = decision.replace("ID", &job.to_string());
        let (told, decided) = tokio::join!(teller.text(&fail), decider.text(&decide));
        told?;
        answers.push(decided.unwrap_or_else(|error| format!("{error:#}")));
        db.run(&format!("SELECT howdah.delete({job})")).await?;
    }
    Ok(answers)
}

#[tokio::test]
async fn who_decides_while_an_attempt_fails_is_answered_as_if_that_were_before_or_after() -> Result<()> {
    let db = Db::new().await?;
    let decisions = [
        ("SELECT howdah.retry(ID)", false, ["running", "ready"]),
        ("SELECT howdah.retry(ID)", true, ["running", "ready"]),
        ("SELECT howdah.reschedule(ID, delay => '1 hour')", false, ["is running and cannot be", "scheduled"]),
        ("SELECT howdah.change(ID, priority => 3)", false, ["is running and cannot be", "scheduled"]),
        ("SELECT howdah.change(ID, priority => 3)", true, ["is running and cannot be", "dead"]),
    ];
    for (decision, discard, answers) in decisions {
        for answer in beside_a_failure(&db, discard, decision).await? {
            let known = answer == answers[1] || answer.contains(answers[0]);
            assert!(known, "{decision}: {answer}");
        }
    }
    Ok(())
}

/// A session that says something and waits for a lock.
pub(crate) async fn waiting(db: &Db, sql: &str) -> Result<tokio::task::JoinHandle<Result<String>>> {
    let mut session = db.session().await?;
    let pid = session.number("SELECT pg_backend_pid()").await?;
    let sql = sql.to_owned();
    let told = tokio::spawn(async move { session.text(&sql).await });
    db.wait_for(&format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}"), "Lock").await?;
    Ok(told)
}

#[tokio::test]
async fn a_dead_job_that_two_send_again_at_once_is_ready_once() -> Result<()> {
    let again =
        ["SELECT howdah.retry(ID)", "SELECT retried FROM howdah.retry_many()", "SELECT howdah.retry_workflow(FLOW)"];
    for first in again {
        for second in again {
            let db = Db::new().await?;
            let worker = db.worker().await?;
            let graph = r#"[{"name": "a", "kind": "k"}, {"name": "b", "kind": "k", "depends_on": ["a"]}]"#;
            let flow = db.number(&format!("SELECT howdah.enqueue_workflow('w', '{graph}')")).await?;
            let job = db.number("SELECT min(id) FROM howdah.jobs WHERE state = 'ready'").await?;
            db.run(&format!(
                "SELECT howdah.fail(c.lease_id, ARRAY[c.id], '{{discard}}') FROM howdah.claim({worker}) c"
            ))
            .await?;
            let sql = |what: &str| what.replace("ID", &job.to_string()).replace("FLOW", &flow.to_string());
            let mut one = db.session().await?;
            one.run(&format!("BEGIN; {}", sql(first))).await?;
            let other = waiting(&db, &sql(second)).await?;
            one.run("COMMIT").await?;
            in_time("the other", other).await???;
            let rooms = "SELECT (SELECT count(*) FROM howdah.ticket) || ' ' || (SELECT count(*) FROM howdah.deferred) || ' ' || (SELECT count(*) FROM howdah.dead)";
            let blocked = i32::from(first.contains("FLOW") || second.contains("FLOW"));
            assert_eq!(db.text(rooms).await?, format!("1 {blocked} 0"), "{first}; {second}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_sends_a_dead_job_again_is_no_victim_of_another_who_does() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let again = ["SELECT howdah.retry(ID)", "SELECT retried FROM howdah.retry_many()"];
    for round in 0..6 {
        let enqueue = "SELECT id FROM howdah.enqueue_unique('k', key => 'u')";
        let job = db.number(enqueue).await?;
        db.run(&format!("SELECT howdah.fail(c.lease_id, ARRAY[c.id], '{{discard}}') FROM howdah.claim({worker}) c"))
            .await?;
        // Both wait for the key at first.
        let mut gate = db.session().await?;
        gate.run(&format!("BEGIN; {enqueue}")).await?;
        let sql = |n: usize| again[n % 2].replace("ID", &job.to_string());
        let (one, other) = (waiting(&db, &sql(round)).await?, waiting(&db, &sql(round + 1)).await?);
        gate.run("ROLLBACK").await?;
        in_time("the one", one).await???;
        in_time("the other", other).await???;
        assert_eq!(db.text("SELECT state FROM howdah.jobs").await?, "ready");
        db.run(&format!("SELECT howdah.delete({job})")).await?;
    }
    Ok(())
}
