//! What must not be seen is not seen: passwords and payloads in errors, in `Debug`, in what is logged.

use std::io;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use howdah::{Ctx, Graph, Howdah, Job, JobError, Jobs, Schedule, Unique, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

const SECRET: &str = "hunter2-is-secret";

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 1)]
struct Pay {
    card: String,
}

/// A type that the payload does not fit.
#[derive(Debug, Deserialize)]
struct Other {
    #[allow(dead_code, reason = "it never fits")]
    card: i32,
}

fn pay() -> Pay {
    Pay { card: SECRET.to_owned() }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_err(|_| io::ErrorKind::Other)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;
    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

fn with_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (login, place) = rest.rsplit_once('@').unwrap_or_default();
    let user = login.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:{SECRET}@{place}")
}

#[tokio::test]
async fn no_error_and_no_debug_shows_a_password() -> Result<()> {
    let db = Db::new().await?;
    let wrong = with_password(db.url());
    let mut said = Vec::new();
    for url in [
        wrong.clone(),
        wrong.replace("127.0.0.1", "127.0.0.1:x"),
        wrong.replacen("postgres", SECRET, 1),
        wrong.replace('@', "?sslmode="),
    ] {
        let error = Howdah::connect(&url).await.unwrap_err();
        said.push(format!("{error:?} {error}"));
    }
    said.push(format!("{:?}", howdah_devdb::Server::builder().database_url(&wrong)));
    let (_, rest) = db.url().split_once("://").and_then(|(_, rest)| rest.split_once(':')).unwrap();
    let password = rest.split('@').next().unwrap_or_default();
    assert!(!password.is_empty() && !format!("{db:?}").contains(password), "{db:?}");
    let howdah = db.howdah.clone().with_worker_url(&wrong)?;
    said.push(format!("{howdah:?} {:?}", Worker::new(&howdah)));
    said.push(format!("{:?} {:?}", howdah.enqueue(pay()), howdah.find(Jobs::all())));
    said.push(format!("{:?}", howdah.with_worker_url(&wrong.replace("127.0.0.1", "127.0.0.1:x")).err()));
    for text in said {
        assert!(!text.contains(SECRET), "{text}");
    }
    Ok(())
}

async fn handle(_: Pay, _: Ctx<()>) -> Result<(), JobError> {
    Err(JobError::discard("it does not go"))
}

#[tokio::test]
async fn no_payload_is_logged_or_printed_or_told_in_an_error() -> Result<()> {
    let lines = Lines::default();
    let everything = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone());
    // Each test has its own thread, and all that it starts runs there.
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(everything));
    let db = Db::new().await?;
    let howdah = &db.howdah;
    let mut said = vec![
        format!("{:?}", howdah.enqueue(pay())),
        format!("{:?}", howdah.enqueue_many([pay(), pay()])),
        format!("{:?}", Schedule::new("s", "@hourly").job(pay())),
        format!("{:?}", Graph::new().job("a", pay())),
    ];
    let id = howdah.enqueue(pay()).await?;
    howdah.enqueue_many((0..3).map(|_| pay())).await?;
    howdah.set_schedule(&Schedule::new("s", "@yearly").job(pay())).await?;
    said.push(format!("{:?}", howdah.schedules().await?));
    howdah.enqueue(pay()).unique(Unique::key("k")).await?;
    said.push(format!("{:?}", howdah.enqueue(pay()).unique(Unique::key("k").or_error()).await));
    for found in howdah.find(Jobs::all()).await? {
        let error = found.decode::<Other>().unwrap_err();
        assert!(
            error.to_string().contains("payload.card does not fit the type that is asked for: expected i32"),
            "{error}"
        );
        said.push(format!("{found:?} {error:?} {error}"));
    }
    db.run("SELECT howdah.set_queue('default', '{\"max_payload_bytes\": 30}')").await?;
    let refused = howdah.enqueue(pay()).await.unwrap_err();
    said.push(format!("{refused:?} {refused}"));
    // One handler fails, the other cannot read what it is given.
    let worker = start(Worker::new(howdah).handle(handle));
    db.wait_for("SELECT count(*) FROM howdah.dead", "5").await?;
    worker.stop().await?;
    howdah.retry(id).await?;
    drop(guard);
    let logged = String::from_utf8(lines.0.lock().map_err(|e| anyhow::anyhow!("{e}"))?.clone())?;
    assert!(logged.contains("it does not go") && logged.contains("sqlx"), "nothing was seen:\n{logged}");
    said.push(logged);
    for text in said {
        assert!(
            !text.contains(SECRET),
            "{}",
            text.lines().filter(|l| l.contains(SECRET)).collect::<Vec<_>>().join("\n")
        );
    }
    assert_eq!(db.number(&format!("SELECT count(*) FROM howdah.failures WHERE message LIKE '%{SECRET}%'")).await?, 0);
    Ok(())
}
