//! Reports what the attempts of this worker came to, for the statistics (`howdah.stats`).
//!
//! Invariant: nothing is asked while there is nothing to report, and no job waits for it. Limit: a report whose answer was lost is
//! made again, and then counted twice; what a killed process had not reported is lost.

use std::time::{Duration, Instant};

use sqlx::types::Json;

use super::chores::Chores;
use crate::error::Result;

/// So far are reports apart.
pub(super) const EVERY: Duration = Duration::from_secs(10);

impl Chores {
    /// When there is something to report next.
    pub(super) fn report_due(&self) -> Option<Instant> {
        (!self.shared.tally.is_empty()).then_some(self.report_at)
    }

    /// Reports, if it is time to.
    pub(super) async fn report_in_time(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.report_due().is_none_or(|at| now < at) {
            return Ok(());
        }
        self.report_at = now + EVERY;
        self.report().await
    }

    /// Reports what has been counted until now.
    pub(super) async fn report(&mut self) -> Result<()> {
        let shared = &self.shared;
        loop {
            let rows = shared.tally.take();
            if rows.is_empty() {
                return Ok(());
            }
            let sql = shared.howdah.names().sql("SELECT howdah.report_stats($1)");
            let told = self.link.row::<(i32,)>(sqlx::query_as(sql).bind(Json(&rows))).await;
            match told {
                Ok(_) => {}
                Err(error) if error.is_transient() => {
                    shared.tally.put_back(rows);
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, "could not report statistics: what was counted since the last report is lost");
                    return Ok(());
                }
            }
        }
    }
}
