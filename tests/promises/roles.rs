//! Roles: each does its work with the rights that it has, and `create_roles` says what it needs.

use std::time::Duration;

use anyhow::Result;
use howdah::{Cancelled, Ctx, Error, Howdah, Job, JobError, JobState, Jobs, Limit, Schedule, Unique, Worker};
use howdah_tests::{Db, Guests, start};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgDatabaseError;

#[derive(Job, Serialize, Deserialize)]
struct Task {
    does: String,
}

fn task(does: &str) -> Task {
    Task { does: does.to_owned() }
}

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "nowhere")]
struct Lost {}

fn code<T: std::fmt::Debug>(answer: howdah::Result<T>) -> String {
    match answer {
        Err(Error::Database(e)) => {
            e.as_database_error().and_then(|e| e.code()).map_or_else(|| format!("{e:?}"), |c| c.into_owned())
        }
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_producer_enqueues_in_every_way_and_sees_no_job() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let howdah = guests.howdah("producer").await?;
    // A stream, in which others would go past the function.
    for n in 0..50 {
        howdah.enqueue(task(&n.to_string())).await?;
    }
    let mut tx = howdah.pool().begin().await?;
    let id = howdah.enqueue(task("in a transaction")).on(&mut tx).await?;
    // What it may not do must not cost it the transaction.
    let lost = howdah.enqueue(Lost {}).await;
    assert!(matches!(lost, Err(Error::UnknownQueue { .. })), "{lost:?}");
    tx.commit().await?;
    howdah.enqueue_many((0..1000).map(|n| task(&n.to_string()))).await?;
    let key = || Unique::key("k");
    let (first, second) =
        (howdah.enqueue(task("once")).unique(key()).await?, howdah.enqueue(task("once")).unique(key()).await?);
    assert_eq!(first.id, second.id);
    howdah.enqueue(task("later")).delay(Duration::from_secs(60)).attribute("tenant", 7).await?;
    howdah.enqueue(task("after")).after([id]).await?;
    let row = "INSERT INTO howdah.new_job (kind, payload) VALUES ('k', '{}') RETURNING id";
    sqlx::query(row).fetch_one(howdah.pool()).await?;
    assert_eq!(db.jobs_in("ready").await?, 1000 + 50 + 3);
    assert_eq!(code(howdah.state(id).await), "42501");
    assert_eq!(code(howdah.cancel(id).await), "42501");
    assert_eq!(code(howdah.find(Jobs::all()).await), "42501");
    Ok(())
}

async fn run(job: Task, cx: Ctx<()>) -> Result<(), JobError> {
    match job.does.as_str() {
        "fails once" if cx.attempt() == 1 => return Err(JobError::retry_in(Duration::ZERO, "as it was told to")),
        "dies" => return Err(JobError::discard("as it was told to")),
        "goes by steps" => {
            cx.progress(50.0, "half");
            let n: i32 = cx.step("one", || async { Ok::<_, JobError>(1) }).await?;
            cx.sleep("a moment", Duration::from_millis(1)).await?;
            cx.howdah().enqueue(task(&format!("enqueued {n}"))).await?;
        }
        "in a transaction" => {
            let mut tx = cx.howdah().pool().begin().await?;
            cx.howdah().enqueue(task("enqueued in it")).on(&mut tx).await?;
            cx.complete_in(&mut tx).await?;
            tx.commit().await?;
        }
        _ => {}
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_serves_its_queue_and_keeps_it_in_order() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let howdah = guests.howdah("worker").await?;
    let schedule = Schedule::new("each second", "@every 1s").job(task("scheduled"));
    let worker = Worker::new(&howdah).handle(run).queue("of its own", 2).queue("default", 10).cron(schedule);
    let worker = start(worker.heartbeat(Duration::from_millis(100)).lease(Duration::from_secs(5)));
    for does in ["fails once", "dies", "goes by steps", "in a transaction", "nothing"] {
        howdah.enqueue(task(does)).await?;
    }
    howdah.enqueue(task("later")).delay(Duration::from_millis(50)).await?;
    howdah.enqueue(task("too late")).delay(Duration::from_secs(3600)).ttl(Duration::from_millis(50)).await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE kind = 'task' AND state = 'completed' AND payload ->> 'does' <> 'scheduled'", "7").await?;
    db.wait_for(
        "SELECT count(*) > 0 FROM howdah.jobs WHERE payload ->> 'does' = 'scheduled' AND state = 'completed'",
        "true",
    )
    .await?;
    db.wait_for(
        "SELECT string_agg(state, ',' ORDER BY state) FROM howdah.jobs WHERE state IN ('dead', 'expired')",
        "dead,expired",
    )
    .await?;
    assert_eq!(db.text("SELECT w.name IS NOT NULL FROM howdah.workers w WHERE w.keeper").await?, "true");
    // What a keeper does seldom.
    db.run("UPDATE howdah.ring SET slot = 1 WHERE name = 'ticket'; UPDATE howdah.queue SET fresh_slot = 1").await?;
    db.wait_for("SELECT pg_relation_size('howdah.ticket_0')", "0").await?;
    worker.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.worker").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_viewer_reads_every_view_and_asks_why() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let id = db.howdah.enqueue(task("secret")).delay(Duration::from_secs(60)).await?;
    let howdah = guests.howdah("viewer").await?;
    let views: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'howdah'::regnamespace AND relkind = 'v' AND relname NOT IN ('new_job', 'all_jobs', 'all_queues')",
    )
    .fetch_all(db.pool())
    .await?;
    for view in &views {
        sqlx::query(sqlx::AssertSqlSafe(format!("SELECT to_jsonb(v) FROM howdah.{view} v")))
            .fetch_all(howdah.pool())
            .await?;
    }
    assert_eq!(howdah.state(id).await?, Some(JobState::Scheduled));
    assert_eq!(howdah.find(Jobs::all()).await?.len(), 1);
    assert!(!howdah.why(id).await?.is_empty());
    assert_eq!(code(howdah.cancel(id).await), "42501");
    assert_eq!(code(howdah.enqueue(task("more")).await), "42501");
    Ok(())
}

#[tokio::test]
async fn an_operator_changes_jobs_and_settings_but_not_what_the_owner_runs() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let howdah = guests.howdah("operator").await?;
    let id = howdah.enqueue(task("x")).delay(Duration::from_secs(60)).await?;
    assert_eq!(howdah.retry(id).await?, Some(JobState::Ready));
    assert_eq!(howdah.cancel(id).await?, Some(Cancelled::Now));
    howdah.create_queue("mail").await?;
    howdah.pause_queue("mail", None, None).await?;
    howdah.resume_queue("mail").await?;
    howdah.set_limit(Limit::kind("task").max_running(1)).await?;
    howdah.set_schedule(&Schedule::new("nightly", "0 3 * * *").job(task("x"))).await?;
    howdah.cancel_all(Jobs::all()).await?;
    let set = "SELECT howdah.set_queue('mail', '{\"max_attempts\": 5}'), howdah.set_config('{\"history_retention\": \"1 hour\"}')";
    sqlx::query(set).execute(howdah.pool()).await?;
    // The owner calls it, so it would do as the owner what the operator may not.
    db.run("CREATE FUNCTION public.take(jobs jsonb) RETURNS void LANGUAGE sql AS ''").await?;
    for call in [
        "set_queue('mail', '{\"before_removal\": \"public.take\"}')",
        "create_queue('m', '{\"before_removal\": \"public.take\"}')",
    ] {
        assert_eq!(
            guests.session("operator").await?.refusal(&format!("SELECT howdah.{call}")).await?,
            "42501 before_removal"
        );
    }
    let owner = "SELECT howdah.set_queue('mail', '{\"before_removal\": \"public.take\"}')";
    guests.session("owner").await?.run(owner).await?;
    Ok(())
}

#[tokio::test]
async fn a_migration_by_any_owner_leaves_everybody_their_rights() -> Result<()> {
    const RIGHTS: &str = "SELECT string_agg(format('%s %s %s %s', p.oid::regprocedure, p.proowner::regrole, p.prosecdef, p.proacl), E'\\n'
                                            ORDER BY p.oid::regprocedure::text) FROM pg_proc p WHERE p.pronamespace = 'howdah'::regnamespace";
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let before = db.text(RIGHTS).await?;
    assert!(before.contains(&format!("{}=X/{}", guests.roles.producer, guests.roles.owner)), "{before}");
    // As after a release in which functions have changed, one of them its arguments.
    db.run("UPDATE howdah.code SET hash = 'old'; DROP FUNCTION howdah.reserve_id()").await?;
    for role in ["producer", "worker", "viewer", "operator", "stranger"] {
        assert_eq!(code(guests.howdah(role).await?.migrate().await), "42501", "{role}");
    }
    guests.howdah("owner").await?.migrate().await?;
    assert_eq!(db.text(RIGHTS).await?, before);
    assert_eq!(db.text("to_regprocedure('howdah.reserve_id()') IS NOT NULL").await?, "true");
    Ok(())
}

#[tokio::test]
async fn who_may_not_create_roles_is_told_what_to_ask_for_and_goes_on_when_they_are_there() -> Result<()> {
    let db = Db::empty().await?;
    let name = db.text("current_database()").await?;
    db.run(&format!("CREATE ROLE {name}_app LOGIN PASSWORD 'p'; GRANT CREATE ON DATABASE {name} TO {name}_app"))
        .await?;
    let options = (*db.pool().connect_options()).clone().username(&format!("{name}_app")).password("p");
    let app = Howdah::from_pool(PgPool::connect_with(options).await?);
    app.migrate().await?;
    let refused = app.create_roles(Some(&name)).await.unwrap_err();
    let Error::Database(sqlx::Error::Database(error)) = &refused else { panic!("{refused:?}") };
    assert_eq!(error.code().as_deref(), Some("42501"));
    let hint = error.downcast_ref::<PgDatabaseError>().hint().unwrap_or_default().to_owned();
    let (before, rest) = hint.split_once("run: ").unwrap();
    assert!(before.starts_with("Let somebody"), "{hint}");
    db.run(rest.split_once("; and then").unwrap().0).await?;
    let roles = app.create_roles(Some(&name)).await?;
    assert_eq!(roles.worker, format!("{name}_worker"));
    assert_eq!(app.create_roles(None).await?, roles, "the prefix is remembered");
    app.enqueue(task("x")).await?;
    // Who may create roles needs nothing else, and a prefix is nobody else's name.
    let (second, third) = (app.clone().with_schema("second")?, db.howdah.clone().with_schema("third")?);
    db.run(&format!("ALTER ROLE {name}_app CREATEROLE; CREATE ROLE {name}3_viewer LOGIN")).await?;
    second.migrate().await?;
    second.create_roles(Some(&format!("{name}2"))).await?;
    second.migrate().await?;
    second.enqueue(task("x")).await?;
    third.migrate().await?;
    for (prefix, why) in [(format!("{name}3"), "can log in"), ("x".repeat(55), "54 bytes")] {
        let Err(Error::Invalid { field, message, .. }) = third.create_roles(Some(&prefix)).await else { panic!() };
        assert!(field == "prefix" && message.contains(why), "{message}");
    }
    let other = app.create_roles(Some("another")).await;
    assert!(
        matches!(&other, Err(Error::Invalid { message, .. }) if message.contains("its roles already")),
        "{other:?}"
    );
    Ok(())
}

#[tokio::test]
async fn roles_of_one_schema_have_no_rights_in_another() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let second = db.howdah.clone().with_schema("second")?;
    second.migrate().await?;
    let roles = second.create_roles(Some(&db.text("current_database() || '_2'").await?)).await?;
    for role in ["producer", "worker", "viewer", "operator", "owner"] {
        let refused = guests.session(role).await?.refusal("SELECT second.enqueue('k')").await?;
        assert_eq!(refused, "42501", "{role}");
    }
    db.run(&format!("GRANT {} TO {}", roles.producer, guests.user("stranger"))).await?;
    let stranger = guests.howdah("stranger").await?.with_schema("second")?;
    stranger.enqueue(task("x")).await?;
    assert_eq!(code(stranger.with_schema("howdah")?.enqueue(task("x")).await), "42501");
    Ok(())
}
