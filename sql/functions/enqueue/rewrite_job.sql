-- howdah.rewrite_job(job) -> void
-- Writes a job's row again: the one exception from its being written once, for jobs that somebody changes while they
-- wait. The caller has taken it out of the room where it waits, and puts it back. Internal.
-- Writes: job or job_kept. Locks: its row.
CREATE OR REPLACE FUNCTION howdah.rewrite_job(job howdah.job) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  n howdah.job := rewrite_job.job;
BEGIN
  UPDATE howdah.job j SET queue_id = n.queue_id, priority = n.priority, max_attempts = n.max_attempts, payload = n.payload, options = n.options
   WHERE ((j.id >> 33) & 7) = ((n.id >> 33) & 7) AND j.id = n.id;
  IF NOT FOUND THEN
    UPDATE howdah.job_kept j SET queue_id = n.queue_id, priority = n.priority, max_attempts = n.max_attempts, payload = n.payload, options = n.options
     WHERE j.id = n.id;
  END IF;
END $$;
