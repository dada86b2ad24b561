-- howdah.rewrite_job(job) -> void
-- Writes what was asked for anew, wherever it is kept: the one exception from a job being written once. The caller has
-- taken the job out of the room where it waits, or holds its row there. Internal to change, replace_job and start_over.
-- Writes: job, job_kept. Locks: its row. Partitions of jobs do not turn until the commit.
CREATE OR REPLACE FUNCTION howdah.rewrite_job(job howdah.job) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  n howdah.job := rewrite_job.job;
BEGIN
  -- While this is held, nobody copies the job as it was to where the long-lived ones are kept.
  PERFORM FROM howdah.ring r WHERE r.name = 'job' FOR SHARE;
  UPDATE howdah.job j SET queue_id = n.queue_id, priority = n.priority, max_attempts = n.max_attempts, payload = n.payload, options = n.options
   WHERE ((j.id >> 33) & 7) = ((n.id >> 33) & 7) AND j.id = n.id;
  UPDATE howdah.job_kept j SET queue_id = n.queue_id, priority = n.priority, max_attempts = n.max_attempts, payload = n.payload, options = n.options
   WHERE j.id = n.id;
END $$;
