//! `/metrics`: what is in the queues and what workers have reported, for Prometheus (text format 0.0.4).
//!
//! Invariant: counters never become less while a queue lives, whichever process is asked; names are escaped. Limit: spreads are of
//! queues, not of kinds, so that there are not too many series; at most 1,000 queues and kinds.

use std::fmt::{Display, Write as _};

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use howdah_admin::{Spread, StatLine};

use crate::error::Failure;
use crate::live::Sample;
use crate::read::depths::Depth;
use crate::view::View;

/// So many series of one name.
const MOST: usize = 1000;

pub(super) async fn get(view: View) -> Response {
    let asked = async {
        let sample = view.app.sampler.now().await?;
        if let Some(late) = &sample.late {
            return Err(Failure::Late(late.clone()));
        }
        let totals = view.app.admin.stats(None, None, None).await?;
        Ok(Page::of(&sample, &totals))
    };
    match Failure::in_time(asked).await {
        Ok(page) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0).into_response(),
        Err(failure) => (failure.status(), format!("{}\n", failure.text())).into_response(),
    }
}

/// What is answered.
struct Page(String);

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    fn of(sample: &Sample, totals: &[StatLine]) -> Self {
        let mut page = Self(String::new());
        page.queues(&sample.queues, sample);
        page.family("howdah_workers", "gauge", "Worker processes that are registered.");
        page.line("howdah_workers", &[], sample.workers.len());
        page.family("howdah_keeper", "gauge", "1 if some worker does the chores of the queue, else 0.");
        page.line("howdah_keeper", &[], u8::from(sample.workers.iter().any(|worker| worker.keeper)));
        page.attempts(totals);
        let queues = StatLine::sums(totals, |line| &*line.queue);
        page.family("howdah_queue_run_seconds", "histogram", "How long attempts ran, as workers have reported it.");
        for (queue, sum) in queues.iter().take(MOST) {
            page.spread("howdah_queue_run_seconds", queue, &sum.runs, sum.run_ms);
        }
        let about = "How long jobs waited for their first attempt since they were enqueued, a delay that was asked for included.";
        page.family("howdah_queue_wait_seconds", "histogram", about);
        for (queue, sum) in queues.iter().take(MOST) {
            page.spread("howdah_queue_wait_seconds", queue, &sum.waits, sum.wait_ms);
        }
        page
    }

    fn queues(&mut self, queues: &[Depth], sample: &Sample) {
        let queues = || queues.iter().take(MOST);
        self.family("howdah_queue_jobs", "gauge", "Jobs in the queue by state, counted up to a bound.");
        for queue in queues() {
            let states = [
                ("ready", queue.ready),
                ("running", queue.running),
                ("scheduled", queue.scheduled),
                ("blocked", queue.blocked),
                ("dead", queue.dead),
            ];
            for (state, jobs) in states {
                self.line("howdah_queue_jobs", &[("queue", &queue.queue), ("state", state)], jobs);
            }
        }
        self.family("howdah_queue_jobs_capped", "gauge", "1 if there are more jobs than were counted.");
        for queue in queues() {
            self.line("howdah_queue_jobs_capped", &[("queue", &queue.queue)], u8::from(queue.more));
        }
        self.family(
            "howdah_queue_oldest_ready_seconds",
            "gauge",
            "How long ago the oldest ready job was enqueued; 0 if none is ready.",
        );
        for queue in queues() {
            let wait = queue.oldest_ready_at.map(|at| sample.at.duration_since(at).unwrap_or_default());
            self.line(
                "howdah_queue_oldest_ready_seconds",
                &[("queue", &queue.queue)],
                wait.unwrap_or_default().as_secs_f64(),
            );
        }
        self.family("howdah_queue_paused", "gauge", "1 if nothing is claimed from the queue.");
        for queue in queues() {
            self.line("howdah_queue_paused", &[("queue", &queue.queue)], u8::from(queue.paused_at.is_some()));
        }
    }

    fn attempts(&mut self, totals: &[StatLine]) {
        self.family(
            "howdah_queue_attempts_total",
            "counter",
            "Attempts that ended, by what became of them, as workers have reported it.",
        );
        for line in totals.iter().take(MOST) {
            let outcomes = [
                ("completed", line.completed),
                ("retried", line.retried),
                ("snoozed", line.snoozed),
                ("dead", line.dead),
                ("cancelled", line.cancelled),
                ("released", line.released),
                ("lost", line.lost),
            ];
            for (outcome, attempts) in outcomes {
                let labels = [("queue", &*line.queue), ("kind", &*line.kind), ("outcome", outcome)];
                self.line("howdah_queue_attempts_total", &labels, attempts);
            }
        }
    }

    fn spread(&mut self, name: &str, queue: &str, spread: &Spread, sum_ms: u64) {
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        let places: Vec<_> = spread.places().collect();
        // The last place has no bound.
        for (bound, count) in places.iter().take(places.len().saturating_sub(1)) {
            below += count;
            self.line(&bucket, &[("queue", queue), ("le", &bound.as_secs_f64().to_string())], below);
        }
        self.line(&bucket, &[("queue", queue), ("le", "+Inf")], spread.count());
        #[allow(clippy::cast_precision_loss, reason = "as Prometheus keeps it")]
        self.line(&format!("{name}_sum"), &[("queue", queue)], sum_ms as f64 / 1000.0);
        self.line(&format!("{name}_count"), &[("queue", queue)], spread.count());
    }

    fn family(&mut self, name: &str, kind: &str, about: &str) {
        // Writing into a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {about}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.0.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if n == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let mut page = Page(String::new());
        page.line("a", &[("queue", "x\"y\\z\nw"), ("b", "c")], 1.5);
        page.line("d", &[], 2);
        assert_eq!(page.0, "a{queue=\"x\\\"y\\\\z\\nw\",b=\"c\"} 1.5\nd 2\n");
    }
}
