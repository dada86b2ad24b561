//! The span of an attempt, and the trace that leads to it.
//!
//! Every attempt runs in a span named `job` of the target `howdah::job`, with the fields `id`, `kind`, `queue` and
//! `attempt`. With the feature `opentelemetry` it has those of OpenTelemetry's conventions for messaging too:
//! `otel.name` = `process <queue>`, `otel.kind` = `consumer`, `messaging.system` = `howdah`,
//! `messaging.operation.name` and `messaging.operation.type` = `process`, `messaging.destination.name`,
//! `messaging.message.id`, and of an attempt that failed `error.type` (the kind of error), `otel.status_code` and
//! `otel.status_description`.
//!
//! The trace of the enqueuer travels as a W3C `traceparent` in the options of the job. The job's span is **linked**
//! to it, and is the root of a trace of its own: a job may run hours later and many times, and a trace that has to
//! be kept open for it is never complete; sampling decides about each by itself. That is what the conventions say.
//! Whoever wants one trace all the same says [`Worker::continue_trace`](crate::Worker::continue_trace).
//!
//! Invariant: a job without a trace, or with one that cannot be read, runs like any other. Limit: `tracestate` and
//! baggage do not travel.

use crate::handler::{Call, Outcome};

/// The `traceparent` of the current span, if a layer of `tracing-opentelemetry` gives it one: what an enqueue sends
/// along if it is told nothing else. Always `None` without the feature `opentelemetry`.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    current()
}

#[cfg(not(feature = "opentelemetry"))]
mod imp {
    use super::*;

    #[inline(always)]
    pub(crate) fn current() -> Option<String> {
        None
    }

    pub(crate) fn attempt_span(call: &Call, kind: &str, _: bool) -> tracing::Span {
        tracing::info_span!(target: "howdah::job", parent: None, "job", id = call.id.0, kind = %kind,
            queue = %call.queue, attempt = call.attempt)
    }

    #[inline(always)]
    pub(crate) fn ended(_: &tracing::Span, _: &Outcome) {}
}

#[cfg(feature = "opentelemetry")]
mod imp {
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
    use tracing::Span;
    use tracing::field::Empty;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::*;

    pub(crate) fn current() -> Option<String> {
        let span = Span::current();
        if span.is_none() {
            return None;
        }
        let context = span.context();
        let span = context.span();
        let of = span.span_context();
        let flags = of.trace_flags().to_u8();
        of.is_valid().then(|| format!("00-{}-{}-{flags:02x}", of.trace_id(), of.span_id()))
    }

    pub(crate) fn attempt_span(call: &Call, kind: &str, continue_trace: bool) -> Span {
        let (id, queue) = (call.id.0, &*call.queue);
        let span = tracing::info_span!(target: "howdah::job", parent: None, "job", id, kind = %kind, queue = %queue,
            attempt = call.attempt,
            otel.name = %format_args!("process {queue}"), otel.kind = "consumer",
            messaging.system = "howdah", messaging.operation.name = "process", messaging.operation.type = "process",
            messaging.destination.name = queue, messaging.message.id = %id,
            error.type = Empty, otel.status_code = Empty, otel.status_description = Empty);
        let from = call.options.as_ref().and_then(|o| o.traceparent.as_deref()).and_then(parse);
        match from {
            Some(from) if continue_trace => {
                let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(from));
            }
            Some(from) => span.add_link(from),
            None => {}
        }
        span
    }

    pub(crate) fn ended(span: &Span, outcome: &Outcome) {
        // Setting a job aside is no error.
        if let Outcome::Failed(error) = outcome
            && error.verdict != crate::handler::Verdict::Wait
        {
            span.record("error.type", error.kind.as_str());
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", error.message.as_str());
        }
    }

    /// Reads `version-trace-span-flags`; what a later version has behind that is passed over.
    fn parse(traceparent: &str) -> Option<SpanContext> {
        let mut parts = traceparent.split('-').skip(1);
        let trace = TraceId::from_hex(parts.next()?).ok()?;
        let span = SpanId::from_hex(parts.next()?).ok()?;
        let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
        Some(SpanContext::new(trace, span, flags & TraceFlags::SAMPLED, true, TraceState::NONE))
            .filter(SpanContext::is_valid)
    }
}

pub(crate) use imp::{attempt_span, current, ended};
