//! What a person sees while something takes its time.
//!
//! Invariant: it goes to standard error, and only to a terminal; HOWDAH_NO_PROGRESS is for terminals that are recorded. Limit: how
//! much is left is told where it was counted before, which is up to a bound.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Counts jobs: so many are `done`, such as "enqueued".
pub(crate) fn spinner(done: &'static str) -> ProgressBar {
    shown("{spinner} {human_pos} jobs {msg}, {per_sec}, {elapsed}", None, done)
}

/// As [`spinner`], with how much is left and how long that will take, if it is known how many there are.
pub(crate) fn of_so_many(done: &'static str, total: Option<u64>) -> ProgressBar {
    match total {
        None => spinner(done),
        total => shown("{bar:20} {human_pos} of {human_len} jobs {msg}, {per_sec}, {eta} left", total, done),
    }
}

/// Says how long something takes of which nothing else is known.
pub(crate) fn waiting(for_what: impl Into<Cow<'static, str>>) -> ProgressBar {
    shown("{spinner} {msg}, {elapsed}", None, for_what)
}

/// Whether anybody would see it.
pub(crate) fn is_shown() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("HOWDAH_NO_PROGRESS").is_none()
}

fn shown(template: &str, total: Option<u64>, message: impl Into<Cow<'static, str>>) -> ProgressBar {
    if !is_shown() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_message(message);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("##-"));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
