//! The fencing token of an attempt.

use super::ctx::Ctx;

impl<T> Ctx<T> {
    /// The lease that the job was claimed with: the fencing token of this attempt. SQL functions such as
    /// `howdah.complete_in` take it, and whoever else is written to may refuse what comes with a lower one than it has seen for
    /// the same job: later claims have higher ones, unless the server's clock was set back between them. The column `lease_id` of `howdah.claim`.
    #[must_use]
    pub fn lease_id(&self) -> i64 {
        self.call().lease_id
    }
}
