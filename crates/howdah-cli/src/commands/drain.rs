//! Waiting until a queue is empty, or until nothing of it runs.
//!
//! Invariant: it only looks, and each look sees one moment: what moves from waiting to running is in one of the two. Limit: a look each
//! half second; who enqueues meanwhile keeps it from its end.

use std::time::{Duration, Instant};

use howdah::Howdah;
use serde_json::json;
use sqlx::Row;

use super::Answer;
use crate::failure::{Failure, Result};
use crate::output::{Output, escaped};
use crate::{duration, progress, sql};

const EVERY: Duration = Duration::from_millis(500);

/// What has to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// What runs.
    Running,
    /// And what could run now.
    Ready,
    /// And what waits for its time or for others.
    All,
}

/// How many jobs of a queue there are at a moment.
struct Left {
    ready: i64,
    running: i64,
    later: i64,
    paused: bool,
    served: bool,
}

impl Left {
    async fn of(howdah: &Howdah, queue: &str) -> Result<Self> {
        let look = "SELECT q.ready, q.running, q.scheduled + q.blocked, q.paused,
                           EXISTS (SELECT FROM howdah.workers w WHERE q.queue = ANY (w.queues) AND NOT w.stopping)
                      FROM (SELECT howdah.queue_settings($1)) known, howdah.queues q WHERE q.queue = $1";
        let row = sqlx::query(sql::of(howdah, look)).bind(queue).fetch_one(howdah.pool()).await?;
        Ok(Self {
            ready: row.try_get(0)?,
            running: row.try_get(1)?,
            later: row.try_get(2)?,
            paused: row.try_get(3)?,
            served: row.try_get(4)?,
        })
    }

    fn jobs(&self, what: What) -> i64 {
        match what {
            What::Running => self.running,
            What::Ready => self.running + self.ready,
            What::All => self.running + self.ready + self.later,
        }
    }
}

/// Waits, and says what is left at the end.
pub(super) async fn wait(
    howdah: &Howdah,
    out: Output,
    queue: &str,
    what: What,
    timeout: Option<Duration>,
) -> Result<Answer> {
    let began = Instant::now();
    let mut left = Left::of(howdah, queue).await?;
    if what != What::Running && left.paused && left.jobs(what) > left.running {
        return Err(Failure::no(format!("the queue {} is paused: nothing of it begins", escaped(queue)))
            .hint(format!("run `howdah queues resume {queue}`")));
    }
    let mut most = left.jobs(what);
    let bar = progress::of_so_many("done", u64::try_from(most).ok());
    let mut warned = false;
    while left.jobs(what) > 0 && timeout.is_none_or(|timeout| began.elapsed() < timeout) {
        if left.running == 0 && !left.served && !warned {
            warned = true;
            out.aside(&format!("no worker serves the queue {}", escaped(queue)));
        }
        tokio::time::sleep(timeout.map_or(EVERY, |timeout| EVERY.min(timeout.saturating_sub(began.elapsed())))).await;
        left = Left::of(howdah, queue).await?;
        most = most.max(left.jobs(what));
        bar.set_length(u64::try_from(most).unwrap_or(0));
        bar.set_position(u64::try_from(most - left.jobs(what)).unwrap_or(0));
    }
    bar.finish_and_clear();
    tell(out, queue, &left, left.jobs(what) == 0, began.elapsed())
}

fn tell(out: Output, queue: &str, left: &Left, done: bool, took: Duration) -> Result<Answer> {
    let Left { ready, running, later, .. } = left;
    if out.is_json() {
        out.value(
            &json!({ "queue": queue, "done": done, "ready": ready, "running": running, "scheduled_or_blocked": later }),
        )?;
        return Ok(done.into());
    }
    let there = [(ready, "ready"), (running, "running"), (later, "scheduled or blocked")];
    let there: Vec<String> = there.iter().filter(|(n, _)| **n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let there = if there.is_empty() { "it is empty".to_owned() } else { format!("there are {}", there.join(", ")) };
    let word = if done { "done" } else { "gave up" };
    out.line(format_args!("{}: {word} after {}: {there}", escaped(queue), duration::told(took)))?;
    Ok(done.into())
}
