-- howdah.state(job_id) -> text
-- Where a job is in its life: scheduled, ready, running, completed, cancelled, expired or dead. NULL: there is no
-- such job, or it ended longer ago than history is kept. Reads: howdah.jobs. Errors: none.
CREATE OR REPLACE FUNCTION howdah.state(job_id bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN (SELECT j.state FROM howdah.jobs j WHERE j.id = state.job_id);
END $$;
