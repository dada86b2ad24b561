//! The layer that sees what is logged inside of attempts.
//!
//! How the lines come to the runner: making the span of an attempt calls `on_new_span` of the layer, in the same
//! thread, which leaves the buffer that it has put into the span where [`collect`] takes it.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::lines::Buffer;
use crate::handler::Call;
use crate::worker::Note;

thread_local! {
    static GIVEN: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

type Shared = Arc<Mutex<Buffer>>;

/// The lines of an attempt that runs; `None`: nobody collects any.
pub(crate) struct Lines(Option<Shared>);

/// Makes the span of an attempt, and what collects its lines if there is a layer for it.
pub(crate) fn collect(span: impl FnOnce() -> tracing::Span) -> (tracing::Span, Lines) {
    GIVEN.take();
    let span = span();
    (span, Lines(GIVEN.take()))
}

impl Lines {
    /// The attempt has ended: what it logged is to be written.
    pub(crate) fn send(self, call: &Call) {
        let Some(buffer) = self.0 else { return };
        let attempt = i16::try_from(call.attempt).unwrap_or(i16::MAX);
        let log = buffer.lock().unwrap_or_else(PoisonError::into_inner).take(call.id.0, attempt);
        if let Some(log) = log {
            call.notes.send(Note::Logs(log));
        }
    }
}

/// Keeps what is logged with `tracing` inside of an attempt with the attempt, in `howdah.logs`:
/// `howdah jobs show ID --logs`. For every job of every worker of the process:
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry()
///     .with(tracing_subscriber::fmt::layer().with_filter(tracing::level_filters::LevelFilter::WARN))
///     .with(howdah::JobLogs::new().layer())
///     .init();
/// ```
///
/// A line is the message of an event and its fields, so do not log what nobody may read; payloads are not logged by
/// this library. Lines are written when the attempt ends, however it ends, many attempts with one statement, and
/// are kept as long as the history (`history_retention`, a day by default). What the worker's process had not written
/// when it was killed is lost.
///
/// Limit: a filter that stands before all layers and does not let `howdah::job` spans of the level INFO pass leaves
/// nothing to collect; give filters to layers, as above. In tasks that the handler spawns, what is logged inside of
/// spans of the level INFO is kept: `tokio::spawn(work.in_current_span())`. The SQL function behind it is `howdah.write_logs`.
#[derive(Debug, Clone)]
#[must_use = "it collects nothing until its layer is part of the subscriber"]
pub struct JobLogs {
    lines: usize,
    bytes: usize,
    level: LevelFilter,
}

impl Default for JobLogs {
    fn default() -> Self {
        Self::new()
    }
}

impl JobLogs {
    /// Up to 200 lines and 32 KiB for each attempt, of the level INFO and above.
    pub fn new() -> Self {
        Self { lines: 200, bytes: 32 << 10, level: LevelFilter::INFO }
    }

    /// How many lines of an attempt are kept, 1 to 10,000: the newest ones, after a line that says how many were
    /// dropped.
    pub fn lines(mut self, at_most: usize) -> Self {
        self.lines = at_most.clamp(1, 9_999);
        self
    }

    /// How many bytes of messages of an attempt are kept, up to 1 MiB.
    pub fn bytes(mut self, at_most: usize) -> Self {
        self.bytes = at_most.clamp(1, 1 << 20);
        self
    }

    /// Lines of this level and above.
    pub fn level(mut self, level: Level) -> Self {
        self.level = LevelFilter::from_level(level);
        self
    }

    /// The layer, with a filter of its own: what is not kept costs nothing.
    pub fn layer<S>(self) -> impl Layer<S> + Send + Sync
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let wanted = Wanted(self.level);
        Filtered::new(self, wanted)
    }
}

/// Whether this is the span of an attempt.
fn is_attempt(meta: &Metadata<'_>) -> bool {
    meta.is_span() && meta.target() == "howdah::job"
}

/// What the layer wants to see: events of the level, and spans, since an event in a task that was spawned with a
/// span is found to be the attempt's by the parents of that span.
struct Wanted(LevelFilter);

impl<S> Filter<S> for Wanted {
    fn enabled(&self, meta: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *meta.level() <= if meta.is_span() { self.0.max(LevelFilter::INFO) } else { self.0 }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.max(LevelFilter::INFO))
    }
}

impl<S> Layer<S> for JobLogs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !is_attempt(attributes.metadata()) {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let buffer = Arc::new(Mutex::new(Buffer::new(self.lines, self.bytes)));
        GIVEN.set(Some(Arc::clone(&buffer)));
        span.extensions_mut().replace(buffer);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(buffer) = span.extensions().get::<Shared>() {
                buffer.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                return;
            }
        }
    }
}
