//! Functions that run as the owner cannot be lured to somebody else's objects, whatever their caller has made.

use anyhow::Result;
use howdah_tests::{Db, Guests};
use sqlx::AssertSqlSafe;

use crate::schema::TRAPS;

/// Somebody who may do all that roles may, and who has put their own objects in the way: traps for operators and functions, a
/// schema of their own name, and temporary tables, types and functions with the names of everything that the queue has.
const SHADOWS: &str = r#"
CREATE SCHEMA AUTHORIZATION CURRENT_USER;
DO $do$ DECLARE n text; BEGIN
  EXECUTE format('CREATE FUNCTION %I.now() RETURNS timestamptz LANGUAGE sql AS ''SELECT trap.sprung()::text::timestamptz''', current_user);
  FOR n IN SELECT relname FROM pg_class WHERE relnamespace = 'howdah'::regnamespace AND relkind IN ('r', 'p', 'v') LOOP
    EXECUTE format('CREATE TEMP TABLE %I (one integer)', n);
  END LOOP;
  FOR n IN SELECT relname FROM pg_class WHERE relnamespace = 'howdah'::regnamespace AND relkind = 'S' LOOP
    EXECUTE format('CREATE TEMP SEQUENCE %I', n);
  END LOOP;
  FOR n IN SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'howdah'::regnamespace LOOP
    EXECUTE format('CREATE FUNCTION pg_temp.%I() RETURNS boolean LANGUAGE sql AS ''SELECT trap.sprung()''', n);
  END LOOP;
  CREATE DOMAIN pg_temp.micros AS bigint CHECK (false);
END $do$;
SET search_path = pg_temp, "$user", trap, pg_catalog, public;
"#;

/// A job's life with every kind of function, as far as roles may call them.
const LIFE: &str = "
DO $do$
DECLARE w bigint; j bigint; l bigint; ids bigint[]; term bigint;
BEGIN
  PERFORM howdah.create_queue('q');
  w := howdah.start_worker('w', 20000, 2000, '{q}');
  PERFORM howdah.attach_session(w), howdah.fall_asleep(w, '{1,2}');
  INSERT INTO howdah.new_job (kind, queue) VALUES ('k', 'q') RETURNING id INTO j;
  SELECT lease_id INTO l FROM howdah.claim(w, 'q', 1);
  PERFORM howdah.complete_in(l, j, 5);
  PERFORM howdah.forget(w, l, ARRAY[j]);
  PERFORM howdah.enqueue_many('k', '{1,2,3}', 'q');
  SELECT array_agg(id), max(lease_id) INTO ids, l FROM howdah.claim(w, 'q', 500, '{k}');
  PERFORM howdah.complete(l, ids);
  j := howdah.enqueue('k', '{}', 'q', 0, NULL, NULL, 1);
  SELECT lease_id INTO l FROM howdah.claim(w, 'q', 1);
  PERFORM howdah.keep_step(l, j, 'one', '1'), howdah.report_progress(l, j, 5, 'half', '{}');
  PERFORM howdah.get_steps(j);
  PERFORM howdah.fail(l, ARRAY[j], NULL, NULL, '{broke}');
  PERFORM howdah.retry(j), howdah.cancel(j);
  PERFORM howdah.enqueue_unique('u', '{\"a\": 1.0}', scope => 'period', period => '1 hour', queue => 'q');
  j := howdah.enqueue('k', '{}', 'q', options => '{\"attributes\": {\"a\": 1}, \"limit_key\": \"x\", \"ttl_ms\": 60000}');
  PERFORM howdah.isolate(ARRAY[j]);
  PERFORM howdah.find('q', 'k', NULL, '$.a == 1'), howdah.why(j), howdah.wait_for(ARRAY[j]);
  PERFORM howdah.set_limit('key', 'x', '{\"max_running\": 1}'), howdah.set_queue('q', '{\"max_jobs\": 50}'), howdah.set_kind('k', '{\"timeout_ms\": 5}');
  PERFORM howdah.set_schedule('s', '{\"expression\": \"@hourly\", \"kind\": \"k\"}'), howdah.run_schedule('s');
  PERFORM howdah.enqueue_workflow('w', '[{\"name\": \"a\", \"kind\": \"k\"}, {\"name\": \"b\", \"kind\": \"k\", \"depends_on\": [\"a\"]}]');
  SELECT lease_id INTO l FROM howdah.claim_where(w, 'q', 1, '$.a == 1', '{k}');
  PERFORM howdah.send_signal('go', '1'), howdah.cancel_in(l, j);
  term := howdah.elect_keeper(w);
  PERFORM howdah.keep(w, term, true, false, 1000), howdah.rotate(), howdah.heartbeat(w);
  PERFORM howdah.cancel_many('q'), howdah.purge('dead', '1 hour'), howdah.resign_keeper(w), howdah.stop_worker(w);
END $do$;
DO $do$ DECLARE n text; r record; BEGIN
  FOREACH n IN ARRAY '{jobs,queues,limits,workers,workflows,workflow_jobs,schedules,firings,steps,retention}'::text[] LOOP
    EXECUTE pg_catalog.concat('SELECT pg_catalog.to_jsonb(v) FROM howdah.', n, ' v') INTO r;
  END LOOP;
END $do$";

#[tokio::test]
async fn who_calls_a_function_of_the_owner_cannot_lure_it_to_their_own_objects() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let user = guests.user("operator");
    db.run(&format!("GRANT {}, {} TO {user}", guests.roles.producer, guests.roles.worker)).await?;
    db.run(&format!("GRANT CREATE ON SCHEMA public TO {user}; DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {user}', current_database()); END $$")).await?;
    let mut session = guests.session("operator").await?;
    session.run(TRAPS).await?;
    session.run(SHADOWS).await?;
    assert_eq!(session.refusal("SELECT 'a'::text = 'b'::text").await?, "P0001", "the traps do not work");
    session.run(LIFE).await?;
    // Whatever else becomes of a call without arguments, it must not reach a trap.
    let calls: Vec<String> = sqlx::query_scalar(
        "SELECT format('SELECT %s(%s)', p.oid::regproc, (SELECT string_agg('NULL::pg_catalog.' || quote_ident(t.typname), ', ' ORDER BY n)
                         FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u(a, n) JOIN pg_type t ON t.oid = a))
           FROM pg_proc p WHERE p.pronamespace = 'howdah'::regnamespace AND p.prosecdef ORDER BY 1",
    )
    .fetch_all(db.pool())
    .await?;
    assert!(calls.len() > 80, "{}", calls.len());
    for call in calls {
        let tried = sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; SET LOCAL statement_timeout = '2s'; {call}")))
            .execute(&mut session.0)
            .await;
        session.run("ROLLBACK").await?;
        if let Err(error) = tried {
            assert!(!error.to_string().contains("sprung"), "{call}");
        }
    }
    let touched = "SELECT string_agg(c.relname, ' ') FROM pg_class c WHERE c.relnamespace = pg_my_temp_schema() AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0";
    session.run("RESET search_path").await?;
    assert_eq!(session.text(&format!("SELECT coalesce(({touched}), '')")).await?, "");
    Ok(())
}

#[tokio::test]
async fn nothing_runs_as_the_owner_with_its_callers_search_path() -> Result<()> {
    let db = Db::new().await?;
    Guests::new(&db).await?;
    let open = "SELECT coalesce(string_agg(oid::regprocedure::text, ' '), '') FROM pg_proc WHERE pronamespace = 'howdah'::regnamespace
                 AND prosecdef AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)";
    assert_eq!(db.text(open).await?, "");
    // What has no setting of its own is bound to its objects when it is made, and runs as its caller.
    let bound = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'howdah'::regnamespace AND proconfig IS NULL AND (prosecdef OR prosqlbody IS NULL)";
    assert_eq!(db.number(bound).await?, 0);
    Ok(())
}
