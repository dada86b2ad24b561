-- howdah.rewrite_job(job_id, payload, priority, queue_id, max_attempts) -> void
-- Writes what was asked for anew, wherever it is kept; NULL leaves a value as it is. Internal to change.
-- Writes: job, job_kept.
CREATE OR REPLACE FUNCTION howdah.rewrite_job(job_id bigint, payload jsonb, priority integer, queue_id integer, max_attempts integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  UPDATE howdah.job j SET payload = coalesce(rewrite_job.payload, j.payload), priority = coalesce(rewrite_job.priority, j.priority),
         queue_id = rewrite_job.queue_id, max_attempts = coalesce(rewrite_job.max_attempts, j.max_attempts)
   WHERE ((j.id >> 33) & 7) = ((rewrite_job.job_id >> 33) & 7) AND j.id = rewrite_job.job_id;
  UPDATE howdah.job_kept k SET payload = coalesce(rewrite_job.payload, k.payload), priority = coalesce(rewrite_job.priority, k.priority),
         queue_id = rewrite_job.queue_id, max_attempts = coalesce(rewrite_job.max_attempts, k.max_attempts)
   WHERE k.id = rewrite_job.job_id;
END $$;
