//! Why a job is not running.
//!
//! Invariant: everything is seen, nothing is guessed: each reason has its evidence. Limit: it is how things were when it
//! was asked.

use super::Howdah;
use crate::error::Result;
use crate::job::JobId;

/// One reason why a job is not running: see [`Howdah::why`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// For programs: `due`, `paused`, `limit`, `order`, `no_worker`, `behind` and others; see the SQL function
    /// `howdah.why`.
    pub code: String,
    /// For people: one sentence.
    pub text: String,
    /// What it was seen by: ids, times, numbers.
    pub evidence: serde_json::Value,
}

impl Howdah {
    /// Why a job is not running: plain reasons, the nearest first. Of one that runs or has ended, what it does or how that
    /// was. Empty if there is no such job. The SQL function behind it is `howdah.why`.
    ///
    /// ```no_run
    /// # async fn example(howdah: howdah::Howdah, id: howdah::JobId) -> Result<(), howdah::Error> {
    /// for reason in howdah.why(id).await? {
    ///     println!("{}", reason.text); // queue mail is paused since 2026-01-31T08:00:00Z by ann: deployment
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    pub async fn why(&self, id: JobId) -> Result<Vec<Reason>> {
        let sql = self.names().sql("SELECT code, reason, evidence FROM howdah.why($1)");
        let query = sqlx::query_as(sql).bind(id.0);
        let rows: Vec<(String, String, serde_json::Value)> =
            self.observe_rows("why", Vec::len, query.fetch_all(self.pool())).await?;
        Ok(rows.into_iter().map(|(code, text, evidence)| Reason { code, text, evidence }).collect())
    }
}
