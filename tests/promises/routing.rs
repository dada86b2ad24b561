//! Every job goes to the one handler that is meant for it, and a worker leaves alone what it has none for.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use anyhow::Result;
use howdah::{Ctx, Error, Job, JobState, RawJob, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(kind = "mail.welcome")]
struct Welcome {}

/// Who did which job.
#[derive(Clone, Default)]
struct Done(Arc<Mutex<Vec<String>>>);

impl Done {
    fn note(&self, who: &str, kind: &str) {
        self.0.lock().unwrap().push(format!("{who}: {kind}"));
    }

    fn sorted(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.sort();
        lines
    }
}

async fn welcome(_: Welcome, cx: Ctx<Done>) {
    cx.note("exact", "mail.welcome");
}

async fn mail(job: RawJob, cx: Ctx<Done>) {
    cx.note("mail.", &job.kind);
}

async fn bulk(job: RawJob, cx: Ctx<Done>) {
    cx.note("mail.bulk.", &job.kind);
}

async fn any(job: RawJob, cx: Ctx<Done>) {
    cx.note("any", &job.kind);
}

#[tokio::test]
async fn the_exact_kind_comes_first_then_the_longest_prefix_then_any() -> Result<()> {
    let db = Db::new().await?;
    for kind in ["mail.welcome", "mail.welcome2", "mail.bulk", "mail.bulk.june", "mail", "other"] {
        db.howdah.enqueue_raw(kind, &serde_json::json!({})).await?;
    }
    let done = Done::default();
    let worker = Worker::new(&db.howdah).state(done.clone());
    let worker =
        start(worker.handle_prefix("mail.", mail).handle_any(any).handle_prefix("mail.bulk.", bulk).handle(welcome));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "6").await?;
    assert_eq!(db.text("SELECT kinds FROM howdah.workers").await?, "", "any kind");
    worker.stop().await?;
    let expected = [
        "any: mail",
        "any: other",
        "exact: mail.welcome",
        "mail.: mail.bulk",
        "mail.: mail.welcome2",
        "mail.bulk.: mail.bulk.june",
    ];
    assert_eq!(done.sorted(), expected);
    Ok(())
}

#[tokio::test]
async fn what_a_worker_does_not_know_is_left_to_one_that_does() -> Result<()> {
    let db = Db::new().await?;
    let mut unknown = Vec::new();
    for kind in ["mail.welcome2", "Mail_x", "mailx", "mail", "amail_", "other"] {
        unknown.push(db.howdah.enqueue_raw(kind, &()).await?);
    }
    // A failed attempt comes back by another room, which is read by another cursor.
    db.run("SELECT howdah.enqueue('returned', delay => '1 ms')").await?;
    for kind in ["mail.welcome", "mail_x"] {
        db.howdah.enqueue_raw(kind, &serde_json::json!({})).await?;
    }
    let old = start(Worker::new(&db.howdah).state(Done::default()).handle(welcome).handle_prefix("mail_", mail));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "2").await?;
    db.wait_for("SELECT state FROM howdah.jobs WHERE kind = 'returned'", "ready").await?;
    assert_eq!(db.text("SELECT kinds FROM howdah.workers").await?, "{mail.welcome,mail_*}");
    db.howdah.enqueue_raw("mail_again", &()).await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "3").await?;
    old.stop().await?;
    for id in unknown {
        assert_eq!(db.howdah.state(id).await?, Some(JobState::Ready));
    }
    assert_eq!(db.number("SELECT sum(attempt) FROM howdah.jobs WHERE state = 'ready'").await?, 0);
    let new = start(Worker::new(&db.howdah).state(Done::default()).handle_any(any));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed' AND attempt = 1", "10").await?;
    new.stop().await
}

mod one {
    use super::{Deserialize, Job, Serialize};

    #[derive(Job, Serialize, Deserialize)]
    pub(super) struct Bill {
        pub(super) euros: i64,
    }
}

mod two {
    use super::{Deserialize, Job, Serialize};

    #[derive(Job, Serialize, Deserialize)]
    #[job(version = 2)]
    pub(super) struct Bill {
        pub(super) cents: i64,
    }
}

async fn in_euros(job: one::Bill, cx: Ctx<Done>) {
    cx.note("one", &format!("{} of version {}", job.euros, cx.version()));
}

async fn in_cents(job: two::Bill, cx: Ctx<Done>) {
    cx.note("two", &format!("{} of version {}", job.cents, cx.version()));
}

#[tokio::test]
async fn each_version_of_a_kind_goes_to_its_own_handler() -> Result<()> {
    let db = Db::new().await?;
    db.run(
        r#"SELECT howdah.enqueue('bill', '{"euros": 1}');
           SELECT howdah.enqueue('bill', '{"cents": 200}', options => '{"version": 2}');
           SELECT howdah.enqueue('bill', '{"mills": 3000}', options => '{"version": 3}')"#,
    )
    .await?;
    let done = Done::default();
    let worker = start(Worker::new(&db.howdah).state(done.clone()).handle(in_cents).handle(in_euros));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "2").await?;
    db.wait_for("SELECT state FROM howdah.jobs WHERE options->>'version' = '3'", "scheduled").await?;
    worker.stop().await?;
    assert_eq!(done.sorted(), ["one: 1 of version 1", "two: 200 of version 2"]);
    assert_eq!(
        db.text("SELECT error_kind || ': ' || message FROM howdah.failures").await?,
        "version: the job is of version 3 of its kind \"bill\", and this worker knows the versions 1, 2"
    );
    // A handler that is alone for its kind gets every version, and is told which.
    async fn alone(job: RawJob, cx: Ctx<Done>) {
        cx.note("alone", &format!("version {} {}", job.version, cx.version()));
    }
    let done = Done::default();
    let worker = start(Worker::new(&db.howdah).state(done.clone()).handle_prefix("bill", alone));
    db.run("SELECT howdah.retry(id) FROM howdah.jobs WHERE state = 'scheduled'").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "3").await?;
    worker.stop().await?;
    assert_eq!(done.sorted(), ["alone: version 3 3"]);
    Ok(())
}

#[tokio::test]
async fn handlers_that_cannot_be_told_apart_are_refused() -> Result<()> {
    let db = Db::new().await?;
    let worker = || Worker::new(&db.howdah).state(Done::default());
    for (worker, text) in [
        (
            worker().handle(welcome).handle(welcome),
            "two handlers do jobs of the kind \"mail.welcome\": which one should?",
        ),
        (
            worker().handle(in_euros).handle(in_cents).handle(in_cents),
            "of the kind \"bill\" in version 2: which one should?",
        ),
        (worker().handle_prefix("a.", any).handle_prefix("a.", any), "two handlers do kinds that begin with \"a.\""),
        (worker().handle_prefix("", any), "an empty prefix is every kind: call `.handle_any(your_function)`"),
        (worker().handle_any(any).handle_any(any), "two handlers do any kind: which one should?"),
    ] {
        match worker.run_until(std::future::pending::<()>()).await {
            Err(Error::Worker(message)) => assert!(message.contains(text), "{message}"),
            other => panic!("not refused: {other:?}, {text}"),
        }
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.worker").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_claim_takes_kinds_by_prefix_and_leaves_exceptions_alone() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    db.run("SELECT howdah.enqueue(k) FROM unnest('{a,a.b,a.c,b,%,a.d}'::text[]) WITH ORDINALITY u(k, n) ORDER BY n")
        .await?;
    let worker = db.worker().await?;
    for (arguments, taken) in [
        ("prefixes => '{a.}', except_kinds => '{a.c}'", "a.b a.d"),
        ("kinds => '{a}', prefixes => '{}'", "a"),
        ("kinds => '{b}', prefixes => '{%}', except_kinds => '{b}'", "%"),
        ("except_kinds => '{b}'", "a.c"),
        ("prefixes => '{}'", ""),
        ("prefixes => '{\"\"}'", "b"),
    ] {
        let claim = format!("SELECT string_agg(kind, ' ') FROM howdah.claim({worker}, jobs => 10, {arguments})");
        assert_eq!(session.text(&claim).await?, taken, "{arguments}");
    }
    Ok(())
}
