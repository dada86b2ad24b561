//! Hears of new jobs, of due times and of cancellations, over one session.
//!
//! Invariant: a notification only makes somebody look; nothing it says is believed. While it hears nothing,
//! everybody polls, and the log says so. Limit: one listener for each process, since every notification wakes
//! every listening session of the database.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::timeout;

use super::link::backoff;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::metrics;
use crate::statement::Statement;

/// Silence after which the session is asked whether it still lives, and how long it may take to answer.
const SILENCE: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(5);

pub(super) async fn run(shared: Arc<Shared>, options: PgConnectOptions) {
    let leaving = shared.leaving.clone();
    let mut failures = 0;
    while !leaving.is_cancelled() {
        let error = tokio::select! {
            error = listen(&shared, &options, &mut failures) => error,
            () = leaving.cancelled() => return,
        };
        metrics::database_error("listener", &error);
        if shared.listening.swap(false, Ordering::AcqRel) || failures == 0 {
            tracing::warn!(%error, poll_ms = shared.settings.poll.as_millis(), "cannot listen: polling for jobs until it works again");
        }
        shared.look.notify_one();
        let wait = backoff(failures);
        failures += 1;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = leaving.cancelled() => return,
        }
    }
}

/// Listens until it fails.
async fn listen(shared: &Shared, options: &PgConnectOptions, failures: &mut u32) -> Error {
    match try_listen(shared, options, failures).await {
        Ok(()) => Error::Database(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into())),
        Err(error) => error,
    }
}

async fn try_listen(shared: &Shared, options: &PgConnectOptions, failures: &mut u32) -> Result<()> {
    let names = shared.howdah.names();
    let [wake, due, cancel, queues] =
        ["howdah.wake", "howdah.due", "howdah.cancel", "howdah.queues"].map(|channel| names.text(channel));
    // The listener of sqlx takes its session from a pool: one of its own, with room for no other.
    let options = options.clone().application_name("howdah listener");
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER).connect_with(options).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen_all([wake.as_str(), due.as_str(), cancel.as_str(), queues.as_str()]).await?;
    attach(shared, &mut listener).await?;
    if *failures > 0 {
        tracing::info!("listens again");
    }
    *failures = 0;
    shared.listening.store(true, Ordering::Release);
    // Whatever was said while nobody listened.
    remade(shared, None);
    shared.beat.notify_one();
    shared.due.notify_one();
    shared.schedules.notify_one();
    loop {
        tokio::select! {
            heard = timeout(SILENCE, listener.try_recv()) => match heard {
                Ok(Ok(Some(heard))) => {
                    if heard.channel() == wake {
                        woken(shared, heard.payload());
                    } else if heard.channel() == due && heard.payload() == "cron" {
                        shared.schedules.notify_one();
                    } else if heard.channel() == due {
                        shared.due.notify_one();
                    } else if heard.channel() == queues {
                        remade(shared, Some(heard.payload()));
                    } else if heard.payload().parse() == Ok(shared.worker_id()) {
                        shared.beat.notify_one();
                    }
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => answer(listener.execute("SELECT 1")).await?,
            },
            () = shared.attach.notified() => attach(shared, &mut listener).await?,
        }
    }
}

/// A queue of this name was made; `None`: any may have been.
fn remade(shared: &Shared, name: Option<&str>) {
    for queue in shared.queues.iter().filter(|queue| name.is_none_or(|name| name == queue.name.as_ref())) {
        queue.remade.store(true, Ordering::Release);
        queue.woken.fetch_add(1, Ordering::AcqRel);
    }
    shared.look.notify_one();
}

fn woken(shared: &Shared, payload: &str) {
    let Ok(id) = payload.parse::<i32>() else { return };
    for queue in shared.queues.iter().filter(|q| q.id() == id) {
        queue.woken.fetch_add(1, Ordering::AcqRel);
        shared.look.notify_one();
    }
}

/// Ties the session to the worker: its end tells others that the process has ended.
async fn attach(shared: &Shared, listener: &mut PgListener) -> Result<()> {
    let sql = shared.howdah.names().sql("SELECT howdah.attach_session($1)");
    let statement = Statement { operation: "attach_session", connection: "listener" };
    let work = answer(sqlx::query(sql).bind(shared.worker_id()).execute(listener));
    shared.howdah.observer.send(statement, |()| 1, work).await
}

async fn answer<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<()> {
    match timeout(ANSWER, work).await {
        Ok(result) => result.map(|_| ()).map_err(Into::into),
        Err(_) => Err(Error::Database(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::client::Howdah;
    use crate::worker::Worker;
    use crate::worker::lanes::{Filter, Lane};
    use crate::worker::queue::Queue;

    #[tokio::test]
    async fn a_notification_wakes_every_lane_of_its_queue_and_no_other() {
        let howdah = Howdah::from_pool(PgPool::connect_lazy("postgres://nowhere/nothing").unwrap());
        let lane = Lane { queue: "q".to_owned(), slots: 1, filter: Filter::default() };
        let queues: Vec<_> = [7, 8, 7].map(|id| Arc::new(Queue::new(&lane, id))).into();
        let settings = Worker::new(&howdah).settings;
        let shared = Shared::new(
            howdah,
            settings,
            None,
            queues,
            1,
            tokio::sync::mpsc::unbounded_channel().0,
            crate::worker::notes::Notes::new().0,
        );
        for queue in &shared.queues {
            queue.woken.store(0, Ordering::Release);
        }
        woken(&shared, "7");
        let heard: Vec<_> = shared.queues.iter().map(|q| q.woken.load(Ordering::Acquire)).collect();
        assert_eq!(heard, [1, 0, 1]);
    }
}
