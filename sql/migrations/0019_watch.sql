-- 0019 watch: what happened last, found without a look at what happened before.
--
-- Locks: takes howdah.receipt and howdah.failure for as long as their new indexes take (some 1 s for a million rows), during
-- which jobs cannot end. Safe while an application runs.

-- tail: what ended, and what failed, in the last seconds. A row of howdah.receipt is a claim's worth of jobs.
CREATE INDEX receipt_at ON howdah.receipt (at);
CREATE INDEX failure_at ON howdah.failure (at);
