-- howdah.failures: every failed attempt that is still kept, newest last within a job.
CREATE OR REPLACE VIEW howdah.failures AS
SELECT f.job_id, f.attempt, f.at, f.error_kind, f.message, f.run_ms, f.worker_id, f.causes FROM howdah.failure f;
