//! Failures in the form in which `howdah.fail` takes them.
//!
//! Invariant: no delay is longer and no text is larger than the server reads. Limit: what a server refuses all the same (an
//! encoding other than UTF-8, say) is told again in a [`plain`] form.

use sqlx::types::Json;

use super::link::Rows;
use crate::client::Howdah;
use crate::error::Error;
use crate::handler::JobError;
use crate::retry::{LONGEST, Retry};

pub(super) struct Arrays<'e> {
    pub(super) ids: Vec<i64>,
    verdicts: Vec<&'e str>,
    kinds: Vec<String>,
    messages: Vec<String>,
    delays: Vec<Option<i64>>,
    run_ms: Vec<i32>,
    causes: Vec<Option<Json<Vec<String>>>>,
    retries: Vec<Option<Json<Retry>>>,
}

impl<'e> Arrays<'e> {
    pub(super) fn of(failed: &[(i64, &'e JobError, i32)]) -> Self {
        let errors = || failed.iter().map(|(_, error, _)| *error);
        let delay =
            |error: &JobError| error.delay.map(|d| i64::try_from(d.min(LONGEST).as_millis()).unwrap_or(i64::MAX));
        let causes = |error: &JobError| {
            let causes: Vec<_> = error.causes.iter().map(|cause| storable(cause)).collect();
            (!causes.is_empty()).then_some(Json(causes))
        };
        Self {
            ids: failed.iter().map(|(id, ..)| *id).collect(),
            verdicts: errors().map(|error| error.verdict.as_str()).collect(),
            kinds: errors().map(|error| storable(&error.kind)).collect(),
            messages: errors().map(|error| storable(&error.message)).collect(),
            delays: errors().map(delay).collect(),
            run_ms: failed.iter().map(|(_, _, ms)| *ms).collect(),
            causes: errors().map(causes).collect(),
            retries: errors().map(|error| error.declared.as_deref().map(|retry| Json(retry.within_bounds()))).collect(),
        }
    }

    pub(super) fn query<'q>(&'q self, howdah: &Howdah, lease: i64) -> Rows<'q, (i64,)> {
        let sql = "SELECT job_id FROM howdah.fail($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let query = sqlx::query_as(howdah.names().sql(sql)).bind(lease).bind(&self.ids);
        let query = query.bind(&self.verdicts).bind(&self.kinds).bind(&self.messages).bind(&self.delays);
        query.bind(&self.run_ms).bind(&self.causes).bind(&self.retries)
    }
}

pub(super) fn bytes(error: &JobError) -> usize {
    error.kind.len() + error.message.len() + error.causes.iter().map(String::len).sum::<usize>()
}

/// A failure that the database did not take, with nothing in it that it could refuse.
pub(super) fn plain(failed: &JobError, refused: &Error) -> JobError {
    let ascii = |text: &str| text.replace(|c: char| !c.is_ascii() || c == '\0', "?");
    JobError {
        kind: ascii(&failed.kind),
        message: ascii(&format!("{} (the database did not take all of this failure: {refused})", failed.message)),
        delay: failed.delay,
        verdict: failed.verdict,
        causes: Vec::new(),
        declared: None,
    }
}

/// Text as PostgreSQL can store it.
fn storable(text: &str) -> String {
    text.chars().take(8192).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}
