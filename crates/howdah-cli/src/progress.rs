//! What a person sees while something takes its time.
//!
//! Invariant: it goes to standard error, and only to a terminal. Limit: how much is to come is not known.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Counts jobs: so many are `done`, such as "enqueued".
pub(crate) fn spinner(done: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(done.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} jobs {msg}, {per_sec}, {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
