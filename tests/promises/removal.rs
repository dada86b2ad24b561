//! What is removed is archived, held or called about, as was said; and never lost before.

use std::time::Duration;

use anyhow::Result;
use howdah::{Error, JobState, RawJob, Retention, Worker};
use howdah_tests::{Db, start};

use super::retention::{complete, fail, left, queue, rotate};

/// What is called before removal: it writes down what it is given, and fails while there is a row in app.broken.
const CALLBACK: &str = "
    CREATE SCHEMA app;
    CREATE TABLE app.gone (id bigint, job jsonb);
    CREATE TABLE app.broken (why text);
    CREATE FUNCTION app.on_removal(jobs jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO app.gone SELECT (j->>'id')::bigint, j FROM jsonb_array_elements(jobs) j;
      IF EXISTS (SELECT FROM app.broken) THEN RAISE EXCEPTION '%', (SELECT why FROM app.broken) USING ERRCODE = 'AB123'; END IF;
    END $$;";

#[tokio::test]
async fn an_error_in_the_callback_keeps_the_jobs() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    db.run(CALLBACK).await?;
    db.run("INSERT INTO app.broken VALUES ('not today')").await?;
    queue(&db, "asks", "completed_retention = '1 hour', dead_retention = '1 hour', before_removal = 'app.on_removal'")
        .await?;
    queue(&db, "plain", "completed_retention = '1 hour'").await?;
    let (done, dead) = (complete(&db, "asks").await?, fail(&db, "asks", "discard").await?);
    let plain = complete(&db, "plain").await?;
    db.travel("61 minutes").await?;
    let did = rotate(&db).await?;
    assert!(did[0].starts_with("could not remove dead jobs of queue asks: not today (AB123)"), "{did:?}");
    assert_eq!(did[1..], ["pruned 1 jobs"], "one queue's trouble is not another's");
    assert_eq!((left(&db, &[done, dead]).await?, left(&db, &[plain]).await?), ("1 2 1".to_owned(), "0 0 0".to_owned()));
    assert_eq!(db.number("SELECT count(*) FROM app.gone").await?, 0, "its own writes are undone");
    let trouble = "SELECT concat_ws(' ', failure, failures) FROM howdah.retention WHERE queue = 'asks'";
    assert_eq!(db.text(trouble).await?, "not today (AB123) 1");

    // Tried again after half a minute, and then after a minute: not at each tick.
    db.travel("61 minutes 31 seconds").await?;
    assert_eq!(rotate(&db).await?.len(), 1);
    assert_eq!(db.text(trouble).await?, "not today (AB123) 2");
    db.run("DELETE FROM app.broken").await?;
    db.travel("62 minutes").await?;
    assert_eq!(rotate(&db).await?, Vec::<String>::new());
    db.travel("70 minutes").await?;
    rotate(&db).await?;
    assert_eq!(left(&db, &[done, dead]).await?, "0 0 0");
    assert_eq!(db.text(trouble).await?, "");
    let gone = "SELECT string_agg(concat_ws(' ', job->>'state', job->>'queue', job->'payload'->>'of', job->'failures'->0->>'error_kind'), ', ' ORDER BY id) FROM app.gone";
    assert_eq!(db.text(gone).await?, "completed asks asks, dead asks asks broke");
    Ok(())
}

#[tokio::test]
async fn a_callback_that_hangs_stops_no_other_queue() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    db.run("CREATE FUNCTION public.hang(jobs jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(600)'").await?;
    queue(&db, "hangs", "before_removal = 'public.hang', completed_retention = '1 hour'").await?;
    queue(&db, "plain", "completed_retention = '1 hour'").await?;
    let ids = [complete(&db, "hangs").await?, complete(&db, "plain").await?];
    db.travel("61 minutes").await?;
    let mut keeper = db.session().await?;
    keeper.run("SET statement_timeout = '3s'").await?;
    let did = keeper.text("SELECT howdah.rotate()").await?;
    assert!(did.contains("queue hangs: canceling statement due to statement timeout"), "{did}");
    // It is not called again at once.
    keeper.run("SET statement_timeout = '60s'").await?;
    keeper.text("SELECT howdah.rotate()").await?;
    assert_eq!((left(&db, &ids[..1]).await?, left(&db, &ids[1..]).await?), ("1 1 0".to_owned(), "0 0 0".to_owned()));
    Ok(())
}

#[tokio::test]
async fn the_keeper_removes_and_calls() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    db.run(CALLBACK).await?;
    queue(&db, "asks", "completed_retention = '1 hour', before_removal = 'app.on_removal'").await?;
    let id = complete(&db, "asks").await?;
    db.travel("61 minutes").await?;
    let worker = start(Worker::new(&db.howdah).handle_any(async |_: RawJob, _: howdah::Ctx| {}));
    db.wait_for("SELECT string_agg(id::text, ' ') FROM app.gone", &id.to_string()).await?;
    worker.stop().await
}

#[tokio::test]
async fn what_is_archived_is_all_that_was_known() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    queue(&db, "mail", "on_removal = 'archive'").await?;
    let options = "{\"timeout_ms\": 5000}";
    let id = db
        .number(&format!(
            "SELECT howdah.enqueue('k', '{{\"to\": \"ada\"}}', 'mail', 3, max_attempts => 7, options => '{options}')"
        ))
        .await?;
    db.run(&format!("SELECT f.* FROM howdah.claim({worker}, 'mail') c, LATERAL howdah.fail(c.lease_id, ARRAY[c.id], '{{retry}}', '{{broke}}', '{{no luck}}', '{{0}}') f;
                     SELECT howdah.promote(); SELECT e.* FROM howdah.claim({worker}, 'mail') c, LATERAL howdah.complete(c.lease_id, ARRAY[c.id], '{{42}}', ARRAY[c.id], ARRAY['\"sent\"'::jsonb]) e")).await?;
    let seen =
        db.text(&format!("SELECT to_jsonb(j) - 'worker_id' - 'due_at' - 'attributes' - 'expires_at' FROM howdah.jobs j WHERE id = {id}")).await?;
    db.travel("25 hours").await?;
    rotate(&db).await?;
    let archived = "SELECT to_jsonb(a) - 'worker' - 'failures' - 'archived_at' FROM howdah.archive a";
    assert_eq!(db.text(archived).await?, seen);
    let more = "SELECT concat_ws(' ', worker, failures->0->>'message', archived_at > ended_at + interval '1 day') FROM howdah.archive";
    assert_eq!(db.text(more).await?, "w no luck t");
    assert_eq!(left(&db, &[id]).await?, "0 0 0");
    Ok(())
}

/// A key in the archive would be met again one day, and then nothing would go there any more.
#[tokio::test]
async fn the_archive_takes_the_same_key_twice() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    queue(&db, "mail", "on_removal = 'archive'").await?;
    let id = fail(&db, "mail", "discard").await?;
    db.run(
        "BEGIN; SELECT howdah.purge('dead', '0'); CREATE TABLE public.copy AS SELECT * FROM howdah.archive; ROLLBACK",
    )
    .await?;
    db.run("INSERT INTO howdah.archive SELECT id, 'mail', 'k', 'dead', 1, 1, 5, died_at, NULL, died_at, NULL, NULL, NULL, '{}', NULL, NULL, NULL, died_at
              FROM howdah.dead, LATERAL (SELECT job_id AS id) j").await?;
    assert_eq!(db.number("SELECT howdah.purge('dead', '0')").await?, 1);
    assert_eq!(db.number(&format!("SELECT count(*) FROM howdah.archive WHERE id = {id}")).await?, 2);
    let unique =
        "SELECT count(*) FROM pg_index WHERE indrelid = 'howdah.archive'::regclass AND (indisunique OR indisexclusion)";
    assert_eq!(db.number(unique).await?, 0);
    Ok(())
}

#[tokio::test]
async fn nothing_is_truncated_before_it_is_archived() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    db.run(CALLBACK).await?;
    db.run("INSERT INTO app.broken VALUES ('for long'); UPDATE howdah.config SET history_retention = '1 hour'").await?;
    queue(&db, "mail", "on_removal = 'archive', before_removal = 'app.on_removal'").await?;
    let mut ids = Vec::new();
    for quarters in 0..16 {
        db.travel(&format!("{} minutes", quarters * 16)).await?;
        ids.push(complete(&db, "mail").await?);
        complete(&db, "default").await?;
        rotate(&db).await?;
    }
    let all = format!("{0} {0} 0", ids.len());
    assert_eq!(left(&db, &ids).await?, all, "what could not be archived was thrown away");
    db.run("DELETE FROM app.broken").await?;
    let mut did = Vec::new();
    for quarters in 20..40 {
        db.travel(&format!("{} minutes", quarters * 16)).await?;
        complete(&db, "default").await?;
        did.extend(rotate(&db).await?);
    }
    let archived = "SELECT string_agg(id::text, ',' ORDER BY id) FROM howdah.archive WHERE payload->>'of' = 'mail'";
    assert_eq!(db.text(archived).await?, ids.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
    assert!(did.iter().any(|d| d.starts_with("truncated history")), "{did:?}");
    assert!(did.contains(&"truncated job_0".to_owned()), "{did:?}");
    Ok(())
}

#[tokio::test]
async fn the_archive_forgets_after_its_own_retention() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    queue(&db, "mail", "on_removal = 'archive', completed_retention = '1 hour'").await?;
    complete(&db, "mail").await?;
    db.travel("2 hours").await?;
    rotate(&db).await?;
    db.travel("20 years").await?;
    rotate(&db).await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.archive").await?, 1);
    db.howdah.set_config(Retention::new().archive(Duration::from_secs(86_400))).await?;
    assert_eq!(rotate(&db).await?, ["pruned 1 archived jobs"]);
    Ok(())
}

#[tokio::test]
async fn held_jobs_go_in_the_applications_transaction_and_not_before() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    queue(&db, "held", "on_removal = 'hold', completed_retention = '1 hour', dead_retention = '1 hour'").await?;
    db.run("UPDATE howdah.config SET history_retention = '1 hour'").await?;
    let (done, dead) = (complete(&db, "held").await?, fail(&db, "held", "discard").await?);
    for hours in [0, 2, 3, 4, 5, 6] {
        db.travel(&format!("{hours} hours")).await?;
        complete(&db, "default").await?;
        rotate(&db).await?;
    }
    let young = complete(&db, "held").await?;
    assert_eq!(left(&db, &[done, dead]).await?, "1 2 1", "nobody called");
    for commit in [false, true] {
        let mut tx = db.pool().begin().await?;
        let removed = db.howdah.prune_in(&mut tx, 100).await?;
        let told: Vec<_> = removed.iter().map(|j| (j.id.0, j.state, j.payload.get(), j.reason.as_deref())).collect();
        let payload = r#"{"of": "held"}"#;
        assert_eq!(
            told,
            [(done, JobState::Completed, payload, None), (dead, JobState::Dead, payload, Some("broke: no luck"))]
        );
        assert!(db.howdah.prune_in(&mut *db.pool().acquire().await?, 100).await?.is_empty(), "another has them");
        if commit {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
            assert_eq!(left(&db, &[done, dead]).await?, "1 2 1");
        }
    }
    assert_eq!((left(&db, &[done, dead]).await?, left(&db, &[young]).await?), ("0 0 0".to_owned(), "1 1 0".to_owned()));
    let mut connection = db.pool().acquire().await?;
    let refused = db.howdah.prune_in(&mut connection, 0).await.expect_err("0 jobs");
    assert!(matches!(refused, Error::Invalid { field, .. } if field == "most"));
    assert_eq!(db.session().await?.refusal("SELECT howdah.remove_held(1, 'nope')").await?, "HD001 queue");
    Ok(())
}

#[tokio::test]
async fn a_callback_must_be_a_function_that_can_be_called() -> Result<()> {
    let db = Db::new().await?;
    db.run(CALLBACK).await?;
    db.run(
        "CREATE PROCEDURE app.proc(jobs jsonb) LANGUAGE sql AS ''; CREATE FUNCTION app.other(jobs text) RETURNS void LANGUAGE sql AS '';
         CREATE FUNCTION app.many(jobs jsonb) RETURNS SETOF integer LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION app.\"Odd; name\"(jobs jsonb) RETURNS void LANGUAGE sql AS '';",
    )
    .await?;
    let mut session = db.session().await?;
    session.run("SET search_path = app").await?;
    let set = |name: &str| format!("UPDATE howdah.queue SET before_removal = '{name}'");
    for name in [
        "app.nope",
        "on_removal",
        "app.proc",
        "app.other",
        "app.many",
        "app.on_removal(jsonb)",
        "app.on_removal; SELECT 1",
        "a.b.c",
        "app.",
        "\"",
        "",
    ] {
        let refusal = session.refusal(&set(name)).await?;
        assert!(refusal == "HD002 before_removal" || name.is_empty() && refusal == "23514", "{name}: {refusal}");
    }
    session.run(&set("app.on_removal")).await?;
    session.run(&set("app.\"Odd; name\"")).await?;
    // It went since: the jobs stay, and it is told why.
    db.worker().await?;
    let id = complete(&db, "default").await?;
    db.run("DROP FUNCTION app.\"Odd; name\"(jsonb)").await?;
    db.travel("25 hours").await?;
    let did = rotate(&db).await?;
    assert!(did.iter().any(|d| d.contains("before_removal must name a function")), "{did:?}");
    assert_eq!(left(&db, &[id]).await?, "1 1 0");
    Ok(())
}

/// Whoever removes: the same function must not mean something else in each of their sessions.
#[tokio::test]
async fn a_callback_sees_the_same_search_path_whoever_removes() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    db.run(
        "CREATE SCHEMA app; CREATE TABLE app.path (path text);
         CREATE FUNCTION app.bare(jobs jsonb) RETURNS void LANGUAGE plpgsql
           AS $$ BEGIN INSERT INTO app.path VALUES (current_setting('search_path')); END $$;
         CREATE FUNCTION app.own(jobs jsonb) RETURNS void LANGUAGE plpgsql SET search_path = app, pg_temp
           AS $$ BEGIN INSERT INTO path VALUES (current_setting('search_path')); END $$;",
    )
    .await?;
    let mut session = db.session().await?;
    session.run("SET search_path = nowhere, public").await?;
    for (function, path) in [("app.bare", "pg_catalog, pg_temp"), ("app.own", "app, pg_temp")] {
        session.run(&format!("UPDATE howdah.queue SET before_removal = '{function}'")).await?;
        complete(&db, "default").await?;
        assert_eq!(session.number("SELECT howdah.purge('completed', '0')").await?, 1);
        assert_eq!(session.text("SELECT string_agg(path, ' ') FROM app.path").await?, path);
        session.run("DELETE FROM app.path").await?;
    }
    Ok(())
}

/// A thousand at a time, over any number of pages, and each once.
#[tokio::test]
async fn a_walk_over_many_pages_finds_all_of_them_once() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(CALLBACK).await?;
    queue(&db, "q", "before_removal = 'app.on_removal', completed_retention = '1 hour'").await?;
    db.run(&format!(
        "SELECT count(howdah.enqueue('k', '1', q)) FROM unnest('{{default,q}}'::text[]) q, generate_series(1, 3000);
         DO $$ DECLARE l bigint; ids bigint[];
         BEGIN
           FOR n IN 1..6 LOOP
             FOR l, ids IN SELECT c.lease_id, array_agg(c.id) FROM unnest('{{default,q}}'::text[]) q, LATERAL howdah.claim({worker}, q, 500) c GROUP BY 1 LOOP
               FOR i IN 1..cardinality(ids) LOOP PERFORM howdah.complete_in(l, ids[i]); END LOOP;
               PERFORM howdah.forget({worker}, l, ids);
             END LOOP;
           END LOOP;
         END $$"
    ))
    .await?;
    assert!(db.number("SELECT pg_relation_size('howdah.receipt_0') / 8192").await? > 100);
    db.travel("61 minutes").await?;
    assert_eq!(rotate(&db).await?, ["pruned 1000 jobs"; 3]);
    assert_eq!(db.text("SELECT count(*) || ' ' || count(DISTINCT id) FROM app.gone").await?, "3000 3000");
    assert_eq!(db.number("SELECT count(*) FROM howdah.receipt").await?, 3000);
    Ok(())
}

/// What a transaction has written and not committed is seen by nobody: the slot is not taken for empty.
#[tokio::test]
async fn what_an_open_transaction_has_completed_is_archived_when_it_commits() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("UPDATE howdah.config SET history_retention = '1 hour'").await?;
    queue(&db, "mail", "on_removal = 'archive'").await?;
    let id = db.number("SELECT howdah.enqueue('k', '{}', 'mail')").await?;
    let mut handler = db.session().await?;
    let lease = handler.number(&format!("SELECT lease_id FROM howdah.claim({worker}, 'mail')")).await?;
    handler.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {id})")).await?;
    for minutes in [31, 100, 115] {
        db.travel(&format!("{minutes} minutes")).await?;
        rotate(&db).await?;
        complete(&db, "default").await?;
    }
    handler.run("COMMIT").await?;
    let mut did = Vec::new();
    for minutes in [130, 150, 170, 190] {
        db.travel(&format!("{minutes} minutes")).await?;
        did.extend(rotate(&db).await?);
    }
    assert_eq!(db.text("SELECT string_agg(id::text, ' ') FROM howdah.archive").await?, id.to_string());
    assert!(did.contains(&"truncated history slot 0".to_owned()), "{did:?}");
    Ok(())
}
