//! Where the measurement is: the round, what is measured, how far it has come.
//!
//! Invariant: it goes to standard error; without a terminal there is a line a round. Limit: it looks ten times a second.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

const LOOK: Duration = Duration::from_millis(100);

/// All rounds.
pub(super) struct Progress {
    rounds: u8,
    round: AtomicU8,
    visible: bool,
}

impl Progress {
    pub(super) fn new(rounds: u8) -> Self {
        Self { rounds, round: AtomicU8::new(1), visible: std::io::IsTerminal::is_terminal(&std::io::stderr()) }
    }

    pub(super) fn next_round(&self) {
        let done = self.round.fetch_add(1, Ordering::Relaxed);
        if !self.visible {
            eprintln!("round {done} of {} is measured", self.rounds);
        }
    }

    /// Begins to measure something: `done` says how much of `all` there is.
    pub(super) fn phase(&self, what: &str, all: u64, done: impl Fn() -> u64 + Send + 'static) -> Phase {
        if !self.visible {
            return Phase { bar: ProgressBar::hidden(), ticker: None };
        }
        let bar = ProgressBar::new(all);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {msg:42} {bar:30} {percent:>3} %  {eta} to go") {
            bar.set_style(style);
        }
        bar.set_prefix(format!("round {} of {}", self.round.load(Ordering::Relaxed), self.rounds));
        bar.set_message(what.to_owned());
        let shown = bar.clone();
        let ticker = tokio::spawn(async move {
            loop {
                shown.set_position(done());
                tokio::time::sleep(LOOK).await;
            }
        });
        Phase { bar, ticker: Some(ticker) }
    }

    /// The same for what takes a known time.
    pub(super) fn timed(&self, what: &str, takes: Duration) -> Phase {
        let (start, all) = (std::time::Instant::now(), takes.as_millis());
        let ms = move || u64::try_from(start.elapsed().as_millis().min(all)).unwrap_or(u64::MAX);
        self.phase(what, u64::try_from(all).unwrap_or(u64::MAX), ms)
    }
}

/// What is measured now; gone from the terminal when dropped.
pub(super) struct Phase {
    bar: ProgressBar,
    ticker: Option<JoinHandle<()>>,
}

impl Drop for Phase {
    fn drop(&mut self) {
        if let Some(ticker) = &self.ticker {
            ticker.abort();
        }
        self.bar.finish_and_clear();
    }
}
