-- howdah.set_due(job_id, due_at) -> void
-- Sets when a job that waits for other jobs is due afterwards. Internal to reschedule, which has locked its row.
-- Writes: job. Locks: see rewrite_job.
CREATE OR REPLACE FUNCTION howdah.set_due(job_id bigint, due_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  j howdah.job;
BEGIN
  SELECT * INTO j FROM howdah.find_job(set_due.job_id);
  j.options := j.options || jsonb_build_object('due_at', set_due.due_at);
  PERFORM howdah.rewrite_job(j);
END $$;
