//! What is sent to who watches: server-sent events.
//!
//! Invariant: a tab that is closed is not looked for any more; one that stays open asks again after some minutes, so that rights that were taken
//! away end it. Limit: what a page shows, and not how it got there.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::time::Instant;

use super::sampler::{Subject, Watching};
use crate::pages::overview;
use crate::view::View;

/// After so long a browser has to ask again.
const LONGEST: Duration = Duration::from_secs(300);

struct Tab {
    view: View,
    watching: Watching,
    subject: Option<Subject>,
    /// What was last sent.
    last: String,
    until: Instant,
}

/// `/live`: the overview, as HTML; `/live?job=5`, `?workflow=5`, `?operation=5`: that it has changed.
pub(crate) async fn stream(view: View) -> Response {
    let job = view.number("job").map(Subject::Job);
    let workflow = || view.number("workflow").map(Subject::Workflow);
    let operation = || view.number("operation").map(Subject::Operation);
    let subject = job.or_else(workflow).or_else(operation);
    let watching = view.app.sampler.watch(subject);
    let tab = Tab { view, watching, subject, last: String::new(), until: Instant::now() + LONGEST };
    let events = stream::unfold(tab, |mut tab| async move {
        let event = tab.next().await?;
        Some((Ok::<_, Infallible>(event), tab))
    });
    // For proxies that would gather it first.
    let at_once = [("x-accel-buffering", "no")];
    (at_once, Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(20)))).into_response()
}

impl Tab {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let sample = tokio::time::timeout_at(self.until, self.watching.next()).await.ok()??;
            let (name, data) = match &self.subject {
                Some(subject) => ("changed", sample.marks.get(subject).cloned().unwrap_or_default()),
                // A carriage return would end the field; in HTML it is white space, and names show theirs by number.
                None => ("overview", overview::live(&self.view, &sample).into_string().replace('\r', " ")),
            };
            if data == self.last {
                continue;
            }
            self.last = data;
            // The first of a subject, too: it may have changed since its page was made.
            let data = if self.subject.is_some() { "changed" } else { self.last.as_str() };
            return Some(Event::default().event(name).data(data));
        }
    }
}
