//! The schema: installed one way, however it is installed; under any name; and deaf to the caller's search path.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use howdah::{Cancelled, Ctx, Error, Howdah, Job, JobError, JobState, Worker};
use howdah_tests::{Db, Held, Running, Session, in_time, start};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// Everything that the catalogs say of a schema, a line each.
const FINGERPRINT: &str = r#"
WITH rel AS (SELECT * FROM pg_class WHERE relnamespace = '$S'::regnamespace),
line(x) AS (
  SELECT format('relation %s %s %s %s %s %s %s', relkind, relname, relpersistence, reloptions, relacl,
                pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid)) FROM rel
  UNION ALL
  SELECT format('column %s.%s %s %s %s %s %s %s %s', r.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                a.attidentity, a.attcollation::regcollation, a.attstorage, pg_get_expr(d.adbin, d.adrelid))
    FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
    LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum WHERE r.relkind IN ('r', 'p', 'v')
  UNION ALL
  SELECT format('constraint %s %s %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) FROM pg_constraint c JOIN rel ON rel.oid = c.conrelid
  UNION ALL SELECT 'index ' || pg_get_indexdef(oid) FROM rel WHERE relkind IN ('i', 'I')
  UNION ALL SELECT format('view %s %s', relname, pg_get_viewdef(oid)) FROM rel WHERE relkind = 'v'
  UNION ALL SELECT format('sequence %s %s', oid::regclass, (SELECT s FROM (SELECT seqtypid, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle
                                                                  FROM pg_sequence WHERE seqrelid = rel.oid) s)) FROM rel WHERE relkind = 'S'
  UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid WHERE NOT tgisinternal
  UNION ALL SELECT format('function %s %s', proacl, pg_get_functiondef(oid)) FROM pg_proc WHERE pronamespace = '$S'::regnamespace
  UNION ALL SELECT format('migration %s %s', version, name) FROM $S.migration
  UNION ALL SELECT format('code %s %s', hash, release) FROM $S.code
  UNION ALL SELECT format('settings %s', (SELECT json_agg(c) FROM $S.config c))
  UNION ALL SELECT format('ring %s %s', name, slot) FROM $S.ring
  UNION ALL SELECT format('queue %s %s', id, name) FROM $S.queue
)
SELECT string_agg(x, E'\n' ORDER BY x COLLATE "C") FROM line"#;

async fn fingerprint(db: &Db, schema: &str) -> Result<String> {
    db.text(&FINGERPRINT.replace("$S", schema)).await
}

/// Which row versions the catalogs hold: other ones as soon as anything is created anew, even alike.
async fn versions(db: &Db) -> Result<String> {
    db.text(
        "SELECT (SELECT string_agg(oid || ':' || xmin, ' ' ORDER BY oid) FROM pg_proc WHERE pronamespace = 'howdah'::regnamespace)
             || (SELECT string_agg(oid || ':' || xmin, ' ' ORDER BY oid) FROM pg_class WHERE relnamespace = 'howdah'::regnamespace)
             || (SELECT string_agg(xmin::text, ' ') FROM howdah.migration) || (SELECT string_agg(xmin::text, ' ') FROM howdah.code)",
    )
    .await
}

#[tokio::test]
async fn migrate_makes_what_psql_makes_of_the_script() -> Result<()> {
    let (by_migrate, by_psql) = (Db::empty().await?, Db::empty().await?);
    by_migrate.howdah.migrate().await?;
    by_psql.psql(&by_psql.howdah.migration_sql()).await?;
    let (migrated, loaded) = (fingerprint(&by_migrate, "howdah").await?, fingerprint(&by_psql, "howdah").await?);
    ensure!(migrated.lines().count() > 300, "the fingerprint sees too little:\n{migrated}");
    assert_eq!(migrated, loaded);
    assert!(by_psql.howdah.migration_status().await?.is_current());
    let before = versions(&by_psql).await?;
    by_psql.howdah.migrate().await?;
    assert_eq!(versions(&by_psql).await?, before, "migrate had something left to do after the script");
    Ok(())
}

#[tokio::test]
async fn the_schema_in_the_repository_is_the_one_that_is_installed() -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql/schema.sql");
    let sql = Howdah::from_pool(PgPoolOptions::new().connect_lazy("postgres:///")?).migration_sql();
    if std::env::var_os("HOWDAH_WRITE_SCHEMA").is_some() {
        std::fs::write(&file, &sql)?;
    }
    let kept = std::fs::read_to_string(&file).context("sql/schema.sql")?;
    let differs = kept.lines().zip(sql.lines()).position(|(a, b)| a != b).unwrap_or(kept.lines().count()) + 1;
    ensure!(
        kept == sql,
        "sql/schema.sql is not what is installed, from line {differs} on. It is generated: run this test once with \
         HOWDAH_WRITE_SCHEMA=1 in the environment, and commit it"
    );
    Ok(())
}

#[tokio::test]
async fn a_second_migrate_changes_nothing() -> Result<()> {
    let db = Db::empty().await?;
    db.howdah.migrate().await?;
    let before = (fingerprint(&db, "howdah").await?, versions(&db).await?);
    db.howdah.migrate().await?;
    assert_eq!((fingerprint(&db, "howdah").await?, versions(&db).await?), before);
    Ok(())
}

#[tokio::test]
async fn eight_processes_may_migrate_at_once() -> Result<()> {
    let db = Db::empty().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let howdah = Howdah::connect(db.url()).await?;
        tasks.spawn(async move { howdah.migrate().await });
    }
    while let Some(done) = in_time("eight migrations", tasks.join_next()).await? {
        done??;
    }
    let other = Db::new().await?;
    assert_eq!(fingerprint(&db, "howdah").await?, fingerprint(&other, "howdah").await?);
    Ok(())
}

#[tokio::test]
async fn a_migration_that_breaks_off_leaves_nothing() -> Result<()> {
    let db = Db::empty().await?;
    // The last view of the script cannot be made, as something else is in its place.
    db.run("CREATE SCHEMA howdah; CREATE TABLE howdah.workers ()").await?;
    assert!(matches!(db.howdah.migrate().await, Err(Error::Database(_))));
    assert_eq!(db.number("SELECT count(*) FROM pg_class WHERE relnamespace = 'howdah'::regnamespace").await?, 1);
    db.run("DROP TABLE howdah.workers").await?;
    db.howdah.migrate().await?;
    assert!(db.howdah.migration_status().await?.is_current());
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
#[job(kind = "errand", queue = "errands", attempts = 2)]
struct Errand {
    does: String,
}

async fn errand(job: Errand, cx: Ctx) -> Result<(), JobError> {
    match job.does.as_str() {
        "fails" => Err(JobError::retry_in(Duration::ZERO, "as it was told to")),
        "effect" => {
            let mut tx = cx.howdah().pool().begin().await?;
            sqlx::query("INSERT INTO public.effect VALUES ($1)").bind(cx.id().0).execute(&mut *tx).await?;
            cx.complete_in(&mut tx).await?;
            Ok(tx.commit().await?)
        }
        _ => Ok(()),
    }
}

fn does(does: &str) -> Errand {
    Errand { does: does.to_owned() }
}

async fn reaches(howdah: &Howdah, job: howdah::JobId, state: JobState) -> Result<()> {
    in_time(&format!("job {job} to be {state}"), async {
        while howdah.state(job).await? != Some(state) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
    .await?
}

/// One of everything that a job can go through, by the library.
async fn whole_life(howdah: &Howdah) -> Result<()> {
    howdah.migrate().await?;
    sqlx::raw_sql("CREATE TABLE public.effect (job bigint)").execute(howdah.pool()).await?;
    let done = howdah.enqueue(does("nothing")).await?;
    let effect = howdah.enqueue(does("effect")).await?;
    let dead = howdah.enqueue(does("fails")).await?;
    let unwanted = howdah.enqueue(does("nothing")).delay(Duration::from_secs(3600)).await?;
    let hurried = howdah.enqueue(does("nothing")).delay(Duration::from_secs(3600)).await?;
    let many = howdah.enqueue_many((0..300).map(|_| does("nothing"))).await?;
    howdah.pause_queue("errands", None, None).await?;
    let worker: Running = start(Worker::new(howdah).handle(errand));
    assert_eq!(howdah.cancel(unwanted).await?, Some(Cancelled::Now));
    howdah.resume_queue("errands").await?;
    for (job, state) in [(done, JobState::Completed), (effect, JobState::Completed), (dead, JobState::Dead)] {
        reaches(howdah, job, state).await?;
    }
    assert_eq!(howdah.state(unwanted).await?, Some(JobState::Cancelled));
    assert_eq!(howdah.retry(hurried).await?, Some(JobState::Ready));
    assert_eq!(howdah.retry(dead).await?, Some(JobState::Ready));
    reaches(howdah, hurried, JobState::Completed).await?;
    for job in many.iter() {
        reaches(howdah, job, JobState::Completed).await?;
    }
    reaches(howdah, dead, JobState::Dead).await?;
    worker.stop().await?;
    let effects: i64 = sqlx::query_scalar("SELECT count(*) FROM public.effect").fetch_one(howdah.pool()).await?;
    assert_eq!(effects, 1);
    Ok(())
}

#[tokio::test]
async fn the_schema_may_have_another_name() -> Result<()> {
    let db = Db::empty().await?;
    let howdah = db.howdah.clone().with_schema("jobs_eu")?;
    whole_life(&howdah).await?;
    let left = "SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = 'jobs_eu'::regnamespace
                 AND pg_get_functiondef(oid) ~ 'howdah\\.'";
    assert_eq!(db.text(left).await?, "");
    assert_eq!(db.text("SELECT to_regnamespace('howdah')").await?, "");
    assert_eq!(db.number("SELECT count(*) FROM jobs_eu.jobs WHERE state = 'completed'").await?, 303);
    let default = Db::new().await?;
    let (named, default) = (fingerprint(&db, "jobs_eu").await?, fingerprint(&default, "howdah").await?);
    let structure = |s: &str| {
        let mut lines: Vec<_> = s.replace("jobs_eu.", "howdah.").lines().map(str::to_owned).collect();
        lines.retain(|l| !l.starts_with("queue ") && !l.starts_with("ring "));
        lines.sort();
        lines
    };
    assert_eq!(structure(&named), structure(&default));
    Ok(())
}

#[tokio::test]
async fn two_schemas_of_one_database_do_not_see_each_other() -> Result<()> {
    let db = Db::new().await?;
    let other = db.howdah.clone().with_schema("other")?;
    other.migrate().await?;
    let before = db.content().await?;
    let ids = other.enqueue_many_raw("k", 0..200).await?;
    db.run("SELECT other.start_worker('w', queues => '{default,mail}'); SELECT other.pause_queue('mail')").await?;
    assert_eq!(db.content().await?, before);
    let worker = db.worker().await?;
    assert_eq!(db.number(&format!("SELECT count(*) FROM howdah.claim({worker}, 'default', 500)")).await?, 0);
    for job in ids.iter().take(1) {
        assert_eq!((db.howdah.state(job).await?, db.howdah.cancel(job).await?), (None, None));
    }
    assert_eq!(db.number("SELECT count(*) FROM other.claim(1, 'default', 500)").await?, 200);
    Ok(())
}

/// A pool whose every session has this setting.
async fn with_setting(db: &Db, name: &str, value: &str) -> Result<Howdah> {
    let options: PgConnectOptions = db.url().parse()?;
    Ok(Howdah::from_pool(PgPoolOptions::new().connect_with(options.options([(name, value)])).await?))
}

#[tokio::test]
async fn an_empty_search_path_is_no_matter() -> Result<()> {
    let db = Db::empty().await?;
    whole_life(&with_setting(&db, "search_path", "").await?).await
}

/// Functions and operators that are found before PostgreSQL's own, and that end whatever calls them.
pub(crate) const TRAPS: &str = r#"
CREATE SCHEMA trap;
CREATE FUNCTION trap.sprung() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap was sprung'; END $$;
DO $do$
DECLARE t text; o text; f text;
BEGIN
  FOREACH t IN ARRAY '{text,bigint,integer,smallint,timestamptz,bigint[],text[],interval,jsonb}'::text[] LOOP
    EXECUTE format('CREATE FUNCTION trap.compared(a %s, b %s) RETURNS boolean LANGUAGE sql AS $f$ SELECT trap.sprung() $f$', t, t);
    FOREACH o IN ARRAY '{=,<>,<,<=,>,>=,~,!~}'::text[] LOOP
      EXECUTE format('CREATE OPERATOR trap.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = trap.compared)', o, t, t);
    END LOOP;
  END LOOP;
  FOREACH f IN ARRAY '{now(),clock_timestamp(),nextval(regclass),nextval(text),octet_length(text),cardinality(anyarray),
      unnest(anyarray),array_position(anyarray\,anyelement),set_config(text\,text\,boolean),pg_notify(text\,text),
      left(text\,integer),format(text\,text),random(),jsonb_typeof(jsonb),pg_column_size(jsonb),generate_series(integer\,integer),
      hashtextextended(text\,bigint),to_regclass(text),count(bigint)}'::text[] LOOP
    EXECUTE format('CREATE FUNCTION trap.%s RETURNS boolean LANGUAGE sql AS $f$ SELECT trap.sprung() $f$', f);
  END LOOP;
  EXECUTE 'CREATE TABLE trap.job (id bigint)';
  EXECUTE 'CREATE TABLE trap.queue (id bigint)';
END $do$;"#;

#[tokio::test]
async fn no_function_of_the_queue_looks_where_the_caller_looks() -> Result<()> {
    let db = Db::new().await?;
    db.run(TRAPS).await?;
    let mut session: Session = db.session().await?;
    session.run("SET search_path = trap, pg_catalog, public").await?;
    for spring in ["SELECT 'a'::text = 'b'::text", "SELECT now()", "SELECT 1::bigint < 2::bigint"] {
        assert_eq!(session.refusal(spring).await?, "P0001", "the trap does not work: {spring}");
    }
    session.run(LIFE_IN_SQL).await?;
    assert_eq!(db.jobs_in("completed").await?, 132);
    assert_eq!(db.jobs_in("dead").await?, 1);
    assert_eq!(db.jobs_in("cancelled").await?, 3);
    Ok(())
}

/// Every function once, with no operator and no function but the queue's own.
const LIFE_IN_SQL: &str = "
DO $do$
DECLARE w bigint; term bigint; j bigint; l bigint; ids bigint[]; r record;
BEGIN
  PERFORM howdah.create_queue('q');
  w := howdah.start_worker('w', 20000, 2000, '{q}');
  PERFORM howdah.attach_session(w), howdah.fall_asleep(w, '{1,2}');
  INSERT INTO howdah.new_job (kind, queue) VALUES ('k', 'q') RETURNING id INTO j;
  SELECT lease_id INTO l FROM howdah.claim(w, 'q', 1);
  PERFORM howdah.holds(l, j);
  PERFORM howdah.release(l);
  SELECT lease_id INTO l FROM howdah.claim(w, 'q', 1);
  PERFORM howdah.complete_in(l, j, 5);
  PERFORM howdah.forget(w, l, ARRAY[j]);
  PERFORM howdah.enqueue_many('k', array_agg('{}'::jsonb), 'q') FROM pg_catalog.generate_series(1, 130);
  SELECT array_agg(id), max(lease_id) INTO ids, l FROM howdah.claim(w, 'q', 500, '{k}');
  PERFORM howdah.complete(l, ids);
  j := howdah.enqueue('k', '{}', 'q', 0, NULL, NULL, 1);
  SELECT lease_id INTO l FROM howdah.claim(w, 'q', 1);
  PERFORM howdah.fail(l, ARRAY[j], NULL, NULL, '{broke}');
  PERFORM howdah.retry(j);
  SELECT lease_id INTO l FROM howdah.claim(w, 'q', 1);
  PERFORM howdah.fail(l, ARRAY[j], '{retry}');
  j := howdah.enqueue('k', '{}', 'q', delay => '1 hour');
  PERFORM howdah.retry(j), howdah.cancel(j);
  j := howdah.enqueue('k', '{}', 'q');
  SELECT lease_id INTO l FROM howdah.claim(w, 'q', 1);
  PERFORM howdah.cancel(j), howdah.heartbeat(w);
  PERFORM howdah.fail(l, ARRAY[j], '{cancel}');
  PERFORM howdah.pause_queue('q', 'me', 'why'), howdah.resume_queue('q');
  j := howdah.enqueue('k', '{}', 'q', run_at => '2020-01-01');
  SELECT lease_id INTO l FROM howdah.claim(w, 'q', 1, '{k}', '{0,0,0,0,0,0,0,0,0,0}');
  PERFORM howdah.complete_leases(ARRAY[l], '{1}', '{3}');
  term := howdah.elect_keeper(w);
  PERFORM howdah.keep(w, term, true, false, 1000), howdah.rotate(), howdah.promote(), howdah.prune();
  PERFORM howdah.create_queue('p');
  UPDATE howdah.queue SET on_removal = 'archive', completed_retention = '0';
  j := howdah.enqueue('k', '{}', 'p');
  PERFORM howdah.set_config('{\"expired_retention\": \"1 hour\"}'), howdah.purge('dead', '1 hour', 'p');
  PERFORM howdah.prune_history(), howdah.pick_ended('{1}', '{1}', '{now}', 1), howdah.remove_held();
  PERFORM howdah.cancel(j);
  PERFORM howdah.purge('cancelled', '0', 'p');
  SELECT * INTO r FROM howdah.retention;
  PERFORM howdah.enqueue_unique('u', '{\"a\": 1.0}', scope => 'period', period => '1 hour', queue => 'q');
  PERFORM howdah.enqueue_unique('u', '{\"a\": 1}', on_hit => 'replace', queue => 'q', delay => '1 hour', options => '{\"ttl_ms\": 5}');
  j := howdah.enqueue('k', '{}', 'q', options => '{\"attributes\": {\"a\": 1}, \"retry\": {\"policy\": \"linear\"}, \"timeout_ms\": 5}');
  PERFORM howdah.wait_for(ARRAY[j]), howdah.find('q', 'k', NULL, '$.a == 1'), howdah.isolate(ARRAY[j]), howdah.find_for_update(ARRAY[j]);
  PERFORM howdah.change(j, '{}', 3), howdah.reschedule(j, delay => '0');
  SELECT lease_id INTO l FROM howdah.claim_where(w, 'q', 1, '$.a == 1', '{k}', prefixes => '{m.}', except_kinds => '{x}');
  PERFORM howdah.report_progress(l, j, 5, 'half', '{}'), howdah.get_progress(j), howdah.write_logs(ARRAY[j], '{1}', '{[]}');
  PERFORM howdah.cancel_in(l, j);
  PERFORM howdah.forget(w, l, ARRAY[j]);
  PERFORM howdah.expire(), howdah.delete(j);
  PERFORM howdah.lost('{1}', '{1}');
  PERFORM howdah.cancel_many('q', filter => '$.a == 1'), howdah.retry_many('p'), howdah.purge_dead('p'), howdah.index_attributes(true);
  PERFORM howdah.set_queue('p', '{\"max_jobs\": 5, \"lease_ms\": 5000}'), howdah.queue_settings('p'), howdah.set_kind('k', '{\"timeout_ms\": 5}');
  j := howdah.enqueue('k', '{}', 'p');
  PERFORM howdah.wait_for_space('p', '0'), howdah.delete_queue('p', true), howdah.rotate(), howdah.kind_settings('k');
  PERFORM howdah.rescue();
  PERFORM howdah.resign_keeper(w), howdah.stay_awake(w, '{1,2}'), howdah.stop_worker(w);
  SELECT count(*) INTO r FROM howdah.jobs;
  SELECT * INTO r FROM howdah.queues;
  SELECT * INTO r FROM howdah.workers;
END $do$";

#[tokio::test]
async fn a_whole_life_by_the_library_is_deaf_to_the_search_path() -> Result<()> {
    let db = Db::new().await?;
    db.run(TRAPS).await?;
    whole_life(&with_setting(&db, "search_path", "trap,pg_catalog").await?).await
}

#[tokio::test]
async fn migrate_is_deaf_to_the_search_path() -> Result<()> {
    let (db, other) = (Db::empty().await?, Db::new().await?);
    db.run(TRAPS).await?;
    with_setting(&db, "search_path", "trap,pg_catalog").await?.migrate().await?;
    assert_eq!(fingerprint(&db, "howdah").await?, fingerprint(&other, "howdah").await?);
    Ok(())
}

#[tokio::test]
async fn every_function_sets_its_search_path_and_runs_as_its_caller() -> Result<()> {
    let db = Db::new().await?;
    let open = "SELECT coalesce(string_agg(oid::regprocedure::text, ' '), '') FROM pg_proc WHERE pronamespace = 'howdah'::regnamespace
                 AND NOT (coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false) OR prosqlbody IS NOT NULL)";
    assert_eq!(db.text(open).await?, "");
    let definer = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'howdah'::regnamespace AND prosecdef";
    assert_eq!(db.number(definer).await?, 0);
    assert!(db.number("SELECT count(*) FROM pg_proc WHERE pronamespace = 'howdah'::regnamespace").await? > 40);
    Ok(())
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() -> Result<()> {
    let db = Db::new().await?;
    db.run("INSERT INTO howdah.migration (version, name) VALUES (9999, 'from the future')").await?;
    let before = db.content().await?;
    let refused = |e: &Error| matches!(e, Error::SchemaMismatch { found: 9999, known, .. } if *known < 9999);
    assert!(refused(&db.howdah.migrate().await.expect_err("migrated")));
    let ended = start(Worker::new(&db.howdah).handle(errand)).ended().await.expect_err("the worker ran");
    assert!(refused(ended.downcast_ref().context("an error of the library")?), "{ended}");
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_worker_says_that_nothing_is_installed() -> Result<()> {
    let db = Db::empty().await?;
    let ended = start(Worker::new(&db.howdah).handle(errand)).ended().await.expect_err("the worker ran");
    assert!(matches!(ended.downcast_ref(), Some(Error::NotInstalled { schema }) if schema == "howdah"), "{ended}");
    Ok(())
}

#[tokio::test]
async fn a_queue_of_the_first_version_is_brought_up_with_its_jobs() -> Result<()> {
    async fn done(_: Held) {}
    let (old, new) = (Db::empty().await?, Db::new().await?);
    old.psql(include_str!("../fixtures/schema_1.sql")).await?;
    old.psql(
        "SELECT howdah.enqueue('held'); SELECT howdah.enqueue('held', delay => '1 millisecond');
         SELECT howdah.enqueue('held', options => '{\"anything\": 1}');
         SELECT howdah.complete(lease_id) FROM howdah.claim(howdah.start_worker('old'));
         SELECT howdah.fail(lease_id, ARRAY[id], '{discard}') FROM howdah.claim(1);",
    )
    .await?;
    old.howdah.migrate().await?;
    assert_eq!(fingerprint(&old, "howdah").await?, fingerprint(&new, "howdah").await?);
    assert_eq!(
        old.text("SELECT string_agg(state, ' ' ORDER BY id) FROM howdah.jobs").await?,
        "completed scheduled dead"
    );
    old.run("SELECT howdah.retry(id) FROM howdah.jobs WHERE state = 'dead'").await?;
    let worker = start(Worker::new(&old.howdah).handle(done));
    old.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "3").await?;
    worker.stop().await
}
