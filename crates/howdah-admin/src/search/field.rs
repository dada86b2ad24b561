//! The fields that a search can ask for: one table, from which everything else is looked up.
//!
//! Invariant: names are those of the columns of `howdah.jobs`, without `_at` and `_id`. Limit: what is in payloads and
//! attributes is not here, since their names are the application's.

/// What is known of every job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Id,
    Kind,
    Queue,
    State,
    Attempt,
    MaxAttempts,
    Priority,
    Enqueued,
    Age,
    Due,
    Claimed,
    Ended,
    Run,
    Worker,
    Workflow,
    Key,
    Error,
    Reason,
}

/// What values a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A text, with stars.
    Text,
    /// A text that is part of another, with stars; upper and lower case are the same.
    Part,
    State,
    Number,
    Length,
    Time,
}

/// A field of the search language, for help and completion.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FieldInfo {
    pub(crate) field: Field,
    pub(crate) takes: Takes,
    /// How it is written, before the colon.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// A term with it.
    pub example: &'static str,
}

const fn info(field: Field, takes: Takes, name: &'static str, about: &'static str, example: &'static str) -> FieldInfo {
    FieldInfo { field, takes, name, about, example }
}

const FIELDS: [FieldInfo; 18] = [
    info(Field::Kind, Takes::Text, "kind", "what the job does", "kind:send_*"),
    info(Field::State, Takes::State, "state", "where it is in its life", "state:dead,cancelled"),
    info(Field::Queue, Takes::Text, "queue", "the queue that it is in", "queue:mail"),
    info(Field::Error, Takes::Part, "error", "kind or message of an attempt that failed", "error:\"timed out\""),
    info(Field::Age, Takes::Length, "age", "how long ago it was enqueued", "age:>10m"),
    info(Field::Enqueued, Takes::Time, "enqueued", "when it was enqueued", "enqueued:>=2026-01-31"),
    info(Field::Due, Takes::Time, "due", "when it is due, if it is scheduled", "due:<+1h"),
    info(Field::Claimed, Takes::Time, "claimed", "when its attempt began", "claimed:<-1h"),
    info(Field::Ended, Takes::Time, "ended", "when it ended", "ended:>-1h"),
    info(Field::Run, Takes::Length, "run", "how long it ran, if it has completed", "run:>5s"),
    info(Field::Attempt, Takes::Number, "attempt", "how many attempts were begun", "attempt:>3"),
    info(Field::MaxAttempts, Takes::Number, "max_attempts", "how many there may be", "max_attempts:1"),
    info(Field::Priority, Takes::Number, "priority", "0 runs first, 9 last", "priority:0..2"),
    info(Field::Worker, Takes::Text, "worker", "name or number of the worker that has it, or had it", "worker:host-7"),
    info(Field::Workflow, Takes::Text, "workflow", "name or number of its workflow", "workflow:nightly"),
    info(Field::Key, Takes::Text, "key", "the unique key that it has", "key:user-42"),
    info(Field::Id, Takes::Number, "id", "its number", "id:128..256"),
    info(Field::Reason, Takes::Part, "reason", "why it waits, or why it is dead", "reason:signal"),
];

/// Ways to say the same that people try first: another name, and a comparison that belongs to it.
pub(super) const OTHER_NAMES: [(&str, &str, &str); 2] = [("after", "enqueued", ">="), ("before", "enqueued", "<")];

/// Every field, the ones that are used most first. Besides these there are `args.` and `attr.`, for what is in payloads
/// and attributes.
#[must_use]
pub fn fields() -> &'static [FieldInfo] {
    &FIELDS
}

impl Field {
    pub(crate) fn info(self) -> &'static FieldInfo {
        // Every field is in the table: a test holds that.
        FIELDS.iter().find(|info| info.field == self).unwrap_or(&FIELDS[0])
    }

    pub(crate) fn name(self) -> &'static str {
        self.info().name
    }

    /// Whether it is written with the job and does not change, so that it can be asked before it is known where the job
    /// is.
    pub(super) fn is_in_row(self) -> bool {
        matches!(
            self,
            Self::Id | Self::Kind | Self::Queue | Self::MaxAttempts | Self::Priority | Self::Enqueued | Self::Age
        )
    }

    pub(crate) fn named(name: &str) -> Option<&'static FieldInfo> {
        FIELDS.iter().find(|info| info.name == name)
    }
}
