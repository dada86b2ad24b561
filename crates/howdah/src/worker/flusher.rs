//! Collects how jobs ended, and has it told many at a time.
//!
//! Invariant: what is in the [`Ledger`] is told again until the database has answered, whatever happens to the
//! connection; and what waits for somebody's transaction is told beside the rest, by a [`Patient`] one. Limit: a
//! worker that leaves gives up after a while, see [`Teller`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::ledger::{Finished, Ledger, Page};
use super::link::Link;
use super::part;
use super::shared::Shared;
use super::teller::Teller;

/// How long the first of some finished jobs waits for company while there is much to do.
const GATHER: Duration = Duration::from_millis(1);
const MANY: usize = 512;
/// How long the rest waits for a job that somebody's transaction holds, before it goes on without it.
const BRIEF: (&str, &str) = ("lock_timeout", "500ms");
/// How long one of those that are held is waited for, before another one is tried.
const LONG: (&str, &str) = ("lock_timeout", "5s");

pub(super) struct Flusher {
    shared: Arc<Shared>,
    teller: Teller,
    finished: mpsc::UnboundedReceiver<Finished>,
    ledger: Ledger,
    held: mpsc::UnboundedSender<Page>,
    patient: tokio::task::JoinHandle<()>,
}

impl Flusher {
    pub(super) fn new(shared: &Arc<Shared>, finished: mpsc::UnboundedReceiver<Finished>) -> Self {
        let teller = |what, wait| Teller::new(shared, Link::new(&shared.howdah, what, &[wait]));
        let (held, pages) = mpsc::unbounded_channel();
        let patient = Patient { teller: teller("held", LONG), pages, waiting: VecDeque::new() };
        Self {
            shared: Arc::clone(shared),
            teller: teller("flusher", BRIEF),
            finished,
            ledger: Ledger::default(),
            held,
            patient: part::start(shared, "held", patient.run()),
        }
    }

    /// Runs until the worker leaves and everything is told.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        let leaving = self.shared.leaving.clone();
        loop {
            let due = self.ledger.due().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                biased;
                got = self.finished.recv_many(&mut batch, 4096) => {
                    if got > 1 {
                        // A busy worker: the next ones are on their way.
                        let until = (Instant::now() + GATHER).into();
                        while batch.len() < MANY
                            && timeout_at(until, self.finished.recv_many(&mut batch, 4096)).await.is_ok() {}
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {}
                () = leaving.cancelled() => {
                    while let Ok(finished) = self.finished.try_recv() {
                        batch.push(finished);
                    }
                    self.note(&mut batch);
                    self.flush(true).await;
                    return self.end().await;
                }
            }
            self.note(&mut batch);
            self.flush(false).await;
        }
    }

    fn note(&mut self, batch: &mut Vec<Finished>) {
        let now = Instant::now();
        for finished in batch.drain(..) {
            self.ledger.add(finished, now);
        }
    }

    async fn flush(&mut self, everything: bool) {
        let (whole, parts) = self.ledger.take(Instant::now(), everything);
        let alone = if whole.is_empty() { whole } else { self.teller.tell_whole(whole).await };
        for mut page in alone.into_iter().chain(parts) {
            self.teller.tell_part(&mut page).await;
            if page.len() > 0 {
                tracing::warn!(jobs = ?page.ids(), "a transaction that is open holds jobs that have ended: they are told of when it ends");
                let _ = self.held.send(page);
            }
        }
    }

    /// Everything is told, but for what is held.
    async fn end(mut self) {
        drop(self.held);
        let _ = self.patient.await;
        self.shared.all_told.cancel();
        self.teller.link.close().await;
    }
}

/// Tells what somebody's transaction holds, one lease after another in turns.
struct Patient {
    teller: Teller,
    pages: mpsc::UnboundedReceiver<Page>,
    waiting: VecDeque<Page>,
}

impl Patient {
    /// Runs until everything is told and no more can come.
    async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                // Held seldom: its connection is not kept.
                self.teller.link.close().await;
                let Some(page) = self.pages.recv().await else { return };
                self.waiting.push_back(page);
            }
            while let Ok(page) = self.pages.try_recv() {
                self.waiting.push_back(page);
            }
            let Some(mut page) = self.waiting.pop_front() else { continue };
            self.teller.tell_part(&mut page).await;
            if page.len() > 0 {
                self.waiting.push_back(page);
            }
        }
    }
}
