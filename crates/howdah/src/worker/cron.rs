//! The keeper's clock: fires schedules when they are due.
//!
//! On a connection and a task of its own: a firing may have to wait for a bounded queue or a unique key, which neither a
//! heartbeat nor what else is due can. It waits a second for a lock and no longer.
//!
//! Invariant: what is due, the server's clock says; whether a slot was fired, `howdah.fire_schedule` knows, so that two
//! keepers that overlap fire nothing twice. What is wrong with one schedule is noted there and tried again later, and
//! holds up no other. Limit: it runs only while this worker holds the office; until another is elected, nothing fires,
//! and is fired then if it is within the schedule's grace.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Deserialize;
use sqlx::types::Json;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::chores::TERM_IS_OVER;
use super::link::Link;
use super::part;
use super::shared::Shared;
use crate::cron::{Due, Plan};
use crate::error::{Error, Result};

/// How often to look without being told; while notifications of changed schedules come, only for what they may miss.
const POLL: Duration = Duration::from_secs(1);
const POLL_LISTENING: Duration = Duration::from_secs(15);
/// How many schedules are looked at in one go.
const AT_A_TIME: usize = 100;
/// Most waits for a lock are for something that takes as long as somebody's transaction.
const LOCK_TIMEOUT: (&str, &str) = ("lock_timeout", "1s");

/// The clock while the office is held. Dropped, it stops.
pub(super) struct Cron {
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// What `howdah.due_schedules` tells.
#[derive(Deserialize)]
struct Look {
    now: i64,
    next_ms: Option<u64>,
    due: Vec<Due>,
}

struct Clock {
    shared: Arc<Shared>,
    link: Link,
    worker: i64,
    term: i64,
}

impl Cron {
    pub(super) fn start(shared: &Arc<Shared>, worker: i64, term: i64) -> Self {
        let stop = CancellationToken::new();
        let link = Link::new(&shared.howdah, "cron", &[LOCK_TIMEOUT]);
        let clock = Clock { shared: Arc::clone(shared), link, worker, term };
        let task = part::start(shared, "cron", clock.run(stop.clone()));
        Self { stop: stop.drop_guard(), task }
    }

    /// Stops it, and waits until its connection is closed.
    pub(super) async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

impl Clock {
    async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = self.tick() => {}
            () = stop.cancelled() => {}
        }
        self.link.close().await;
    }

    async fn tick(&mut self) {
        loop {
            let wait = match self.look().await {
                Ok(wait) => wait,
                Err(error) => {
                    // The chores will hear that the term is over, and end this.
                    if !error.has_code(TERM_IS_OVER) {
                        self.link.failed(&error).await;
                    }
                    POLL
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shared.schedules.notified() => {}
            }
        }
    }

    /// Fires what is due; gives how long nothing is.
    async fn look(&mut self) -> Result<Duration> {
        let looked = Instant::now();
        let sql = self.shared.howdah.names().sql("SELECT howdah.due_schedules($1, $2, $3)");
        let query =
            sqlx::query_as(sql).bind(self.worker).bind(self.term).bind(i32::try_from(AT_A_TIME).unwrap_or(i32::MAX));
        let (Json(look),): (Json<Look>,) = self.link.row(query).await?;
        let poll = if self.shared.listening.load(Ordering::Acquire) { POLL_LISTENING } else { POLL };
        let mut wait = look.next_ms.map_or(poll, Duration::from_millis).min(poll);
        if look.due.len() >= AT_A_TIME {
            wait = Duration::ZERO;
        }
        for due in &look.due {
            if let Some(next_at) = self.see_to(due, look.now).await? {
                let until = u64::try_from(next_at.saturating_sub(look.now)).unwrap_or(0);
                wait = wait.min(Duration::from_micros(until));
            }
        }
        // The time that it took to fire has passed of the wait as well.
        Ok(wait.saturating_sub(looked.elapsed()))
    }

    /// Fires one schedule; gives its next slot, if all went well.
    async fn see_to(&mut self, due: &Due, now: i64) -> Result<Option<i64>> {
        // The expression may be anybody's: whatever it does to the parser, the others go on.
        let plan = catch_unwind(AssertUnwindSafe(|| due.plan(now)))
            .unwrap_or_else(|_| Err(Error::invalid("expression", "broke what reads it")));
        let fired = match plan {
            Ok(plan) => self.fire(due, &plan).await,
            Err(error) => Err(error),
        };
        let error = match fired {
            Ok(next_at) => return Ok(next_at),
            Err(error) if error.has_code(TERM_IS_OVER) || is_of_connection(&error) => return Err(error),
            Err(error) => told(&error),
        };
        tracing::warn!(schedule = due.name, error, "cannot fire a schedule, trying again");
        let sql = self.shared.howdah.names().sql("SELECT howdah.schedule_failed($1, $2, $3, $4, $5)");
        let query = sqlx::query_as(sql).bind(self.worker).bind(self.term).bind(&due.name).bind(due.turn).bind(error);
        let (_,): (bool,) = self.link.row(query).await?;
        Ok(None)
    }

    async fn fire(&mut self, due: &Due, plan: &Plan) -> Result<Option<i64>> {
        let sql = "SELECT howdah.fire_schedule($1, $2, $3, $4, ARRAY(SELECT howdah.at_micros(m) FROM unnest($5) WITH ORDINALITY u(m, n) ORDER BY n),
                     $6, howdah.at_micros($7), howdah.at_micros($8))";
        let query = sqlx::query_as(self.shared.howdah.names().sql(sql))
            .bind(self.worker)
            .bind(self.term)
            .bind(&due.name)
            .bind(due.turn)
            .bind(&plan.due)
            .bind(i32::try_from(plan.missed).unwrap_or(i32::MAX))
            .bind(plan.through)
            .bind(plan.next_at);
        let (jobs,): (Option<Vec<i64>>,) = self.link.row(query).await?;
        let Some(jobs) = jobs else { return Ok(None) };
        if plan.skipped {
            tracing::warn!(
                schedule = due.name,
                caught_up = plan.missed,
                "slots of a schedule were missed and are left out"
            );
        }
        if !jobs.is_empty() {
            tracing::debug!(schedule = due.name, jobs = jobs.len(), "fired");
        }
        Ok(Some(plan.next_at))
    }
}

/// Whether the connection failed or the server is going down, which is nothing about the schedule.
fn is_of_connection(error: &Error) -> bool {
    match error {
        Error::Database(e) => e
            .as_database_error()
            .and_then(|e| e.code())
            .is_none_or(|code| ["08", "53", "57P"].iter().any(|class| code.starts_with(class))),
        _ => false,
    }
}

/// For the column `error`: what the server says, as it says it.
fn told(error: &Error) -> String {
    match error {
        Error::Database(e) => e.as_database_error().map_or_else(|| error.to_string(), |e| e.message().to_owned()),
        other => other.to_string(),
    }
}
