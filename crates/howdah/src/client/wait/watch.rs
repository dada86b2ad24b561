//! One task for each process that waits: it listens, asks, and tells those who wait.
//!
//! Invariant: an id that somebody waits for is asked about soon after it is new (a job that ends in that moment may not
//! have seen the wish), whenever a notification names it, and every few seconds. Limit: one connection; it is closed
//! when nobody has waited for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use sqlx::PgExecutor;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::types::Json;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::client::Howdah;
use crate::error::Result;
use crate::job::JobId;

/// How soon a new id is asked about again; each time after that, three times as long.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LOOK_ANYWAY: Duration = Duration::from_secs(5);
/// How long the server believes that somebody waits: longer than a look and a lost connection.
const TTL_MS: i32 = 30_000;
/// Ids in one question.
const MOST: usize = 5_000;
/// How long the connection is kept for the next one who waits.
const LINGER: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(35);

/// How a job ended, as the database says it.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) state: String,
    pub(super) result: Option<Box<RawValue>>,
    pub(super) reason: Option<String>,
}

/// What the task says to one who waits.
#[derive(Debug)]
enum Said {
    /// `None`: there is no such job.
    Ended(Option<End>),
    /// It cannot ask for all, and will not be able to: let each ask for itself, so that an error is told to whom it concerns.
    AskAlone,
}

/// Who waits for one job, and when it is asked about next.
#[derive(Debug)]
struct Waited {
    tell: Vec<oneshot::Sender<Said>>,
    ask_at: Instant,
    pause: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    jobs: HashMap<i64, Waited>,
    running: bool,
}

impl Inner {
    fn forget_who_left(&mut self) {
        self.jobs.retain(|_, waited| {
            waited.tell.retain(|tell| !tell.is_closed());
            !waited.tell.is_empty()
        });
    }
}

/// What a process waits for.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    inner: Mutex<Inner>,
    /// Somebody has begun to wait.
    changed: Notify,
}

type Row = (i64, Option<String>, Option<Json<Box<RawValue>>>, Option<String>);

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end of a job; `None`: there is no such job.
    pub(super) async fn end_of(self: &Arc<Self>, howdah: &Howdah, job: JobId) -> Result<Option<End>> {
        loop {
            let (tell, hear) = oneshot::channel();
            let served = {
                let mut inner = self.lock();
                let waited = inner.jobs.entry(job.0).or_insert_with(|| Waited {
                    tell: Vec::new(),
                    ask_at: Instant::now(),
                    pause: FIRST_LOOK,
                });
                waited.tell.push(tell);
                let starts = !std::mem::replace(&mut inner.running, true);
                // From here on, so that a task that is never polled is missed as well.
                starts.then(|| Served { watch: Arc::clone(self), done: false })
            };
            self.changed.notify_one();
            if let Some(served) = served {
                tokio::spawn(run(served, howdah.clone()));
            }
            match hear.await {
                Ok(Said::Ended(end)) => return Ok(end),
                Ok(Said::AskAlone) => match ask(howdah, &[job.0], howdah.pool()).await {
                    Ok(rows) => {
                        if let Some((_, end)) = rows.into_iter().next() {
                            return Ok(end);
                        }
                    }
                    Err(error) if error.is_transient() => {}
                    Err(error) => return Err(error),
                },
                // The task has died with its runtime, of which a process can have several. If that is this one, this ends
                // here, or panics as all who sleep on it do; else begin again.
                Err(_) => {
                    tokio::task::yield_now().await;
                    tokio::time::sleep(FIRST_LOOK).await;
                }
            }
        }
    }

    /// The ids to ask about now, and when to ask again.
    fn due(&self, now: Instant) -> (Vec<i64>, Option<Instant>) {
        let mut inner = self.lock();
        inner.forget_who_left();
        let mut due = Vec::new();
        for (id, waited) in &mut inner.jobs {
            if waited.ask_at <= now && due.len() < MOST {
                due.push(*id);
                waited.ask_at = now + waited.pause;
                waited.pause = (waited.pause * 3).min(LOOK_ANYWAY);
            }
        }
        (due, inner.jobs.values().map(|waited| waited.ask_at).min())
    }

    /// A notification names these: ask now.
    fn named(&self, ids: &str, now: Instant) {
        let mut inner = self.lock();
        for id in ids.split(',').filter_map(|id| id.parse::<i64>().ok()) {
            if let Some(waited) = inner.jobs.get_mut(&id) {
                waited.ask_at = now;
            }
        }
    }

    /// Nothing was heard for a while: ask about everything.
    fn all(&self, now: Instant) {
        for waited in self.lock().jobs.values_mut() {
            waited.ask_at = now;
        }
    }

    fn tell(&self, ends: Vec<(i64, Option<End>)>) {
        let mut inner = self.lock();
        for (id, end) in ends {
            for tell in inner.jobs.remove(&id).map(|waited| waited.tell).unwrap_or_default() {
                let _ = tell.send(Said::Ended(end.clone()));
            }
        }
    }

    fn let_each_ask_alone(&self) {
        for (_, waited) in self.lock().jobs.drain() {
            for tell in waited.tell {
                let _ = tell.send(Said::AskAlone);
            }
        }
    }

    /// Ends the task, unless somebody has begun to wait.
    fn stop_if_idle(&self) -> bool {
        let mut inner = self.lock();
        inner.forget_who_left();
        inner.running = !inner.jobs.is_empty();
        !inner.running
    }
}

/// Whoever ends without having said so (its runtime was shut down) leaves nobody waiting for nothing.
struct Served {
    watch: Arc<Watch>,
    /// It has said so, under the lock: whoever comes now starts another task.
    done: bool,
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut inner = self.watch.lock();
        inner.running = false;
        inner.jobs.clear();
    }
}

async fn run(mut served: Served, howdah: Howdah) {
    let mut failures = 0;
    while let Err(error) = session(&served.watch, &howdah, &mut failures).await {
        let wait = crate::worker::backoff(failures);
        tracing::warn!(%error, retry_ms = wait.as_millis(), "waiting for jobs: the connection failed, trying again");
        failures += 1;
        if !error.is_transient() {
            served.watch.let_each_ask_alone();
        }
        tokio::time::sleep(wait).await;
        if served.watch.stop_if_idle() {
            break;
        }
    }
    served.done = true;
}

/// Serves those who wait until nobody does, or the connection fails.
async fn session(watch: &Watch, howdah: &Howdah, failures: &mut u32) -> Result<()> {
    let options = howdah.worker_options().application_name("howdah wait");
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER).connect_with(options).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(&howdah.names().text("howdah.ended")).await?;
    watch.all(Instant::now());
    loop {
        let (ids, next) = watch.due(Instant::now());
        if !ids.is_empty() {
            watch.tell(ask(howdah, &ids, &mut listener).await?);
            *failures = 0;
            continue;
        }
        let until = next.unwrap_or_else(|| Instant::now() + LINGER);
        tokio::select! {
            heard = listener.try_recv() => match heard? {
                Some(heard) => watch.named(heard.payload(), Instant::now()),
                None => return Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into()).into()),
            },
            () = watch.changed.notified() => {}
            () = tokio::time::sleep_until(until.into()) => {
                if next.is_none() && watch.stop_if_idle() {
                    return Ok(());
                }
            }
        }
    }
}

/// Which of these have ended, and how; `None`: there is no such job.
async fn ask<'c>(howdah: &Howdah, ids: &[i64], on: impl PgExecutor<'c>) -> Result<Vec<(i64, Option<End>)>> {
    let query = sqlx::query_as(howdah.names().sql("SELECT job_id, state, result, reason FROM howdah.wait_for($1, $2)"));
    let answer = timeout(ANSWER, query.bind(ids).bind(TTL_MS).fetch_all(on));
    let rows = async { answer.await.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))? };
    let rows: Vec<Row> = howdah.observe_rows("wait_for", Vec::len, rows).await?;
    let end = |(id, state, result, reason): Row| {
        (id, state.map(|state| End { state, result: result.map(|Json(result)| result), reason }))
    };
    Ok(rows.into_iter().map(end).collect())
}
