//! Without the feature `logs`: nothing is collected.

use crate::handler::Call;

pub(crate) struct Lines;

#[inline(always)]
pub(crate) fn collect(span: impl FnOnce() -> tracing::Span) -> (tracing::Span, Lines) {
    (span(), Lines)
}

impl Lines {
    #[inline(always)]
    pub(crate) fn send(self, _: &Call) {}
}
