//! Pieces that several pages have.
//!
//! Invariant: a state is a mark and a word, never a colour alone; a form has the token. Limit: none of them asks the
//! database.

use howdah::JobId;
use maud::{Markup, html};

use super::text;
use crate::view::View;

/// A state of a job or an operation: mark and word.
pub(crate) fn state(name: &str) -> Markup {
    let (mark, class) = match name {
        "scheduled" => ("○", "wait"),
        "blocked" => ("⊟", "wait"),
        "ready" => ("◔", "wait"),
        "running" => ("▶", "run"),
        "completed" | "done" | "ok" => ("✓", "good"),
        "cancelled" => ("⊘", "dim"),
        "expired" => ("⌛", "dim"),
        "dead" | "failed" | "problem" => ("✕", "bad"),
        "stopped" | "paused" | "warning" => ("‖", "warn"),
        "notice" => ("·", "dim"),
        _ => ("?", "dim"),
    };
    html! { span.state.(class) { span.mark aria-hidden="true" { (mark) } " " (name) } }
}

/// The way to a job.
pub(crate) fn job(view: &View, id: JobId) -> Markup {
    html! { a.id href=(view.to(&format!("/jobs/{id}"))) { (id) } }
}

/// The way to a queue.
pub(crate) fn queue(view: &View, name: &str) -> Markup {
    html! { a href=(view.to("/queues/one").with("name", name)) { (text::short(name, 60)) } }
}

/// The way to the jobs that a search means.
pub(crate) fn jobs(view: &View, search: &str, shown: &Markup) -> Markup {
    html! { a href=(view.to("/jobs").with("q", search)) { (shown) } }
}

/// A form that changes something: its address, and what is in it.
pub(crate) fn form(view: &View, action: &str, inside: &Markup) -> Markup {
    html! {
        form method="post" action=(view.to(action)) {
            input type="hidden" name="token" value=(view.token());
            (inside)
        }
    }
}

/// What a form carries without showing it.
pub(crate) fn carry(name: &str, value: &(impl maud::Render + ?Sized)) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// A table in a frame that scrolls by itself where the window is narrow.
pub(crate) fn table(label: &str, head: &Markup, rows: &Markup) -> Markup {
    html! {
        div.wide role="region" aria-label=(label) tabindex="0" {
            table { thead { tr { (head) } } tbody { (rows) } }
        }
    }
}

/// A pair of a list of facts; nothing if there is none.
pub(crate) fn fact(name: &str, value: Option<Markup>) -> Markup {
    html! { @if let Some(value) = value { dt { (name) } dd { (value) } } }
}

/// Words of a value for a search: in quotes, so that everything in it is itself.
pub(crate) fn term(field: &str, value: &str) -> String {
    format!("{field}:\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
