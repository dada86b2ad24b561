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
        let (mut first, mut second) = (db.session().await?, db.session().await?);
        first.run(&format!("BEGIN; {moves}")).await?;
        let pid = second.number("SELECT pg_backend_pid()").await?;
        let change = format!("SELECT howdah.change({job}, priority => 9)");
        let changed = tokio::spawn(async move { second.text(&change).await });
        db.wait_for(&format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}"), "Lock").await?;
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
