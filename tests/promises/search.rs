//! The search language against the database: what each term finds, that pages miss nothing, and what a search may cost.

use std::time::Duration;

use anyhow::Result;
use howdah::JobId;
use howdah_admin::{Admin, Page, Search};
use howdah_tests::{Db, Session};
use rand::prelude::*;
use rand::rngs::StdRng;

use crate::plans::cost;

/// A job in every room, each of a kind that says which.
async fn one_of_each(db: &Db) -> Result<()> {
    let worker = db.worker().await?;
    db.run(&format!(
        r#"SELECT howdah.create_queue('mail');
        SELECT howdah.enqueue('ready', '{{"user": {{"id": 42, "name": "Ann"}}, "tags": ["a", "b"], "big": 12345678901234567890}}', priority => 2);
        SELECT howdah.enqueue('ready-mail', '{{"user": {{"id": "42"}}, "none": null, "on": true}}', queue => 'mail');
        SELECT howdah.enqueue('scheduled', delay => '2 hours', options => '{{"attributes": {{"tenant": 7, "plan": "pro"}}}}');
        SELECT howdah.enqueue_unique('keyed', key => 'user-42', delay => '10 days');
        SELECT howdah.enqueue_workflow('nightly', '[{{"name": "a", "kind": "parent", "delay_ms": 86400000}}, {{"name": "b", "kind": "blocked", "depends_on": ["a"]}}]');
        SELECT howdah.enqueue('completed');
        SELECT howdah.complete(c.lease_id, ARRAY[c.id], '{{7000}}') FROM howdah.claim({worker}, kinds => '{{completed}}') c;
        SELECT howdah.cancel(howdah.enqueue('cancelled', '{{"user": {{"id": 43}}}}'));
        SELECT howdah.enqueue('dead', max_attempts => 1);
        SELECT howdah.fail(c.lease_id, ARRAY[c.id], error_kinds => '{{Smtp}}', messages => '{{"Connection to 10.0.0.1 timed out (100%)"}}')
          FROM howdah.claim({worker}, kinds => '{{dead}}') c;
        SELECT howdah.enqueue('retried');
        SELECT howdah.fail(c.lease_id, ARRAY[c.id], messages => '{{no such user}}', delay_ms => '{{3600000}}') FROM howdah.claim({worker}, kinds => '{{retried}}') c;
        SELECT howdah.enqueue('running', max_attempts => 3);
        SELECT id FROM howdah.claim({worker}, kinds => '{{running}}')"#
    ))
    .await
}

/// The kinds of the jobs that a search finds, in alphabetical order.
async fn kinds(db: &Db, text: &str) -> Result<String> {
    let admin = Admin::new(db.howdah.clone());
    let page = admin.search(&text.parse()?).await?;
    assert_eq!(page.next, None, "{text}");
    let mut kinds: Vec<String> = admin.lines(&page.ids).await?.into_iter().map(|job| job.kind).collect();
    assert_eq!(kinds.len(), page.ids.len(), "{text}");
    kinds.sort();
    Ok(kinds.join(" "))
}

/// Searches, and the kinds of the jobs that they find.
const TERMS: [(&str, &str); 60] = [
    ("kind:ready", "ready"),
    ("kind:ready*", "ready ready-mail"),
    ("kind:*ed", "blocked cancelled completed keyed retried scheduled"),
    ("kind:r*d", "retried"),
    ("kind:\"ready*\"", ""),
    ("queue:mail", "ready-mail"),
    ("queue:nope", ""),
    ("state:dead,cancelled", "cancelled dead"),
    ("state:scheduled", "keyed parent retried scheduled"),
    ("state:blocked", "blocked"),
    ("state:running,completed", "completed running"),
    ("state:ready,running,dead -queue:mail", "dead ready running"),
    ("state:ready state:dead", ""),
    ("priority:2", "ready"),
    ("priority:<5", "ready"),
    ("attempt:>=1", "completed dead retried running"),
    ("max_attempts:1,3", "dead running"),
    ("max_attempts:2..3", "running"),
    ("args.user.id:42", "ready ready-mail"),
    ("args.user.id:\"42\"", "ready-mail"),
    ("args.user.id:>42", "cancelled"),
    ("args.user.id:42..43", "cancelled ready"),
    ("args.user.name:An*", "ready"),
    ("args.user.name:>Am", "ready"),
    ("args.user:*", "cancelled ready ready-mail"),
    ("args.tags:b", "ready"),
    ("args.big:12345678901234567890", "ready"),
    ("args.none:null", "ready-mail"),
    ("args.on:true", "ready-mail"),
    ("attr.tenant:7", "scheduled"),
    ("attr.tenant:8", ""),
    ("attr.plan:p*", "scheduled"),
    ("error:*", "dead retried"),
    ("error:\"TIMED out\"", "dead"),
    ("error:smtp", "dead"),
    ("error:100%", "dead"),
    ("error:10.0*timed", "dead"),
    ("error:10x0", ""),
    ("key:user-42", "keyed"),
    ("key:user-4*", "keyed"),
    ("key:user-42 kind:keyed", "keyed"),
    ("key:user-42 kind:dead", ""),
    ("workflow:nightly", "blocked parent"),
    ("workflow:*", "blocked parent"),
    ("worker:w", "completed running"),
    ("run:>5s", "completed"),
    ("run:<5s", ""),
    ("due:<+90m", "retried"),
    ("due:>now", "keyed parent retried scheduled"),
    ("ended:>-1h", "cancelled completed dead"),
    ("claimed:*", "completed running"),
    ("age:<1h kind:dead", "dead"),
    ("age:>1h", ""),
    ("enqueued:2026-01-01", ""),
    ("after:-1h before:+1h kind:dead", "dead"),
    ("reason:nightly", ""),
    ("user", "keyed retried"),
    ("timed", "dead"),
    ("READY", "ready ready-mail"),
    ("\"no such\"", "retried"),
];

#[tokio::test]
async fn a_term_finds_what_it_says_and_its_negation_the_rest() -> Result<()> {
    let db = Db::new().await?;
    one_of_each(&db).await?;
    let all = "blocked cancelled completed dead keyed parent ready ready-mail retried running scheduled";
    assert_eq!(kinds(&db, "").await?, all);
    let cancelled = db.text("SELECT id FROM howdah.jobs WHERE kind = 'cancelled'").await?;
    for (text, wanted) in TERMS {
        assert_eq!(kinds(&db, text).await?, wanted, "{text}");
        // What is not found by a single term is found by its negation.
        if !text.contains(' ') {
            let others: Vec<&str> = all.split(' ').filter(|kind| !wanted.split(' ').any(|w| w == *kind)).collect();
            assert_eq!(kinds(&db, &format!("-{text}")).await?, others.join(" "), "-{text}");
        }
    }
    for text in [format!("id:{cancelled}"), format!("id:{cancelled}..{cancelled}"), cancelled.clone()] {
        assert_eq!(kinds(&db, &text).await?, "cancelled", "{text}");
    }
    assert_eq!(kinds(&db, "id:9223372036854775807,-5,0 -kind:x").await?, "");
    Ok(())
}

#[tokio::test]
async fn whatever_is_typed_is_a_value_and_never_part_of_a_statement() -> Result<()> {
    let db = Db::new().await?;
    one_of_each(&db).await?;
    let hostile =
        ["x' OR true --", "\") || (1 == 1", "$now", "\\", "%_", ".*", "(?i)", "[", "{}", "'\"`", "a  b", "^$"];
    for text in hostile {
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        for term in [
            quoted.clone(),
            format!("{quoted}*"),
            format!("kind:{quoted}*x"),
            format!("args.{quoted}:{quoted}"),
            format!("attr.{quoted}:>{quoted}"),
            format!("error:{quoted}"),
            format!("worker:{quoted}"),
        ] {
            assert_eq!(kinds(&db, &term).await?, "", "{term}");
        }
        let escaped = serde_json::json!({ text: text });
        sqlx::query("SELECT howdah.enqueue($1, $2)").bind(text).bind(&escaped).execute(db.pool()).await?;
        for term in
            [quoted.clone(), format!("kind:{quoted}"), format!("kind:*{quoted}*"), format!("args.{quoted}:{quoted}")]
        {
            assert_eq!(kinds(&db, &term).await?, text, "{term}");
        }
        db.run("SELECT howdah.delete(max(id)) FROM howdah.jobs").await?;
    }
    Ok(())
}

/// All pages of a search, one after another.
async fn all_pages(admin: &Admin, search: &Search, mut size: impl FnMut() -> (u32, u32)) -> Result<Vec<i64>> {
    let (mut ids, mut before) = (Vec::new(), None);
    loop {
        let (limit, looks) = size();
        let page: Page = admin.search(search).before(before).limit(limit).looks(looks).await?;
        assert!(page.ids.len() <= limit as usize);
        ids.extend(page.ids.iter().map(|id| id.0));
        before = page.next;
        if before.is_none() {
            return Ok(ids);
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_find_each_job_once_newest_first() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(&format!(
        "SELECT howdah.create_queue('mail');
         SELECT howdah.enqueue_many('a', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 900) g));
         SELECT howdah.enqueue_many('b', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 300) g), queue => 'mail', priority => 1);
         SELECT count(howdah.enqueue(CASE WHEN g % 3 = 0 THEN 'a' ELSE 'b' END, to_jsonb(g), priority => g % 4)) FROM generate_series(1, 200) g;
         SELECT howdah.enqueue_many('a', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 300) g), delay => '1 hour');
         SELECT count(*) FROM howdah.claim({worker}, jobs => 333);
         SELECT howdah.fail(c.lease_id, ARRAY[c.id], verdicts => '{{discard}}') FROM howdah.claim({worker}, 'mail', jobs => 77) c;
         SELECT howdah.complete(c.lease_id) FROM (SELECT DISTINCT lease_id FROM howdah.claim({worker}, jobs => 200)) c;
         SELECT count(howdah.retry(id)) FROM howdah.jobs WHERE state = 'scheduled' AND id % 3 = 0"
    ))
    .await?;
    let admin = Admin::new(db.howdah.clone());
    let mut rng = StdRng::seed_from_u64(3);
    for (text, sql) in [
        ("", "true"),
        ("state:ready,scheduled,dead,running", "state IN ('ready', 'scheduled', 'dead', 'running')"),
        ("state:ready kind:b", "state = 'ready' AND kind = 'b'"),
        ("state:dead,running queue:mail", "state IN ('dead', 'running') AND queue = 'mail'"),
        ("-state:completed kind:a", "state <> 'completed' AND kind = 'a'"),
        ("priority:1..2 id:>500", "priority BETWEEN 1 AND 2 AND id > 500"),
        ("state:ready,scheduled id:200..1700", "state IN ('ready', 'scheduled') AND id BETWEEN 200 AND 1700"),
    ] {
        let wanted =
            format!("SELECT coalesce(string_agg(id::text, ' ' ORDER BY id DESC), '') FROM howdah.jobs WHERE {sql}");
        let wanted = db.text(&wanted).await?;
        assert!(wanted.len() > 100, "{text} finds something");
        let search: Search = text.parse()?;
        for most in [10_000, 150] {
            let found = all_pages(&admin, &search, || (rng.random_range(1..=most), rng.random_range(1..=most))).await?;
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), wanted, "{text}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn jobs_that_move_between_rooms_are_found_all_the_same() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue_many('k', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 2000) g))").await?;
    let mut mover = db.session().await?;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let moving = tokio::spawn(async move {
        let mut rounds = 0_u32;
        while stopped.try_recv().is_err() {
            for step in [
                format!("SELECT count(*) FROM howdah.claim({worker}, jobs => 500)"),
                "SELECT howdah.release(l.id) FROM howdah.lease l".to_owned(),
                "SELECT count(howdah.reschedule(id, delay => '1 hour')) FROM howdah.jobs WHERE id % 50 = 0".to_owned(),
                "SELECT count(howdah.retry(id)) FROM howdah.jobs WHERE state = 'scheduled'".to_owned(),
            ] {
                mover.run(&step).await?;
            }
            rounds += 1;
        }
        anyhow::Ok(rounds)
    });
    let admin = Admin::new(db.howdah.clone());
    let search: Search = "state:ready,running,scheduled kind:k".parse()?;
    let mut rng = StdRng::seed_from_u64(5);
    for _ in 0..4 {
        let found = all_pages(&admin, &search, || (rng.random_range(100..=900), 500)).await?;
        assert_eq!(found.len(), 2000);
        assert!(found.windows(2).all(|two| two[0] > two[1]));
    }
    let _ = stop.send(());
    assert!(moving.await?? > 0);
    Ok(())
}

#[tokio::test]
async fn a_search_looks_at_no_more_than_it_may_and_says_how_far_it_got() -> Result<()> {
    let db = Db::new().await?;
    db.run(
        "SELECT howdah.enqueue('needle');
         SELECT howdah.enqueue_many('hay', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 20000) g))",
    )
    .await?;
    let admin = Admin::new(db.howdah.clone());
    let first = admin.search(&"args.x:1".parse()?).looks(2000).await?;
    assert!(first.ids.is_empty() && (2000..3100).contains(&first.looked), "{first:?}");
    let next = first.next.expect("there is more");
    assert_eq!(db.number(&format!("SELECT count(*) FROM howdah.jobs WHERE id >= {}", next.0)).await?, first.looked);
    // Out of patience after one step.
    let hasty = admin.search(&"args.x:1".parse()?).patience(Duration::ZERO).await?;
    assert!(hasty.next.is_some() && hasty.looked < 200, "{hasty:?}");
    // A room and a kind are known of a run of 128 jobs: the hay is not looked at one by one.
    let needle = admin.search(&"state:ready kind:needle".parse()?).looks(500).await?;
    assert_eq!((needle.ids.len(), needle.next), (1, None));
    assert!(needle.looked < 300, "{needle:?}");
    let count = admin.count(&"state:ready".parse()?, 1000).await?;
    assert_eq!(count.to_string(), "1000+");
    assert_eq!(admin.count(&"kind:needle state:ready".parse()?, 1000).await?.to_string(), "1");
    Ok(())
}

/// The pages of tables and indexes that a statement touches, in a session that has asked it before: a new one reads the catalog, too.
async fn pages(session: &mut Session, search: &str) -> Result<i64> {
    let compiled = search.parse::<Search>()?.compiled();
    let literal = compiled.to_string().replace('\'', "''");
    let search = format!("SELECT howdah.search('{literal}', most => 50)");
    cost(session, &search).await?;
    Ok(cost(session, &search).await?.pages)
}

#[tokio::test]
async fn a_page_costs_the_same_however_many_jobs_there_are() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    db.stop_autovacuum().await?;
    db.run("SELECT howdah.create_queue('doomed')").await?;
    let more = |jobs: i32| {
        format!(
            "SELECT howdah.enqueue_many('k', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, {jobs}) g));
             SELECT howdah.enqueue_many('k', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, {jobs}) g), delay => '1 hour');
             SELECT howdah.enqueue_many('k', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, {jobs}) g), queue => 'doomed');
             WITH gone AS (DELETE FROM howdah.ticket t USING howdah.queue q WHERE q.id = t.queue_id AND q.name = 'doomed' RETURNING t.*)
             INSERT INTO howdah.dead (job_id, queue_id, priority, attempt, kind, died_at, reason)
             SELECT g.first_id + n, g.queue_id, g.priority, 1, g.kind, now(), 'broke' FROM gone g, generate_series(0, g.jobs - 1) n"
        )
    };
    db.run(&more(2000)).await?;
    let searches =
        ["", "state:ready", "state:dead", "state:scheduled,ready kind:k", "kind:k -state:completed", "id:300"];
    let mut few = Vec::new();
    for search in searches {
        few.push(pages(&mut session, search).await?);
    }
    db.run(&more(20_000)).await?;
    for (search, few) in searches.iter().zip(few) {
        let many = pages(&mut session, search).await?;
        assert!(many <= 3 * few + 200, "{search}: {many} pages with 66,000 jobs, {few} with 6,000");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_search_is_refused_by_the_database_too() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for (arguments, refusal) in [
        ("NULL", "HD002 search"),
        ("'[]'", "HD002 search"),
        (r#"'{"nope": 1}'"#, "HD002 search"),
        (r#"'{"states": "dead"}'"#, "HD002 search"),
        (r#"'{"row": "$.kind"}'"#, "HD002 search"),
        (r#"'{"rest": "$.due > $then"}'"#, "HD002 search"),
        (r#"'{"args": "1 +"}'"#, "HD002 search"),
        (r#"'{"ids": ["x"]}'"#, "HD002 search"),
        (r#"'{"from_id": 1.5}'"#, "HD002 search"),
        (r#"'{"upto_id": "9999999999999999999"}'"#, "HD002 search"),
        ("'{}', most => 0", "HD002 most"),
        ("'{}', most => 10001", "HD002 most"),
        ("'{}', looks => 0", "HD002 looks"),
        ("'{}', looks => 1000001", "HD002 looks"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT howdah.search({arguments})")).await?, refusal, "{arguments}");
    }
    assert_eq!(session.refusal("SELECT howdah.suggest('state')").await?, "HD002 field");
    Ok(())
}

#[tokio::test]
async fn what_could_be_typed_next_is_suggested() -> Result<()> {
    let db = Db::new().await?;
    one_of_each(&db).await?;
    let admin = Admin::new(db.howdah.clone());
    for (typed, wanted) in [
        ("ki", "kind:"),
        ("state:dead a", "age: attempt: args. attr."),
        ("-state:c", "completed cancelled"),
        ("kind:re", "ready ready-mail retried"),
        ("queue:default,m", "mail"),
        ("worker:", "w"),
        ("workflow:n", "nightly"),
        ("key:", "user-42"),
        ("error:", "Smtp error"),
        ("args.", "args.big: args.none: args.on: args.tags: args.user:"),
        ("args.user.n", "args.user.name:"),
        ("attr.", "attr.plan: attr.tenant:"),
        ("nope:x", ""),
        ("age:", ""),
    ] {
        let found = admin.suggest(typed, typed.len()).await?;
        let texts: Vec<&str> = found.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(texts.join(" "), wanted, "{typed}");
        for suggestion in found.iter().filter(|s| !s.text.ends_with([':', '.'])) {
            let whole = format!("{}{}", &typed[..suggestion.span.start], suggestion.text);
            whole.parse::<Search>()?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_question_that_takes_too_long_ends_and_changes_nothing() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.enqueue_many('k', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 1000) g))").await?;
    // Somebody holds what it has to read.
    let mut session = db.session().await?;
    session.run("BEGIN; LOCK howdah.job").await?;
    let admin = Admin::new(db.howdah.clone()).statement_timeout(Duration::from_millis(50));
    let refused = admin.search(&Search::default()).await;
    assert!(matches!(refused, Err(howdah_admin::Error::TookTooLong { .. })), "{refused:?}");
    session.run("ROLLBACK").await?;
    assert_eq!(
        Admin::new(db.howdah.clone()).search(&Search::default()).limit(1).before(Some(JobId(5))).await?.ids.len(),
        0
    );
    // What was set for the question is not left behind in the pool.
    assert_eq!(
        db.text("SELECT current_setting('statement_timeout') || current_setting('transaction_read_only')").await?,
        "0off"
    );
    Ok(())
}
